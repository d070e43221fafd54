//! Channels on their circuits: how they get there, what they are subscribed to, and how they leave or are lost.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::Instant;

use super::table::State;
use super::{Channels, CircuitId, Effect, RETRY, Trouble};
use crate::circuit::ChannelId;
use crate::event::Event;
use crate::proto::{AccessRights, DataType};
use crate::search::SearchId;

/// Channels that a server is asked for before it has answered for earlier ones: enough to keep it busy, and a bound for
/// what waits to be written.
const CREATING: usize = 8192;
/// Bytes that may wait to be written before further channels are asked for.
const BACKLOG: usize = 512 * 1024;

impl Channels {
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
                let unusable = self.is_penalized(address, now) && !self.has_circuit(address);
                if address.port() == 0 || unusable {
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

    /// Asks a server for channels that wait, as many as it should be asked for at once.
    pub(super) fn advance(&mut self, circuit: CircuitId) {
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

    /// A channel has lost its circuit, or its place on it.
    pub(super) fn lose(
        &mut self,
        circuit: CircuitId,
        channel: ChannelId,
        trouble: Trouble,
        now: Instant,
    ) {
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

    /// A server has given a channel.
    pub(super) fn created(&mut self, circuit: CircuitId, channel: ChannelId, now: Instant) {
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
