//! Services of a site that are reached over HTTP: who asks, what is answered, and errors in words.
//!
//! What it deliberately does not do: read files or the environment, choose whom to trust (the client that it is given has
//! done that), follow redirects with a login, try again.

use std::fmt;
use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{self, HeaderValue};
use reqwest::{Method, StatusCode, Url};

use crate::query::NoAnswer;
use crate::sink::TryLater;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// Largest answer in bytes.
const LARGEST: usize = 256 << 20;
/// So much of a refusal is told.
const SAID: usize = 400;

/// Who asks.
#[derive(Clone, Default)]
pub enum Login {
    /// Anybody.
    #[default]
    None,
    /// An API key of Elasticsearch, as it gives it (`encoded`).
    ApiKey(String),
    /// A bearer token.
    Token(String),
    /// A user.
    Password {
        /// Name.
        user: String,
        /// Password.
        password: String,
    },
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::ApiKey(_) => "ApiKey(…)",
            Self::Token(_) => "Token(…)",
            Self::Password { .. } => "Password(…)",
        })
    }
}

impl Login {
    fn header(&self) -> Result<Option<HeaderValue>, Fault> {
        use base64::Engine as _;
        let text = match self {
            Self::None => return Ok(None),
            Self::ApiKey(key) => format!("ApiKey {key}"),
            Self::Token(token) => format!("Bearer {token}"),
            Self::Password { user, password } => {
                let pair = format!("{user}:{password}");
                let pair = base64::engine::general_purpose::STANDARD.encode(pair);
                format!("Basic {pair}")
            }
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_unsendable| Fault::Address {
            text: "the key or token".to_owned(),
            why: "it has characters that cannot be sent".to_owned(),
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// Why a service does not do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// What was given is no address.
    #[error("{text}: {why}")]
    Address {
        /// What was given.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// Nobody answers, not in time, or not to the end.
    #[error("{at} does not answer: {cause}")]
    Away {
        /// Where.
        at: String,
        /// Why.
        cause: String,
    },
    /// The encrypted connection cannot be made.
    #[error("no encrypted connection to {at}: {cause}")]
    Tls {
        /// Where.
        at: String,
        /// Why.
        cause: String,
    },
    /// It wants to know who asks, or does not allow it.
    #[error("{at} does not allow to {what}: {said}")]
    Denied {
        /// Where.
        at: String,
        /// What was asked.
        what: String,
        /// In its own words.
        said: String,
        /// Whether it does not know who asks, rather than not allowing it.
        unknown: bool,
    },
    /// It refuses.
    #[error("{at} does not {what}: {said}")]
    Refused {
        /// Where.
        at: String,
        /// What was asked.
        what: String,
        /// In its own words.
        said: String,
    },
    /// It cannot now.
    #[error("{at} does not {what} now: {said}")]
    Busy {
        /// Where.
        at: String,
        /// What was asked.
        what: String,
        /// In its own words.
        said: String,
    },
    /// Something else answers there.
    #[error("what answers at {at} is no {expected}: {why}")]
    Strange {
        /// Where.
        at: String,
        /// What it should be.
        expected: &'static str,
        /// What is strange.
        why: String,
    },
    /// What is stored there already is not what is written here.
    #[error("`{index}` of {at} is not as an alarm history is: {why}")]
    Foreign {
        /// Where.
        at: String,
        /// Index.
        index: String,
        /// What is different.
        why: String,
    },
    /// It cannot answer that.
    #[error("{at} {why}")]
    Unable {
        /// Where.
        at: String,
        /// What it cannot do.
        why: String,
    },
}

impl Fault {
    /// Whether trying again later may help without anybody's doing something.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Busy { .. })
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Away { at, .. } => Some(format!("curl -v {at}")),
            Self::Tls { at, .. } => Some(format!(
                "`ca-file` names the certificates to trust; `curl -v {at}` shows what it sends"
            )),
            Self::Denied { unknown: true, .. } => Some(
                "docs/alarm-history.md says where the key, token or password comes from".to_owned(),
            ),
            Self::Foreign { index, at, .. } => Some(format!("curl {at}/{index}/_mapping")),
            Self::Strange { at, .. } => Some(format!("curl {at}")),
            _ => None,
        }
    }
}

impl From<Fault> for TryLater {
    fn from(fault: Fault) -> Self {
        Self {
            reason: fault.to_string(),
            hint: fault.hint(),
        }
    }
}

impl From<Fault> for NoAnswer {
    fn from(fault: Fault) -> Self {
        Self {
            reason: fault.to_string(),
            hint: fault.hint(),
        }
    }
}

/// A service.
#[derive(Debug, Clone)]
pub struct Remote {
    client: reqwest::Client,
    address: String,
    login: Option<HeaderValue>,
    tenant: Option<HeaderValue>,
    compress: bool,
}

/// Sees that a text is the address of a service, such as `https://search:9200`.
///
/// # Errors
///
/// It is none, or has a login in it.
pub fn check_address(address: &str) -> Result<Url, Fault> {
    let wrong = |why: &str| Fault::Address {
        text: format!("`{address}` is no address of a service"),
        why: why.to_owned(),
    };
    let url = Url::parse(address).map_err(|error| wrong(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::Address {
            // what may be a secret is not shown
            text: format!(
                "`{}://…@{}` has a login in it",
                url.scheme(),
                url.host_str().unwrap_or_default()
            ),
            why: "keys and passwords stand in files, not in addresses".to_owned(),
        });
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("it begins with `http://` or `https://`"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it ends with host, port and perhaps a path"));
    }
    Ok(url)
}

/// What is sent with a request.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) kind: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Body {
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self {
            kind: "application/json",
            bytes: value.to_string().into_bytes(),
        }
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) bytes: Vec<u8>,
}

impl Remote {
    /// A service at an address such as `https://search:9200`; nothing is sent yet. The client must not follow redirects:
    /// they would take the login elsewhere.
    ///
    /// # Errors
    ///
    /// The address is none, has a login in it, or the login cannot be sent.
    pub fn new(client: reqwest::Client, address: &str, login: &Login) -> Result<Self, Fault> {
        let url = check_address(address)?;
        Ok(Self {
            client,
            address: url.as_str().trim_end_matches('/').to_owned(),
            login: login.header()?,
            tenant: None,
            compress: false,
        })
    }

