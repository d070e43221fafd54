//! On Kafka, where the test bed runs (`bed kafka`).

use std::sync::Arc;

use bus::kafka::properties::Properties;
use bus::kafka::{Kafka, Options};
use bus::{Bus as _, Cleanup, TopicPlan};
use pretty_assertions::assert_eq;
use tokio_util::sync::CancellationToken;

use crate::logging::{count, in_sqlite, logger, sqlite, until, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_on_kafka_is_there_once_after_a_restart_too() {
    let Ok(brokers) = std::env::var("KAFKA_SERVERS") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "KAFKA_SERVERS is not set, and CI is"
        );
        eprintln!("NOT CHECKED: the logger on a real Kafka, whose KAFKA_SERVERS is not set");
        return;
    };
    let properties = Properties::default();
    let connected = Kafka::connect(&brokers, &properties, Options::default());
    let bus = Arc::new(connected.await.unwrap());
    let name = format!("Logger{}", std::process::id());
    let plan = TopicPlan {
        name: name.as_str().into(),
        cleanup: Cleanup::Compact,
    };
    bus.prepare(&[plan]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (part, end) in [(0..3000, 3000), (3000..5000, 5000)] {
        let stop = CancellationToken::new();
        let run = logger(folder, &name, bus.clone(), vec![Box::new(sqlite(folder))]);
        let running = tokio::spawn(run.run(stop.clone()));
        write(&*bus, &name, part).await;
        until("all records", async || count(folder).await >= end).await;
        stop.cancel();
        assert_eq!(running.await.unwrap(), 0, "records left in the spool");
    }
    assert_eq!(in_sqlite(folder).await, (0..5000).collect::<Vec<u64>>());
}
