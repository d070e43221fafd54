use std::time::SystemTime;

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;

const LIMIT: u64 = 1 << 20;

fn record(topic: &str, offset: u64) -> Item {
    Item::Record(Incoming {
        topic: topic.into(),
        offset,
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(1000 + offset),
        key: Some(format!("state:/X/pv{offset}")),
        value: Some("{}".to_owned()),
    })
}

fn at(topic: &str, next: u64) -> BTreeMap<Arc<str>, Position> {
    let position = Position {
        next,
        written: time(Some(1000)),
    };
    BTreeMap::from([(topic.into(), position)])
}

fn open(folder: &Path, sinks: &[&str]) -> (Spool, Vec<Notice>) {
    let sinks: Vec<String> = sinks.iter().map(|sink| (*sink).to_owned()).collect();
    Spool::open(folder, LIMIT, "a bus", &topics("X"), &sinks).unwrap()
}

fn offsets(spool: &Spool, sink: &str) -> Vec<u64> {
    let stored = spool.after(sink, 1000, 1 << 20).unwrap();
    stored
        .iter()
        .map(|stored| match &stored.item {
            Item::Record(record) => record.offset,
            Item::Gap { first, .. } => *first,
        })
        .collect()
}

#[test]
fn what_all_have_taken_is_removed_and_the_rest_is_still_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = open(folder.path(), &["a", "b"]);
    assert_eq!(spool.position("X").unwrap(), None);
    let items: Vec<Item> = (0..4).map(|offset| record("X", offset)).collect();
    assert_eq!(spool.append(&items, &at("X", 4)).unwrap(), Appended::Taken);
    let stored = spool.after("a", 2, 1 << 20).unwrap();
    assert_eq!(stored[1].item, items[1]);
    spool.taken("a", stored[1].sequence).unwrap();
    assert_eq!(
        (offsets(&spool, "a"), offsets(&spool, "b").len()),
        (vec![2, 3], 4)
    );
    assert_eq!(spool.fill().records, 4);
    spool.taken("b", stored[0].sequence).unwrap();
    let before = spool.fill();
    assert_eq!(before.records, 3);
    drop(spool);
    let (spool, notices) = open(folder.path(), &["a", "b"]);
    assert_eq!(notices, []);
    assert_eq!(spool.fill(), before);
    assert_eq!(offsets(&spool, "b"), [1, 2, 3]);
    assert_eq!(spool.position("X").unwrap().unwrap().next, 4);
}

#[test]
fn a_gap_is_stored_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = open(folder.path(), &["a"]);
    let gap = Item::Gap {
        topic: "XCommand".into(),
        first: 7,
        found: time(Some(5000)).unwrap(),
        gap: Gap {
            last: 9,
            since: time(Some(1000)),
        },
    };
    spool
        .append(&[gap.clone(), record("XCommand", 10)], &at("XCommand", 11))
        .unwrap();
    let stored = spool.after("a", 10, 1 << 20).unwrap();
    assert_eq!(stored[0].item, gap);
    let Reading::Entry(entry) = stored[0].read() else {
        panic!("an entry");
    };
    assert_eq!(
        serde_json::to_string(&entry).unwrap(),
        r#"{"topic":"XCommand","offset":7,"time":"1970-01-01T00:00:05Z","key":"gap:/X","path":"/X","pv":"X","kind":"gap","last":9,"since":"1970-01-01T00:00:01Z"}"#
    );
}

#[test]
fn a_full_spool_takes_nothing_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) =
        Spool::open(folder.path(), 300, "a bus", &topics("X"), &["a".to_owned()]).unwrap();
    let items: Vec<Item> = (0..5).map(|offset| record("X", offset)).collect();
    assert_eq!(spool.append(&items, &at("X", 5)).unwrap(), Appended::Taken);
    let more = [record("X", 5), record("X", 6)];
    assert_eq!(spool.append(&more, &at("X", 7)).unwrap(), Appended::Full);
    assert_eq!(spool.position("X").unwrap().unwrap().next, 5);
    let stored = spool.after("a", 5, 1 << 20).unwrap();
    spool.taken("a", stored[4].sequence).unwrap();
    assert_eq!(spool.fill(), Fill::default());
    assert_eq!(spool.append(&more, &at("X", 7)).unwrap(), Appended::Taken);
    // one that is larger than the whole spool is taken alone
    let stored = spool.after("a", 5, 1 << 20).unwrap();
    spool.taken("a", stored[1].sequence).unwrap();
    let Item::Record(mut large) = record("X", 7) else {
        panic!("a record");
    };
    large.value = Some("x".repeat(10_000));
    assert_eq!(
        spool.append(&[Item::Record(large)], &at("X", 8)).unwrap(),
        Appended::Taken
    );
}

