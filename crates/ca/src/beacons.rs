//! What the beacons of servers say: who is there, who is new, who has been started again.
//!
//! A server counts its beacons from 0 at its start, sends the first ones quickly and then one in each period (15 s unless
//! configured). A pure table: it opens no socket and reads no clock.
//!
//! What it deliberately does not do: conclude that a server is gone when beacons stop. The circuit knows better.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use crate::proto::{self, Beacon, Response, decode_frame};

/// Servers that are remembered; what is not known any more counts as new when it sends again.
const MOST_SERVERS: usize = 10_000;
/// Beacons that arrive twice or out of order, over several routes, are at most that far apart.
const REORDERED: u32 = 4;
/// After that time nothing that was sent before is still on its way.
const ON_THE_WAY: Duration = Duration::from_secs(1);
/// A server whose count is below that has been started within its last quick beacons: each of their pauses, from 20 ms,
/// is twice the one before.
const FRESH: u32 = 10;
/// Largest payload that is looked at.
const MAXIMUM_PAYLOAD: u32 = 0xffff;

/// Why searches should resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// A server that was not known.
    New,
    /// Its count has begun again.
    Restarted,
    /// Its beacons come faster than they did: it has been started again, and the first beacons were lost.
    Faster,
    /// It was silent for several periods: it, or the way to it, is back.
    Back,
}

#[derive(Clone, Copy, Debug)]
struct Server {
    sequence: u32,
    last: Instant,
    /// Time between the last beacons, averaged.
    period: Option<Duration>,
}

/// The servers whose beacons have been seen.
#[derive(Debug)]
pub struct Beacons {
    servers: HashMap<SocketAddrV4, Server>,
    started: Instant,
    period: Duration,
}

impl Beacons {
    /// No servers yet. `period` is what servers are expected to have (`EPICS_CA_BEACON_PERIOD`): for that long after the
    /// start, servers that have been running for a while are not news.
    pub fn new(period: Duration, now: Instant) -> Self {
        Self {
            servers: HashMap::new(),
            started: now,
            period,
        }
    }

    /// Servers that are known.
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// Whether no server is known.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Takes a datagram from `sender`; `take` gets the servers about which it has news.
    ///
    /// On an error the beacons before the broken one still count.
    pub fn handle_datagram(
        &mut self,
        mut bytes: &[u8],
        sender: Ipv4Addr,
        now: Instant,
        mut take: impl FnMut(SocketAddrV4, Anomaly),
    ) -> Result<(), proto::Error> {
        while !bytes.is_empty() {
            let Some((frame, used)) = decode_frame(bytes, MAXIMUM_PAYLOAD)? else {
                return Err(proto::Error::Truncated { rest: bytes.len() });
            };
            bytes = &bytes[used..];
            if let Response::Beacon(beacon) = Response::decode(frame)? {
                let address = beacon.address.unwrap_or(sender);
                if let Some(anomaly) = self.handle(beacon, address, now) {
                    take(SocketAddrV4::new(address, beacon.port), anomaly);
                }
            }
        }
        Ok(())
    }

