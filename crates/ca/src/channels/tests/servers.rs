//! Circuits and servers: lost, failing, slow, searched over TCP, and with very many channels.

use pretty_assertions::assert_eq;

use super::super::addresses::MEMBERS;
use super::super::*;
use super::bed::*;
use crate::proto::Command;

#[test]
fn what_is_lost_is_searched_for_at_once_and_comes_back() {
    let mut bed = Bed::new();
    bed.watch(1, "A");
    bed.watch(2, "B");
    let channels = bed.connect(SERVER, DOUBLE);
    bed.update(SERVER, channels[0], 1.0);
    bed.now += Duration::from_mins(1);
    bed.lose(SERVER);
    assert_eq!(
        bed.events(),
        [
            "1 connected 127.0.0.1:5064 rw",
            "1 1",
            "1 disconnected",
            "2 connected 127.0.0.1:5064 rw",
            "2 disconnected",
        ]
    );
    assert_eq!(bed.searched().len(), 2);
    bed.now += Duration::from_secs(1);
    bed.connect(OTHER, DOUBLE);
    let mut events = bed.events();
    events.sort();
    assert_eq!(
        events,
        [
            "1 connected 127.0.0.2:5064 rw",
            "2 connected 127.0.0.2:5064 rw"
        ]
    );
    let statistics = bed.channels.statistics();
    assert_eq!(
        (
            statistics.connected,
            statistics.disconnections,
            statistics.circuits
        ),
        (2, 2, 1)
    );
}

#[test]
fn a_server_that_takes_a_pv_away_keeps_the_others() {
    let mut bed = Bed::new();
    bed.watch(1, "A");
    bed.watch(2, "B");
    let channels = bed.connect(SERVER, DOUBLE);
    bed.events();
    bed.send(SERVER, Command::SERVER_DISCONN, (0, 0, channels[0], 0), &[]);
    assert_eq!(bed.events(), ["1 disconnected"]);
    bed.update(SERVER, channels[1], 2.0);
    assert_eq!(bed.events(), ["2 2"]);
    assert_eq!(bed.searched(), [("A".to_owned(), channels[0])]);
}

#[test]
fn a_server_that_refuses_a_channel_is_asked_again_later_and_others_may_have_it() {
    let mut bed = Bed::new();
    bed.watch(1, "A");
    let [(_, search)] = bed.searched()[..] else {
        panic!()
    };
    bed.answer(search, SERVER);
    bed.greet(SERVER);
    bed.send(SERVER, Command::CREATE_CH_FAIL, (0, 0, search, 0), &[]);
    assert_eq!(bed.events(), [""; 0]);
    assert_eq!(bed.searched(), []);
    bed.now += Duration::from_secs(1);
    assert_eq!(bed.searched().len(), 1);
    bed.answer(search, OTHER);
    bed.greet(OTHER);
    bed.send(OTHER, Command::CREATE_CHAN, (DOUBLE, 1, search, 1), &[]);
    assert_eq!(bed.events(), ["1 connected 127.0.0.2:5064 rw"]);
}

#[test]
fn a_server_that_breaks_the_protocol_is_left_alone_for_a_while() {
    let mut bed = Bed::new();
    bed.watch(1, "A");
    let [(_, search)] = bed.searched()[..] else {
        panic!()
    };
    bed.answer(search, SERVER);
    let circuit = bed.circuits.remove(&SERVER).unwrap();
    bed.channels
        .handle_bytes(circuit, b"HTTP/1.1 400 Bad Request\r\n\r\n", bed.now)
        .unwrap_err();
    bed.effects();
    bed.answer(search, SERVER);
    assert_eq!(bed.circuits.len(), 0);
    // its beacon says that it has been started again
    bed.channels.handle_anomaly(SERVER, bed.now);
    assert_eq!(bed.searched().len(), 1);
    bed.answer(search, SERVER);
    assert_eq!(bed.circuits.len(), 1);
}

