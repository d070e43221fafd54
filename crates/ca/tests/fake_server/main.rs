//! The client against a server that misbehaves: what a user sees when something on the way is broken.

#[cfg(test)]
mod fake;
#[cfg(test)]
mod lasting;
#[cfg(test)]
#[path = "../../../../tests/testbed/port.rs"]
mod port;

use std::error::Error as _;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use ca::environment::Address;
use ca::proto::Command;
use ca::{Array, Client, Configuration, Error, Found, Value};
use pretty_assertions::assert_eq;
use tokio::net::{TcpListener, UdpSocket};

use fake::{Fake, answer, message};

/// Long enough for what must work.
const TIMEOUT: Duration = Duration::from_secs(10);
/// For what cannot work.
const SHORT: Duration = Duration::from_secs(1);

const DOUBLE: u16 = 6;

/// An error and its causes, as a command shows them.
fn shown(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}

fn time_double(value: f64) -> Vec<u8> {
    [&[0; 16][..], &value.to_be_bytes()].concat()
}

#[tokio::test]
async fn searching_nowhere_is_an_error_at_once() {
    let client = Client::new(Configuration::for_addresses([]));
    let error = client.find("PV", TIMEOUT).await.unwrap_err();
    assert_eq!(
        shown(&error),
        "there is nowhere to search for `PV`: no addresses, no interfaces with broadcast, no name servers"
    );
    assert_eq!(
        shown(&client.find("P V\n", TIMEOUT).await.unwrap_err())
            .lines()
            .count(),
        1
    );
}

#[tokio::test]
async fn an_unknown_host_name_is_part_of_the_message() {
    let configuration = Configuration {
        addresses: vec![Address::Name {
            host: "no-such-host.invalid".to_owned(),
            port: 5064,
        }],
        ..Configuration::for_addresses([])
    };
    let error = Client::new(configuration)
        .find("PV", SHORT)
        .await
        .unwrap_err();
    let text = shown(&error);
    let start = "no server answered for `PV` within 1 s; searched nowhere (host name `no-such-host.invalid` cannot be resolved: ";
    assert!(text.starts_with(start), "{text}");
}

#[tokio::test]
async fn an_address_that_cannot_be_sent_to_is_part_of_the_message() {
    let client = Client::new(Configuration::for_addresses(["127.0.0.1:0"
        .parse()
        .unwrap()]));
    assert_eq!(
        shown(&client.find("PV", SHORT).await.unwrap_err()),
        "no server answered for `PV` within 1 s; searched 127.0.0.1:0 \
         (cannot send to 127.0.0.1:0: Invalid argument (os error 22))"
    );
}

#[tokio::test]
async fn lost_searches_are_repeated() {
    let fake = Fake::start(
        |count, searches, tcp| {
            if count < 4 {
                vec![]
            } else {
                vec![answer(searches[0], tcp)]
            }
        },
        |_, mut peer| async move {
            peer.greet(13).await;
            peer.idle().await;
        },
    )
    .await;
    let found = fake.client().find("PV", TIMEOUT).await.unwrap();
    assert_eq!(
        found,
        Found {
            server: fake.tcp,
            duplicates: vec![]
        }
    );
}

#[tokio::test]
async fn garbage_before_the_answer_does_no_harm() {
    let fake = Fake::start(
        |_, searches, tcp| {
            let mut cut = answer(searches[0], tcp);
            cut.truncate(17);
            let stranger = answer(searches[0] + 100, tcp);
            vec![
                vec![],
                vec![0xff; 40],
                cut,
                stranger,
                b"hello".to_vec(),
                answer(searches[0], tcp),
            ]
        },
        |_, mut peer| async move {
            peer.greet(13).await;
            peer.idle().await;
        },
    )
    .await;
    assert_eq!(
        fake.client().find("PV", TIMEOUT).await.unwrap().server,
        fake.tcp
    );
}

#[tokio::test]
async fn two_servers_with_one_name_are_both_named() {
    let serve = |_, mut peer: fake::Peer| async move {
        peer.greet(13).await;
        peer.idle().await;
    };
    let second = Fake::answering(serve).await;
    let second_tcp = second.tcp;
    let fake = Fake::start(
        move |_, searches, tcp| {
            vec![
                answer(searches[0], tcp),
                answer(searches[0], second_tcp),
                answer(searches[0], tcp),
            ]
        },
        serve,
    )
    .await;
    // long enough for both to be heard and tried on a busy machine
    let configuration = Configuration {
        settle: Duration::from_secs(1),
        ..fake.configuration()
    };
    let found = Client::new(configuration)
        .find("PV", TIMEOUT)
        .await
        .unwrap();
    let mut servers = [vec![found.server], found.duplicates].concat();
    servers.sort_unstable();
    let mut expected = vec![fake.tcp, second_tcp];
    expected.sort_unstable();
    assert_eq!(servers, expected);
}

