//! Writing: a buffer of our own in front of the library's producer.
//!
//! A record stays in the buffer until a broker confirmed it. What the library hands back for a reason that passes (it has lost
//! its place and wants to be made anew, a topic that a broker has not heard of yet) is given to a new producer in the
//! same order. The records whose fate was unknown at that moment can then be on the bus twice, one right after the other;
//! while the library retries by itself, which is the rule, they cannot.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{
    BaseRecord, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer,
};
use rdkafka::statistics::Statistics as ClientStatistics;

use super::client::{self, Context};
use super::{Inner, failure, topics};
use crate::counters::Counters;
use crate::ledger::Ledger;
use crate::{Error, Outgoing, Writer};

/// The most records and bytes that the library has at a time; the rest waits with us.
const HANDED_RECORDS: usize = 20_000;
const HANDED_BYTES: usize = 64 * 1024 * 1024;
/// How many are handed over at a time without looking up.
const HAND_OVER: usize = 500;
/// A topic that was there before and is missing now may come back so long: brokers that start do not know all at once.
const PATIENCE: Duration = Duration::from_mins(1);
/// The pauses between producers.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long what is left is tried to be written when the bus is dropped.
const LAST_MOMENTS: Duration = Duration::from_secs(3);

type Producer = ThreadedProducer<Deliveries>;

/// Takes records of all writers to the brokers.
pub(super) struct Pump {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    counters: Arc<Counters>,
    servers: String,
    record_limit: usize,
    byte_limit: usize,
}

#[derive(Default)]
struct State {
    /// What is not confirmed yet, in the order in which it came.
    entries: BTreeMap<u64, Entry>,
    next: u64,
    bytes: usize,
    /// Entries before this one were handed to the producer.
    handed: u64,
    /// What the producer has at the moment.
    with_producer: usize,
    bytes_with_producer: usize,
    /// Why a new producer is needed.
    trouble: Option<Trouble>,
    closing: bool,
}

struct Entry {
    record: Arc<Outgoing>,
    /// Milliseconds since 1970.
    time: i64,
    since: Instant,
    ledger: Arc<Ledger>,
    number: u64,
}

#[derive(Clone)]
enum Trouble {
    /// A topic is missing that was there.
    Missing(Arc<str>),
    /// The producer cannot go on.
    Producer(String),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the counters how full the buffer is.
    fn count(&self, state: &State) {
        self.counters.update(|statistics| {
            statistics.buffered_records = state.entries.len() as u64;
            statistics.buffered_bytes = state.bytes as u64;
        });
    }

