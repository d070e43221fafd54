//! Where the history of alarms is: addresses of sinks, and the ones that are meant when nothing says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alarm_log::database::{Error, Failure};
use alarm_log::query::{History, NoAnswer};
use alarm_log::sink::Sink;
use alarm_log::sink::jsonl::{JsonlHistory, JsonlSink};
use alarm_log::sink::sqlite::{Retention, SqliteHistory, SqliteSink};

use crate::alarm::bus::Choice;
use crate::settings::Settings;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// A sink as it is written on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `sqlite:FILE`
    Sqlite(PathBuf),
    /// `jsonl:FOLDER`
    Jsonl(PathBuf),
}

/// The forms that are understood.
const FORMS: &str = "`sqlite:FILE` or `jsonl:FOLDER`";

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// It is in no form that is known.
    pub fn parse(text: &str) -> CommandResult<Self> {
        let wrong = |why: String| {
            CommandError::new(ErrorKind::Usage, why).hint(format!("write it as {FORMS}"))
        };
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(wrong(format!(
                "`{text}` does not say which kind of sink it is"
            )));
        };
        if rest.is_empty() {
            return Err(wrong(format!("`{text}` does not say where the sink is")));
        }
        match scheme {
            "sqlite" => Ok(Self::Sqlite(PathBuf::from(rest))),
            "jsonl" => Ok(Self::Jsonl(PathBuf::from(rest))),
            other => Err(wrong(format!("`{other}` is no kind of sink"))),
        }
    }

    /// The one of the state folder.
    pub fn usual(settings: &Settings) -> Self {
        Self::Sqlite(settings.state.join("alarm-history.db"))
    }

    /// Opens it for writing.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is something else.
    pub fn sink(&self, retention: Retention) -> CommandResult<Box<dyn Sink>> {
        match self {
            Self::Sqlite(path) => {
                let path = absolute(path)?;
                let sink = SqliteSink::open(&path, retention).map_err(|error| refused(&error))?;
                Ok(Box::new(sink))
            }
            Self::Jsonl(folder) => {
                let folder = absolute(folder)?;
                let sink = JsonlSink::open(&folder, retention).map_err(|error| refused(&error))?;
                Ok(Box::new(sink))
            }
        }
    }

    /// Opens it for searching.
    ///
    /// # Errors
    ///
    /// There is none, or it is something else.
    pub fn history(&self) -> CommandResult<Opened> {
        match self {
            Self::Sqlite(path) => {
                let opened = SqliteHistory::open(path).map_err(|error| refused(&error))?;
                Ok(Opened::Sqlite(opened))
            }
            Self::Jsonl(folder) => {
                let opened = JsonlHistory::open(folder).map_err(|error| refused(&error))?;
                Ok(Opened::Jsonl(opened))
            }
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(formatter, "sqlite:{}", path.display()),
            Self::Jsonl(folder) => write!(formatter, "jsonl:{}", folder.display()),
        }
    }
}

/// The name of a sink is its place in the spool, wherever the logger is started from.
fn absolute(path: &Path) -> CommandResult<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| CommandError::system(error, format!("`{}` is no path", path.display())))
}

/// A history that was opened.
#[derive(Debug, Clone)]
pub enum Opened {
    /// In a file.
    Sqlite(SqliteHistory),
    /// In a folder.
    Jsonl(JsonlHistory),
}

impl Opened {
    /// For searching.
    pub fn history(&self) -> Arc<dyn History> {
        match self {
            Self::Sqlite(history) => Arc::new(history.clone()),
            Self::Jsonl(history) => Arc::new(history.clone()),
        }
    }
}

/// Where the spool of a logger is if nothing says so.
pub fn spool(choice: &Choice, settings: &Settings, configurations: &[String]) -> PathBuf {
    let mut names = configurations.to_vec();
    names.sort();
    // a name with a slash leads nowhere else
    let name = names.join("+").replace('/', "_");
    match choice {
        Choice::Folder(folder) => folder.join("logger").join(name),
        Choice::Kafka { .. } => settings.state.join("alarm-logger").join(name),
    }
}

/// The names in a list with commas.
pub fn names(list: &str) -> Vec<String> {
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A file of the logger that cannot be used, with the kind that decides the exit code.
pub fn refused(error: &Error) -> CommandError {
    let kind = match error {
        Error::Foreign { .. } => ErrorKind::Input,
        Error::Missing { .. } => ErrorKind::NotFound,
        Error::Held { .. }
        | Error::Failed {
            failure: Failure::Locked,
            ..
        } => ErrorKind::Conflict,
        _ => ErrorKind::System,
    };
    let failed = CommandError::new(kind, error.to_string());
    match error.hint() {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

/// A history that does not answer.
pub fn no_answer(error: &NoAnswer) -> CommandError {
    let failed = CommandError::new(ErrorKind::System, error.reason.clone());
    match &error.hint {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

/// A number of bytes such as `500MB`, `20GiB` or `1048576`.
///
/// # Errors
///
/// Says how it is written.
pub fn size(text: &str) -> CommandResult<u64> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kib" => Some(1 << 10),
        "m" | "mib" => Some(1 << 20),
        "g" | "gib" => Some(1 << 30),
        "t" | "tib" => Some(1 << 40),
        "kb" => Some(1000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        "tb" => Some(1_000_000_000_000),
        _ => None,
    };
    let number: Option<u64> = digits.trim().parse().ok();
    match (number, factor) {
        (Some(number), Some(factor)) if number > 0 => Ok(number.saturating_mul(factor)),
        _ => Err(
            CommandError::new(ErrorKind::Usage, format!("`{text}` is no size"))
                .hint("a number with MiB or GiB: `20GiB`"),
        ),
    }
}

/// How long and how much sinks keep.
///
/// # Errors
///
/// A span or size that is none.
pub fn retention(age: Option<Duration>, bytes: Option<&str>) -> CommandResult<Retention> {
    Ok(Retention {
        age,
        bytes: bytes.map(size).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(
            Address::parse("sqlite:/srv/a:b.db").unwrap(),
            Address::Sqlite("/srv/a:b.db".into())
        );
        let rows = [
            (
                "alarms.db",
                "`alarms.db` does not say which kind of sink it is",
            ),
            ("sqlite:", "`sqlite:` does not say where the sink is"),
            ("mysql:x", "`mysql` is no kind of sink"),
        ];
        for (text, expected) in rows {
            assert_eq!(Address::parse(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn sizes() {
        let rows = [
            ("1048576", Some(1 << 20)),
            ("20GiB", Some(20 << 30)),
            ("5 mb", Some(5_000_000)),
            ("0", None),
            ("GiB", None),
            ("1.5GiB", None),
            ("1XiB", None),
        ];
        for (text, expected) in rows {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }
}
