//! A story that tests tell to a sink and ask of it again.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use alarm_log::Entry;
use alarm_log::query::{Filter, History, Order, Pattern, Query};
use alarm_log::record::{Reading, Role, read};
use alarm_log::sink::sqlite::{Retention, SqliteHistory, SqliteSink};
use alarm_log::sink::{Outcome, Sink};
use alarm_log::{Event, Kind};
use bus::Incoming;
use pretty_assertions::assert_eq;

/// A name that no other test and no other run has.
pub(crate) fn name(of: &str) -> String {
    let since = UNIX_EPOCH.elapsed().unwrap();
    format!("{of}{}x{}", std::process::id(), since.as_millis())
}

/// Milliseconds after the begin, key below the root, value; what happens in a small laboratory.
const RECORDS: [(u64, &str, &str, Option<&str>); 14] = [
    (
        0,
        "config",
        "/A",
        Some(
            r#"{"user":"root","host":"vm","guidance":[{"title":"Area A","details":"Call operator"}]}"#,
        ),
    ),
    (
        1,
        "config",
        "/A/t:ai1",
        Some(r#"{"user":"root","host":"vm","description":"t:ai1"}"#),
    ),
    (
        1,
        "config",
        "/A/t:off",
        Some(r#"{"user":"anna","host":"vm","description":"t:off","enabled":false}"#),
    ),
    (
        2,
        "state",
        "/A/t:ai1",
        Some(
            r#"{"severity":"OK","message":"OK","value":"50.0","time":{"seconds":1795324262,"nano":639000000},"current_severity":"OK","current_message":"NO_ALARM"}"#,
        ),
    ),
    (
        1000,
        "state",
        "/A/t:ai1",
        Some(
            r#"{"severity":"MAJOR","latch":true,"message":"HIHI_ALARM","value":"95.0","time":{"seconds":1795324265,"nano":638999999},"current_severity":"MAJOR","current_message":"HIHI_ALARM"}"#,
        ),
    ),
    (
        1000,
        "state",
        r"/A/sim:\/\/sine",
        Some(
            r#"{"severity":"MINOR","message":"HIGH_ALARM","value":"[7, 8]","time":{"seconds":1795324265,"nano":0},"current_severity":"MINOR","current_message":"HIGH_ALARM","mode":"maintenance","notify":false}"#,
        ),
    ),
    (
        1001,
        "command",
        "/A/t:ai1",
        Some(r#"{"user":"tester","host":"labhost","command":"acknowledge"}"#),
    ),
    (
        1001,
        "talk",
        "/A/t:ai1",
        Some(r#"{"standout":false,"severity":"MAJOR","talk":"MAJOR Alarm: t:ai1"}"#),
    ),
    (
        2000,
        "state",
        "/A/t:ai1",
        Some(
            r#"{"severity":"MAJOR_ACK","message":"HIHI_ALARM","value":"95.0","time":{"seconds":1795324265,"nano":638999999},"current_severity":"MAJOR","current_message":"HIHI_ALARM"}"#,
        ),
    ),
    (
        3000,
        "state",
        "/B/t:missing",
        Some(
            r#"{"severity":"UNDEFINED","latch":true,"message":"Disconnected","value":"","time":{},"current_severity":"UNDEFINED","current_message":"Disconnected"}"#,
        ),
    ),
    (
        4000,
        "command",
        "",
        Some(r#"{"user":"anna","host":"pc*1","command":"maintenance"}"#),
    ),
    (
        5000,
        "config",
        "/B/t:missing",
        Some(r#"{"user":"anna","host":"vm","delete":"Deleting"}"#),
    ),
    (5001, "config", "/B/t:missing", None),
    (5002, "state", "/B/t:missing", None),
];

/// When it begins, in milliseconds: once for a process, since entries are made more than once.
fn begin() -> u64 {
    static BEGIN: OnceLock<u64> = OnceLock::new();
    *BEGIN.get_or_init(|| {
        let now = UNIX_EPOCH.elapsed().unwrap();
        let now = now.checked_sub(Duration::from_mins(20)).unwrap();
        u64::try_from(now.as_millis()).unwrap()
    })
}

/// The story in a configuration, as it would be read from its topics.
pub(crate) fn entries(configuration: &str) -> Vec<Entry> {
    let begin = begin();
    let all = RECORDS
        .iter()
        .enumerate()
        .map(|(offset, (time, kind, path, value))| {
            let (role, suffix) = match *kind {
                "command" => (Role::Commands, "Command"),
                "talk" => (Role::Talk, "Talk"),
                _ => (Role::Tree, ""),
            };
            let record = Incoming {
                topic: format!("{configuration}{suffix}").into(),
                offset: offset as u64,
                time: UNIX_EPOCH + Duration::from_millis(begin + time),
                key: Some(format!("{kind}:/{configuration}{path}")),
                value: value.map(str::to_owned),
            };
            match read(role, &record) {
                Reading::Entry(entry) => *entry,
                other => panic!("{other:?}"),
            }
        });
    all.collect()
}

/// Everything of a configuration.
pub(crate) fn of(configuration: &str) -> Filter {
    Filter {
        at: vec![format!("/{configuration}")],
        ..Filter::default()
    }
}

/// Filters of every kind that there is.
pub(crate) fn filters(configuration: &str, entries: &[Entry]) -> Vec<Filter> {
    let all = of(configuration);
    let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::new(*text)).collect();
    let middle = entries[4].time;
    let mut filters = vec![
        all.clone(),
        Filter {
            at: vec![format!("/{configuration}/A/t:ai1")],
            ..Filter::default()
        },
        Filter {
            at: vec![
                format!("/{configuration}/B/"),
                format!("/{configuration}/A/t:off"),
            ],
            ..Filter::default()
        },
        Filter {
            at: vec![format!("/{configuration}/A/t")],
            ..Filter::default()
        },
        Filter {
            pv: patterns(&["t:ai1"]),
            ..all.clone()
        },
        Filter {
            pv: patterns(&["t:a*", "t:?ff"]),
            ..all.clone()
        },
        Filter {
            pv: patterns(&["sim://sine"]),
            ..all.clone()
        },
        Filter {
            pv: patterns(&["*A*"]),
            ..all.clone()
        },
        Filter {
            key: patterns(&[&format!("state:/{configuration}/*")]),
            ..all.clone()
        },
        Filter {
            key: patterns(&["*sim://sine*"]),
            ..all.clone()
        },
        Filter {
            severity: patterns(&["MAJOR"]),
            kinds: [Kind::State].into(),
            ..all.clone()
        },
        Filter {
            severity: patterns(&["M*"]),
            kinds: [Kind::State].into(),
            ..all.clone()
        },
        Filter {
            current_severity: patterns(&["MAJOR", "MINOR"]),
            ..all.clone()
        },
        Filter {
            message: patterns(&["HI*_ALARM"]),
            ..all.clone()
        },
        Filter {
            current_message: patterns(&["NO_ALARM"]),
            ..all.clone()
        },
        Filter {
            user: patterns(&["anna"]),
            ..all.clone()
        },
        Filter {
            user: patterns(&["?nna", "tes*"]),
            kinds: [Kind::Command, Kind::Config].into(),
            ..all.clone()
        },
        Filter {
            host: patterns(&["pc*1"]),
            ..all.clone()
        },
        Filter {
            command: patterns(&["ack*"]),
            ..all.clone()
        },
        Filter {
            enabled: Some(true),
            ..all.clone()
        },
        Filter {
            enabled: Some(false),
            ..all.clone()
        },
        Filter {
            since: Some(middle),
            ..all.clone()
        },
        Filter {
            until: Some(middle),
            ..all.clone()
        },
        Filter {
            since: Some(middle + jiff::SignedDuration::from_micros(1)),
            ..all.clone()
        },
        Filter {
            user: patterns(&["nobody"]),
            ..all.clone()
        },
    ];
    for kind in [Kind::State, Kind::Command, Kind::Config, Kind::Deletion] {
        filters.push(Filter {
            kinds: [kind].into(),
            ..all.clone()
        });
    }
    filters
}

/// What a filter wants of the story, by itself.
pub(crate) fn wanted(entries: &[Entry], filter: &Filter) -> BTreeSet<String> {
    let wanted = entries.iter().filter(|entry| filter.matches(entry));
    wanted.map(Entry::id).collect()
}

/// Everything that a history finds, page by page.
pub(crate) async fn found(
    history: &dyn History,
    filter: &Filter,
    order: Order,
    limit: usize,
) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut query = Query {
        filter: filter.clone(),
        order,
        limit,
        after: None,
    };
    loop {
        let page = history.search(query.clone()).await.unwrap();
        assert!(page.entries.len() <= limit);
        found.extend(page.entries);
        match page.next {
            // as a client of the API gives it back
            Some(next) => query.after = Some(next.to_string().parse().unwrap()),
            None => return found,
        }
    }
}

pub(crate) fn ids(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(Entry::id).collect()
}

/// Pages of every length give everything once and in order.
pub(crate) async fn pages(history: &dyn History, filter: &Filter, expected: usize) {
    let whole = found(history, filter, Order::OldestFirst, 1000).await;
    assert_eq!(whole.len(), expected);
    assert!(whole.is_sorted_by_key(|entry| entry.time));
    let once: BTreeSet<String> = ids(&whole).into_iter().collect();
    assert_eq!(once.len(), expected, "each once");
    for limit in 1..=expected {
        let forwards = found(history, filter, Order::OldestFirst, limit).await;
        assert_eq!(ids(&forwards), ids(&whole), "pages of {limit}");
        let mut backwards = found(history, filter, Order::NewestFirst, limit).await;
        backwards.reverse();
        assert_eq!(ids(&backwards), ids(&whole), "pages of {limit}, backwards");
    }
}

/// Writes entries, of which all are taken.
pub(crate) async fn tell(sink: &mut dyn Sink, entries: &[Entry]) {
    let outcomes = sink.write(entries).await.unwrap();
    assert_eq!(outcomes, vec![Outcome::Taken; entries.len()]);
}

/// The same entries in SQLite, which answers as it should.
pub(crate) async fn in_sqlite(folder: &std::path::Path, entries: &[Entry]) -> SqliteHistory {
    let path = folder.join("story.db");
    let mut sink = SqliteSink::open(&path, Retention::default()).unwrap();
    tell(&mut sink, entries).await;
    SqliteHistory::open(&path).unwrap()
}

/// What Phoebus' logger has an index for.
pub(crate) fn is_of_phoebus(entry: &Entry) -> bool {
    match &entry.event {
        Event::State(_) | Event::Command(_) | Event::Config(_) => true,
        Event::Deletion(_) => entry.key.starts_with("config:"),
        Event::Talk(_) | Event::Gap(_) => false,
    }
}
