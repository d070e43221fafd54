//! The client as a whole, as a state machine: PVs that are watched, read and written; the searches for them; the circuits
//! that they share; and the events that wait for the reader.
//!
//! It opens no socket and reads no clock. The caller
//!
//! * sends what [`Channels::poll_search`] gives to every search address, and hands in the answers;
//! * does what [`Channels::poll_effect`] says: makes connections, writes to them, closes them;
//! * hands in what connections bring, and that they ended;
//! * hands in beacon anomalies;
//! * calls [`Channels::handle_timeout`] and [`Channels::handle_circuit_timeout`] at the times that it is told;
//! * takes the events.
//!
//! There is one channel for each name, however many watches and requests it has, and one circuit for each server, or for
//! each few thousand channels of a server. A circuit that fails costs its own channels only; they are searched for again.
//!
//! What it deliberately does not do: keep values. A second watch of a PV renews the subscription, so that every watch of it
//! gets the present value.

mod addresses;
mod members;
mod name_servers;
mod queue;
mod requests;
mod servers;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::circuit::{self, ChannelId};
use crate::event::{Event, Reading, Update, WatchId};
use crate::name::PvName;
use crate::proto::{self, Mask, Sample, Value};
use crate::search::{self, Datagram, Search, SearchId};

use queue::Queue;
pub use requests::{Description, Failure, Operation, Outcome, RequestId};
use servers::Server;
use table::{State, Table};

/// Pause before a name is searched for again whose server could not be used.
const RETRY: Duration = Duration::from_millis(900);
/// Bytes that may wait to be written to a name server; further searches are left out, they come again.
const NAME_SERVER_BACKLOG: usize = 256 * 1024;
/// Values that a slow reader may miss before servers are asked to keep them back.
const COALESCED: usize = 10_000;

/// Number of one circuit; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CircuitId(u32);

/// What [`Channels`] needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For every circuit.
    pub circuit: circuit::Settings,
    /// Longest pause between two searches for a name.
    pub maximum_search_period: Duration,
}

/// Something for the caller to do.
#[derive(Debug)]
pub enum Effect {
    /// Connect to a server, then call [`Channels::connected`] or [`Channels::closed`].
    Connect {
        /// The new circuit.
        circuit: CircuitId,
        /// Where.
        server: SocketAddrV4,
    },
    /// There is something to write; [`Channels::take_output`] gives it.
    Write {
        /// Where.
        circuit: CircuitId,
    },
    /// Write what there is and close the connection; the circuit is forgotten already.
    Close {
        /// Which.
        circuit: CircuitId,
        /// What is still to be written.
        output: Vec<u8>,
    },
    /// A request has ended.
    Done {
        /// Which.
        request: RequestId,
        /// With what.
        result: Result<Outcome, Failure>,
    },
}

/// Why a server that answered a search could not be used, as far as a user should know.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// Which server.
    pub server: SocketAddrV4,
    /// What went wrong; `None` if it has no such PV after all.
    pub reason: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// How far the work on a PV is.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Nobody has answered, or nobody who could be used.
    Searching(Option<Trouble>),
    /// A server has answered; the channel is not there yet.
    Joining(SocketAddrV4),
    /// The server has been asked.
    Connected(SocketAddrV4),
}

/// Numbers about the client, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Watches.
    pub watches: usize,
    /// Channels: names that are watched, read or written.
    pub channels: usize,
    /// Channels that are connected.
    pub connected: usize,
    /// Circuits, those being made included.
    pub circuits: usize,
    /// Channels that were lost, since the start.
    pub disconnections: u64,
    /// Values that arrived, since the start.
    pub values: u64,
}

/// The client's state.
#[derive(Debug)]
pub struct Channels {
    settings: Settings,
    table: Table,
    search: Search,
    servers: HashMap<CircuitId, Server>,
    /// The circuits to each server: one, unless it has very many channels.
    addresses: HashMap<SocketAddrV4, Vec<CircuitId>>,
    next_circuit: u32,
    name_servers: Vec<name_servers::NameServer>,
    penalties: HashMap<SocketAddrV4, addresses::Penalty>,
    requests: BTreeMap<RequestId, requests::Request>,
    requests_by_channel: BTreeSet<(ChannelId, RequestId)>,
    next_request: u64,
    effects: VecDeque<Effect>,
    queue: Queue,
    paused: bool,
    statistics: Statistics,
}

