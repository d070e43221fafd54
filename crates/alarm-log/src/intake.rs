//! From the bus to the spool.
//!
//! One reader reads all topics from the places that the spool has. Topics that do not exist yet are looked for; a bus
//! that is away is waited for; a full spool is waited for too, and the bus keeps what it keeps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, From, Incoming, Reader};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::database::away;
use crate::dead_letter::{DeadLetters, Letter};
use crate::entry::Gap;
use crate::record::{self, Reading};
use crate::spool::{Appended, Item, Position, Spool, Topic};
use crate::status::{Status, hint, troubled};

#[cfg(test)]
mod tests;

/// How often missing topics are looked for.
const LOOK: Duration = Duration::from_millis(500);
/// First and longest wait after a failure.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// The most records that are stored in one transaction.
const PART: usize = 2000;

/// Reads topics into the spool.
pub struct Intake {
    bus: Arc<dyn Bus>,
    spool: Arc<Spool>,
    topics: BTreeMap<Arc<str>, Topic>,
    dead_letters: Arc<DeadLetters>,
    status: Arc<Status>,
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.topics.keys()).finish()
    }
}

/// Why reading was interrupted.
enum Interrupted {
    /// It is to end.
    Stop,
    /// A topic has appeared that was missing.
    Appeared,
}

/// Where reading began, for finding what is missing.
struct Begun {
    /// Of topics of which nothing came yet: the place from which they are read, and where they ended then.
    expected: BTreeMap<Arc<str>, (Position, u64)>,
    /// Topics that were not there.
    missing: Vec<Arc<str>>,
}

impl Intake {
    /// An intake.
    pub fn new(
        bus: Arc<dyn Bus>,
        spool: Arc<Spool>,
        topics: Vec<Topic>,
        dead_letters: Arc<DeadLetters>,
        status: Arc<Status>,
    ) -> Self {
        let topics = topics
            .into_iter()
            .map(|topic| (Arc::clone(&topic.name), topic))
            .collect();
        Self {
            bus,
            spool,
            topics,
            dead_letters,
            status,
        }
    }