#[tokio::test]
async fn a_server_that_refuses_connections_is_named_with_the_reason() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let fake = Fake::start(
        move |_, searches, _| vec![answer(searches[0], gone)],
        |_, peer| peer.idle(),
    )
    .await;
    let error = fake.client().find("PV", SHORT).await.unwrap_err();
    assert_eq!(
        shown(&error),
        format!(
            "server {gone} answered the search for `PV` but cannot be used: cannot connect: \
             Connection refused (os error 111)"
        )
    );
}

#[tokio::test]
async fn a_dead_server_does_not_hide_a_living_one() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let fake = Fake::start(
        move |_, searches, tcp| vec![answer(searches[0], gone), answer(searches[0], tcp)],
        |_, mut peer| async move {
            peer.greet(13).await;
            peer.idle().await;
        },
    )
    .await;
    // long enough for both to be heard and tried on a busy machine
    let configuration = Configuration {
        settle: Duration::from_secs(1),
        ..fake.configuration()
    };
    let found = Client::new(configuration)
        .find("PV", TIMEOUT)
        .await
        .unwrap();
    assert_eq!(
        found,
        Found {
            server: fake.tcp,
            duplicates: vec![]
        }
    );
}

#[tokio::test]
async fn a_server_that_is_just_starting_is_found_at_the_next_try() {
    let fake = Fake::answering(|count, mut peer| async move {
        if count > 0 {
            peer.greet(13).await;
            peer.idle().await;
        }
    })
    .await;
    assert_eq!(
        fake.client().find("PV", TIMEOUT).await.unwrap().server,
        fake.tcp
    );
}

