//! Topics and their settings, what compaction and transactions leave behind; Kafka's own tools are the witness.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, Cleanup, Error, From, TopicPlan};
use pretty_assertions::assert_eq;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::broker::{Broker, or_not_checked};
use crate::contract::{all, numbered, offsets, prepare, record, values, within_a_minute};

fn plan(name: &str, cleanup: Cleanup) -> TopicPlan {
    TopicPlan {
        name: name.into(),
        cleanup,
    }
}

/// The settings that a topic has of its own, as Kafka's tool tells them.
fn settings(broker: &Broker, topic: &str) -> BTreeMap<String, String> {
    let said = broker.tool(
        "kafka.admin.ConfigCommand",
        &[
            "--describe",
            "--entity-type",
            "topics",
            "--entity-name",
            topic,
        ],
    );
    let setting = |line: &str| {
        let (name, value) = line.trim().split_once(' ')?.0.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    said.lines().filter_map(setting).collect()
}

fn expected(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

const COMPACT: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("segment.ms", "10000"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("min.compaction.lag.ms", "1000"),
];

async fn topics_get_the_settings_of_phoebus(broker: &Broker) {
    let bus = broker.connect().await;
    let (compact, delete) = ("Settings", "SettingsCommand");
    bus.prepare(&[
        plan(compact, Cleanup::Compact),
        plan(delete, Cleanup::Delete),
    ])
    .await
    .unwrap();
    assert_eq!(settings(broker, compact), expected(&COMPACT));
    let mut pairs = COMPACT.to_vec();
    pairs[0].1 = "delete";
    pairs.extend([
        ("retention.ms", "20000"),
        ("delete.retention.ms", "1000"),
        ("file.delete.delay.ms", "1000"),
    ]);
    assert_eq!(settings(broker, delete), expected(&pairs));
    let described = broker.tool(
        "org.apache.kafka.tools.TopicCommand",
        &["--describe", "--topic", compact],
    );
    assert!(described.contains("PartitionCount: 1"), "{described}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_get_the_settings_of_phoebus_on_the_newest() {
    topics_get_the_settings_of_phoebus(or_not_checked!(Broker::shared())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_get_the_settings_of_phoebus_on_the_oldest() {
    topics_get_the_settings_of_phoebus(or_not_checked!(Broker::old())).await;
}

async fn wrong_settings_are_corrected_and_others_are_kept(broker: &Broker) {
    let create = [
        "--create",
        "--topic",
        "Wrong",
        "--partitions",
        "1",
        "--config",
        "cleanup.policy=delete",
        "--config",
        "max.message.bytes=2000000",
        "--config",
        "segment.ms=77000",
    ];
    broker.tool("org.apache.kafka.tools.TopicCommand", &create);
    let bus = broker.connect().await;
    bus.prepare(&[plan("Wrong", Cleanup::Compact)])
        .await
        .unwrap();
    let mut pairs = COMPACT.to_vec();
    pairs.push(("max.message.bytes", "2000000"));
    assert_eq!(settings(broker, "Wrong"), expected(&pairs));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_settings_are_corrected_on_the_newest() {
    wrong_settings_are_corrected_and_others_are_kept(or_not_checked!(Broker::shared())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_settings_are_corrected_on_the_oldest() {
    wrong_settings_are_corrected_and_others_are_kept(or_not_checked!(Broker::old())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_with_several_partitions_is_refused_everywhere() {
    let broker = or_not_checked!(Broker::shared());
    broker.tool(
        "org.apache.kafka.tools.TopicCommand",
        &["--create", "--topic", "Several", "--partitions", "3"],
    );
    let bus = broker.connect().await;
    let message = format!(
        "using the topic `Several` on Kafka `{}`: it has 3 partitions; the order of an alarm's records holds only in one",
        broker.servers()
    );
    let error = bus
        .prepare(&[plan("Several", Cleanup::Compact)])
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), message);
    assert!(error.hint().unwrap().contains("--delete --topic Several"));
    let topic: Arc<str> = "Several".into();
    let error = bus
        .read(&[(Arc::clone(&topic), From::Now)])
        .await
        .err()
        .unwrap();
    assert_eq!(error.to_string(), message);
    let writer = bus.writer().await.unwrap();
    writer.send(vec![record(&topic, "k", None)]).unwrap();
    assert_eq!(writer.flush().await.unwrap_err().to_string(), message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_none_is_said() {
    let bus = or_not_checked!(Broker::shared()).connect().await;
    let error = bus
        .prepare(&[plan("no spaces", Cleanup::Compact)])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("the topic `no spaces`")
            && error.to_string().contains("no name for a topic"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_java_client_reads_what_was_written() {
    let broker = or_not_checked!(Broker::shared());
    let bus = broker.connect().await;
    let [topic] = prepare(&bus, ["Java"]).await;
    let writer = bus.writer().await.unwrap();
    let records = [
        ("config:/A/ä", Some("{\"description\":\"☃\"}")),
        ("state:/A", Some("")),
        ("config:/A/ä", None),
        ("", Some("x")),
    ];
    writer
        .send(
            records
                .map(|(key, value)| record(&topic, key, value))
                .to_vec(),
        )
        .unwrap();
    writer.flush().await.unwrap();
    let read = broker.read_with_java(&topic, 4);
    let read: Vec<_> = read
        .iter()
        .map(|(offset, key, value)| (*offset, key.as_str(), value.as_str()))
        .collect();
    let expected = [
        (0, "config:/A/ä", "{\"description\":\"☃\"}"),
        (1, "state:/A", ""),
        (2, "config:/A/ä", "NULL"),
        (3, "", "x"),
    ];
    assert_eq!(read, expected);
}

async fn gaps_of_compaction_do_not_hide_the_end(broker: &Broker) {
    let bus = broker.connect().await;
    let [topic] = prepare(&bus, ["Gaps"]).await;
    // what takes half a minute otherwise
    let quick = "segment.ms=100,min.compaction.lag.ms=0,delete.retention.ms=0,min.cleanable.dirty.ratio=0.001";
    let change = [
        "--alter",
        "--entity-type",
        "topics",
        "--entity-name",
        &topic,
        "--add-config",
        quick,
    ];
    broker.tool("kafka.admin.ConfigCommand", &change);
    let writer = bus.writer().await.unwrap();
    let mut number = 0;
    // Segments are closed by the next record; the last records are tombstones and go too.
    let kept = within_a_minute(async {
        loop {
            writer
                .send(numbered(&topic, 4, number..number + 100))
                .unwrap();
            writer
                .send(vec![
                    record(&topic, "key-0", None),
                    record(&topic, "key-1", None),
                ])
                .unwrap();
            writer.flush().await.unwrap();
            number += 100;
            let kept = all(&bus, &topic).await;
            let end = bus.end(&topic).await.unwrap();
            if kept.len() < 300 && end > 600 {
                return kept;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
    assert!(offsets(&kept).is_sorted_by(|one, other| one < other));
    assert!(
        kept[0].offset > 0 && kept.iter().any(|record| record.value.is_none()),
        "{kept:?}"
    );
    // From the middle of a gap one comes to what is after it.
    let mut reader = bus
        .read(&[(Arc::clone(&topic), From::Offset(1))])
        .await
        .unwrap();
    let first = within_a_minute(reader.next()).await.unwrap();
    assert!(
        first[0].offset >= kept[0].offset,
        "{} {}",
        first[0].offset,
        kept[0].offset
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gaps_of_compaction_do_not_hide_the_end_on_the_newest() {
    gaps_of_compaction_do_not_hide_the_end(or_not_checked!(Broker::shared())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gaps_of_compaction_do_not_hide_the_end_on_the_oldest() {
    gaps_of_compaction_do_not_hide_the_end(or_not_checked!(Broker::old())).await;
}

/// Writes values in a transaction of its own, and leaves it open, commits it or drops it.
struct Transaction {
    producer: BaseProducer,
}

const LONG: Duration = Duration::from_secs(20);

impl Transaction {
    fn begin(broker: &Broker, topic: &str, values: &[&str]) -> Transaction {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", broker.servers())
            .set("transactional.id", format!("{topic}-{}", values.concat()))
            .create()
            .unwrap();
        producer.init_transactions(LONG).unwrap();
        producer.begin_transaction().unwrap();
        for value in values {
            producer
                .send(BaseRecord::to(topic).partition(0).key("k").payload(*value))
                .map_err(|(error, _)| error)
                .unwrap();
        }
        producer.flush(LONG).unwrap();
        Transaction { producer }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_read_when_they_are_committed_and_do_not_hide_the_end() {
    let broker = or_not_checked!(Broker::shared());
    let bus = broker.connect().await;
    let [topic, empty] = prepare(&bus, ["Transactions", "Aborted"]).await;
    Transaction::begin(broker, &topic, &["1", "2"])
        .producer
        .commit_transaction(LONG)
        .unwrap();
    // The last offset is the mark of the transaction; the broker writes it some time after it has said yes.
    within_a_minute(async { while bus.end(&topic).await.unwrap() < 3 {} }).await;
    assert_eq!(
        values(&within_a_minute(all(&bus, &topic)).await),
        ["1", "2"]
    );
    Transaction::begin(broker, &topic, &["3"])
        .producer
        .abort_transaction(LONG)
        .unwrap();
    Transaction::begin(broker, &empty, &["4"])
        .producer
        .abort_transaction(LONG)
        .unwrap();
    within_a_minute(async {
        while bus.end(&topic).await.unwrap() < 5 || bus.end(&empty).await.unwrap() < 2 {}
    })
    .await;
    let open = Transaction::begin(broker, &topic, &["5"]);
    assert_eq!(
        values(&within_a_minute(all(&bus, &topic)).await),
        ["1", "2"]
    );
    assert_eq!(within_a_minute(all(&bus, &empty)).await, []);
    let both = [
        (Arc::clone(&topic), From::Beginning),
        (Arc::clone(&empty), From::Beginning),
    ];
    let mut reader = bus.read(&both).await.unwrap();
    let mut read = Vec::new();
    while !reader.has_caught_up() {
        read.extend(within_a_minute(reader.next()).await.unwrap());
    }
    assert_eq!(values(&read), ["1", "2"]);
    assert_eq!(
        bus.end(&topic).await.unwrap(),
        6,
        "what is not committed has its place too"
    );
    open.producer.commit_transaction(LONG).unwrap();
    assert_eq!(
        values(&within_a_minute(reader.next()).await.unwrap()),
        ["5"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_made_again_is_noticed_when_reading_goes_on() {
    let broker = or_not_checked!(Broker::shared());
    let bus = broker.connect().await;
    let [topic] = prepare(&bus, ["Again"]).await;
    let writer = bus.writer().await.unwrap();
    writer.send(numbered(&topic, 1, 0..5)).unwrap();
    writer.flush().await.unwrap();
    broker.tool(
        "org.apache.kafka.tools.TopicCommand",
        &["--delete", "--topic", &topic],
    );
    within_a_minute(async { while bus.end(&topic).await.is_ok() {} }).await;
    bus.prepare(&[plan(&topic, Cleanup::Compact)])
        .await
        .unwrap();
    let answer = bus.read(&[(Arc::clone(&topic), From::Offset(5))]).await;
    assert!(
        matches!(
            answer,
            Err(Error::Beyond {
                offset: 5,
                end: 0,
                ..
            })
        ),
        "{:?}",
        answer.err()
    );
}
