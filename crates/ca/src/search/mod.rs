//! Searching for names: which datagrams to send when, and what the answers say.
//!
//! A pure state machine: it opens no socket, reads no clock and keeps no names. The caller sends what
//! [`Search::poll_transmit`] gives to every address, sleeps until [`Search::poll_timeout`], and hands in what arrives.
//!
//! Many names share a datagram; a name that nobody answers for is asked for again after a pause that doubles up to a
//! bound, as `libca` does. Only so many datagrams are on their way at once that no server's receive buffer overruns: as
//! answers come, further ones are sent, and more at once; names that nobody has leave slowly. When a server appears,
//! [`Search::hurry`] shortens all pauses.

#[cfg(test)]
mod tests;
mod window;

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use crate::name::PvName;
use window::Window;

use crate::proto::{self, HEADER_LENGTH, MAXIMUM_DATAGRAM, Request, Response, decode_frame};

/// First pause before a name is asked for again.
const FIRST_INTERVAL: Duration = Duration::from_millis(30);
/// Least pause after a name was hurried; then longer ones again. An IOC of EPICS base sends its first beacon before it
/// answers searches, so the second search is the one that finds it.
const HURRIED: Duration = Duration::from_millis(240);
/// Shortest time between two hurries, however many servers appear.
const HURRY_SPACING: u64 = 1_000_000;
/// Lane number of a name that is not sent.
const PAUSED: u8 = u8::MAX;
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
///
/// Names wait in lanes: those of lane 0 leave as soon as the window lets them, those of each further one after twice the
/// pause of the one before. Within a lane the order of arrival is the order of being due, so no sorting is needed however
/// many names there are.
#[derive(Debug)]
pub struct Search {
    names: HashMap<SearchId, Entry>,
    /// When due, and which; what [`Entry`] no longer agrees with is stale.
    lanes: Vec<VecDeque<(u64, SearchId)>>,
    maximum_interval: Duration,
    /// All times are microseconds since then.
    origin: Instant,
    window: Window,
    hurried: Option<u64>,
    hurry_again: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    due: u64,
    /// The datagram that it was last sent with.
    datagram: u32,
    lane: u8,
    /// The lane it goes to when it has been sent.
    next: u8,
}

impl Search {
    /// No searches yet. A name is asked for at least once in `maximum_interval`.
    pub fn new(maximum_interval: Duration, now: Instant) -> Self {
        // a pause beyond a day would be the same as never
        let maximum_interval = maximum_interval.clamp(FIRST_INTERVAL, Duration::from_hours(24));
        let mut top = 1_usize;
        while FIRST_INTERVAL * (1 << (top - 1)) < maximum_interval {
            top += 1;
        }
        Self {
            names: HashMap::new(),
            lanes: vec![VecDeque::new(); top + 1],
            maximum_interval,
            origin: now,
            window: Window::default(),
            hurried: None,
            hurry_again: false,
        }
    }

    /// Names that are searched for, the paused ones included.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether nothing is searched for.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Begins to search for a name, at once.
    pub fn add(&mut self, search: SearchId, now: Instant) {
        let due = self.micros(now);
        self.enter(search, 0, due, 1);
    }

    /// Begins to search for a name after a pause: its server was not what was hoped for.
    pub fn add_later(&mut self, search: SearchId, pause: Duration, now: Instant) {
        self.wait(search, self.lane_of(pause), now);
    }

    /// Stops sending; answers are still understood, so that a second server with the same name is noticed.
    pub fn pause(&mut self, search: SearchId) {
        if let Some(name) = self.names.get_mut(&search)
            && name.lane != PAUSED
        {
            name.lane = PAUSED;
            let datagram = name.datagram;
            self.window.answered(datagram, None);
        }
    }

    /// Sends again, after the pause that the name has reached: its server was not what was hoped for.
    pub fn resume(&mut self, search: SearchId, now: Instant) {
        if let Some(&Entry {
            lane: PAUSED, next, ..
        }) = self.names.get(&search)
        {
            self.wait(search, next, now);
        }
    }

