//! Entries as Phoebus' alarm logger stores and answers them.
//!
//! Documents have the fields and formats of its Elasticsearch indices, answers those of its REST API (both as observed of
//! version 5.0.5). What Phoebus does not log has no document: tombstones of states, words, gaps.

use alarm::path::AlarmPath;
use alarm::wire::config::{ConfigMessage, Signed};
use alarm::wire::json::Object;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::entry::{Config, Deletion, Entry, Event, State};

/// The kinds of indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Index {
    /// Of states.
    State,
    /// Of commands.
    Command,
    /// Of configurations and deletions.
    Config,
}

impl Index {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::State, Self::Command, Self::Config];

    /// The word in the name of the index, as in `accelerator_alarms_cmd_2026-11-01`.
    pub fn word(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Command => "cmd",
            Self::Config => "config",
        }
    }
}

/// A document; all fields are texts, times are UTC as `2026-11-22 05:10:20.605`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Document {
    /// Alarm severity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Whether the alarm latched with this update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latch: Option<String>,
    /// Alarm message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Value that set the alarm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// When the alarm was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Severity of the PV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_severity: Option<String>,
    /// Message of the PV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_message: Option<String>,
    /// `maintenance` in maintenance mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Whether notifications go out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify: Option<String>,
    /// Name of the PV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pv: Option<String>,
    /// Key of the record without backslashes.
    pub config: String,
    /// When the record was written.
    pub message_time: String,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Text of a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Whether a configuration enables its PV; may be a date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<String>,
    /// Whether alarms latch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latching: Option<String>,
    /// The whole configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_msg: Option<String>,
}

/// Name of the configuration that an entry belongs to.
pub fn configuration(entry: &Entry) -> String {
    root(&entry.path).unwrap_or_else(|| entry.topic.to_string())
}

/// The first name of a path.
pub(crate) fn root(path: &str) -> Option<String> {
    match AlarmPath::parse(path) {
        Ok(path) => Some(path.configuration().to_owned()),
        Err(_unusual) => {
            let mut names = path.split('/').filter(|name| !name.is_empty());
            names.next().map(str::to_owned)
        }
    }
}

/// The document of an entry and the kind of its index; nothing for what Phoebus has no index for.
pub fn document(entry: &Entry) -> Option<(Index, Document)> {
    let common = Document {
        config: entry.key.clone(),
        message_time: stored_time(entry.time),
        ..Document::default()
    };
    match &entry.event {
        Event::State(state) => Some((Index::State, state_document(entry, state, common))),
        Event::Command(command) => {
            let document = Document {
                user: command.user.clone(),
                host: command.host.clone(),
                command: Some(command.command.clone()),
                ..common
            };
            Some((Index::Command, document))
        }
        Event::Config(config) => {
            let document = Document {
                user: config.user.clone(),
                host: config.host.clone(),
                enabled: Some(config.enabled.clone()),
                latching: Some(config.latching.to_string()),
                config_msg: Some(config_message(entry, config)),
                ..common
            };
            Some((Index::Config, document))
        }
        Event::Deletion(deletion) if entry.key.starts_with("config:") => {
            let document = Document {
                user: deletion.user.clone(),
                host: deletion.host.clone(),
                config_msg: Some(deletion_message(entry, deletion)),
                ..common
            };
            Some((Index::Config, document))
        }
        Event::Deletion(_) | Event::Talk(_) | Event::Gap(_) => None,
    }
}

fn state_document(entry: &Entry, state: &State, common: Document) -> Document {
    Document {
        severity: state.severity.clone(),
        latch: Some(state.latch.to_string()),
        message: state.message.clone(),
        value: state.value.clone(),
        // a PV that never had a value has no time of its own
        time: Some(stored_time(state.event_time.unwrap_or(entry.time))),
        current_severity: state.current_severity.clone(),
        current_message: state.current_message.clone(),
        mode: state.mode.clone(),
        notify: Some(state.notify.to_string()),
        pv: Some(entry.pv.clone()),
        ..common
    }
}