#[tokio::test]
async fn servers_that_do_not_speak_the_protocol_are_refused_with_what_was_expected() {
    let silent = Fake::answering(|_, peer| peer.idle()).await;
    let closing = Fake::answering(|_, _| async {}).await;
    let old = Fake::answering(|_, mut peer| async move { peer.greet(3).await }).await;
    let http = Fake::answering(|_, mut peer| async move {
        peer.send_bytes(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            .await;
        peer.idle().await;
    })
    .await;
    let hasty = Fake::answering(|_, mut peer| async move {
        peer.send(Command::ACCESS_RIGHTS, (0, 0, 1, 3), &[]).await;
        peer.idle().await;
    })
    .await;
    for (fake, reason) in [
        (
            silent,
            "the server accepted the connection but sent no version",
        ),
        (closing, "the server closed the connection"),
        (
            old,
            "the server speaks Channel Access 4.3; expected at least 4.4",
        ),
        (
            http,
            "protocol violation: the server began with message 18516; expected VERSION",
        ),
        (
            hasty,
            "protocol violation: the server began with message ACCESS_RIGHTS; expected VERSION",
        ),
    ] {
        let error = fake.client().find("PV", SHORT).await.unwrap_err();
        let server = fake.tcp;
        assert_eq!(
            shown(&error),
            format!("server {server} answered the search for `PV` but cannot be used: {reason}")
        );
    }
}

#[tokio::test]
async fn messages_in_single_bytes_are_put_together() {
    let fake = Fake::answering(|_, peer| async move {
        let mut peer = peer.in_pieces(1);
        peer.give_channel(13, DOUBLE, 3).await;
        let read = peer.receive(Command::READ_NOTIFY).await;
        assert_eq!((read.data_type, read.count, read.parameter1), (20, 0, 77));
        let values = [time_double(1.5), 2.5_f64.to_be_bytes().to_vec()].concat();
        peer.send(Command::READ_NOTIFY, (20, 2, 1, read.parameter2), &values)
            .await;
        peer.receive(Command::CLEAR_CHANNEL).await;
    })
    .await;
    let reading = fake.client().get("PV", TIMEOUT).await.unwrap();
    assert_eq!(reading.value, Value::Array(Array::Double(vec![1.5, 2.5])));
}

#[tokio::test]
async fn a_server_before_dynamic_arrays_is_asked_for_all_elements() {
    let fake = Fake::answering(|_, mut peer| async move {
        peer.give_channel(11, DOUBLE, 1).await;
        let read = peer.receive(Command::READ_NOTIFY).await;
        // a count of zero would mean no elements to this server
        let count = read.count;
        let values = if count == 1 {
            time_double(4.0)
        } else {
            vec![0; 16]
        };
        peer.send(
            Command::READ_NOTIFY,
            (20, count, 1, read.parameter2),
            &values,
        )
        .await;
        peer.idle().await;
    })
    .await;
    assert_eq!(
        fake.client().get("PV", TIMEOUT).await.unwrap().value,
        Value::Double(4.0)
    );
}

#[tokio::test]
async fn a_payload_beyond_the_bound_is_refused_without_waiting_for_it() {
    let fake = Fake::answering(|_, mut peer| async move {
        peer.give_channel(13, DOUBLE, 1).await;
        let read = peer.receive(Command::READ_NOTIFY).await.parameter2;
        let mut header = Vec::new();
        let large = ca::proto::Header {
            payload_size: 0x4000_0000,
            data_type: 20,
            count: 1,
            parameter1: 1,
            parameter2: read,
            ..ca::proto::Header::new(Command::READ_NOTIFY)
        };
        large.encode(&mut header);
        peer.send_bytes(&header).await;
        peer.idle().await;
    })
    .await;
    let started = Instant::now();
    let error = fake.client().get("PV", TIMEOUT).await.unwrap_err();
    assert!(started.elapsed() < TIMEOUT / 2);
    let server = fake.tcp;
    assert_eq!(
        shown(&error),
        format!(
            "server {server} did not read `PV`: the value is too large (ECA_TOLARGE): 1073741824 \
             bytes, and this client accepts at most 1048576 (EPICS_CA_MAX_ARRAY_BYTES)"
        )
    );
}

#[tokio::test]
async fn a_value_shorter_than_its_count_is_refused() {
    let fake = Fake::answering(|_, mut peer| async move {
        peer.give_channel(13, DOUBLE, 1000).await;
        let read = peer.receive(Command::READ_NOTIFY).await.parameter2;
        peer.send(Command::READ_NOTIFY, (20, 1000, 1, read), &time_double(1.0))
            .await;
        peer.idle().await;
    })
    .await;
    let text = shown(&fake.client().get("PV", TIMEOUT).await.unwrap_err());
    let reason = "protocol violation: the payload of message READ_NOTIFY has 24 bytes; expected at least 8016";
    assert!(text.ends_with(reason), "{text}");
}

#[tokio::test]
async fn what_ends_a_read_is_said() {
    let closing = Fake::answering(|_, mut peer| async move {
        peer.give_channel(13, DOUBLE, 1).await;
        peer.receive(Command::READ_NOTIFY).await;
    })
    .await;
    let taken_away = Fake::answering(|_, mut peer| async move {
        let channel = peer.give_channel(13, DOUBLE, 1).await;
        peer.receive(Command::READ_NOTIFY).await;
        peer.send(Command::SERVER_DISCONN, (0, 0, channel, 0), &[])
            .await;
        peer.idle().await;
    })
    .await;
    let refusing = Fake::answering(|_, mut peer| async move {
        peer.give_channel(13, DOUBLE, 1).await;
        let read = peer.receive(Command::READ_NOTIFY).await.parameter2;
        peer.send(Command::READ_NOTIFY, (20, 1, 152, read), &time_double(0.0))
            .await;
        peer.idle().await;
    })
    .await;
    let without_channel = Fake::answering(|_, mut peer| async move {
        peer.greet(13).await;
        let channel = peer.receive(Command::CREATE_CHAN).await.parameter1;
        peer.send(Command::CREATE_CH_FAIL, (0, 0, channel, 0), &[])
            .await;
        peer.idle().await;
    })
    .await;
    for (fake, expected) in [
        (
            closing,
            "server SERVER answered the search for `PV` but cannot be used: the server closed the connection",
        ),
        (
            taken_away,
            "server SERVER answered the search for `PV` but cannot be used: the channel is not connected",
        ),
        (
            refusing,
            "server SERVER did not read `PV`: the server could not read the value (ECA_GETFAIL)",
        ),
        (
            without_channel,
            "server SERVER answered the search for `PV` but did not give a channel to it",
        ),
    ] {
        let error = fake.client().get("PV", TIMEOUT).await.unwrap_err();
        assert_eq!(
            shown(&error),
            expected.replace("SERVER", &fake.tcp.to_string())
        );
    }
}

#[tokio::test]
async fn what_takes_too_long_is_said() {
    let no_channel = Fake::answering(|_, mut peer| async move {
        peer.greet(13).await;
        peer.idle().await;
    })
    .await;
    let no_value = Fake::answering(|_, mut peer| async move {
        peer.give_channel(13, DOUBLE, 1).await;
        peer.idle().await;
    })
    .await;
    let server = no_channel.tcp;
    let error = no_channel.client().get("PV", SHORT).await.unwrap_err();
    assert_eq!(
        shown(&error),
        format!("creating the channel `PV` at {server} was not done within 1 s")
    );
    let server = no_value.tcp;
    let error = no_value.client().get("PV", SHORT).await.unwrap_err();
    assert_eq!(
        shown(&error),
        format!("reading `PV` at {server} was not done within 1 s")
    );
    let error = no_value.client().put("PV", "1", SHORT).await.unwrap_err();
    assert_eq!(
        shown(&error),
        format!("writing `PV` at {server} was not done within 1 s")
    );
}

#[tokio::test]
async fn a_silent_circuit_is_asked_for_a_sign_of_life() {
    let fake = Fake::answering(|_, mut peer| async move {
        peer.give_channel(13, DOUBLE, 1).await;
        let read = peer.receive(Command::READ_NOTIFY).await.parameter2;
        // nothing is said until the client asks
        peer.receive(Command::ECHO).await;
        peer.send(Command::ECHO, (0, 0, 0, 0), &[]).await;
        peer.send(Command::READ_NOTIFY, (20, 1, 1, read), &time_double(3.0))
            .await;
        peer.idle().await;
    })
    .await;
    let configuration = Configuration {
        connection_timeout: Duration::from_millis(100),
        ..fake.configuration()
    };
    let reading = Client::new(configuration).get("PV", TIMEOUT).await.unwrap();
    assert_eq!(reading.value, Value::Double(3.0));
}

#[tokio::test]
async fn fifty_names_share_two_datagrams_and_one_connection() {
    let (datagrams, mut counted) = tokio::sync::mpsc::unbounded_channel();
    let connections = datagrams.clone();
    let fake = Fake::start(
        move |_, searches, tcp| {
            datagrams.send(("datagram", searches.len())).unwrap();
            vec![
                searches
                    .iter()
                    .flat_map(|&search| answer(search, tcp))
                    .collect(),
            ]
        },
        move |count, mut peer| {
            connections.send(("connection", count)).unwrap();
            async move {
                peer.greet(13).await;
                peer.idle().await;
            }
        },
    )
    .await;
    let names: Vec<_> = (0..50)
        .map(|number| format!("T01-EA-IOC-{number:02}:UPTIME"))
        .collect();
    let found = fake.client().find_many(&names, TIMEOUT).await;
    assert!(
        found
            .iter()
            .all(|result| result.as_ref().is_ok_and(|found| found.server == fake.tcp))
    );
    counted.close();
    let (mut connections, mut datagrams) = (0, Vec::new());
    while let Some((kind, number)) = counted.recv().await {
        match kind {
            "datagram" => datagrams.push(number),
            _ => connections += 1,
        }
    }
    // on a busy machine the names may have been repeated before the answers were read
    assert_eq!((connections, &datagrams[..2]), (1, &[35, 15][..]));
}

#[tokio::test]
async fn a_name_server_that_is_down_is_part_of_the_message() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let SocketAddr::V4(name_server) = gone else {
        unreachable!()
    };
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address: SocketAddrV4 = silent.local_addr().unwrap().to_string().parse().unwrap();
    let configuration = Configuration {
        name_servers: vec![name_server.into()],
        ..Configuration::for_addresses([address])
    };
    let error = Client::new(configuration)
        .find("PV", SHORT)
        .await
        .unwrap_err();
    assert_eq!(
        shown(&error),
        format!(
            "no server answered for `PV` within 1 s; searched {address}, name server {gone} \
             (name server {gone}: cannot connect: Connection refused (os error 111))"
        )
    );
}

