//! The one error type of the commands: kind, message, causes, places, hints.
//!
//! Library modules have their own error enums; a command turns them into a [`CommandError`] with the kind
//! that decides the exit code, in one place.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use serde::Serialize;

use crate::diagnostic::Diagnostic;

/// The result of a command.
pub type CommandResult<T> = Result<T, CommandError>;

/// What kind of failure it was; each kind is one exit code (see `docs/exit-codes.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The command ran and its answer is no: findings of `check`, differences of `diff --exit-code`.
    Negative,
    /// The command line is wrong.
    Usage,
    /// A file that the user wrote is wrong: configuration, image, recipe, chart, values, database.
    Input,
    /// Something that was named does not exist: instance, image, release, revision, file.
    NotFound,
    /// Something is in the way: a lock that somebody holds, a name or port that is taken.
    Conflict,
    /// The container engine cannot be reached or refuses us.
    Engine,
    /// The Kubernetes API cannot be reached, or has trouble.
    Cluster,
    /// The cluster or the bus does not let us: credentials, permissions, quota, policy.
    Forbidden,
    /// A build step failed.
    Build,
    /// A source could not be fetched or is not what was promised.
    Fetch,
    /// What was deployed does not answer.
    Unhealthy,
    /// The backend cannot honour what the manifest asks for.
    Unsupported,
    /// The user said no, or stopped the command.
    Interrupted,
    /// Reading or writing on this machine failed (full disk, permissions).
    System,
    /// Standard output was closed by its reader.
    BrokenPipe,
    /// The alarm bus or the alarm server cannot be reached, or has trouble.
    Bus,
    /// A defect of `ioc`.
    Internal,
}

impl ErrorKind {
    /// All kinds, for the documentation and its test.
    pub const ALL: [Self; 17] = [
        Self::Negative,
        Self::Usage,
        Self::Input,
        Self::NotFound,
        Self::Conflict,
        Self::Engine,
        Self::Build,
        Self::Fetch,
        Self::Unhealthy,
        Self::Unsupported,
        Self::System,
        Self::Cluster,
        Self::Forbidden,
        Self::Bus,
        Self::Internal,
        Self::Interrupted,
        Self::BrokenPipe,
    ];

    /// The exit code as a number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Negative => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::NotFound => 4,
            Self::Conflict => 5,
            Self::Engine => 6,
            Self::Build => 7,
            Self::Fetch => 8,
            Self::Unhealthy => 9,
            Self::Unsupported => 10,
            Self::System => 11,
            Self::Cluster => 12,
            Self::Forbidden => 13,
            Self::Bus => 14,
            Self::Internal => 70,
            Self::Interrupted => 130,
            Self::BrokenPipe => 141,
        }
    }

    /// The exit code for the process.
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

/// Why a command failed.
#[derive(Debug)]
pub struct CommandError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    diagnostics: Vec<Diagnostic>,
    hints: Vec<String>,
}

impl CommandError {
    /// An error with a message: lower case, no full stop, names in backticks.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            source: None,
            diagnostics: Vec::new(),
            hints: Vec::new(),
        }))
    }

    /// Something named on the command line does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Reading or writing on this machine failed.
    pub fn system(source: std::io::Error, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::System, message).caused_by(source)
    }

    /// One finding about input is the whole error.
    pub fn from_diagnostic(kind: ErrorKind, diagnostic: Diagnostic) -> Self {
        let mut error = Self::new(kind, diagnostic.message.clone());
        error.0.diagnostics.push(diagnostic);
        error
    }

    /// Several findings; `message` sums them up after they were shown.
    pub fn from_diagnostics(
        kind: ErrorKind,
        message: impl Into<String>,
        diagnostics: Vec<Diagnostic>,
    ) -> Self {
        let mut error = Self::new(kind, message);
        error.0.diagnostics = diagnostics;
        error
    }

    /// Keeps the error below this one; its chain is shown after the message.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds one thing to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// The kind, which decides the exit code.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The findings with places, in order.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.0.diagnostics
    }

    /// Things to do, in order.
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }

    /// The messages of the errors below this one, outermost first, without repetition.
    pub fn causes(&self) -> Vec<String> {
        let mut causes: Vec<String> = Vec::new();
        let mut next: Option<&(dyn Error + 'static)> = self.0.source.as_deref().map(|e| e as _);
        while let Some(error) = next {
            let text = error.to_string();
            // Many libraries repeat the text of their source in their own.
            if causes.last().is_none_or(|last| !last.contains(&text)) {
                causes.push(text);
            }
            next = error.source();
        }
        causes
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl Error for CommandError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|error| error as _)
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::new(ErrorKind::BrokenPipe, "the reader of the output has gone");
        }
        // fs_err has put the path and what was tried into the text.
        Self::new(ErrorKind::System, error.to_string())
    }
}
