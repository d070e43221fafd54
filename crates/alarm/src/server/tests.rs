//! The server through its own doors.

mod actions;
mod foreign;
mod requests;
mod restart;
mod sources;

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
