//! The whole client without a network: a server that the test writes, and a clock that it moves.

mod order;

use std::collections::HashMap;

use pretty_assertions::assert_eq;

use super::*;
use crate::proto::{Command, Decoder, Header, Severity, encode_frame};

const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5064);
const OTHER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 2), 5064);
const DOUBLE: u16 = 6;
const ENUM: u16 = 3;

fn message(command: Command, fields: (u16, u32, u32, u32), payload: &[u8]) -> Vec<u8> {
    let (data_type, count, parameter1, parameter2) = fields;
    let mut bytes = Vec::new();
    let header = Header {
        command,
        payload_size: 0,
        data_type,
        count,
        parameter1,
        parameter2,
    };
    encode_frame(header, payload, &mut bytes).unwrap();
    bytes
}

/// The client, the servers that it talks to, and what has happened.
struct Bed {
    channels: Channels,
    now: Instant,
    /// Circuits that are connected, by server.
    circuits: HashMap<SocketAddrV4, CircuitId>,
    /// What the client sent on each.
    decoders: HashMap<CircuitId, Decoder>,
    done: Vec<(RequestId, Result<Outcome, Failure>)>,
    closed: Vec<CircuitId>,
}

impl Bed {
    fn new() -> Self {
        let now = Instant::now();
        let settings = Settings {
            circuit: circuit::Settings {
                user_name: "operator".to_owned(),
                host_name: "t01-nx".to_owned(),
                priority: 0,
                connection_timeout: Duration::from_secs(30),
                maximum_payload: 1 << 16,
            },
            maximum_search_period: Duration::from_mins(5),
        };
        Self {
            channels: Channels::new(settings, now),
            now,
            circuits: HashMap::new(),
            decoders: HashMap::new(),
            done: Vec::new(),
            closed: Vec::new(),
        }
    }

    fn watch(&mut self, watch: u64, name: &str) {
        let name = name.parse().unwrap();
        self.channels
            .watch(WatchId(watch), name, Mask::default(), self.now);
        self.effects();
    }

    fn request(&mut self, name: &str, operation: Operation) -> RequestId {
        let request = self
            .channels
            .request(name.parse().unwrap(), operation, self.now)
            .unwrap();
        self.effects();
        request
    }

    /// Makes every connection that is wanted.
    fn effects(&mut self) {
        while let Some(effect) = self.channels.poll_effect() {
            match effect {
                Effect::Connect { circuit, server } => {
                    assert!(
                        self.circuits.insert(server, circuit).is_none(),
                        "a second circuit to {server}"
                    );
                    self.decoders.insert(circuit, Decoder::new(1 << 20));
                    self.channels.connected(circuit, self.now);
                }
                Effect::Write { .. } => {}
                Effect::Close { circuit, .. } => {
                    self.circuits.retain(|_, other| *other != circuit);
                    self.closed.push(circuit);
                }
                Effect::Done { request, result } => self.done.push((request, result)),
            }
        }
    }

    /// Names that are searched for now, with their numbers.
    fn searched(&mut self) -> Vec<(String, u32)> {
        let mut found = Vec::new();
        // datagrams leave one after the other
        for _ in 0..20 {
            self.now += Duration::from_micros(200);
            while let Some(datagram) = self.channels.poll_search(self.now) {
                let mut rest = datagram.searches();
                while let Ok(Some((frame, used))) = proto::decode_frame(rest, 2000) {
                    let name = String::from_utf8_lossy(frame.payload)
                        .trim_end_matches('\0')
                        .to_owned();
                    found.push((name, frame.header.parameter1));
                    rest = &rest[used..];
                }
            }
        }
        found
    }

    fn answer(&mut self, search: u32, server: SocketAddrV4) {
        let fields = (server.port(), 0, server.ip().to_bits(), search);
        let bytes = message(Command::SEARCH, fields, &[0, 13]);
        self.channels
            .handle_datagram(&bytes, *server.ip(), self.now)
            .unwrap();
        self.effects();
    }

    fn send(
        &mut self,
        server: SocketAddrV4,
        command: Command,
        fields: (u16, u32, u32, u32),
        payload: &[u8],
    ) {
        let bytes = message(command, fields, payload);
        let circuit = self.circuits[&server];
        self.channels
            .handle_bytes(circuit, &bytes, self.now)
            .unwrap();
        self.effects();
    }

    /// Messages that a server has received.
    fn received(&mut self, server: SocketAddrV4) -> Vec<(Command, Header)> {
        let circuit = self.circuits[&server];
        let output = self.channels.take_output(circuit);
        let decoder = self.decoders.get_mut(&circuit).unwrap();
        decoder.push(&output);
        let mut found = Vec::new();
        while let Some(frame) = decoder.next_frame().unwrap() {
            found.push((frame.header.command, frame.header));
        }
        found
    }

    fn commands(&mut self, server: SocketAddrV4) -> Vec<Command> {
        self.received(server)
            .into_iter()
            .map(|(command, _)| command)
            .collect()
    }

    /// Brings the names that are searched for to a server, which gives channels of this type; their numbers come back.
    fn connect(&mut self, server: SocketAddrV4, data_type: u16) -> Vec<u32> {
        let searched = self.searched();
        for (_, search) in &searched {
            self.answer(*search, server);
        }
        self.greet(server);
        let mut channels = Vec::new();
        for (command, header) in self.received(server) {
            if command == Command::CREATE_CHAN {
                channels.push(header.parameter1);
            }
        }
        for &channel in &channels {
            self.send(server, Command::ACCESS_RIGHTS, (0, 0, channel, 3), &[]);
            self.send(
                server,
                Command::CREATE_CHAN,
                (data_type, 1, channel, channel + 1000),
                &[],
            );
        }
        channels
    }

    fn greet(&mut self, server: SocketAddrV4) {
        self.send(server, Command::VERSION, (0, 13, 0, 0), &[]);
    }

    fn update(&mut self, server: SocketAddrV4, channel: u32, value: f64) {
        let payload = [
            &[0, 4, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &value.to_be_bytes(),
        ]
        .concat();
        self.send(
            server,
            Command::EVENT_ADD,
            (20, 1, 1, channel << 1),
            &payload,
        );
    }

    fn lose(&mut self, server: SocketAddrV4) {
        let circuit = self.circuits.remove(&server).unwrap();
        let reason: Arc<dyn std::error::Error + Send + Sync> =
            Arc::new(circuit::Error::NotConnected);
        self.channels.closed(circuit, &reason, self.now);
        self.effects();
    }

    fn events(&mut self) -> Vec<String> {
        self.channels
            .take_events(usize::MAX)
            .into_iter()
            .map(|(WatchId(watch), event)| format!("{watch} {}", shown(&event)))
            .collect()
    }
}

fn shown(event: &Event) -> String {
    match event {
        Event::Connected { server, rights, .. } => format!(
            "connected {server} {}",
            if rights.write { "rw" } else { "r" }
        ),
        Event::Value(Update {
            reading,
            coalesced: 0,
        }) => format!("{}", reading.value),
        Event::Value(Update { reading, coalesced }) => {
            format!("{} after {coalesced}", reading.value)
        }
        Event::AccessRights(rights) => format!("rights {} {}", rights.read, rights.write),
        Event::Disconnected => "disconnected".to_owned(),
        Event::Duplicate { servers } => format!("duplicate {servers:?}"),
    }
}

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