    /// A server has the name: the search ends, and others may be sent in its place.
    pub fn answered(&mut self, search: SearchId, now: Instant) {
        if let Some(entry) = self.names.get(&search) {
            self.window.answered(entry.datagram, Some(self.micros(now)));
        }
        self.remove(search);
    }

    /// Forgets a search; later answers to it are ignored.
    pub fn remove(&mut self, search: SearchId) {
        self.names.remove(&search);
        if self.names.is_empty() {
            // a hundred thousand names leave a lot of room behind
            self.names = HashMap::new();
            self.lanes
                .iter_mut()
                .for_each(|lane| *lane = VecDeque::new());
        }
    }

    /// A server has appeared: whatever has a long pause is sent again at once, and again after shorter pauses than it had
    /// reached. Many servers at once count as one each second.
    pub fn hurry(&mut self, now: Instant) {
        let now = self.micros(now);
        if self.hurried.is_some_and(|last| now < last + HURRY_SPACING) {
            self.hurry_again = true;
            return;
        }
        self.hurry_again = false;
        self.hurried = Some(now);
        // by its pause, not by its number: the pauses are longer where answers come late
        let next = self.lane_of(HURRIED);
        for lane in usize::from(next) + 1..self.lanes.len() {
            for (due, search) in std::mem::take(&mut self.lanes[lane]) {
                if self.is_current(lane, due, search) {
                    self.enter(search, 0, now, next);
                }
            }
        }
    }