#[test]
fn two_on_one_file_are_refused_with_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = open(folder.path(), &["a"]);
    let error = Spool::open(folder.path(), LIMIT, "a bus", &topics("X"), &[]).unwrap_err();
    assert_eq!(
        error,
        Error::Held {
            path: folder.path().join(FILE_NAME),
            by: Some(std::process::id()),
        }
    );
    drop(spool);
    open(folder.path(), &["a"]);
}

#[test]
fn another_bus_begins_anew_and_sinks_that_went_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = open(folder.path(), &["a", "b"]);
    spool
        .append(&[record("X", 0), record("X", 1)], &at("X", 2))
        .unwrap();
    let stored = spool.after("a", 10, 1 << 20).unwrap();
    spool.taken("a", stored[1].sequence).unwrap();
    drop(spool);
    let (spool, notices) = Spool::open(
        folder.path(),
        LIMIT,
        "another",
        &topics("Y"),
        &["a".to_owned()],
    )
    .unwrap();
    assert_eq!(
        notices,
        [
            Notice::OtherBus {
                before: "a bus".to_owned()
            },
            Notice::SinkGone {
                sink: "b".to_owned(),
                left: 2
            }
        ]
    );
    assert_eq!(spool.position("X").unwrap(), None);
    assert_eq!(spool.fill(), Fill::default());
}

#[test]
fn records_of_topics_that_are_not_read_any_more_still_go_to_the_sinks() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = open(folder.path(), &["a"]);
    spool
        .append(&[record("XCommand", 0)], &at("XCommand", 1))
        .unwrap();
    drop(spool);
    let sinks = ["a".to_owned()];
    let (spool, _) = Spool::open(folder.path(), LIMIT, "a bus", &topics("Y"), &sinks).unwrap();
    let stored = spool.after("a", 10, 1 << 20).unwrap();
    assert_eq!(stored[0].topic, topics("X")[1]);
}

#[test]
fn foreign_files_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    fs_err::write(&path, "something else that is longer than a header").unwrap();
    let error = Spool::open(folder.path(), LIMIT, "b", &topics("X"), &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`{}` is no SQLite database", path.display())
    );
    fs_err::remove_file(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE x (y)").unwrap();
    let error = Spool::open(folder.path(), LIMIT, "b", &topics("X"), &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` is an SQLite database of another program, not a spool of the alarm logger",
            path.display()
        )
    );
}

/// What is done to a spool.
#[derive(Debug, Clone)]
enum Step {
    Append(u64),
    Take(usize, usize),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1..5_u64).prop_map(Step::Append),
        (0..2_usize, 1..6_usize).prop_map(|(sink, records)| Step::Take(sink, records)),
        Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever happens in between, each sink gets every record once and in order.
    #[test]
    fn every_sink_gets_every_record_once(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let sinks = ["a", "b"];
        let mut spool = Some(open(folder.path(), &sinks).0);
        let mut next = 0;
        let mut got = [Vec::new(), Vec::new()];
        let take = |spool: &Spool, sink: usize, records: usize, got: &mut [Vec<u64>; 2]| {
            let stored = spool.after(sinks[sink], records, 1 << 20).unwrap();
            for stored in &stored {
                if let Item::Record(record) = &stored.item {
                    got[sink].push(record.offset);
                }
            }
            if let Some(last) = stored.last() {
                spool.taken(sinks[sink], last.sequence).unwrap();
            }
            stored.len()
        };
        for step in steps {
            match step {
                Step::Append(records) => {
                    let items: Vec<Item> = (next..next + records).map(|offset| record("X", offset)).collect();
                    next += records;
                    spool.as_ref().unwrap().append(&items, &at("X", next)).unwrap();
                }
                Step::Take(sink, records) => {
                    take(spool.as_ref().unwrap(), sink, records, &mut got);
                }
                Step::Reopen => {
                    drop(spool.take());
                    spool = Some(open(folder.path(), &sinks).0);
                }
            }
        }
        let spool = spool.unwrap();
        for sink in 0..2 {
            while take(&spool, sink, 3, &mut got) > 0 {}
            prop_assert_eq!(&got[sink], &(0..next).collect::<Vec<_>>());
        }
        prop_assert_eq!(spool.fill(), Fill::default());
    }
}
