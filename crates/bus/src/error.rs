//! What can go wrong with a bus, and what to do about it.

use std::path::PathBuf;
use std::sync::Arc;

/// Why the bus did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bus is closed.
    #[error("the bus is closed")]
    Closed,

    /// Somebody else has taken the right to write; nothing more is written.
    #[error("another has taken over `{name}`; nothing more is written")]
    Fenced {
        /// The right.
        name: Arc<str>,
    },

    /// The buffer of records that are not yet written is full; nothing was taken.
    #[error("the bus does not take records fast enough: {records} are waiting to be written")]
    Full {
        /// How many are waiting.
        records: usize,
    },

    /// A record that no bus takes.
    #[error(
        "a record of {size} bytes for the key `{key}` of the topic `{topic}`; the limit is {limit}"
    )]
    TooLarge {
        /// Its topic.
        topic: Arc<str>,
        /// The begin of its key.
        key: String,
        /// Its bytes, or those of its key if that is what is too long.
        size: usize,
        /// The most that are allowed.
        limit: usize,
    },

    /// The topic does not exist.
    #[error("there is no topic `{topic}` on {bus}")]
    NoTopic {
        /// The topic.
        topic: Arc<str>,
        /// The bus.
        bus: String,
    },

    /// The topic has no such offset: it was removed and made again since.
    #[error(
        "the topic `{topic}` ends at offset {end}, before {offset}: it is not the one that was read before"
    )]
    Beyond {
        /// The topic.
        topic: Arc<str>,
        /// The offset that was asked for.
        offset: u64,
        /// The offset that the next record gets.
        end: u64,
    },

    /// The bus failed in a way that only a person can repair.
    #[error("{doing}: {cause}")]
    Failed {
        /// What was being done, with the place.
        doing: String,
        /// Why it failed.
        cause: String,
        /// What to do about it.
        hint: Option<String>,
    },

    /// A file that is not a bus, or one of another version of this program.
    #[error("`{}` {problem}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        problem: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

impl Error {
    /// What to do about it, as one line that can be pasted where that is possible.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Failed { hint, .. } | Error::Foreign { hint, .. } => hint.clone(),
            Error::Closed
            | Error::Fenced { .. }
            | Error::Full { .. }
            | Error::TooLarge { .. }
            | Error::NoTopic { .. }
            | Error::Beyond { .. } => None,
        }
    }
}
