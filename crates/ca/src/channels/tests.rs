//! The whole client without a network: a server that the test writes, and a clock that it moves.

mod bed;
mod order;
mod servers;

use pretty_assertions::assert_eq;

use super::*;
use crate::proto::{Command, Severity};
use bed::*;

#[test]
fn from_a_name_to_its_values() {
    let mut bed = Bed::new();
    bed.watch(7, "A");
    let channels = bed.connect(SERVER, DOUBLE);
    assert_eq!(bed.commands(SERVER), [Command::EVENT_ADD]);
    bed.update(SERVER, channels[0], 1.5);
    assert_eq!(bed.events(), ["7 connected 127.0.0.1:5064 rw", "7 1.5"]);
    // a slow reader gets the latest, and how many there were before
    for value in 2_u8..=5 {
        bed.update(SERVER, channels[0], f64::from(value));
    }
    assert_eq!(bed.events(), ["7 5 after 3"]);
    bed.send(SERVER, Command::ACCESS_RIGHTS, (0, 0, channels[0], 1), &[]);
    assert_eq!(bed.events(), ["7 rights true false"]);
    let reading = {
        bed.update(SERVER, channels[0], 9.0);
        bed.channels.take_events(1).pop().unwrap().1
    };
    let Event::Value(Update { reading, .. }) = reading else {
        panic!("{reading:?}")
    };
    assert_eq!(
        (reading.severity, reading.status.to_string()),
        (Severity::Minor, "HIGH".to_owned())
    );
}

#[test]
fn one_circuit_and_one_channel_however_many_watches() {
    let mut bed = Bed::new();
    bed.watch(1, "A");
    bed.watch(2, "A");
    let channels = bed.connect(SERVER, DOUBLE);
    assert_eq!(channels.len(), 1);
    assert_eq!(bed.commands(SERVER), [Command::EVENT_ADD]);
    bed.update(SERVER, channels[0], 1.0);
    let mut events = bed.events();
    events.sort();
    assert_eq!(
        events,
        [
            "1 1",
            "1 connected 127.0.0.1:5064 rw",
            "2 1",
            "2 connected 127.0.0.1:5064 rw"
        ]
    );
    // a late one renews the subscription, so that it gets the present value
    bed.watch(3, "A");
    assert_eq!(
        bed.commands(SERVER),
        [Command::EVENT_CANCEL, Command::EVENT_ADD]
    );
    assert_eq!(bed.events(), ["3 connected 127.0.0.1:5064 rw"]);
    // the confirmation that the old one has ended is no value
    bed.send(
        SERVER,
        Command::EVENT_ADD,
        (20, 1, 1001, channels[0] << 1),
        &[],
    );
    assert_eq!(bed.events(), [""; 0]);
    for watch in [1, 3] {
        bed.channels.unwatch(WatchId(watch), bed.now);
    }
    bed.update(SERVER, channels[0], 2.0);
    assert_eq!(bed.events(), ["2 2"]);
    bed.commands(SERVER);
    bed.channels.unwatch(WatchId(2), bed.now);
    bed.effects();
    assert_eq!(
        bed.commands(SERVER),
        [Command::EVENT_CANCEL, Command::CLEAR_CHANNEL]
    );
    assert_eq!(bed.channels.statistics().channels, 0);
    // and the circuit goes when nobody has come for it
    bed.now += Duration::from_secs(11);
    let circuit = bed.circuits[&SERVER];
    assert!(bed.channels.poll_circuit_timeout(circuit).unwrap() <= bed.now);
    bed.channels
        .handle_circuit_timeout(circuit, bed.now)
        .unwrap();
    bed.effects();
    assert_eq!(bed.closed, [circuit]);
}

#[test]
fn a_watch_number_that_is_used_again_stands_for_the_new_pv() {
    let mut bed = Bed::new();
    bed.watch(1, "A");
    bed.watch(1, "B");
    let names: Vec<_> = bed.searched().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["B"]);
    bed.watch(1, "B");
    assert_eq!(bed.channels.statistics().watches, 1);
}

