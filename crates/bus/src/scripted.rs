//! A bus in memory that does what a test tells it: holds records back, refuses topics, fails, forgets.
//!
//! Left alone it behaves like the other two; the same tests run over all three. It is not for use outside tests: nothing
//! is written anywhere.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::{
    Bus, Cleanup, Error, Fence, From, Holder, Incoming, Outgoing, Presence, Reader, Statistics,
    TopicPlan, Writer,
};

/// How many records a reader is given at once at most.
const BATCH: usize = 1000;

/// The bus; a copy is the same bus.
#[derive(Debug, Clone)]
pub struct Scripted {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told whenever the state changed.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    topics: BTreeMap<Arc<str>, Topic>,
    /// Taken from writers and not yet written.
    waiting: VecDeque<Waiting>,
    writers: BTreeMap<u64, WriterState>,
    /// How often each right was taken.
    fences: BTreeMap<Arc<str>, u64>,
    next_writer: u64,
    buffer_limit: Option<usize>,
    writes_held: bool,
    reads_held: bool,
    failure: Option<Error>,
    refused: BTreeSet<Arc<str>>,
    time: Option<SystemTime>,
    statistics: Statistics,
}

#[derive(Debug)]
struct Topic {
    cleanup: Cleanup,
    records: VecDeque<Incoming>,
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    writer: u64,
    since: Instant,
    record: Outgoing,
}

#[derive(Debug, Default)]
struct WriterState {
    taken: u64,
    done: u64,
    refusal: Option<Error>,
    /// The right with which it writes, and its number.
    right: Option<(Arc<str>, u64)>,
}

impl Default for Scripted {
    fn default() -> Self {
        Self::new()
    }
}

