//! Who may do what: tokens with roles, and the checks against pages of strangers.
//!
//! Without a file of tokens, which is possible on loopback only, everybody on the machine may do everything; a web page
//! of somebody else may not, because the names by which the server is called (`Host`) and the page (`Origin`) are
//! checked.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::api::{Api, Problem};
use crate::secrets::{self, SecretError};
use crate::settings::ApiSettings;
use crate::shell::lead::Standing;

/// Shortest token, in characters.
const SHORTEST: usize = 16;

/// What somebody may do; each includes what is before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Viewer,
    /// Acknowledge, enable, disable, shelve, switch modes.
    Operator,
    /// Change the configuration and the log.
    Admin,
}

impl Role {
    /// Its name in the file of tokens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator, Self::Admin]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Who {
    /// Name of the token; without tokens what the client says of itself, else `local`.
    pub user: String,
    /// Whether the name was proved by a token.
    pub proved: bool,
    /// Address of the client.
    pub from: SocketAddr,
    /// What the client says of its host; else its address.
    pub host: String,
}

struct Token {
    hash: [u8; 32],
    name: String,
    role: Role,
}

/// Tokens of a file.
struct Tokens(Vec<Token>);

impl Tokens {
    /// Reads lines of `ROLE NAME TOKEN`; empty ones and those that begin with `#` do not count.
    fn read(path: &Path) -> Result<Self, SecretError> {
        let text = secrets::read(path)?;
        let wrong = |line: usize, why: &str| SecretError::Content {
            path: path.to_owned(),
            why: format!("line {}: {why}", line + 1),
        };
        let mut tokens = Vec::new();
        for (place, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let [role, name, token] = words.as_slice() else {
                return Err(wrong(
                    place,
                    "needs a role, a name and a token, separated by blanks",
                ));
            };
            let Some(role) = Role::from_name(role) else {
                return Err(wrong(place, "the role is none of viewer, operator, admin"));
            };
            if token.chars().count() < SHORTEST {
                return Err(wrong(place, "the token has fewer than 16 characters"));
            }
            tokens.push(Token {
                hash: Sha256::digest(token.as_bytes()).into(),
                name: (*name).to_owned(),
                role,
            });
        }
        if tokens.is_empty() {
            return Err(SecretError::Content {
                path: path.to_owned(),
                why: "holds no token".to_owned(),
            });
        }
        Ok(Self(tokens))
    }

    /// Looks at every token and every byte, so that the time says nothing about them.
    fn find(&self, token: &str) -> Option<(&str, Role)> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = None;
        for token in &self.0 {
            let difference = hash
                .iter()
                .zip(&token.hash)
                .fold(0, |difference, (one, other)| difference | (one ^ other));
            if std::hint::black_box(difference) == 0 {
                found = Some(token);
            }
        }
        found.map(|token| (token.name.as_str(), token.role))
    }
}

/// Why the API cannot be opened to others as it is set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// Everybody could do everything.
    #[error(
        "the control API on `{0}` needs a file with tokens, because it is not a loopback address"
    )]
    Open(SocketAddr),
    /// The file cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl AccessError {
    /// What can be done about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Open(_) => Some(
                "umask 077; echo \"admin $USER $(head -c 24 /dev/urandom | base64)\" > alarm-tokens".to_owned(),
            ),
            Self::Secret(error) => error.hint(),
        }
    }
}

/// The checks that every request passes.
pub struct Access {
    settings: Arc<ApiSettings>,
    tokens: Option<RwLock<Tokens>>,
}

impl Access {
    /// Reads the file of tokens.
    ///
    /// # Errors
    ///
    /// None where one is needed, or one that cannot be used.
    pub fn new(settings: Arc<ApiSettings>) -> Result<Self, AccessError> {
        let tokens = match &settings.token_file {
            Some(path) => Some(RwLock::new(Tokens::read(path)?)),
            None if settings.address.ip().is_loopback() => None,
            None => return Err(AccessError::Open(settings.address)),
        };
        Ok(Self { settings, tokens })
    }