/// A time as documents have it.
pub fn stored_time(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%d %H:%M:%S%.3f")
        .to_string()
}

/// The time of a document.
///
/// # Errors
///
/// The text is no time, or in another form.
pub fn read_stored_time(text: &str) -> Result<Timestamp, jiff::Error> {
    let time: jiff::civil::DateTime = text.replacen(' ', "T", 1).parse()?;
    Ok(time.to_zoned(TimeZone::UTC)?.timestamp())
}

/// The configuration as Phoebus' logger writes it: with all that has a default.
fn config_message(entry: &Entry, config: &Config) -> String {
    let Ok(signed) = Signed::read(&config.text) else {
        return config.text.clone();
    };
    let mut object = Object::new()
        .text("user", &signed.user)
        .text("host", config.host.as_deref().unwrap_or_default());
    let (leaf, notes) = match &signed.message {
        ConfigMessage::Leaf(leaf) => (Some(leaf), &leaf.notes),
        ConfigMessage::Group(notes) => (None, notes),
        ConfigMessage::Deleting => return config.text.clone(),
    };
    if let Some(leaf) = leaf {
        object = object.text("description", &leaf.description);
    }
    object = match config.enabled.as_str() {
        "true" => object.boolean("enabled", true),
        "false" => object.boolean("enabled", false),
        date => object.text("enabled", date),
    };
    let number = |value: Option<u32>| i64::from(value.unwrap_or(0));
    object = object
        .boolean("latching", config.latching)
        .boolean("annunciating", leaf.is_none_or(|leaf| leaf.annunciating))
        .number("delay", number(leaf.map(|leaf| leaf.delay)))
        .number("count", number(leaf.map(|leaf| leaf.count)));
    if let Some(leaf) = leaf.filter(|leaf| !leaf.filter.is_empty()) {
        object = object.text("filter", &leaf.filter);
    }
    let detail = |title: &str, details: &str, delay: u32| {
        Object::new()
            .text("title", title)
            .text("details", details)
            .number("delay", i64::from(delay))
    };
    for (name, list) in [
        ("guidance", &notes.guidance),
        ("displays", &notes.displays),
        ("commands", &notes.commands),
    ] {
        if !list.is_empty() {
            let items = list
                .iter()
                .map(|item| detail(&item.title, &item.details, 0));
            object = object.objects(name, items);
        }
    }
    if !notes.actions.is_empty() {
        let items = notes
            .actions
            .iter()
            .map(|action| detail(&action.title, &action.details, action.delay));
        object = object.objects("actions", items);
    }
    with_message_time(object.text("config", &entry.key), entry.time)
}

fn deletion_message(entry: &Entry, deletion: &Deletion) -> String {
    let mut object = Object::new();
    if !deletion.tombstone {
        object = object
            .text("user", deletion.user.as_deref().unwrap_or_default())
            .text("host", deletion.host.as_deref().unwrap_or_default());
    }
    with_message_time(
        object.text("delete", "Deleting").text("config", &entry.key),
        entry.time,
    )
}

/// Seconds with nine places behind the point, as Jackson writes an instant.
fn with_message_time(object: Object, time: Timestamp) -> String {
    let mut text = object.finish();
    text.pop();
    text.push_str(&format!(
        ",\"message_time\":{}.{:09}}}",
        time.as_second(),
        time.subsec_nanosecond()
    ));
    text
}

/// A hit of the REST API; fields that are not there are left out, but `enabled` is always there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Hit {
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_severity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    message_time: String,
    config: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    config_msg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    enabled: bool,
}

