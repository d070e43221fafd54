//! The one way out for records.
//!
//! What follows from one step goes to the bus together. When the bus takes nothing more, records wait here: of each key
//! the newest, in the order in which the newest came, so that neither PVs are held up nor memory grows without bound.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alarm::server::{Record, Topic};
use bus::{Outgoing, Writer};

use crate::metrics::{Metrics, TopicLabel};
use crate::stream::Stream;

/// So many words for the annunciator wait at most; older ones are worth nothing.
const TALKS: usize = 200;
/// So many records are offered to the bus at once.
const CHUNK: usize = 500;

/// Names of the topics of a configuration.
#[derive(Debug, Clone)]
pub struct Topics {
    /// Configuration and states.
    pub main: Arc<str>,
    /// Commands.
    pub command: Arc<str>,
    /// Words for the annunciator.
    pub talk: Arc<str>,
    /// The server's own.
    pub server: Arc<str>,
}

impl Topics {
    /// The topics of a configuration.
    pub fn new(configuration: &str) -> Self {
        let name = |suffix: &str| Arc::from(format!("{configuration}{suffix}"));
        Self {
            main: name(""),
            command: name("Command"),
            talk: name("Talk"),
            server: name("Server"),
        }
    }

    fn name(&self, topic: Topic) -> &Arc<str> {
        match topic {
            Topic::Main => &self.main,
            Topic::Command => &self.command,
            Topic::Talk => &self.talk,
            Topic::Server => &self.server,
        }
    }

    /// Which topic that is.
    pub(super) fn topic(&self, name: &str) -> Option<Topic> {
        [Topic::Main, Topic::Command, Topic::Talk, Topic::Server]
            .into_iter()
            .find(|topic| **self.name(*topic) == *name)
    }
}

/// Records that wait, of each key the newest.
#[derive(Debug, Default)]
struct Backlog {
    records: BTreeMap<u64, Outgoing>,
    places: HashMap<(Arc<str>, String), u64>,
    next: u64,
    talks: usize,
}

impl Backlog {
    /// Adds a record; how many it takes the place of.
    fn add(&mut self, record: Outgoing, is_talk: bool) -> u64 {
        let mut replaced = 0;
        let place = self.next;
        self.next += 1;
        if is_talk {
            // each says something of its own
            self.talks += 1;
        } else {
            let key = (Arc::clone(&record.topic), record.key.clone());
            if let Some(before) = self.places.insert(key, place) {
                self.records.remove(&before);
                replaced += 1;
            }
        }
        self.records.insert(place, record);
        replaced
    }

    /// Forgets the oldest words beyond the bound.
    fn trim(&mut self, talk: &Arc<str>) -> u64 {
        let mut dropped = 0;
        while self.talks > TALKS {
            let oldest = self
                .records
                .iter()
                .find(|(_place, record)| record.topic == *talk)
                .map(|(place, _record)| *place);
            let Some(oldest) = oldest else { break };
            self.records.remove(&oldest);
            self.talks -= 1;
            dropped += 1;
        }
        dropped
    }

    fn first(&self, count: usize) -> Vec<Outgoing> {
        self.records.values().take(count).cloned().collect()
    }

    fn remove_first(&mut self, count: usize, talk: &Arc<str>) {
        for _ in 0..count {
            let Some((_place, record)) = self.records.pop_first() else {
                return;
            };
            if record.topic == *talk {
                self.talks -= 1;
            } else {
                self.places.remove(&(record.topic, record.key));
            }
        }
    }
}

/// Sends records to the bus.
pub(super) struct Publisher {
    topics: Topics,
    writer: Arc<dyn Writer>,
    backlog: Backlog,
    is_fenced: bool,
    metrics: Arc<Metrics>,
    stream: Arc<Stream>,
}

