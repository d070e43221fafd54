//! The search state machine with a clock that the test moves.

use std::collections::{BTreeMap, BTreeSet};

use pretty_assertions::assert_eq;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::proto::{Command, Frame, Header, encode_frame};

const SENDER: Ipv4Addr = Ipv4Addr::LOCALHOST;
const SECOND: Duration = Duration::from_secs(1);

/// A search and the names that its user knows.
struct Named {
    search: Search,
    names: BTreeMap<SearchId, PvName>,
}

impl Named {
    fn new(maximum_interval: Duration, now: Instant) -> Self {
        Self {
            search: Search::new(maximum_interval, now),
            names: BTreeMap::new(),
        }
    }

    fn add(&mut self, name: &str, now: Instant) -> SearchId {
        let search = SearchId(u32::try_from(self.names.len()).unwrap() + 1);
        self.names.insert(search, name.parse().unwrap());
        self.search.add(search, now);
        search
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        let names = &self.names;
        self.search.poll_transmit(now, |search| names.get(&search))
    }
}

/// Names in the searches of a datagram.
fn names(datagram: &Datagram) -> Vec<String> {
    let mut bytes = datagram.searches();
    let mut names = Vec::new();
    while let Some((Frame { header, payload }, used)) = decode_frame(bytes, 2000).unwrap() {
        assert_eq!(header.command, Command::SEARCH);
        let text = String::from_utf8(payload.to_vec()).unwrap();
        names.push(text.trim_end_matches('\0').to_owned());
        bytes = &bytes[used..];
    }
    names
}

fn reply(search: SearchId, address: u32, port: u16) -> Vec<u8> {
    let header = Header {
        data_type: port,
        parameter1: address,
        parameter2: search.0,
        ..Header::new(Command::SEARCH)
    };
    let mut bytes = Vec::new();
    encode_frame(header, &[0, 13], &mut bytes).unwrap();
    bytes
}

/// Moves the clock from one timeout to the next until `end`, and says when which names were sent.
fn run(search: &mut Named, start: Instant, end: Duration) -> Vec<(u128, usize)> {
    let mut now = start;
    let mut sent = Vec::new();
    loop {
        while let Some(datagram) = search.poll_transmit(now) {
            assert!(datagram.bytes().len() <= MAXIMUM_DATAGRAM);
            sent.push(((now - start).as_millis(), names(&datagram).len()));
        }
        match search.search.poll_timeout() {
            Some(next) if next <= start + end => {
                assert!(next > now, "the clock must move");
                now = next;
            }
            _ => return sent,
        }
    }
}

#[test]
fn a_name_is_searched_with_growing_pauses() {
    let start = Instant::now();
    let mut search = Named::new(SECOND, start);
    search.add("T01:UPTIME", start);
    let times: Vec<_> = run(&mut search, start, 5 * SECOND)
        .into_iter()
        .map(|(time, _)| time)
        .collect();
    assert_eq!(times, [0, 30, 90, 210, 450, 930, 1890, 2890, 3890, 4890]);
}

#[test]
fn fifty_names_share_datagrams() {
    let start = Instant::now();
    let mut search = Named::new(SECOND, start);
    for number in 0..50 {
        search.add(&format!("T01-EA-IOC-{number:02}:UPTIME"), start);
    }
    let sent = run(&mut search, start, Duration::from_millis(20));
    assert_eq!(sent, [(0, 35), (0, 15)]);
}

#[test]
fn many_datagrams_are_spread_over_time() {
    let start = Instant::now();
    let mut search = Named::new(SECOND, start);
    for number in 0..1000 {
        search.add(&format!("T01-EA-IOC-{number:03}:UPTIME"), start);
    }
    // nobody answers: a few in each 30 ms, all names once before any of them again
    let sent = run(&mut search, start, Duration::from_millis(119));
    assert!(sent.iter().map(|(_, names)| names).sum::<usize>() >= 1000);
    for time in sent.iter().map(|(time, _)| *time) {
        let together = sent
            .iter()
            .filter(|(other, _)| (time..time + 29).contains(other));
        let together = together.count();
        assert!(together <= 8, "{together} datagrams at {time} ms");
    }
}

#[test]
fn a_hundred_thousand_names_take_less_than_a_second_when_answers_are_quick() {
    let start = Instant::now();
    let mut search = Named::new(300 * SECOND, start);
    for number in 0..100_000 {
        search.add(&format!("T01:PV{number:06}"), start);
    }
    let mut now = start;
    let mut datagrams = 0;
    while !search.search.is_empty() {
        let mut sent = Vec::new();
        while let Some(datagram) = search.poll_transmit(now) {
            datagrams += 1;
            let mut bytes = datagram.searches();
            while let Some((frame, used)) = decode_frame(bytes, 2000).unwrap() {
                sent.push(SearchId(frame.header.parameter1));
                bytes = &bytes[used..];
            }
        }
        now += Duration::from_millis(1);
        for search_id in sent {
            search.search.answered(search_id, now);
        }
        assert!(
            now < start + SECOND,
            "{} names are left",
            search.search.len()
        );
    }
    // none was sent twice
    assert!((2000..2300).contains(&datagrams), "{datagrams}");
}