    /// Reads the tokens again; the old ones stay if that fails.
    ///
    /// # Errors
    ///
    /// A file that cannot be used.
    pub fn reload(&self) -> Result<(), SecretError> {
        if let (Some(tokens), Some(path)) = (&self.tokens, &self.settings.token_file) {
            let new = Tokens::read(path)?;
            *tokens.write().unwrap_or_else(PoisonError::into_inner) = new;
        }
        Ok(())
    }

    /// Who asks, or why the request is refused.
    fn check(&self, headers: &HeaderMap, needed: Role, from: SocketAddr) -> Result<Who, Problem> {
        self.check_host(headers)?;
        self.check_origin(headers)?;
        let said = headers
            .get("ioc-user")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let (said_user, said_host) = said.split_once('@').unwrap_or((said, ""));
        let host = match name(said_host) {
            empty if empty.is_empty() => from.ip().to_string(),
            host => host,
        };
        let Some(tokens) = &self.tokens else {
            let user = match name(said_user) {
                empty if empty.is_empty() => "local".to_owned(),
                user => user,
            };
            return Ok(Who {
                user,
                proved: false,
                from,
                host,
            });
        };
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let Some(token) = token else {
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "a token is needed")
                .hint("send `Authorization: Bearer TOKEN`"));
        };
        let tokens = tokens.read().unwrap_or_else(PoisonError::into_inner);
        let Some((user, role)) = tokens.find(token.trim()) else {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "the token is not known here",
            ));
        };
        if role < needed {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                format!(
                    "`{user}` is {}; this needs the role {}",
                    role.name(),
                    needed.name()
                ),
            ));
        }
        Ok(Who {
            user: user.to_owned(),
            proved: true,
            from,
            host,
        })
    }

    /// A page of somebody else can make its own name lead to this machine; the name stays in `Host`.
    fn check_host(&self, headers: &HeaderMap) -> Result<(), Problem> {
        // with tokens such a page has nothing to send
        if self.tokens.is_some() && self.settings.allowed_hosts.is_empty() {
            return Ok(());
        }
        let host = headers
            .get(header::HOST)
            .and_then(|value| value.to_str().ok());
        let Some(host) = host else {
            return Err(Problem::bad("the request has no `Host`"));
        };
        let name = without_port(host);
        let is_loopback = name.eq_ignore_ascii_case("localhost")
            || name
                .trim_start_matches('[')
                .trim_end_matches(']')
                .parse::<IpAddr>()
                .is_ok_and(|address| {
                    address.is_loopback() || address == self.settings.address.ip()
                });
        let is_allowed = self.settings.allowed_hosts.iter().any(|allowed| {
            allowed.eq_ignore_ascii_case(name) || allowed.eq_ignore_ascii_case(host)
        });
        if is_loopback || is_allowed {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "the server is not known by the name in `Host`",
        )
        .hint("add the name to the allowed hosts of the control API"))
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default();
        let host = headers
            .get(header::HOST)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let own = [format!("http://{host}"), format!("https://{host}")];
        if own.iter().any(|own| own == origin)
            || self
                .settings
                .allowed_origins
                .iter()
                .any(|allowed| allowed == origin)
        {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "pages of that `Origin` may not use this server",
        )
        .hint("add it to the allowed origins of the control API"))
    }
}

/// A name that a client gives: bounded, and fit for a line of the log.
fn name(text: &str) -> String {
    text.trim()
        .chars()
        .filter(|character| !character.is_control())
        .take(64)
        .collect()
}

fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        // the last part of an address in brackets is no port
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    }
}

