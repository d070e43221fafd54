//! The alarm system's bus: records with keys in topics, read in their order from any place, written durably.
//!
//! Two of them have the same shape: [`Bus`] in SQLite files for one machine, and on Kafka. Both carry exactly the keys
//! and the text that clients of Phoebus know; what they mean is no business of this crate.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;

/// A record as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Topic.
    pub topic: Arc<str>,
    /// Key.
    pub key: String,
    /// Text; `None` is a tombstone.
    pub value: Option<String>,
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Topic.
    pub topic: Arc<str>,
    /// Place in the topic, counted from 0; compaction leaves gaps.
    pub offset: u64,
    /// When it was written, by the writer's clock.
    pub time: SystemTime,
    /// Key; foreign writers may leave it out. Bytes that are no UTF-8 are replaced.
    pub key: Option<String>,
    /// Text; `None` is a tombstone.
    pub value: Option<String>,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the oldest record that is kept.
    Beginning,
    /// After the newest record there is at this moment.
    Now,
    /// At this offset, or at the oldest after it that is kept.
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

/// Why the bus did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bus is closed.
    #[error("the bus is closed")]
    Closed,
}

/// A bus.
pub trait Bus: Send + Sync {
    /// Makes the topics that are missing and gives all of them their settings.
    fn prepare(&self, topics: &[TopicPlan]) -> BoxFuture<'_, Result<(), Error>>;

    /// The offset that the next record of a topic will get.
    fn end(&self, topic: &str) -> BoxFuture<'_, Result<u64, Error>>;

    /// Reads topics, each from its place. Within a topic order holds, between topics it does not.
    fn read(&self, topics: &[(Arc<str>, From)]) -> BoxFuture<'_, Result<Box<dyn Reader>, Error>>;

    /// A way to write.
    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>>;
}

/// Reads records.
pub trait Reader: Send {
    /// Waits for records and gives all that are there, up to a bound. Dropping the future loses none.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Incoming>, Error>>;

    /// Whether everything has been given that was in the topics when reading began.
    fn has_caught_up(&self) -> bool;
}

/// Writes records; of one key in the order in which they were given.
pub trait Writer: Send + Sync {
    /// Takes records to be written, all of them or none. They are kept in a bounded buffer while the bus is away; an
    /// error says that the buffer is full.
    fn send(&self, records: Vec<Outgoing>) -> Result<(), Error>;

    /// Waits until all that was taken is written for good.
    fn flush(&self) -> BoxFuture<'_, Result<(), Error>>;
}
