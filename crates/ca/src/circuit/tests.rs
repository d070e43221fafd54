//! The circuit without a network, against the bytes of a server that the test writes.

use std::error::Error as _;

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;
use crate::proto::{Frame, HEADER_LENGTH, Header, decode_frame, encode_frame};

fn settings() -> Settings {
    Settings {
        user_name: "operator".to_owned(),
        host_name: "t01-nx".to_owned(),
        priority: 0,
        connection_timeout: Duration::from_secs(30),
        maximum_payload: 1 << 16,
    }
}

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

fn version(minor: u32) -> Vec<u8> {
    message(Command::VERSION, (0, minor, 0, 0), &[])
}

/// Headers of the messages that the circuit wants to send.
fn sent(circuit: &mut Circuit) -> Vec<Header> {
    let output = circuit.take_output();
    let mut rest = &output[..];
    let mut headers = Vec::new();
    while let Some((Frame { header, .. }, used)) = decode_frame(rest, 1 << 16).unwrap() {
        headers.push(header);
        rest = &rest[used..];
    }
    assert_eq!(rest.len(), 0);
    headers
}

fn events(circuit: &mut Circuit) -> Vec<Event> {
    std::iter::from_fn(|| circuit.poll_event()).collect()
}

struct Fixture {
    circuit: Circuit,
    channel: ChannelId,
    now: Instant,
}

/// A circuit with one channel of this type.
fn connected(minor: u32, data_type: u16, count: u32) -> Fixture {
    let now = Instant::now();
    let mut circuit = Circuit::new(&settings(), now).unwrap();
    circuit.handle_bytes(&version(minor), now).unwrap();
    let channel = ChannelId(1);
    circuit
        .create_channel(channel, &"T01:PV".parse().unwrap())
        .unwrap();
    circuit
        .handle_bytes(
            &message(Command::ACCESS_RIGHTS, (0, 0, channel.0, 3), &[]),
            now,
        )
        .unwrap();
    circuit
        .handle_bytes(
            &message(Command::CREATE_CHAN, (data_type, count, channel.0, 77), &[]),
            now,
        )
        .unwrap();
    circuit.take_output();
    events(&mut circuit);
    Fixture {
        circuit,
        channel,
        now,
    }
}

#[test]
fn the_way_to_a_channel() {
    let now = Instant::now();
    let mut circuit = Circuit::new(&settings(), now).unwrap();
    let commands: Vec<_> = sent(&mut circuit)
        .iter()
        .map(|header| header.command)
        .collect();
    assert_eq!(
        commands,
        [Command::VERSION, Command::HOST_NAME, Command::CLIENT_NAME]
    );

    // rsrv sends its version twice
    circuit
        .handle_bytes(&[version(13), version(13)].concat(), now)
        .unwrap();
    assert_eq!(events(&mut circuit), [Event::Ready { minor: 13 }]);

    let channel = ChannelId(1);
    circuit
        .create_channel(channel, &"T01:PV".parse().unwrap())
        .unwrap();
    assert_eq!(circuit.read(channel, Form::Time), Err(Error::NotConnected));
    let rights = AccessRights {
        read: true,
        write: false,
    };
    circuit
        .handle_bytes(
            &message(Command::ACCESS_RIGHTS, (0, 0, channel.0, 1), &[]),
            now,
        )
        .unwrap();
    circuit
        .handle_bytes(
            &message(Command::CREATE_CHAN, (6, 5, channel.0, 77), &[]),
            now,
        )
        .unwrap();
    assert_eq!(
        events(&mut circuit),
        [
            Event::AccessRights { channel, rights },
            Event::ChannelCreated {
                channel,
                data_type: DataType::Double,
                count: 5
            },
        ]
    );
    assert_eq!(circuit.access_rights(channel), Some(rights));
}

