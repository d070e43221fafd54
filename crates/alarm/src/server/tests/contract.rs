//! What the Phoebus alarm server was seen to do beyond the recorded scenarios, and what our own edits do instead: the
//! records with all their fields, in their order.

use pretty_assertions::assert_eq;

use super::*;
use crate::config::{Action, Notes};

fn record(topic: Topic, key: &str, value: Option<&str>) -> Record {
    Record {
        topic,
        key: key.to_owned(),
        value: value.map(str::to_owned),
    }
}

/// What a record on the topic of configurations leads to.
fn main(server: &mut Server, key: &str, value: Option<&str>, seconds: i64) -> Vec<String> {
    published(&server.record(&record(Topic::Main, key, value), at(seconds)))
}

fn command(server: &mut Server, key: &str, word: &str, seconds: i64) -> Vec<String> {
    let value = format!(r#"{{"user":"u","host":"h","command":"{word}"}}"#);
    published(&server.record(&record(Topic::Command, key, Some(&value)), at(seconds)))
}

fn news(server: &mut Server, pv: &str, severity: Severity, seconds: i64) -> Vec<String> {
    published(&server.news(pv, &heard(severity, seconds), at(seconds)))
}

fn tick(server: &mut Server, seconds: i64) -> Vec<String> {
    // heartbeats of the root and what the server writes for itself are looked at elsewhere
    let mut lines = published(&server.tick(at(seconds)));
    lines.retain(|line| !line.starts_with("Server"));
    lines
}

/// A state of the leaf `pv`: severity, message, value and time of the alarm, then severity and message of the PV.
fn state(leaf: &str, alarm: (&str, &str, &str, i64), current: (&str, &str)) -> String {
    let (severity, message, value, seconds) = alarm;
    let (severity, latch) = match severity.strip_suffix('!') {
        Some(severity) => (severity, r#","latch":true"#),
        None => (severity, ""),
    };
    format!(
        r#"Main state:{leaf} {{"severity":"{severity}"{latch},"message":"{message}","value":"{value}","time":{{"seconds":{},"nano":0}},"current_severity":"{}","current_message":"{}"}}"#,
        at(seconds).seconds,
        current.0,
        current.1
    )
}

fn group(path: &str, severity: &str) -> String {
    format!(r#"Main state:{path} {{"severity":"{severity}"}}"#)
}

fn talk(path: &str, severity: &str, words: &str) -> String {
    format!(r#"Talk talk:{path} {{"standout":false,"severity":"{severity}","talk":"{words}"}}"#)
}

/// A leaf that does not latch, or one with a delay, or both.
fn leaf(latching: bool, delay: u32) -> LeafConfig {
    let mut leaf = LeafConfig::new("d");
    leaf.latching = latching;
    leaf.delay = delay;
    leaf
}

const NOTHING: [String; 0] = [];

#[test]
fn whatever_stands_before_the_colon_is_a_command_on_the_topic_of_commands() {
    let mut server = server(&[("/X/pv", leaf(true, 0))]);
    news(&mut server, "pv", Severity::Major, 1);
    let keys = [
        "command:/X/pv",
        "config:/X/pv",
        "state:X/pv",
        "anything:/X//pv",
        ":X/pv",
    ];
    for (key, seconds) in keys.into_iter().zip([2, 4, 6, 8, 10]) {
        assert!(
            command(&mut server, key, "acknowledge", seconds)[0].contains("MAJOR_ACK"),
            "{key}"
        );
        assert!(
            command(&mut server, key, "unacknowledge", seconds + 1)[0].contains("\"MAJOR\""),
            "{key}"
        );
    }
    for key in ["/X/pv", "", "command:/Y/pv", "command:/X/none", "command:"] {
        assert_eq!(
            command(&mut server, key, "acknowledge", 12),
            NOTHING,
            "{key}"
        );
    }
    // the path of these is not looked at, not even one that is none
    for key in ["command:/X", "command:/Y/z", "command:", ":"] {
        let on = r#"Main state:/X {"severity":"MAJOR","mode":"maintenance"}"#;
        let mut lines = command(&mut server, key, "maintenance", 13);
        lines.retain(|line| line.starts_with("Main"));
        assert_eq!(lines, [on], "{key}");
        let mut lines = command(&mut server, key, "normal", 14);
        lines.retain(|line| line.starts_with("Main"));
        assert_eq!(lines, [group("/X", "MAJOR")], "{key}");
    }
}

#[test]
fn a_record_of_a_pv_without_a_description_changes_only_what_groups_have_too() {
    let mut slow = leaf(true, 3);
    slow.count = 7;
    slow.filter = "gate > 0".to_owned();
    let mut server = server(&[("/X/pv", slow.clone())]);
    let value = r#"{"user":"u","host":"h","latching":false,"delay":9,"enabled":false,"filter":"0","guidance":[{"title":"t","details":"d"}],"actions":[{"title":"a","details":"infopv:info","delay":0}]}"#;
    assert_eq!(main(&mut server, "config:/X/pv", Some(value), 1), NOTHING);
    let KindView::Leaf(view) = server.item(&path("/X/pv")).unwrap().kind else {
        panic!("a leaf");
    };
    slow.notes = Notes {
        guidance: vec![crate::config::TitleDetail {
            title: "t".to_owned(),
            details: "d".to_owned(),
        }],
        actions: vec![Action {
            title: "a".to_owned(),
            details: "infopv:info".to_owned(),
            delay: 0,
        }],
        ..Notes::default()
    };
    assert_eq!(view.config(), slow);
}

#[test]
fn the_timer_of_a_delay_on_an_active_alarm_outlives_its_end() {
    let mut server = server(&[("/X/pv", leaf(false, 3))]);
    let ok = ("OK", "NO_ALARM");
    let minor = ("MINOR", "MINOR_ALARM");
    let lines = news(&mut server, "pv", Severity::Minor, 4);
    assert_eq!(lines[0], state("/X/pv", ("OK", "OK", "0.0", 0), minor));
    assert_eq!(
        tick(&mut server, 7),
        [
            state("/X/pv", ("MINOR", "MINOR_ALARM", "5.0", 4), minor),
            group("/X", "MINOR"),
            talk("/X/pv", "MINOR", "MINOR Alarm: d"),
        ]
    );
    news(&mut server, "pv", Severity::Major, 8);
    let lines = news(&mut server, "pv", Severity::Ok, 9);
    assert_eq!(lines[0], state("/X/pv", ("OK", "NO_ALARM", "0.0", 9), ok));
    // three seconds after 8, not after 10
    news(&mut server, "pv", Severity::Minor, 10);
    assert_eq!(tick(&mut server, 10), NOTHING);
    assert_eq!(
        tick(&mut server, 11)[0],
        state("/X/pv", ("MINOR", "MINOR_ALARM", "5.0", 10), minor)
    );
}

#[test]
fn an_ok_raises_at_once_what_waits_on_a_latched_alarm() {
    let mut server = server(&[("/X/pv", leaf(true, 3))]);
    news(&mut server, "pv", Severity::Minor, 1);
    tick(&mut server, 4);
    news(&mut server, "pv", Severity::Major, 5);
    let mut lines = news(&mut server, "pv", Severity::Ok, 6);
    lines.retain(|line| !line.starts_with("Server"));
    assert_eq!(
        lines,
        [
            state(
                "/X/pv",
                ("MAJOR", "MAJOR_ALARM", "6.0", 5),
                ("OK", "NO_ALARM")
            ),
            group("/X", "MAJOR"),
            talk("/X/pv", "MAJOR", "MAJOR Alarm: d"),
        ]
    );
    // when its time comes the PV is fine since longer
    assert_eq!(
        tick(&mut server, 9)
            .iter()
            .filter(|line| line.contains("state:/X/pv"))
            .count(),
        0
    );
}

#[test]
fn a_pv_with_a_delay_that_is_in_alarm_when_it_connects_has_no_message_yet() {
    let mut server = Server::new("X", settings()).unwrap();
    server.record(&config("/X/pv", &leaf(true, 2)), at(0));
    server.start(at(0));
    let current = ("MAJOR", "MAJOR_ALARM");
    let lines = news(&mut server, "pv", Severity::Major, 1);
    assert_eq!(lines[0], state("/X/pv", ("OK", "", "", 0), current));
    assert_eq!(
        tick(&mut server, 3)[0],
        state("/X/pv", ("MAJOR!", "MAJOR_ALARM", "6.0", 1), current)
    );
}

#[test]
fn filters_at_the_edges() {
    let filtered = |filter: &str| {
        let mut leaf = leaf(true, 0);
        leaf.filter = filter.to_owned();
        leaf
    };
    let mut server = Server::new("X", settings()).unwrap();
    let leaves = [
        ("/X/never", filtered("missing > 0")),
        ("/X/divided", filtered("gate/0")),
        ("/X/nan", filtered("0/(gate - gate)")),
        ("/X/broken", filtered("gate >")),
        ("/X/gated", filtered("gate > 0")),
    ];
    for (path, leaf) in &leaves {
        server.record(&config(path, leaf), at(-1));
    }
    server.start(at(0));
    for (path, _leaf) in &leaves {
        news(&mut server, path.trim_start_matches("/X/"), Severity::Ok, 0);
    }
    let gate = |value: f64| News::Value(State::new(Severity::Ok, "NO_ALARM", value, at(0)));
    server.news("gate", &gate(1.0), at(1));
    let disabled = |leaf: &str, seconds| state(leaf, ("OK", "Disabled", "", seconds), ("OK", "OK"));
    assert_eq!(tick(&mut server, 2), [disabled("/X/nan", 2)]);
    // lost: a tenth of a second later it is filtered out
    assert_eq!(
        published(&server.news("gate", &News::Disconnected, at(4))),
        NOTHING
    );
    let soon = at(4).after(Duration::from_millis(99));
    assert_eq!(published(&server.tick(soon)), NOTHING);
    let mut lines = tick(&mut server, 5);
    lines.sort();
    assert_eq!(lines, [disabled("/X/divided", 5), disabled("/X/gated", 5)]);
    // while it is filtered out nothing is told, and then what was missed
    assert_eq!(news(&mut server, "gated", Severity::Major, 6), NOTHING);
    server.news("gate", &gate(2.0), at(7));
    let lines = tick(&mut server, 8);
    let major = ("MAJOR", "MAJOR_ALARM");
    let raised = state("/X/gated", ("MAJOR!", "MAJOR_ALARM", "6.0", 6), major);
    assert!(lines.contains(&raised), "{lines:#?}");
    assert!(lines.contains(&talk("/X/gated", "MAJOR", "MAJOR Alarm: d")));
}

#[test]
fn edits_while_in_alarm_touch_nothing_but_what_is_edited() {
    let mut server = server(&[("/X/a/pv", leaf(true, 0)), ("/X/a/other", leaf(true, 0))]);
    news(&mut server, "pv", Severity::Major, 1);
    command(&mut server, "command:/X/a/pv", "acknowledge", 2);
    let mut edit = leaf(true, 0);
    let edits: [fn(&mut LeafConfig); 6] = [
        |leaf| leaf.description = "another".to_owned(),
        |leaf| leaf.annunciating = false,
        |leaf| leaf.delay = 5,
        |leaf| leaf.count = 3,
        |leaf| leaf.latching = false,
        |leaf| leaf.filter = "gate > 0".to_owned(),
    ];
    for (change, seconds) in edits.into_iter().zip(3..) {
        change(&mut edit);
        let effects = server.record(&config("/X/a/pv", &edit), at(seconds));
        assert_eq!(published(&effects), NOTHING, "{edit:?}");
    }
    assert_eq!(server.severity(&path("/X/a/pv")), Some(Severity::MajorAck));
    // the same record once more
    assert_eq!(
        published(&server.record(&config("/X/a/pv", &edit), at(10))),
        NOTHING
    );
}

#[test]
fn an_alarm_that_only_its_latch_holds_is_over_when_it_does_not_latch_any_more() {
    let mut server = server(&[("/X/a/pv", leaf(true, 0)), ("/X/a/less", leaf(true, 0))]);
    for pv in ["pv", "less"] {
        news(&mut server, pv, Severity::Major, 1);
    }
    news(&mut server, "pv", Severity::Ok, 2);
    news(&mut server, "less", Severity::Minor, 3);
    let effects = server.record(&config("/X/a/pv", &leaf(false, 0)), at(4));
    assert_eq!(
        published(&effects),
        [state("/X/a/pv", ("OK", "OK", "0.0", 2), ("OK", "NO_ALARM"))]
    );
    let effects = server.record(&config("/X/a/less", &leaf(false, 0)), at(5));
    let minor = ("MINOR", "MINOR_ALARM");
    assert_eq!(
        published(&effects),
        [
            state("/X/a/less", ("MINOR", "MINOR_ALARM", "5.0", 3), minor),
            group("/X/a", "MINOR"),
            group("/X", "MINOR"),
        ]
    );
}

#[test]
fn a_pv_is_moved_while_in_alarm() {
    let mut server = server(&[("/X/a/pv", leaf(true, 0))]);
    news(&mut server, "pv", Severity::Minor, 1);
    // as clients move: the new place first, then marker and tombstone of the old
    let effects = server.record(&config("/X/b/pv", &leaf(true, 0)), at(2));
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Connect(_))),
        "one channel: {effects:?}"
    );
    let minor = ("MINOR", "MINOR_ALARM");
    assert_eq!(
        published(&effects),
        [
            group("/X/b", "OK"),
            state("/X/b/pv", ("MINOR!", "MINOR_ALARM", "5.0", 1), minor),
            group("/X/b", "MINOR"),
            talk("/X/b/pv", "MINOR", "MINOR Alarm: d"),
        ]
    );
    let marker = r#"{"user":"u","host":"h","delete":"Deleting"}"#;
    assert_eq!(
        main(&mut server, "config:/X/a/pv", Some(marker), 3),
        NOTHING
    );
    assert_eq!(
        main(&mut server, "config:/X/a/pv", None, 4),
        [group("/X/a", "OK"), "Main state:/X/a/pv -".to_owned()]
    );
    // and is put back
    let effects = server.record(&config("/X/a/pv", &leaf(true, 0)), at(5));
    assert_eq!(
        published(&effects)[0],
        state("/X/a/pv", ("MINOR!", "MINOR_ALARM", "5.0", 1), minor)
    );
}

#[test]
fn an_area_with_children_is_deleted_by_one_tombstone() {
    let mut server = server(&[
        ("/X/a/b/one", leaf(true, 0)),
        ("/X/a/b/c/two", leaf(true, 0)),
        ("/X/a/three", leaf(true, 0)),
    ]);
    news(&mut server, "two", Severity::Major, 1);
    news(&mut server, "three", Severity::Minor, 1);
    let mut lines = main(&mut server, "config:/X/a/b", None, 2);
    // states of groups that are gone stay in the topic, as with Phoebus
    lines.sort();
    assert_eq!(
        lines,
        [
            group("/X", "MINOR"),
            group("/X/a", "MINOR"),
            "Main state:/X/a/b/c/two -".to_owned(),
            "Main state:/X/a/b/one -".to_owned(),
        ]
    );
    // what comes for them now is for nobody
    assert_eq!(news(&mut server, "two", Severity::Ok, 3), NOTHING);
    assert_eq!(main(&mut server, "config:/X/a/b", None, 4), NOTHING);
}

#[test]
fn the_definition_of_an_area_may_come_after_its_leaf() {
    let mut server = server(&[("/X/a/pv", leaf(true, 0))]);
    news(&mut server, "pv", Severity::Major, 1);
    let notes = r#"{"user":"u","host":"h","guidance":[{"title":"t","details":"d"}]}"#;
    for key in ["config:/X/a", "config:/X"] {
        assert_eq!(main(&mut server, key, Some(notes), 2), NOTHING, "{key}");
    }
    assert_eq!(server.severity(&path("/X/a")), Some(Severity::Major));
    // one of its own is shown at once
    let lines = main(&mut server, "config:/X/new", Some(notes), 3);
    assert_eq!(lines, [group("/X/new", "OK")]);
}
