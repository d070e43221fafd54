//! Circuits to servers: made when a channel needs one, shared by all channels of a server, closed when none is left.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::table::State;
use super::{Channels, CircuitId, Effect, NAME_SERVER_BACKLOG, RETRY, RequestId, Trouble};
use crate::circuit::{self, ChannelId, Circuit};
use crate::event::Event;
use crate::proto::{AccessRights, DataType, TCP_SEARCH_MINOR_VERSION};
use crate::search::{Datagram, SearchId};

/// Channels that a server is asked for before it has answered for earlier ones: enough to keep it busy, and a bound for
/// what waits to be written.
const CREATING: usize = 8192;
/// Bytes that may wait to be written before further channels are asked for.
const BACKLOG: usize = 512 * 1024;
/// Channels that are there at once, from which on their first values are asked for together.
const TOGETHER: usize = 8;
/// First values that are kept back at most, and for how long, while further channels are being made.
const GATHERED: usize = 16_384;
const GATHERING: Duration = Duration::from_millis(250);
/// How long a circuit without channels stays.
const IDLE: Duration = Duration::from_secs(10);
/// A circuit that ends sooner than that counts as a failure of the server.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// First and longest pause before a server that failed is connected to again.
const PENALTY: Duration = Duration::from_millis(200);
const LONGEST_PENALTY: Duration = Duration::from_secs(30);
/// Servers that are remembered as failing.
const PENALTIES: usize = 4096;

/// A circuit, or one that is being made.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddrV4,
    /// `None` until the connection is there.
    pub(super) circuit: Option<Circuit>,
    since: Instant,
    /// Whether versions have been exchanged.
    ready: bool,
    /// Channels that the server has not been asked for yet.
    waiting: VecDeque<ChannelId>,
    /// Channels that it has been asked for and has not given yet.
    creating: usize,
    /// Channels that belong here, those that wait included.
    members: usize,
    /// Reads and writes by their number on this circuit.
    pub(super) requests: HashMap<circuit::RequestId, RequestId>,
    /// Since when nobody needs it.
    idle: Option<Instant>,
    /// Since when first values are kept back so that they come together, and of how many channels.
    gathering: Option<(Instant, usize)>,
}

/// A server that is searched over TCP.
#[derive(Debug)]
pub(super) struct NameServer {
    pub(super) address: SocketAddrV4,
    circuit: Option<CircuitId>,
    /// When it is to be connected to again.
    due: Option<Instant>,
    pause: Duration,
}

impl NameServer {
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn hurry(&mut self, now: Instant) {
        self.pause = PENALTY;
        self.due = self.due.map(|due| due.min(now));
    }
}

/// A server that answers searches and cannot be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Penalty {
    until: Instant,
    pause: Duration,
}

impl Channels {
    /// Adds a server that is searched over TCP; known ones are ignored.
    pub fn add_name_server(&mut self, address: SocketAddrV4, now: Instant) {
        if self
            .name_servers
            .iter()
            .any(|known| known.address == address)
        {
            return;
        }
        self.name_servers.push(NameServer {
            address,
            circuit: None,
            due: Some(now),
            pause: PENALTY,
        });
        self.handle_timeout(now);
    }

