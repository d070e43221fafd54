//! Searching for names: which datagrams to send when, and what the answers say.
//!
//! A pure state machine: it opens no socket and reads no clock. The caller sends what [`Search::poll_transmit`] gives to
//! every address, sleeps until [`Search::poll_timeout`], and hands in what arrives.
//!
//! Many names share a datagram; a name that nobody answers for is asked for again after a pause that doubles up to a
//! bound. Datagrams are spread over time, so that a search for thousands of names does not overrun the servers' receive
//! buffers.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use crate::name::PvName;
use crate::proto::{self, HEADER_LENGTH, MAXIMUM_DATAGRAM, Request, Response, decode_frame};

/// First pause before a name is asked for again.
const FIRST_INTERVAL: Duration = Duration::from_millis(30);
/// Datagrams that may leave together.
const BURST: u32 = 4;
/// Pause between two bursts.
const BURST_SPACING: Duration = Duration::from_millis(2);
/// Largest payload that is looked at in a datagram; no UDP datagram is larger.
const MAXIMUM_PAYLOAD: u32 = 0xffff;

/// Number of one search; it travels with the datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SearchId(pub u32);

/// A server says that it has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which search.
    pub search: SearchId,
    /// TCP address of the server.
    pub server: SocketAddrV4,
}

/// Search messages to be sent to every address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram(Vec<u8>);

impl Datagram {
    /// All of it, for UDP: the version message and the searches.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The searches alone, for a TCP circuit, which exchanges versions only once.
    pub fn searches(&self) -> &[u8] {
        &self.0[HEADER_LENGTH..]
    }
}

/// Searches under way.
#[derive(Debug)]
pub struct Search {
    names: BTreeMap<SearchId, Entry>,
    /// When each unanswered name is due.
    schedule: BTreeSet<(Instant, SearchId)>,
    next: u32,
    maximum_interval: Duration,
    burst_left: u32,
    burst_ends: Instant,
}

#[derive(Debug)]
struct Entry {
    name: PvName,
    interval: Duration,
    /// Its place in the schedule; `None` when nothing is sent for it.
    due: Option<Instant>,
}

impl Search {
    /// No searches yet. A name is asked for at least once in `maximum_interval`.
    pub fn new(maximum_interval: Duration, now: Instant) -> Self {
        Self {
            names: BTreeMap::new(),
            schedule: BTreeSet::new(),
            next: 1,
            // a pause beyond a day would be the same as never
            maximum_interval: maximum_interval.min(Duration::from_hours(24)),
            burst_left: BURST,
            burst_ends: now,
        }
    }

    /// Begins to search for a name.
    pub fn add(&mut self, name: PvName, now: Instant) -> SearchId {
        let mut search = SearchId(self.next);
        while self.names.contains_key(&search) {
            search = SearchId(search.0.wrapping_add(1));
        }
        self.next = search.0.wrapping_add(1);
        self.names.insert(
            search,
            Entry {
                name,
                interval: FIRST_INTERVAL,
                due: Some(now),
            },
        );
        self.schedule.insert((now, search));
        search
    }

    /// Stops sending; answers are still understood, so that a second server with the same name is noticed.
    pub fn pause(&mut self, search: SearchId) {
        if let Some(name) = self.names.get_mut(&search)
            && let Some(due) = name.due.take()
        {
            self.schedule.remove(&(due, search));
        }
    }

    /// Sends again, at the earliest after the pause that the name has reached: its server was not what was hoped for.
    pub fn resume(&mut self, search: SearchId, now: Instant) {
        if let Some(name) = self.names.get_mut(&search)
            && name.due.is_none()
        {
            let due = now + name.interval;
            name.due = Some(due);
            self.schedule.insert((due, search));
        }
    }

    /// Forgets a search; later answers to it are ignored.
    pub fn remove(&mut self, search: SearchId) {
        self.pause(search);
        self.names.remove(&search);
    }

    /// The next datagram that should be sent at this time, if any. Call it until it gives none.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        if self.burst_left == 0 {
            if now < self.burst_ends {
                return None;
            }
            self.burst_left = BURST;
        }
        let mut bytes = Vec::with_capacity(MAXIMUM_DATAGRAM);
        let version = Request::Version { priority: 0 };
        version.encode(&mut bytes).ok()?;
        let empty = bytes.len();
        while let Some(&(due, search)) = self.schedule.first()
            && due <= now
        {
            let Some(entry) = self.names.get_mut(&search) else {
                self.schedule.pop_first();
                continue;
            };
            let before = bytes.len();
            let request = Request::Search {
                name: &entry.name,
                search: search.0,
            };
            if request.encode(&mut bytes).is_err() || bytes.len() > MAXIMUM_DATAGRAM {
                // the first one always fits: a `PvName` is no longer than that
                bytes.truncate(before);
                break;
            }
            self.schedule.pop_first();
            let next = now + entry.interval;
            entry.due = Some(next);
            entry.interval = (entry.interval * 2).min(self.maximum_interval);
            self.schedule.insert((next, search));
        }
        if bytes.len() == empty {
            return None;
        }
        self.burst_left -= 1;
        self.burst_ends = now + BURST_SPACING;
        Some(Datagram(bytes))
    }

    /// When [`Search::poll_transmit`] should be called next; `None` if nothing is searched for.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let &(due, _) = self.schedule.first()?;
        Some(if self.burst_left == 0 {
            due.max(self.burst_ends)
        } else {
            due
        })
    }

    /// Takes a datagram from `sender`. Answers to searches that are not under way are left out.
    ///
    /// On an error the messages before the broken one still count; they come with it.
    pub fn handle_datagram(
        &mut self,
        mut bytes: &[u8],
        sender: Ipv4Addr,
    ) -> (Vec<Answer>, Result<(), proto::Error>) {
        let mut answers = Vec::new();
        while !bytes.is_empty() {
            let (frame, used) = match decode_frame(bytes, MAXIMUM_PAYLOAD) {
                Ok(Some(found)) => found,
                Ok(None) => return (answers, Err(proto::Error::Truncated { rest: bytes.len() })),
                Err(error) => return (answers, Err(error)),
            };
            bytes = &bytes[used..];
            match Response::decode(frame) {
                Ok(Response::SearchReply {
                    search,
                    address,
                    port,
                }) => {
                    answers.extend(self.handle_reply(search, address, port, sender));
                }
                Ok(_) => {}
                Err(error) => return (answers, Err(error)),
            }
        }
        (answers, Ok(()))
    }

    /// Takes the fields of one search reply, from a datagram or a name server at `sender`.
    pub fn handle_reply(
        &mut self,
        search: u32,
        address: Option<Ipv4Addr>,
        port: u16,
        sender: Ipv4Addr,
    ) -> Option<Answer> {
        let search = SearchId(search);
        let server = SocketAddrV4::new(address.unwrap_or(sender), port);
        self.names
            .contains_key(&search)
            .then_some(Answer { search, server })
    }
}
