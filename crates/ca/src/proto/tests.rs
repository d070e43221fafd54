//! Golden bytes, and properties over arbitrary splits and arbitrary bytes.
//!
//! The golden bytes were made by caproto 1.3.0, an independent implementation.

mod values;

use std::net::Ipv4Addr;

use pretty_assertions::assert_eq;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::name::PvName;

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits: Vec<_> = hexadecimal.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn requests_have_the_bytes_of_the_protocol() {
    let name: PvName = "T01:UPTIME".parse().unwrap();
    let name = &name;
    let value = encode_string("12.5").unwrap();
    let cases = [
        (
            Request::Version { priority: 0 },
            "000000000000000d 0000000000000000",
        ),
        (
            Request::Search { name, search: 7 },
            "000600100005000d 0000000700000007 5430313a555054494d45000000000000",
        ),
        (
            Request::HostName("t01-nx"),
            "0015000800000000 0000000000000000 7430312d6e780000",
        ),
        (
            Request::ClientName("operator"),
            "0014001000000000 0000000000000000 6f70657261746f720000000000000000",
        ),
        (
            Request::CreateChannel { name, channel: 3 },
            "0012001000000000 000000030000000d 5430313a555054494d45000000000000",
        ),
        (
            Request::ClearChannel {
                server_channel: 9,
                channel: 3,
            },
            "000c000000000000 0000000900000003",
        ),
        (
            Request::Read {
                data_type: 20,
                count: 0,
                server_channel: 9,
                request: 4,
            },
            "000f000000140000 0000000900000004",
        ),
        (
            Request::Write {
                data_type: 0,
                count: 1,
                server_channel: 9,
                request: 5,
                payload: &value,
            },
            "0013002800000001 0000000900000005 31322e3500000000 0000000000000000 0000000000000000 \
             0000000000000000 0000000000000000",
        ),
        (
            Request::EventAdd {
                data_type: 20,
                count: 0,
                server_channel: 9,
                subscription: 6,
                mask: Mask::VALUE | Mask::ALARM,
            },
            "0001001000140000 0000000900000006 0000000000000000 0000000000050000",
        ),
        (
            Request::EventCancel {
                data_type: 20,
                count: 0,
                server_channel: 9,
                subscription: 6,
            },
            "0002000000140000 0000000900000006",
        ),
        (Request::EventsOff, "0008000000000000 0000000000000000"),
        (Request::EventsOn, "0009000000000000 0000000000000000"),
        (Request::Echo, "0017000000000000 0000000000000000"),
        (
            Request::RepeaterRegister {
                client: Ipv4Addr::LOCALHOST,
            },
            "0018000000000000 000000007f000001",
        ),
    ];
    for (request, expected) in cases {
        let mut out = Vec::new();
        request.encode(&mut out).unwrap();
        assert_eq!(hexadecimal(&out), expected.replace(' ', ""), "{request:?}");
    }
}

#[test]
fn a_zero_in_a_user_name_ends_it() {
    let mut out = Vec::new();
    Request::ClientName("op\0erator").encode(&mut out).unwrap();
    assert_eq!(hexadecimal(&out[HEADER_LENGTH..]), "6f70000000000000");
}

