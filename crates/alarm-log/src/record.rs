//! From a record of the bus to an [`Entry`], without I/O.
//!
//! Lenient where writers in the field differ: SLAM's names of fields, `null`s, unknown fields, severities of others. What
//! cannot be read at all gives a reason, and never a stop: other loggers end at the first such record.

use std::fmt;
use std::time::UNIX_EPOCH;

use alarm::path::AlarmPath;
use alarm::wire::json::{as_boolean, as_text};
use bus::Incoming;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::entry::{Command, Config, Deletion, Entry, Event, Gap, State, Talk};

#[cfg(test)]
mod tests;

/// What a topic is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// `X`: configuration and states.
    Tree,
    /// `XCommand`.
    Commands,
    /// `XTalk`.
    Talk,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Tree, Self::Commands, Self::Talk];

    /// What the name of the topic has after that of the configuration.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Tree => "",
            Self::Commands => "Command",
            Self::Talk => "Talk",
        }
    }
}

/// What a record turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Something for the history.
    Entry(Box<Entry>),
    /// Something that follows from other records: the state of a group.
    Group,
    /// Nothing that can be read.
    Unreadable(Unreadable),
}

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No key at all.
    #[error("the record has no key")]
    NoKey,
    /// The key does not say what the record is.
    #[error("the key has no `:`")]
    NoType,
    /// A word in front of the colon that means nothing in this topic.
    #[error("`{0}` is no kind of record")]
    Type(String),
    /// Nothing behind the colon.
    #[error("the key has no path")]
    NoPath,
    /// A record that must have a value has none.
    #[error("the record has no value")]
    NoValue,
    /// The value is no JSON object.
    #[error("the value is no JSON object: {0}")]
    NoObject(String),
    /// A field without which the record says nothing.
    #[error("the field `{0}` is missing")]
    Missing(&'static str),
    /// A time that no calendar has.
    #[error("the time of the record is beyond the calendar")]
    Time,
}

/// Reads a record of a topic.
pub fn read(role: Role, record: &Incoming) -> Reading {
    match parse(role, record) {
        Ok(Some(entry)) => Reading::Entry(Box::new(entry)),
        Ok(None) => Reading::Group,
        Err(why) => Reading::Unreadable(why),
    }
}

/// The entry of a gap in a topic of a configuration.
pub fn gap(
    topic: &std::sync::Arc<str>,
    configuration: &str,
    first: u64,
    found: Timestamp,
    gap: Gap,
) -> Entry {
    let path = AlarmPath::root(configuration).map_or_else(
        |_unusual| format!("/{configuration}"),
        |path| path.to_string(),
    );
    Entry {
        topic: topic.clone(),
        offset: first,
        time: found,
        key: format!("gap:/{configuration}"),
        path,
        pv: configuration.to_owned(),
        event: Event::Gap(gap),
    }
}

fn parse(role: Role, record: &Incoming) -> Result<Option<Entry>, Unreadable> {
    let key = record.key.as_deref().ok_or(Unreadable::NoKey)?;
    let (word, path) = key.split_once(':').ok_or(Unreadable::NoType)?;
    let value = record.value.as_deref();
    let event = match (role, word) {
        (Role::Commands, _) | (Role::Tree, "command") => Some(Event::Command(command(value)?)),
        (Role::Tree, "config") => Some(config(value)?),
        (Role::Tree, "state") => state(value)?,
        (Role::Talk, "talk") => Some(Event::Talk(talk(value)?)),
        _ => return Err(Unreadable::Type(word.chars().take(40).collect())),
    };
    let Some(event) = event else {
        return Ok(None);
    };
    let (path, pv) = place(path).ok_or(Unreadable::NoPath)?;
    Ok(Some(Entry {
        topic: record.topic.clone(),
        offset: record.offset,
        time: time(record)?,
        key: key.replace('\\', ""),
        path,
        pv,
        event,
    }))
}

fn time(record: &Incoming) -> Result<Timestamp, Unreadable> {
    let since = record.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let milliseconds = i64::try_from(since.as_millis()).map_err(|_beyond| Unreadable::Time)?;
    Timestamp::from_millisecond(milliseconds).map_err(|_beyond| Unreadable::Time)
}

/// The path and its last name. A path that no item can have is kept as it is written.
fn place(text: &str) -> Option<(String, String)> {
    if let Ok(path) = AlarmPath::parse(text) {
        return Some((path.to_string(), path.name().to_owned()));
    }
    let written = text.trim_end_matches('/');
    let mut begin = 0;
    for (slash, _) in written.match_indices('/') {
        if !written[..slash].ends_with('\\') {
            begin = slash + 1;
        }
    }
    let pv = written[begin..].replace('\\', "");
    (!pv.is_empty()).then(|| (written.to_owned(), pv))
}

