//! How recordings of the Phoebus alarm server are compared with what our server wrote: key by key, sequence, fields, order and values; times with
//! some tolerance; states of groups that last shorter than the walk through a tree are left out.
//!
//! Included by the tests of several crates.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// States of groups that are shorter than this may be merged, in seconds.
const COALESCE: f64 = 0.5;
/// How far times may differ, in seconds.
const TOLERANCE: f64 = 0.7;

/// A record with its time, in seconds since the server was ready.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// When it was written.
    pub(crate) t: f64,
    /// What; `null` for a tombstone.
    pub(crate) value: Value,
}

/// Records by topic and key.
pub(crate) type Rows = BTreeMap<(String, String), Vec<Row>>;

/// All scenarios, each with the keys in which we differ on purpose: what `docs/alarm-compatibility.md` lists, no more.
pub(crate) const SCENARIOS: [(&str, &[&str]); 10] = [
    ("01-latch-ack-clear", &[]),
    ("02-non-latching", &[]),
    ("03-delay-and-count", &[]),
    ("04-filter", &[]),
    (
        "05-disable-enable",
        &["state:/Trace/A/y", "state:/Trace/A/z", "talk:/Trace/A/y"],
    ),
    ("06-disconnect-reconnect", &[]),
    ("07-maintenance-and-notify", &[]),
    (
        "08-config-edits",
        &[
            "state:/Trace/A",
            "state:/Trace/A/B",
            "state:/Trace/A/B/C",
            "state:/Trace/A/B/C/c0",
            "state:/Trace/D",
            "state:/Trace/D/d0",
            "talk:/Trace/A/B/C/c0",
        ],
    ),
    (
        "09-names-and-types",
        &[
            "state:/Trace",
            "state:/Trace/A",
            r"state:/Trace/A/loc:\/\/x(3)",
            r"talk:/Trace/A/loc:\/\/x(3)",
        ],
    ),
    ("10-group-ack", &[]),
];

fn is_group(rows: &[Row]) -> bool {
    rows.iter()
        .all(|row| row.value.is_object() && row.value.get("current_severity").is_none())
}

/// Drops what lasted less than [`COALESCE`], then repeats.
fn settle(rows: &[Row]) -> Vec<Row> {
    let mut settled: Vec<Row> = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let is_short = rows
            .get(place + 1)
            .is_some_and(|next| next.t - row.t < COALESCE);
        if !is_short && settled.last().is_none_or(|last| last.value != row.value) {
            settled.push(row.clone());
        }
    }
    settled
}

/// A record without its times.
fn shape(value: &Value) -> String {
    let mut value = value.clone();
    if let Some(fields) = value.as_object_mut() {
        if let Some(time) = fields.get_mut("time") {
            *time = Value::Null;
        }
        for name in ["user", "host"] {
            if let Some(field) = fields.get_mut(name) {
                *field = Value::Null;
            }
        }
    }
    if let Some(Value::String(text)) = value.get_mut("value")
        && let Some((array, _time)) = text.rsplit_once(", 20")
        && text.starts_with('V')
    {
        // arrays print their time stamp
        *text = array.to_owned();
    }
    value.to_string()
}

fn stamp(value: &Value) -> Option<f64> {
    let seconds = value["time"]["seconds"].as_f64()?;
    Some(seconds + value["time"]["nano"].as_f64()? / 1e9)
}

/// The differences, each with its key first.
pub(crate) fn differences(expected: &Rows, written: &Rows) -> Vec<String> {
    let mut found = Vec::new();
    let mut keys: Vec<&(String, String)> = expected.keys().chain(written.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let rows = |all: &Rows| all.get(key).cloned().unwrap_or_default();
        let (mut theirs, mut ours) = (rows(expected), rows(written));
        if key.1.starts_with("state:") && (is_group(&theirs) || is_group(&ours)) {
            (theirs, ours) = (settle(&theirs), settle(&ours));
        }
        let shapes =
            |rows: &[Row]| -> Vec<String> { rows.iter().map(|row| shape(&row.value)).collect() };
        if shapes(&theirs) != shapes(&ours) {
            let list = |rows: &[Row]| {
                rows.iter().fold(String::new(), |mut text, row| {
                    let _infallible = write!(text, "\n     {:7.3} {}", row.t, shape(&row.value));
                    text
                })
            };
            found.push(format!(
                "{}\n  theirs{}\n  ours{}",
                key.1,
                list(&theirs),
                list(&ours)
            ));
            continue;
        }
        for (one, other) in theirs.iter().zip(&ours) {
            let stamps = match (stamp(&one.value), stamp(&other.value)) {
                (Some(one), Some(other)) => (one - other).abs(),
                _ => 0.0,
            };
            if (one.t - other.t).abs() > TOLERANCE || stamps > TOLERANCE {
                found.push(format!(
                    "{} at {:.3}: ours at {:.3}, time stamps {stamps:.3} apart",
                    key.1, one.t, other.t
                ));
            }
        }
    }
    found
}

/// The keys of differences.
pub(crate) fn keys(differences: &[String]) -> Vec<&str> {
    differences
        .iter()
        .filter_map(|one| one.lines().next())
        .map(|line| line.split(" at ").next().unwrap_or(line))
        .collect()
}