impl Publisher {
    pub(super) fn new(
        topics: Topics,
        writer: Arc<dyn Writer>,
        metrics: Arc<Metrics>,
        stream: Arc<Stream>,
    ) -> Self {
        Self {
            topics,
            writer,
            backlog: Backlog::default(),
            is_fenced: false,
            metrics,
            stream,
        }
    }

    /// Writes with this from now on.
    pub(super) fn write_with(&mut self, writer: Arc<dyn Writer>) {
        self.writer = writer;
    }

    /// Another has taken the right to write.
    pub(super) fn fence(&mut self) {
        self.is_fenced = true;
    }

    /// Whether another has taken the right to write: nothing more goes out.
    pub(super) fn is_fenced(&self) -> bool {
        self.is_fenced
    }

    /// Whether records wait for the bus.
    pub(super) fn has_backlog(&self) -> bool {
        !self.backlog.records.is_empty()
    }

    /// Takes the records of one step.
    pub(super) fn publish(&mut self, records: Vec<Record>) {
        if records.is_empty() {
            return;
        }
        let events = records.iter().filter_map(|record| {
            let kind = match record.topic {
                Topic::Main if record.key.starts_with("state:") => "state",
                Topic::Main => "config",
                Topic::Talk => "talk",
                Topic::Command | Topic::Server => return None,
            };
            Some((kind, record.key.as_str(), record.value.as_deref()))
        });
        self.stream.add_records(events);
        let outgoing = records.into_iter().map(|record| Outgoing {
            topic: Arc::clone(self.topics.name(record.topic)),
            key: record.key,
            value: record.value,
        });
        self.send(outgoing.collect());
    }

    fn send(&mut self, records: Vec<Outgoing>) {
        if self.has_backlog() {
            self.wait(records);
            self.retry();
            return;
        }
        match self.writer.send(records.clone()) {
            Ok(()) => self.count(&records),
            Err(bus::Error::TooLarge { .. }) if records.len() > 1 => {
                // one of them will never be taken; the others are
                for record in records {
                    self.send(vec![record]);
                }
            }
            Err(error @ bus::Error::TooLarge { .. }) => {
                self.metrics.bus_errors.inc();
                tracing::error!("a record cannot be written: {error}");
            }
            Err(bus::Error::Fenced { .. }) => self.is_fenced = true,
            Err(error) => {
                tracing::error!(
                    "the bus takes no records, of each key the newest is kept: {error}"
                );
                self.metrics.bus_errors.inc();
                self.wait(records);
            }
        }
    }

    fn wait(&mut self, records: Vec<Outgoing>) {
        let mut replaced = 0;
        for record in records {
            let is_talk = record.topic == self.topics.talk;
            replaced += self.backlog.add(record, is_talk);
        }
        replaced += self.backlog.trim(&self.topics.talk);
        self.metrics.replaced.inc_by(replaced);
        self.measure();
    }

    /// Offers what waits to the bus again.
    pub(super) fn retry(&mut self) {
        while self.has_backlog() {
            let chunk = self.backlog.first(CHUNK);
            let mut count = chunk.len();
            match self.writer.send(chunk.clone()) {
                Ok(()) => self.count(&chunk),
                Err(bus::Error::TooLarge { .. }) => {
                    // alone, so that only the one that is too large is lost
                    count = 1;
                    let first: Vec<Outgoing> = chunk.into_iter().take(1).collect();
                    match self.writer.send(first.clone()) {
                        Ok(()) => self.count(&first),
                        Err(error @ bus::Error::TooLarge { .. }) => {
                            self.metrics.bus_errors.inc();
                            tracing::error!("a record cannot be written: {error}");
                        }
                        Err(_full) => break,
                    }
                }
                Err(_full) => break,
            }
            self.backlog.remove_first(count, &self.topics.talk);
            if !self.has_backlog() {
                tracing::info!("the bus takes records again");
            }
        }
        self.measure();
    }