#[test]
fn an_anomaly_probes_the_circuit_and_shortens_the_search() {
    let mut bed = Bed::new();
    bed.watch(1, "A");
    bed.connect(SERVER, DOUBLE);
    bed.watch(2, "NOBODY");
    for _ in 0..7200 {
        bed.now += Duration::from_secs(1);
        bed.searched();
    }
    bed.commands(SERVER);
    bed.channels.handle_anomaly(SERVER, bed.now);
    bed.effects();
    assert_eq!(bed.commands(SERVER), [Command::ECHO]);
    assert_eq!(bed.searched().len(), 1);
    let circuit = bed.circuits[&SERVER];
    bed.now += Duration::from_secs(6);
    assert!(
        bed.channels
            .handle_circuit_timeout(circuit, bed.now)
            .is_err()
    );
    assert!(bed.events().contains(&"1 disconnected".to_owned()));
}

#[test]
fn a_name_server_is_asked_kept_and_connected_to_again() {
    let mut bed = Bed::new();
    bed.channels.add_name_server(SERVER, bed.now);
    bed.channels.add_name_server(SERVER, bed.now);
    bed.effects();
    bed.watch(1, "A");
    bed.greet(SERVER);
    bed.received(SERVER);
    let [(_, search)] = bed.searched()[..] else {
        panic!()
    };
    let sent = bed.received(SERVER);
    assert_eq!(sent[0].0, Command::SEARCH);
    // it serves the PV itself: the same circuit is used
    bed.send(
        SERVER,
        Command::SEARCH,
        (5064, 0, u32::MAX, search),
        &[0, 13],
    );
    assert_eq!(bed.commands(SERVER), [Command::CREATE_CHAN]);
    bed.lose(SERVER);
    assert_eq!(bed.circuits.len(), 0);
    bed.now += Duration::from_secs(1);
    bed.channels.handle_timeout(bed.now);
    bed.effects();
    assert_eq!(bed.circuits.len(), 1);
}

#[test]
fn servers_are_asked_to_wait_while_the_reader_is_slow() {
    let mut bed = Bed::new();
    bed.watch(1, "A");
    let channels = bed.connect(SERVER, DOUBLE);
    bed.commands(SERVER);
    for value in 0..20_000_u32 {
        bed.update(SERVER, channels[0], f64::from(value));
    }
    assert_eq!(bed.commands(SERVER), [Command::EVENTS_OFF]);
    assert_eq!(
        bed.events(),
        ["1 connected 127.0.0.1:5064 rw", "1 19999 after 19999"]
    );
    assert_eq!(bed.commands(SERVER), [Command::EVENTS_ON]);
}

#[test]
fn many_new_channels_get_their_first_values_together() {
    let mut bed = Bed::new();
    for number in 0..100 {
        bed.watch(number, &format!("PV{number}"));
    }
    let searched = bed.searched();
    let mut answers = Vec::new();
    for (_, search) in &searched {
        answers.extend(message(
            Command::SEARCH,
            (5064, 0, u32::MAX, *search),
            &[0, 13],
        ));
    }
    bed.channels
        .handle_datagram(&answers, Ipv4Addr::LOCALHOST, bed.now)
        .unwrap();
    bed.effects();
    bed.greet(SERVER);
    bed.commands(SERVER);
    let created: Vec<_> = searched
        .iter()
        .flat_map(|(_, search)| message(Command::CREATE_CHAN, (DOUBLE, 1, *search, *search), &[]))
        .collect();
    let circuit = bed.circuits[&SERVER];
    let (first, rest) = created.split_at(16 * 60);
    bed.channels.handle_bytes(circuit, first, bed.now).unwrap();
    let commands = bed.commands(SERVER);
    assert_eq!((commands[0], commands.len()), (Command::EVENTS_OFF, 61));
    bed.channels.handle_bytes(circuit, rest, bed.now).unwrap();
    let commands = bed.commands(SERVER);
    assert_eq!(
        (*commands.last().unwrap(), commands.len()),
        (Command::EVENTS_ON, 41)
    );
}