impl Channels {
    /// A client that does nothing yet.
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self {
            search: Search::new(settings.maximum_search_period, now),
            settings,
            table: Table::default(),
            servers: HashMap::new(),
            addresses: HashMap::new(),
            next_circuit: 1,
            name_servers: Vec::new(),
            penalties: HashMap::new(),
            requests: BTreeMap::new(),
            requests_by_channel: BTreeSet::new(),
            next_request: 1,
            effects: VecDeque::new(),
            queue: Queue::default(),
            paused: false,
            statistics: Statistics::default(),
        }
    }

    /// Watches a PV; events begin with the connection. A number that is in use stands for the new PV from now on.
    pub fn watch(&mut self, watch: WatchId, name: PvName, mask: Mask, now: Instant) {
        self.unwatch(watch, now);
        let Some(channel) = self.channel(name, now) else {
            tracing::error!("there are more channels than this client can number");
            return;
        };
        self.table.add_watch(channel, watch, mask);
        let Some(State::Connected(circuit)) = self.state(channel) else {
            return;
        };
        if let Some(event) = self.connected_event(circuit, channel) {
            self.queue.push(watch, event);
        }
        self.subscribe(circuit, channel);
        self.after(circuit);
    }

    /// Ends a watch; no event of it comes any more.
    pub fn unwatch(&mut self, watch: WatchId, now: Instant) {
        let Some(channel) = self.table.remove_watch(watch) else {
            return;
        };
        self.queue.forget(watch);
        let unwatched = self
            .table
            .get(channel)
            .is_some_and(|channel| channel.mask().is_none());
        if let (true, Some(State::Connected(circuit))) = (unwatched, self.state(channel)) {
            self.on_circuit(circuit, |circuit| circuit.unsubscribe(channel));
        }
        self.release(channel, now);
    }

    /// The next search datagram, for every search address. Name servers get its searches here. Call it until it gives none.
    pub fn poll_search(&mut self, now: Instant) -> Option<Datagram> {
        let table = &self.table;
        let name = |search: SearchId| table.get(ChannelId(search.0)).map(|channel| &channel.name);
        let datagram = self.search.poll_transmit(now, name)?;
        for at in 0..self.name_servers.len() {
            self.search_at(at, &datagram);
        }
        Some(datagram)
    }

    /// Takes an answer datagram.
    ///
    /// On an error the answers before the broken one still count.
    pub fn handle_datagram(
        &mut self,
        bytes: &[u8],
        sender: Ipv4Addr,
        now: Instant,
    ) -> Result<(), proto::Error> {
        let mut answers = Vec::new();
        let result = search::decode_answers(bytes, sender, |answer| answers.push(answer));
        for answer in answers {
            self.answer(ChannelId(answer.search.0), answer.server, now);
        }
        result
    }

    /// A server has appeared, or has been started again: searches resume at once, and a circuit to it is probed.
    pub fn handle_anomaly(&mut self, server: SocketAddrV4, now: Instant) {
        self.penalties.remove(&server);
        self.search.hurry(now);
        for name_server in &mut self.name_servers {
            if name_server.address == server {
                name_server.hurry(now);
            }
        }
        for circuit in self.addresses.get(&server).cloned().unwrap_or_default() {
            self.on_circuit(circuit, |circuit| circuit.probe(now));
            self.after(circuit);
        }
    }

    /// When [`Channels::poll_search`] and [`Channels::handle_timeout`] should be called.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        let name_servers = self
            .name_servers
            .iter()
            .filter_map(name_servers::NameServer::due);
        name_servers.chain(self.search.poll_timeout()).min()
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether events wait.
    pub fn has_events(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Takes the events of up to `watches` watches.
    pub fn take_events(&mut self, watches: usize) -> Vec<(WatchId, Event)> {
        let events = self.queue.take(watches);
        if self.paused {
            self.pause(false);
        }
        events
    }

    /// Nobody reads the events any more: they are thrown away from now on.
    pub fn discard_events(&mut self) {
        self.queue.discard();
    }

    /// There are more addresses to search at: all searches resume at once.
    pub fn search_again(&mut self, now: Instant) {
        self.search.hurry(now);
    }

    /// Whether connections should not be read for now, because the reader of the events is too far behind.
    pub fn is_full(&self) -> bool {
        self.queue.is_full(self.table.watch_count())
    }

    /// Numbers about the client.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            watches: self.table.watch_count(),
            channels: self.table.len(),
            circuits: self.servers.len(),
            ..self.statistics
        }
    }

    /// How far the work on a PV is; `None` if nobody wants it.
    pub fn progress(&self, name: &PvName) -> Option<Progress> {
        let channel = self.table.get(self.table.find_name(name)?)?;
        let address = |circuit: CircuitId| self.servers.get(&circuit).map(|server| server.address);
        Some(match channel.state {
            State::Joining(circuit) => Progress::Joining(address(circuit)?),
            State::Connected(circuit) => Progress::Connected(address(circuit)?),
            State::Searching => {
                let extra = channel.extra.as_ref();
                Progress::Searching(extra.and_then(|extra| extra.failure.clone()))
            }
        })
    }

    /// The channel of a name; searched for from now on if it is new.
    fn channel(&mut self, name: PvName, now: Instant) -> Option<ChannelId> {
        if let Some(channel) = self.table.find_name(&name) {
            return Some(channel);
        }
        let channel = self.table.insert(name)?;
        self.search.add(SearchId(channel.0), now);
        Some(channel)
    }

    fn state(&self, channel: ChannelId) -> Option<State> {
        Some(self.table.get(channel)?.state)
    }

    /// Forgets a channel that nobody wants any more.
    fn release(&mut self, channel: ChannelId, now: Instant) {
        let Some(state) = self.table.get(channel) else {
            return;
        };
        if state.requests > 0 || state.mask().is_some() {
            return;
        }
        match state.state {
            State::Searching => self.search.remove(SearchId(channel.0)),
            State::Joining(circuit) | State::Connected(circuit) => {
                if matches!(state.state, State::Connected(_)) {
                    self.statistics.connected -= 1;
                }
                self.leave(circuit, channel, now);
            }
        }
        self.table.remove(channel);
    }

    /// Tells every watch of a channel.
    fn tell(&mut self, channel: ChannelId, event: &Event) {
        let Some(channel) = self.table.get(channel) else {
            return;
        };
        for (watch, _) in channel.watches() {
            self.queue.push(watch, event.clone());
        }
    }

    /// A value of a watched channel has arrived.
    fn value(&mut self, channel: ChannelId, sample: Sample) {
        self.statistics.values += 1;
        let Some(state) = self.table.get_mut(channel) else {
            return;
        };
        let mut coalesced = 0;
        if matches!(sample.value, Value::Enum { .. }) {
            let extra = state.extra();
            let held = extra.held.take();
            if extra.labels.is_none() {
                let replaced = held.map_or(0, |(_, coalesced)| coalesced.saturating_add(1));
                extra.held = Some((sample, replaced));
                return;
            }
            coalesced = held.map_or(0, |(_, coalesced)| coalesced.saturating_add(1));
        }
        let labels = state
            .extra
            .as_ref()
            .and_then(|extra| extra.labels.as_deref());
        let reading = Reading::new(sample, labels.unwrap_or_default());
        let update = Update { reading, coalesced };
        // the usual case is one watch, whose value need not be copied
        let mut watches = state.watches().map(|(watch, _)| watch);
        let first = watches.next();
        for other in watches {
            self.queue.push(other, Event::Value(update.clone()));
        }
        if let Some(first) = first {
            self.queue.push(first, Event::Value(update));
        }
        self.relieve();
    }

    /// Asks servers to keep values back if the reader misses many.
    fn relieve(&mut self) {
        if !self.paused && self.queue.coalesced() > COALESCED.max(self.table.watch_count()) {
            self.pause(true);
        }
    }

    /// The labels of a channel's states are known, or there are none; a value that has waited for them goes on.
    fn labels(&mut self, channel: ChannelId, labels: Vec<String>) {
        let Some(state) = self.table.get_mut(channel) else {
            return;
        };
        let extra = state.extra();
        extra.labels = Some(labels);
        let Some((sample, coalesced)) = extra.held.take() else {
            return;
        };
        let reading = Reading::new(sample, extra.labels.as_deref().unwrap_or_default());
        self.tell(channel, &Event::Value(Update { reading, coalesced }));
    }

    /// Asks all servers to keep values back, or to send them again.
    fn pause(&mut self, paused: bool) {
        self.paused = paused;
        let circuits: Vec<_> = self.servers.keys().copied().collect();
        for circuit in circuits {
            self.on_circuit(circuit, |circuit| circuit.pause(paused));
            self.after(circuit);
        }
    }

    /// Another server has answered for a name that is in use.
    fn duplicate(&mut self, channel: ChannelId, used: SocketAddrV4, other: SocketAddrV4) {
        /// Other servers that are reported for one name.
        const MOST: usize = 16;
        let Some(state) = self.table.get_mut(channel) else {
            return;
        };
        let known = &mut state.extra().duplicates;
        if known.len() >= MOST || known.contains(&other) {
            return;
        }
        known.push(other);
        let servers = vec![SocketAddr::V4(used), SocketAddr::V4(other)];
        self.tell(channel, &Event::Duplicate { servers });
    }
}