    /// Reads until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut wait = WAITS.0;
        while !stop.is_cancelled() {
            match self.read(&stop, &mut wait).await {
                Ok(Interrupted::Stop) => return,
                Ok(Interrupted::Appeared) => {}
                Err(error) => {
                    self.troubled(&error);
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(wait) => wait = WAITS.1.min(wait * 2),
                    }
                }
            }
        }
    }

    async fn read(
        &self,
        stop: &CancellationToken,
        wait: &mut Duration,
    ) -> Result<Interrupted, bus::Error> {
        let opened = tokio::select! {
            opened = self.open() => opened?,
            () = stop.cancelled() => return Ok(Interrupted::Stop),
        };
        let (reader, mut begun) = opened;
        let Some(mut reader) = reader else {
            return Ok(self.wait_for_topics(&begun.missing, stop).await);
        };
        let missing = std::mem::take(&mut begun.missing);
        // goes on while records come: looking again after each would never come to an end
        let interrupted = self.wait_for_topics(&missing, stop);
        tokio::pin!(interrupted);
        loop {
            let records = tokio::select! {
                records = reader.next() => records?,
                interrupted = &mut interrupted => return Ok(interrupted),
            };
            *wait = WAITS.0;
            self.recovered();
            let has_caught_up = reader.has_caught_up();
            if !self.take(records, &mut begun, has_caught_up, stop).await {
                return Ok(Interrupted::Stop);
            }
        }
    }

    /// Opens a reader of the topics that are there.
    async fn open(&self) -> Result<(Option<Box<dyn Reader>>, Begun), bus::Error> {
        let mut begun = Begun {
            expected: BTreeMap::new(),
            missing: Vec::new(),
        };
        let mut from = Vec::new();
        for name in self.topics.keys() {
            let end = match self.bus.end(name).await {
                Ok(end) => end,
                Err(bus::Error::NoTopic { .. }) => {
                    begun.missing.push(Arc::clone(name));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let place = match self.position(name, end).await? {
                Some(position) => {
                    begun.expected.insert(Arc::clone(name), (position, end));
                    From::Offset(position.next)
                }
                None => From::Beginning,
            };
            from.push((Arc::clone(name), place));
        }
        for name in self.topics.keys() {
            let exists = !begun.missing.contains(name);
            let before = self
                .status
                .report()
                .topics
                .get(name)
                .is_some_and(|topic| topic.exists);
            self.status.topic(name, |topic| topic.exists = exists);
            if !exists && before {
                tracing::warn!("the topic `{name}` is gone; waiting for it");
            }
        }
        if from.is_empty() {
            return Ok((None, begun));
        }
        Ok((Some(self.bus.read(&from).await?), begun))
    }

    /// Where a topic is read on; nowhere if it is another one than before.
    async fn position(&self, name: &Arc<str>, end: u64) -> Result<Option<Position>, bus::Error> {
        let (spool, topic) = (Arc::clone(&self.spool), Arc::clone(name));
        let position = away(move || spool.position(&topic))
            .await
            .map_err(|error| stored(&error))?;
        let Some(position) = position else {
            return Ok(None);
        };
        if position.next <= end {
            return Ok(Some(position));
        }
        tracing::warn!(
            "the topic `{name}` ends at offset {end}, before {} where it is to be read on: it was made again, and is read from its beginning",
            position.next
        );
        let (spool, topic) = (Arc::clone(&self.spool), Arc::clone(name));
        away(move || spool.forget_position(&topic))
            .await
            .map_err(|error| stored(&error))?;
        Ok(None)
    }

    /// Waits until one of the missing topics is there, or until it is to stop.
    async fn wait_for_topics(&self, missing: &[Arc<str>], stop: &CancellationToken) -> Interrupted {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Interrupted::Stop,
                () = tokio::time::sleep(LOOK), if !missing.is_empty() => {}
            }
            for name in missing {
                // other errors are told by the reader
                if self.bus.end(name).await.is_ok() {
                    tracing::info!("the topic `{name}` is there");
                    return Interrupted::Appeared;
                }
            }
        }
    }

    /// Stores what was read; false if it is to stop before there is room.
    async fn take(
        &self,
        records: Vec<Incoming>,
        begun: &mut Begun,
        has_caught_up: bool,
        stop: &CancellationToken,
    ) -> bool {
        let mut records = records.into_iter().peekable();
        // the last part is the one after which nothing is left of what there was when reading began
        loop {
            let part: Vec<Incoming> = records.by_ref().take(PART).collect();
            let is_last = records.peek().is_none();
            let batch = self.batch(part, begun, has_caught_up && is_last);
            if !self.store(batch, stop).await {
                return false;
            }
            if is_last {
                return true;
            }
        }
    }

    /// What is to be stored of records.
    fn batch(&self, records: Vec<Incoming>, begun: &mut Begun, is_caught_up: bool) -> Batch {
        let mut batch = Batch::default();
        for record in records {
            let Some(topic) = self.topics.get(&record.topic) else {
                continue;
            };
            if let Some((position, _end)) = begun.expected.remove(&record.topic)
                && record.offset > position.next
            {
                batch.gap(&topic.name, position, record.offset);
            }
            let written = Timestamp::try_from(record.time).ok();
            let next = record.offset + 1;
            batch
                .positions
                .insert(Arc::clone(&topic.name), Position { next, written });
            *batch.read.entry(Arc::clone(&topic.name)).or_default() += 1;
            match record::read(topic.role, &record) {
                Reading::Entry(_) => batch.items.push(Item::Record(record)),
                Reading::Group => {}
                Reading::Unreadable(why) => {
                    let item = Item::Record(record);
                    batch
                        .letters
                        .push(Letter::new(None, why.to_string(), &item));
                }
            }
        }
        if is_caught_up {
            // nothing came of these although they end behind the place from which they were read
            for (name, (position, end)) in std::mem::take(&mut begun.expected) {
                if end > position.next {
                    batch.gap(&name, position, end);
                    let written = position.written;
                    batch
                        .positions
                        .insert(name, Position { next: end, written });
                }
            }
        }
        batch
    }

    /// Stores a batch, however long it takes; false if it is to stop before.
    async fn store(&self, batch: Batch, stop: &CancellationToken) -> bool {
        let batch = Arc::new(batch);
        let mut wait = WAITS.0;
        loop {
            let room = self.spool.room();
            tokio::pin!(room);
            let (spool, letters, work) = (
                Arc::clone(&self.spool),
                Arc::clone(&self.dead_letters),
                Arc::clone(&batch),
            );
            let stored = away(move || {
                letters.write(&work.letters)?;
                spool.append(&work.items, &work.positions)
            });
            match stored.await {
                Ok(Appended::Taken) => {
                    self.stored(&batch);
                    return true;
                }
                Ok(Appended::Full) => {
                    self.full();
                    tokio::select! {
                        () = room => {}
                        () = stop.cancelled() => return false,
                    }
                }
                Err(error) => {
                    self.troubled(&self::stored(&error));
                    tokio::select! {
                        () = tokio::time::sleep(wait) => wait = WAITS.1.min(wait * 2),
                        () = stop.cancelled() => return false,
                    }
                }
            }
        }
    }

    fn stored(&self, batch: &Batch) {
        let fill = self.spool.fill();
        self.recovered();
        self.status.update(|report| {
            (report.spool.records, report.spool.bytes) = (fill.records, fill.bytes);
            if let Some(since) = report.spool.full_since.take() {
                tracing::info!("the spool has room again, after it was full since {since}");
            }
            report.unreadable += batch.letters.len() as u64;
            for (name, position) in &batch.positions {
                let topic = report.topics.entry(Arc::clone(name)).or_default();
                topic.next = Some(position.next);
                topic.read += batch.read.get(name).copied().unwrap_or(0);
            }
            for item in &batch.items {
                if let Item::Gap {
                    topic, first, gap, ..
                } = item
                {
                    report.topics.entry(Arc::clone(topic)).or_default().missed +=
                        gap.at_most(*first);
                }
            }
        });
        for item in &batch.items {
            if let Item::Gap {
                topic, first, gap, ..
            } = item
            {
                tracing::warn!(
                    "the topic `{topic}` has lost offsets {first} to {} before they could be read: {} records at most",
                    gap.last,
                    gap.at_most(*first)
                );
            }
        }
        if let Some(letter) = batch.letters.first() {
            tracing::warn!(
                "{} records cannot be read, the first at offset {} of `{}`: {}; see `{}`",
                batch.letters.len(),
                letter.offset,
                letter.topic,
                letter.reason,
                self.dead_letters.path().display()
            );
        }
    }

    fn full(&self) {
        let fill = self.spool.fill();
        self.status.update(|report| {
            if report.spool.full_since.is_none() {
                report.spool.full += 1;
                report.spool.full_since = Some(Timestamp::now());
                tracing::warn!(
                    "the spool is full with {} records of {} bytes: the bus is not read until a sink takes some",
                    fill.records,
                    fill.bytes
                );
            }
        });
    }

    fn troubled(&self, error: &bus::Error) {
        let reason = error.to_string();
        self.status.update(|report| {
            if troubled(&mut report.bus_trouble, &reason) {
                tracing::warn!("{reason}{}", hint(error.hint().as_deref()));
            }
        });
    }

    fn recovered(&self) {
        self.status.update(|report| {
            if let Some(trouble) = report.bus_trouble.take() {
                tracing::info!(
                    "records are read again, after trouble since {}",
                    trouble.since
                );
            }
        });
    }
}

/// An error of the spool among those of the bus: both are waited for.
fn stored(error: &crate::database::Error) -> bus::Error {
    bus::Error::Failed {
        doing: "storing what was read".to_owned(),
        cause: error.to_string(),
        hint: error.hint(),
    }
}

/// What is stored in one transaction.
#[derive(Debug, Default)]
struct Batch {
    items: Vec<Item>,
    letters: Vec<Letter>,
    positions: BTreeMap<Arc<str>, Position>,
    read: BTreeMap<Arc<str>, u64>,
}

impl Batch {
    fn gap(&mut self, topic: &Arc<str>, position: Position, next: u64) {
        self.items.push(Item::Gap {
            topic: Arc::clone(topic),
            first: position.next,
            found: now(),
            gap: Gap {
                last: next.saturating_sub(1),
                since: position.written,
            },
        });
    }
}

/// Now, in whole milliseconds as the time of a record.
fn now() -> Timestamp {
    let now = Timestamp::now().as_millisecond();
    Timestamp::from_millisecond(now).unwrap_or_default()
}
