//! Compaction and retention.

use std::time::Duration;

use bus::{Bus, Cleanup, TopicPlan};
use pretty_assertions::assert_eq;

use super::{Options, Temporary};
use crate::contract::{all, numbered, offsets, prepare, record, values, within_a_minute};

/// Nothing has to become old before it is forgotten.
fn at_once() -> Options {
    Options {
        compaction_lag: Duration::ZERO,
        tombstone_retention: Duration::ZERO,
        cleaning_interval: Duration::from_millis(5),
        ..Options::default()
    }
}

#[tokio::test]
async fn of_each_key_the_newest_stays_under_its_offset() {
    let bus = Temporary::with(Options {
        compaction_lag: Duration::ZERO,
        ..Options::default()
    });
    let [topic] = prepare(&bus, ["T"]).await;
    let writer = bus.writer().await.unwrap();
    let records = [
        ("a", Some("1")),
        ("b", Some("1")),
        ("a", Some("2")),
        ("b", None),
        ("c", Some("1")),
        ("a", Some("3")),
    ];
    writer
        .send(
            records
                .map(|(key, value)| record(&topic, key, value))
                .to_vec(),
        )
        .unwrap();
    writer.flush().await.unwrap();
    bus.bus.clean().await.unwrap();
    let read = all(&bus, &topic).await;
    assert_eq!(offsets(&read), [3, 4, 5]);
    assert_eq!(
        values(&read),
        ["-", "1", "3"],
        "a tombstone stays for a day"
    );
    writer.send(vec![record(&topic, "b", Some("2"))]).unwrap();
    writer.flush().await.unwrap();
    bus.bus.clean().await.unwrap();
    assert_eq!(offsets(&all(&bus, &topic).await), [4, 5, 6]);
}

#[tokio::test]
async fn what_is_young_is_not_compacted() {
    let bus = Temporary::new();
    let [topic] = prepare(&bus, ["T"]).await;
    let writer = bus.writer().await.unwrap();
    writer.send(numbered(&topic, 1, 0..10)).unwrap();
    writer.flush().await.unwrap();
    bus.bus.clean().await.unwrap();
    assert_eq!(all(&bus, &topic).await.len(), 10);
}

#[tokio::test]
async fn old_tombstones_go_and_offsets_are_not_given_again() {
    let bus = Temporary::with(at_once());
    let [topic] = prepare(&bus, ["T"]).await;
    let writer = bus.writer().await.unwrap();
    writer
        .send(vec![
            record(&topic, "a", Some("1")),
            record(&topic, "a", None),
        ])
        .unwrap();
    writer.flush().await.unwrap();
    within_a_minute(async {
        while !all(&bus, &topic).await.is_empty() {
            bus.bus.clean().await.unwrap();
        }
    })
    .await;
    assert_eq!(bus.end(&topic).await.unwrap(), 2);
    writer.send(vec![record(&topic, "a", Some("2"))]).unwrap();
    writer.flush().await.unwrap();
    assert_eq!(offsets(&all(&bus, &topic).await), [2]);
}

#[tokio::test]
async fn a_topic_that_grew_is_compacted_without_being_asked() {
    let bus = Temporary::with(at_once());
    let [topic] = prepare(&bus, ["T"]).await;
    let writer = bus.writer().await.unwrap();
    writer.send(numbered(&topic, 5, 0..6000)).unwrap();
    writer.flush().await.unwrap();
    within_a_minute(async { while all(&bus, &topic).await.len() > 5 {} }).await;
    assert_eq!(
        offsets(&all(&bus, &topic).await),
        (5995..6000).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_topic_that_deletes_forgets_after_its_time_and_not_before() {
    let retention = Duration::from_millis(300);
    let bus = Temporary::with(Options {
        retention,
        ..at_once()
    });
    bus.prepare(&[TopicPlan {
        name: "D".into(),
        cleanup: Cleanup::Delete,
    }])
    .await
    .unwrap();
    let topic = "D".into();
    let writer = bus.writer().await.unwrap();
    let begin = std::time::Instant::now();
    writer.send(numbered(&topic, 1, 0..100)).unwrap();
    writer.flush().await.unwrap();
    within_a_minute(async { while !all(&bus, &topic).await.is_empty() {} }).await;
    assert!(begin.elapsed() >= retention, "{:?}", begin.elapsed());
    assert_eq!(bus.end(&topic).await.unwrap(), 100);
    writer.send(numbered(&topic, 1, 0..1)).unwrap();
    writer.flush().await.unwrap();
    let reader = bus.read(&[(topic, bus::From::Offset(7))]).await.unwrap();
    assert!(!reader.has_caught_up());
}

#[tokio::test]
async fn how_a_topic_forgets_can_be_changed() {
    let bus = Temporary::with(Options {
        retention: Duration::from_hours(1),
        ..at_once()
    });
    let plan = |cleanup| {
        [TopicPlan {
            name: "T".into(),
            cleanup,
        }]
    };
    let topic = "T".into();
    bus.prepare(&plan(Cleanup::Delete)).await.unwrap();
    let writer = bus.writer().await.unwrap();
    writer.send(numbered(&topic, 2, 0..10)).unwrap();
    writer.flush().await.unwrap();
    bus.bus.clean().await.unwrap();
    assert_eq!(all(&bus, &topic).await.len(), 10);
    bus.prepare(&plan(Cleanup::Compact)).await.unwrap();
    bus.bus.clean().await.unwrap();
    assert_eq!(offsets(&all(&bus, &topic).await), [8, 9]);
}