    fn put(&self, records: Vec<Outgoing>, ledger: &Arc<Ledger>) -> Result<(), Error> {
        let bytes: usize = records.iter().map(Outgoing::size).sum();
        let mut state = self.lock();
        if state.entries.len() + records.len() > self.record_limit
            || state.bytes + bytes > self.byte_limit
        {
            self.counters
                .update(|statistics| statistics.overflowed += records.len() as u64);
            return Err(Error::Full {
                records: state.entries.len(),
            });
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let (time, since) = (
            i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
            Instant::now(),
        );
        let first = ledger.enter(records.len());
        state.bytes += bytes;
        for (number, record) in (first..).zip(records) {
            let next = state.next;
            let entry = Entry {
                record: Arc::new(record),
                time,
                since,
                ledger: Arc::clone(ledger),
                number,
            };
            state.entries.insert(next, entry);
            state.next += 1;
        }
        self.count(&state);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// An entry is confirmed, or refused for good.
    fn settle(&self, state: &mut State, sequence: u64, refusal: Option<Error>) {
        let Some(entry) = state.entries.remove(&sequence) else {
            return;
        };
        state.bytes -= entry.record.size();
        self.count(state);
        let latency = entry.since.elapsed();
        let said = refusal.as_ref().map(ToString::to_string);
        self.counters.update(|statistics| match said {
            None => {
                statistics.written += 1;
                statistics.write_latency.add(latency, 1);
            }
            Some(said) => {
                statistics.refused += 1;
                statistics.errors += 1;
                statistics.last_error = Some(said);
            }
        });
        entry.ledger.settle(entry.number, refusal);
    }

    fn refuse(&self, state: &mut State, sequence: u64, error: Error) {
        tracing::error!("{error}; the record is dropped");
        self.settle(state, sequence, Some(error));
    }

    /// The library does not get an entry after all.
    fn not_handed(&self, record: &Outgoing) {
        let mut state = self.lock();
        state.with_producer = state.with_producer.saturating_sub(1);
        state.bytes_with_producer = state.bytes_with_producer.saturating_sub(record.size());
    }

    /// The library gave an entry back.
    fn delivered(&self, sequence: u64, error: Option<(Code, &str)>, works: impl FnOnce()) {
        let mut state = self.lock();
        state.with_producer = state.with_producer.saturating_sub(1);
        let (size, topic) = match state.entries.get(&sequence) {
            Some(entry) => (entry.record.size(), Arc::clone(&entry.record.topic)),
            None => return,
        };
        state.bytes_with_producer = state.bytes_with_producer.saturating_sub(size);
        match error {
            None => {
                works();
                self.settle(&mut state, sequence, None);
            }
            Some((code, _)) if is_refused(code) => {
                let error = failure::from_code("writing to", &topic, &self.servers, code);
                self.refuse(&mut state, sequence, error);
            }
            Some((code, text)) => {
                let trouble = if failure::is_missing(code) {
                    Trouble::Missing(topic)
                } else {
                    Trouble::Producer(format!("{code}: {text}"))
                };
                // What is purged because of a trouble is not another one.
                if !matches!(code, Code::PurgeQueue | Code::PurgeInflight)
                    || state.trouble.is_none()
                {
                    state.trouble.get_or_insert(trouble);
                }
            }
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// Whether a record is refused, and will be whenever it comes again.
pub(super) fn is_refused(code: Code) -> bool {
    failure::is_forbidden(code)
        || matches!(
            code,
            Code::MessageSizeTooLarge
                | Code::InvalidTopic
                | Code::InvalidRecord
                | Code::MessageBatchTooLarge
                | Code::PolicyViolation
                | Code::InvalidTimestamp
                | Code::UnsupportedForMessageFormat
        )
}

/// Told by the library about every record.
#[derive(Clone)]
struct Deliveries {
    context: Context,
    shared: Arc<Shared>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(Code::Fatal) {
            self.shared
                .lock()
                .trouble
                .get_or_insert(Trouble::Producer(reason.to_owned()));
            self.shared.changed.notify_all();
        }
        self.context.error(error, reason);
    }

    fn stats(&self, statistics: ClientStatistics) {
        self.context.stats(statistics);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, sequence: usize) {
        let text = result
            .as_ref()
            .err()
            .map(|(error, _)| error.to_string())
            .unwrap_or_default();
        let error = result
            .as_ref()
            .err()
            .map(|(error, _)| (error.rdkafka_error_code().unwrap_or(Code::Unknown), &*text));
        self.shared
            .delivered(sequence as u64, error, || self.context.works());
    }
}

impl Pump {
    pub(super) fn start(inner: &Inner) -> Result<Pump, Error> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            counters: Arc::clone(&inner.counters),
            servers: inner.servers.clone(),
            record_limit: inner.options.buffer_records,
            byte_limit: inner.options.buffer_bytes,
        });
        let deliveries = Deliveries {
            context: Context::new(&inner.servers, Arc::clone(&inner.counters)),
            shared: Arc::clone(&shared),
        };
        let work = Work {
            config: client::writing(&inner.servers, &inner.properties),
            deliveries,
            known: HashSet::new(),
            missing_since: HashMap::new(),
            pause: SHORTEST_PAUSE,
            last_trouble: None,
            made_for_these: false,
        };
        let producer = work
            .producer()
            .map_err(|error| failure::creation(&inner.servers, &error))?;
        let spawned = std::thread::Builder::new()
            .name("bus-write".to_owned())
            .spawn(move || work.run(producer));
        spawned.map_err(|error| Error::Failed {
            doing: "starting to write to Kafka".to_owned(),
            cause: error.to_string(),
            hint: None,
        })?;
        Ok(Pump { shared })
    }

    pub(super) fn writer(&self) -> KafkaWriter {
        KafkaWriter {
            shared: Arc::clone(&self.shared),
            ledger: Arc::new(Ledger::new()),
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
    }
}

/// The thread that hands records over.
struct Work {
    config: ClientConfig,
    deliveries: Deliveries,
    /// Topics that were seen to be there.
    known: HashSet<Arc<str>>,
    missing_since: HashMap<Arc<str>, Instant>,
    pause: Duration,
    last_trouble: Option<Instant>,
    /// Whether the producer was made because the one before it could not take the oldest records.
    made_for_these: bool,
}

/// What is to be done next.
enum Next {
    HandOver(Vec<(u64, Arc<Outgoing>, i64)>),
    Renew(Trouble),
    End,
}

impl Work {
    fn producer(&self) -> Result<Producer, KafkaError> {
        ThreadedProducer::from_config_and_context(&self.config, self.deliveries.clone())
    }

    fn run(mut self, mut producer: Producer) {
        let shared = Arc::clone(&self.deliveries.shared);
        loop {
            match next(&shared, &producer) {
                Next::HandOver(entries) => self.hand_over(&producer, entries),
                Next::Renew(trouble) => {
                    let fatal = producer.client().fatal_error();
                    drop(producer);
                    if let Some((code, _)) = fatal.filter(|(code, _)| failure::is_forbidden(*code))
                    {
                        refuse_handed(&shared, code);
                    }
                    match self.renew(trouble) {
                        Some(renewed) => producer = renewed,
                        None => return,
                    }
                }
                Next::End => return,
            }
        }
    }

    /// Gives entries to the producer, as far as it takes them.
    fn hand_over(&mut self, producer: &Producer, entries: Vec<(u64, Arc<Outgoing>, i64)>) {
        let shared = Arc::clone(&self.deliveries.shared);
        let mut entries = entries.into_iter();
        if let Some((code, text)) = producer.client().fatal_error() {
            // It failed before it had anything of these. They are refused if it was made for them, else they get another.
            if !(failure::is_forbidden(code) && self.made_for_these)
                && let Some((sequence, record, _)) = entries.next()
            {
                take_back(&shared, sequence, &record, entries);
            } else {
                entries.for_each(|(_, record, _)| shared.not_handed(&record));
            }
            shared.lock().trouble.get_or_insert(Trouble::Producer(text));
            return;
        }
        let mut refused: HashMap<Arc<str>, Error> = HashMap::new();
        while let Some((sequence, record, time)) = entries.next() {
            if !self.known.contains(&record.topic) && !refused.contains_key(&record.topic) {
                match self.look_for(producer, &record.topic) {
                    Ok(()) => drop(self.known.insert(Arc::clone(&record.topic))),
                    Err(Some(error)) => drop(refused.insert(Arc::clone(&record.topic), error)),
                    // No broker answers: this one and those after it stay where they are.
                    Err(None) => return take_back(&shared, sequence, &record, entries),
                }
            }
            if let Some(error) = refused.get(&record.topic) {
                shared.not_handed(&record);
                shared.refuse(&mut shared.lock(), sequence, error.clone());
                continue;
            }
            let mut message = BaseRecord::with_opaque_to(
                &record.topic,
                usize::try_from(sequence).unwrap_or_default(),
            )
            .partition(0)
            .key(&record.key)
            .timestamp(time);
            if let Some(value) = &record.value {
                message = message.payload(value);
            }
            let Err((error, _)) = producer.send(message) else {
                continue;
            };
            let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
            if code == Code::QueueFull {
                take_back(&shared, sequence, &record, entries);
                std::thread::sleep(Duration::from_millis(5));
                return;
            }
            shared.delivered(sequence, Some((code, &error.to_string())), || {});
            if !is_refused(code) {
                // In the order: nothing goes past this one.
                if let Some((sequence, record, _)) = entries.next() {
                    take_back(&shared, sequence, &record, entries);
                }
                return;
            }
        }
    }

    /// Whether a topic is there: yes, no with the reason, or that nobody knows.
    fn look_for(&self, producer: &Producer, topic: &Arc<str>) -> Result<(), Option<Error>> {
        let shared = &self.deliveries.shared;
        let short = Duration::from_secs(2);
        match topics::check(producer.client(), topic, &shared.servers, short) {
            Ok(()) => Ok(()),
            Err(error @ Error::NoTopic { .. }) => Err(Some(error)),
            Err(Error::Failed { cause, .. }) if cause == "no broker answers" => Err(None),
            Err(error) => {
                tracing::debug!("{error}");
                let refused = matches!(&error, Error::Failed { hint: Some(_), .. });
                Err(refused.then_some(error))
            }
        }
    }

    /// After a trouble, when all is back: what is to be refused is, and a new producer begins with the oldest of the rest.
    fn renew(&mut self, trouble: Trouble) -> Option<Producer> {
        let shared = Arc::clone(&self.deliveries.shared);
        let text = match &trouble {
            Trouble::Missing(topic) => failure::missing(topic, &shared.servers).to_string(),
            Trouble::Producer(text) => text.clone(),
        };
        shared.counters.update(|statistics| {
            statistics.errors += 1;
            statistics.last_error = Some(text.clone());
        });
        tracing::warn!("writing to Kafka `{}` begins anew: {text}", shared.servers);
        // One that is long past has nothing to do with this one.
        if self
            .last_trouble
            .replace(Instant::now())
            .is_none_or(|last| last.elapsed() > PATIENCE)
        {
            self.pause = SHORTEST_PAUSE;
            self.missing_since.clear();
        }
        if let Trouble::Missing(topic) = trouble {
            self.known.remove(&topic);
            let since = *self
                .missing_since
                .entry(Arc::clone(&topic))
                .or_insert_with(Instant::now);
            if since.elapsed() >= PATIENCE {
                self.missing_since.remove(&topic);
                let mut state = shared.lock();
                let of_topic = |(sequence, entry): (&u64, &Entry)| {
                    (entry.record.topic == topic).then_some(*sequence)
                };
                for sequence in state
                    .entries
                    .iter()
                    .filter_map(of_topic)
                    .collect::<Vec<_>>()
                {
                    shared.refuse(
                        &mut state,
                        sequence,
                        failure::missing(&topic, &shared.servers),
                    );
                }
            } else {
                // Handing it over, it is not asked whether it is there: that is known for a while longer.
                self.known.insert(topic);
            }
        }
        loop {
            let state = shared.lock();
            let waited = shared
                .changed
                .wait_timeout_while(state, self.pause, |state| !state.closing);
            if waited.unwrap_or_else(PoisonError::into_inner).0.closing {
                return None;
            }
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            match self.producer() {
                Ok(producer) => {
                    let mut state = shared.lock();
                    state.trouble = None;
                    state.handed = state.entries.keys().next().copied().unwrap_or(state.next);
                    (state.with_producer, state.bytes_with_producer) = (0, 0);
                    return Some(producer);
                }
                Err(error) => tracing::error!("{}", failure::creation(&shared.servers, &error)),
            }
        }
    }
}

/// Waits for something to do.
fn next(shared: &Shared, producer: &Producer) -> Next {
    let mut state = shared.lock();
    let mut closing_since = None;
    let mut purged = false;
    loop {
        if let Some(trouble) = state.trouble.clone() {
            // Without a record nobody needs a new one.
            if state.with_producer == 0 && !state.entries.is_empty() {
                return Next::Renew(trouble);
            }
            if state.with_producer > 0 && !std::mem::replace(&mut purged, true) {
                // What was not sent yet comes back at once; what was, when its fate is known.
                drop(state);
                producer.purge(PurgeConfig::default().queue());
                state = shared.lock();
                continue;
            }
        } else if state.handed < state.next
            && state.with_producer < HANDED_RECORDS
            && state.bytes_with_producer < HANDED_BYTES
        {
            let handed = state.handed;
            let batch: Vec<_> = state
                .entries
                .range(handed..)
                .take(HAND_OVER)
                .map(|(sequence, entry)| (*sequence, Arc::clone(&entry.record), entry.time))
                .collect();
            state.handed = batch.last().map_or(state.next, |(last, ..)| last + 1);
            state.with_producer += batch.len();
            state.bytes_with_producer += batch
                .iter()
                .map(|(_, record, _)| record.size())
                .sum::<usize>();
            return Next::HandOver(batch);
        }
        if state.closing {
            let since = *closing_since.get_or_insert_with(Instant::now);
            if state.entries.is_empty() || since.elapsed() >= LAST_MOMENTS {
                for entry in std::mem::take(&mut state.entries).into_values() {
                    entry.ledger.close(Error::Closed);
                }
                return Next::End;
            }
            let waited = shared
                .changed
                .wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        } else {
            state = shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The producer may not write at all: it may write to no topic, and brokers before 2.8 want a right of its own for that.
/// What it had is refused; what came later gets a new one, which may have been allowed meanwhile. Tells how many were refused.
fn refuse_handed(shared: &Shared, code: Code) -> usize {
    let mut state = shared.lock();
    let handed = state.handed;
    let sequences: Vec<_> = state
        .entries
        .range(..handed)
        .map(|(sequence, _)| *sequence)
        .collect();
    for sequence in &sequences {
        let Some(topic) = state
            .entries
            .get(sequence)
            .map(|entry| Arc::clone(&entry.record.topic))
        else {
            continue;
        };
        let hint = format!(
            "kafka-acls.sh --bootstrap-server {} --add --allow-principal User:NAME --operation idempotent-write --cluster",
            shared.servers
        );
        let cause = format!("the broker forbids idempotent writing ({code})");
        let error = failure::failed("writing to", &topic, &shared.servers, &cause, Some(hint));
        shared.refuse(&mut state, *sequence, error);
    }
    sequences.len()
}

/// This entry and those after it were not handed over after all.
fn take_back(
    shared: &Shared,
    sequence: u64,
    record: &Outgoing,
    rest: impl Iterator<Item = (u64, Arc<Outgoing>, i64)>,
) {
    let (count, bytes) = rest.fold((1, record.size()), |(count, bytes), (_, record, _)| {
        (count + 1, bytes + record.size())
    });
    let mut state = shared.lock();
    state.handed = state.handed.min(sequence);
    state.with_producer = state.with_producer.saturating_sub(count);
    state.bytes_with_producer = state.bytes_with_producer.saturating_sub(bytes);
}

pub(super) struct KafkaWriter {
    shared: Arc<Shared>,
    ledger: Arc<Ledger>,
}

impl Writer for KafkaWriter {
    fn send(&self, records: Vec<Outgoing>) -> Result<(), Error> {
        records.iter().try_for_each(Outgoing::check)?;
        self.shared.put(records, &self.ledger)
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.ledger.flush().boxed()
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::Bus as _;
    use crate::kafka::properties::Properties;
    use crate::kafka::{Kafka, Options};

    /// Whatever the producer is doing at that moment.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_producer_that_is_replaced_again_and_again_leaves_no_gap_and_keeps_the_order() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("T", 1, 1).unwrap();
        let topic: Arc<str> = "T".into();
        let bus = Kafka::connect(
            &cluster.bootstrap_servers(),
            &Properties::default(),
            Options::default(),
        )
        .await
        .unwrap();
        let writer = bus.writer().await.unwrap();
        let shared = Arc::clone(&bus.inner.writing.get().unwrap().shared);
        for number in 0..3000 {
            let value = Some(number.to_string());
            writer
                .send(vec![Outgoing {
                    topic: Arc::clone(&topic),
                    key: (number % 7).to_string(),
                    value,
                }])
                .unwrap();
            if number % 500 == 250 {
                shared.lock().trouble = Some(Trouble::Producer("the test wants it".to_owned()));
                shared.changed.notify_all();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        tokio::time::timeout(Duration::from_mins(1), writer.flush())
            .await
            .unwrap()
            .unwrap();
        let mut reader = bus.read(&[(topic, crate::From::Beginning)]).await.unwrap();
        let mut expected = 0;
        while !reader.has_caught_up() {
            for record in reader.next().await.unwrap() {
                let number: u64 = record.value.unwrap().parse().unwrap();
                // what was on its way may come twice, nothing is left out
                assert!(number <= expected, "{number} instead of {expected}");
                expected = expected.max(number + 1);
            }
        }
        assert_eq!(
            (
                expected,
                bus.statistics().written,
                bus.statistics().buffered_records
            ),
            (3000, 3000, 0)
        );
        assert!(bus.statistics().errors >= 2, "no producer was replaced");
    }
}