#[test]
fn responses_are_understood() {
    let here = Some(Ipv4Addr::LOCALHOST);
    let value = bytes("00040001 3b9aca00 000001f4 00000000 4035800000000000");
    let cases = [
        (
            "000000000000000d 0000000000000000",
            Response::Version { minor: 13 },
        ),
        (
            "0006000813c80000 7f00000100000007 000d000000000000",
            Response::SearchReply {
                search: 7,
                address: here,
                port: 5064,
            },
        ),
        (
            "0006000813c80000 ffffffff00000007 000d000000000000",
            Response::SearchReply {
                search: 7,
                address: None,
                port: 5064,
            },
        ),
        // before 4.8 the first parameter was not an address
        (
            "0006000813c80000 0000002a00000007 0007000000000000",
            Response::SearchReply {
                search: 7,
                address: None,
                port: 5064,
            },
        ),
        (
            "0016000000000000 0000000300000003",
            Response::AccessRights {
                channel: 3,
                rights: AccessRights {
                    read: true,
                    write: true,
                },
            },
        ),
        (
            "0016000000000000 0000000300000001",
            Response::AccessRights {
                channel: 3,
                rights: AccessRights {
                    read: true,
                    write: false,
                },
            },
        ),
        (
            "0012000000060001 0000000300000009",
            Response::ChannelCreated {
                channel: 3,
                server_channel: 9,
                data_type: DataType::Double,
                count: 1,
            },
        ),
        (
            "001a000000000000 0000000300000000",
            Response::CreateFailed { channel: 3 },
        ),
        (
            "001b000000000000 0000000300000000",
            Response::ChannelDisconnected { channel: 3 },
        ),
        (
            "000f001800140001 0000000100000004 000400013b9aca00 000001f400000000 4035800000000000",
            Response::ReadDone {
                request: 4,
                status: Eca::NORMAL,
                data_type: 20,
                count: 1,
                payload: &value,
            },
        ),
        (
            "0013000000000001 0000000100000005",
            Response::WriteDone {
                request: 5,
                status: Eca::NORMAL,
            },
        ),
        (
            "000b001800000000 0000000300000178 0013002800000001 0000000900000005 6e6f706500000000",
            Response::ServerError {
                status: Eca(47 << 3),
                request: Header {
                    command: Command::WRITE_NOTIFY,
                    payload_size: 40,
                    data_type: 0,
                    count: 1,
                    parameter1: 9,
                    parameter2: 5,
                },
                text: "nope".to_owned(),
            },
        ),
        ("0017000000000000 0000000000000000", Response::Echo),
        (
            "000d0000000d13c8 000000077f000001",
            Response::Beacon(Beacon {
                minor: 13,
                port: 5064,
                sequence: 7,
                address: here,
            }),
        ),
        (
            "000d0000000d13c8 0000000700000000",
            Response::Beacon(Beacon {
                minor: 13,
                port: 5064,
                sequence: 7,
                address: None,
            }),
        ),
        (
            "0011000000000000 000000007f000001",
            Response::RepeaterConfirm,
        ),
        (
            "0001001800140001 0000000100000006 000400013b9aca00 000001f400000000 4035800000000000",
            Response::Update {
                subscription: 6,
                status: Eca::NORMAL,
                data_type: 20,
                count: 1,
                payload: &value,
            },
        ),
        (
            "000e000000050000 0000000700000007",
            Response::Other(Command::NOT_FOUND),
        ),
    ];
    for (text, expected) in cases {
        let bytes = bytes(text);
        let (frame, used) = decode_frame(&bytes, 1024).unwrap().unwrap();
        assert_eq!(
            (Response::decode(frame), used),
            (Ok(expected), bytes.len()),
            "{text}"
        );
    }
}

#[test]
fn a_native_type_outside_the_protocol_is_refused() {
    let bytes = bytes("0012000000070001 0000000300000009");
    let (frame, _) = decode_frame(&bytes, 0).unwrap().unwrap();
    let error = Response::decode(frame).unwrap_err();
    assert_eq!(
        error.to_string(),
        "data type 7 in message CREATE_CHAN; expected 0 to 6"
    );
}

#[test]
fn large_messages_have_the_extended_header() {
    let header = |payload_size, count| Header {
        payload_size,
        count,
        ..Header::new(Command::READ_NOTIFY)
    };
    for (header, length) in [
        (header(0xfff8, 0xfffe), HEADER_LENGTH),
        (header(0xffff, 1), EXTENDED_HEADER_LENGTH),
        (header(8, 0xffff), EXTENDED_HEADER_LENGTH),
        (header(u32::MAX, u32::MAX), EXTENDED_HEADER_LENGTH),
    ] {
        let mut out = Vec::new();
        header.encode(&mut out);
        assert_eq!(
            (out.len(), Header::decode(&out)),
            (length, Some((header, length)))
        );
    }
    assert_eq!(
        hexadecimal(&{
            let mut out = Vec::new();
            header(800_000, 100_000).encode(&mut out);
            out
        }),
        "000fffff00000000000000000000000000 0c3500000186a0".replace(' ', "")
    );
}

