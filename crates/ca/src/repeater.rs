//! The repeater: one program on each machine receives the beacons of all servers and passes them on to all clients, because
//! only one can listen at the beacon port. Both sides of it, as state machines without sockets and clock.
//!
//! [`Registration`] is the client: it registers, again and again because repeaters end, and says when there is none so that
//! the caller becomes one. [`Repeater`] is the one that passes on. Messages as in `libca` (`repeater.cpp`), so that both can
//! be used with clients and repeaters of EPICS base.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use crate::proto::{Command, Header, Request, Response, decode_frame};

/// Clients of one machine that are served.
const MOST_CLIENTS: usize = 1024;
/// Largest payload that is looked at.
const MAXIMUM_PAYLOAD: u32 = 0xffff;
/// How long a confirmation may take.
const CONFIRMATION: Duration = Duration::from_millis(250);
/// Registrations without a confirmation after which there is no repeater.
const ATTEMPTS: u32 = 3;
/// How often a registration is renewed, in case the repeater has been replaced.
const RENEWAL: Duration = Duration::from_secs(10);

/// What a client should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this to the repeater's port on this machine.
    Register(Vec<u8>),
    /// Become the repeater, if the port is free.
    Become,
}

/// The client's side.
#[derive(Debug)]
pub struct Registration {
    due: Instant,
    unconfirmed: u32,
    confirmed: bool,
}

impl Registration {
    /// Registers at once.
    pub fn new(now: Instant) -> Self {
        Self {
            due: now,
            unconfirmed: 0,
            confirmed: false,
        }
    }

    /// When [`Registration::poll`] has something to do.
    pub fn poll_timeout(&self) -> Instant {
        self.due
    }

    /// Whether a repeater has confirmed and has not been silent since.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// What to do now, if anything.
    pub fn poll(&mut self, now: Instant) -> Option<Step> {
        if now < self.due {
            return None;
        }
        if self.unconfirmed >= ATTEMPTS {
            self.confirmed = false;
            self.unconfirmed = 0;
            // registers with itself, or with whoever was quicker
            self.due = now;
            return Some(Step::Become);
        }
        self.unconfirmed += 1;
        self.due = now + CONFIRMATION;
        let mut bytes = Vec::new();
        let client = Ipv4Addr::LOCALHOST;
        Request::RepeaterRegister { client }
            .encode(&mut bytes)
            .ok()?;
        Some(Step::Register(bytes))
    }

    /// The port is taken by something that does not answer: not tried again for a while.
    pub fn failed(&mut self, now: Instant) {
        self.due = now + RENEWAL;
    }

    /// The repeater has confirmed.
    pub fn confirmed(&mut self, now: Instant) {
        self.confirmed = true;
        self.unconfirmed = 0;
        self.due = now + RENEWAL;
    }
}

/// Whether a datagram holds the confirmation of a repeater.
pub fn holds_confirmation(mut bytes: &[u8]) -> bool {
    while let Ok(Some((frame, used))) = decode_frame(bytes, MAXIMUM_PAYLOAD) {
        if matches!(Response::decode(frame), Ok(Response::RepeaterConfirm)) {
            return true;
        }
        bytes = &bytes[used..];
    }
    false
}

/// What a repeater should do with a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send to one client.
    Send {
        /// To whom.
        client: SocketAddrV4,
        /// What.
        bytes: Vec<u8>,
    },
    /// Send to all clients but the one that it came from.
    Distribute {
        /// From whom.
        except: SocketAddrV4,
        /// What.
        bytes: Vec<u8>,
    },
}

/// The repeater itself.
#[derive(Debug, Default)]
pub struct Repeater {
    clients: BTreeSet<SocketAddrV4>,
}

impl Repeater {
    /// All clients.
    pub fn clients(&self) -> impl Iterator<Item = SocketAddrV4> {
        self.clients.iter().copied()
    }

    /// Forgets a client that is gone.
    pub fn remove(&mut self, client: SocketAddrV4) {
        self.clients.remove(&client);
    }