#[test]
fn states_wait_for_their_labels_and_follow_their_changes() {
    let mut bed = Bed::new();
    bed.watch(1, "A");
    let channels = bed.connect(SERVER, ENUM);
    assert_eq!(bed.commands(SERVER), [Command::EVENT_ADD; 2]);
    let labels = |names: [&str; 2]| {
        let mut payload = vec![0; 424];
        payload[5] = 2;
        for (at, name) in [6, 32].into_iter().zip(names) {
            payload[at..at + name.len()].copy_from_slice(name.as_bytes());
        }
        payload
    };
    let state = |bed: &mut Bed, index: u8| {
        let payload = [&[0; 15][..], &[index]].concat();
        bed.send(
            SERVER,
            Command::EVENT_ADD,
            (17, 1, 1, channels[0] << 1),
            &payload,
        );
    };
    state(&mut bed, 0);
    state(&mut bed, 1);
    assert_eq!(bed.events(), ["1 connected 127.0.0.1:5064 rw"]);
    let names = |bed: &mut Bed, names| {
        bed.send(
            SERVER,
            Command::EVENT_ADD,
            (24, 1, 1, channels[0] << 1 | 1),
            &labels(names),
        );
    };
    names(&mut bed, ["Off", "On"]);
    assert_eq!(bed.events(), ["1 On after 1"]);
    names(&mut bed, ["Closed", "Open"]);
    state(&mut bed, 0);
    assert_eq!(bed.events(), ["1 Closed"]);
    // a read knows the labels already
    let request = bed.request("A", Operation::Read { count: None });
    let read = bed.received(SERVER).pop().unwrap().1.parameter2;
    bed.send(
        SERVER,
        Command::READ_NOTIFY,
        (17, 1, 1, read),
        &[&[0; 15][..], &[1]].concat(),
    );
    let (done, Ok(Outcome::Reading(reading))) = bed.done.pop().unwrap() else {
        panic!()
    };
    assert_eq!(
        (done, reading.value.to_string()),
        (request, "Open".to_owned())
    );
}

#[test]
fn a_server_without_labels_still_gives_the_state() {
    let mut bed = Bed::new();
    bed.watch(1, "A");
    let channels = bed.connect(SERVER, ENUM);
    bed.send(
        SERVER,
        Command::EVENT_ADD,
        (17, 1, 1, channels[0] << 1),
        &[&[0; 15][..], &[1]].concat(),
    );
    bed.send(
        SERVER,
        Command::EVENT_ADD,
        (24, 1, 152, channels[0] << 1 | 1),
        &[0; 424],
    );
    assert_eq!(bed.events(), ["1 connected 127.0.0.1:5064 rw", "1 1"]);
}

#[test]
fn a_second_server_is_reported_once() {
    let mut bed = Bed::new();
    bed.watch(1, "A");
    let channels = bed.connect(SERVER, DOUBLE);
    bed.events();
    bed.answer(channels[0], SERVER);
    bed.answer(channels[0], OTHER);
    bed.answer(channels[0], OTHER);
    assert_eq!(
        bed.events(),
        ["1 duplicate [127.0.0.1:5064, 127.0.0.2:5064]"]
    );
    assert_eq!(bed.circuits.len(), 1);
}

#[test]
fn requests_wait_share_the_channel_and_end_with_the_circuit() {
    let mut bed = Bed::new();
    let read = bed.request("A", Operation::Read { count: None });
    let write = bed.request("A", Operation::Write(Value::Double(2.5)));
    let cancelled = bed.request("A", Operation::Describe);
    bed.channels.cancel(cancelled, bed.now);
    let channels = bed.connect(SERVER, DOUBLE);
    let sent = bed.received(SERVER);
    let [
        (Command::READ_NOTIFY, first),
        (Command::WRITE_NOTIFY, second),
    ] = sent[..]
    else {
        panic!("{sent:?}")
    };
    assert_eq!((second.payload_size, second.data_type), (8, 6));
    bed.send(
        SERVER,
        Command::READ_NOTIFY,
        (20, 1, 1, first.parameter2),
        &[0; 24],
    );
    bed.lose(SERVER);
    let [
        (done, Ok(Outcome::Reading(_))),
        (failed, Err(Failure::Lost(trouble))),
    ] = &bed.done[..]
    else {
        panic!("{:?}", bed.done)
    };
    assert_eq!((*done, *failed, trouble.server), (read, write, SERVER));
    assert_eq!(bed.channels.statistics().channels, 0);
    assert_eq!(channels.len(), 1);
}

#[test]
fn access_is_checked_before_the_server_is_asked() {
    let mut bed = Bed::new();
    let [(_, search)] = {
        bed.request("A", Operation::Write(Value::Double(1.0)));
        bed.searched()
    }[..] else {
        panic!()
    };
    bed.answer(search, SERVER);
    bed.greet(SERVER);
    bed.send(SERVER, Command::ACCESS_RIGHTS, (0, 0, search, 1), &[]);
    bed.send(SERVER, Command::CREATE_CHAN, (DOUBLE, 1, search, 5), &[]);
    assert!(
        matches!(bed.done[..], [(_, Err(Failure::NoWriteAccess(SERVER)))]),
        "{:?}",
        bed.done
    );
}