#[test]
fn reads_and_writes_are_matched_to_their_answers() {
    let Fixture {
        mut circuit,
        channel,
        now,
    } = connected(13, 5, 1);
    let read = circuit.read(channel, Form::Time).unwrap();
    let write = circuit
        .write(channel, DataType::String, 1, &[0; 40])
        .unwrap();
    let headers = sent(&mut circuit);
    assert_eq!(
        headers[0],
        Header {
            data_type: 19,
            count: 0,
            parameter1: 77,
            parameter2: read.0,
            ..Header::new(Command::READ_NOTIFY)
        }
    );
    assert_eq!(
        (
            headers[1].payload_size,
            headers[1].parameter1,
            headers[1].parameter2
        ),
        (40, 77, write.0)
    );

    circuit
        .handle_bytes(
            &message(Command::WRITE_NOTIFY, (0, 1, 1, write.0), &[]),
            now,
        )
        .unwrap();
    circuit
        .handle_bytes(
            &message(Command::READ_NOTIFY, (19, 1, 1, read.0), &[7; 16]),
            now,
        )
        .unwrap();
    // an answer nobody waits for
    circuit
        .handle_bytes(
            &message(Command::READ_NOTIFY, (19, 1, 1, read.0), &[7; 16]),
            now,
        )
        .unwrap();
    let payload = Payload {
        data_type: DataType::Long,
        count: 1,
        bytes: vec![7; 16],
    };
    assert_eq!(
        events(&mut circuit),
        [
            Event::WriteDone {
                request: write,
                result: Ok(())
            },
            Event::ReadDone {
                request: read,
                result: Ok(payload)
            },
        ]
    );
}

#[test]
fn an_older_server_is_asked_for_all_elements_by_number() {
    let Fixture {
        mut circuit,
        channel,
        ..
    } = connected(12, 6, 5);
    circuit.read(channel, Form::Time).unwrap();
    assert_eq!(sent(&mut circuit)[0].count, 5);
}

#[test]
fn refusals_come_as_status_or_as_error_message() {
    let Fixture {
        mut circuit,
        channel,
        now,
    } = connected(13, 6, 1);
    let read = circuit.read(channel, Form::Time).unwrap();
    let write = circuit
        .write(channel, DataType::String, 1, &[0; 40])
        .unwrap();
    circuit.take_output();
    circuit
        .handle_bytes(
            &message(Command::READ_NOTIFY, (20, 1, 152, read.0), &[]),
            now,
        )
        .unwrap();
    let mut complaint = Vec::new();
    Header {
        parameter2: write.0,
        ..Header::new(Command::WRITE_NOTIFY)
    }
    .encode(&mut complaint);
    complaint.extend_from_slice(b"no\0");
    circuit
        .handle_bytes(
            &message(Command::ERROR, (0, 0, channel.0, 376), &complaint),
            now,
        )
        .unwrap();
    let shown: Vec<_> = events(&mut circuit)
        .into_iter()
        .map(|event| match event {
            Event::ReadDone {
                result: Err(refusal),
                ..
            }
            | Event::WriteDone {
                result: Err(refusal),
                ..
            } => refusal.to_string(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        shown,
        [
            "the server could not read the value (ECA_GETFAIL)",
            "no write access (ECA_NOWTACCESS): no"
        ]
    );
}

#[test]
fn channels_can_fail_and_be_taken_away() {
    let Fixture {
        mut circuit,
        channel,
        now,
    } = connected(13, 6, 1);
    let other = ChannelId(2);
    circuit
        .create_channel(other, &"T01:NONE".parse().unwrap())
        .unwrap();
    circuit
        .handle_bytes(
            &message(Command::CREATE_CH_FAIL, (0, 0, other.0, 0), &[]),
            now,
        )
        .unwrap();
    let read = circuit.read(channel, Form::Time).unwrap();
    circuit
        .handle_bytes(
            &message(Command::SERVER_DISCONN, (0, 0, channel.0, 0), &[]),
            now,
        )
        .unwrap();
    circuit
        .handle_bytes(
            &message(Command::READ_NOTIFY, (20, 1, 1, read.0), &[0; 24]),
            now,
        )
        .unwrap();
    assert_eq!(
        events(&mut circuit),
        [
            Event::CreateFailed { channel: other },
            Event::ChannelDisconnected { channel }
        ]
    );
    assert_eq!(circuit.read(channel, Form::Time), Err(Error::NotConnected));
}

#[test]
fn clearing_a_channel_tells_the_server() {
    let Fixture {
        mut circuit,
        channel,
        now,
    } = connected(13, 6, 1);
    let read = circuit.read(channel, Form::Time).unwrap();
    circuit.take_output();
    circuit.clear_channel(channel).unwrap();
    let clear = Header {
        parameter1: 77,
        parameter2: channel.0,
        ..Header::new(Command::CLEAR_CHANNEL)
    };
    assert_eq!(sent(&mut circuit), [clear]);
    circuit
        .handle_bytes(
            &message(Command::READ_NOTIFY, (20, 1, 1, read.0), &[0; 24]),
            now,
        )
        .unwrap();
    assert_eq!(events(&mut circuit), []);
}

#[test]
fn servers_that_are_not_channel_access_are_refused() {
    let now = Instant::now();
    for (bytes, expected) in [
        (
            version(3),
            "the server speaks Channel Access 4.3; expected at least 4.4",
        ),
        (
            message(Command::ECHO, (0, 0, 0, 0), &[]),
            "protocol violation: the server began with message ECHO; expected VERSION",
        ),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            "protocol violation: the server began with message 18516; expected VERSION",
        ),
    ] {
        let settings = Settings {
            maximum_payload: 1024,
            ..settings()
        };
        let mut circuit = Circuit::new(&settings, now).unwrap();
        assert_eq!(
            circuit.handle_bytes(&bytes, now).unwrap_err().to_string(),
            expected
        );
    }
}

#[test]
fn a_value_of_another_type_than_asked_for_is_a_violation() {
    let Fixture {
        mut circuit,
        channel,
        now,
    } = connected(13, 6, 1);
    let read = circuit.read(channel, Form::Time).unwrap();
    let error = circuit
        .handle_bytes(
            &message(Command::READ_NOTIFY, (6, 1, 1, read.0), &[0; 8]),
            now,
        )
        .unwrap_err();
    assert_eq!(
        error.source().unwrap().to_string(),
        "data type 6 in message READ_NOTIFY; expected the type that was asked for"
    );
}

#[test]
fn a_silent_server_is_asked_and_then_given_up() {
    let Fixture {
        mut circuit, now, ..
    } = connected(13, 6, 1);
    assert_eq!(circuit.poll_timeout(), Some(now + Duration::from_secs(30)));
    circuit
        .handle_timeout(now + Duration::from_secs(29))
        .unwrap();
    assert_eq!(sent(&mut circuit), []);
    let asked = now + Duration::from_secs(30);
    circuit.handle_timeout(asked).unwrap();
    assert_eq!(sent(&mut circuit), [Header::new(Command::ECHO)]);

    // an answer starts the clock again
    let answered = asked + Duration::from_secs(4);
    circuit
        .handle_bytes(&message(Command::ECHO, (0, 0, 0, 0), &[]), answered)
        .unwrap();
    assert_eq!(
        circuit.poll_timeout(),
        Some(answered + Duration::from_secs(30))
    );

    circuit
        .handle_timeout(answered + Duration::from_secs(30))
        .unwrap();
    let error = circuit
        .handle_timeout(answered + Duration::from_secs(35))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server has been silent for 35 s and does not answer an echo"
    );
}

