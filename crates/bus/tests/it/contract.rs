//! What every bus promises, whichever it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use bus::{
    Bus, Cleanup, Error, From, Incoming, KEY_LIMIT, Outgoing, RECORD_LIMIT, Reader, TopicPlan,
};

/// Makes the tests of this module for the bus that an expression gives.
macro_rules! suite {
    ($bus:expr) => {
        $crate::contract::suite!(@each $bus,
            records_come_back_as_they_were_written_in_their_order
            reading_begins_where_it_is_asked_to
            an_offset_beyond_the_end_is_an_error
            catching_up_is_told_also_without_a_record
            a_missing_topic_is_an_error_for_reading_and_for_asking
            a_record_for_a_missing_topic_is_refused_and_the_others_are_written
            what_is_too_large_is_not_taken_and_nothing_of_its_batch_either
            readers_are_independent_and_see_what_is_written_later
            several_writers_each_keep_their_order
            a_dropped_future_loses_nothing
            preparing_again_keeps_what_is_there
            a_dropped_writer_still_writes_what_it_took
            whoever_takes_a_right_shuts_out_the_one_before
        );
    };
    (@each $bus:expr, $($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let bus = $bus;
                $crate::contract::within_a_minute($crate::contract::$name(&bus)).await;
            }
        )*
    };
}
pub(crate) use suite;

pub(crate) async fn within_a_minute<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), test)
        .await
        .expect("nothing happened for a minute")
}

/// Makes compact topics whose names no other test has.
pub(crate) async fn prepare<const COUNT: usize>(
    bus: &dyn Bus,
    names: [&str; COUNT],
) -> [Arc<str>; COUNT] {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let names = names.map(|name| {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Arc::from(format!("{name}-{}-{number}", std::process::id()))
    });
    let plans: Vec<_> = names
        .iter()
        .map(|name| TopicPlan {
            name: Arc::clone(name),
            cleanup: Cleanup::Compact,
        })
        .collect();
    bus.prepare(&plans).await.unwrap();
    names
}

pub(crate) fn record(topic: &Arc<str>, key: &str, value: Option<&str>) -> Outgoing {
    Outgoing {
        topic: Arc::clone(topic),
        key: key.to_owned(),
        value: value.map(str::to_owned),
    }
}

pub(crate) fn numbered(
    topic: &Arc<str>,
    keys: usize,
    numbers: std::ops::Range<usize>,
) -> Vec<Outgoing> {
    numbers
        .map(|number| {
            record(
                topic,
                &format!("key-{}", number % keys),
                Some(&number.to_string()),
            )
        })
        .collect()
}

pub(crate) fn offsets(records: &[Incoming]) -> Vec<u64> {
    records.iter().map(|record| record.offset).collect()
}

pub(crate) fn values(records: &[Incoming]) -> Vec<&str> {
    records
        .iter()
        .map(|record| record.value.as_deref().unwrap_or("-"))
        .collect()
}

/// The values must be the numbers of a range; says where they are not.
#[track_caller]
pub(crate) fn assert_numbers<T: AsRef<str>>(values: &[T], range: std::ops::Range<u64>) {
    let found = values
        .iter()
        .map(|value| value.as_ref().parse::<u64>().unwrap());
    let wrong = found
        .zip(range.clone())
        .position(|(found, expected)| found != expected);
    let around = wrong.map(|place| {
        let begin = place.saturating_sub(3);
        values[begin..values.len().min(place + 4)]
            .iter()
            .map(AsRef::as_ref)
            .collect::<Vec<_>>()
            .join(" ")
    });
    let wanted = usize::try_from(range.end - range.start).unwrap();
    assert!(
        wrong.is_none() && values.len() == wanted,
        "{} of {wanted}; wrong at {wrong:?}: {around:?}",
        values.len()
    );
}

/// Reads until so many records were given.
pub(crate) async fn take(reader: &mut dyn Reader, count: usize) -> Vec<Incoming> {
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(reader.next().await.unwrap());
    }
    records
}

/// Reads all there is.
pub(crate) async fn all(bus: &dyn Bus, topic: &Arc<str>) -> Vec<Incoming> {
    let mut reader = bus
        .read(&[(Arc::clone(topic), From::Beginning)])
        .await
        .unwrap();
    let mut records = Vec::new();
    while !reader.has_caught_up() {
        records.extend(reader.next().await.unwrap());
    }
    records
}

