//! The alarm system's bus: records with keys in topics, read in their order from any place, written durably.
//!
//! Two of them have the same shape: [`embedded`], in SQLite files for one machine, and Kafka. A third, [`scripted`], is
//! in memory and does what a test tells it. All carry exactly the keys and the text that clients of Phoebus know; what
//! they mean is no business of this crate.
//!
//! There are two ways to open a writer: [`Bus::writer`], of which there may be many, and [`Bus::take`], which shuts out
//! whoever took the same right before, for good: for a leader and its stand-by.
//!
//! What it deliberately does not do: groups of readers, topics with several partitions, choosing who may speak.

mod counters;
pub mod embedded;
mod error;
mod fence;
pub mod kafka;
mod ledger;
pub mod scripted;
mod statistics;

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;

pub use error::Error;
pub use fence::{Fence, Holder, Presence};
pub use statistics::{Histogram, Statistics};

/// The longest key, in bytes. Paths in an alarm tree are far shorter.
pub const KEY_LIMIT: usize = 16 * 1024;

/// The most bytes that key and value of a record have together. With what Kafka adds to a record and to a batch this
/// stays below `max.message.bytes` as brokers have it unless told otherwise (1,048,588, Kafka documentation, topic
/// configuration), so what one bus takes the other takes as well.
pub const RECORD_LIMIT: usize = 1024 * 1024 - 1024;

/// A record as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Topic.
    pub topic: Arc<str>,
    /// Key; at most [`KEY_LIMIT`] bytes.
    pub key: String,
    /// Text; `None` is a tombstone. With the key at most [`RECORD_LIMIT`] bytes.
    pub value: Option<String>,
}

impl Outgoing {
    /// Bytes of key and value.
    pub fn size(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, String::len)
    }

    /// Fails for what no bus takes.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (size, limit) = if self.key.len() > KEY_LIMIT {
            (self.key.len(), KEY_LIMIT)
        } else {
            (self.size(), RECORD_LIMIT)
        };
        if size > limit {
            let key = self.key.chars().take(100).collect();
            return Err(Error::TooLarge {
                topic: Arc::clone(&self.topic),
                key,
                size,
                limit,
            });
        }
        Ok(())
    }
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Topic.
    pub topic: Arc<str>,
    /// Place in the topic, counted from 0; compaction leaves gaps.
    pub offset: u64,
    /// When it was written, by the writer's clock, in whole milliseconds.
    pub time: SystemTime,
    /// Key; foreign writers may leave it out. Bytes that are no UTF-8 are replaced.
    pub key: Option<String>,
    /// Text; `None` is a tombstone. Bytes that are no UTF-8 are replaced.
    pub value: Option<String>,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the oldest record that is kept.
    Beginning,
    /// After the newest record there is at this moment.
    Now,
    /// At this offset, or at the oldest after it that is kept. An offset beyond the end is an error: the topic is
    /// not the one that the offset was read from.
    Offset(u64),
}

/// How a topic forgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Of each key the newest record stays.
    Compact,
    /// Records go some time after they were written.
    Delete,
}

/// A topic that has to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPlan {
    /// Its name.
    pub name: Arc<str>,
    /// How it forgets.
    pub cleanup: Cleanup,
}

/// A bus.
pub trait Bus: Send + Sync {
    /// Makes the topics that are missing and gives all of them their settings.
    fn prepare(&self, topics: &[TopicPlan]) -> BoxFuture<'_, Result<(), Error>>;

    /// The offset that the next record of a topic will get.
    fn end(&self, topic: &str) -> BoxFuture<'_, Result<u64, Error>>;

    /// Reads topics, each from its place. Within a topic order holds, between topics it does not. A topic that does
    /// not exist is an error, here and not later.
    fn read(&self, topics: &[(Arc<str>, From)]) -> BoxFuture<'_, Result<Box<dyn Reader>, Error>>;

    /// A way to write. Several are independent of each other; order holds within one. What one took is written also
    /// after it was dropped, as long as the bus itself lives.
    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>>;

    /// Who has a right to write.
    fn holder(&self, fence: &Fence) -> BoxFuture<'_, Result<Holder, Error>>;

    /// Takes a right: from then on nobody who had it before writes anything more with it, also nothing that was taken
    /// already, and their writers fail with [`Error::Fenced`]. With `after`, only if it was taken so many times before
    /// ([`Holder::number`]); else it is [`Error::Fenced`] here. Where this is not counted `after` has no effect.
    ///
    /// What is given to the writer at once becomes visible at once: readers of committed records see all of a `send`, or
    /// nothing of it. While the bus is away its records wait as those of other writers do, and none is written twice.
    fn take(
        &self,
        fence: &Fence,
        after: Option<u64>,
    ) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>>;

    /// What this process did with the bus, all its readers and writers together.
    fn statistics(&self) -> Statistics;
}

/// Reads records.
pub trait Reader: Send {
    /// Waits for records and gives all that are there, up to a bound. Gives none exactly when, without a further
    /// record, [`has_caught_up`](Self::has_caught_up) has become true. A bus that is away is waited for. Dropping the
    /// future loses no record.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Incoming>, Error>>;

    /// Whether everything has been given that was in the topics when reading began; of topics that are empty, or
    /// that are read from now on, this is true from the start.
    fn has_caught_up(&self) -> bool;

    /// From now on records whose key begins with this are not wanted. Those that are read already are given still, and of
    /// each topic the last of several may be, so that places stay exact; a reader that cannot tell gives all.
    fn pass_over(&mut self, _prefix: &'static str) {}
}

/// Writes records; of one key in the order in which they were given.
pub trait Writer: Send + Sync {
    /// Takes records to be written, all of them or none. They are kept in a bounded buffer while the bus is away:
    /// [`Error::Full`] says that it is full, [`Error::TooLarge`] that no bus will ever take the record.
    fn send(&self, records: Vec<Outgoing>) -> Result<(), Error>;

    /// Waits until all that was taken is written for good, through outages too. Fails if since the last call the bus
    /// refused a record for good (its topic is missing, writing is forbidden); such a record is dropped, the others
    /// are written.
    fn flush(&self) -> BoxFuture<'_, Result<(), Error>>;
}