#[test]
fn names_that_nobody_has_cost_little_and_are_there_at_once_when_a_server_appears() {
    let start = Instant::now();
    let mut search = Named::new(300 * SECOND, start);
    for number in 0..2000 {
        search.add(&format!("T01:PV{number:06}"), start);
    }
    let names = |sent: &[(u128, usize)]| sent.iter().map(|(_, names)| names).sum::<usize>();
    run(&mut search, start, 1000 * SECOND);
    let start = start + 1000 * SECOND;
    // once in five minutes
    let count = names(&run(&mut search, start, 599 * SECOND));
    assert!((3900..=4100).contains(&count), "{count}");
    let start = start + 600 * SECOND;
    search.search.hurry(start);
    let sent = run(&mut search, start, SECOND / 4);
    assert!(names(&sent) >= 2000, "{}", names(&sent));
    // further servers count as one each second
    search.search.hurry(start + SECOND / 2);
    search.search.hurry(start + SECOND / 2);
    assert!(search.search.poll_timeout().unwrap() <= start + SECOND);
}

#[test]
fn a_hurried_name_is_sent_at_once_and_then_more_often() {
    let start = Instant::now();
    let mut search = Named::new(300 * SECOND, start);
    search.add("T01:UPTIME", start);
    run(&mut search, start, 500 * SECOND);
    let now = start + 501 * SECOND;
    search.search.hurry(now);
    let times: Vec<_> = run(&mut search, now, 3 * SECOND)
        .into_iter()
        .map(|(time, _)| time)
        .collect();
    assert_eq!(times, [0, 240, 720, 1680]);
}

#[test]
fn where_answers_come_late_a_hurried_name_is_still_sent_again_soon() {
    let start = Instant::now();
    let mut search = Named::new(300 * SECOND, start);
    let slow = search.add("T01:SLOW", start);
    search.add("T01:UPTIME", start);
    run(&mut search, start, Duration::from_millis(20));
    search
        .search
        .answered(slow, start + Duration::from_millis(100));
    run(&mut search, start, 500 * SECOND);
    let now = start + 501 * SECOND;
    search.search.hurry(now);
    let times: Vec<_> = run(&mut search, now, 3 * SECOND)
        .into_iter()
        .map(|(time, _)| time)
        .collect();
    assert_eq!(times, [0, 400, 1200, 2800]);
}

#[test]
fn answers_name_the_server() {
    let start = Instant::now();
    let mut search = Named::new(SECOND, start);
    let id = search.add("A", start);
    let answer = |server: &str| {
        vec![Answer {
            search: id,
            server: server.parse().unwrap(),
        }]
    };
    let sender = reply(id, u32::MAX, 5064);
    assert_eq!(
        search.search.handle_datagram(&sender, SENDER),
        (answer("127.0.0.1:5064"), Ok(()))
    );
    let gateway = reply(id, 0x0a01_0203, 5070);
    assert_eq!(
        search.search.handle_datagram(&gateway, SENDER),
        (answer("10.1.2.3:5070"), Ok(()))
    );
    assert_eq!(
        search
            .search
            .handle_datagram(&reply(SearchId(99), u32::MAX, 1), SENDER),
        (vec![], Ok(()))
    );
    search.search.remove(id);
    assert_eq!(
        search.search.handle_datagram(&sender, SENDER),
        (vec![], Ok(()))
    );
}

#[test]
fn answers_before_a_broken_message_count() {
    let start = Instant::now();
    let mut search = Named::new(SECOND, start);
    let id = search.add("A", start);
    let mut bytes = reply(id, u32::MAX, 5064);
    bytes.extend_from_slice(&[0, 6, 0]);
    let (answers, result) = search.search.handle_datagram(&bytes, SENDER);
    assert_eq!(
        (answers.len(), result),
        (1, Err(proto::Error::Truncated { rest: 3 }))
    );
}

#[test]
fn a_paused_name_rests_until_it_is_resumed() {
    let start = Instant::now();
    let mut search = Named::new(SECOND, start);
    let id = search.add("A", start);
    assert!(search.poll_transmit(start).is_some());
    search.search.pause(id);
    assert_eq!(
        (
            search.search.poll_timeout(),
            search.poll_transmit(start + SECOND)
        ),
        (None, None)
    );
    // the pause goes on where it was, so a server that refuses connections is not asked in a tight loop
    search.search.resume(id, start + SECOND);
    assert_eq!(
        search.search.poll_timeout(),
        Some(start + SECOND + Duration::from_millis(60))
    );
}

#[test]
fn the_longest_name_fits() {
    let start = Instant::now();
    let mut search = Named::new(SECOND, start);
    let name = "x".repeat(PvName::MAXIMUM_LENGTH);
    search.add(&name, start);
    let datagram = search.poll_transmit(start).unwrap();
    assert_eq!(
        (names(&datagram), datagram.bytes().len()),
        (vec![name], crate::proto::LIBCA_DATAGRAM)
    );
}

proptest! {
    #[test]
    fn every_name_is_sent_whatever_its_length(lengths in vec(1..=PvName::MAXIMUM_LENGTH, 1..60)) {
        let start = Instant::now();
        let mut search = Named::new(SECOND, start);
        let mut wanted = BTreeSet::new();
        for (number, length) in lengths.into_iter().enumerate() {
            let name = format!("{number}:{}", "x".repeat(length));
            let name = name[..name.len().min(PvName::MAXIMUM_LENGTH)].to_owned();
            search.add(&name, start);
            wanted.insert(name);
        }
        let mut now = start;
        while !wanted.is_empty() {
            while let Some(datagram) = search.poll_transmit(now) {
                prop_assert!(datagram.bytes().len() <= MAXIMUM_DATAGRAM);
                for name in names(&datagram) {
                    wanted.remove(&name);
                }
            }
            now = search.search.poll_timeout().unwrap();
            prop_assert!(now < start + SECOND, "{} names were never sent", wanted.len());
        }
    }

    #[test]
    fn no_datagram_panics(bytes in vec(any::<u8>(), 0..200)) {
        let start = Instant::now();
        let mut search = Named::new(SECOND, start);
        search.add("A", start);
        let _ = search.search.handle_datagram(&bytes, SENDER);
    }
}
