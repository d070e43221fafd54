//! Which circuits lead to which server, and which servers are left alone for a while because they failed.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::servers::Server;
use super::{Channels, CircuitId, Effect};

/// Channels that share a circuit; further ones of the same server get another. For each new subscription a server of
/// EPICS base looks through all those of its circuit, so that a hundred thousand on one would keep it busy for seconds.
/// The number is what a hash table holds before it grows beyond 8192 places.
pub(super) const MEMBERS: usize = 7168;
/// First and longest pause before a server that failed is connected to again.
pub(super) const PENALTY: Duration = Duration::from_millis(200);
pub(super) const LONGEST_PENALTY: Duration = Duration::from_secs(30);
/// Servers that are remembered as failing.
const PENALTIES: usize = 4096;

/// A server that answers searches and cannot be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Penalty {
    until: Instant,
    pause: Duration,
}

impl Channels {
    /// Forgets where a circuit led to.
    pub(super) fn forget_address(&mut self, address: SocketAddrV4, circuit: CircuitId) {
        if let Some(circuits) = self.addresses.get_mut(&address) {
            circuits.retain(|other| *other != circuit);
            if circuits.is_empty() {
                self.addresses.remove(&address);
            }
        }
    }

    pub(super) fn is_penalized(&self, address: SocketAddrV4, now: Instant) -> bool {
        let penalty = self.penalties.get(&address);
        penalty.is_some_and(|penalty| now < penalty.until)
    }

    /// The circuit to a server that takes one more channel.
    pub(super) fn with_room(&self, address: SocketAddrV4, now: Instant) -> Option<CircuitId> {
        let circuits = self.addresses.get(&address)?;
        let servers = circuits
            .iter()
            .filter_map(|circuit| Some((*circuit, self.servers.get(circuit)?)));
        let mut roomy = servers.clone().rev();
        if let Some((circuit, _)) = roomy.find(|(_, server)| server.members < MEMBERS) {
            return Some(circuit);
        }
        // a server that wants no further circuit
        servers
            .filter(|(_, server)| server.ready && self.is_penalized(address, now))
            .min_by_key(|(_, server)| server.members)
            .map(|(circuit, _)| circuit)
    }

    /// Whether a server that failed can be used all the same, by a circuit that it still keeps.
    pub(super) fn has_circuit(&self, address: SocketAddrV4) -> bool {
        let mut circuits = self.addresses.get(&address).into_iter().flatten();
        circuits.any(|&circuit| self.is_ready(circuit))
    }

    /// The circuit to a server; a new one if there is none that takes one more channel.
    pub(super) fn open(&mut self, address: SocketAddrV4, now: Instant) -> CircuitId {
        if let Some(circuit) = self.with_room(address, now) {
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
        self.addresses.entry(address).or_default().push(circuit);
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

    /// Remembers that a server failed, so that its answers are ignored for a while.
    pub(super) fn penalize(&mut self, address: SocketAddrV4, now: Instant) {
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
}