impl Scripted {
    /// A bus without topics.
    pub fn new() -> Scripted {
        let state = State {
            statistics: Statistics {
                connected: true,
                ..Statistics::default()
            },
            ..State::default()
        };
        Scripted {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: watch::Sender::new(()),
            }),
        }
    }

    /// While held, what writers send stays in their buffer, as if the bus were away. Letting go writes it.
    pub fn hold_writes(&self, held: bool) {
        self.shared.change(|state| {
            if state.writes_held && !held {
                state.statistics.reconnects += 1;
            }
            state.writes_held = held;
            state.statistics.connected = !held;
        });
    }

    /// Lets so many waiting records be written while writes are held.
    pub fn let_through(&self, records: usize) {
        self.shared.change(|state| state.write(records));
    }

    /// While held, readers are given nothing.
    pub fn hold_reads(&self, held: bool) {
        self.shared.change(|state| state.reads_held = held);
    }

    /// How many records wait at most until `send` fails; `None` for no bound.
    pub fn limit_buffer(&self, records: Option<usize>) {
        self.shared.change(|state| state.buffer_limit = records);
    }

    /// Whether records for this topic are refused for good.
    pub fn refuse(&self, topic: &str, refused: bool) {
        self.shared.change(|state| {
            if refused {
                state.refused.insert(topic.into());
            } else {
                state.refused.remove(topic);
            }
        });
    }

    /// Every call but `send` and `flush` fails with this from now on, those that wait included; `None` ends that.
    pub fn fail(&self, failure: Option<Error>) {
        self.shared.change(|state| state.failure = failure);
    }

    /// The time that records get from now on; `None` is the clock's.
    pub fn set_time(&self, time: Option<SystemTime>) {
        self.shared.change(|state| state.time = time);
    }

    /// Appends a record as a foreign writer would, past all that is held, and gives its offset. A topic that is missing
    /// is made.
    pub fn append(&self, topic: &str, key: Option<&str>, value: Option<&str>) -> u64 {
        self.shared.change(|state| {
            let name: Arc<str> = topic.into();
            let topic = state
                .topics
                .entry(Arc::clone(&name))
                .or_insert_with(|| Topic::new(Cleanup::Compact));
            topic.append(
                &name,
                key.map(str::to_owned),
                value.map(str::to_owned),
                state.time,
            )
        })
    }

    /// What a topic holds; empty for one that is missing.
    pub fn records(&self, topic: &str) -> Vec<Incoming> {
        self.shared
            .lock()
            .topics
            .get(topic)
            .map(|topic| topic.records.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// The topics there are.
    pub fn topics(&self) -> Vec<TopicPlan> {
        let state = self.shared.lock();
        state
            .topics
            .iter()
            .map(|(name, topic)| TopicPlan {
                name: Arc::clone(name),
                cleanup: topic.cleanup,
            })
            .collect()
    }

    /// Forgets at once what a topic may forget: of a compact one all but the newest record of each key, of the others
    /// everything.
    pub fn clean(&self, topic: &str) {
        self.shared.change(|state| {
            let Some(topic) = state.topics.get_mut(topic) else {
                return;
            };
            match topic.cleanup {
                Cleanup::Delete => topic.records.clear(),
                Cleanup::Compact => {
                    let mut seen = HashSet::new();
                    let mut kept: VecDeque<Incoming> = VecDeque::new();
                    for record in topic.records.drain(..).rev() {
                        if seen.insert(record.key.clone()) {
                            kept.push_front(record);
                        }
                    }
                    topic.records = kept;
                }
            }
        });
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let answer = change(&mut state);
        if !state.writes_held {
            state.write(usize::MAX);
        }
        drop(state);
        self.changed.send_replace(());
        answer
    }

    /// Waits until the state has an answer.
    async fn until<T>(&self, mut answer: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        loop {
            changes.borrow_and_update();
            if let Some(answer) = answer(&mut self.lock()) {
                return answer;
            }
            // The sender lives in `self`, so this ends only with a change.
            let _ = changes.changed().await;
        }
    }
}

impl State {
    /// Writes so many of the waiting records.
    fn write(&mut self, count: usize) {
        for _ in 0..count {
            let Some(Waiting {
                writer,
                since,
                record,
            }) = self.waiting.pop_front()
            else {
                return;
            };
            let is_fenced = self
                .writers
                .get(&writer)
                .and_then(|writer| self.fenced(writer))
                .is_some();
            let missing = !self.topics.contains_key(&record.topic);
            let refusal = if is_fenced {
                self.writers
                    .get(&writer)
                    .and_then(|writer| self.fenced(writer))
            } else if self.refused.contains(&record.topic) {
                Some(Error::Failed {
                    doing: format!("writing to the topic `{}`", record.topic),
                    cause: "the scripted bus refuses it".to_owned(),
                    hint: None,
                })
            } else if missing {
                Some(no_topic(&record.topic))
            } else {
                None
            };
            if let Some(topic) = self
                .topics
                .get_mut(&record.topic)
                .filter(|_| refusal.is_none())
            {
                topic.append(&record.topic, Some(record.key), record.value, self.time);
                self.statistics.written += 1;
                self.statistics.write_latency.add(since.elapsed(), 1);
            }
            if let Some(error) = &refusal {
                self.statistics.refused += 1;
                self.statistics.errors += 1;
                self.statistics.last_error = Some(error.to_string());
            }
            if let Some(writer) = self.writers.get_mut(&writer) {
                writer.done += 1;
                writer.refusal = writer.refusal.take().or(refusal);
            }
        }
    }

    /// Why a writer may not write any more.
    fn fenced(&self, writer: &WriterState) -> Option<Error> {
        let (name, number) = writer.right.as_ref()?;
        (self.fences.get(name) != Some(number)).then(|| Error::Fenced {
            name: Arc::clone(name),
        })
    }

    fn failure(&self) -> Result<(), Error> {
        self.failure.clone().map_or(Ok(()), Err)
    }
}

impl Topic {
    fn new(cleanup: Cleanup) -> Topic {
        Topic {
            cleanup,
            records: VecDeque::new(),
            next: 0,
        }
    }

    fn append(
        &mut self,
        name: &Arc<str>,
        key: Option<String>,
        value: Option<String>,
        time: Option<SystemTime>,
    ) -> u64 {
        let offset = self.next;
        let time = time.unwrap_or_else(SystemTime::now);
        self.records.push_back(Incoming {
            topic: Arc::clone(name),
            offset,
            time: whole_milliseconds(time),
            key,
            value,
        });
        self.next += 1;
        offset
    }

    /// The first kept record from this offset on, as an index.
    fn index(&self, offset: u64) -> usize {
        self.records
            .partition_point(|record| record.offset < offset)
    }
}

fn whole_milliseconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn no_topic(topic: &Arc<str>) -> Error {
    Error::NoTopic {
        topic: Arc::clone(topic),
        bus: "the scripted bus".to_owned(),
    }
}

impl Bus for Scripted {
    fn prepare(&self, topics: &[TopicPlan]) -> BoxFuture<'_, Result<(), Error>> {
        let topics = topics.to_vec();
        async move {
            self.shared.change(|state| {
                state.failure()?;
                for plan in topics {
                    state
                        .topics
                        .entry(plan.name)
                        .or_insert_with(|| Topic::new(plan.cleanup))
                        .cleanup = plan.cleanup;
                }
                Ok(())
            })
        }
        .boxed()
    }

    fn end(&self, topic: &str) -> BoxFuture<'_, Result<u64, Error>> {
        let name: Arc<str> = topic.into();
        async move {
            let state = self.shared.lock();
            state.failure()?;
            state
                .topics
                .get(&name)
                .map(|topic| topic.next)
                .ok_or_else(|| no_topic(&name))
        }
        .boxed()
    }

    fn read(&self, topics: &[(Arc<str>, From)]) -> BoxFuture<'_, Result<Box<dyn Reader>, Error>> {
        let topics = topics.to_vec();
        async move {
            let state = self.shared.lock();
            state.failure()?;
            let mut places = Vec::new();
            for (name, from) in topics {
                let topic = state.topics.get(&name).ok_or_else(|| no_topic(&name))?;
                let end = topic.next;
                let next = match from {
                    From::Beginning => 0,
                    From::Now => end,
                    From::Offset(offset) if offset > end => {
                        return Err(Error::Beyond {
                            topic: name,
                            offset,
                            end,
                        });
                    }
                    From::Offset(offset) => offset,
                };
                places.push(Place {
                    topic: name,
                    next,
                    end,
                });
            }
            let caught_up = places.iter().all(|place| place.has_caught_up(&state));
            drop(state);
            Ok(Box::new(ScriptedReader {
                shared: Arc::clone(&self.shared),
                places,
                caught_up,
            }) as Box<dyn Reader>)
        }
        .boxed()
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        async move {
            self.shared.change(|state| {
                state.failure()?;
                let writer = state.next_writer;
                state.next_writer += 1;
                state.writers.insert(writer, WriterState::default());
                Ok(Box::new(ScriptedWriter {
                    shared: Arc::clone(&self.shared),
                    writer,
                }) as Box<dyn Writer>)
            })
        }
        .boxed()
    }

    fn holder(&self, fence: &Fence) -> BoxFuture<'_, Result<Holder, Error>> {
        let name = Arc::clone(&fence.name);
        async move {
            let state = self.shared.lock();
            state.failure()?;
            let number = state.fences.get(&name).copied().unwrap_or_default();
            let lives = state
                .writers
                .values()
                .any(|writer| writer.right == Some((Arc::clone(&name), number)));
            Ok(Holder {
                number,
                presence: if lives {
                    Presence::Lives
                } else {
                    Presence::Gone
                },
                said: None,
            })
        }
        .boxed()
    }

    fn take(
        &self,
        fence: &Fence,
        after: Option<u64>,
    ) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        let name = Arc::clone(&fence.name);
        async move {
            self.shared.change(|state| {
                state.failure()?;
                let number = state.fences.entry(Arc::clone(&name)).or_default();
                if after.is_some_and(|after| after != *number) {
                    return Err(Error::Fenced { name });
                }
                *number += 1;
                let right = Some((name, *number));
                let writer = state.next_writer;
                state.next_writer += 1;
                state.writers.insert(
                    writer,
                    WriterState {
                        right,
                        ..WriterState::default()
                    },
                );
                Ok(Box::new(ScriptedWriter {
                    shared: Arc::clone(&self.shared),
                    writer,
                }) as Box<dyn Writer>)
            })
        }
        .boxed()
    }

    fn statistics(&self) -> Statistics {
        let state = self.shared.lock();
        let mut statistics = state.statistics.clone();
        statistics.buffered_records = state.waiting.len() as u64;
        statistics.buffered_bytes = state
            .waiting
            .iter()
            .map(|waiting| waiting.record.size() as u64)
            .sum();
        statistics.buffer_limit = state.buffer_limit.map_or(u64::MAX, |limit| limit as u64);
        statistics
    }
}

