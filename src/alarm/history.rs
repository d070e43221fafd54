//! Where the history of alarms is: addresses of sinks, and the ones that are meant when nothing says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alarm_log::database::{Error, Failure};
use alarm_log::query::{History, NoAnswer};
use alarm_log::remote::{Fault, check_address};
use alarm_log::sink::Sink;
use alarm_log::sink::elasticsearch::{ElasticsearchHistory, ElasticsearchSink};
use alarm_log::sink::jsonl::{JsonlHistory, JsonlSink};
use alarm_log::sink::loki::{LokiHistory, LokiSink};
use alarm_log::sink::sqlite::{Retention, SqliteHistory, SqliteSink};

use crate::alarm::bus::Choice;
use crate::settings::Settings;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

mod service;

/// A sink as it is written on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `sqlite:FILE`
    Sqlite(PathBuf),
    /// `jsonl:FOLDER`
    Jsonl(PathBuf),
    /// `elasticsearch:URL`
    Elasticsearch(String),
    /// `loki:URL`
    Loki(String),
}

/// The forms that are understood.
const FORMS: &str =
    "`sqlite:FILE`, `jsonl:FOLDER`, `elasticsearch:https://HOST:9200` or `loki:https://HOST:3100`";

/// What was opened, and what the user should know about it.
#[derive(Debug)]
pub struct Reached<T> {
    /// What was opened.
    pub opened: T,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl<T> Reached<T> {
    fn quietly(opened: T) -> Self {
        Self {
            opened,
            warnings: Vec::new(),
        }
    }
}

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
        let url = || {
            check_address(rest)
                .map(|url| url.to_string())
                .map_err(|fault| wrong(fault.to_string()))
        };
        match scheme {
            "sqlite" => Ok(Self::Sqlite(PathBuf::from(rest))),
            "jsonl" => Ok(Self::Jsonl(PathBuf::from(rest))),
            "elasticsearch" => Ok(Self::Elasticsearch(url()?)),
            "loki" => Ok(Self::Loki(url()?)),
            other => Err(wrong(format!("`{other}` is no kind of sink"))),
        }
    }

    /// The one of the state folder.
    pub fn usual(settings: &Settings) -> Self {
        Self::Sqlite(settings.state.join("alarm-history.db"))
    }

    /// Opens it for writing what is logged of some configurations.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is something else. A service that does not answer now is no error: the spool waits for it.
    pub async fn sink(
        &self,
        retention: Retention,
        configurations: &[String],
        settings: &Settings,
    ) -> CommandResult<Reached<Box<dyn Sink>>> {
        match self {
            Self::Sqlite(path) => {
                let path = absolute(path)?;
                let sink = SqliteSink::open(&path, retention).map_err(|error| refused(&error))?;
                Ok(Reached::quietly(Box::new(sink)))
            }
            Self::Jsonl(folder) => {
                let folder = absolute(folder)?;
                let sink = JsonlSink::open(&folder, retention).map_err(|error| refused(&error))?;
                Ok(Reached::quietly(Box::new(sink)))
            }
            Self::Elasticsearch(url) => {
                let remote = service::elasticsearch(url, settings)?;
                let mut warnings = service::warnings(&remote, retention);
                let options = service::elasticsearch_options(settings)?;
                let mut sink = ElasticsearchSink::new(remote, options);
                later(sink.check(configurations).await, &mut warnings)?;
                let opened = Box::new(sink);
                Ok(Reached { opened, warnings })
            }
            Self::Loki(url) => {
                let remote = service::loki(url, settings)?;
                let mut warnings = service::warnings(&remote, retention);
                let sink = LokiSink::new(remote);
                later(sink.check().await, &mut warnings)?;
                let opened = Box::new(sink);
                Ok(Reached { opened, warnings })
            }
        }
    }

    /// Opens it for searching.
    ///
    /// # Errors
    ///
    /// There is none, it is something else, or it does not answer.
    pub async fn history(&self, settings: &Settings) -> CommandResult<Reached<Opened>> {
        match self {
            Self::Sqlite(path) => {
                let opened = SqliteHistory::open(path).map_err(|error| refused(&error))?;
                Ok(Reached::quietly(Opened::Sqlite(opened)))
            }
            Self::Jsonl(folder) => {
                let opened = JsonlHistory::open(folder).map_err(|error| refused(&error))?;
                Ok(Reached::quietly(Opened::Other(Arc::new(opened))))
            }
            Self::Elasticsearch(url) => {
                let remote = service::elasticsearch(url, settings)?;
                let warnings = service::warnings(&remote, Retention::default());
                let history = ElasticsearchHistory::new(remote);
                stands(history.check().await)?;
                let opened = Opened::Other(Arc::new(history));
                Ok(Reached { opened, warnings })
            }
            Self::Loki(url) => {
                let remote = service::loki(url, settings)?;
                let warnings = service::warnings(&remote, Retention::default());
                let history = LokiHistory::new(remote);
                stands(history.check().await)?;
                let opened = Opened::Other(Arc::new(history));
                Ok(Reached { opened, warnings })
            }
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(formatter, "sqlite:{}", path.display()),
            Self::Jsonl(folder) => write!(formatter, "jsonl:{}", folder.display()),
            Self::Elasticsearch(url) => {
                write!(formatter, "elasticsearch:{}", url.trim_end_matches('/'))
            }
            Self::Loki(url) => write!(formatter, "loki:{}", url.trim_end_matches('/')),
        }
    }
}

/// What will pass is told when something is searched for.
fn stands(checked: Result<(), Fault>) -> CommandResult<()> {
    match checked {
        Err(fault) if !fault.may_pass() => Err(service::failed(&fault)),
        _ => Ok(()),
    }
}

/// What will pass is said and waited for.
fn later(checked: Result<(), Fault>, warnings: &mut Vec<String>) -> CommandResult<()> {
    match checked {
        Ok(()) => Ok(()),
        Err(fault) if fault.may_pass() => {
            warnings.push(format!("{fault}; records wait in the spool until it does"));
            Ok(())
        }
        Err(fault) => Err(service::failed(&fault)),
    }
}

/// The name of a sink is its place in the spool, wherever the logger is started from.
fn absolute(path: &Path) -> CommandResult<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| CommandError::system(error, format!("`{}` is no path", path.display())))
}

/// A history that was opened.
#[derive(Clone)]
pub enum Opened {
    /// In a file, which can do more than be searched.
    Sqlite(SqliteHistory),
    /// Another.
    Other(Arc<dyn History>),
}

impl Opened {
    /// For searching.
    pub fn history(&self) -> Arc<dyn History> {
        match self {
            Self::Sqlite(history) => Arc::new(history.clone()),
            Self::Other(history) => Arc::clone(history),
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
        assert_eq!(
            Address::parse("elasticsearch:https://search:9200/").unwrap(),
            Address::Elasticsearch("https://search:9200/".into())
        );
        let rows = [
            (
                "alarms.db",
                "`alarms.db` does not say which kind of sink it is",
            ),
            ("sqlite:", "`sqlite:` does not say where the sink is"),
            ("mysql:x", "`mysql` is no kind of sink"),
            (
                "elasticsearch:search:9200",
                "`search:9200` is no address of a service: it begins with `http://` or `https://`",
            ),
            (
                "elasticsearch:https://me:secret@search",
                "`https://…@search` has a login in it: keys and passwords stand in files, not in addresses",
            ),
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
