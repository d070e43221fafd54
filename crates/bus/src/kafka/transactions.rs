//! Writing with a right that one has at a time: transactions under one transactional id.
//!
//! What is given to the writer at once is in one transaction; what waits meanwhile goes with the next. Every transaction
//! carries a mark with a number on a topic of the holder's: when nobody says whether a transaction was committed (the
//! brokers were away too long, the producer had to be made anew), the newest mark does. So nothing is written twice, and
//! nothing is left out.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics as ClientStatistics;
use rdkafka::{Offset, TopicPartitionList};

use super::client::{self, Context};
use super::writer::is_refused;
use super::{Inner, failure};
use crate::counters::Counters;
use crate::ledger::Ledger;
use crate::{Error, Fence, Outgoing, Writer};

/// The most records and bytes of one transaction; more only if they belong together.
const TURN_RECORDS: usize = 2000;
const TURN_BYTES: usize = 4 * 1024 * 1024;
/// After so long without a word of the holder the brokers end its transaction.
const TRANSACTION_TIMEOUT: &str = "10000";
/// How long one question to the brokers may take before it is asked again.
const QUESTION: Duration = Duration::from_secs(5);
/// How long the right is waited for before it is asked for again.
const ASKING: Duration = Duration::from_millis(50);
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long what is left is tried to be written when the writer is dropped.
const LAST_MOMENTS: Duration = Duration::from_secs(3);
/// The mark among the records of a transaction.
const MARK: usize = usize::MAX;

type Producer = ThreadedProducer<Deliveries>;

/// What waits to be written.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    counters: Arc<Counters>,
    name: Arc<str>,
    record_limit: usize,
    byte_limit: usize,
}

#[derive(Default)]
struct State {
    steps: VecDeque<Step>,
    records: usize,
    bytes: usize,
    closing: Option<Instant>,
    over: Option<Error>,
}

/// What was given at once.
#[derive(Clone)]
struct Step {
    entries: Vec<Entry>,
    since: Instant,
    /// Milliseconds since 1970.
    time: i64,
    ledger: Arc<Ledger>,
}