#[test]
fn a_timeout_beyond_the_clock_never_comes() {
    let now = Instant::now();
    let settings = Settings {
        connection_timeout: Duration::MAX,
        ..settings()
    };
    let mut circuit = Circuit::new(&settings, now).unwrap();
    assert_eq!(circuit.poll_timeout(), None);
    circuit
        .handle_timeout(now + Duration::from_hours(1))
        .unwrap();
    assert_eq!(sent(&mut circuit).len(), 3);
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(cuts in proptest::collection::vec(0..300_usize, 0..20)) {
        let now = Instant::now();
        let bytes = [
            version(13),
            message(Command::ACCESS_RIGHTS, (0, 0, 1, 3), &[]),
            message(Command::CREATE_CHAN, (6, 1, 1, 77), &[]),
            message(Command::SEARCH, (5064, 0, u32::MAX, 9), &[0, 13]),
            message(Command::SERVER_DISCONN, (0, 0, 1, 0), &[]),
        ]
        .concat();
        let mut circuit = Circuit::new(&settings(), now).unwrap();
        circuit.create_channel(ChannelId(1), &"T01:PV".parse().unwrap()).unwrap();
        let mut rest = &bytes[..];
        for cut in cuts {
            let (head, tail) = rest.split_at(cut.min(rest.len()));
            circuit.handle_bytes(head, now).unwrap();
            rest = tail;
        }
        circuit.handle_bytes(rest, now).unwrap();
        prop_assert_eq!(events(&mut circuit).len(), 5);
    }

    #[test]
    fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), HEADER_LENGTH..200), after_version in any::<bool>()) {
        let Fixture { mut circuit, channel, now } = connected(13, 3, 1);
        if after_version {
            circuit.read(channel, Form::Time).unwrap();
            bytes[0] = 0;
            bytes[1] %= 28;
            bytes[2] = 0;
        }
        let _ = circuit.handle_bytes(&bytes, now);
    }
}