/// The guard in front of a route: refuses, or says who asks.
pub(super) async fn guard(
    State((api, needed, is_own)): State<(Api, Option<Role>, bool)>,
    mut request: Request,
    next: Next,
) -> Response {
    let from = request.extensions().get::<SocketAddr>().copied();
    let Some(from) = from else {
        return Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the address of the client is not known",
        )
        .into_response();
    };
    if let Some(needed) = needed {
        let who = match api.access.check(request.headers(), needed, from) {
            Ok(who) => who,
            Err(problem) => return problem.into_response(),
        };
        let standing = api.standing.borrow().clone();
        match standing {
            Standing::Following(Some(leader)) if !is_own => {
                return match &api.forward {
                    Some(forward) => forward.pass(&leader, &who, request).await,
                    None => Problem::following(Some(&leader)).into_response(),
                };
            }
            Standing::Following(None) if needed >= Role::Operator => {
                return Problem::following(None).into_response();
            }
            _ => {}
        }
        request.extensions_mut().insert(who);
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn client() -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 9], 4000))
    }

    #[test]
    fn strangers_pages_are_refused_on_loopback() {
        let access = Access::new(Arc::new(ApiSettings::default())).unwrap();
        let check = |pairs: &[(&'static str, &str)]| {
            access
                .check(&headers(pairs), Role::Admin, client())
                .map(|who| who.user)
                .map_err(|problem| problem.status.as_u16())
        };
        for good in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:1",
            "[::1]:80",
            "[::1]",
        ] {
            assert_eq!(check(&[("host", good)]), Ok("local".to_owned()), "{good}");
        }
        for bad in [
            "evil.example",
            "evil.example:80",
            "10.0.0.1",
            "localhost.evil",
            "",
        ] {
            assert_eq!(check(&[("host", bad)]), Err(421), "{bad}");
        }
        assert_eq!(check(&[]), Err(400));
        let own = [("host", "localhost:5"), ("origin", "http://localhost:5")];
        assert!(check(&own).is_ok());
        for bad in ["http://evil.example", "null", "http://localhost:6"] {
            assert_eq!(
                check(&[("host", "localhost:5"), ("origin", bad)]),
                Err(403),
                "{bad}"
            );
        }
        let named = [("host", "localhost"), ("ioc-user", "alice@desk")];
        assert_eq!(check(&named), Ok("alice".to_owned()));
    }

    #[test]
    fn tokens_have_roles() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let write = |text: &str| {
            fs_err::write(&path, text).unwrap();
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        let settings = |address: [u8; 4]| {
            Arc::new(ApiSettings {
                address: SocketAddr::from((address, 0)),
                token_file: Some(path.clone()),
                ..ApiSettings::default()
            })
        };
        write("# people\nviewer desk aaaaaaaaaaaaaaaa\n\noperator alice bbbbbbbbbbbbbbbb\n");
        let access = Access::new(settings([0, 0, 0, 0])).unwrap();
        let check = |token: &str, role| {
            let token = format!("Bearer {token}");
            let headers = headers(&[("host", "alarms"), ("authorization", &token)]);
            access
                .check(&headers, role, client())
                .map(|who| (who.user, who.proved))
                .map_err(|problem| problem.status.as_u16())
        };
        assert_eq!(
            check("aaaaaaaaaaaaaaaa", Role::Viewer),
            Ok(("desk".to_owned(), true))
        );
        assert_eq!(check("aaaaaaaaaaaaaaaa", Role::Operator), Err(403));
        assert_eq!(
            check("bbbbbbbbbbbbbbbb", Role::Operator),
            Ok(("alice".to_owned(), true))
        );
        assert_eq!(check("bbbbbbbbbbbbbbbb", Role::Admin), Err(403));
        assert_eq!(check("bbbbbbbbbbbbbbbc", Role::Viewer), Err(401));
        let nobody = access.check(&headers(&[("host", "alarms")]), Role::Viewer, client());
        assert_eq!(nobody.unwrap_err().status.as_u16(), 401);
        // other tokens from now on; a broken file changes nothing
        write("admin bob cccccccccccccccc\n");
        access.reload().unwrap();
        assert_eq!(
            check("cccccccccccccccc", Role::Admin),
            Ok(("bob".to_owned(), true))
        );
        assert_eq!(check("aaaaaaaaaaaaaaaa", Role::Viewer), Err(401));
        for bad in [
            "",
            "admin bob short",
            "king bob cccccccccccccccc",
            "admin bob",
        ] {
            write(bad);
            let error = access.reload().unwrap_err().to_string();
            assert!(
                !error.contains("ccccc") && !error.contains("short"),
                "{error}"
            );
        }
        assert_eq!(
            check("cccccccccccccccc", Role::Admin),
            Ok(("bob".to_owned(), true))
        );
        // without a file nobody else may reach it
        let open = ApiSettings {
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            ..ApiSettings::default()
        };
        assert!(matches!(
            Access::new(Arc::new(open)),
            Err(AccessError::Open(_))
        ));
    }
}
