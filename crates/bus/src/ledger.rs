//! What one writer handed over, and how much of it is settled: the book that `flush` looks into.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::Error;

/// The book of one writer.
#[derive(Debug)]
pub(crate) struct Ledger {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the first record that is not settled.
    first_open: u64,
    /// Whether the records from that number on are settled. Topics may overtake each other.
    settled: VecDeque<bool>,
    /// The first refusal that nobody was told of.
    refusal: Option<Error>,
    /// Nothing will be settled any more.
    closed: Option<Error>,
}

impl Ledger {
    pub(crate) fn new() -> Ledger {
        Ledger {
            state: Mutex::new(State::default()),
            changed: watch::Sender::new(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters so many records and gives the number of the first.
    pub(crate) fn enter(&self, records: usize) -> u64 {
        let mut state = self.lock();
        let first = state.first_open + state.settled.len() as u64;
        let entered = state.settled.len() + records;
        state.settled.resize(entered, false);
        first
    }

    /// A record is written, or refused for good.
    pub(crate) fn settle(&self, number: u64, refusal: Option<Error>) {
        let mut state = self.lock();
        state.refusal = state.refusal.take().or(refusal);
        let index = number
            .checked_sub(state.first_open)
            .and_then(|index| usize::try_from(index).ok());
        if let Some(settled) = index.and_then(|index| state.settled.get_mut(index)) {
            *settled = true;
        }
        if index == Some(0) {
            while state.settled.front() == Some(&true) {
                state.settled.pop_front();
                state.first_open += 1;
            }
            drop(state);
            // whoever subscribes later looks at the state first
            if self.changed.receiver_count() > 0 {
                self.changed.send_replace(());
            }
        }
    }

    /// Nothing will be settled any more; those who wait are told.
    pub(crate) fn close(&self, error: Error) {
        self.lock().closed.get_or_insert(error);
        self.changed.send_replace(());
    }

    /// Waits until all that was entered before is settled.
    pub(crate) async fn flush(&self) -> Result<(), Error> {
        let target = {
            let state = self.lock();
            state.first_open + state.settled.len() as u64
        };
        let mut changes = self.changed.subscribe();
        loop {
            changes.borrow_and_update();
            {
                let mut state = self.lock();
                if let Some(error @ Error::Fenced { .. }) = &state.closed {
                    return Err(error.clone());
                }
                if state.first_open >= target {
                    return state.refusal.take().map_or(Ok(()), Err);
                }
                if let Some(error) = &state.closed {
                    return Err(error.clone());
                }
            }
            // The sender lives in `self`.
            let _ = changes.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn flush_waits_for_the_oldest_whatever_overtook_it() {
        let ledger = Ledger::new();
        assert_eq!(ledger.enter(3), 0);
        ledger.settle(2, None);
        ledger.settle(1, Some(Error::Closed));
        let mut flush = Box::pin(ledger.flush());
        assert!(flush.as_mut().now_or_never().is_none());
        assert_eq!(ledger.enter(1), 3);
        ledger.settle(0, None);
        assert!(matches!(flush.now_or_never(), Some(Err(Error::Closed))));
        let flush = ledger.flush();
        ledger.settle(3, None);
        assert!(matches!(flush.now_or_never(), Some(Ok(()))));
    }

    #[test]
    fn closing_ends_waiting() {
        let ledger = Ledger::new();
        ledger.enter(1);
        let mut flush = Box::pin(ledger.flush());
        assert!(flush.as_mut().now_or_never().is_none());
        ledger.close(Error::Closed);
        assert!(matches!(flush.now_or_never(), Some(Err(Error::Closed))));
    }
}