    /// The same, with the tenant for which it asks.
    ///
    /// # Errors
    ///
    /// A name that cannot be sent.
    pub fn for_tenant(mut self, tenant: &str) -> Result<Self, Fault> {
        let value = HeaderValue::from_str(tenant).map_err(|_unsendable| Fault::Address {
            text: format!("the tenant `{tenant}`"),
            why: "it has characters that cannot be sent".to_owned(),
        })?;
        self.tenant = Some(value);
        Ok(self)
    }

    /// The same, which sends what is long compressed.
    #[must_use]
    pub fn compressing(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether a login would be sent over the network for everybody to read.
    pub fn is_login_exposed(&self) -> bool {
        self.login.is_some() && self.address.starts_with("http://") && !self.is_on_this_machine()
    }

    fn is_on_this_machine(&self) -> bool {
        let host = Url::parse(&self.address)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// Asks, and gives whatever is answered but 401 and 403, which are errors. `what` is what is done, for messages.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<Body>,
        what: &str,
    ) -> Result<Answer, Fault> {
        let address = format!("{}/{path}", self.address);
        let mut url = Url::parse(&address).map_err(|error| Fault::Address {
            text: format!("`{address}`"),
            why: error.to_string(),
        })?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.client.request(method, url).timeout(PATIENCE);
        if let Some(login) = &self.login {
            request = request.header(header::AUTHORIZATION, login);
        }
        if let Some(tenant) = &self.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, body.kind);
            request = if self.compress {
                request
                    .header(header::CONTENT_ENCODING, "gzip")
                    .body(compressed(&body.bytes).map_err(|error| self.away(&error))?)
            } else {
                request.body(body.bytes)
            };
        }
        let mut response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(part) = response
            .chunk()
            .await
            .map_err(|error| self.failed(&error))?
        {
            if bytes.len() + part.len() > LARGEST {
                return Err(Fault::Unable {
                    at: self.address.clone(),
                    why: format!("answers with more than {LARGEST} bytes"),
                });
            }
            bytes.extend_from_slice(&part);
        }
        let answer = Answer { status, bytes };
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(Fault::Denied {
                at: self.address.clone(),
                what: what.to_owned(),
                said: answer.said(),
                unknown: status == StatusCode::UNAUTHORIZED,
            });
        }
        if status.is_redirection() {
            return Err(Fault::Unable {
                at: self.address.clone(),
                why: "sends us elsewhere, where a login does not follow".to_owned(),
            });
        }
        Ok(answer)
    }

    /// A refusal as an error.
    pub(crate) fn refused(&self, what: &str, answer: &Answer) -> Fault {
        let (at, what, said) = (self.address.clone(), what.to_owned(), answer.said());
        if answer.status == StatusCode::TOO_MANY_REQUESTS || answer.status.is_server_error() {
            Fault::Busy { at, what, said }
        } else {
            Fault::Refused { at, what, said }
        }
    }

    fn away(&self, error: &std::io::Error) -> Fault {
        Fault::Away {
            at: self.address.clone(),
            cause: error.to_string(),
        }
    }

    fn failed(&self, error: &reqwest::Error) -> Fault {
        let at = self.address.clone();
        if error.is_timeout() {
            return Fault::Away {
                at,
                cause: "it took too long".to_owned(),
            };
        }
        let mut innermost: &dyn std::error::Error = error;
        let mut is_tls = false;
        loop {
            // its type is not one of ours: the words are those of rustls
            is_tls |= innermost.to_string().contains("certificate");
            match innermost.source() {
                Some(source) => innermost = source,
                None => break,
            }
        }
        let cause = innermost.to_string();
        if is_tls || cause.contains("corrupt message") {
            Fault::Tls { at, cause }
        } else {
            Fault::Away { at, cause }
        }
    }
}

