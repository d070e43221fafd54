//! Faults that a real broker does not make on demand: the library's broker in memory.

use std::sync::Arc;
use std::time::Duration;

use bus::kafka::properties::Properties;
use bus::kafka::{Kafka, Options};
use bus::{Bus, Error};
use pretty_assertions::assert_eq;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::contract::{all, assert_numbers, numbered, record, values, within_a_minute};

type Cluster = MockCluster<'static, DefaultProducerContext>;

async fn cluster(options: Options) -> (Cluster, Kafka, Arc<str>) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("T", 1, 1).unwrap();
    let bus = Kafka::connect(
        &cluster.bootstrap_servers(),
        &Properties::default(),
        options,
    )
    .await
    .unwrap();
    (cluster, bus, "T".into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_buffer_is_bounded_and_keeps_its_order_through_an_outage() {
    let (cluster, bus, topic) = cluster(Options {
        buffer_records: 3000,
        ..Options::default()
    })
    .await;
    let writer = bus.writer().await.unwrap();
    writer.send(numbered(&topic, 5, 0..500)).unwrap();
    writer.flush().await.unwrap();
    cluster.broker_down(1).unwrap();
    writer.send(numbered(&topic, 5, 500..3400)).unwrap();
    assert!(matches!(
        writer.send(numbered(&topic, 5, 0..101)),
        Err(Error::Full { records: 2900 })
    ));
    writer.send(numbered(&topic, 5, 3400..3500)).unwrap();
    within_a_minute(async {
        while bus.statistics().connected {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let away = bus.statistics();
    assert_eq!(
        (away.buffered_records, away.overflowed, away.buffer_limit),
        (3000, 101, 3000)
    );
    cluster.broker_up(1).unwrap();
    within_a_minute(writer.flush()).await.unwrap();
    assert_numbers(&values(&all(&bus, &topic).await), 0..3500);
    assert!(bus.statistics().connected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_that_pass_neither_lose_nor_double_nor_reorder() {
    let (cluster, bus, topic) = cluster(Options::default()).await;
    let writer = bus.writer().await.unwrap();
    let errors = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    ];
    for round in 0..6 {
        cluster.request_errors(RDKafkaApiKey::Produce, &errors);
        writer
            .send(numbered(&topic, 3, round * 100..round * 100 + 100))
            .unwrap();
        if round % 3 == 0 {
            within_a_minute(writer.flush()).await.unwrap();
        }
    }
    within_a_minute(writer.flush()).await.unwrap();
    assert_numbers(&values(&all(&bus, &topic).await), 0..600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_for_good_is_dropped_and_the_rest_written() {
    let (cluster, bus, topic) = cluster(Options::default()).await;
    let writer = bus.writer().await.unwrap();
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE],
    );
    writer.send(vec![record(&topic, "a", Some("0"))]).unwrap();
    let error = within_a_minute(writer.flush()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`max.message.bytes` of the topic"),
        "{error}"
    );
    writer.send(numbered(&topic, 1, 1..10)).unwrap();
    within_a_minute(writer.flush()).await.unwrap();
    assert_numbers(&values(&all(&bus, &topic).await), 1..10);
    assert_eq!(bus.statistics().refused, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_may_not_be_idempotent_is_told_what_it_needs() {
    let (cluster, bus, topic) = cluster(Options::default()).await;
    cluster.request_errors(
        RDKafkaApiKey::InitProducerId,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED],
    );
    let writer = bus.writer().await.unwrap();
    writer.send(numbered(&topic, 3, 0..10)).unwrap();
    let error = within_a_minute(writer.flush()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the broker forbids idempotent writing"),
        "{error}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains("--operation idempotent-write --cluster")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_a_starting_broker_does_not_know_yet_is_waited_for() {
    let (cluster, bus, topic) = cluster(Options::default()).await;
    let writer = bus.writer().await.unwrap();
    writer.send(numbered(&topic, 3, 0..10)).unwrap();
    within_a_minute(writer.flush()).await.unwrap();
    cluster
        .topic_error(
            &topic,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        )
        .unwrap();
    writer.send(numbered(&topic, 3, 10..300)).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster
        .topic_error(&topic, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR)
        .unwrap();
    within_a_minute(writer.flush()).await.unwrap();
    assert_numbers(&values(&all(&bus, &topic).await), 0..300);
    assert_eq!(bus.statistics().refused, 0);
}
