//! A client without a network: a server that the test writes, and a clock that it moves.

use std::collections::HashMap;

use super::super::*;
use crate::proto::{Command, Decoder, Header, encode_frame};

pub(super) const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5064);
pub(super) const OTHER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 2), 5064);
pub(super) const DOUBLE: u16 = 6;
pub(super) const ENUM: u16 = 3;

pub(super) fn message(command: Command, fields: (u16, u32, u32, u32), payload: &[u8]) -> Vec<u8> {
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
pub(super) struct Bed {
    pub(super) channels: Channels,
    pub(super) now: Instant,
    /// Circuits that are connected, by server.
    pub(super) circuits: HashMap<SocketAddrV4, CircuitId>,
    /// Whether a server may have several at once; `circuits` has the latest.
    pub(super) several: bool,
    /// What the client sent on each.
    pub(super) decoders: HashMap<CircuitId, Decoder>,
    pub(super) done: Vec<(RequestId, Result<Outcome, Failure>)>,
    pub(super) closed: Vec<CircuitId>,
}

impl Bed {
    pub(super) fn new() -> Self {
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
            several: false,
            decoders: HashMap::new(),
            done: Vec::new(),
            closed: Vec::new(),
        }
    }

    pub(super) fn watch(&mut self, watch: u64, name: &str) {
        let name = name.parse().unwrap();
        self.channels
            .watch(WatchId(watch), name, Mask::default(), self.now);
        self.effects();
    }

    pub(super) fn request(&mut self, name: &str, operation: Operation) -> RequestId {
        let request = self
            .channels
            .request(name.parse().unwrap(), operation, self.now)
            .unwrap();
        self.effects();
        request
    }

    /// Makes every connection that is wanted.
    pub(super) fn effects(&mut self) {
        while let Some(effect) = self.channels.poll_effect() {
            match effect {
                Effect::Connect { circuit, server } => {
                    let before = self.circuits.insert(server, circuit);
                    assert!(
                        before.is_none() || self.several,
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
    pub(super) fn searched(&mut self) -> Vec<(String, u32)> {
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

    pub(super) fn answer(&mut self, search: u32, server: SocketAddrV4) {
        let fields = (server.port(), 0, server.ip().to_bits(), search);
        let bytes = message(Command::SEARCH, fields, &[0, 13]);
        self.channels
            .handle_datagram(&bytes, *server.ip(), self.now)
            .unwrap();
        self.effects();
    }

    pub(super) fn send(
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
    pub(super) fn received(&mut self, server: SocketAddrV4) -> Vec<(Command, Header)> {
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

    pub(super) fn commands(&mut self, server: SocketAddrV4) -> Vec<Command> {
        self.received(server)
            .into_iter()
            .map(|(command, _)| command)
            .collect()
    }

    /// Brings the names that are searched for to a server, which gives channels of this type; their numbers come back.
    pub(super) fn connect(&mut self, server: SocketAddrV4, data_type: u16) -> Vec<u32> {
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

    pub(super) fn greet(&mut self, server: SocketAddrV4) {
        self.send(server, Command::VERSION, (0, 13, 0, 0), &[]);
    }

    pub(super) fn update(&mut self, server: SocketAddrV4, channel: u32, value: f64) {
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

    pub(super) fn lose(&mut self, server: SocketAddrV4) {
        let circuit = self.circuits.remove(&server).unwrap();
        let reason: Arc<dyn std::error::Error + Send + Sync> =
            Arc::new(circuit::Error::NotConnected);
        self.channels.closed(circuit, &reason, self.now);
        self.effects();
    }

    pub(super) fn events(&mut self) -> Vec<String> {
        self.channels
            .take_events(usize::MAX)
            .into_iter()
            .map(|(WatchId(watch), event)| format!("{watch} {}", shown(&event)))
            .collect()
    }
}

pub(super) fn shown(event: &Event) -> String {
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
