use std::time::Duration;

use pretty_assertions::assert_eq;

use super::*;
use crate::entry::{Event, State};
use crate::query::{Filter, History as _, Order, Pattern, Query};

const DAY: i64 = 86_400_000;

fn entry(offset: u64, time: i64) -> Entry {
    let state = State {
        severity: Some("MAJOR".to_owned()),
        notify: true,
        ..State::default()
    };
    Entry {
        topic: "X".into(),
        offset,
        time: Timestamp::from_millisecond(time).unwrap(),
        key: format!("state:/X/pv{offset}"),
        path: format!("/X/pv{offset}"),
        pv: format!("pv{offset}"),
        event: Event::State(state),
    }
}

async fn write(sink: &mut JsonlSink, entries: &[Entry]) {
    sink.write(entries).await.unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let files = files::all(folder).unwrap();
    files.iter().map(File::name).collect()
}

async fn offsets(folder: &Path, order: Order) -> Vec<u64> {
    let history = JsonlHistory::open(folder).unwrap();
    let mut query = Query {
        order,
        ..Query::newest(3)
    };
    let mut found = Vec::new();
    loop {
        let page = history.search(query.clone()).await.unwrap();
        found.extend(page.entries.iter().map(|entry| entry.offset));
        let Some(next) = page.next else {
            return found;
        };
        query.after = Some(next);
    }
}

#[tokio::test]
async fn files_turn_by_day_and_size_and_finished_ones_are_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = JsonlSink::with_files_of(folder.path(), Retention::default(), 400).unwrap();
    write(&mut sink, &[entry(0, 0), entry(1, DAY - 1), entry(2, DAY)]).await;
    write(&mut sink, &[entry(3, DAY + 1)]).await;
    // late, of the day before: stays in the file of today
    write(&mut sink, &[entry(4, DAY - 5)]).await;
    write(&mut sink, &[entry(5, DAY + 2)]).await;
    assert_eq!(
        names(folder.path()),
        [
            "alarms-000001-1970-01-01.jsonl.gz",
            "alarms-000002-1970-01-02.jsonl.gz",
            "alarms-000003-1970-01-02.jsonl"
        ]
    );
    assert_eq!(
        offsets(folder.path(), Order::OldestFirst).await,
        [0, 4, 1, 2, 3, 5]
    );
    assert_eq!(
        offsets(folder.path(), Order::NewestFirst).await,
        [5, 3, 2, 1, 4, 0]
    );
}

#[tokio::test]
async fn half_a_line_goes_and_a_repeat_is_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = JsonlSink::with_files_of(folder.path(), Retention::default(), 400).unwrap();
    let all: Vec<Entry> = (0..6).map(|offset| entry(offset, 0)).collect();
    write(&mut sink, &all[..2]).await;
    write(&mut sink, &all[2..4]).await;
    write(&mut sink, &all[2..4]).await;
    drop(sink);
    // killed in the middle of a line
    let last = folder.path().join(names(folder.path()).pop().unwrap());
    let mut text = fs_err::read(&last).unwrap();
    text.extend_from_slice(br#"{"topic":"X","offset":4,"ti"#);
    fs_err::write(&last, text).unwrap();
    let mut sink = JsonlSink::with_files_of(folder.path(), Retention::default(), 400).unwrap();
    write(&mut sink, &all[1..]).await;
    drop(sink);
    let mut lines = Vec::new();
    for file in files::all(folder.path()).unwrap() {
        let text = files::read(folder.path(), &file).unwrap();
        let text = String::from_utf8(text).unwrap();
        lines.extend(
            text.lines()
                .map(|line| serde_json::from_str::<Entry>(line).unwrap()),
        );
    }
    assert_eq!(lines, all);
}

#[tokio::test]
async fn a_kill_while_compressing_leaves_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = JsonlSink::with_files_of(folder.path(), Retention::default(), 1).unwrap();
    write(&mut sink, &[entry(0, 0)]).await;
    write(&mut sink, &[entry(1, 0)]).await;
    drop(sink);
    // the compressed file has its name, the plain one is still there
    let plain = folder.path().join("alarms-000001-1970-01-01.jsonl");
    let first = &files::all(folder.path()).unwrap()[0];
    fs_err::write(&plain, files::read(folder.path(), first).unwrap()).unwrap();
    assert_eq!(offsets(folder.path(), Order::OldestFirst).await, [0, 1]);
    // a file that is not the last and was not compressed yet
    let second = folder.path().join("alarms-000002-1970-01-01.jsonl");
    assert!(second.exists());
    fs_err::write(folder.path().join("alarms-000003-1970-01-01.jsonl"), "").unwrap();
    let _sink = JsonlSink::open(folder.path(), Retention::default()).unwrap();
    assert!(!second.exists());
    assert_eq!(offsets(folder.path(), Order::OldestFirst).await, [0, 1]);
}

#[tokio::test]
async fn old_files_go_and_two_writers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Retention {
        age: Some(Duration::from_hours(48)),
        bytes: None,
    };
    let mut sink = JsonlSink::open(folder.path(), retention).unwrap();
    let now = Timestamp::now().as_millisecond();
    write(
        &mut sink,
        &[entry(0, 0), entry(1, now - DAY), entry(2, now)],
    )
    .await;
    sink.tidy().await.unwrap();
    assert_eq!(offsets(folder.path(), Order::OldestFirst).await, [1, 2]);
    let error = JsonlSink::open(folder.path(), retention).unwrap_err();
    assert!(matches!(error, Error::Held { .. }), "{error}");
}

#[tokio::test]
async fn filters_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = JsonlSink::open(folder.path(), Retention::default()).unwrap();
    let all: Vec<Entry> = (0..6)
        .map(|offset| entry(offset, i64::try_from(offset).unwrap()))
        .collect();
    write(&mut sink, &all).await;
    let history = JsonlHistory::open(folder.path()).unwrap();
    let filter = Filter {
        pv: vec![Pattern::new("pv[25]"), Pattern::new("pv3")],
        ..Filter::default()
    };
    let query = Query {
        filter,
        ..Query::newest(10)
    };
    let page = history.search(query).await.unwrap();
    assert_eq!(page.entries, [all[3].clone()]);
    let counts = history.count(Filter::default(), 4).await.unwrap();
    let counts: Vec<u64> = counts.iter().map(|count| count.count).collect();
    assert_eq!(counts, [4, 2]);
}