    fn measure(&self) {
        let waiting = i64::try_from(self.backlog.records.len()).unwrap_or(i64::MAX);
        self.metrics.backlog.set(waiting);
    }

    fn count(&self, records: &[Outgoing]) {
        let mut rest = records;
        while let Some(first) = rest.first() {
            let same = rest
                .iter()
                .take_while(|record| record.topic == first.topic)
                .count();
            let label = TopicLabel {
                topic: first.topic.to_string(),
            };
            self.metrics
                .published
                .get_or_create(&label)
                .inc_by(u64::try_from(same).unwrap_or(0));
            rest = rest.get(same..).unwrap_or_default();
        }
    }

    /// What everybody needs who waits for records to be written for good.
    pub(super) fn writer(&self) -> Arc<dyn Writer> {
        Arc::clone(&self.writer)
    }
}

#[cfg(test)]
mod tests {
    use bus::scripted::Scripted;
    use bus::{Bus as _, Cleanup, TopicPlan};

    use super::*;

    fn state(name: &str, value: u32) -> Record {
        Record {
            topic: Topic::Main,
            key: format!("state:/X/{name}"),
            value: Some(value.to_string()),
        }
    }

    fn talk(value: u32) -> Record {
        Record {
            topic: Topic::Talk,
            key: "talk:/X/a".to_owned(),
            value: Some(value.to_string()),
        }
    }

    fn seen(bus: &Scripted, topic: &str) -> Vec<String> {
        bus.records(topic)
            .into_iter()
            .map(|record| format!("{} {}", record.key.unwrap(), record.value.unwrap()))
            .collect()
    }

    async fn publisher(bus: &Scripted) -> Publisher {
        let plan = |name: &str| TopicPlan {
            name: name.into(),
            cleanup: Cleanup::Compact,
        };
        bus.prepare(&[plan("X"), plan("XTalk")]).await.unwrap();
        let writer = Arc::from(bus.writer().await.unwrap());
        Publisher::new(
            Topics::new("X"),
            writer,
            Arc::default(),
            Arc::new(Stream::new("r".to_owned())),
        )
    }

    #[tokio::test]
    async fn while_the_bus_takes_nothing_the_newest_of_each_key_is_kept_in_order() {
        let bus = Scripted::new();
        let mut publisher = publisher(&bus).await;
        bus.hold_writes(true);
        bus.limit_buffer(Some(2));
        publisher.publish(vec![state("a", 1), state("b", 1)]);
        assert!(!publisher.has_backlog());
        publisher.publish(vec![state("a", 2), state("", 2)]);
        publisher.publish(vec![state("b", 3), talk(3)]);
        publisher.publish(vec![state("a", 4), state("", 4), talk(4)]);
        assert!(publisher.has_backlog());
        assert_eq!(publisher.metrics.backlog.get(), 5);
        bus.limit_buffer(None);
        publisher.retry();
        assert!(!publisher.has_backlog());
        bus.hold_writes(false);
        assert_eq!(
            seen(&bus, "X"),
            [
                "state:/X/a 1",
                "state:/X/b 1",
                "state:/X/b 3",
                "state:/X/a 4",
                "state:/X/ 4"
            ]
        );
        assert_eq!(seen(&bus, "XTalk").len(), 2);
        assert_eq!(publisher.metrics.replaced.get(), 2);
    }

    #[tokio::test]
    async fn old_words_are_forgotten() {
        let bus = Scripted::new();
        let mut publisher = publisher(&bus).await;
        bus.hold_writes(true);
        bus.limit_buffer(Some(0));
        for number in 0..1000 {
            publisher.publish(vec![talk(number)]);
        }
        assert_eq!(publisher.backlog.records.len(), TALKS);
        bus.limit_buffer(None);
        bus.hold_writes(false);
        publisher.retry();
        let spoken = seen(&bus, "XTalk");
        assert_eq!(spoken.last().map(String::as_str), Some("talk:/X/a 999"));
    }
}
