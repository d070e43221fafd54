//! Reads the topics in a task of its own, through every failure of the bus.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::{Bus, From, Incoming, Reader};
use tokio::sync::{Notify, mpsc};

use crate::metrics::{Metrics, TopicLabel};

/// So many batches wait for the owner of the logic; then reading waits. A batch has up to 2,000 records.
const BATCHES: usize = 2;
/// The pause before the next look when nothing but states was read: whoever writes thousands of them is not to be woken
/// by each. Commands and configurations that come meanwhile wait for so long.
const STATES: Duration = Duration::from_millis(10);
/// What keys of states begin with.
const STATE: &str = "state:";
/// Longest pause before the bus is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What the reader gives.
#[derive(Debug)]
pub(super) enum Read {
    /// Records in the order of their topics.
    Records(Vec<Incoming>),
    /// Everything was given that was there when reading began.
    CaughtUp,
    /// A topic was made anew by somebody: what was written to it before is gone.
    Anew,
}

/// Whether states are wanted still: until the server is started, from then on it writes them itself.
#[derive(Debug, Clone)]
pub(super) struct StatesWanted(Arc<AtomicBool>);

impl Default for StatesWanted {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl StatesWanted {
    /// States are no longer wanted. Those that are read already come still.
    pub(super) fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Begins to read; the first failure is the caller's, later ones are tried again.
///
/// # Errors
///
/// Topics that are not there, a bus that cannot be read.
pub(super) async fn begin(
    bus: Arc<dyn Bus>,
    topics: Vec<(Arc<str>, From)>,
    states: StatesWanted,
    metrics: Arc<Metrics>,
    look_again: Arc<Notify>,
) -> Result<mpsc::Receiver<Read>, bus::Error> {
    let reader = bus.read(&topics).await?;
    let (sender, receiver) = mpsc::channel(BATCHES);
    let reading = Reading {
        bus,
        topics,
        states,
        metrics,
        places: HashMap::new(),
        is_caught_up: false,
        look_again,
    };
    tokio::spawn(reading.run(reader, sender));
    Ok(receiver)
}

struct Reading {
    bus: Arc<dyn Bus>,
    topics: Vec<(Arc<str>, From)>,
    states: StatesWanted,
    metrics: Arc<Metrics>,
    /// Where to go on.
    places: HashMap<Arc<str>, u64>,
    is_caught_up: bool,
    /// Somebody wants to know when all is read that there is at that moment.
    look_again: Arc<Notify>,
}

fn is_state(record: &Incoming) -> bool {
    let key = record.key.as_deref().unwrap_or_default();
    key.starts_with(STATE)
}

impl Reading {
    async fn run(mut self, mut reader: Box<dyn Reader>, sender: mpsc::Sender<Read>) {
        let mut pause = Duration::from_millis(100);
        loop {
            if !self.is_caught_up && reader.has_caught_up() {
                self.is_caught_up = true;
                if sender.send(Read::CaughtUp).await.is_err() {
                    return;
                }
            }
            let wants_states = self.states.get();
            if !wants_states {
                reader.pass_over(STATE);
            }
            let next = tokio::select! {
                next = reader.next() => next,
                () = self.look_again.notified() => {
                    self.is_caught_up = false;
                    let mut at_once = Duration::ZERO;
                    match self.again(&mut at_once, &sender).await {
                        Some(new) => reader = new,
                        None => return,
                    }
                    continue;
                }
                () = sender.closed() => return,
            };
            match next {
                Ok(mut records) => {
                    pause = Duration::from_millis(100);
                    self.note(&records);
                    let had_records = !records.is_empty();
                    if !wants_states {
                        records.retain(|record| !is_state(record));
                    }
                    if records.is_empty() {
                        if had_records {
                            tokio::time::sleep(STATES).await;
                        }
                        continue;
                    }
                    if sender.send(Read::Records(records)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    self.metrics.bus_errors.inc();
                    tracing::error!("reading from the bus failed, trying again: {error}");
                    match self.again(&mut pause, &sender).await {
                        Some(new) => {
                            tracing::info!("the bus is read again");
                            reader = new;
                        }
                        None => return,
                    }
                }
            }
        }
    }

    fn note(&mut self, records: &[Incoming]) {
        for record in records {
            match self.places.get_mut(&record.topic) {
                Some(place) => *place = record.offset + 1,
                None => {
                    self.places
                        .insert(Arc::clone(&record.topic), record.offset + 1);
                }
            }
        }
        let mut rest = records;
        while let Some(first) = rest.first() {
            let same = rest
                .iter()
                .take_while(|record| record.topic == first.topic)
                .count();
            let topic = TopicLabel {
                topic: first.topic.to_string(),
            };
            self.metrics
                .read
                .get_or_create(&topic)
                .inc_by(u64::try_from(same).unwrap_or(0));
            rest = rest.get(same..).unwrap_or_default();
        }
    }

    /// A new reader that goes on where the last one ended.
    async fn again(
        &mut self,
        pause: &mut Duration,
        sender: &mpsc::Sender<Read>,
    ) -> Option<Box<dyn Reader>> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(*pause) => {}
                () = sender.closed() => return None,
            }
            *pause = (*pause * 2).clamp(Duration::from_millis(100), LONGEST_PAUSE);
            let topics: Vec<(Arc<str>, From)> = self
                .topics
                .iter()
                .map(|(topic, from)| {
                    let from = self
                        .places
                        .get(topic)
                        .map_or(*from, |place| From::Offset(*place));
                    (Arc::clone(topic), from)
                })
                .collect();
            match self.bus.read(&topics).await {
                Ok(reader) => {
                    return Some(reader);
                }
                Err(error @ bus::Error::Beyond { .. }) => {
                    // somebody made the topic anew: everything in it is news
                    tracing::error!("{error}; reading it from its beginning");
                    self.places.clear();
                    if sender.send(Read::Anew).await.is_err() {
                        return None;
                    }
                }
                Err(error) => tracing::debug!("the bus cannot be read yet: {error}"),
            }
        }
    }
}
