//! The records of the scenarios as an IOC would have them: what a channel tells when its record has some value.

use std::collections::BTreeMap;
use std::sync::Arc;

use alarm::value::{Array, Elements};
use alarm::{Severity, State, Text, Time, Value};
use serde_json::Value as Json;

/// A record: its type, what was last put to it, and when.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    kind: String,
    value: Option<Json>,
    time: f64,
}

/// The records of an IOC by name.
#[derive(Debug, Default)]
pub(crate) struct Ioc {
    records: BTreeMap<String, Record>,
    /// Descriptions, by record.
    descriptions: BTreeMap<String, String>,
}

impl Ioc {
    /// The records that a database defines.
    pub(crate) fn load(database: &str, time: f64) -> Self {
        let mut ioc = Self::default();
        for rest in database.split("record(").skip(1) {
            let Some((kind, rest)) = rest.split_once(", \"") else {
                continue;
            };
            let Some((name, _fields)) = rest.split_once('"') else {
                continue;
            };
            let record = Record {
                kind: kind.to_owned(),
                value: None,
                time,
            };
            ioc.records.insert(name.to_owned(), record);
        }
        ioc
    }

    /// Whether a channel exists.
    pub(crate) fn has(&self, channel: &str) -> bool {
        self.records.contains_key(record_of(channel))
    }

    /// The names of the records.
    pub(crate) fn names(&self) -> Vec<String> {
        self.records.keys().cloned().collect()
    }

    /// The IOC starts again.
    pub(crate) fn restart(&mut self, time: f64) {
        for record in self.records.values_mut() {
            record.value = None;
            record.time = time;
        }
    }

    /// A value is put. Whether the record takes it.
    pub(crate) fn put(&mut self, name: &str, value: &Json, time: f64) -> bool {
        if let Some(record) = name.strip_suffix(".DESC") {
            let text = value.as_str().unwrap_or_default().to_owned();
            self.descriptions.insert(record.to_owned(), text);
            return true;
        }
        let Some(record) = self.records.get_mut(name) else {
            return false;
        };
        // there is no state number 9
        if record.kind == "mbbi" && value.as_f64() == Some(9.0) {
            return false;
        }
        record.value = Some(value.clone());
        record.time = time;
        true
    }

    /// Whether a put to `name` is news for a channel.
    pub(crate) fn is_news(name: &str, channel: &str) -> bool {
        if name.contains('.') {
            return name == channel;
        }
        let field = channel
            .split_once('.')
            .map_or("VAL", |(_record, field)| field);
        record_of(channel) == name && matches!(field, "VAL" | "VAL$")
    }

    /// What a channel tells, by its record and its field. `moment` makes a time stamp; `now` is the server's time.
    pub(crate) fn tell(&self, channel: &str, moment: impl Fn(f64) -> Time, now: Time) -> State {
        let record = &self.records[record_of(channel)];
        let field = channel
            .split_once('.')
            .map_or("VAL", |(_record, field)| field);
        let time = moment(record.time);
        let (severity, message) = alarm(record_of(channel), record);
        if message == "UDF_ALARM" {
            // never processed: the time stamp is no time
            return State::new(severity, message, 0.0, now);
        }
        let value = match field {
            "HIGH" => Value::Double(0.5),
            "DESC" => {
                let text = self.descriptions.get(record_of(channel));
                text.cloned().unwrap_or_default().into()
            }
            // a plain string without an alarm
            "RTYP" => return State::new(Severity::Ok, "None", record.kind.as_str(), now),
            _ => value(record_of(channel), record, field, severity, &message, time),
        };
        State::new(severity, message, value, time)
    }
}

fn record_of(channel: &str) -> &str {
    channel
        .split_once('.')
        .map_or(channel, |(record, _field)| record)
}

fn number(record: &Record) -> f64 {
    record
        .value
        .as_ref()
        .and_then(Json::as_f64)
        .unwrap_or_default()
}

fn alarm(name: &str, record: &Record) -> (Severity, Text) {
    let number = number(record);
    let alarm = match (record.kind.as_str(), name) {
        ("ai", "never:set") if record.value.is_none() => (Severity::Invalid, "UDF_ALARM"),
        ("ai", "num") if number >= 0.5 => (Severity::Minor, "HIGH_ALARM"),
        ("longin", _) if number >= 10.0 => (Severity::Minor, "HIGH_ALARM"),
        ("bi", _) if number >= 1.0 => (Severity::Major, "STATE_ALARM"),
        ("mbbi", _) if number >= 3.0 => (Severity::Invalid, "STATE_ALARM"),
        ("mbbi", _) if number >= 2.0 => (Severity::Minor, "STATE_ALARM"),
        // those of the other scenarios
        ("ai", "never:set" | "num") => (Severity::Ok, "NO_ALARM"),
        ("ai", _) if number >= 2.0 => (Severity::Major, "HIHI_ALARM"),
        ("ai", _) if number >= 1.0 => (Severity::Minor, "HIGH_ALARM"),
        ("ai", _) if number <= -1.0 => (Severity::Invalid, "LOLO_ALARM"),
        _ => (Severity::Ok, "NO_ALARM"),
    };
    (alarm.0, alarm.1.into())
}

fn value(
    name: &str,
    record: &Record,
    field: &str,
    severity: Severity,
    status: &Text,
    time: Time,
) -> Value {
    let text = |default: &str| {
        let text = record.value.as_ref().and_then(Json::as_str);
        text.unwrap_or(default).to_owned()
    };
    let array = |elements| {
        Value::Array(Arc::new(Array {
            elements,
            severity,
            status: status.clone(),
            time,
        }))
    };
    let bytes = |text: &str, length: usize| {
        let mut bytes: Vec<i8> = text.bytes().map(|byte| i8::from_ne_bytes([byte])).collect();
        bytes.resize(length, 0);
        array(Elements::Bytes(bytes.into()))
    };
    let labelled = |labels: &[&str]| {
        let index = record.value.as_ref().and_then(Json::as_u64);
        let index = index.unwrap_or_default();
        let place = (0_u16..)
            .zip(labels)
            .find(|(place, _label)| u64::from(*place) == index);
        let (index, label) = place.unwrap_or((0, &""));
        Value::Enumeration {
            index,
            label: (*label).into(),
        }
    };
    let long = "a long string of more than forty characters, to be seen whole";
    match record.kind.as_str() {
        "bi" => labelled(&["Closed", "Open / moving"]),
        "mbbi" => labelled(&["zero", "", "Ünïcode", "three"]),
        "stringin" => text("hello \"quoted\" \\ text").into(),
        "lsi" if field == "VAL$" => bytes(long, 200),
        "lsi" => long[..39].into(),
        "longin" => Value::Whole(match &record.value {
            Some(value) => value.as_i64().unwrap_or_default(),
            None => 7,
        }),
        "waveform" => match &record.value {
            Some(Json::String(text)) if text.starts_with('[') => {
                let list: Vec<f64> = serde_json::from_str(text).unwrap_or_default();
                let mut list = list;
                list.resize(20, 0.0);
                array(Elements::Doubles(list.into()))
            }
            Some(Json::String(text)) => bytes(text, 300),
            _ if name == "wave:char" => bytes("", 300),
            _ => array(Elements::Doubles(vec![0.0; 20].into())),
        },
        _ => Value::Double(number(record)),
    }
}
