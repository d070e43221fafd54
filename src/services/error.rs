//! What can be wrong with a services repository as a whole; mistakes inside its files are diagnostics.

use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, nearest};
use crate::services::repository::Instance;
use crate::ui::error::{CommandError, ErrorKind};

/// Why a services repository or an instance of it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// The folder does not exist or is not a folder.
    #[error("there is no services repository `{}`", path.display())]
    Missing {
        /// What was asked for.
        path: PathBuf,
    },
    /// The folder holds neither `services/` nor a chart.
    #[error("`{}` is not a services repository", path.display())]
    NotARepository {
        /// What was asked for.
        path: PathBuf,
    },
    /// The repository has no instance of that name.
    #[error("there is no IOC instance `{name}` in `{}`", repository.display())]
    UnknownInstance {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        repository: PathBuf,
        /// The instances that exist, sorted.
        known: Vec<String>,
    },
    /// Reading failed; the text of the cause names the path.
    #[error("failed to read a services repository")]
    Read(#[from] std::io::Error),
    /// Files of the repository are wrong, each with its place; never empty.
    #[error("{}", .0.first().map_or("the services repository has mistakes", |first| first.message.as_str()))]
    Findings(Vec<Diagnostic>),
}

impl ServicesError {
    /// The error with places as the user knows them: see [`Instance::as_the_user_knows`].
    #[must_use]
    pub(super) fn seen_from(mut self, instance: &Instance) -> Self {
        if let Self::Findings(findings) = &mut self {
            instance.as_the_user_knows(findings);
        }
        self
    }

    /// The error as findings, for a check that goes on after it.
    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        match self {
            Self::Findings(findings) => findings,
            Self::Read(source) => vec![Diagnostic::error(source.to_string())],
            other => vec![Diagnostic::error(other.to_string())],
        }
    }
}

impl From<Diagnostic> for ServicesError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Findings(vec![diagnostic])
    }
}

impl From<ServicesError> for CommandError {
    fn from(error: ServicesError) -> Self {
        let message = error.to_string();
        match error {
            ServicesError::Missing { .. } => Self::not_found(message)
                .hint("`repository` of the beamline in `ioc.toml` names the folder; clone it there"),
            ServicesError::NotARepository { .. } => Self::new(ErrorKind::Input, message).hint(
                "a services repository has a folder `services` with one folder per instance; `ioc new beamline NAME` writes one",
            ),
            ServicesError::UnknownInstance { name, known, .. } => {
                unknown_instance(Self::not_found(message), &name, &known)
            }
            // The text of an fs_err error names the path and what was tried.
            ServicesError::Read(source) => Self::new(ErrorKind::System, source.to_string()),
            ServicesError::Findings(mut findings) if findings.len() == 1 => {
                Self::from_diagnostic(ErrorKind::Input, findings.remove(0))
            }
            ServicesError::Findings(findings) => {
                let message = format!("{} mistakes in the services repository", findings.len());
                Self::from_diagnostics(ErrorKind::Input, message, findings)
            }
        }
    }
}

/// Adds what was probably meant, or what exists.
pub(super) fn unknown_instance(error: CommandError, name: &str, known: &[String]) -> CommandError {
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None if known.is_empty() => error.hint(format!(
            "`ioc new instance {name} --image IMAGE` writes one"
        )),
        None => error.hint(format!("the instances are {}", listed(known))),
    }
}

/// The first names of a list, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let first: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
