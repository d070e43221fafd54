//! Writing: one thread per process that writes what arrived while the disk was busy with the turn before.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rusqlite::{CachedStatement, Connection, TransactionBehavior, params};

use super::fence::{self, Taken};
use super::{Inner, file, wake};
use crate::counters::Counters;
use crate::ledger::Ledger;
use crate::{Error, Outgoing, Writer};

/// The most records and bytes of one turn: what a turn costs bounds how long the next one waits.
const TURN_RECORDS: usize = 4000;
const TURN_BYTES: usize = 8 * 1024 * 1024;

/// The longest pause before a failed turn is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What waits to be written, of all writers of this process, in the order in which it came.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    arrived: Condvar,
    record_limit: usize,
    byte_limit: usize,
}

#[derive(Debug, Default)]
struct QueueState {
    entries: VecDeque<Entry>,
    /// Those that the current turn writes are counted too.
    records: usize,
    bytes: usize,
    closing: bool,
    /// Why nothing can be written any more.
    broken: Option<Error>,
}

#[derive(Debug)]
struct Entry {
    record: Outgoing,
    /// Milliseconds since 1970.
    time: i64,
    since: Instant,
    ledger: Arc<Ledger>,
    number: u64,
    /// The right with which it is written.
    taken: Option<Arc<Taken>>,
    /// Those that are written together have the same; 0 is none.
    group: u64,
}