#[test]
fn values_are_not_kept_back_for_long() {
    let mut bed = Bed::new();
    for number in 0..100 {
        bed.watch(number, &format!("PV{number}"));
    }
    let searched = bed.searched();
    for (_, search) in &searched {
        bed.answer(*search, SERVER);
    }
    bed.greet(SERVER);
    let created: Vec<_> = searched
        .iter()
        .take(60)
        .flat_map(|(_, search)| message(Command::CREATE_CHAN, (DOUBLE, 1, *search, *search), &[]))
        .collect();
    let circuit = bed.circuits[&SERVER];
    bed.channels
        .handle_bytes(circuit, &created, bed.now)
        .unwrap();
    bed.commands(SERVER);
    // the server is slow with the rest
    let due = bed.channels.poll_circuit_timeout(circuit).unwrap();
    assert!(due <= bed.now + Duration::from_millis(250));
    bed.now = due;
    bed.channels.handle_circuit_timeout(circuit, due).unwrap();
    assert_eq!(bed.commands(SERVER), [Command::EVENTS_ON]);
    assert!(bed.channels.poll_circuit_timeout(circuit).unwrap() > due);
}

#[test]
fn a_channel_that_is_not_wanted_any_more_when_it_comes_is_given_back() {
    let mut bed = Bed::new();
    bed.watch(1, "A");
    let [(_, search)] = bed.searched()[..] else {
        panic!()
    };
    bed.answer(search, SERVER);
    bed.greet(SERVER);
    bed.channels.unwatch(WatchId(1), bed.now);
    bed.effects();
    bed.commands(SERVER);
    bed.send(SERVER, Command::CREATE_CHAN, (DOUBLE, 1, search, 5), &[]);
    assert_eq!(bed.commands(SERVER), [Command::CLEAR_CHANNEL]);
    // a late answer does not reach whatever took its place
    bed.watch(2, "B");
    bed.answer(search, OTHER);
    assert_eq!(bed.circuits.len(), 1);
}

#[test]
fn connection_events_are_kept_and_stop_the_reading_when_there_are_too_many() {
    let mut bed = Bed::new();
    bed.watch(1, "A");
    let mut rounds = 0;
    while !bed.channels.is_full() {
        bed.now += Duration::from_mins(1);
        bed.connect(SERVER, DOUBLE);
        bed.lose(SERVER);
        rounds += 1;
        assert!(rounds < 10_000);
    }
    let events = bed.events();
    assert_eq!(events.len(), rounds * 2);
    assert!(
        events
            .chunks(2)
            .all(|pair| pair == ["1 connected 127.0.0.1:5064 rw", "1 disconnected"])
    );
    assert!(!bed.channels.is_full());
}

#[test]
fn very_many_channels_of_a_server_have_several_circuits_if_it_lets_them() {
    let mut bed = Bed::new();
    bed.several = true;
    let count = MEMBERS + 10;
    for number in 0..count {
        bed.watch(number as u64, &format!("PV{number}"));
    }
    let channel = |bed: &Bed, number: usize| {
        let name = format!("PV{number}").parse().unwrap();
        bed.channels.table.find_name(&name).unwrap()
    };
    let answer = |bed: &mut Bed, number: usize| {
        let channel = channel(bed, number);
        bed.channels.answer(channel, SERVER, bed.now);
        bed.effects();
    };
    let joins = |bed: &Bed, number: usize| match bed.channels.state(channel(bed, number)) {
        Some(State::Joining(circuit)) => Some(circuit),
        _ => None,
    };
    (0..MEMBERS).for_each(|number| answer(&mut bed, number));
    let first = bed.circuits[&SERVER];
    bed.greet(SERVER);
    (MEMBERS..count).for_each(|number| answer(&mut bed, number));
    let second = bed.circuits[&SERVER];
    assert_ne!(first, second);
    assert_eq!(joins(&bed, MEMBERS - 1), Some(first));
    assert_eq!(joins(&bed, count - 1), Some(second));
    // one that appears probes both
    bed.greet(SERVER);
    bed.channels.handle_anomaly(SERVER, bed.now);
    for circuit in [first, second] {
        let output = bed.channels.take_output(circuit);
        assert!(output.ends_with(&message(Command::ECHO, (0, 0, 0, 0), &[])));
    }
    // a server that ends the second at once keeps the first, which then takes all
    bed.lose(SERVER);
    assert_eq!(joins(&bed, count - 1), None);
    answer(&mut bed, count - 1);
    assert_eq!(joins(&bed, count - 1), Some(first));
    assert!(bed.circuits.is_empty(), "connected to again too soon");
}