    /// Takes one beacon.
    pub fn handle(&mut self, beacon: Beacon, address: Ipv4Addr, now: Instant) -> Option<Anomaly> {
        let server = SocketAddrV4::new(address, beacon.port);
        let sequence = beacon.sequence;
        let Some(known) = self.servers.get_mut(&server) else {
            if self.servers.len() >= MOST_SERVERS {
                self.forget_oldest();
            }
            self.servers.insert(
                server,
                Server {
                    sequence,
                    last: now,
                    period: None,
                },
            );
            let all_seen = now.saturating_duration_since(self.started) > self.period * 2;
            return (all_seen || sequence < FRESH).then_some(Anomaly::New);
        };
        let pause = now.saturating_duration_since(known.last);
        let behind = known.sequence.wrapping_sub(sequence);
        if behind == 0 && pause < ON_THE_WAY.max(known.period.unwrap_or_default() / 2) {
            return None;
        }
        if (1..=REORDERED).contains(&behind) && pause < ON_THE_WAY {
            return None;
        }
        let before = known.period;
        let restarted = behind < u32::MAX / 2;
        known.sequence = sequence;
        known.last = now;
        if restarted {
            known.period = None;
            return Some(Anomaly::Restarted);
        }
        // some were lost; the pause is that of several
        let advance = behind.wrapping_neg().max(1);
        let each = pause / advance;
        known.period = Some(match before {
            // a server that is still speeding down is followed at once
            Some(before) if sequence > FRESH && each < before * 2 => before * 3 / 4 + each / 4,
            _ => each,
        });
        let before = before.filter(|_| sequence > FRESH)?;
        if each < before * 4 / 5 && before > ON_THE_WAY {
            Some(Anomaly::Faster)
        } else if pause > before * 13 / 4 {
            Some(Anomaly::Back)
        } else {
            None
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.servers.iter().min_by_key(|(_, server)| server.last);
        if let Some(oldest) = oldest.map(|(&address, _)| address) {
            self.servers.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    /// Beacons at seconds since the start of the client, and what each means.
    fn check(beacons: &[(f64, u32, Option<Anomaly>)]) {
        let start = Instant::now();
        let mut table = Beacons::new(Duration::from_secs(15), start);
        for &(at, sequence, expected) in beacons {
            let beacon = Beacon {
                minor: 13,
                port: 5064,
                sequence,
                address: None,
            };
            let now = start + Duration::from_secs_f64(at);
            let found = table.handle(beacon, Ipv4Addr::LOCALHOST, now);
            assert_eq!(
                found, expected,
                "beacon {sequence} at {at} s of {beacons:?}"
            );
        }
    }

    #[test]
    fn servers_that_were_there_before_are_no_news() {
        check(&[(3.0, 700, None), (18.0, 701, None), (33.0, 702, None)]);
    }

    #[test]
    fn a_server_that_starts_is_new_at_its_first_beacon() {
        let new = Some(Anomaly::New);
        check(&[(3.0, 0, new), (3.02, 1, None), (3.06, 2, None)]);
        check(&[(100.0, 0, new), (100.02, 1, None)]);
        // a way to it has opened
        check(&[(100.0, 5000, new), (115.0, 5001, None)]);
    }

    #[test]
    fn a_server_that_starts_again_is_noticed_at_its_first_beacon() {
        let restarted = Some(Anomaly::Restarted);
        check(&[
            (3.0, 700, None),
            (18.0, 701, None),
            (25.0, 0, restarted),
            (25.02, 1, None),
        ]);
        // hours later
        check(&[(3.0, 700, None), (18.0, 701, None), (9000.0, 0, restarted)]);
        // it had not run for long
        check(&[
            (3.0, 0, Some(Anomaly::New)),
            (3.02, 1, None),
            (9.0, 0, restarted),
        ]);
        check(&[(3.0, 0, Some(Anomaly::New)), (9.0, 0, restarted)]);
    }

    #[test]
    fn a_restart_whose_first_beacons_are_lost_is_noticed_by_the_period() {
        check(&[
            (0.0, 700, None),
            (15.0, 701, None),
            (30.0, 702, None),
            (33.0, 703, Some(Anomaly::Faster)),
        ]);
        check(&[
            (0.0, 700, None),
            (15.0, 701, None),
            (30.0, 702, None),
            (300.0, 703, Some(Anomaly::Back)),
        ]);
    }

    #[test]
    fn copies_and_late_ones_over_another_route_are_no_news() {
        check(&[
            (0.0, 700, None),
            (0.001, 700, None),
            (15.0, 701, None),
            (15.2, 700, None),
            (15.3, 701, None),
            (30.0, 702, None),
            (30.1, 702, None),
        ]);
    }

    #[test]
    fn a_lost_beacon_is_no_news() {
        check(&[
            (0.0, 700, None),
            (15.0, 701, None),
            (45.0, 703, None),
            (60.0, 704, None),
        ]);
    }

    #[test]
    fn the_count_may_wrap() {
        check(&[
            (0.0, u32::MAX - 1, None),
            (15.0, u32::MAX, None),
            (30.0, 0, None),
            (45.0, 1, None),
        ]);
    }

    #[test]
    fn the_table_is_bounded() {
        let now = Instant::now();
        let mut table = Beacons::new(Duration::from_secs(15), now);
        for number in 0..u32::try_from(MOST_SERVERS).unwrap() + 100 {
            let address = Ipv4Addr::from_bits(number + 1);
            let beacon = Beacon {
                minor: 13,
                port: 5064,
                sequence: 0,
                address: None,
            };
            table.handle(beacon, address, now);
        }
        assert_eq!(table.len(), MOST_SERVERS);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), seconds in 0..100_u64) {
            let now = Instant::now();
            let mut table = Beacons::new(Duration::from_secs(15), now);
            for later in [0, seconds] {
                let now = now + Duration::from_secs(later);
                let _ = table.handle_datagram(&bytes, Ipv4Addr::LOCALHOST, now, |_, _| {});
            }
        }
    }
}