pub(crate) async fn records_come_back_as_they_were_written_in_their_order(bus: &dyn Bus) {
    let [topic] = prepare(bus, ["order"]).await;
    let begin = SystemTime::now() - Duration::from_millis(1);
    let writer = bus.writer().await.unwrap();
    let written = [
        record(&topic, "config:/A/b c", Some(r#"{"description":"äöü ☃"}"#)),
        record(&topic, "state:/A", Some("")),
        record(&topic, "config:/A/b c", None),
        record(&topic, "", Some("no key is not the same as an empty one")),
    ];
    writer.send(written.to_vec()).unwrap();
    writer.flush().await.unwrap();
    let read = all(bus, &topic).await;
    assert_eq!(offsets(&read), [0, 1, 2, 3]);
    for (written, read) in written.iter().zip(&read) {
        assert_eq!(
            (&written.topic, Some(&written.key), &written.value),
            (&read.topic, read.key.as_ref(), &read.value)
        );
        assert!(
            read.time >= begin && read.time <= SystemTime::now(),
            "{:?}",
            read.time
        );
    }
    assert_eq!(bus.end(&topic).await.unwrap(), 4);
    // more than is given at once
    writer.send(numbered(&topic, 7, 0..5000)).unwrap();
    writer.flush().await.unwrap();
    let read = all(bus, &topic).await;
    assert_eq!(offsets(&read), (0..5004).collect::<Vec<_>>());
    assert_eq!(
        values(&read[4..]),
        (0..5000)
            .map(|number| number.to_string())
            .collect::<Vec<_>>()
    );
    let statistics = bus.statistics();
    assert_eq!(
        (
            statistics.written,
            statistics.buffered_records,
            statistics.buffered_bytes
        ),
        (5004, 0, 0)
    );
    assert_eq!(statistics.write_latency.count(), 5004);
    assert_eq!(
        (statistics.read, statistics.refused, statistics.lag),
        (5008, 0, 0)
    );
    assert!(statistics.connected);
}

pub(crate) async fn reading_begins_where_it_is_asked_to(bus: &dyn Bus) {
    let [topic] = prepare(bus, ["from"]).await;
    let writer = bus.writer().await.unwrap();
    writer.send(numbered(&topic, 10, 0..10)).unwrap();
    writer.flush().await.unwrap();
    let mut now = bus.read(&[(Arc::clone(&topic), From::Now)]).await.unwrap();
    let mut offset = bus
        .read(&[(Arc::clone(&topic), From::Offset(7))])
        .await
        .unwrap();
    let mut end = bus
        .read(&[(Arc::clone(&topic), From::Offset(10))])
        .await
        .unwrap();
    assert!(now.has_caught_up() && end.has_caught_up() && !offset.has_caught_up());
    assert_eq!(offsets(&take(&mut *offset, 3).await), [7, 8, 9]);
    assert!(offset.has_caught_up());
    writer.send(numbered(&topic, 10, 10..11)).unwrap();
    for reader in [&mut now, &mut offset, &mut end] {
        assert_eq!(offsets(&take(&mut **reader, 1).await), [10]);
    }
}

pub(crate) async fn an_offset_beyond_the_end_is_an_error(bus: &dyn Bus) {
    let [topic] = prepare(bus, ["beyond"]).await;
    let writer = bus.writer().await.unwrap();
    writer.send(numbered(&topic, 1, 0..2)).unwrap();
    writer.flush().await.unwrap();
    let answer = bus.read(&[(Arc::clone(&topic), From::Offset(3))]).await;
    assert!(
        matches!(
            answer,
            Err(Error::Beyond {
                offset: 3,
                end: 2,
                ..
            })
        ),
        "{:?}",
        answer.err()
    );
}

pub(crate) async fn catching_up_is_told_also_without_a_record(bus: &dyn Bus) {
    let [empty, full] = prepare(bus, ["empty", "full"]).await;
    let reader = bus
        .read(&[(Arc::clone(&empty), From::Beginning)])
        .await
        .unwrap();
    assert!(reader.has_caught_up());
    let writer = bus.writer().await.unwrap();
    writer.send(numbered(&full, 2, 0..2)).unwrap();
    writer.flush().await.unwrap();
    let both = [(empty, From::Beginning), (full, From::Beginning)];
    let mut reader = bus.read(&both).await.unwrap();
    assert!(!reader.has_caught_up());
    let mut read = Vec::new();
    while !reader.has_caught_up() {
        read.extend(reader.next().await.unwrap());
    }
    assert_eq!(values(&read), ["0", "1"]);
}

pub(crate) async fn a_missing_topic_is_an_error_for_reading_and_for_asking(bus: &dyn Bus) {
    let [topic] = prepare(bus, ["there"]).await;
    let missing: Arc<str> = Arc::from(format!("{topic}-not"));
    let answer = bus
        .read(&[(topic, From::Beginning), (Arc::clone(&missing), From::Now)])
        .await;
    assert!(matches!(answer, Err(Error::NoTopic { topic, .. }) if topic == missing));
    assert!(
        matches!(bus.end(&missing).await, Err(Error::NoTopic { topic, .. }) if topic == missing)
    );
}

pub(crate) async fn a_record_for_a_missing_topic_is_refused_and_the_others_are_written(
    bus: &dyn Bus,
) {
    let [topic] = prepare(bus, ["others"]).await;
    let missing: Arc<str> = Arc::from(format!("{topic}-not"));
    let writer = bus.writer().await.unwrap();
    let records = vec![
        record(&topic, "a", None),
        record(&missing, "b", None),
        record(&topic, "c", None),
    ];
    writer.send(records).unwrap();
    let answer = writer.flush().await;
    assert!(
        matches!(&answer, Err(Error::NoTopic { topic, .. }) if *topic == missing),
        "{answer:?}"
    );
    writer.flush().await.unwrap();
    assert_eq!(all(bus, &topic).await.len(), 2);
    assert_eq!(bus.statistics().refused, 1);
}

pub(crate) async fn what_is_too_large_is_not_taken_and_nothing_of_its_batch_either(bus: &dyn Bus) {
    let [topic] = prepare(bus, ["large"]).await;
    let writer = bus.writer().await.unwrap();
    let largest = "v".repeat(RECORD_LIMIT - 1);
    let answer = writer.send(vec![
        record(&topic, "k", None),
        record(&topic, "kk", Some(&largest)),
    ]);
    assert!(matches!(answer, Err(Error::TooLarge { size, .. }) if size == RECORD_LIMIT + 1));
    let answer = writer.send(vec![record(&topic, &"k".repeat(KEY_LIMIT + 1), None)]);
    assert!(matches!(
        answer,
        Err(Error::TooLarge {
            limit: KEY_LIMIT,
            ..
        })
    ));
    writer
        .send(vec![record(&topic, "k", Some(&largest))])
        .unwrap();
    writer
        .send(vec![record(&topic, &"k".repeat(KEY_LIMIT), None)])
        .unwrap();
    writer.flush().await.unwrap();
    let read = all(bus, &topic).await;
    assert_eq!(
        read.iter()
            .map(|read| read.value.as_ref().map_or(0, String::len))
            .collect::<Vec<_>>(),
        [RECORD_LIMIT - 1, 0]
    );
}

pub(crate) async fn readers_are_independent_and_see_what_is_written_later(bus: &dyn Bus) {
    let [one, two] = prepare(bus, ["one", "two"]).await;
    let mut first = bus
        .read(&[
            (Arc::clone(&one), From::Beginning),
            (Arc::clone(&two), From::Beginning),
        ])
        .await
        .unwrap();
    let writer = bus.writer().await.unwrap();
    writer.send(numbered(&one, 3, 0..100)).unwrap();
    writer.send(numbered(&two, 3, 0..100)).unwrap();
    let read = take(&mut *first, 200).await;
    for topic in [&one, &two] {
        let of_topic: Vec<_> = read
            .iter()
            .filter(|record| record.topic == *topic)
            .cloned()
            .collect();
        assert_eq!(offsets(&of_topic), (0..100).collect::<Vec<_>>());
    }
    let mut second = bus
        .read(&[(Arc::clone(&one), From::Beginning)])
        .await
        .unwrap();
    writer.send(numbered(&one, 3, 100..101)).unwrap();
    assert_eq!(take(&mut *second, 101).await.len(), 101);
    assert_eq!(offsets(&take(&mut *first, 1).await), [100]);
}

pub(crate) async fn several_writers_each_keep_their_order(bus: &dyn Bus) {
    let [topic] = prepare(bus, ["writers"]).await;
    let mut writers = Vec::new();
    for name in ["x", "y", "z"] {
        writers.push((name, bus.writer().await.unwrap()));
    }
    for number in 0..300 {
        for (name, writer) in &writers {
            writer
                .send(vec![record(&topic, name, Some(&number.to_string()))])
                .unwrap();
        }
    }
    for (_, writer) in &writers {
        writer.flush().await.unwrap();
    }
    let read = all(bus, &topic).await;
    assert_eq!(offsets(&read), (0..900).collect::<Vec<_>>());
    for (name, _) in &writers {
        let of_writer: Vec<_> = read
            .iter()
            .filter(|record| record.key.as_deref() == Some(name))
            .cloned()
            .collect();
        assert_eq!(
            values(&of_writer),
            (0..300)
                .map(|number| number.to_string())
                .collect::<Vec<_>>()
        );
    }
}

pub(crate) async fn a_dropped_future_loses_nothing(bus: &dyn Bus) {
    let [topic] = prepare(bus, ["dropped"]).await;
    let mut reader = bus
        .read(&[(Arc::clone(&topic), From::Beginning)])
        .await
        .unwrap();
    let writer = bus.writer().await.unwrap();
    let mut read = Vec::new();
    for number in 0..50 {
        writer
            .send(numbered(&topic, 5, number * 20..number * 20 + 20))
            .unwrap();
        // polled a few times while records arrive, and then dropped
        for _ in 0..20 {
            tokio::select! {
                biased;
                records = reader.next() => read.extend(records.unwrap()),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    let rest = take(&mut *reader, 1000 - read.len()).await;
    read.extend(rest);
    assert_eq!(offsets(&read), (0..1000).collect::<Vec<_>>());
}

pub(crate) async fn preparing_again_keeps_what_is_there(bus: &dyn Bus) {
    let [topic] = prepare(bus, ["again"]).await;
    let writer = bus.writer().await.unwrap();
    writer.send(numbered(&topic, 5, 0..5)).unwrap();
    writer.flush().await.unwrap();
    bus.prepare(&[TopicPlan {
        name: Arc::clone(&topic),
        cleanup: Cleanup::Compact,
    }])
    .await
    .unwrap();
    assert_eq!(all(bus, &topic).await.len(), 5);
}

pub(crate) async fn a_dropped_writer_still_writes_what_it_took(bus: &dyn Bus) {
    let [topic] = prepare(bus, ["gone"]).await;
    let mut reader = bus
        .read(&[(Arc::clone(&topic), From::Beginning)])
        .await
        .unwrap();
    let writer = bus.writer().await.unwrap();
    writer.send(numbered(&topic, 5, 0..500)).unwrap();
    drop(writer);
    assert_eq!(
        offsets(&take(&mut *reader, 500).await),
        (0..500).collect::<Vec<_>>()
    );
}

pub(crate) async fn whoever_takes_a_right_shuts_out_the_one_before(bus: &dyn Bus) {
    let [topic, marks] = prepare(bus, ["state", "marks"]).await;
    let fence = bus::Fence {
        name: Arc::clone(&topic),
        topic: marks,
        holder: "first".to_owned(),
    };
    let count = async || bus.holder(&fence).await.unwrap().number;
    let before = count().await;
    let first = bus.take(&fence, Some(before)).await.unwrap();
    first
        .send(vec![
            record(&topic, "a", Some("1")),
            record(&topic, "b", Some("1")),
        ])
        .unwrap();
    first.flush().await.unwrap();
    let held = bus.holder(&fence).await.unwrap();
    let is_counted = held.number != 0;
    if is_counted {
        assert_eq!(held.presence, bus::Presence::Lives);
        // somebody who did not see that it is taken
        let late = bus.take(&fence, Some(before)).await.err();
        assert!(matches!(late, Some(Error::Fenced { .. })), "{late:?}");
    }
    first.send(vec![record(&topic, "a", Some("2"))]).unwrap();
    first.flush().await.unwrap();
    let second = bus.take(&fence, Some(held.number)).await.unwrap();
    // it may notice at once or with the first record
    let error = match first.send(vec![record(&topic, "a", Some("lost"))]) {
        Ok(()) => first.flush().await.err(),
        Err(error) => Some(error),
    };
    assert!(matches!(error, Some(Error::Fenced { .. })), "{error:?}");
    second.send(vec![record(&topic, "a", Some("3"))]).unwrap();
    second.flush().await.unwrap();
    let error = first.flush().await.err();
    assert!(matches!(error, Some(Error::Fenced { .. })), "{error:?}");
    let mut reader = bus
        .read(&[(Arc::clone(&topic), From::Beginning)])
        .await
        .unwrap();
    let mut values = Vec::new();
    while !reader.has_caught_up() {
        let records = reader.next().await.unwrap();
        values.extend(records.into_iter().filter_map(|record| record.value));
    }
    assert_eq!(values, ["1", "1", "2", "3"]);
    drop(second);
    drop(first);
    if is_counted {
        assert_eq!(
            bus.holder(&fence).await.unwrap().presence,
            bus::Presence::Gone
        );
    }
}
