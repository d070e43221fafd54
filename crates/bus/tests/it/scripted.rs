//! The bus in memory: the contract, and what a test can tell it.

use std::time::{Duration, UNIX_EPOCH};

use bus::scripted::Scripted;
use bus::{Bus, Error, From};

use crate::contract::{self, offsets, prepare, record};

contract::suite!(Scripted::new());

#[tokio::test]
async fn held_writes_fill_the_buffer_and_are_written_in_their_order_later() {
    let bus = Scripted::new();
    let [topic] = prepare(&bus, ["T"]).await;
    bus.hold_writes(true);
    bus.limit_buffer(Some(3));
    let writer = bus.writer().await.unwrap();
    writer
        .send(vec![
            record(&topic, "a", Some("1")),
            record(&topic, "a", Some("2")),
        ])
        .unwrap();
    assert!(matches!(
        writer.send(vec![record(&topic, "b", None), record(&topic, "c", None)]),
        Err(Error::Full { records: 2 })
    ));
    writer.send(vec![record(&topic, "a", Some("3"))]).unwrap();
    assert_eq!(
        (
            bus.statistics().buffered_records,
            bus.statistics().overflowed
        ),
        (3, 2)
    );
    assert!(!bus.statistics().connected);
    bus.let_through(1);
    assert_eq!(bus.records(&topic).len(), 1);
    bus.hold_writes(false);
    writer.flush().await.unwrap();
    let values: Vec<_> = bus
        .records(&topic)
        .into_iter()
        .filter_map(|record| record.value)
        .collect();
    assert_eq!(values, ["1", "2", "3"]);
    assert_eq!(
        (bus.statistics().reconnects, bus.statistics().written),
        (1, 3)
    );
}

#[tokio::test]
async fn held_reads_wait_and_a_failure_reaches_those_that_wait() {
    let bus = Scripted::new();
    let [topic] = prepare(&bus, ["T"]).await;
    let mut reader = bus.read(&[(topic.clone(), From::Beginning)]).await.unwrap();
    bus.hold_reads(true);
    bus.append(&topic, Some("k"), Some("v"));
    let waiting = tokio::spawn(async move { (reader.next().await, reader) });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    bus.fail(Some(Error::Closed));
    let (answer, mut reader) = waiting.await.unwrap();
    assert!(matches!(answer, Err(Error::Closed)));
    bus.fail(None);
    bus.hold_reads(false);
    assert_eq!(offsets(&reader.next().await.unwrap()), [0]);
}

#[tokio::test]
async fn cleaning_leaves_gaps_and_never_changes_an_offset() {
    let bus = Scripted::new();
    let [topic] = prepare(&bus, ["T"]).await;
    bus.set_time(Some(UNIX_EPOCH + Duration::from_millis(5)));
    for (key, value) in [
        ("a", Some("1")),
        ("b", Some("1")),
        ("a", None),
        ("c", Some("1")),
    ] {
        bus.append(&topic, Some(key), value);
    }
    bus.clean(&topic);
    assert_eq!(offsets(&bus.records(&topic)), [1, 2, 3]);
    assert_eq!(bus.append(&topic, None, None), 4);
    assert_eq!(
        bus.records(&topic)[3].time,
        UNIX_EPOCH + Duration::from_millis(5)
    );
    let mut reader = bus.read(&[(topic, From::Offset(0))]).await.unwrap();
    assert_eq!(offsets(&reader.next().await.unwrap()), [1, 2, 3, 4]);
}

#[tokio::test]
async fn records_that_are_cleaned_away_before_they_were_given_count_as_given() {
    let bus = Scripted::new();
    bus.prepare(&[bus::TopicPlan {
        name: "D".into(),
        cleanup: bus::Cleanup::Delete,
    }])
    .await
    .unwrap();
    bus.append("D", Some("k"), Some("v"));
    let mut reader = bus.read(&[("D".into(), From::Beginning)]).await.unwrap();
    assert!(!reader.has_caught_up());
    bus.clean("D");
    assert_eq!(reader.next().await.unwrap(), []);
    assert!(reader.has_caught_up());
}

#[tokio::test]
async fn a_refused_record_is_told_by_flush_once() {
    let bus = Scripted::new();
    let [topic] = prepare(&bus, ["T"]).await;
    bus.refuse(&topic, true);
    let writer = bus.writer().await.unwrap();
    writer.send(vec![record(&topic, "k", None)]).unwrap();
    assert!(matches!(writer.flush().await, Err(Error::Failed { .. })));
    writer.flush().await.unwrap();
    assert_eq!(bus.statistics().refused, 1);
}