    /// Connects to name servers whose time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        for at in 0..self.name_servers.len() {
            let name_server = &mut self.name_servers[at];
            if name_server.due.is_some_and(|due| due <= now) {
                name_server.due = None;
                let address = name_server.address;
                let circuit = self.open(address, now);
                self.name_servers[at].circuit = Some(circuit);
            }
        }
    }

    /// The connection of a circuit is there.
    pub fn connected(&mut self, circuit: CircuitId, now: Instant) {
        let Some(server) = self.servers.get_mut(&circuit) else {
            return;
        };
        match Circuit::new(&self.settings.circuit, now) {
            Ok(new) => server.circuit = Some(new),
            Err(error) => return self.failed(circuit, error, now),
        }
        if self.paused {
            self.on_circuit(circuit, |circuit| circuit.pause(true));
        }
        self.after(circuit);
    }

    /// The connection of a circuit could not be made, or has ended.
    pub fn closed(
        &mut self,
        circuit: CircuitId,
        reason: &Arc<dyn std::error::Error + Send + Sync>,
        now: Instant,
    ) {
        let Some(server) = self.servers.remove(&circuit) else {
            return;
        };
        let address = server.address;
        self.addresses.remove(&address);
        if now.saturating_duration_since(server.since) < SHORT_LIFE || !server.ready {
            self.penalize(address, now);
        }
        for name_server in &mut self.name_servers {
            if name_server.circuit == Some(circuit) {
                name_server.circuit = None;
                name_server.due = Some(now + name_server.pause);
                name_server.pause = (name_server.pause * 2).min(LONGEST_PENALTY);
            }
        }
        for request in server.requests.into_values() {
            self.request_lost(request, address, reason, now);
        }
        let created = server.circuit.iter().flat_map(Circuit::channels);
        let channels: Vec<_> = server.waiting.into_iter().chain(created).collect();
        for channel in channels {
            let trouble = Trouble {
                server: address,
                reason: Some(Arc::clone(reason)),
            };
            self.lose(circuit, channel, trouble, now);
        }
    }

    /// A circuit has ended by its own rules.
    fn failed(&mut self, circuit: CircuitId, error: circuit::Error, now: Instant) {
        let reason: Arc<dyn std::error::Error + Send + Sync> = Arc::new(error);
        self.closed(circuit, &reason, now);
    }

    /// Takes bytes as they arrived on a connection. On an error the circuit has ended; the caller closes the connection.
    pub fn handle_bytes(
        &mut self,
        circuit: CircuitId,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), circuit::Error> {
        let Some(Server {
            circuit: Some(state),
            ..
        }) = self.servers.get_mut(&circuit)
        else {
            return Err(circuit::Error::NotConnected);
        };
        let result = state.handle_bytes(bytes, now);
        let output = state.output_length();
        let connected = self.statistics.connected;
        // what came before a violation still counts
        while let Some(event) = self
            .servers
            .get_mut(&circuit)
            .and_then(|server| server.circuit.as_mut())
            .and_then(Circuit::poll_event)
        {
            self.circuit_event(circuit, event, now);
        }
        if let Err(error) = &result {
            self.failed(circuit, error.clone(), now);
        } else {
            let new = self.statistics.connected.saturating_sub(connected);
            self.advance(circuit);
            self.gather(circuit, new, output, now);
            self.after(circuit);
        }
        result
    }

    /// Whether versions have been exchanged on a circuit.
    pub fn is_ready(&self, circuit: CircuitId) -> bool {
        self.servers
            .get(&circuit)
            .is_some_and(|server| server.ready)
    }

    /// Lets the first values of many new channels come together.
    fn gather(&mut self, circuit: CircuitId, new: usize, since: usize, now: Instant) {
        let Some(server) = self.servers.get_mut(&circuit) else {
            return;
        };
        let Some(state) = &mut server.circuit else {
            return;
        };
        let (began, count) = server.gathering.unwrap_or((now, 0));
        let count = count + new;
        let more = server.creating > 0 || !server.waiting.is_empty();
        let result = if server.gathering.is_none() && new < TOGETHER {
            return;
        } else if more && count < GATHERED && now.saturating_duration_since(began) < GATHERING {
            server.gathering = Some((began, count));
            state.gather(since)
        } else {
            server.gathering = None;
            state.gather(since).and_then(|()| state.gathered())
        };
        if let Err(error) = result {
            tracing::debug!("flow control: {error}");
        }
    }

    /// When [`Channels::handle_circuit_timeout`] should be called.
    pub fn poll_circuit_timeout(&self, circuit: CircuitId) -> Option<Instant> {
        let server = self.servers.get(&circuit)?;
        let idle = server.idle.and_then(|since| since.checked_add(IDLE));
        let silent = server.circuit.as_ref().and_then(Circuit::poll_timeout);
        let gathering = server.gathering.map(|(began, _)| began + GATHERING);
        idle.into_iter().chain(silent).chain(gathering).min()
    }

    /// Looks after a silent or unused circuit. On an error it has ended; the caller closes the connection.
    pub fn handle_circuit_timeout(
        &mut self,
        circuit: CircuitId,
        now: Instant,
    ) -> Result<(), circuit::Error> {
        let Some(server) = self.servers.get_mut(&circuit) else {
            return Err(circuit::Error::NotConnected);
        };
        if server.idle.is_some_and(|since| now >= since + IDLE) {
            let address = server.address;
            let output = server.circuit.as_mut().map(Circuit::take_output);
            self.servers.remove(&circuit);
            self.addresses.remove(&address);
            let output = output.unwrap_or_default();
            self.effects.push_back(Effect::Close { circuit, output });
            return Ok(());
        }
        let result = match &mut server.circuit {
            Some(state) => state.handle_timeout(now),
            None => Ok(()),
        };
        let gathering = server.gathering.map(|(began, _)| began + GATHERING);
        if gathering.is_some_and(|end| end <= now) {
            self.gather(circuit, 0, usize::MAX, now);
        }
        match &result {
            Err(error) => self.failed(circuit, error.clone(), now),
            Ok(()) => self.after(circuit),
        }
        result
    }

    /// Bytes to be written to a connection.
    pub fn take_output(&mut self, circuit: CircuitId) -> Vec<u8> {
        let server = self.servers.get_mut(&circuit);
        let circuit = server.and_then(|server| server.circuit.as_mut());
        circuit.map(Circuit::take_output).unwrap_or_default()
    }

    /// A server says that it has a name.
    pub(super) fn answer(&mut self, channel: ChannelId, address: SocketAddrV4, now: Instant) {
        let Some(state) = self.state(channel) else {
            return;
        };
        match state {
            State::Joining(circuit) | State::Connected(circuit) => {
                let used = self.servers.get(&circuit).map(|server| server.address);
                if let Some(used) = used.filter(|used| *used != address) {
                    self.duplicate(channel, used, address);
                }
            }
            State::Searching => {
                let penalty = self.penalties.get(&address);
                if address.port() == 0 || penalty.is_some_and(|penalty| now < penalty.until) {
                    return;
                }
                self.search.answered(SearchId(channel.0), now);
                let circuit = self.open(address, now);
                if let Some(state) = self.table.get_mut(channel) {
                    state.state = State::Joining(circuit);
                }
                if let Some(server) = self.servers.get_mut(&circuit) {
                    server.idle = None;
                    server.members += 1;
                    server.waiting.push_back(channel);
                }
                self.advance(circuit);
                self.after(circuit);
            }
        }
    }

    /// The circuit to a server; a new one if there is none.
    fn open(&mut self, address: SocketAddrV4, now: Instant) -> CircuitId {
        if let Some(&circuit) = self.addresses.get(&address) {
            if let Some(server) = self.servers.get_mut(&circuit) {
                server.idle = None;
            }
            return circuit;
        }
        let mut circuit = CircuitId(self.next_circuit);
        while self.servers.contains_key(&circuit) {
            circuit = CircuitId(circuit.0.wrapping_add(1));
        }
        self.next_circuit = circuit.0.wrapping_add(1);
        self.addresses.insert(address, circuit);
        self.servers.insert(
            circuit,
            Server {
                address,
                circuit: None,
                since: now,
                ready: false,
                waiting: VecDeque::new(),
                creating: 0,
                members: 0,
                requests: HashMap::new(),
                idle: None,
                gathering: None,
            },
        );
        self.effects.push_back(Effect::Connect {
            circuit,
            server: address,
        });
        circuit
    }

    /// Asks a server for channels that wait, as many as it should be asked for at once.
    fn advance(&mut self, circuit: CircuitId) {
        let Some(server) = self.servers.get_mut(&circuit) else {
            return;
        };
        let (true, Some(state)) = (server.ready, &mut server.circuit) else {
            return;
        };
        while server.creating < CREATING && state.output_length() < BACKLOG {
            let Some(channel) = server.waiting.pop_front() else {
                break;
            };
            let Some(wanted) = self.table.get(channel) else {
                continue;
            };
            if wanted.state != State::Joining(circuit) {
                continue;
            }
            match state.create_channel(channel, &wanted.name) {
                Ok(()) => server.creating += 1,
                Err(error) => tracing::error!("channel to `{}`: {error}", wanted.name),
            }
        }
        if server.waiting.is_empty() {
            server.waiting = VecDeque::new();
        }
    }

    /// Asks the caller to write if there is something to write.
    pub(super) fn after(&mut self, circuit: CircuitId) {
        let server = self.servers.get(&circuit);
        let state = server.and_then(|server| server.circuit.as_ref());
        let last = self.effects.back();
        let asked = matches!(last, Some(Effect::Write { circuit: last }) if *last == circuit);
        if !asked && state.is_some_and(|state| state.output_length() > 0) {
            self.effects.push_back(Effect::Write { circuit });
        }
    }

    /// Does something on a circuit whose failure can only mean that the channel has gone, which is reported anyway.
    pub(super) fn on_circuit(
        &mut self,
        circuit: CircuitId,
        act: impl FnOnce(&mut Circuit) -> Result<(), circuit::Error>,
    ) {
        let server = self.servers.get_mut(&circuit);
        if let Some(state) = server.and_then(|server| server.circuit.as_mut())
            && let Err(error) = act(state)
        {
            tracing::debug!("nothing done on a circuit: {error}");
        }
    }

    /// Sends searches to a name server, if it is there and keeps up.
    pub(super) fn search_at(&mut self, at: usize, datagram: &Datagram) {
        let Some(circuit) = self.name_servers.get(at).and_then(|server| server.circuit) else {
            return;
        };
        let Some(Server {
            circuit: Some(state),
            ..
        }) = self.servers.get_mut(&circuit)
        else {
            return;
        };
        let can_search = state
            .minor_version()
            .is_some_and(|minor| minor >= u32::from(TCP_SEARCH_MINOR_VERSION));
        if can_search && state.output_length() < NAME_SERVER_BACKLOG {
            state.search(datagram);
            self.after(circuit);
        }
    }

    /// Subscribes to what the watches of a channel want.
    pub(super) fn subscribe(&mut self, circuit: CircuitId, channel: ChannelId) {
        let Some(mask) = self
            .table
            .get(channel)
            .and_then(super::table::Channel::mask)
        else {
            return;
        };
        self.on_circuit(circuit, |circuit| {
            // before the value, which needs the labels
            if matches!(circuit.native(channel), Some((DataType::Enum, 0 | 1))) {
                circuit.subscribe_properties(channel)?;
            }
            circuit.subscribe(channel, mask)
        });
    }

    pub(super) fn connected_event(&self, circuit: CircuitId, channel: ChannelId) -> Option<Event> {
        let server = self.servers.get(&circuit)?;
        let state = server.circuit.as_ref()?;
        let (data_type, count) = state.native(channel)?;
        let rights = state.access_rights(channel).unwrap_or(AccessRights {
            read: true,
            write: true,
        });
        Some(Event::Connected {
            server: server.address.into(),
            data_type,
            count,
            rights,
        })
    }

    /// A channel leaves its circuit, because nobody wants it any more.
    pub(super) fn leave(&mut self, circuit: CircuitId, channel: ChannelId, now: Instant) {
        let name_server = self.is_name_server(circuit);
        let Some(server) = self.servers.get_mut(&circuit) else {
            return;
        };
        if let Some(state) = &mut server.circuit {
            if state.has_channel(channel) && state.native(channel).is_none() {
                server.creating = server.creating.saturating_sub(1);
            }
            if let Err(error) = state.clear_channel(channel) {
                tracing::debug!("channel not cleared: {error}");
            }
        }
        server.members = server.members.saturating_sub(1);
        if server.members == 0 && !name_server {
            server.idle = Some(now);
        }
        self.advance(circuit);
        self.effects.push_back(Effect::Write { circuit });
    }

    fn is_name_server(&self, circuit: CircuitId) -> bool {
        let mut name_servers = self.name_servers.iter();
        name_servers.any(|name_server| name_server.circuit == Some(circuit))
    }

    /// A channel has lost its circuit, or its place on it.
    fn lose(&mut self, circuit: CircuitId, channel: ChannelId, trouble: Trouble, now: Instant) {
        let Some(state) = self.table.get_mut(channel) else {
            return;
        };
        let was = state.state;
        if was != State::Joining(circuit) && was != State::Connected(circuit) {
            return;
        }
        state.state = State::Searching;
        if let Some(extra) = &mut state.extra {
            extra.labels = None;
            extra.held = None;
            extra.duplicates.clear();
        }
        let search = SearchId(channel.0);
        if was == State::Connected(circuit) {
            self.statistics.connected -= 1;
            self.statistics.disconnections += 1;
            self.search.add(search, now);
            self.tell(channel, &Event::Disconnected);
        } else {
            if state.requests > 0 {
                state.extra().failure = Some(trouble);
            }
            self.search.add_later(search, RETRY, now);
        }
    }

    /// Remembers that a server failed, so that its answers are ignored for a while.
    fn penalize(&mut self, address: SocketAddrV4, now: Instant) {
        if self.penalties.len() >= PENALTIES {
            self.penalties.retain(|_, penalty| now < penalty.until);
        }
        if self.penalties.len() >= PENALTIES {
            return;
        }
        let penalty = self.penalties.entry(address).or_insert(Penalty {
            until: now,
            pause: PENALTY / 2,
        });
        // an old failure says nothing about this one
        if now.saturating_duration_since(penalty.until) > LONGEST_PENALTY {
            penalty.pause = PENALTY / 2;
        }
        penalty.pause = (penalty.pause * 2).min(LONGEST_PENALTY);
        penalty.until = now + penalty.pause;
    }

    fn circuit_event(&mut self, circuit: CircuitId, event: circuit::Event, now: Instant) {
        match event {
            circuit::Event::Ready { .. } => {
                if let Some(server) = self.servers.get_mut(&circuit) {
                    server.ready = true;
                    server.since = now;
                }
                for name_server in &mut self.name_servers {
                    if name_server.circuit == Some(circuit) {
                        name_server.pause = PENALTY;
                        // it has not heard the searches so far
                        self.search.hurry(now);
                    }
                }
            }
            circuit::Event::ChannelCreated { channel, .. } => self.created(circuit, channel, now),
            circuit::Event::AccessRights { channel, rights } => {
                if self.state(channel) == Some(State::Connected(circuit)) {
                    self.tell(channel, &Event::AccessRights(rights));
                }
            }
            circuit::Event::CreateFailed { channel }
            | circuit::Event::ChannelDisconnected { channel } => {
                let joining = self.state(channel) == Some(State::Joining(circuit));
                let Some(server) = self.servers.get_mut(&circuit) else {
                    return;
                };
                server.members = server.members.saturating_sub(1);
                let address = server.address;
                if joining {
                    server.creating = server.creating.saturating_sub(1);
                }
                if server.members == 0
                    && !self.is_name_server(circuit)
                    && let Some(server) = self.servers.get_mut(&circuit)
                {
                    server.idle = Some(now);
                }
                let trouble = Trouble {
                    server: address,
                    reason: None,
                };
                self.requests_lost(circuit, channel, address, now);
                self.lose(circuit, channel, trouble, now);
            }
            circuit::Event::Value { channel, result } => match result {
                Ok(sample) => self.value(channel, sample),
                // access rights say so as well; a value that is too large is worth a line
                Err(refusal) => self.refused(channel, &refusal),
            },
            circuit::Event::Properties { channel, result } => {
                let labels = result.map_or_else(|_| Vec::new(), |properties| properties.labels);
                self.labels(channel, labels);
            }
            circuit::Event::ReadDone { request, result } => {
                self.read_done(circuit, request, result, now);
            }
            circuit::Event::WriteDone { request, result } => {
                self.write_done(circuit, request, result, now);
            }
            circuit::Event::SearchReply {
                search,
                address,
                port,
            } => {
                let Some(server) = self.servers.get(&circuit) else {
                    return;
                };
                let ip = address.unwrap_or(*server.address.ip());
                self.answer(ChannelId(search), SocketAddrV4::new(ip, port), now);
            }
            circuit::Event::ServerError { command, refusal } => {
                tracing::debug!("a server complains about message {command}: {refusal}");
            }
        }
    }

    fn refused(&mut self, channel: ChannelId, refusal: &circuit::Refusal) {
        if let Some(channel) = self.table.get(channel) {
            tracing::debug!("no value of `{}`: {refusal}", channel.name);
        }
    }

    /// A server has given a channel.
    fn created(&mut self, circuit: CircuitId, channel: ChannelId, now: Instant) {
        if let Some(server) = self.servers.get_mut(&circuit) {
            server.creating = server.creating.saturating_sub(1);
        }
        let Some(state) = self.table.get_mut(channel) else {
            return;
        };
        if state.state != State::Joining(circuit) {
            return;
        }
        state.state = State::Connected(circuit);
        if let Some(extra) = &mut state.extra {
            extra.failure = None;
        }
        self.statistics.connected += 1;
        if let Some(event) = self.connected_event(circuit, channel) {
            self.tell(channel, &event);
        }
        self.subscribe(circuit, channel);
        self.start_requests(circuit, channel, now);
    }
}
