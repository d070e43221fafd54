//! Random sequences of events: their order holds, and no bytes panic.

use proptest::prelude::*;

use super::*;

/// Something that happens to a client.
#[derive(Clone, Debug)]
enum Happening {
    Watch(u64, u8),
    Unwatch(u64),
    Connect,
    Update(u8, f64),
    Rights(u8, bool),
    TakeAway(u8),
    Lose,
    Read(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        1 => (0..6_u64, 0..4_u8).prop_map(|(watch, name)| Happening::Watch(watch, name)),
        1 => (0..6_u64).prop_map(Happening::Unwatch),
        3 => Just(Happening::Connect),
        5 => (0..4_u8, 0..1000_u32).prop_map(|(name, value)| Happening::Update(name, f64::from(value))),
        1 => (0..4_u8, any::<bool>()).prop_map(|(name, write)| Happening::Rights(name, write)),
        1 => (0..4_u8).prop_map(Happening::TakeAway),
        1 => Just(Happening::Lose),
        2 => (1..4_usize).prop_map(Happening::Read),
    ]
}

proptest! {
    /// Whatever happens and however slowly events are taken: each watch sees connected and disconnected in turns, values
    /// only while connected, and at the end the last value that was sent.
    #[test]
    fn events_keep_their_order(happenings in proptest::collection::vec(happening(), 1..80)) {
        let mut bed = Bed::new();
        let mut connected: HashMap<u64, bool> = HashMap::new();
        let mut last_seen: HashMap<u64, f64> = HashMap::new();
        let mut names: HashMap<u64, u8> = HashMap::new();
        let mut channels: HashMap<u8, u32> = HashMap::new();
        let mut sent: HashMap<u8, f64> = HashMap::new();
        let happenings = happenings.into_iter().chain([Happening::Read(usize::MAX)]);
        for happening in happenings {
            bed.now += Duration::from_millis(700);
            match happening {
                Happening::Watch(watch, name) => {
                    bed.watch(watch, &format!("PV{name}"));
                    names.insert(watch, name);
                    connected.insert(watch, false);
                    last_seen.remove(&watch);
                }
                Happening::Unwatch(watch) => {
                    bed.channels.unwatch(WatchId(watch), bed.now);
                    bed.effects();
                    names.remove(&watch);
                    connected.remove(&watch);
                    last_seen.remove(&watch);
                }
                Happening::Connect => {
                    let searched = bed.searched();
                    for (_, search) in &searched {
                        bed.answer(*search, SERVER);
                    }
                    if bed.circuits.contains_key(&SERVER) {
                        bed.greet(SERVER);
                        for (command, header) in bed.received(SERVER) {
                            if command == Command::CREATE_CHAN {
                                bed.send(SERVER, Command::CREATE_CHAN, (DOUBLE, 1, header.parameter1, 9), &[]);
                            }
                        }
                    }
                    for (name, search) in searched {
                        channels.insert(name[2..].parse().unwrap(), search);
                    }
                }
                Happening::Update(name, value) => {
                    if let (true, Some(&channel)) = (bed.circuits.contains_key(&SERVER), channels.get(&name)) {
                        bed.update(SERVER, channel, value);
                        sent.insert(name, value);
                    }
                }
                Happening::Rights(name, write) => {
                    if let (true, Some(&channel)) = (bed.circuits.contains_key(&SERVER), channels.get(&name)) {
                        bed.send(SERVER, Command::ACCESS_RIGHTS, (0, 0, channel, 1 + 2 * u32::from(write)), &[]);
                    }
                }
                Happening::TakeAway(name) => {
                    if let (true, Some(channel)) = (bed.circuits.contains_key(&SERVER), channels.remove(&name)) {
                        bed.send(SERVER, Command::SERVER_DISCONN, (0, 0, channel, 0), &[]);
                    }
                }
                Happening::Lose => {
                    if bed.circuits.contains_key(&SERVER) {
                        bed.lose(SERVER);
                    }
                }
                Happening::Read(count) => {
                    for (WatchId(watch), event) in bed.channels.take_events(count) {
                        let state = connected.get_mut(&watch);
                        prop_assert!(state.is_some(), "an event of a watch that has ended: {event:?}");
                        let state = state.unwrap();
                        match event {
                            Event::Connected { .. } => {
                                prop_assert!(!*state);
                                *state = true;
                            }
                            Event::Disconnected => {
                                prop_assert!(*state);
                                *state = false;
                                last_seen.remove(&watch);
                            }
                            Event::Value(update) => {
                                prop_assert!(*state);
                                last_seen.insert(watch, update.reading.value.as_f64().unwrap());
                            }
                            Event::AccessRights(_) | Event::Duplicate { .. } => prop_assert!(*state),
                        }
                    }
                }
            }
        }
        for (watch, value) in last_seen {
            prop_assert!((value - sent[&names[&watch]]).abs() < 0.5);
        }
        let statistics = bed.channels.statistics();
        let on = connected.values().filter(|on| **on).count();
        prop_assert!(statistics.connected <= on && (on == 0) == (statistics.connected == 0));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 16..300), commands in proptest::collection::vec(0..30_u8, 1..8)) {
        let mut bed = Bed::new();
        bed.watch(1, "A");
        bed.watch(2, "B");
        let channels = bed.connect(SERVER, ENUM);
        let circuit = bed.circuits[&SERVER];
        for (at, command) in commands.into_iter().enumerate() {
            let mut header = [0; 16];
            header.copy_from_slice(&bytes[at % (bytes.len() - 15)..][..16]);
            header[..4].copy_from_slice(&[0, command, 0, 8]);
            header[15] = u8::try_from(channels[0] << 1 & 0xff).unwrap();
            let _ = bed.channels.handle_bytes(circuit, &[&header[..], &[7; 8]].concat(), bed.now);
        }
        let _ = bed.channels.handle_datagram(&bytes, Ipv4Addr::LOCALHOST, bed.now);
        let _ = bed.channels.handle_bytes(circuit, &bytes, bed.now);
        while bed.channels.poll_effect().is_some() {}
        bed.channels.take_events(10);
    }
}
