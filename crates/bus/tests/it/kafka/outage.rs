//! Brokers that are killed under load and come back.

use std::sync::Arc;
use std::time::Duration;

use bus::kafka::properties::Properties;
use bus::kafka::{Kafka, Options};
use bus::{Bus, From, Outgoing};
use pretty_assertions::assert_eq;

use super::broker::{Broker, or_not_checked};
use crate::contract::{all, assert_numbers, offsets, prepare, within_a_minute};

const KEYS: u64 = 7;

fn outgoing(topic: &Arc<str>, number: u64) -> Outgoing {
    Outgoing {
        topic: Arc::clone(topic),
        key: format!("key-{}", number % KEYS),
        value: Some(number.to_string()),
    }
}

/// Kills the broker in the middle of a stream of records, once or several times.
async fn nothing_is_lost_or_doubled(broker: Arc<Broker>, kills: u64) {
    let bus = broker.connect().await;
    let [topic] = prepare(&bus, ["Killed"]).await;
    // so that all of it is there in the end
    let keep = "cleanup.policy=delete,retention.ms=-1";
    let change = [
        "--alter",
        "--entity-type",
        "topics",
        "--entity-name",
        &topic,
        "--add-config",
        keep,
    ];
    broker.tool("kafka.admin.ConfigCommand", &change);
    let mut reader = bus
        .read(&[(Arc::clone(&topic), From::Beginning)])
        .await
        .unwrap();
    let writer = bus.writer().await.unwrap();
    let mut number = 0;
    for kill in 0..kills {
        // about 2000 a second, while the broker goes and comes back
        let (killing, statistics) = (Arc::clone(&broker), bus.clone());
        let outage = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(150 + 113 * kill));
            killing.kill("");
            while statistics.statistics().connected {
                std::thread::sleep(Duration::from_millis(10));
            }
            let away = statistics.statistics();
            killing.start_again("");
            away
        });
        while !outage.is_finished() {
            writer
                .send(
                    (number..number + 10)
                        .map(|number| outgoing(&topic, number))
                        .collect(),
                )
                .unwrap();
            number += 10;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let away = outage.await.unwrap();
        assert!(away.buffered_records > 0, "{away:?}");
        within_a_minute(writer.flush()).await.unwrap();
    }
    let statistics = bus.statistics();
    assert_eq!(
        (
            statistics.buffered_records,
            statistics.written,
            statistics.refused
        ),
        (0, number, 0)
    );
    assert!(
        statistics.connected && statistics.reconnects >= kills,
        "{statistics:?}"
    );
    // who read along all the time, who reads now, and Kafka's own client
    let mut along = Vec::new();
    while (along.len() as u64) < number {
        along.extend(within_a_minute(reader.next()).await.unwrap());
    }
    let values: Vec<_> = along
        .iter()
        .map(|record| record.value.clone().unwrap())
        .collect();
    assert_numbers(&values, 0..number);
    assert!(offsets(&along) == offsets(&all(&bus, &topic).await));
    let java: Vec<_> = broker
        .read_with_java(&topic, bus.end(&topic).await.unwrap())
        .into_iter()
        .map(|(_, _, value)| value)
        .collect();
    assert_numbers(&java, 0..number);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_of_the_newest_version_is_killed_and_comes_back() {
    nothing_is_lost_or_doubled(
        Arc::new(or_not_checked!(Broker::own(
            "killed-new",
            &["--version", "4.1.0"]
        ))),
        2,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_of_the_oldest_version_is_killed_and_comes_back() {
    nothing_is_lost_or_doubled(
        Arc::new(or_not_checked!(Broker::own(
            "killed-old",
            &["--version", "3.9.1"]
        ))),
        1,
    )
    .await;
}

#[track_caller]
fn said(error: &bus::Error) -> String {
    format!("{error}\nhint: {}", error.hint().expect("there is no hint"))
}

async fn connect(servers: &str) -> String {
    let options = Options {
        connection_timeout: Duration::from_secs(1),
        ..Options::default()
    };
    said(
        &Kafka::connect(servers, &Properties::default(), options)
            .await
            .expect_err("it connected"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_cannot_be_reached_is_said_with_its_address() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let expected = format!(
        "connecting to Kafka `127.0.0.1:{port}`: 127.0.0.1:{port}: Connect to ipv4#127.0.0.1:{port} failed: Connection refused\n\
         hint: nc -vz 127.0.0.1 {port}"
    );
    assert_eq!(connect(&format!("127.0.0.1:{port}")).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_is_no_broker_does_not_hold_it_up_for_ever() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let answer = connect(&address).await;
    let expected = format!(
        "connecting to Kafka `{address}`: no answer within 1 s\nhint: nc -vz {}",
        address.replace(':', " ")
    );
    assert_eq!(answer, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_does_not_exist_is_said() {
    let answer = connect("no-such-host.invalid:9092").await;
    assert!(
        answer.starts_with("connecting to Kafka `no-such-host.invalid:9092`: "),
        "{answer}"
    );
    assert!(
        answer.contains("Failed to resolve")
            && answer.ends_with("hint: getent hosts no-such-host.invalid"),
        "{answer}"
    );
}

#[tokio::test]
async fn no_broker_at_all() {
    assert_eq!(
        connect(" ").await,
        "connecting to Kafka: no broker is named\nhint: --kafka HOST:9092"
    );
}