#[derive(Debug)]
struct Place {
    topic: Arc<str>,
    next: u64,
    /// The end of the topic when reading began.
    end: u64,
}

impl Place {
    fn has_caught_up(&self, state: &State) -> bool {
        let next = state
            .topics
            .get(&self.topic)
            .and_then(|topic| topic.records.get(topic.index(self.next)));
        next.is_none_or(|record| record.offset >= self.end)
    }
}

#[derive(Debug)]
struct ScriptedReader {
    shared: Arc<Shared>,
    places: Vec<Place>,
    caught_up: bool,
}

impl ScriptedReader {
    /// What there is to give now.
    fn take(&mut self, state: &mut State) -> Option<Result<Vec<Incoming>, Error>> {
        if let Err(failure) = state.failure() {
            return Some(Err(failure));
        }
        if state.reads_held {
            return None;
        }
        let mut records = Vec::new();
        for place in &mut self.places {
            let Some(topic) = state.topics.get(&place.topic) else {
                continue;
            };
            let begin = topic.index(place.next);
            records.extend(
                topic
                    .records
                    .iter()
                    .skip(begin)
                    .take(BATCH - records.len())
                    .cloned(),
            );
            if let Some(last) = records.last().filter(|record| record.topic == place.topic) {
                place.next = last.offset + 1;
            }
        }
        let caught_up = self.caught_up;
        self.caught_up = caught_up || self.places.iter().all(|place| place.has_caught_up(state));
        state.statistics.read += records.len() as u64;
        (!records.is_empty() || self.caught_up != caught_up).then_some(Ok(records))
    }
}

