//! Servers that are searched over TCP: connected to for as long as the client lives, and again when they were lost.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::addresses::PENALTY;
use super::servers::Server;
use super::{Channels, CircuitId, NAME_SERVER_BACKLOG};
use crate::proto::TCP_SEARCH_MINOR_VERSION;
use crate::search::Datagram;

/// A server that is searched over TCP.
#[derive(Debug)]
pub(super) struct NameServer {
    pub(super) address: SocketAddrV4,
    pub(super) circuit: Option<CircuitId>,
    /// When it is to be connected to again.
    pub(super) due: Option<Instant>,
    pub(super) pause: Duration,
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

    pub(super) fn is_name_server(&self, circuit: CircuitId) -> bool {
        let mut name_servers = self.name_servers.iter();
        name_servers.any(|name_server| name_server.circuit == Some(circuit))
    }
}