#[derive(Clone)]
struct Entry {
    record: Arc<Outgoing>,
    number: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, state: &State) {
        self.counters.update(|statistics| {
            statistics.buffered_records = state.records as u64;
            statistics.buffered_bytes = state.bytes as u64;
        });
    }

    fn put(&self, records: Vec<Outgoing>, ledger: &Arc<Ledger>) -> Result<(), Error> {
        let bytes: usize = records.iter().map(Outgoing::size).sum();
        let mut state = self.lock();
        if let Some(error) = &state.over {
            return Err(error.clone());
        }
        if state.records + records.len() > self.record_limit
            || state.bytes + bytes > self.byte_limit
        {
            self.counters
                .update(|statistics| statistics.overflowed += records.len() as u64);
            return Err(Error::Full {
                records: state.records,
            });
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        state.records += records.len();
        state.bytes += bytes;
        let first = ledger.enter(records.len());
        let entries = (first..)
            .zip(records)
            .map(|(number, record)| Entry {
                record: Arc::new(record),
                number,
            })
            .collect();
        state.steps.push_back(Step {
            entries,
            since: Instant::now(),
            time: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
            ledger: Arc::clone(ledger),
        });
        self.count(&state);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for steps and gives those of the next transaction, which stay here until they are settled; none at the end.
    fn next(&self) -> Vec<Step> {
        let mut state = self.lock();
        while state.steps.is_empty() && state.closing.is_none() {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let (mut records, mut bytes) = (0, 0);
        let is_in = |step: &&Step| {
            records += step.entries.len();
            bytes += step
                .entries
                .iter()
                .map(|entry| entry.record.size())
                .sum::<usize>();
            records == step.entries.len() || (records <= TURN_RECORDS && bytes <= TURN_BYTES)
        };
        state.steps.iter().take_while(is_in).cloned().collect()
    }

    /// The oldest steps are written.
    fn settle(&self, steps: usize) {
        let mut state = self.lock();
        for _ in 0..steps {
            let Some(step) = state.steps.pop_front() else {
                break;
            };
            let latency = step.since.elapsed();
            state.records -= step.entries.len();
            self.counters.update(|statistics| {
                statistics.written += step.entries.len() as u64;
                statistics
                    .write_latency
                    .add(latency, step.entries.len() as u64);
            });
            for entry in &step.entries {
                state.bytes -= entry.record.size();
                step.ledger.settle(entry.number, None);
            }
        }
        self.count(&state);
    }

    /// One record of the oldest steps is refused, and will be whenever it comes again.
    fn refuse(&self, index: usize, error: Error) {
        tracing::error!("{error}; the record is dropped");
        let mut state = self.lock();
        let mut left = index;
        let found = state.steps.iter_mut().find_map(|step| {
            if left < step.entries.len() {
                return Some((step.entries.remove(left), Arc::clone(&step.ledger)));
            }
            left -= step.entries.len();
            None
        });
        let Some((entry, ledger)) = found else { return };
        state.records -= 1;
        state.bytes -= entry.record.size();
        self.counters.update(|statistics| {
            statistics.refused += 1;
            statistics.errors += 1;
            statistics.last_error = Some(error.to_string());
        });
        ledger.settle(entry.number, Some(error));
    }

    /// Nothing more is written.
    fn end(&self, error: &Error) {
        let mut state = self.lock();
        state.over.get_or_insert_with(|| error.clone());
        for step in std::mem::take(&mut state.steps) {
            step.ledger.close(error.clone());
        }
        (state.records, state.bytes) = (0, 0);
        self.count(&state);
    }

    fn is_over_time(&self) -> bool {
        self.lock()
            .closing
            .is_some_and(|since| since.elapsed() > LAST_MOMENTS)
    }
}

/// Told by the library about records and errors.
#[derive(Clone)]
struct Deliveries {
    context: Context,
    /// The first record that is refused for good.
    refused: Arc<Mutex<Option<(usize, Code)>>>,
    /// Where the newest mark is.
    marked: Arc<AtomicI64>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }

    fn stats(&self, statistics: ClientStatistics) {
        self.context.stats(statistics);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        match result {
            Ok(message) => {
                self.context.works();
                if index == MARK {
                    self.marked.store(message.offset(), Ordering::Release);
                }
            }
            Err((error, _message)) => {
                let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
                if index != MARK && (is_refused(code) || failure::is_missing(code)) {
                    let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                    refused.get_or_insert((index, code));
                }
            }
        }
    }
}

/// How a transaction ended.
enum Ended {
    Committed,
    /// It was taken back; it can be tried again.
    Aborted(String),
    /// Nobody knows, or the producer cannot go on.
    Unknown(String),
}

/// What the thread of a writer has.
struct Work {
    config: ClientConfig,
    reading: ClientConfig,
    deliveries: Deliveries,
    shared: Arc<Shared>,
    servers: String,
    fence: Fence,
    /// Told apart from all others who had the right.
    holder: String,
    sequence: u64,
}

/// Takes the right; waits for brokers as long as `patience`.
pub(super) fn take(inner: &Inner, fence: &Fence) -> Result<Box<dyn Writer>, Error> {
    let mut config = client::writing(&inner.servers, &inner.properties);
    config
        .set("transactional.id", &*fence.name)
        .set("transaction.timeout.ms", TRANSACTION_TIMEOUT)
        .set("message.timeout.ms", TRANSACTION_TIMEOUT)
        // the library wants a request to be over before the transaction is
        .set("socket.timeout.ms", TRANSACTION_TIMEOUT);
    let group = format!("Alarm-{}", fence.name);
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        changed: Condvar::new(),
        counters: Arc::clone(&inner.counters),
        name: Arc::clone(&fence.name),
        record_limit: inner.options.buffer_records,
        byte_limit: inner.options.buffer_bytes,
    });
    let mut work = Work {
        config,
        reading: client::reading(&inner.servers, &inner.properties, &group),
        deliveries: Deliveries {
            context: Context::new(&inner.servers, Arc::clone(&inner.counters)),
            refused: Arc::default(),
            marked: Arc::new(AtomicI64::new(-1)),
        },
        shared: Arc::clone(&shared),
        servers: inner.servers.clone(),
        fence: fence.clone(),
        holder: format!("{:016x}", RandomState::new().hash_one(&fence.holder)),
        sequence: 0,
    };
    let deadline = Instant::now() + inner.options.connection_timeout;
    let producer = work.begin(|| Instant::now() < deadline)?;
    // whoever had the right before sees from now on that it is gone
    match work.transact(&producer, &[]) {
        Ended::Committed => {}
        Ended::Aborted(_) | Ended::Unknown(_) if is_fenced(&producer) => return Err(work.fenced()),
        Ended::Aborted(why) | Ended::Unknown(why) => return Err(work.failed(&why, None)),
    }
    let spawned = std::thread::Builder::new()
        .name("bus-transact".to_owned())
        .spawn(move || work.run(producer));
    spawned.map_err(|error| Error::Failed {
        doing: "starting to write to Kafka".to_owned(),
        cause: error.to_string(),
        hint: None,
    })?;
    Ok(Box::new(TransactionalWriter {
        shared,
        ledger: Arc::new(Ledger::new()),
    }))
}

