//! Why a registry did not do what was asked, and what would help.
//!
//! Never holds a password or a token. The hints are decided here, in one place.

use std::path::PathBuf;

use thiserror::Error;

use super::reference::{Digest, Reference, ReferenceError};
use crate::source::SourceError;
use crate::ui::error::{CommandError, ErrorKind};

/// The error below, whatever library it comes from.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a registry did not do what was asked.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// The name is malformed.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The network may not be used.
    #[error("`{wanted}` is in a registry, and fetching is switched off")]
    Offline {
        /// What was wanted.
        wanted: String,
    },
    /// No connection: name not known, no route, refused, timed out.
    #[error("the registry `{registry}` cannot be reached")]
    Unreachable {
        /// Host and port.
        registry: String,
        /// The prefix of the mirror rule that led there.
        rule: Option<String>,
        /// What the connection said.
        #[source]
        cause: Cause,
    },
    /// The certificate of the registry is not trusted.
    #[error("the certificate of the registry `{registry}` is not trusted")]
    Tls {
        /// Host and port.
        registry: String,
        /// What the TLS library said.
        #[source]
        cause: Cause,
    },
    /// The registry does not speak TLS.
    #[error("the registry `{registry}` does not speak TLS")]
    NotTls {
        /// Host and port.
        registry: String,
        /// What the TLS library said.
        #[source]
        cause: Cause,
    },
    /// A login is wanted and there is none, or the registry does not accept it.
    #[error("{}", login_message(registry, login, *action))]
    Login {
        /// Host and port.
        registry: String,
        /// What was tried.
        login: LoginTried,
        /// What was wanted.
        action: Action,
        /// What the registry said.
        #[source]
        cause: Option<Cause>,
    },
    /// The login is known, and may not do this.
    #[error("the registry `{registry}` does not allow {} to {action} `{repository}`", login.who())]
    Denied {
        /// Host and port.
        registry: String,
        /// Path of the repository.
        repository: String,
        /// What was tried.
        login: LoginTried,
        /// What was wanted.
        action: Action,
        /// What the registry said.
        #[source]
        cause: Option<Cause>,
    },
    /// A file with logins cannot be used.
    #[error("the logins in `{}` cannot be used: {why}", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
        /// What to do.
        hint: String,
    },
    /// The registry has no such repository.
    #[error("the registry `{}` has no repository `{}`", reference.registry(), reference.repository())]
    UnknownRepository {
        /// What was wanted.
        reference: Reference,
    },
    /// The repository has no such tag or digest.
    #[error("`{}` has no {}", reference.repository_name(), selector_words(reference))]
    UnknownTag {
        /// What was wanted.
        reference: Reference,
        /// Tags that it has, newest first, at most ten.
        known: Vec<String>,
    },
    /// The registry answered with an error.
    #[error("the registry `{registry}` did not {what}: {status}")]
    Status {
        /// Host and port.
        registry: String,
        /// What was asked.
        what: String,
        /// Status line.
        status: String,
        /// What it said besides.
        #[source]
        cause: Option<Cause>,
    },
    /// The transfer broke off again and again.
    #[error("failed to {what} with the registry `{registry}`")]
    Transfer {
        /// Host and port.
        registry: String,
        /// What was under way.
        what: String,
        /// What went wrong.
        #[source]
        cause: Cause,
    },
    /// What was received is not what was promised.
    #[error("the registry `{registry}` sent a wrong {what}: its digest is {found}, not {expected}")]
    Digest {
        /// Host and port.
        registry: String,
        /// Which part.
        what: String,
        /// Digest that was promised.
        expected: Digest,
        /// Digest of what came.
        found: Digest,
    },
    /// More bytes than such a thing can have.
    #[error("the registry `{registry}` sends a {what} of more than {limit} bytes")]
    TooLarge {
        /// Host and port.
        registry: String,
        /// Which part.
        what: String,
        /// The bound.
        limit: u64,
    },
    /// The answer makes no sense, or is not of the kind that was wanted.
    #[error("{what}: {why}")]
    Content {
        /// What was looked at.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The network settings of the site cannot be used.
    #[error(transparent)]
    Site(#[from] SourceError),
    /// The user stopped it.
    #[error("stopped: nothing more was sent to the registry")]
    Cancelled,
}

/// What was asked of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Reading.
    Pull,
    /// Writing.
    Push,
}

impl std::fmt::Display for Action {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Pull => "read",
            Self::Push => "write",
        })
    }
}

/// Which login was tried, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginTried {
    /// User name, or what stands for it; `None` when no file has a login for the registry.
    pub user: Option<String>,
    /// Where it is from; without a login, the files that were looked into.
    pub files: Vec<PathBuf>,
}

impl LoginTried {
    fn who(&self) -> String {
        match &self.user {
            Some(user) => format!("`{user}` (login of {})", self.file_names()),
            None => "an anonymous user".to_owned(),
        }
    }

    fn file_names(&self) -> String {
        let names: Vec<String> = self
            .files
            .iter()
            .map(|path| format!("`{}`", path.display()))
            .collect();
        names.join(", ")
    }
}