impl Reader for ScriptedReader {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Incoming>, Error>> {
        let shared = Arc::clone(&self.shared);
        async move { shared.until(|state| self.take(state)).await }.boxed()
    }

    fn has_caught_up(&self) -> bool {
        self.caught_up
    }
}

#[derive(Debug)]
struct ScriptedWriter {
    shared: Arc<Shared>,
    writer: u64,
}

impl Writer for ScriptedWriter {
    fn send(&self, records: Vec<Outgoing>) -> Result<(), Error> {
        records.iter().try_for_each(Outgoing::check)?;
        self.shared.change(|state| {
            let writer = state.writers.get(&self.writer);
            if let Some(error) = writer.and_then(|writer| state.fenced(writer)) {
                return Err(error);
            }
            if state
                .buffer_limit
                .is_some_and(|limit| state.waiting.len() + records.len() > limit)
            {
                state.statistics.overflowed += records.len() as u64;
                return Err(Error::Full {
                    records: state.waiting.len(),
                });
            }
            let since = Instant::now();
            if let Some(writer) = state.writers.get_mut(&self.writer) {
                writer.taken += records.len() as u64;
            }
            state
                .waiting
                .extend(records.into_iter().map(|record| Waiting {
                    writer: self.writer,
                    since,
                    record,
                }));
            Ok(())
        })
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
        let target = self
            .shared
            .lock()
            .writers
            .get(&self.writer)
            .map_or(0, |writer| writer.taken);
        async move {
            self.shared
                .until(|state| {
                    let fenced = state
                        .writers
                        .get(&self.writer)
                        .and_then(|writer| state.fenced(writer));
                    if let Some(error) = fenced {
                        return Some(Err(error));
                    }
                    let writer = state.writers.get_mut(&self.writer)?;
                    (writer.done >= target).then(|| writer.refusal.take().map_or(Ok(()), Err))
                })
                .await
        }
        .boxed()
    }
}

impl Drop for ScriptedWriter {
    fn drop(&mut self) {
        self.shared
            .change(|state| state.writers.remove(&self.writer));
    }
}
