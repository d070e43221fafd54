//! What is searched for in a history, and what answers.
//!
//! [`Filter::matches`] says what a filter means; a history that has indices has to find the same.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::entry::{Entry, Event, Kind};

mod pattern;

pub use pattern::Pattern;

/// Which entries are wanted. Everything that is said has to hold; of several patterns in a list one has to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Kinds of entries; empty for all.
    pub kinds: BTreeSet<Kind>,
    /// Last name of the path.
    pub pv: Vec<Pattern>,
    /// Key of the record without backslashes, such as `state:/Accelerator/*`.
    pub key: Vec<Pattern>,
    /// Paths of items: they and what is below them.
    pub at: Vec<String>,
    /// Alarm severity, of states and talk.
    pub severity: Vec<Pattern>,
    /// Severity of the PV.
    pub current_severity: Vec<Pattern>,
    /// Alarm message.
    pub message: Vec<Pattern>,
    /// Message of the PV.
    pub current_message: Vec<Pattern>,
    /// Who.
    pub user: Vec<Pattern>,
    /// From where.
    pub host: Vec<Pattern>,
    /// Text of a command.
    pub command: Vec<Pattern>,
    /// Whether a configuration enables its item; a date does not.
    pub enabled: Option<bool>,
    /// Written at this moment or later.
    pub since: Option<Timestamp>,
    /// Written before this moment.
    pub until: Option<Timestamp>,
}

/// In which order entries are given. Entries of one moment are in the order in which they came into the history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    #[default]
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// A place between two entries of a history, for going on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Time of the entry before, in milliseconds.
    pub time: i64,
    /// Its place in the history.
    pub place: i64,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.time, self.place)
    }
}

impl std::str::FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (time, place) = text.split_once('.').ok_or(NoCursor)?;
        match (time.parse(), place.parse()) {
            (Ok(time), Ok(place)) => Ok(Self { time, place }),
            _ => Err(NoCursor),
        }
    }
}

/// The text is no cursor that a page gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no place that a page before gave")]
pub struct NoCursor;

/// What is wanted: which entries, in which order, how many, from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Which.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// At most so many.
    pub limit: usize,
    /// After this place.
    pub after: Option<Cursor>,
}

impl Query {
    /// Everything, the newest first, up to so many.
    pub fn newest(limit: usize) -> Self {
        Self {
            filter: Filter::default(),
            order: Order::NewestFirst,
            limit,
            after: None,
        }
    }
}

/// Entries that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order that was wanted.
    pub entries: Vec<Entry>,
    /// Where the next page goes on; `None` if there is none.
    pub next: Option<Cursor>,
}

/// How many entries there are in a span of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Begin of the span.
    pub from: Timestamp,
    /// By what was counted: a severity, or the kind of the entry.
    pub of: String,
    /// How many.
    pub count: u64,
}

/// Why a history does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NoAnswer {
    /// Why, with the place.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl From<crate::database::Error> for NoAnswer {
    fn from(error: crate::database::Error) -> Self {
        Self {
            reason: error.to_string(),
            hint: error.hint(),
        }
    }
}

/// A history that can be searched.
pub trait History: Send + Sync {
    /// What it is called in messages.
    fn name(&self) -> String;

    /// Whether entries of a kind are kept at all.
    fn keeps(&self, _kind: Kind) -> bool {
        true
    }

    /// Entries that are wanted.
    fn search(&self, query: Query) -> BoxFuture<'_, Result<Page, NoAnswer>>;

    /// How many there are of each severity (states) or kind (others), by spans of so many milliseconds that begin at
    /// multiples of it, the oldest first.
    fn count(&self, filter: Filter, span: i64) -> BoxFuture<'_, Result<Vec<Count>, NoAnswer>>;
}

impl Filter {
    /// Whether an entry is wanted.
    pub fn matches(&self, entry: &Entry) -> bool {
        let event = &entry.event;
        (self.kinds.is_empty() || self.kinds.contains(&event.kind()))
            && self.since.is_none_or(|since| entry.time >= since)
            && self.until.is_none_or(|until| entry.time < until)
            && (self.at.is_empty() || self.at.iter().any(|at| is_within(&entry.path, at)))
            && any(&self.pv, Some(&entry.pv))
            && any(&self.key, Some(&entry.key))
            && any(&self.severity, severity(event))
            && any(&self.user, event.user())
            && any(&self.host, event.host())
            && any(&self.command, command(event))
            && self.matches_state(event)
            && self
                .enabled
                .is_none_or(|enabled| is_enabled(event) == Some(enabled))
    }

