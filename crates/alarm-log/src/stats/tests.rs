use pretty_assertions::assert_eq;

use super::*;
use crate::entry::Deletion;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

fn entry(seconds: i64, pv: &str, event: Event) -> Entry {
    Entry {
        topic: "X".into(),
        offset: 0,
        time: at(seconds),
        key: String::new(),
        path: format!("/X/{pv}"),
        pv: pv.to_owned(),
        event,
    }
}

/// Statistics of rows of seconds, PV and severity, from 0 to a second.
fn of(rows: &[(i64, &str, &str)], to: i64) -> Statistics {
    let mut gathering = Gathering::new(at(0));
    for (seconds, pv, severity) in rows {
        let state = State {
            severity: Some((*severity).to_owned()),
            ..State::default()
        };
        gathering.take(&entry(*seconds, pv, Event::State(state)));
    }
    gathering.finish(at(to), 10)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn what_counts_as_an_alarm() {
    // severities in turn, and how many alarms they are
    let rows: [(&[&str], u64); 9] = [
        (&["MINOR"], 1),
        (&["MINOR", "MAJOR"], 2),
        (&["MAJOR", "MINOR"], 1),
        (&["MAJOR", "MAJOR"], 1),
        (&["MAJOR", "MAJOR_ACK", "MAJOR"], 1),
        (&["MINOR", "MINOR_ACK", "MAJOR"], 2),
        (&["MAJOR", "OK", "MAJOR"], 2),
        (&["MAJOR_ACK"], 0),
        (&["OK", "WEIRD"], 0),
    ];
    for (severities, alarms) in rows {
        let rows: Vec<(i64, &str, &str)> = severities
            .iter()
            .enumerate()
            .map(|(seconds, severity)| (i64::try_from(seconds).unwrap(), "a", *severity))
            .collect();
        assert_eq!(of(&rows, 100).alarms, alarms, "{severities:?}");
    }
}

#[test]
fn rates_and_floods() {
    let mut rows = Vec::new();
    let names: Vec<String> = (0..30).map(|pv| format!("pv{pv:02}")).collect();
    // 11 in the second window, 5 in the third, 4 in the fourth, 11 in the sixth
    for (window, alarms) in [(1, 11), (2, 5), (3, 4), (5, 11)] {
        for (pv, name) in names.iter().take(alarms).enumerate() {
            let second = window * 600 + i64::try_from(pv).unwrap();
            rows.push((second, name.as_str(), "MAJOR"));
            rows.push((second, name.as_str(), "OK"));
        }
    }
    let found = of(&rows, 7200);
    assert_eq!(
        (found.alarms, found.peak_per_10_minutes, found.peak_at),
        (31, 11, Some(at(600)))
    );
    assert!(
        close(found.average_per_10_minutes, 31.0 / 12.0),
        "{found:?}"
    );
    assert_eq!(
        found.floods,
        [
            Flood {
                from: at(600),
                to: at(1800),
                alarms: 16
            },
            Flood {
                from: at(3000),
                to: at(3600),
                alarms: 11
            }
        ]
    );
    assert!(close(found.flood_share, 3.0 / 12.0));
    assert_eq!(found.top.len(), 10);
    assert_eq!(
        (found.top[0].path.as_str(), found.top[0].alarms),
        ("/X/pv00", 4)
    );
    assert_eq!(found.priorities, BTreeMap::from([("MAJOR".to_owned(), 31)]));
}

#[test]
fn chattering_and_fleeting() {
    let found = of(
        &[
            // three within a minute, twice
            (0, "chatter", "MAJOR"),
            (10, "chatter", "OK"),
            (20, "chatter", "MAJOR"),
            (30, "chatter", "OK"),
            (60, "chatter", "MAJOR"),
            (61, "chatter", "OK"),
            (300, "chatter", "MAJOR"),
            (301, "chatter", "OK"),
            (302, "chatter", "MAJOR"),
            (303, "chatter", "OK"),
            (304, "chatter", "MAJOR"),
            (424, "chatter", "OK"),
            // acknowledged: somebody saw it
            (400, "seen", "MINOR"),
            (410, "seen", "MINOR_ACK"),
            (420, "seen", "OK"),
            // three, but over more than a minute
            (500, "slow", "MINOR"),
            (501, "slow", "OK"),
            (530, "slow", "MINOR"),
            (531, "slow", "OK"),
            (561, "slow", "MINOR"),
        ],
        600,
    );
    let named = |path: &str, count| Named {
        path: path.to_owned(),
        count,
    };
    assert_eq!(found.chattering, [named("/X/chatter", 2)]);
    assert_eq!(
        found.fleeting,
        [named("/X/chatter", 5), named("/X/slow", 2)]
    );
}

#[test]
fn standing_and_stale() {
    let day = 86_400;
    let mut gathering = Gathering::new(at(0));
    let state = |severity: &str| {
        Event::State(State {
            severity: Some(severity.to_owned()),
            ..State::default()
        })
    };
    // in alarm since before the begin, which is no alarm of this time
    gathering.take(&entry(-100, "old", state("MAJOR")));
    gathering.take(&entry(10, "old", state("MAJOR_ACK")));
    gathering.take(&entry(20, "new", state("MINOR")));
    gathering.take(&entry(30, "deleted", state("MINOR")));
    let tombstone = Event::Deletion(Deletion {
        user: None,
        host: None,
        tombstone: true,
    });
    gathering.take(&entry(40, "deleted", tombstone));
    let found = gathering.finish(at(day), 10);
    let standing: Vec<(&str, &str, i64)> = found
        .standing
        .iter()
        .map(|one| (one.path.as_str(), one.severity.as_str(), one.seconds))
        .collect();
    assert_eq!(
        standing,
        [
            ("/X/old", "MAJOR_ACK", day + 100),
            ("/X/new", "MINOR", day - 20)
        ]
    );
    assert_eq!((found.stale, found.alarms, found.fleeting.len()), (1, 2, 0));
    // the wait of an alarm from before the begin is not counted
    assert_eq!(found.acknowledgement.count, 0);
}

#[test]
fn times_to_acknowledgement() {
    let names: Vec<String> = (0..10).map(|pv| format!("pv{pv}")).collect();
    let mut rows: Vec<(i64, &str, &str)> = names
        .iter()
        .map(|name| (0, name.as_str(), "MAJOR"))
        .collect();
    for (place, name) in names.iter().enumerate() {
        let wait = (i64::try_from(place).unwrap() + 1) * 10;
        rows.push((wait, name.as_str(), "MAJOR_ACK"));
    }
    let found = of(&rows, 600).acknowledgement;
    assert_eq!(
        (found.count, found.median_seconds, found.p90_seconds),
        (10, Some(50), Some(90))
    );
    assert_eq!(of(&[], 600).acknowledgement, Acknowledgement::default());
}
