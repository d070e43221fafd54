//! Over the scripted bus.

use std::path::Path;

use bus::scripted::Scripted;
use bus::{Cleanup, Outgoing, TopicPlan};
use pretty_assertions::assert_eq;

use super::*;
use crate::entry::{Entry, Event};
use crate::spool::topics;

struct Bed {
    bus: Scripted,
    folder: tempfile::TempDir,
}

/// An intake that runs.
struct Running {
    spool: Arc<Spool>,
    status: Arc<Status>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Bed {
    fn new() -> Self {
        Self {
            bus: Scripted::new(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn make(&self, topics: &[&str]) {
        let plans: Vec<TopicPlan> = topics
            .iter()
            .map(|name| TopicPlan {
                name: (*name).into(),
                cleanup: Cleanup::Delete,
            })
            .collect();
        self.bus.prepare(&plans).await.unwrap();
    }

    async fn send(&self, topic: &str, keys: &[&str]) {
        let writer = self.bus.writer().await.unwrap();
        let records = keys.iter().map(|key| Outgoing {
            topic: topic.into(),
            key: (*key).to_owned(),
            value: Some(
                r#"{"command":"c","severity":"OK","current_severity":"OK","talk":"t"}"#.to_owned(),
            ),
        });
        writer.send(records.collect()).unwrap();
        writer.flush().await.unwrap();
    }

    fn run(&self, limit: u64) -> Running {
        let folder: &Path = self.folder.path();
        let (spool, _) =
            Spool::open(folder, limit, "scripted", &topics("X"), &["a".to_owned()]).unwrap();
        let spool = Arc::new(spool);
        let status = Arc::new(Status::default());
        let intake = Intake::new(
            Arc::new(self.bus.clone()),
            Arc::clone(&spool),
            topics("X").to_vec(),
            Arc::new(DeadLetters::open(folder).unwrap()),
            Arc::clone(&status),
        );
        let stop = CancellationToken::new();
        let task = tokio::spawn(intake.run(stop.clone()));
        Running {
            spool,
            status,
            stop,
            task,
        }
    }
}

impl Running {
    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(waited.await.is_ok(), "{what}: {:?}", self.status.report());
    }

    /// Where a topic is read on, as the status says it, which is told last.
    fn next(&self, topic: &str) -> Option<u64> {
        let report = self.status.report();
        report.topics.get(topic).and_then(|topic| topic.next)
    }

    fn entries(&self) -> Vec<Entry> {
        let stored = self.spool.after("a", 1000, 1 << 20).unwrap();
        let read = stored.iter().map(|stored| match stored.read() {
            Reading::Entry(entry) => *entry,
            other => panic!("{other:?}"),
        });
        read.collect()
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

const LARGE: u64 = 1 << 20;

#[tokio::test]
async fn topics_that_are_missing_are_waited_for() {
    let bed = Bed::new();
    let running = bed.run(LARGE);
    bed.make(&["X"]).await;
    bed.send("X", &["state:/X/a"]).await;
    running
        .until("X", |running| running.next("X") == Some(1))
        .await;
    bed.make(&["XCommand", "XTalk"]).await;
    bed.send("XTalk", &["talk:/X"]).await;
    bed.send("XCommand", &["command:/X"]).await;
    running
        .until("all", |running| {
            running.next("XTalk") == Some(1) && running.next("XCommand") == Some(1)
        })
        .await;
    let report = running.status.report();
    assert!(
        report
            .topics
            .values()
            .all(|topic| topic.exists && topic.missed == 0),
        "{report:?}"
    );
    running.end().await;
}

#[tokio::test]
async fn what_was_gone_before_it_was_read_is_a_gap() {
    let bed = Bed::new();
    bed.make(&["X", "XCommand", "XTalk"]).await;
    bed.send("X", &["state:/X/a"; 3]).await;
    bed.send("XCommand", &["command:/X"; 2]).await;
    let running = bed.run(LARGE);
    running
        .until("first", |running| {
            running.next("X") == Some(3) && running.next("XCommand") == Some(2)
        })
        .await;
    assert_eq!(running.entries().len(), 5);
    running.end().await;
    bed.send("X", &["state:/X/a"; 2]).await;
    bed.bus.clean("X");
    bed.send("X", &["state:/X/a"; 2]).await;
    bed.send("XCommand", &["command:/X"; 5]).await;
    // nothing is left of these
    bed.bus.clean("XCommand");
    let running = bed.run(LARGE);
    running
        .until("second", |running| {
            running.next("X") == Some(7) && running.next("XCommand") == Some(7)
        })
        .await;
    let gaps: Vec<(String, u64, u64)> = running
        .entries()
        .into_iter()
        .filter_map(|entry| match entry.event {
            Event::Gap(gap) => {
                assert!(gap.since.is_some());
                Some((entry.topic.to_string(), entry.offset, gap.last))
            }
            _ => None,
        })
        .collect();
    let mut sorted = gaps.clone();
    sorted.sort();
    assert_eq!(
        sorted,
        [("X".to_owned(), 3, 4), ("XCommand".to_owned(), 2, 6)]
    );
    let report = running.status.report();
    assert_eq!(
        (report.topics["X"].missed, report.topics["XCommand"].missed),
        (2, 5)
    );
    running.end().await;
    // it is told once
    let running = bed.run(LARGE);
    bed.send("X", &["state:/X/a"]).await;
    running
        .until("third", |running| running.next("X") == Some(8))
        .await;
    let count = running
        .entries()
        .iter()
        .filter(|entry| matches!(entry.event, Event::Gap(_)))
        .count();
    assert_eq!(count, 2);
    running.end().await;
}

#[tokio::test]
async fn a_topic_that_was_made_again_is_read_from_its_beginning() {
    let bed = Bed::new();
    bed.make(&["X"]).await;
    bed.send("X", &["state:/X/a"; 3]).await;
    let running = bed.run(LARGE);
    running
        .until("first", |running| running.next("X") == Some(3))
        .await;
    running.end().await;
    let bed = Bed {
        bus: Scripted::new(),
        ..bed
    };
    bed.make(&["X"]).await;
    bed.send("X", &["state:/X/b"]).await;
    let running = bed.run(LARGE);
    running
        .until("second", |running| running.next("X") == Some(1))
        .await;
    let paths: Vec<String> = running
        .entries()
        .into_iter()
        .map(|entry| entry.path)
        .collect();
    assert_eq!(paths, ["/X/a", "/X/a", "/X/a", "/X/b"]);
    running.end().await;
}

#[tokio::test]
async fn a_full_spool_stops_the_reading_until_there_is_room() {
    let bed = Bed::new();
    bed.make(&["X"]).await;
    let running = bed.run(300);
    bed.send("X", &["state:/X/a"; 2]).await;
    running
        .until("first", |running| running.next("X") == Some(2))
        .await;
    bed.send("X", &["state:/X/b"; 2]).await;
    running
        .until("full", |running| {
            running.status.report().spool.full_since.is_some()
        })
        .await;
    assert_eq!(running.next("X"), Some(2));
    let last = running.spool.after("a", 10, 1000).unwrap()[1].sequence;
    running.spool.taken("a", last).unwrap();
    running
        .until("room", |running| running.next("X") == Some(4))
        .await;
    let report = running.status.report().spool;
    assert_eq!((report.full, report.full_since), (1, None));
    running.end().await;
}

#[tokio::test]
async fn a_bus_that_fails_is_tried_again_and_told_once() {
    let bed = Bed::new();
    bed.make(&["X"]).await;
    let running = bed.run(LARGE);
    bed.send("X", &["state:/X/a"]).await;
    running
        .until("first", |running| running.next("X") == Some(1))
        .await;
    bed.bus.fail(Some(bus::Error::Closed));
    running
        .until("trouble", |running| {
            running.status.report().bus_trouble.is_some()
        })
        .await;
    bed.bus.fail(None);
    bed.send("X", &["state:/X/b"]).await;
    running
        .until("second", |running| {
            running.next("X") == Some(2) && running.status.report().bus_trouble.is_none()
        })
        .await;
    running.end().await;
}

#[tokio::test]
async fn what_cannot_be_read_goes_to_the_dead_letters_and_groups_go_nowhere() {
    let bed = Bed::new();
    bed.make(&["X"]).await;
    bed.send("X", &["nothing", "x:/X/a", "state:/X/a"]).await;
    let writer = bed.bus.writer().await.unwrap();
    let group = Outgoing {
        topic: "X".into(),
        key: "state:/X".to_owned(),
        value: Some(r#"{"severity":"OK"}"#.to_owned()),
    };
    writer.send(vec![group]).unwrap();
    writer.flush().await.unwrap();
    let running = bed.run(LARGE);
    running
        .until("read", |running| running.status.report().unreadable == 2)
        .await;
    assert_eq!(running.entries().len(), 1);
    assert_eq!(running.next("X"), Some(4));
    running.end().await;
    let text =
        fs_err::read_to_string(bed.folder.path().join(crate::dead_letter::FILE_NAME)).unwrap();
    let reasons: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Letter>(line).unwrap().reason)
        .collect();
    assert_eq!(reasons, ["the key has no `:`", "`x` is no kind of record"]);
}

#[tokio::test]
async fn topics_that_are_missing_are_found_while_records_come() {
    let bed = Bed::new();
    bed.make(&["X"]).await;
    let running = bed.run(LARGE);
    let bus = bed.bus.clone();
    let busy = tokio::spawn(async move {
        loop {
            bus.append("X", Some("state:/X/a"), None);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    running
        .until("busy", |running| running.next("X").is_some())
        .await;
    bed.make(&["XCommand"]).await;
    bed.send("XCommand", &["command:/X"]).await;
    running
        .until("found", |running| running.next("XCommand") == Some(1))
        .await;
    busy.abort();
    running.end().await;
}