    fn matches_state(&self, event: &Event) -> bool {
        let state = event.state();
        let field = |patterns: &[Pattern], field: Option<&Option<String>>| {
            any(patterns, field.and_then(|text| text.as_deref()))
        };
        field(&self.message, state.map(|state| &state.message))
            && field(
                &self.current_message,
                state.map(|state| &state.current_message),
            )
            && field(
                &self.current_severity,
                state.map(|state| &state.current_severity),
            )
    }
}

/// Counts entries by spans of time.
#[derive(Debug)]
pub(crate) struct Counting {
    span: i64,
    counts: BTreeMap<(i64, String), u64>,
}

impl Counting {
    /// By spans of so many milliseconds.
    pub(crate) fn by(span: i64) -> Self {
        Self {
            span: span.max(1),
            counts: BTreeMap::new(),
        }
    }

    /// Counts an entry.
    pub(crate) fn take(&mut self, entry: &Entry) {
        let begin = entry.time.as_millisecond() / self.span * self.span;
        self.add(begin, counted_as(&entry.event), 1);
    }

    /// Counts so many of a span that begins then.
    pub(crate) fn add(&mut self, begin: i64, of: &str, count: u64) {
        *self.counts.entry((begin, of.to_owned())).or_default() += count;
    }

    /// What was counted, the oldest first.
    pub(crate) fn finish(self) -> Vec<Count> {
        let counts = self.counts.into_iter().map(|((begin, of), count)| Count {
            from: Timestamp::from_millisecond(begin).unwrap_or_default(),
            of,
            count,
        });
        counts.collect()
    }
}

/// By what an entry is counted.
pub fn counted_as(event: &Event) -> &str {
    match event {
        Event::State(state) => state.severity.as_deref().unwrap_or("UNKNOWN"),
        other => other.kind().name(),
    }
}

/// The severity that an entry has.
pub(crate) fn severity(event: &Event) -> Option<&str> {
    match event {
        Event::State(state) => state.severity.as_deref(),
        Event::Talk(talk) => talk.severity.as_deref(),
        _ => None,
    }
}

pub(crate) fn command(event: &Event) -> Option<&str> {
    match event {
        Event::Command(command) => Some(&command.command),
        _ => None,
    }
}

/// Whether a configuration enables its item, if it is one.
pub(crate) fn is_enabled(event: &Event) -> Option<bool> {
    match event {
        Event::Config(config) => Some(config.enabled == "true"),
        _ => None,
    }
}

/// Milliseconds, rounded up: what is written in a millisecond is written at its begin.
pub(crate) fn whole(time: Timestamp) -> i64 {
    let milliseconds = time.as_millisecond();
    match Timestamp::from_millisecond(milliseconds) {
        Ok(begin) if begin < time => milliseconds + 1,
        _ => milliseconds,
    }
}

fn any(patterns: &[Pattern], text: Option<&str>) -> bool {
    patterns.is_empty() || text.is_some_and(|text| patterns.iter().any(|one| one.matches(text)))
}

fn is_within(path: &str, at: &str) -> bool {
    let at = at.trim_end_matches('/');
    path.strip_prefix(at)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Entries as a table of CSV: a column for each field, times in UTC.
///
/// # Errors
///
/// A text cannot be written.
pub fn csv(entries: &[Entry]) -> Result<String, csv::Error> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record([
        "time",
        "kind",
        "path",
        "pv",
        "severity",
        "message",
        "value",
        "event_time",
        "current_severity",
        "current_message",
        "mode",
        "user",
        "host",
        "command",
        "enabled",
        "latching",
        "text",
        "topic",
        "offset",
    ])?;
    for entry in entries {
        let event = &entry.event;
        let state = event.state();
        let of = |field: fn(&crate::State) -> &Option<String>| {
            state
                .and_then(|state| field(state).as_deref())
                .unwrap_or_default()
        };
        let (enabled, latching, text) = match event {
            Event::Config(config) => (
                config.enabled.as_str(),
                config.latching.to_string(),
                config.text.as_str(),
            ),
            Event::Talk(talk) => ("", String::new(), talk.talk.as_str()),
            _ => ("", String::new(), ""),
        };
        table.write_record([
            &entry.time.to_string(),
            event.kind().name(),
            &entry.path,
            &entry.pv,
            severity(event).unwrap_or_default(),
            of(|state| &state.message),
            of(|state| &state.value),
            &state
                .and_then(|state| state.event_time)
                .map(|time| time.to_string())
                .unwrap_or_default(),
            of(|state| &state.current_severity),
            of(|state| &state.current_message),
            of(|state| &state.mode),
            event.user().unwrap_or_default(),
            event.host().unwrap_or_default(),
            command(event).unwrap_or_default(),
            enabled,
            &latching,
            text,
            &entry.topic,
            &entry.offset.to_string(),
        ])?;
    }
    let bytes = table
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
