//! A client of the alarm server's control API, as docs/alarm-api.md describes it.
//!
//! What it deliberately does not do: decide which server is meant ([`super::server`]), draw, try again.

pub mod answers;
pub mod events;
pub mod names;

use std::path::Path;
use std::time::Duration;

use reqwest::{Method, Response, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::alarm::client::answers::{Item, Outcome, Page, Server, Stories};
use crate::alarm::client::events::Following;

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take; the server itself gives up after 30 s.
const ANSWER: Duration = Duration::from_secs(40);
/// How long the stream of events may be silent; the server sends a line every ten seconds.
const SILENCE: Duration = Duration::from_secs(30);
/// Largest answer, in bytes: a page of items with long descriptions stays far below.
const LARGEST_ANSWER: usize = 256 << 20;
/// Items that are asked for at once, the most that the server gives.
const PAGE: usize = 10_000;

/// Why a request was not answered as wished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address is none.
    #[error("`{address}` is no address of an alarm server: {why}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers there.
    #[error("no alarm server answers at `{address}`")]
    Unreachable {
        /// Where.
        address: String,
        /// Why, in the words of the system.
        cause: String,
    },
    /// The connection ended in the middle of an answer, or nothing came for too long.
    #[error("the connection to the alarm server at `{address}` was lost")]
    Lost {
        /// Where.
        address: String,
        /// Why.
        cause: String,
    },
    /// Somebody answers who is no alarm server.
    #[error("what answers at `{address}` is no alarm server: {why}")]
    Strange {
        /// Where.
        address: String,
        /// What is strange.
        why: String,
    },
    /// The server refuses.
    #[error("{error}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// In the words of the server.
        error: String,
        /// What to do about it, in the words of the server.
        hint: Option<String>,
    },
    /// The file with the token cannot be used.
    #[error("the token cannot be used: {why}")]
    Token {
        /// Why.
        why: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

impl ClientError {
    /// Whether another try may end differently: the server is away, or is starting or ending.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => true,
            Self::Refused { status, .. } => *status == 503,
            Self::Address { .. } | Self::Strange { .. } | Self::Token { .. } => false,
        }
    }
}

/// Which items are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// Path of a group, or name of a PV; all if missing.
    pub at: Option<&'a str>,
    /// How they stand, such as `active`.
    pub is: Option<&'a str>,
    /// Severity.
    pub severity: Option<&'a str>,
    /// Part of path or description.
    pub text: Option<&'a str>,
    /// `pv` or `group`.
    pub kind: Option<&'a str>,
}

/// Asks one server.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    address: String,
    token: Option<String>,
    user: String,
}

impl Client {
    /// A client of the server at `address`, such as `http://127.0.0.1:4730`; nothing is sent yet. `user` is who acts, as
    /// `name@host`; a token proves it where the server wants that.
    ///
    /// # Errors
    ///
    /// An address that is none.
    pub fn new(
        address: &str,
        token: Option<String>,
        user: impl Into<String>,
    ) -> Result<Self, ClientError> {
        let address = address.trim().to_owned();
        let wrong = |why: String| ClientError::Address {
            address: address.clone(),
            why,
        };
        let address = if address.contains("://") {
            address.clone()
        } else {
            format!("http://{address}")
        };
        let url = reqwest::Url::parse(&address).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(wrong("it begins with `http://` or `https://`".to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ClientError::Address {
                // what may be a secret is not shown
                address: format!(
                    "{}://…@{}",
                    url.scheme(),
                    url.host_str().unwrap_or_default()
                ),
                why: "a token stands in a file, not in the address".to_owned(),
            });
        }
        // Whoever comes first installs the one TLS provider of the process; later ones find it there.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("ioc/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE.max(ANSWER))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| wrong(root_cause(&error)))?;
        Ok(Self {
            http,
            address: address.trim_end_matches('/').to_owned(),
            token,
            user: user.into(),
        })
    }

