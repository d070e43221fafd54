use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;
use crate::entry::{Command, Config, Deletion, Gap, Kind, State, Talk};
use crate::query::{Count, Filter, History, Order, Page, Pattern, Query, counted_as};

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

fn entry(offset: u64, time: i64, path: &str, event: Event) -> Entry {
    let pv = path.rsplit('/').next().unwrap().to_owned();
    Entry {
        topic: "X".into(),
        offset,
        time: at(time),
        key: format!("{}:{path}", event.kind().name()),
        path: path.to_owned(),
        pv,
        event,
    }
}

fn state(severity: &str) -> Event {
    Event::State(State {
        severity: Some(severity.to_owned()),
        latch: true,
        message: Some("HIHI_ALARM".to_owned()),
        value: Some("95.0".to_owned()),
        event_time: Some("2026-11-22T05:08:57.736698566Z".parse().unwrap()),
        current_severity: Some("OK".to_owned()),
        current_message: None,
        mode: Some("maintenance".to_owned()),
        notify: false,
    })
}

fn one_of_each() -> Vec<Entry> {
    let user = || Some("tester".to_owned());
    let mut odd = entry(6, 6, "/X/a/b", state("MAJOR"));
    odd.key = "state:/X//a/b".to_owned();
    vec![
        entry(0, 0, "/X/a/b", state("MAJOR")),
        entry(
            1,
            1,
            "/X/a",
            Event::Command(Command {
                user: user(),
                host: None,
                command: "acknowledge".to_owned(),
            }),
        ),
        entry(
            2,
            2,
            r"/X/sim:\/\/sine",
            Event::Config(Config {
                user: user(),
                host: Some("h".to_owned()),
                enabled: "2031-12-03T10:15:30".to_owned(),
                latching: false,
                text: "{}".to_owned(),
            }),
        ),
        entry(
            3,
            3,
            "/X/a",
            Event::Deletion(Deletion {
                user: None,
                host: None,
                tombstone: true,
            }),
        ),
        entry(
            4,
            4,
            "/X",
            Event::Talk(Talk {
                severity: None,
                standout: true,
                talk: "words".to_owned(),
            }),
        ),
        entry(
            5,
            5,
            "/X",
            Event::Gap(Gap {
                last: 9,
                since: Some(at(4)),
            }),
        ),
        odd,
    ]
}

struct Bed {
    folder: tempfile::TempDir,
    sink: SqliteSink,
}

impl Bed {
    fn new(retention: Retention) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sink = SqliteSink::open(&folder.path().join("a.db"), retention).unwrap();
        Self { folder, sink }
    }

    fn history(&self) -> SqliteHistory {
        SqliteHistory::open(&self.folder.path().join("a.db")).unwrap()
    }

    async fn write(&mut self, entries: &[Entry]) {
        let outcomes = self.sink.write(entries).await.unwrap();
        assert_eq!(outcomes, vec![Outcome::Taken; entries.len()]);
    }

    async fn all(&self) -> Vec<Entry> {
        let query = Query {
            order: Order::OldestFirst,
            ..Query::newest(1000)
        };
        self.history().search(query).await.unwrap().entries
    }
}

#[tokio::test]
async fn everything_reads_back_and_a_repeat_changes_nothing() {
    let mut bed = Bed::new(Retention::default());
    let mut entries = one_of_each();
    entries[2].key = "config:/X/sim://sine".to_owned();
    bed.write(&entries).await;
    assert_eq!(bed.all().await, entries);
    bed.write(&entries[2..]).await;
    assert_eq!(bed.all().await, entries);
    // a topic that was made again has the same offsets at other times
    let again = entry(0, 100, "/X/a/b", state("MINOR"));
    bed.write(std::slice::from_ref(&again)).await;
    assert_eq!(bed.all().await.len(), entries.len() + 1);
}

#[tokio::test]
async fn the_oldest_go_by_age_and_by_size() {
    let mut bed = Bed::new(Retention {
        age: Some(Duration::from_hours(1)),
        bytes: None,
    });
    let now = Timestamp::now().as_millisecond();
    bed.write(&[
        entry(0, now - 3_700_000, "/X/a", state("MAJOR")),
        entry(1, now - 3_500_000, "/X/a", state("OK")),
    ])
    .await;
    bed.sink.tidy().await.unwrap();
    let left: Vec<u64> = bed.all().await.iter().map(|entry| entry.offset).collect();
    assert_eq!(left, [1]);

    let mut bed = Bed::new(Retention {
        age: None,
        bytes: Some(2 << 20),
    });
    let entries: Vec<Entry> = (0..20_000)
        .map(|offset| {
            entry(
                offset,
                i64::try_from(offset).unwrap(),
                "/X/a",
                state("MAJOR"),
            )
        })
        .collect();
    bed.write(&entries).await;
    bed.sink.tidy().await.unwrap();
    let query = Query {
        order: Order::OldestFirst,
        ..Query::newest(1)
    };
    let first = bed.history().search(query).await.unwrap().entries;
    assert!(first[0].offset >= 10_000, "{first:?}");
}

#[tokio::test]
async fn a_backup_has_what_the_history_has() {
    let mut bed = Bed::new(Retention::default());
    bed.write(&one_of_each()).await;
    let copy = bed.folder.path().join("copy.db");
    bed.history().back_up(&copy).await.unwrap();
    let found = SqliteHistory::open(&copy).unwrap();
    let page = found.search(Query::newest(100)).await.unwrap();
    assert_eq!(page.entries.len(), one_of_each().len());
    let error = bed.history().back_up(&copy).await.unwrap_err();
    assert!(error.reason.starts_with("writing `"), "{error}");
}

