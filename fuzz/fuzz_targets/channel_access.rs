//! Bytes that servers send: datagrams of searches and beacons, and a circuit after its first message.
#![no_main]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ca::beacons::Beacons;
use ca::circuit::{ChannelId, Circuit, Settings};
use ca::proto::{DataType, Decoder, Form, Mask, Response, decode_properties, decode_sample};
use ca::repeater::Repeater;
use ca::search;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let now = Instant::now();
    let _ = search::decode_answers(bytes, Ipv4Addr::LOCALHOST, |_| {});
    let mut beacons = Beacons::new(Duration::from_secs(15), now);
    let _ = beacons.handle_datagram(bytes, Ipv4Addr::LOCALHOST, now, |_, _| {});
    let sender = std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5064);
    let _ = Repeater::default().handle(bytes, sender, true);
    let mut decoder = Decoder::new(4096);
    decoder.push(bytes);
    while let Ok(Some(frame)) = decoder.next_frame() {
        let _ = Response::decode(frame);
    }
    for number in 0..7 {
        let Some(data_type) = DataType::from_number(number) else {
            continue;
        };
        let count = u32::from(bytes.first().copied().unwrap_or_default());
        let _ = decode_sample(data_type, count, count == 1, bytes);
        let _ = decode_properties(data_type, Form::Control, bytes);
    }
    let settings = Settings {
        user_name: "operator".to_owned(),
        host_name: "t01-nx".to_owned(),
        priority: 0,
        connection_timeout: Duration::from_secs(30),
        maximum_payload: 4096,
    };
    let (Ok(mut circuit), Ok(name)) = (Circuit::new(&settings, now), "T01:PV".parse()) else {
        return;
    };
    // version 4.13, and a channel of the type that the first byte says
    let data_type = bytes.first().copied().unwrap_or_default() % 7;
    let mut start = vec![0, 0, 0, 0, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0];
    start.extend([0, 18, 0, 0, 0, data_type, 0, 1, 0, 0, 0, 1, 0, 0, 0, 77]);
    let _ = circuit.create_channel(ChannelId(1), &name);
    let _ = circuit.handle_bytes(&start, now);
    let _ = circuit.subscribe(ChannelId(1), Mask::default());
    let _ = circuit.subscribe_properties(ChannelId(1));
    let _ = circuit.read(ChannelId(1), Form::Time);
    for piece in bytes.chunks(7) {
        if circuit.handle_bytes(piece, now).is_err() {
            break;
        }
        while circuit.poll_event().is_some() {}
        circuit.take_output();
    }
});