    /// Where the server is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How the server is.
    ///
    /// # Errors
    ///
    /// See [`ClientError`]; so for all that follow.
    pub async fn server(&self) -> Result<Server, ClientError> {
        self.ask(Method::GET, "/v1/server", &[], None).await
    }

    /// The server's clock, to the second, as the head of its answers gives it; `None` if something between takes that
    /// away.
    pub async fn clock(&self) -> Result<Option<jiff::Timestamp>, ClientError> {
        let request = self.request(Method::GET, "/livez", &[])?.timeout(ANSWER);
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let date = response.headers().get(header::DATE);
        let date = date.and_then(|date| date.to_str().ok());
        Ok(date
            .and_then(|date| jiff::fmt::rfc2822::parse(date).ok())
            .map(|date| date.timestamp()))
    }

    /// All items that match, and the event from which to follow.
    pub async fn items(&self, wanted: &Wanted<'_>) -> Result<(Vec<Item>, String), ClientError> {
        let mut items: Vec<Item> = Vec::new();
        loop {
            let page = self.page(wanted, items.len(), PAGE).await?;
            let is_last = page.items.is_empty() || items.len() + page.items.len() >= page.total;
            items.extend(page.items);
            if is_last {
                return Ok((items, page.event));
            }
        }
    }

    /// The first items that match, at most `limit`.
    pub async fn some_items(
        &self,
        wanted: &Wanted<'_>,
        limit: usize,
    ) -> Result<Vec<Item>, ClientError> {
        let page = self.page(wanted, 0, limit).await?;
        Ok(page.items)
    }

    async fn page(
        &self,
        wanted: &Wanted<'_>,
        offset: usize,
        limit: usize,
    ) -> Result<Page, ClientError> {
        let (offset, limit) = (offset.to_string(), limit.to_string());
        let mut query: Vec<(&str, &str)> = vec![("offset", &offset), ("limit", &limit)];
        let optional = [
            ("at", wanted.at),
            ("is", wanted.is),
            ("severity", wanted.severity),
            ("text", wanted.text),
            ("kind", wanted.kind),
        ];
        query.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        self.ask(Method::GET, "/v1/items", &query, None).await
    }

    /// Everything about an item, or about each place of a PV.
    pub async fn stories(&self, at: &str) -> Result<Stories, ClientError> {
        self.ask(Method::GET, "/v1/item", &[("at", at)], None).await
    }

    /// Has the server do something: `operation` such as `acknowledge`.
    pub async fn operate(
        &self,
        operation: &str,
        body: Option<&Value>,
    ) -> Result<Outcome, ClientError> {
        let path = format!("/v1/{operation}");
        self.ask(Method::POST, &path, &[], body).await
    }

