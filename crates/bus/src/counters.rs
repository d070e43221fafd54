//! The running counts behind [`Statistics`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Statistics;

/// Counts of one bus in this process.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    statistics: Statistics,
    /// The end of each topic, as far as it was seen.
    ends: BTreeMap<Arc<str>, u64>,
    /// Where each reader is in each of its topics.
    readers: BTreeMap<u64, BTreeMap<Arc<str>, u64>>,
    next_reader: u64,
}

impl Counters {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn update<T>(&self, update: impl FnOnce(&mut Statistics) -> T) -> T {
        update(&mut self.lock().statistics)
    }

    /// Notes an error; true if it is the first after all was well, which is when it is worth a line in the log.
    pub(crate) fn failed(&self, error: &str) -> bool {
        self.update(|statistics| {
            statistics.errors += 1;
            statistics.last_error = Some(error.to_owned());
            std::mem::replace(&mut statistics.connected, false)
        })
    }

    /// Notes that the bus works; true if it did not before.
    pub(crate) fn works(&self) -> bool {
        self.update(|statistics| {
            let before = std::mem::replace(&mut statistics.connected, true);
            statistics.reconnects += u64::from(!before);
            !before
        })
    }

    /// A topic ends here now, or further.
    pub(crate) fn ends_at(&self, topic: &Arc<str>, end: u64) {
        let mut state = self.lock();
        match state.ends.get_mut(topic) {
            Some(known) => *known = (*known).max(end),
            None => drop(state.ends.insert(Arc::clone(topic), end)),
        }
    }

    /// A place for a reader that is at these offsets.
    pub(crate) fn reader(
        self: &Arc<Self>,
        places: impl IntoIterator<Item = (Arc<str>, u64)>,
    ) -> ReaderCounter {
        let mut state = self.lock();
        let number = state.next_reader;
        state.next_reader += 1;
        state.readers.insert(number, places.into_iter().collect());
        ReaderCounter {
            counters: Arc::clone(self),
            number,
        }
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let state = self.lock();
        let lag_of = |places: &BTreeMap<Arc<str>, u64>| -> u64 {
            let behind = |(topic, place): (&Arc<str>, &u64)| {
                state
                    .ends
                    .get(topic)
                    .copied()
                    .unwrap_or_default()
                    .saturating_sub(*place)
            };
            places.iter().map(behind).sum()
        };
        Statistics {
            lag: state.readers.values().map(lag_of).max().unwrap_or_default(),
            ..state.statistics.clone()
        }
    }
}

/// Where one reader is; forgotten with it.
#[derive(Debug)]
pub(crate) struct ReaderCounter {
    counters: Arc<Counters>,
    number: u64,
}

impl ReaderCounter {
    /// The reader was given so many records, and is before this offset now.
    pub(crate) fn moved(&self, topic: &Arc<str>, next: u64, records: usize) {
        let mut state = self.counters.lock();
        state.statistics.read += records as u64;
        if let Some(place) = state
            .readers
            .get_mut(&self.number)
            .and_then(|places| places.get_mut(topic))
        {
            *place = next;
        }
    }
}

impl Drop for ReaderCounter {
    fn drop(&mut self) {
        self.counters.lock().readers.remove(&self.number);
    }
}