#[test]
fn the_payload_bound_holds_before_the_payload_arrives() {
    let mut decoder = Decoder::new(1 << 20);
    decoder.push(&bytes("0016ffff00060000 0000000100000004 7ffffff800000001"));
    let error = decoder.next_frame().unwrap_err();
    assert_eq!(
        error.to_string(),
        "message ACCESS_RIGHTS announces 2147483640 bytes of payload; at most 1048576 are accepted"
    );
    // more bytes do not heal it
    decoder.push(&[0; 64]);
    assert_eq!(decoder.next_frame(), Err(error));
}

#[test]
fn a_value_that_is_too_large_costs_only_itself() {
    let mut decoder = Decoder::new(16);
    let mut stream = bytes("000fffff00060000 0000000100000004 0000002000000001");
    stream.extend([7; 32]);
    stream.extend(bytes("0017000000000000 0000000000000000"));
    let mut found = Vec::new();
    for piece in stream.chunks(5) {
        decoder.push(piece);
        while let Some(frame) = decoder.next_frame().unwrap() {
            found.push((frame.header.command, frame.payload.len()));
        }
    }
    assert_eq!(found, [(Command::READ_NOTIFY, 0), (Command::ECHO, 0)]);
}

#[test]
fn a_stream_out_of_step_is_noticed() {
    let mut decoder = Decoder::new(1 << 20);
    decoder.push(&bytes("000f000500060000 0000000100000004"));
    assert_eq!(
        decoder.next_frame().unwrap_err().to_string(),
        "message READ_NOTIFY announces 5 bytes of payload; expected a multiple of 8"
    );
}

fn header() -> impl Strategy<Value = Header> {
    let small = prop_oneof![Just(0), 0..0x1_0002_u32, any::<u32>()];
    (0_u16..30, any::<u16>(), small, any::<u32>(), any::<u32>()).prop_map(
        |(command, data_type, count, parameter1, parameter2)| Header {
            command: Command(command),
            payload_size: 0,
            data_type,
            count,
            parameter1,
            parameter2,
        },
    )
}

/// Around the length at which the header changes its form.
fn long_payload() -> impl Strategy<Value = Vec<u8>> {
    (0xffe0..0x10010_usize, any::<u8>()).prop_map(|(length, byte)| vec![byte; length])
}

proptest! {
    #[test]
    fn messages_survive_any_split(
        messages in vec((header(), prop_oneof![vec(any::<u8>(), 0..40), long_payload()]), 1..6),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut stream = Vec::new();
        for (header, payload) in &messages {
            encode_frame(*header, payload, &mut stream).unwrap();
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.push(stream.len());
        cuts.sort_unstable();
        let mut decoder = Decoder::new(1 << 20);
        let mut decoded = Vec::new();
        let mut start = 0;
        for cut in cuts {
            decoder.push(&stream[start..cut]);
            start = cut;
            while let Some(frame) = decoder.next_frame().unwrap() {
                decoded.push((frame.header, frame.payload.to_vec()));
            }
        }
        prop_assert_eq!(decoded.len(), messages.len());
        for ((header, payload), (found, received)) in messages.iter().zip(&decoded) {
            let padded = payload.len().next_multiple_of(8);
            let expected = Header { payload_size: u32::try_from(padded).unwrap(), ..*header };
            prop_assert_eq!(&expected, found);
            prop_assert_eq!(&payload[..], &received[..payload.len()]);
            prop_assert!(received[payload.len()..].iter().all(|&byte| byte == 0));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..600), count in any::<u32>(), scalar in any::<bool>(), number in 0_u16..7) {
        let mut decoder = Decoder::new(256);
        decoder.push(&bytes);
        while let Ok(Some(frame)) = decoder.next_frame() {
            let _ = Response::decode(frame);
        }
        let data_type = DataType::from_number(number).unwrap();
        for count in [count, count % 16] {
            if let Ok(sample) = decode_sample(data_type, count, scalar, &bytes) {
                let _ = sample.value.to_string();
            }
        }
        let _ = decode_labels(&bytes);
    }
}