#[tokio::test]
async fn a_name_server_points_to_the_ioc() {
    let ioc = Fake::answering(|_, mut peer| async move {
        peer.greet(13).await;
        peer.idle().await;
    })
    .await;
    let server = ioc.tcp;
    let name_server = Fake::answering(move |_, mut peer| async move {
        peer.greet(13).await;
        let search = peer.receive(Command::SEARCH).await.parameter2;
        let address = u32::from(Ipv4Addr::LOCALHOST);
        peer.send_bytes(&message(
            Command::SEARCH,
            (server.port(), 0, address, search),
            &[0, 13],
        ))
        .await;
        peer.idle().await;
    })
    .await;
    let old = Fake::answering(|_, mut peer| async move {
        peer.greet(11).await;
        peer.idle().await;
    })
    .await;
    let at = |fake: &Fake| {
        let SocketAddr::V4(address) = fake.tcp else {
            unreachable!()
        };
        Client::new(Configuration {
            name_servers: vec![address.into()],
            ..Configuration::for_addresses([])
        })
    };
    assert_eq!(
        at(&name_server).find("PV", TIMEOUT).await.unwrap().server,
        server
    );
    let text = shown(&at(&old).find("PV", SHORT).await.unwrap_err());
    assert!(
        text.contains("it is older than Channel Access 4.12 and cannot be searched over TCP"),
        "{text}"
    );
}