    /// The next datagram that should be sent at this time, if any. Call it until it gives none. `name` knows the names; a
    /// search whose name it does not know ends.
    pub fn poll_transmit<'a>(
        &mut self,
        now: Instant,
        name: impl Fn(SearchId) -> Option<&'a PvName>,
    ) -> Option<Datagram> {
        if self.hurry_again {
            self.hurry(now);
        }
        let now = self.micros(now);
        self.window.expire(now);
        self.make_ready(now);
        if !self.window.is_open(now) {
            return None;
        }
        let mut bytes = Vec::new();
        let version = Request::Version { priority: 0 };
        version.encode(&mut bytes).ok()?;
        let datagram = self.window.next_datagram();
        let mut count = 0;
        while let Some(search) = self.first_ready() {
            let before = bytes.len();
            let fits = name(search).map(|name| {
                let request = Request::Search {
                    name,
                    search: search.0,
                };
                request.encode(&mut bytes).is_ok() && bytes.len() <= MAXIMUM_DATAGRAM
            });
            match fits {
                // the first one always fits: a `PvName` is no longer than that
                Some(false) => {
                    bytes.truncate(before);
                    break;
                }
                None => {
                    self.names.remove(&search);
                }
                Some(true) => {
                    count += 1;
                    let next = self.names.get(&search).map_or(1, |entry| entry.next);
                    let due = now + self.interval_micros(next);
                    self.enter(search, next, due, next.saturating_add(1).min(self.top()));
                    if let Some(entry) = self.names.get_mut(&search) {
                        entry.datagram = datagram;
                    }
                }
            }
            self.lanes[0].pop_front();
        }
        if count == 0 {
            return None;
        }
        self.window.sent(now, count);
        Some(Datagram(bytes))
    }

    /// When [`Search::poll_transmit`] should be called next; `None` if nothing is searched for.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        let ready = self.first_ready().map(|_| self.window.opens());
        let again = self.hurried.filter(|_| self.hurry_again);
        let due = (1..self.lanes.len())
            .filter_map(|lane| self.first_due(lane))
            .chain(ready)
            .chain(again.map(|last| last + HURRY_SPACING))
            .min()?;
        self.origin.checked_add(Duration::from_micros(due))
    }

    /// The name that leaves next.
    fn first_ready(&mut self) -> Option<SearchId> {
        self.first_due(0)?;
        self.lanes[0].front().map(|&(_, search)| search)
    }

    /// When the first name of a lane is due. Stale places at its head are removed.
    fn first_due(&mut self, lane: usize) -> Option<u64> {
        while let Some(&(due, search)) = self.lanes[lane].front() {
            if self.is_current(lane, due, search) {
                return Some(due);
            }
            self.lanes[lane].pop_front();
        }
        None
    }

    /// Moves whatever is due to the names that leave next.
    fn make_ready(&mut self, now: u64) {
        for lane in 1..self.lanes.len() {
            while self.first_due(lane).is_some_and(|due| due <= now) {
                let Some((_, search)) = self.lanes[lane].pop_front() else {
                    break;
                };
                let next = self.names.get(&search).map_or(1, |entry| entry.next);
                self.enter(search, 0, now, next);
            }
        }
    }

    fn is_current(&self, lane: usize, due: u64, search: SearchId) -> bool {
        self.names
            .get(&search)
            .is_some_and(|entry| usize::from(entry.lane) == lane && entry.due == due)
    }

    fn wait(&mut self, search: SearchId, lane: u8, now: Instant) {
        let due = self.micros(now) + self.interval_micros(lane);
        self.enter(search, lane, due, lane.saturating_add(1).min(self.top()));
    }

    fn enter(&mut self, search: SearchId, lane: u8, due: u64, next: u8) {
        let waiting = &mut self.lanes[usize::from(lane)];
        // the order of a lane holds even for a caller whose clock goes back
        let due = waiting.back().map_or(due, |&(last, _)| last.max(due));
        waiting.push_back((due, search));
        let entry = self.names.entry(search).or_insert(Entry {
            due,
            datagram: 0,
            lane,
            next,
        });
        entry.due = due;
        entry.lane = lane;
        entry.next = next;
    }

    /// The first lane with at least that pause, or the last one.
    fn lane_of(&self, pause: Duration) -> u8 {
        (1..self.top())
            .find(|&lane| self.interval(lane) >= pause)
            .unwrap_or(self.top())
    }

    fn top(&self) -> u8 {
        u8::try_from(self.lanes.len() - 1).unwrap_or(PAUSED - 1)
    }

    fn interval(&self, lane: u8) -> Duration {
        match lane {
            0 => Duration::ZERO,
            lane => {
                let first = FIRST_INTERVAL.max(Duration::from_micros(self.window.patience()));
                (first * (1 << (lane - 1).min(24))).min(self.maximum_interval)
            }
        }
    }

    fn interval_micros(&self, lane: u8) -> u64 {
        u64::try_from(self.interval(lane).as_micros()).unwrap_or(u64::MAX >> 1)
    }

    fn micros(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.origin);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX >> 1)
    }

    /// Takes a datagram from `sender`. Answers to searches that are not under way are left out.
    ///
    /// On an error the messages before the broken one still count; they come with it.
    pub fn handle_datagram(
        &self,
        bytes: &[u8],
        sender: Ipv4Addr,
    ) -> (Vec<Answer>, Result<(), proto::Error>) {
        let mut answers = Vec::new();
        let result = decode_answers(bytes, sender, |answer| answers.push(answer));
        answers.retain(|answer| self.names.contains_key(&answer.search));
        (answers, result)
    }

    /// Takes the fields of one search reply, from a datagram or a name server at `sender`.
    pub fn handle_reply(
        &self,
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

/// Takes the answers out of a datagram from `sender`, whatever they belong to.
///
/// On an error the messages before the broken one still count.
pub fn decode_answers(
    mut bytes: &[u8],
    sender: Ipv4Addr,
    mut take: impl FnMut(Answer),
) -> Result<(), proto::Error> {
    while !bytes.is_empty() {
        let Some((frame, used)) = decode_frame(bytes, MAXIMUM_PAYLOAD)? else {
            return Err(proto::Error::Truncated { rest: bytes.len() });
        };
        bytes = &bytes[used..];
        if let Response::SearchReply {
            search,
            address,
            port,
        } = Response::decode(frame)?
        {
            let server = SocketAddrV4::new(address.unwrap_or(sender), port);
            take(Answer {
                search: SearchId(search),
                server,
            });
        }
    }
    Ok(())
}