impl Work {
    fn failed(&self, cause: &str, hint: Option<String>) -> Error {
        Error::Failed {
            doing: format!("taking `{}` on Kafka `{}`", self.fence.name, self.servers),
            cause: cause.to_owned(),
            hint,
        }
    }

    fn fenced(&self) -> Error {
        Error::Fenced {
            name: Arc::clone(&self.shared.name),
        }
    }

    /// A producer that has the right, which ends every transaction of those before.
    fn begin(&self, may_go_on: impl Fn() -> bool) -> Result<Producer, Error> {
        loop {
            let producer: Producer =
                ThreadedProducer::from_config_and_context(&self.config, self.deliveries.clone())
                    .map_err(|error| failure::creation(&self.servers, &error))?;
            let error = match initialize(&producer) {
                Ok(()) => return Ok(producer),
                Err(error) => error,
            };
            let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
            if code == Code::TransactionalIdAuthorizationFailed {
                let hint = format!(
                    "kafka-acls.sh --bootstrap-server {} --add --allow-principal User:NAME --operation write --operation describe --transactional-id {}",
                    self.servers, self.fence.name
                );
                return Err(self.failed("the broker forbids this transactional id", Some(hint)));
            }
            if !may_go_on() {
                return Err(self.failed(&error.to_string(), None));
            }
            tracing::debug!("`{}` cannot be taken yet: {error}", self.fence.name);
            std::thread::sleep(SHORTEST_PAUSE);
        }
    }