/// A JSON object.
struct Fields(Map<String, Value>);

impl Fields {
    fn read(text: &str) -> Result<Self, Unreadable> {
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Unreadable::NoObject("it is another value".to_owned())),
            Err(error) => Err(Unreadable::NoObject(error.to_string())),
        }
    }

    /// A field that is there and not `null`; a list or an object is kept as it is written.
    fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::Null => None,
            value @ (Value::Array(_) | Value::Object(_)) => Some(value.to_string()),
            value => Some(as_text(value)),
        }
    }

    fn either(&self, name: &str, other: &str) -> Option<String> {
        self.text(name).or_else(|| self.text(other))
    }

    fn is(&self, name: &str, without: bool) -> bool {
        match self.0.get(name) {
            None | Some(Value::Null) => without,
            Some(value) => as_boolean(value),
        }
    }
}

/// The state of a PV, which has `current_severity`, or nothing for that of a group.
fn state(value: Option<&str>) -> Result<Option<Event>, Unreadable> {
    let Some(text) = value else {
        return Ok(Some(tombstone()));
    };
    let fields = Fields::read(text)?;
    if !fields.0.contains_key("current_severity") {
        return match fields.text("severity") {
            Some(_) => Ok(None),
            None => Err(Unreadable::Missing("severity")),
        };
    }
    Ok(Some(Event::State(State {
        severity: fields.text("severity"),
        latch: fields.is("latch", false),
        message: fields.text("message"),
        value: fields.text("value"),
        event_time: fields.0.get("time").and_then(event_time),
        current_severity: fields.text("current_severity"),
        current_message: fields.text("current_message"),
        mode: fields.text("mode"),
        notify: fields.is("notify", true),
    })))
}

/// `{"seconds":…,"nano":…}`, or with `nanos`; `{}` of a PV that never had a value is none.
fn event_time(time: &Value) -> Option<Timestamp> {
    let part = |name: &str| match time.get(name) {
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(value) => value.as_i64(),
        None => None,
    };
    let seconds = part("seconds")?;
    let nanos = part("nano").or_else(|| part("nanos")).unwrap_or(0);
    let nanos = i32::try_from(nanos).ok()?;
    Timestamp::new(seconds, nanos).ok()
}

fn command(value: Option<&str>) -> Result<Command, Unreadable> {
    let fields = Fields::read(value.ok_or(Unreadable::NoValue)?)?;
    Ok(Command {
        user: fields.text("user"),
        host: fields.either("host", "hostname"),
        command: fields
            .text("command")
            .ok_or(Unreadable::Missing("command"))?,
    })
}

fn tombstone() -> Event {
    Event::Deletion(Deletion {
        user: None,
        host: None,
        tombstone: true,
    })
}

fn config(value: Option<&str>) -> Result<Event, Unreadable> {
    let Some(text) = value else {
        return Ok(tombstone());
    };
    let fields = Fields::read(text)?;
    let user = fields.text("user");
    let host = fields.either("host", "hostname");
    if fields.0.contains_key("delete") {
        return Ok(Event::Deletion(Deletion {
            user,
            host,
            tombstone: false,
        }));
    }
    Ok(Event::Config(Config {
        user,
        host,
        enabled: enabled(fields.0.get("enabled")),
        latching: fields.is("latching", true),
        text: text.to_owned(),
    }))
}

/// As the alarm server reads it: of what is no boolean, only the word `false` and a date disable.
fn enabled(field: Option<&Value>) -> String {
    match field {
        Some(Value::Bool(enabled)) => enabled.to_string(),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => "false".to_owned(),
        Some(Value::String(text)) if text.parse::<jiff::civil::DateTime>().is_ok() => text.clone(),
        _ => "true".to_owned(),
    }
}

fn talk(value: Option<&str>) -> Result<Talk, Unreadable> {
    let fields = Fields::read(value.ok_or(Unreadable::NoValue)?)?;
    Ok(Talk {
        severity: fields.text("severity"),
        standout: fields.is("standout", false),
        talk: fields
            .either("talk", "message")
            .ok_or(Unreadable::Missing("talk"))?,
    })
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tree => "tree",
            Self::Commands => "commands",
            Self::Talk => "talk",
        })
    }
}