    /// Takes a datagram. `local` says whether the sender is on this machine; others cannot register.
    pub fn handle(&mut self, bytes: &[u8], sender: SocketAddrV4, local: bool) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut rest = bytes;
        // clients of EPICS 3.11 register with nothing at all
        if bytes.is_empty() {
            self.register(sender, local, &mut actions);
        }
        let mut forward = Vec::new();
        while let Ok(Some((frame, used))) = decode_frame(rest, MAXIMUM_PAYLOAD) {
            if frame.header.command == Command::REPEATER_REGISTER {
                self.register(sender, local, &mut actions);
            } else {
                let at = forward.len();
                forward.extend_from_slice(&rest[..used]);
                // servers leave their address to be filled in by who knows it
                if frame.header.command == Command::RSRV_IS_UP && frame.header.parameter2 == 0 {
                    let address = sender.ip().octets();
                    forward[at + 12..at + 16].copy_from_slice(&address);
                }
            }
            rest = &rest[used..];
        }
        if !forward.is_empty() {
            let (except, bytes) = (sender, forward);
            actions.push(Action::Distribute { except, bytes });
        }
        actions
    }

    fn register(&mut self, client: SocketAddrV4, local: bool, actions: &mut Vec<Action>) {
        let known = self.clients.contains(&client);
        if !local || (!known && self.clients.len() >= MOST_CLIENTS) {
            return;
        }
        self.clients.insert(client);
        let mut bytes = Vec::new();
        Header {
            parameter2: client.ip().to_bits(),
            ..Header::new(Command::REPEATER_CONFIRM)
        }
        .encode(&mut bytes);
        actions.push(Action::Send { client, bytes });
        if !known {
            // whoever does not receive it is gone, which sending finds out
            let mut bytes = Vec::new();
            Header::new(Command::VERSION).encode(&mut bytes);
            let except = client;
            actions.push(Action::Distribute { except, bytes });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 7), 40_000);

    fn client(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
    }

    fn message(header: Header) -> Vec<u8> {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        bytes
    }

    fn register() -> Vec<u8> {
        let mut bytes = Vec::new();
        let client = Ipv4Addr::LOCALHOST;
        Request::RepeaterRegister { client }
            .encode(&mut bytes)
            .unwrap();
        bytes
    }

    fn beacon(address: u32) -> Vec<u8> {
        message(Header {
            data_type: 13,
            count: 5064,
            parameter1: 3,
            parameter2: address,
            ..Header::new(Command::RSRV_IS_UP)
        })
    }

    #[test]
    fn registration_is_confirmed_and_beacons_are_passed_on_with_their_address() {
        let mut repeater = Repeater::default();
        // golden bytes of the confirmation
        let mut confirmation = vec![0, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        confirmation.extend([127, 0, 0, 1]);
        let actions = repeater.handle(&register(), client(50_000), true);
        assert_eq!(
            actions[0],
            Action::Send {
                client: client(50_000),
                bytes: confirmation.clone()
            }
        );
        assert!(holds_confirmation(&confirmation) && !holds_confirmation(&beacon(1)));
        // an old client, and one that is there already
        assert_eq!(repeater.handle(&[], client(50_001), true).len(), 2);
        assert_eq!(repeater.handle(&register(), client(50_000), true).len(), 1);
        assert_eq!(
            repeater.handle(&beacon(0), SERVER, false),
            [Action::Distribute {
                except: SERVER,
                bytes: beacon(SERVER.ip().to_bits())
            }]
        );
        let given = beacon(0x0a00_0001);
        let expected = Action::Distribute {
            except: SERVER,
            bytes: given.clone(),
        };
        assert_eq!(repeater.handle(&given, SERVER, false), [expected]);
        assert_eq!(repeater.clients().count(), 2);
        repeater.remove(client(50_001));
        assert_eq!(repeater.clients().count(), 1);
    }

    #[test]
    fn strangers_cannot_register_and_clients_are_bounded() {
        let mut repeater = Repeater::default();
        assert_eq!(repeater.handle(&register(), SERVER, false), []);
        for port in 1..=2000 {
            repeater.handle(&register(), client(port), true);
        }
        assert_eq!(repeater.clients().count(), MOST_CLIENTS);
    }

    #[test]
    fn without_a_confirmation_the_client_becomes_the_repeater() {
        let start = Instant::now();
        let mut registration = Registration::new(start);
        let mut now = start;
        let mut steps = Vec::new();
        while steps.len() < 5 {
            now = now.max(registration.poll_timeout());
            steps.extend(registration.poll(now));
        }
        let send = Step::Register(register());
        let expected = [send.clone(), send.clone(), send.clone(), Step::Become, send];
        assert_eq!(steps, expected);
        assert!(now - start < Duration::from_secs(1));
        registration.confirmed(now);
        assert!(registration.is_confirmed());
        assert_eq!(registration.poll(now + Duration::from_secs(9)), None);
        assert!(registration.poll(now + RENEWAL).is_some());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), local in any::<bool>()) {
            let mut repeater = Repeater::default();
            let _ = repeater.handle(&bytes, SERVER, local);
            let _ = holds_confirmation(&bytes);
        }
    }
}
