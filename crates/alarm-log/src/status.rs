//! What the logger is doing, for people and monitoring.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

/// What the logger is doing; shared by its parts.
#[derive(Debug, Default)]
pub struct Status {
    report: Mutex<Report>,
}

/// What the logger is doing at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The topics that are read.
    pub topics: BTreeMap<Arc<str>, TopicReport>,
    /// The sinks.
    pub sinks: BTreeMap<String, SinkReport>,
    /// The spool.
    pub spool: SpoolReport,
    /// Records that could not be read and went to the dead-letter file.
    pub unreadable: u64,
    /// What keeps the bus from being read, if something does.
    pub bus_trouble: Option<Trouble>,
}

/// A topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TopicReport {
    /// Whether the topic is there.
    pub exists: bool,
    /// The offset from which it is read on.
    pub next: Option<u64>,
    /// Records that were read since the start, states of groups included.
    pub read: u64,
    /// Records that were gone before they could be read, at most, since the start.
    pub missed: u64,
}

/// A sink.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SinkReport {
    /// Entries that it has taken since the start.
    pub taken: u64,
    /// Entries that it refused and that went to the dead-letter file.
    pub refused: u64,
    /// How often writing to it failed since the start.
    pub failures: u64,
    /// What keeps it from being written to, if something does.
    pub trouble: Option<Trouble>,
}

/// The spool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SpoolReport {
    /// Records in it.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// The most bytes it takes.
    pub limit: u64,
    /// How often it was full since the start.
    pub full: u64,
    /// Since when it is full.
    pub full_since: Option<Timestamp>,
}

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// What, with the place.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

impl Status {
    /// What the logger is doing now.
    pub fn report(&self) -> Report {
        self.lock().clone()
    }

    /// Changes something.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.lock());
    }

    pub(crate) fn topic(&self, name: &Arc<str>, change: impl FnOnce(&mut TopicReport)) {
        change(self.lock().topics.entry(Arc::clone(name)).or_default());
    }

    pub(crate) fn sink(&self, name: &str, change: impl FnOnce(&mut SinkReport)) {
        let mut report = self.lock();
        match report.sinks.get_mut(name) {
            Some(sink) => change(sink),
            None => change(report.sinks.entry(name.to_owned()).or_default()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says what is in the way: the first time, and when it is another. Gives whether that is news.
pub(crate) fn troubled(place: &mut Option<Trouble>, reason: &str) -> bool {
    match place {
        Some(trouble) if trouble.reason == reason => false,
        Some(trouble) => {
            reason.clone_into(&mut trouble.reason);
            true
        }
        None => {
            *place = Some(Trouble {
                reason: reason.to_owned(),
                since: Timestamp::now(),
            });
            true
        }
    }
}

/// What to do, as the end of a line of the log.
pub(crate) fn hint(hint: Option<&str>) -> String {
    hint.map(|hint| format!("; hint: {hint}"))
        .unwrap_or_default()
}
