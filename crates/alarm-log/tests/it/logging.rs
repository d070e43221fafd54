//! A logger in this process, and what tests ask of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alarm_log::query::{Filter, History, Order, Query};
use alarm_log::sink::Sink;
use alarm_log::sink::jsonl::{JsonlHistory, JsonlSink};
use alarm_log::sink::sqlite::{Retention, SqliteHistory, SqliteSink};
use alarm_log::{Entry, Logger, Settings};
use bus::{Bus, Outgoing};

/// Records that are sent in one piece.
const PART: u64 = 500;

pub(crate) fn settings(folder: &Path, configuration: &str) -> Settings {
    Settings {
        configurations: vec![configuration.to_owned()],
        spool: folder.join("spool"),
        spool_limit: 1 << 30,
        bus: "the bus of a test".to_owned(),
        drain: Duration::from_secs(20),
    }
}

pub(crate) fn sqlite(folder: &Path) -> SqliteSink {
    SqliteSink::open(&folder.join("history.db"), Retention::default()).unwrap()
}

pub(crate) fn jsonl(folder: &Path) -> JsonlSink {
    JsonlSink::open(&folder.join("lines"), Retention::default()).unwrap()
}

pub(crate) fn logger(
    folder: &Path,
    configuration: &str,
    bus: Arc<dyn Bus>,
    sinks: Vec<Box<dyn Sink>>,
) -> Logger {
    Logger::open(&settings(folder, configuration), bus, sinks).unwrap()
}

/// The state of a PV; its value is its number.
pub(crate) fn state(topic: &str, number: u64) -> Outgoing {
    let severity = if number.is_multiple_of(2) {
        "MAJOR"
    } else {
        "OK"
    };
    Outgoing {
        topic: topic.into(),
        key: format!("state:/{topic}/area/pv{}", number % 1000),
        value: Some(format!(
            r#"{{"severity":"{severity}","latch":true,"message":"HIHI_ALARM","value":"{number}","time":{{"seconds":1795324137,"nano":736698566}},"current_severity":"MAJOR","current_message":"HIHI_ALARM"}}"#
        )),
    }
}

/// Writes numbered states, and waits until the bus has them.
pub(crate) async fn write(bus: &dyn Bus, topic: &str, numbers: std::ops::Range<u64>) {
    let writer = bus.writer().await.unwrap();
    let mut first = numbers.start;
    while first < numbers.end {
        let last = numbers.end.min(first + PART);
        writer
            .send((first..last).map(|number| state(topic, number)).collect())
            .unwrap();
        writer.flush().await.unwrap();
        first = last;
    }
}

/// How many entries the history has.
pub(crate) async fn count(folder: &Path) -> u64 {
    let path = folder.join("history.db");
    let Ok(history) = SqliteHistory::open(&path) else {
        return 0;
    };
    let counts = history.count(Filter::default(), i64::MAX).await.unwrap();
    counts.iter().map(|count| count.count).sum()
}

/// Everything that a history finds, in one page.
pub(crate) async fn everything(history: &dyn History, filter: Filter) -> Vec<Entry> {
    let query = Query {
        filter,
        order: Order::OldestFirst,
        ..Query::newest(10_000_000)
    };
    history.search(query).await.unwrap().entries
}

/// The values of states by their offsets: the numbers with which they were written.
pub(crate) fn values(entries: &[Entry]) -> Vec<u64> {
    let mut ordered: Vec<(u64, u64)> = entries
        .iter()
        .map(|entry| {
            let state = entry.event.state().unwrap_or_else(|| panic!("{entry:?}"));
            (entry.offset, state.value.as_ref().unwrap().parse().unwrap())
        })
        .collect();
    ordered.sort_unstable();
    ordered.into_iter().map(|(_offset, value)| value).collect()
}

/// What the SQLite history has, by offset.
pub(crate) async fn in_sqlite(folder: &Path) -> Vec<u64> {
    let history = SqliteHistory::open(&folder.join("history.db")).unwrap();
    values(&everything(&history, Filter::default()).await)
}

/// What the files have, by offset.
pub(crate) async fn in_jsonl(folder: &Path) -> Vec<u64> {
    let history = JsonlHistory::open(&folder.join("lines")).unwrap();
    values(&everything(&history, Filter::default()).await)
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_mins(4), async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited for {what}");
}
