//! Entries as lines of streams. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::entry::Entry;
use crate::phoebus;
use crate::query::severity;

/// The severities that become labels; what others write would make a stream each.
pub(super) const SEVERITIES: [&str; 9] = [
    "OK",
    "MINOR",
    "MAJOR",
    "INVALID",
    "UNDEFINED",
    "MINOR_ACK",
    "MAJOR_ACK",
    "INVALID_ACK",
    "UNDEFINED_ACK",
];

/// Nanoseconds of a millisecond.
const MILLISECOND: i128 = 1_000_000;

/// A line and where it goes.
#[derive(Debug)]
pub(super) struct Line {
    labels: BTreeMap<&'static str, String>,
    nanoseconds: i128,
    text: String,
    beside: BTreeMap<&'static str, String>,
}

/// The time of an entry's line. Records have milliseconds; below them the offset keeps records of one millisecond apart and in
/// their order.
pub(super) fn nanoseconds(entry: &Entry) -> i128 {
    i128::from(entry.time.as_millisecond()) * MILLISECOND + i128::from(entry.offset) % MILLISECOND
}

impl Line {
    pub(super) fn new(entry: &Entry) -> Result<Self, serde_json::Error> {
        let event = &entry.event;
        let mut labels = BTreeMap::from([
            ("config", phoebus::configuration(entry)),
            ("kind", event.kind().name().to_owned()),
        ]);
        if let Some(severity) = severity(event)
            && SEVERITIES.contains(&severity)
        {
            labels.insert("severity", severity.to_owned());
        }
        let mut beside = BTreeMap::from([("pv", entry.pv.clone())]);
        for (name, text) in [("user", event.user()), ("host", event.host())] {
            if let Some(text) = text {
                beside.insert(name, text.to_owned());
            }
        }
        Ok(Self {
            labels,
            nanoseconds: nanoseconds(entry),
            text: serde_json::to_string(entry)?,
            beside,
        })
    }
}

/// Lines in parts of at most so many bytes, or of one line.
pub(super) fn parts(lines: &[Line], most: usize) -> Vec<&[Line]> {
    let mut parts = Vec::new();
    let (mut begin, mut bytes) = (0, 0);
    for (place, line) in lines.iter().enumerate() {
        if place > begin && bytes + line.text.len() > most {
            parts.push(&lines[begin..place]);
            (begin, bytes) = (place, 0);
        }
        bytes += line.text.len();
    }
    if begin < lines.len() {
        parts.push(&lines[begin..]);
    }
    parts
}

/// The body of a request: each stream with its lines in their order.
pub(super) fn body(lines: &[Line]) -> Value {
    let mut streams: BTreeMap<&BTreeMap<&str, String>, Vec<Value>> = BTreeMap::new();
    for line in lines {
        let value = json!([line.nanoseconds.to_string(), line.text, line.beside]);
        streams.entry(&line.labels).or_default().push(value);
    }
    let streams: Vec<Value> = streams
        .into_iter()
        .map(|(labels, values)| json!({ "stream": labels, "values": values }))
        .collect();
    json!({ "streams": streams })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::entry::{Command, Event, State};

    fn entry(offset: u64, event: Event) -> Entry {
        Entry {
            topic: "X".into(),
            offset,
            time: jiff::Timestamp::from_millisecond(1_795_324_265_639).unwrap(),
            key: "state:/X/a".to_owned(),
            path: "/X/a".to_owned(),
            pv: "a".to_owned(),
            event,
        }
    }

    fn state(severity: &str) -> Event {
        Event::State(State {
            severity: Some(severity.to_owned()),
            ..State::default()
        })
    }

    #[test]
    fn streams_have_few_labels_and_their_lines_in_order() {
        let command = Event::Command(Command {
            user: Some("tester".to_owned()),
            host: None,
            command: "acknowledge".to_owned(),
        });
        let entries = [
            entry(7, state("MAJOR")),
            entry(1_000_001, state("MAJOR")),
            // of another server: no label
            entry(8, state("SOMETHING")),
            entry(9, command),
        ];
        let lines: Vec<Line> = entries
            .iter()
            .map(|entry| Line::new(entry).unwrap())
            .collect();
        let body = body(&lines);
        let streams = body["streams"].as_array().unwrap();
        let labels: Vec<&Value> = streams.iter().map(|stream| &stream["stream"]).collect();
        assert_eq!(
            labels,
            [
                &json!({"config":"X","kind":"command"}),
                &json!({"config":"X","kind":"state"}),
                &json!({"config":"X","kind":"state","severity":"MAJOR"}),
            ]
        );
        let major = streams[2]["values"].as_array().unwrap();
        let times: Vec<&str> = major
            .iter()
            .map(|value| value[0].as_str().unwrap())
            .collect();
        assert_eq!(times, ["1795324265639000007", "1795324265639000001"]);
        assert_eq!(
            streams[0]["values"][0][2],
            json!({"pv":"a","user":"tester"})
        );
        let back: Entry = serde_json::from_str(major[0][1].as_str().unwrap()).unwrap();
        assert_eq!(back, entries[0]);
    }

    #[test]
    fn parts_are_no_larger_than_they_may_be() {
        let lines: Vec<Line> = (0..5)
            .map(|offset| Line::new(&entry(offset, state("OK"))).unwrap())
            .collect();
        let length = lines[0].text.len();
        let sizes = |most: usize| -> Vec<usize> {
            parts(&lines, most).iter().map(|part| part.len()).collect()
        };
        assert_eq!(sizes(2 * length), [2, 2, 1]);
        assert_eq!(sizes(1), [1; 5]);
        assert_eq!(sizes(100 * length), [5]);
        assert!(parts(&[], 1).is_empty());
    }
}