    fn run(mut self, mut producer: Producer) {
        let shared = Arc::clone(&self.shared);
        let mut pause = SHORTEST_PAUSE;
        loop {
            let steps = shared.next();
            if steps.is_empty() {
                shared.end(&Error::Closed);
                return;
            }
            match self.transact(&producer, &steps) {
                Ended::Committed => {
                    shared.settle(steps.len());
                    pause = SHORTEST_PAUSE;
                    continue;
                }
                Ended::Aborted(why) => {
                    tracing::debug!("a transaction of `{}` is repeated: {why}", self.fence.name);
                    self.refuse(&steps);
                }
                Ended::Unknown(why) => {
                    tracing::warn!("writing to Kafka `{}` begins anew: {why}", self.servers);
                    drop(producer);
                    match self.begin_again(steps.len()) {
                        Ok(new) => producer = new,
                        Err(error) => {
                            shared.end(&error);
                            return;
                        }
                    }
                }
            }
            if shared.is_over_time() {
                shared.end(&Error::Closed);
                return;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// What no broker takes is taken out, so that the rest of the transaction can be written.
    fn refuse(&self, steps: &[Step]) {
        let refused = self
            .deliveries
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some((index, code)) = refused else { return };
        let mut entries = steps.iter().flat_map(|step| &step.entries);
        if let Some(entry) = entries.nth(index) {
            let topic = &entry.record.topic;
            let error = failure::from_code("writing to", topic, &self.servers, code);
            self.shared.refuse(index, error);
        }
    }

    /// One transaction with these, and a mark.
    fn transact(&mut self, producer: &Producer, steps: &[Step]) -> Ended {
        if let Err(error) = producer.begin_transaction() {
            return Ended::Unknown(error.to_string());
        }
        self.sequence += 1;
        let mark_key = mark_key(&self.fence.name);
        let mark = format!(
            r#"{{"holder":"{}","sequence":{}}}"#,
            self.holder, self.sequence
        );
        let entries = steps
            .iter()
            .flat_map(|step| step.entries.iter().map(|entry| (&*entry.record, step.time)));
        for (index, (record, time)) in entries.enumerate() {
            let mut message = BaseRecord::with_opaque_to(&record.topic, index)
                .partition(0)
                .key(&record.key)
                .timestamp(time);
            if let Some(value) = &record.value {
                message = message.payload(value);
            }
            if let Err(error) = send(producer, message) {
                let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
                if is_refused(code) {
                    let mut refused = self
                        .deliveries
                        .refused
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    refused.get_or_insert((index, code));
                }
                return abort(producer, &error);
            }
        }
        let message = BaseRecord::with_opaque_to(&self.fence.topic, MARK)
            .partition(0)
            .key(&mark_key)
            .payload(&mark);
        if let Err(error) = send(producer, message) {
            return abort(producer, &error);
        }
        loop {
            let error = match producer.commit_transaction(QUESTION) {
                Ok(()) => return Ended::Committed,
                Err(error) => error,
            };
            match &error {
                KafkaError::Transaction(of) if of.txn_requires_abort() => {
                    return abort(producer, &error);
                }
                // the same question again: it goes on where it was, and ends when the records' own time is over
                KafkaError::Transaction(of) if of.is_retriable() => {}
                KafkaError::Flush(Code::OperationTimedOut) => {}
                _ => return Ended::Unknown(error.to_string()),
            }
            if self.shared.is_over_time() {
                return Ended::Unknown(error.to_string());
            }
        }
    }

    /// After a failure that leaves open what is written: a new producer, if nobody else has the right by now, with the
    /// oldest steps settled if they were written after all.
    fn begin_again(&mut self, steps: usize) -> Result<Producer, Error> {
        let until_written = || !self.shared.is_over_time();
        self.newest_mark(until_written)?;
        let producer = self.begin(until_written)?;
        // from here on nothing of before can be written any more
        let newest = self.newest_mark(until_written)?;
        let is_written = newest == Some(self.sequence);
        tracing::info!(
            "`{}` is still ours; what was under way {}",
            self.fence.name,
            if is_written {
                "is written"
            } else {
                "is written again"
            }
        );
        if is_written {
            self.shared.settle(steps);
        }
        Ok(producer)
    }

    /// The number of the newest mark that is written, if it is ours.
    fn newest_mark(&self, may_go_on: impl Fn() -> bool) -> Result<Option<u64>, Error> {
        loop {
            match self.read_mark() {
                Ok(Some((holder, _))) if holder != self.holder => return Err(self.fenced()),
                Ok(mark) => return Ok(mark.map(|(_, sequence)| sequence)),
                Err(error) if may_go_on() => {
                    tracing::debug!("the newest mark of `{}`: {error}", self.fence.name);
                    std::thread::sleep(LONGEST_PAUSE);
                }
                Err(error) => return Err(self.failed(&error.to_string(), None)),
            }
        }
    }

    fn read_mark(&self) -> Result<Option<(String, u64)>, KafkaError> {
        let consumer: BaseConsumer<Context> =
            BaseConsumer::from_config_and_context(&self.reading, self.deliveries.context.clone())?;
        // A broker that has come back, or has just become the leader of the topic, does not know at once how far it is written,
        // and would show an end that is too early. This question it answers only when it knows.
        consumer.fetch_watermarks(&self.fence.topic, 0, QUESTION)?;
        let from = match self.deliveries.marked.load(Ordering::Acquire) {
            offset if offset < 0 => Offset::Beginning,
            // where the newest mark was that is known; later ones come after it
            offset => Offset::Offset(offset),
        };
        let mut places = TopicPartitionList::new();
        places.add_partition_offset(&self.fence.topic, 0, from)?;
        consumer.assign(&places)?;
        let key = mark_key(&self.fence.name);
        let mut newest = None;
        let mut last = Instant::now();
        while last.elapsed() < QUESTION {
            match consumer.poll(Duration::from_millis(100)) {
                None => {}
                Some(Ok(message)) => {
                    last = Instant::now();
                    if message.key() == Some(key.as_bytes()) {
                        newest = message.payload().and_then(mark);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(newest),
                Some(Err(error)) => return Err(error),
            }
        }
        Err(KafkaError::MessageConsumption(Code::OperationTimedOut))
    }
}

/// Asks for the right until the producer has it, as long as one question may take.
///
/// The library looks again after half a second when it has no connection yet, or while the brokers end a transaction of
/// the one before; called again it looks at once, and nobody speaks meanwhile.
fn initialize(producer: &Producer) -> Result<(), KafkaError> {
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        match producer.init_transactions(ASKING) {
            Err(KafkaError::Transaction(of))
                if of.is_retriable()
                    && of.code() != Code::TransactionalIdAuthorizationFailed
                    && begun.elapsed() < QUESTION =>
            {
                std::thread::sleep(ASKING.saturating_sub(asked.elapsed()));
            }
            ended => return ended,
        }
    }
}

/// Whether another producer has the transactional id by now.
fn is_fenced(producer: &Producer) -> bool {
    let fatal = producer.client().fatal_error();
    fatal.is_some_and(|(code, _why)| {
        matches!(
            code,
            Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch
        )
    })
}

fn mark_key(name: &str) -> String {
    format!("fence:{name}")
}

/// `{"holder":"H","sequence":N}`, as it was written here.
fn mark(text: &[u8]) -> Option<(String, u64)> {
    let text = std::str::from_utf8(text).ok()?;
    let (holder, sequence) = text
        .strip_prefix(r#"{"holder":""#)?
        .strip_suffix('}')?
        .split_once(r#"","sequence":"#)?;
    Some((holder.to_owned(), sequence.parse().ok()?))
}

/// The library's own buffer is larger than a transaction, but for one that belongs together.
fn send(
    producer: &Producer,
    mut message: BaseRecord<'_, String, String, usize>,
) -> Result<(), KafkaError> {
    loop {
        match producer.send(message) {
            Ok(()) => return Ok(()),
            Err((error, back)) if error.rdkafka_error_code() == Some(Code::QueueFull) => {
                message = back;
                std::thread::sleep(Duration::from_millis(5));
            }
            Err((error, _back)) => return Err(error),
        }
    }
}

fn abort(producer: &Producer, error: &KafkaError) -> Ended {
    loop {
        match producer.abort_transaction(QUESTION) {
            Ok(()) => return Ended::Aborted(error.to_string()),
            Err(KafkaError::Transaction(of)) if of.is_retriable() => {}
            Err(_) => return Ended::Unknown(error.to_string()),
        }
    }
}

struct TransactionalWriter {
    shared: Arc<Shared>,
    ledger: Arc<Ledger>,
}

impl Writer for TransactionalWriter {
    fn send(&self, records: Vec<Outgoing>) -> Result<(), Error> {
        records.iter().try_for_each(Outgoing::check)?;
        if records.is_empty() {
            return Ok(());
        }
        self.shared.put(records, &self.ledger)
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.ledger.flush().boxed()
    }
}

impl Drop for TransactionalWriter {
    fn drop(&mut self) {
        self.shared.lock().closing = Some(Instant::now());
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_read_back() {
        assert_eq!(
            mark(br#"{"holder":"ab","sequence":7}"#),
            Some(("ab".to_owned(), 7))
        );
        for junk in ["", "{}", r#"{"holder":"ab","sequence":x}"#] {
            assert_eq!(mark(junk.as_bytes()), None, "{junk}");
        }
    }
}