impl Answer {
    /// What an answer says for people: the reasons in it, or its begin.
    pub(crate) fn said(&self) -> String {
        let value: Option<serde_json::Value> = serde_json::from_slice(&self.bytes).ok();
        let reason = value.as_ref().and_then(|value| {
            let error = value.get("error")?;
            error
                .pointer("/root_cause/0/reason")
                .or_else(|| error.get("reason"))
                .unwrap_or(error)
                .as_str()
                .map(str::to_owned)
        });
        let said = reason.unwrap_or_else(|| String::from_utf8_lossy(&self.bytes).into_owned());
        let said: String = said
            .chars()
            .map(|character| {
                if character.is_control() {
                    ' '
                } else {
                    character
                }
            })
            .take(SAID)
            .collect();
        match said.trim() {
            "" => self.status.to_string(),
            said => format!("{} ({})", said, self.status.as_u16()),
        }
    }
}

fn compressed(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn remote(address: &str, login: &Login) -> Result<Remote, Fault> {
        let client = reqwest::Client::builder()
            .tls_certs_only([])
            .build()
            .unwrap();
        Remote::new(client, address, login)
    }

    #[test]
    fn addresses() {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let at = |address: &str| {
            remote(address, &Login::None)
                .map(|remote| remote.address)
                .map_err(|fault| fault.to_string())
        };
        assert_eq!(at("https://search:9200/").unwrap(), "https://search:9200");
        assert_eq!(at("http://a/b").unwrap(), "http://a/b");
        for (address, words) in [
            ("search:9200", "begins with `http://` or `https://`"),
            ("ftp://search", "begins with `http://` or `https://`"),
            ("https://", "empty host"),
            ("https://a?b=c", "ends with host, port"),
        ] {
            let said = at(address).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
        let said = at("https://me:secret@search").unwrap_err();
        assert!(said.contains("has a login in it"), "{said}");
        assert!(!said.contains("secret") && !said.contains("me:"), "{said}");
    }

    #[test]
    fn logins_are_not_shown_and_exposing_one_is_known() {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let login = Login::Password {
            user: "elastic".to_owned(),
            password: "secret".to_owned(),
        };
        for (address, exposed) in [
            ("http://search:9200", true),
            ("https://search:9200", false),
            ("http://127.0.0.1:9200", false),
            ("http://[::1]:9200", false),
            ("http://localhost:9200", false),
            ("http://localhost.evil:9200", true),
        ] {
            let made = remote(address, &login).unwrap();
            assert_eq!(made.is_login_exposed(), exposed, "{address}");
            let shown = format!("{made:?} {login:?}");
            assert!(!shown.contains("secret"), "{shown}");
            assert!(!remote(address, &Login::None).unwrap().is_login_exposed());
        }
        let said = remote("http://a", &Login::Token("a\nb".to_owned())).unwrap_err();
        assert!(said.to_string().contains("cannot be sent"), "{said}");
    }

    #[test]
    fn what_a_refusal_says() {
        let said = |text: &str| {
            Answer {
                status: StatusCode::BAD_REQUEST,
                bytes: text.as_bytes().to_vec(),
            }
            .said()
        };
        let rows = [
            (
                r#"{"error":{"root_cause":[{"reason":"inner"}],"reason":"outer"}}"#,
                "inner (400)",
            ),
            (r#"{"error":{"reason":"outer"}}"#, "outer (400)"),
            (r#"{"error":"plain"}"#, "plain (400)"),
            ("entry too\nfar behind", "entry too far behind (400)"),
            ("", "400 Bad Request"),
        ];
        for (text, expected) in rows {
            assert_eq!(said(text), expected);
        }
    }
}