/// The hit of an entry; nothing for what Phoebus has no index for.
pub fn hit(entry: &Entry) -> Option<Hit> {
    let (_index, document) = document(entry)?;
    let event_time = entry.event.state().and_then(|state| state.event_time);
    Some(Hit {
        severity: document.severity,
        message: document.message,
        value: document.value,
        time: document
            .time
            .is_some()
            .then(|| answered_time(event_time.unwrap_or(entry.time))),
        current_severity: document.current_severity,
        current_message: document.current_message,
        mode: document.mode,
        message_time: answered_time(entry.time),
        config: document.config,
        config_msg: document.config_msg,
        pv: document.pv,
        user: document.user,
        host: document.host,
        command: document.command,
        enabled: document.enabled.as_deref() == Some("true"),
    })
}

/// As Java writes an instant of whole milliseconds.
fn answered_time(time: Timestamp) -> String {
    let format = if time.subsec_millisecond() == 0 {
        "%Y-%m-%dT%H:%M:%SZ"
    } else {
        "%Y-%m-%dT%H:%M:%S%.3fZ"
    };
    time.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use bus::Incoming;
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::*;
    use crate::record::{Reading, Role, read};

    fn entry(key: &str, value: Option<&str>, milliseconds: u64) -> Entry {
        let record = Incoming {
            topic: "Accelerator".into(),
            offset: 0,
            time: UNIX_EPOCH + Duration::from_millis(milliseconds),
            key: Some(key.to_owned()),
            value: value.map(str::to_owned),
        };
        match read(Role::Tree, &record) {
            Reading::Entry(entry) => *entry,
            other => panic!("{other:?}"),
        }
    }

    /// The documents that a real logger wrote of these records (reference: phoebus-logger, "Documents").
    #[test]
    fn documents_as_recorded() {
        let rows: [(&str, &str, u64, Index, Value); 4] = [
            (
                "state:/Accelerator/B/t:disabled",
                r#"{"severity":"OK","message":"OK","value":"","time":{"seconds":1795324220,"nano":605123456},"current_severity":"OK","current_message":"OK"}"#,
                1_795_324_220_605,
                Index::State,
                json!({"severity":"OK","current_message":"OK","message_time":"2026-11-22 05:10:20.605","current_severity":"OK","pv":"t:disabled","latch":"false","time":"2026-11-22 05:10:20.605","message":"OK","config":"state:/Accelerator/B/t:disabled","value":"","notify":"true"}),
            ),
            (
                "state:/Accelerator/B/t:missing",
                r#"{"severity":"UNDEFINED_ACK","latch":true,"message":"Disconnected","value":"","time":{"seconds":1795324128,"nano":955000000},"current_severity":"UNDEFINED","current_message":"Disconnected"}"#,
                1_795_324_220_605,
                Index::State,
                json!({"severity":"UNDEFINED_ACK","current_message":"Disconnected","message_time":"2026-11-22 05:10:20.605","current_severity":"UNDEFINED","pv":"t:missing","latch":"true","time":"2026-11-22 05:08:48.955","message":"Disconnected","config":"state:/Accelerator/B/t:missing","value":"","notify":"true"}),
            ),
            (
                "command:/Accelerator/A/t:ai1",
                r#"{"user":"tester","host":"labhost","command":"acknowledge"}"#,
                1_795_324_146_737,
                Index::Command,
                json!({"message_time":"2026-11-22 05:09:06.737","host":"labhost","config":"command:/Accelerator/A/t:ai1","user":"tester","command":"acknowledge"}),
            ),
            (
                "config:/Accelerator/A",
                r#"{"user":"root","host":"vm","guidance":[{"title":"Area A","details":"Call operator"}]}"#,
                1_795_324_120_642,
                Index::Config,
                json!({"config_msg":"{\"user\":\"root\",\"host\":\"vm\",\"enabled\":true,\"latching\":true,\"annunciating\":true,\"delay\":0,\"count\":0,\"guidance\":[{\"title\":\"Area A\",\"details\":\"Call operator\",\"delay\":0}],\"config\":\"config:/Accelerator/A\",\"message_time\":1795324120.642000000}","message_time":"2026-11-22 05:08:40.642","host":"vm","config":"config:/Accelerator/A","user":"root","enabled":"true","latching":"true"}),
            ),
        ];
        for (key, value, time, index, expected) in rows {
            let (found_index, found) = document(&entry(key, Some(value), time)).unwrap();
            assert_eq!(found_index, index);
            assert_eq!(serde_json::to_value(&found).unwrap(), expected);
            let back = read_stored_time(&found.message_time).unwrap();
            assert_eq!(back.as_millisecond(), i64::try_from(time).unwrap());
        }
    }

    #[test]
    fn hits_as_recorded() {
        let state = entry(
            "state:/Accelerator/A/t:ai1",
            Some(
                r#"{"severity":"MAJOR","message":"HIHI_ALARM","value":"95.0","time":{"seconds":1795324265,"nano":638123000},"current_severity":"MAJOR","current_message":"HIHI_ALARM"}"#,
            ),
            1_795_324_265_639,
        );
        assert_eq!(
            serde_json::to_string(&hit(&state)).unwrap(),
            r#"{"severity":"MAJOR","message":"HIHI_ALARM","value":"95.0","time":"2026-11-22T05:11:05.638Z","current_severity":"MAJOR","current_message":"HIHI_ALARM","message_time":"2026-11-22T05:11:05.639Z","config":"state:/Accelerator/A/t:ai1","pv":"t:ai1","enabled":false}"#
        );
        let command = entry(
            "command:/Accelerator",
            Some(r#"{"user":"tester","host":"labhost","command":"acknowledge"}"#),
            1_795_324_262_630,
        );
        assert_eq!(
            serde_json::to_string(&hit(&command)).unwrap(),
            r#"{"message_time":"2026-11-22T05:11:02.630Z","config":"command:/Accelerator","user":"tester","host":"labhost","command":"acknowledge","enabled":false}"#
        );
        let config = entry(
            "config:/Accelerator/A/t:ai1",
            Some(r#"{"user":"root","host":"vm","description":"t:ai1"}"#),
            1_795_324_120_647,
        );
        assert_eq!(
            serde_json::to_string(&hit(&config)).unwrap(),
            r#"{"message_time":"2026-11-22T05:08:40.647Z","config":"config:/Accelerator/A/t:ai1","config_msg":"{\"user\":\"root\",\"host\":\"vm\",\"description\":\"t:ai1\",\"enabled\":true,\"latching\":true,\"annunciating\":true,\"delay\":0,\"count\":0,\"config\":\"config:/Accelerator/A/t:ai1\",\"message_time\":1795324120.647000000}","user":"root","host":"vm","enabled":true}"#
        );
    }

    #[test]
    fn what_phoebus_does_not_log_or_logs_wrongly() {
        let deletion = entry(
            "config:/Accelerator/A",
            Some(r#"{"user":"root","host":"vm","delete":"Deleting"}"#),
            1000,
        );
        let (index, found) = document(&deletion).unwrap();
        assert_eq!((index, &found.enabled), (Index::Config, &None));
        assert!(found.config_msg.unwrap().contains(r#""delete":"Deleting""#));
        let (_, tombstone) = document(&entry("config:/Accelerator/A", None, 1000)).unwrap();
        assert_eq!(tombstone.user, None);
        assert_eq!(document(&entry("state:/Accelerator/A/x", None, 1000)), None);
        assert_eq!(configuration(&deletion), "Accelerator");
    }

    #[test]
    fn a_whole_second_has_no_places_behind_the_point() {
        let time = |milliseconds| Timestamp::from_millisecond(milliseconds).unwrap();
        assert_eq!(answered_time(time(1000)), "1970-01-01T00:00:01Z");
        assert_eq!(answered_time(time(1020)), "1970-01-01T00:00:01.020Z");
        assert_eq!(stored_time(time(1000)), "1970-01-01 00:00:01.000");
    }
}