impl Queue {
    pub(super) fn new(record_limit: usize, byte_limit: usize) -> Queue {
        Queue {
            state: Mutex::default(),
            arrived: Condvar::new(),
            record_limit,
            byte_limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(
        &self,
        records: Vec<Outgoing>,
        ledger: &Arc<Ledger>,
        taken: Option<&Arc<Taken>>,
        counters: &Counters,
    ) -> Result<(), Error> {
        let bytes: usize = records.iter().map(Outgoing::size).sum();
        let mut state = self.lock();
        if let Some(error) = &state.broken {
            return Err(error.clone());
        }
        if state.records + records.len() > self.record_limit
            || state.bytes + bytes > self.byte_limit
        {
            counters.update(|statistics| statistics.overflowed += records.len() as u64);
            return Err(Error::Full {
                records: state.records,
            });
        }
        state.records += records.len();
        state.bytes += bytes;
        counters.update(|statistics| {
            statistics.buffered_records = state.records as u64;
            statistics.buffered_bytes = state.bytes as u64;
        });
        let (time, since) = (milliseconds(SystemTime::now()), Instant::now());
        let first = ledger.enter(records.len());
        let group = fence::group(&records, taken);
        let entry = |(number, record)| Entry {
            record,
            time,
            since,
            ledger: Arc::clone(ledger),
            number,
            taken: taken.cloned(),
            group,
        };
        state.entries.extend((first..).zip(records).map(entry));
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for entries and gives those of the next turn; none when the queue is closed and empty.
    fn take(&self) -> Vec<Entry> {
        let mut state = self.lock();
        while state.entries.is_empty() && !state.closing {
            state = self
                .arrived
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let (mut count, mut bytes) = (0_usize, 0);
        for entry in state.entries.iter().take(TURN_RECORDS) {
            bytes += entry.record.size();
            if count > 0 && bytes > TURN_BYTES {
                break;
            }
            count += 1;
        }
        // what belongs together is not cut
        while let (Some(last), Some(next)) = (
            state.entries.get(count.wrapping_sub(1)),
            state.entries.get(count),
        ) && last.group != 0
            && last.group == next.group
        {
            count += 1;
        }
        state.entries.drain(..count).collect()
    }

    /// Waits before a turn is tried again; false if the queue was closed.
    fn pause(&self, pause: Duration) -> bool {
        let state = self.lock();
        let waited = self
            .arrived
            .wait_timeout_while(state, pause, |state| !state.closing);
        !waited.unwrap_or_else(PoisonError::into_inner).0.closing
    }

    /// Writes what is there and then ends.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.arrived.notify_all();
    }

    /// Nothing can be written any more: for what waits and for what will come.
    pub(super) fn break_off(&self, error: &Error) {
        let mut state = self.lock();
        if state.broken.is_some() {
            return;
        }
        tracing::error!("{error}; the bus takes no more records");
        state.broken = Some(error.clone());
        for entry in state.entries.drain(..) {
            entry.ledger.close(error.clone());
        }
    }

    pub(super) fn broken(&self) -> Option<Error> {
        self.lock().broken.clone()
    }
}

fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Where a topic ends while a turn is written.
struct End<'names, 'connection> {
    name: &'names Arc<str>,
    next: u64,
    insert: CachedStatement<'connection>,
}

/// The writing thread.
pub(super) struct Turn {
    path: PathBuf,
    connection: Connection,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    wake: Arc<wake::Wake>,
    /// Topics are never removed, so their numbers hold.
    topics: HashMap<Arc<str>, i64>,
}

impl Turn {
    pub(super) fn new(
        path: &Path,
        connection: Connection,
        queue: Arc<Queue>,
        counters: Arc<Counters>,
        wake: Arc<wake::Wake>,
    ) -> Turn {
        Turn {
            path: path.to_owned(),
            connection,
            queue,
            counters,
            wake,
            topics: HashMap::new(),
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let entries = self.queue.take();
            if entries.is_empty() {
                return;
            }
            if let Err(error) = self.until_written(&entries) {
                self.queue.break_off(&error);
                for entry in &entries {
                    entry.ledger.close(error.clone());
                }
                return;
            }
        }
    }

    /// Writes entries, however often that takes. Fails if it will never work, or if the bus is closed before it does.
    fn until_written(&mut self, entries: &[Entry]) -> Result<(), Error> {
        let mut pause = Duration::from_millis(20);
        let patience = Instant::now() + fence::PATIENCE;
        loop {
            if let Some(error) = self.queue.broken() {
                return Err(error);
            }
            let error = match self.write(entries) {
                Ok(refusals) => {
                    self.settle(entries, refusals);
                    return Ok(());
                }
                Err(error) => error,
            };
            if file::is_busy(&error) && Instant::now() < patience {
                // nobody keeps the leader from writing
                if entries.iter().any(|entry| entry.taken.is_some()) {
                    fence::end_stopped_writer(&self.path);
                }
                continue;
            }
            let in_words = file::failed("writing to", &self.path, &error);
            if !file::may_pass(&error) {
                return Err(in_words);
            }
            if self.counters.failed(&in_words.to_string()) {
                tracing::error!("{in_words}; this is tried again, records wait meanwhile");
            }
            if !self.queue.pause(pause) {
                return Err(in_words);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Writes entries in one transaction; gives what was refused of them, by index.
    fn write(&mut self, entries: &[Entry]) -> rusqlite::Result<HashMap<usize, Error>> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut refusals = HashMap::new();
        let mut valid: HashMap<*const Taken, bool> = HashMap::new();
        let mut ends: HashMap<i64, End<'_, '_>> = HashMap::new();
        for (index, entry) in entries.iter().enumerate() {
            if let Some(taken) = &entry.taken {
                let valid = match valid.entry(Arc::as_ptr(taken)) {
                    std::collections::hash_map::Entry::Occupied(known) => *known.get(),
                    std::collections::hash_map::Entry::Vacant(vacant) => {
                        *vacant.insert(taken.is_valid(&transaction)?)
                    }
                };
                if !valid {
                    refusals.insert(index, taken.error());
                    continue;
                }
            }
            let name = &entry.record.topic;
            let known = self.topics.get(name).copied();
            let id = match known {
                Some(id) => id,
                None => match file::topic(&transaction, &self.path, name) {
                    Ok(topic) => *self.topics.entry(Arc::clone(name)).or_insert(topic.id),
                    Err(error @ Error::NoTopic { .. }) => {
                        refusals.insert(index, error);
                        continue;
                    }
                    // Whatever it is, the statements below meet it too and say it in their own words.
                    Err(_) => return Err(rusqlite::Error::QueryReturnedNoRows),
                },
            };
            let end = match ends.entry(id) {
                std::collections::hash_map::Entry::Occupied(end) => end.into_mut(),
                std::collections::hash_map::Entry::Vacant(vacant) => {
                    let mut ask =
                        transaction.prepare_cached("SELECT next FROM topic WHERE id = ?1")?;
                    let insert = format!(
                        "INSERT INTO record_{id} (offset, time, key, value) VALUES (?1, ?2, ?3, ?4)"
                    );
                    vacant.insert(End {
                        name,
                        next: ask.query_row([id], |row| row.get(0))?,
                        insert: transaction.prepare_cached(&insert)?,
                    })
                }
            };
            let values = params![end.next, entry.time, entry.record.key, entry.record.value];
            end.insert.execute(values)?;
            end.next += 1;
        }
        let mut written = Vec::with_capacity(ends.len());
        for (id, end) in ends {
            transaction
                .prepare_cached("UPDATE topic SET next = ?2 WHERE id = ?1")?
                .execute(params![id, end.next])?;
            written.push((end.name, end.next));
        }
        transaction.commit()?;
        for (name, next) in written {
            self.counters.ends_at(name, next);
        }
        Ok(refusals)
    }

    /// What was written is told: to readers, then to those who wait for it.
    fn settle(&self, entries: &[Entry], mut refusals: HashMap<usize, Error>) {
        self.wake.all();
        if self.counters.works() {
            tracing::info!("writing to `{}` works again", self.path.display());
        }
        for (index, error) in &refusals {
            let taken = entries.get(*index).and_then(|entry| entry.taken.as_ref());
            if let (Error::Fenced { .. }, Some(taken)) = (error, taken) {
                // whoever has the writer is told
                taken.lost.store(true, Ordering::Release);
            } else {
                tracing::error!("{error}; the record is dropped");
            }
        }
        let refused = refusals.len() as u64;
        let last_error = refusals.values().next().map(ToString::to_string);
        let (records, bytes) = {
            let mut state = self.queue.lock();
            state.records -= entries.len();
            state.bytes -= entries
                .iter()
                .map(|entry| entry.record.size())
                .sum::<usize>();
            (state.records as u64, state.bytes as u64)
        };
        self.counters.update(|statistics| {
            (statistics.buffered_records, statistics.buffered_bytes) = (records, bytes);
            statistics.written += entries.len() as u64 - refused;
            statistics.refused += refused;
            statistics.errors += refused;
            statistics.last_error = last_error.or(statistics.last_error.take());
            let now = Instant::now();
            for (index, entry) in entries.iter().enumerate() {
                if !refusals.contains_key(&index) {
                    statistics
                        .write_latency
                        .add(now.duration_since(entry.since), 1);
                }
            }
        });
        for (index, entry) in entries.iter().enumerate() {
            let refusal = refusals.remove(&index);
            if let Some(error @ Error::Fenced { .. }) = &refusal {
                entry.ledger.close(error.clone());
            }
            entry.ledger.settle(entry.number, refusal);
        }
    }
}

#[derive(Debug)]
pub(super) struct EmbeddedWriter {
    inner: Arc<Inner>,
    ledger: Arc<Ledger>,
    taken: Option<Arc<Taken>>,
}

impl EmbeddedWriter {
    pub(super) fn new(inner: Arc<Inner>, taken: Option<Arc<Taken>>) -> EmbeddedWriter {
        EmbeddedWriter {
            inner,
            taken,
            ledger: Arc::new(Ledger::new()),
        }
    }
}

impl Writer for EmbeddedWriter {
    fn send(&self, records: Vec<Outgoing>) -> Result<(), Error> {
        records.iter().try_for_each(Outgoing::check)?;
        if let Some(taken) = self
            .taken
            .as_ref()
            .filter(|taken| taken.lost.load(Ordering::Acquire))
        {
            return Err(taken.error());
        }
        self.inner.queue.put(
            records,
            &self.ledger,
            self.taken.as_ref(),
            &self.inner.counters,
        )
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.ledger.flush().boxed()
    }
}
