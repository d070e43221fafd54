//! The server through its own doors.

mod actions;
mod contract;
mod foreign;
mod requests;
mod restart;
mod sources;
mod standby;

use super::*;
use crate::Value;
use crate::config::LeafConfig;
use crate::wire::config::{ConfigMessage, Signed};

pub(super) fn at(seconds: i64) -> Time {
    Time::new(1_800_000_000 + seconds, 0)
}

pub(super) fn path(text: &str) -> AlarmPath {
    AlarmPath::parse(text).unwrap()
}

pub(super) fn heard(severity: Severity, seconds: i64) -> News {
    let message = match severity {
        Severity::Ok => "NO_ALARM".to_owned(),
        other => format!("{other}_ALARM"),
    };
    let value = f64::from(severity.ordinal());
    News::Value(State::new(severity, message, value, at(seconds)))
}

pub(super) fn config(path: &str, config: &LeafConfig) -> Record {
    let message = Signed {
        user: "u".to_owned(),
        host: "h".to_owned(),
        message: ConfigMessage::Leaf(config.clone()),
    };
    Record {
        topic: Topic::Main,
        key: format!("config:{path}"),
        value: Some(message.write()),
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        user: "server".to_owned(),
        host: "here".to_owned(),
        nag_period: None,
        ..Settings::default()
    }
}

/// A server with these PVs, started at 0; each has had an OK value.
pub(super) fn server(leaves: &[(&str, LeafConfig)]) -> Server {
    let mut server = Server::new("X", settings()).unwrap();
    for (path, leaf) in leaves {
        assert_eq!(server.record(&config(path, leaf), at(-1)), []);
    }
    let effects = server.start(at(0));
    for effect in effects {
        if let Effect::Connect(name) = effect {
            server.news(&name, &heard(Severity::Ok, 0), at(0));
        }
    }
    server
}

/// What was published, as `topic key value`.
pub(super) fn published(effects: &[Effect]) -> Vec<String> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Publish(record) => Some(format!(
                "{:?} {} {}",
                record.topic,
                record.key,
                record.value.as_deref().unwrap_or("-")
            )),
            _ => None,
        })
        .collect()
}

#[test]
fn reminders_and_the_heartbeat_of_the_root() {
    let mut server = Server::new(
        "X",
        Settings {
            nag_period: Some(Duration::from_mins(15)),
            ..settings()
        },
    )
    .unwrap();
    for item in ["/X/a", "/X/b"] {
        server.record(&config(item, &LeafConfig::new("d")), at(0));
    }
    server.start(at(0));
    server.news("a", &heard(Severity::Major, 1), at(1));
    server.news("b", &heard(Severity::Ok, 1), at(1));
    let idle = r#"Main state:/X {"severity":"MAJOR"}"#;
    assert_eq!(published(&server.tick(at(11))), [idle]);
    assert_eq!(published(&server.tick(at(20))), Vec::<String>::new());
    assert_eq!(published(&server.tick(at(21))), [idle]);
    let words = |text: &str| {
        format!(r#"Talk talk:/X {{"standout":false,"severity":"MAJOR","talk":" {text}"}}"#)
    };
    // counted from the last words
    assert!(
        published(&server.tick(at(900)))
            .iter()
            .all(|line| line == idle)
    );
    assert_eq!(
        published(&server.tick(at(901)))[0],
        words("There is 1 active alarm")
    );
    server.news("b", &heard(Severity::Minor, 902), at(902));
    let lines = published(&server.tick(at(902 + 900)));
    assert_eq!(lines[0], words("There are 2 active alarms"));
}

#[test]
fn everything_is_said_again_after_a_loss() {
    let mut slow = LeafConfig::new("d");
    slow.delay = 100;
    let mut server = server(&[("/X/a/pv", LeafConfig::new("d")), ("/X/a/slow", slow)]);
    server.record(&config("/X/a/new", &LeafConfig::new("d")), at(1));
    server.news("pv", &heard(Severity::Minor, 1), at(1));
    server.news("slow", &heard(Severity::Major, 1), at(1));
    let lines = published(&server.resend(at(2)));
    let starts = [
        r#"Talk talk:/X {"standout":false,"severity":"MINOR","talk":" Alarm server re-connected"}"#,
        r#"Main state:/X {"severity":"MINOR"}"#,
        r#"Main state:/X/a {"severity":"MINOR"}"#,
        r#"Main state:/X/a/pv {"severity":"MINOR","latch":true,"#,
        r#"Main state:/X/a/slow {"severity":"OK","message":"OK","#,
        r#"Server memory:/X/a/slow {"pending":{"severity":"MAJOR","#,
        r#"Server mode:/X {"maintenance":false,"notify":true}"#,
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn a_value_that_changes_is_shown_by_an_acknowledgement() {
    let mut server = server(&[("/X/a/pv", LeafConfig::new("d"))]);
    let mut news = heard(Severity::Ok, 5);
    if let News::Value(state) = &mut news {
        state.value = Value::Double(7.5);
    }
    assert_eq!(server.news("pv", &news, at(5)), []);
    let command = Record {
        topic: Topic::Command,
        key: "command:/X/a/pv".to_owned(),
        value: Some(r#"{"command":"acknowledge"}"#.to_owned()),
    };
    let effects = server.record(&command, at(6));
    assert_eq!(
        published(&effects),
        [
            r#"Main state:/X/a/pv {"severity":"OK","message":"OK","value":"7.5","time":{"seconds":1800000006,"nano":0},"current_severity":"OK","current_message":"NO_ALARM"}"#
        ]
    );
}