#[tokio::test]
async fn what_arrives_later_is_given_in_its_order() {
    let mut bed = Bed::new(Retention::default());
    let history = bed.history();
    bed.write(&one_of_each()[..2]).await;
    let place = history.last_place().await.unwrap();
    // written later, of an earlier time
    let late = entry(50, -5, "/X/late", state("MAJOR"));
    bed.write(&[late.clone(), one_of_each()[2].clone()]).await;
    let filter = Filter {
        kinds: [Kind::State].into(),
        ..Filter::default()
    };
    let (found, last) = history
        .arrived_after(place, filter.clone(), 10)
        .await
        .unwrap();
    assert_eq!(found, [late]);
    let (found, again) = history.arrived_after(last, filter, 10).await.unwrap();
    assert_eq!((found, again), (Vec::new(), last));
}

#[tokio::test]
async fn a_locked_or_foreign_file_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let error = SqliteHistory::open(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("there is no `{}`", path.display())
    );
    fs_err::write(&path, "no database, but longer than the header").unwrap();
    let error = SqliteSink::open(&path, Retention::default()).unwrap_err();
    assert!(
        error.to_string().ends_with("is no SQLite database"),
        "{error}"
    );
    fs_err::remove_file(&path).unwrap();
    let mut sink = SqliteSink::open(&path, Retention::default()).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = sink.write(&one_of_each()).await.unwrap_err();
    assert!(error.reason.contains("database is locked"), "{error}");
    assert!(error.hint.unwrap().starts_with("fuser -v "));
    other.execute_batch("COMMIT").unwrap();
    sink.write(&one_of_each()).await.unwrap();
}

fn patterns() -> impl Strategy<Value = Vec<Pattern>> {
    let pattern = prop_oneof![
        "[ab?*M]{0,3}",
        Just("MAJOR*".to_owned()),
        Just("*".to_owned())
    ];
    proptest::collection::vec(pattern.prop_map(Pattern::new), 0..2)
}

fn filters() -> impl Strategy<Value = Filter> {
    let kinds = proptest::sample::subsequence(Kind::ALL.to_vec(), 0..3);
    let moment = || {
        proptest::option::weighted(
            0.3,
            (0..1200_i64).prop_map(|micros| Timestamp::from_microsecond(micros * 10).unwrap()),
        )
    };
    let rare = || prop_oneof![3 => Just(Vec::new()), 1 => patterns()];
    (
        (kinds, rare(), rare(), rare(), rare(), rare(), rare()),
        (
            proptest::option::weighted(
                0.3,
                prop_oneof![Just("/X"), Just("/X/a"), Just("/X/a/"), Just("/Y")],
            ),
            proptest::option::weighted(0.2, any::<bool>()),
            moment(),
            moment(),
        ),
    )
        .prop_map(
            |((kinds, pv, key, severity, message, user, command), (at, enabled, since, until))| {
                Filter {
                    kinds: kinds.into_iter().collect(),
                    pv,
                    key,
                    severity,
                    message,
                    user,
                    command,
                    at: at.into_iter().map(str::to_owned).collect(),
                    enabled,
                    since,
                    until,
                    ..Filter::default()
                }
            },
        )
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let one = (
        0..7_usize,
        0..12_i64,
        prop_oneof![
            Just("/X/a"),
            Just("/X/ab"),
            Just("/X/a/b"),
            Just("/Y/b"),
            Just("/X")
        ],
        prop_oneof![Just("MAJOR"), Just("MINOR_ACK")],
    );
    proptest::collection::vec(one, 0..30).prop_map(|all| {
        let numbered = all.into_iter().enumerate();
        numbered
            .map(|(offset, (which, time, path, severity))| {
                let event = match one_of_each().swap_remove(which).event {
                    Event::State(_) => state(severity),
                    other => other,
                };
                entry(offset as u64, time, path, event)
            })
            .collect()
    })
}

/// What the filter means, without an index.
fn scan(entries: &[Entry], query: &Query) -> Vec<Entry> {
    let mut found: Vec<(usize, &Entry)> = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| query.filter.matches(entry))
        .collect();
    found.sort_by_key(|(place, entry)| (entry.time, *place));
    if query.order == Order::NewestFirst {
        found.reverse();
    }
    found.into_iter().map(|(_, entry)| entry.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// The indices find what the filter means, page by page, and count it.
    #[test]
    fn found_by_index_is_found_by_scan(entries in entries(), filter in filters(), newest in any::<bool>(), limit in 1..9_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let order = if newest { Order::NewestFirst } else { Order::OldestFirst };
        let (found, counts, query) = runtime.block_on(async {
            let mut bed = Bed::new(Retention::default());
            bed.write(&entries).await;
            let history = bed.history();
            let mut query = Query { filter, order, limit, after: None };
            let mut found = Vec::new();
            loop {
                let Page { entries, next } = history.search(query.clone()).await.unwrap();
                found.extend(entries);
                let Some(next) = next else { break };
                query.after = Some(next.to_string().parse().unwrap());
            }
            let counts = history.count(query.filter.clone(), 5).await.unwrap();
            (found, counts, query)
        });
        let expected = scan(&entries, &query);
        prop_assert_eq!(&found, &expected);
        let mut counted: Vec<Count> = Vec::new();
        for entry in &expected {
            let from = at(entry.time.as_millisecond() / 5 * 5);
            let of = counted_as(&entry.event).to_owned();
            match counted.iter_mut().find(|count| count.from == from && count.of == of) {
                Some(count) => count.count += 1,
                None => counted.push(Count { from, of, count: 1 }),
            }
        }
        counted.sort_by(|a, b| (a.from, &a.of).cmp(&(b.from, &b.of)));
        prop_assert_eq!(counts, counted);
    }
}
