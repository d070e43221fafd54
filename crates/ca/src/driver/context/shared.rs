//! What the handles and the tasks of a context share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, oneshot, watch};

use super::super::connection::settings;
use super::super::error::Searched;
use crate::Configuration;
use crate::channels::{
    Channels, CircuitId, Effect, Failure, Operation, Outcome, RequestId, Settings,
};
use crate::event::{Event, WatchId};
use crate::name::PvName;

/// How far the life of a context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Closing,
    Closed,
}

/// A circuit that is to be made.
#[derive(Debug)]
pub(super) struct Connect {
    pub(super) circuit: CircuitId,
    pub(super) server: std::net::SocketAddrV4,
    pub(super) port: Arc<Port>,
}

/// How a connection's task is told that there is something to do.
#[derive(Debug, Default)]
pub(super) struct Port {
    /// Something is to be written, or the connection is to be closed.
    pub(super) wake: Notify,
    /// What is to be written last.
    last: Mutex<Option<Vec<u8>>>,
}

impl Port {
    /// The last output, if the connection is to be closed.
    pub(super) fn last_output(&self) -> Option<Vec<u8>> {
        lock(&self.last).take()
    }
}

type Reply = oneshot::Sender<Result<Outcome, Failure>>;

#[derive(Debug)]
struct State {
    channels: Channels,
    replies: HashMap<RequestId, Reply>,
    ports: HashMap<CircuitId, Arc<Port>>,
    connects: Vec<Connect>,
    /// When the search task wakes up by itself.
    search_due: Option<Instant>,
}

/// State and wake-up calls.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) configuration: Configuration,
    state: Mutex<State>,
    searched: Mutex<Arc<Searched>>,
    /// Wakes the search task.
    pub(super) search: Notify,
    /// Wakes the reader of events.
    pub(super) events: Notify,
    /// Wakes connections that are not read because the reader of events is behind.
    pub(super) drained: Notify,
    full: AtomicBool,
    pub(super) phase: watch::Sender<Phase>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // nothing panics while it holds a lock; if it did, the state would still be used
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time by tokio's clock, which tests can pause.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Shared {
    pub(super) fn new(configuration: Configuration) -> Self {
        let settings = Settings {
            circuit: settings(&configuration),
            maximum_search_period: configuration.maximum_search_period,
        };
        Self {
            state: Mutex::new(State {
                channels: Channels::new(settings, now()),
                replies: HashMap::new(),
                ports: HashMap::new(),
                connects: Vec::new(),
                search_due: None,
            }),
            searched: Mutex::default(),
            search: Notify::new(),
            events: Notify::new(),
            drained: Notify::new(),
            full: AtomicBool::new(false),
            phase: watch::Sender::new(Phase::Running),
            configuration,
        }
    }

    /// Does something with the state, and then whatever follows from it.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Channels, Instant) -> R) -> R {
        let mut state = lock(&self.state);
        let result = act(&mut state.channels, now());
        self.settle(&mut state);
        result
    }

    pub(super) fn request(
        &self,
        name: &PvName,
        operation: Operation,
        reply: Reply,
    ) -> Option<RequestId> {
        let mut state = lock(&self.state);
        let request = state.channels.request(name.clone(), operation, now());
        if let Some(request) = request {
            state.replies.insert(request, reply);
        }
        self.settle(&mut state);
        request
    }

    pub(super) fn cancel(&self, request: RequestId) {
        let mut state = lock(&self.state);
        if state.replies.remove(&request).is_some() {
            state.channels.cancel(request, now());
            self.settle(&mut state);
        }
    }

    pub(super) fn take_events(&self, watches: usize) -> Vec<(WatchId, Event)> {
        let events = self.with(|channels, _| channels.take_events(watches));
        if self.full.load(Ordering::Relaxed) && !self.is_full() {
            self.drained.notify_waiters();
        }
        events
    }

    /// Whether connections should not be read for now.
    pub(super) fn is_full(&self) -> bool {
        let full = lock(&self.state).channels.is_full();
        self.full.store(full, Ordering::Relaxed);
        full
    }

    /// The circuits that are to be made.
    pub(super) fn take_connects(&self) -> Vec<Connect> {
        std::mem::take(&mut lock(&self.state).connects)
    }

    /// When the search task should look again; it is woken when that becomes earlier.
    pub(super) fn search_due(&self) -> Option<Instant> {
        let mut state = lock(&self.state);
        let due = state.channels.poll_timeout();
        state.search_due = due;
        due
    }

    /// A connection's task has ended.
    pub(super) fn forget(&self, circuit: CircuitId) {
        lock(&self.state).ports.remove(&circuit);
    }

    pub(super) fn searched(&self) -> Arc<Searched> {
        Arc::clone(&lock(&self.searched))
    }

    pub(super) fn set_searched(&self, searched: Searched) {
        *lock(&self.searched) = Arc::new(searched);
    }

    pub(super) fn nowhere_to_search(&self) -> bool {
        let configuration = &self.configuration;
        configuration.addresses.is_empty()
            && configuration.name_servers.is_empty()
            && configuration.interfaces.is_none()
    }

    pub(super) fn begin_close(&self) {
        self.phase.send_if_modified(|phase| {
            let running = *phase == Phase::Running;
            if running {
                *phase = Phase::Closing;
            }
            running
        });
        self.events.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.phase.borrow() != Phase::Running
    }

    /// All tasks have ended: nobody will answer.
    pub(super) fn closed(&self) {
        lock(&self.state).replies.clear();
        self.phase.send_replace(Phase::Closed);
        self.events.notify_one();
    }

    fn settle(&self, state: &mut State) {
        while let Some(effect) = state.channels.poll_effect() {
            match effect {
                Effect::Connect { circuit, server } => {
                    let port = Arc::<Port>::default();
                    state.ports.insert(circuit, Arc::clone(&port));
                    state.connects.push(Connect {
                        circuit,
                        server,
                        port,
                    });
                    self.search.notify_one();
                }
                Effect::Write { circuit } => {
                    if let Some(port) = state.ports.get(&circuit) {
                        port.wake.notify_one();
                    }
                }
                Effect::Close { circuit, output } => {
                    if let Some(port) = state.ports.remove(&circuit) {
                        *lock(&port.last) = Some(output);
                        port.wake.notify_one();
                    }
                }
                Effect::Done { request, result } => {
                    if let Some(reply) = state.replies.remove(&request) {
                        // whoever asked may have gone
                        reply.send(result).ok();
                    }
                }
            }
        }
        if state.channels.has_events() {
            self.events.notify_one();
        }
        let due = state.channels.poll_timeout();
        if let Some(due) = due
            && state.search_due.is_none_or(|expected| due < expected)
        {
            state.search_due = Some(due);
            self.search.notify_one();
        }
    }
}
