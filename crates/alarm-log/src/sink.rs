//! Where entries go.
//!
//! A sink writes an entry under its identity ([`Entry::id`], or topic, offset and time), so that writing it once more
//! changes nothing: after a failure in the middle everything from the last confirmed place is given again.

pub mod elasticsearch;
pub mod jsonl;
pub mod loki;
pub mod sqlite;

use futures_util::future::BoxFuture;

use crate::entry::Entry;

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The sink has it, or has no place for entries of its kind; it is not given again.
    Taken,
    /// The sink will never take it; the reason goes with the record to the dead-letter file.
    Refused(String),
}

/// Nothing, or not everything, was written, and trying again later may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct TryLater {
    /// Why, with the place.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl From<crate::database::Error> for TryLater {
    fn from(error: crate::database::Error) -> Self {
        Self {
            reason: error.to_string(),
            hint: error.hint(),
        }
    }
}

/// Where entries go.
pub trait Sink: Send {
    /// What it is called: in messages, and as the name of its place in the spool. It stays the same from run to run.
    fn name(&self) -> &str;

    /// Writes entries, in their order, and returns when they are there for good: one outcome for each. On an error all
    /// of them are given again.
    fn write<'a>(
        &'a mut self,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<Vec<Outcome>, TryLater>>;

    /// Does what is to be done from time to time, such as removing what is too old. Called when nothing is waiting, at
    /// most once a minute, and at the end.
    fn tidy(&mut self) -> BoxFuture<'_, Result<(), TryLater>> {
        Box::pin(async { Ok(()) })
    }
}
