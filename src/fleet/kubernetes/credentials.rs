//! What the credentials of a kubeconfig are, to tell why a cluster refuses them. Pure; secrets stay inside.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use kube::config::AuthInfo;

/// The kind of credentials, and until when they are good where they say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// A bearer token.
    Token {
        /// When it ends.
        expires: Option<Timestamp>,
    },
    /// A client certificate.
    Certificate {
        /// When it ends.
        expires: Option<Timestamp>,
    },
    /// A program that gives credentials.
    Plugin {
        /// Its name.
        command: String,
        /// What the kubeconfig says about getting it.
        install_hint: Option<String>,
    },
    /// Something else, or none at all.
    Other,
}

impl Credentials {
    /// The credentials that are used of those in `info`, in the order in which clients prefer them.
    pub(super) fn of(info: &AuthInfo) -> Self {
        let read = |path: &Option<String>| {
            path.as_ref()
                .and_then(|path| fs_err::read_to_string(path).ok())
        };
        // the library opens its secrets for serialization only
        let open = serde_json::to_value(info).unwrap_or_default();
        if let Some(token) = open["token"].as_str() {
            return Self::Token {
                expires: token_expiry(token),
            };
        }
        if info.token_file.is_some() {
            return Self::Token {
                expires: read(&info.token_file)
                    .as_deref()
                    .and_then(|token| token_expiry(token.trim())),
            };
        }
        if let Some(exec) = &info.exec {
            return Self::Plugin {
                command: exec.command.clone().unwrap_or_default(),
                install_hint: exec.install_hint.clone(),
            };
        }
        let pem = info
            .client_certificate_data
            .as_ref()
            .and_then(|data| String::from_utf8(STANDARD.decode(data).ok()?).ok())
            .or_else(|| read(&info.client_certificate));
        match pem {
            Some(pem) => Self::Certificate {
                expires: certificate_expiry(&pem),
            },
            None => Self::Other,
        }
    }

    /// Why they are refused, as far as they tell themselves.
    pub(super) fn expired(&self, now: Timestamp) -> Option<String> {
        let (what, expires) = match self {
            Self::Token { expires } => ("token", (*expires)?),
            Self::Certificate { expires } => ("client certificate", (*expires)?),
            Self::Plugin { .. } | Self::Other => return None,
        };
        (expires < now).then(|| {
            format!(
                "the {what} expired on {}",
                expires.strftime("%Y-%m-%d %H:%M:%S UTC")
            )
        })
    }

    /// What to do for new ones.
    pub(super) fn renewal(&self) -> String {
        match self {
            Self::Plugin { command, .. } => {
                format!("log in again with what belongs to `{command}`, which gives the credentials")
            }
            _ => "get a new kubeconfig from your cluster's administrators, or log in again with the tool of your site".to_owned(),
        }
    }
}

/// The end of a JSON web token; others do not tell.
fn token_expiry(token: &str) -> Option<Timestamp> {
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    Timestamp::from_second(claims.get("exp")?.as_i64()?).ok()
}

/// The end of the first certificate of a PEM text.
fn certificate_expiry(pem: &str) -> Option<Timestamp> {
    let body = pem
        .split_once("-----BEGIN CERTIFICATE-----")?
        .1
        .split_once("-----END")?
        .0;
    let der = STANDARD
        .decode(body.split_whitespace().collect::<String>())
        .ok()?;
    // Certificate { TBSCertificate { [0] version?, serial, signature, issuer, validity { from, until }, …
    let certificate = Element::first(&der)?.0;
    let mut rest = Element::first(certificate.content)?.0.content;
    let (mut element, mut after) = Element::first(rest)?;
    if element.tag == 0xa0 {
        rest = after;
        (element, after) = Element::first(rest)?;
    }
    for _serial_signature_issuer in 0..3 {
        (element, after) = Element::first(after)?;
    }
    let (_from, until) = Element::first(element.content)?;
    let until = Element::first(until)?.0;
    let text = std::str::from_utf8(until.content).ok()?;
    match until.tag {
        // two digits of the year up to 2049
        0x17 => {
            let year: i32 = text.get(..2)?.parse().ok()?;
            let century = if year < 50 { "20" } else { "19" };
            parse_time(&format!("{century}{text}"))
        }
        0x18 => parse_time(text),
        _ => None,
    }
}

fn parse_time(text: &str) -> Option<Timestamp> {
    jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", text)
        .ok()?
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|time| time.timestamp())
}

/// One element of the distinguished encoding rules.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

impl<'a> Element<'a> {
    /// The first element, and what comes after it.
    fn first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&tag, rest) = bytes.split_first()?;
        let (&length, rest) = rest.split_first()?;
        let (length, rest) = if length < 0x80 {
            (usize::from(length), rest)
        } else {
            let count = usize::from(length & 0x7f);
            if count == 0 || count > 4 {
                return None;
            }
            let (digits, rest) = rest.split_at_checked(count)?;
            let length = digits
                .iter()
                .fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit));
            (length, rest)
        };
        let (content, after) = rest.split_at_checked(length)?;
        Some((Self { tag, content }, after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_tells_when_it_ends() {
        let expires = token_expiry(&token("{\"exp\":1700000000}"));
        assert_eq!(expires, Timestamp::from_second(1_700_000_000).ok());
        for silent in ["", "abc", "a.b.c", &token("{}"), &token("[1")] {
            assert_eq!(token_expiry(silent), None, "{silent}");
        }
        let old = Credentials::Token { expires };
        assert_eq!(
            old.expired(Timestamp::from_second(1_700_000_001).unwrap())
                .unwrap(),
            "the token expired on 2023-11-14 22:13:20 UTC"
        );
        assert_eq!(
            old.expired(Timestamp::from_second(1_600_000_000).unwrap()),
            None
        );
    }

    #[test]
    fn a_certificate_tells_when_it_ends() {
        let mut parameters = rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2019, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        for (year, expected) in [
            (2020, "2020-02-03T00:00:00Z"),
            (2070, "2070-02-03T00:00:00Z"),
        ] {
            parameters.not_after = rcgen::date_time_ymd(year, 2, 3);
            let pem = parameters.clone().self_signed(&key).unwrap().pem();
            assert_eq!(certificate_expiry(&pem).unwrap().to_string(), expected);
            // cut anywhere it must not panic
            for end in 0..pem.len() {
                let _nothing = certificate_expiry(&pem[..end]);
            }
        }
    }
}
