//! Events on their way to a reader that may be slow.
//!
//! Values of one watch replace each other; connection events are kept, all of them and in their order. What bounds the
//! memory is therefore the number of watches and, through [`Queue::is_full`], the number of connection events that wait.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::event::{Event, Update, WatchId};

/// Connection events that may wait for each watch, on average, before circuits are no longer read.
const CONNECTION_EVENTS: usize = 4;
/// Connection events that may wait in any case.
const LEAST_CONNECTION_EVENTS: usize = 4096;
/// Room that is kept when the queue is empty.
const KEPT_CAPACITY: usize = 1024;

/// The events that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Watches with events, the one that has waited longest first. A watch that was forgotten may still be named.
    order: VecDeque<WatchId>,
    waiting: HashMap<WatchId, Vec<Event>>,
    connection_events: usize,
    coalesced: usize,
    /// Nobody reads.
    discarded: bool,
}

impl Queue {
    /// Adds an event behind all others of its watch.
    pub(super) fn push(&mut self, watch: WatchId, mut event: Event) {
        if self.discarded {
            return;
        }
        let waiting = self.waiting.entry(watch).or_insert_with(|| {
            self.order.push_back(watch);
            Vec::with_capacity(1)
        });
        match &mut event {
            Event::Value(update) => {
                let earlier =
                    remove_since_connection(waiting, |event| matches!(event, Event::Value(_)));
                if let Some(Event::Value(Update { coalesced, .. })) = earlier {
                    update.coalesced = update.coalesced.saturating_add(coalesced).saturating_add(1);
                    self.coalesced += 1;
                }
            }
            Event::AccessRights(_) => {
                remove_since_connection(waiting, |event| matches!(event, Event::AccessRights(_)));
            }
            Event::Connected { .. } | Event::Disconnected | Event::Duplicate { .. } => {
                self.connection_events += 1;
            }
        }
        waiting.push(event);
    }

    /// Takes the events of up to `watches` watches, those that have waited longest.
    pub(super) fn take(&mut self, watches: usize) -> Vec<(WatchId, Event)> {
        self.coalesced = 0;
        let mut events = Vec::new();
        let mut taken = 0;
        while taken < watches
            && let Some(watch) = self.order.pop_front()
        {
            let Some(waiting) = self.waiting.remove(&watch) else {
                continue;
            };
            taken += 1;
            self.connection_events -= waiting.iter().filter(|event| is_connection(event)).count();
            events.extend(waiting.into_iter().map(|event| (watch, event)));
        }
        if self.waiting.is_empty() {
            self.order.clear();
            self.order.shrink_to(KEPT_CAPACITY);
            self.waiting.shrink_to(KEPT_CAPACITY);
        }
        events
    }

    /// Forgets the events of a watch.
    pub(super) fn forget(&mut self, watch: WatchId) {
        if let Some(waiting) = self.waiting.remove(&watch) {
            self.connection_events -= waiting.iter().filter(|event| is_connection(event)).count();
        }
        // now and then, so that watches which come and go leave nothing behind
        if self.order.len() > 2 * self.waiting.len() + KEPT_CAPACITY {
            let mut kept = HashSet::new();
            self.order
                .retain(|watch| self.waiting.contains_key(watch) && kept.insert(*watch));
        }
    }

    /// Forgets all events, those to come included.
    pub(super) fn discard(&mut self) {
        *self = Self {
            discarded: true,
            ..Self::default()
        };
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the reader is so far behind that nothing more should be taken from the network.
    pub(super) fn is_full(&self, watches: usize) -> bool {
        self.connection_events
            > LEAST_CONNECTION_EVENTS.max(watches.saturating_mul(CONNECTION_EVENTS))
    }

    /// Values that replaced others since the reader last took something.
    pub(super) fn coalesced(&self) -> usize {
        self.coalesced
    }
}

fn is_connection(event: &Event) -> bool {
    match event {
        Event::Connected { .. } | Event::Disconnected | Event::Duplicate { .. } => true,
        Event::Value(_) | Event::AccessRights(_) => false,
    }
}

/// Removes the event of this kind that came after the last connection event, if there is one.
fn remove_since_connection(waiting: &mut Vec<Event>, wanted: fn(&Event) -> bool) -> Option<Event> {
    let since = waiting
        .iter()
        .rposition(is_connection)
        .map_or(0, |at| at + 1);
    let at = since + waiting[since..].iter().position(wanted)?;
    Some(waiting.remove(at))
}