    /// Follows what happens after an event.
    pub async fn follow(
        &self,
        after: &str,
        kinds: &str,
        path: Option<&str>,
    ) -> Result<Following, ClientError> {
        let mut query = vec![("after", after), ("kinds", kinds)];
        query.extend(path.map(|path| ("path", path)));
        let request = self.request(Method::GET, "/v1/events", &query)?;
        let sent = tokio::time::timeout(ANSWER, request.send()).await;
        let response = match sent {
            Ok(sent) => sent.map_err(|error| self.failed(&error))?,
            Err(_elapsed) => return Err(self.lost("it did not answer in time")),
        };
        if !response.status().is_success() {
            let status = response.status().as_u16();
            let body = self.body(response).await?;
            return Err(self.refusal(status, &body));
        }
        Ok(Following::new(response, self.clone()))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<T, ClientError> {
        let mut request = self.request(method, path, query)?.timeout(ANSWER);
        if let Some(body) = body {
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        let body = self.body(response).await?;
        if !status.is_success() {
            return Err(self.refusal(status.as_u16(), &body));
        }
        serde_json::from_slice(&body).map_err(|error| self.strange(error.to_string()))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<reqwest::RequestBuilder, ClientError> {
        let address = format!("{}{path}", self.address);
        let mut url = reqwest::Url::parse(&address).map_err(|error| ClientError::Address {
            address,
            why: error.to_string(),
        })?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url);
        if let Ok(user) = header::HeaderValue::from_str(&self.user) {
            request = request.header("Ioc-User", user);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        Ok(request)
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(part) = response
            .chunk()
            .await
            .map_err(|error| self.failed(&error))?
        {
            if body.len() + part.len() > LARGEST_ANSWER {
                return Err(
                    self.strange(format!("its answer has more than {LARGEST_ANSWER} bytes"))
                );
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    fn refusal(&self, status: u16, body: &[u8]) -> ClientError {
        let said: Option<Value> = serde_json::from_slice(body).ok();
        let text = |name: &str| Some(said.as_ref()?.get(name)?.as_str()?.to_owned());
        match text("error") {
            Some(error) => ClientError::Refused {
                status,
                error,
                hint: text("hint"),
            },
            None => self.strange(format!("it answers with status {status}")),
        }
    }

    fn strange(&self, why: impl Into<String>) -> ClientError {
        ClientError::Strange {
            address: self.address.clone(),
            why: why.into(),
        }
    }

    fn lost(&self, cause: impl Into<String>) -> ClientError {
        ClientError::Lost {
            address: self.address.clone(),
            cause: cause.into(),
        }
    }

    fn failed(&self, error: &reqwest::Error) -> ClientError {
        if error.is_connect() {
            return ClientError::Unreachable {
                address: self.address.clone(),
                cause: root_cause(error),
            };
        }
        if error.is_timeout() {
            return self.lost("it did not answer in time");
        }
        let cause = root_cause(error);
        // hyper's words for a server that ended in the middle of its answer
        if cause.contains("EOF") || cause.contains("closed before") {
            return self.lost("it has ended");
        }
        self.lost(cause)
    }
}

/// The innermost reason: the outer ones say "error sending request" and the like.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Reads a token: the first line that is neither empty nor a comment. Of several words (as in the server's own file,
/// `ROLE NAME TOKEN`) the last one counts.
///
/// # Errors
///
/// A file that cannot be read, that others can read, or that holds no token.
pub fn read_token(path: &Path) -> Result<String, ClientError> {
    let text = alarm_server::secrets::read(path).map_err(|error| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        ClientError::Token {
            why: format!("{error}{}", source.unwrap_or_default()),
            hint: error.hint(),
        }
    })?;
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let token = lines.next().and_then(|line| line.split_whitespace().last());
    match token {
        Some(token) if token.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(token.to_owned()),
        Some(_) => Err(ClientError::Token {
            why: format!(
                "that in `{}` has characters that cannot be sent",
                path.display()
            ),
            hint: None,
        }),
        None => Err(ClientError::Token {
            why: format!("`{}` holds none", path.display()),
            hint: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn addresses_are_checked_before_anything_is_sent() {
        let address = |text: &str| Client::new(text, None, "a@b").map(|client| client.address);
        assert_eq!(address("127.0.0.1:4730").unwrap(), "http://127.0.0.1:4730");
        assert_eq!(address("https://alarms/").unwrap(), "https://alarms");
        for wrong in [
            "",
            "ftp://x",
            "http://",
            "http://me:secret@x",
            "http://x:99999",
        ] {
            let error = address(wrong).unwrap_err();
            assert!(
                matches!(error, ClientError::Address { .. }),
                "{wrong}: {error}"
            );
        }
    }

    #[test]
    fn a_token_is_the_last_word_of_the_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let read = |text: &str| {
            fs_err::write(&path, text).unwrap();
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            read_token(&path)
        };
        assert_eq!(read("0123456789abcdef\n").unwrap(), "0123456789abcdef");
        assert_eq!(
            read("# of mine\n\noperator alice 0123456789abcdef\nviewer b x\n").unwrap(),
            "0123456789abcdef"
        );
        assert!(
            read("\n# nothing\n")
                .unwrap_err()
                .to_string()
                .contains("holds none")
        );
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = read_token(&path).unwrap_err();
        assert!(
            matches!(&error, ClientError::Token { hint: Some(hint), .. } if hint.starts_with("chmod 600")),
            "{error:?}"
        );
    }
}
