//! Circuits to servers: made when a channel needs one, shared by all channels of a server, closed when none is left.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::addresses::{LONGEST_PENALTY, PENALTY};
use super::table::State;
use super::{Channels, CircuitId, Effect, RequestId, Trouble};
use crate::circuit::{self, ChannelId, Circuit};
use crate::event::Event;

/// Channels that are there at once, from which on their first values are asked for together.
const TOGETHER: usize = 8;
/// First values that are kept back at most, and for how long, while further channels are being made.
const GATHERED: usize = 16_384;
const GATHERING: Duration = Duration::from_millis(250);
/// How long a circuit without channels stays.
const IDLE: Duration = Duration::from_secs(10);
/// A circuit that ends sooner than that counts as a failure of the server.
const SHORT_LIFE: Duration = Duration::from_secs(5);

/// A circuit, or one that is being made.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddrV4,
    /// `None` until the connection is there.
    pub(super) circuit: Option<Circuit>,
    pub(super) since: Instant,
    /// Whether versions have been exchanged.
    pub(super) ready: bool,
    /// Channels that the server has not been asked for yet.
    pub(super) waiting: VecDeque<ChannelId>,
    /// Channels that it has been asked for and has not given yet.
    pub(super) creating: usize,
    /// Channels that belong here, those that wait included.
    pub(super) members: usize,
    /// Reads and writes by their number on this circuit.
    pub(super) requests: HashMap<circuit::RequestId, RequestId>,
    /// Since when nobody needs it.
    pub(super) idle: Option<Instant>,
    /// Since when first values are kept back so that they come together, and of how many channels.
    pub(super) gathering: Option<(Instant, usize)>,
}

impl Channels {
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
        self.forget_address(address, circuit);
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
            self.forget_address(address, circuit);
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
}