fn login_message(registry: &str, login: &LoginTried, action: Action) -> String {
    match &login.user {
        Some(user) => format!(
            "the registry `{registry}` refuses the login of `{user}` from {}",
            login.file_names()
        ),
        None => format!("the registry `{registry}` wants a login to {action}, and there is none"),
    }
}

fn selector_words(reference: &Reference) -> String {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => format!("manifest `{digest}`"),
        (None, Some(tag)) => format!("tag `{tag}`"),
        (None, None) => "tags".to_owned(),
    }
}

impl RegistryError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Reference(_) => ErrorKind::Usage,
            Self::Credentials { .. } => ErrorKind::Input,
            Self::UnknownRepository { .. } | Self::UnknownTag { .. } => ErrorKind::NotFound,
            Self::Site(error) => error.kind(),
            Self::Cancelled => ErrorKind::Interrupted,
            _ => ErrorKind::Fetch,
        }
    }

    /// What would help, most useful first.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Reference(error) => vec![error.hint.clone()],
            Self::Offline { .. } => vec![
                "`IOC_OFFLINE` or `[fetch] offline` in `ioc.toml` says so".to_owned(),
            ],
            Self::Unreachable {
                rule: Some(rule), ..
            } => vec![format!(
                "the mirror rule for `{rule}` in `ioc.toml` led there: is the mirror running?"
            )],
            Self::Unreachable { .. } => vec![
                "is the name right, and is the registry running? behind a proxy, set `[fetch] proxy` in `ioc.toml` or `IOC_PROXY`".to_owned(),
            ],
            Self::Tls { .. } => vec![
                "if your site has its own certificate authority, name its PEM file in `ioc.toml`: `[fetch]` `ca-bundle = \"site-ca.pem\"`, or set `IOC_CA_BUNDLE`".to_owned(),
            ],
            Self::NotTls { registry, .. } => vec![format!(
                "if it is meant to speak plain HTTP, add to `ioc.toml`: `[registry]` `plain-http = [\"{registry}\"]`, or use `--plain-http`"
            )],
            Self::Login {
                registry, login, ..
            } => {
                let log_in = format!(
                    "log in with `helm registry login {registry}`, `docker login {registry}` or `podman login {registry}`"
                );
                match &login.user {
                    Some(_) => vec![log_in],
                    None if login.files.is_empty() => vec![log_in],
                    None => vec![
                        log_in,
                        format!("looked for a login in {}", login.file_names()),
                    ],
                }
            }
            Self::Denied { login, .. } if login.user.is_none() => vec![
                "log in, or ask for a public repository; some registries answer so when the repository does not exist".to_owned(),
            ],
            Self::Denied { .. } => vec![
                "ask whoever runs the registry for the right; some registries answer so when the repository does not exist".to_owned(),
            ],
            Self::Credentials { hint, .. } => vec![hint.clone()],
            Self::UnknownRepository { .. } => vec![
                "check the path; a repository exists once something was pushed to it".to_owned(),
            ],
            Self::UnknownTag { known, .. } if known.is_empty() => Vec::new(),
            Self::UnknownTag { reference, known } => {
                let near = crate::diagnostic::nearest(
                    reference.tag().unwrap_or_default(),
                    known.iter().map(String::as_str),
                );
                match near {
                    Some(near) => vec![format!("did you mean `{near}`?")],
                    None => vec![format!("it has {}", known.join(", "))],
                }
            }
            Self::Status { status, .. } if status.starts_with("429") => vec![
                "the registry limits how much is asked of it: try again later, or log in".to_owned(),
            ],
            Self::Status { status, .. } if status.starts_with('5') => {
                vec!["this is a failure of the registry: try again later".to_owned()]
            }
            Self::Transfer { .. } => vec![
                "run the same command again: what the registry has got already is not sent again".to_owned(),
            ],
            Self::Digest { .. } => vec![
                "nothing of it was kept; a proxy or mirror may have changed it, or the registry is damaged".to_owned(),
            ],
            Self::Site(error) => error.hints(),
            Self::Status { .. } | Self::TooLarge { .. } | Self::Content { .. } | Self::Cancelled => {
                Vec::new()
            }
        }
    }
}

impl From<RegistryError> for CommandError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Reference(error) => {
                Self::from_diagnostic(ErrorKind::Usage, error.diagnostic("the command line"))
            }
            RegistryError::Site(error) => error.into(),
            error => {
                let hints = error.hints();
                let command = Self::new(error.kind(), error.to_string());
                let command = match error.into_cause() {
                    Some(cause) => command.caused_by(cause),
                    None => command,
                };
                hints.into_iter().fold(command, Self::hint)
            }
        }
    }
}

impl RegistryError {
    fn into_cause(self) -> Option<Cause> {
        match self {
            Self::Unreachable { cause, .. }
            | Self::Tls { cause, .. }
            | Self::NotTls { cause, .. }
            | Self::Transfer { cause, .. } => Some(cause),
            Self::Login { cause, .. } | Self::Denied { cause, .. } | Self::Status { cause, .. } => {
                cause
            }
            _ => None,
        }
    }
}
