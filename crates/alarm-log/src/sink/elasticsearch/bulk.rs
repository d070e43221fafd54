//! Many documents in one request, and what became of each. Pure.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::phoebus::Document;

/// A document to be made.
#[derive(Debug)]
pub(super) struct Item {
    /// Its place among the entries.
    pub(super) place: usize,
    /// The two lines that ask for it.
    lines: Vec<u8>,
}

impl Item {
    pub(super) fn new(
        place: usize,
        index: &str,
        id: &str,
        document: &Document,
    ) -> Result<Self, serde_json::Error> {
        // `create`, unlike `index`, leaves alone what is there
        let mut lines = json!({ "create": { "_index": index, "_id": id } })
            .to_string()
            .into_bytes();
        lines.push(b'\n');
        document.serialize(&mut serde_json::Serializer::new(&mut lines))?;
        lines.push(b'\n');
        Ok(Self { place, lines })
    }
}

/// Items in parts of at most so many bytes, or of one item.
pub(super) fn parts(items: Vec<Item>, most: usize) -> Vec<Vec<Item>> {
    let mut parts: Vec<Vec<Item>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let length = item.lines.len();
        match parts.last_mut() {
            Some(part) if bytes + length <= most => part.push(item),
            _ => {
                bytes = 0;
                parts.push(vec![item]);
            }
        }
        bytes += length;
    }
    parts
}

/// The body of a request.
pub(super) fn lines(items: &[Item]) -> Vec<u8> {
    let parts: Vec<&[u8]> = items.iter().map(|item| item.lines.as_slice()).collect();
    parts.concat()
}

/// What became of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Became {
    /// It is there, now or since before.
    There,
    /// No index will ever take it.
    Refused(String),
    /// The server could not, and later perhaps can.
    Busy(String),
}

#[derive(Debug, Deserialize)]
struct Answer {
    errors: bool,
    #[serde(default)]
    items: Vec<Answered>,
}

#[derive(Debug, Deserialize)]
struct Answered {
    create: Single,
}

#[derive(Debug, Deserialize)]
struct Single {
    status: u16,
    #[serde(default)]
    error: Option<Error>,
}

#[derive(Debug, Deserialize)]
struct Error {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    caused_by: Option<Box<Error>>,
}

/// Reads what became of so many documents.
pub(super) fn read(bytes: &[u8], count: usize) -> Result<Vec<Became>, String> {
    let answer: Answer = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if !answer.errors {
        return Ok(vec![Became::There; count]);
    }
    if answer.items.len() != count {
        return Err(format!(
            "it says of {count} documents what became of {}",
            answer.items.len()
        ));
    }
    Ok(answer
        .items
        .into_iter()
        .map(|item| became(item.create))
        .collect())
}

/// Errors with status 400 that are about the cluster or the index, not about the document: somebody can mend them.
const PASSING: [&str; 3] = [
    "index_closed_exception",
    "cluster_block_exception",
    // as many shards as there may be
    "validation_exception",
];

fn became(single: Single) -> Became {
    if matches!(single.status, 200 | 201 | 409) {
        return Became::There;
    }
    let (kind, reason) = match single.error {
        Some(error) => (error.kind.clone(), words(&error)),
        None => (String::new(), format!("status {}", single.status)),
    };
    if matches!(single.status, 400 | 413) && !PASSING.contains(&kind.as_str()) {
        Became::Refused(reason)
    } else {
        Became::Busy(reason)
    }
}

fn words(error: &Error) -> String {
    let mut text = error.kind.clone();
    if let Some(reason) = &error.reason {
        text.push_str(": ");
        text.push_str(reason);
    }
    if let Some(cause) = &error.caused_by {
        text.push_str("; ");
        text.push_str(&words(cause));
    }
    text
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn item(place: usize, length: usize) -> Item {
        Item {
            place,
            lines: vec![b'x'; length],
        }
    }

    #[test]
    fn parts_are_no_larger_than_they_may_be() {
        let items = [3, 3, 3, 20, 1, 9]
            .into_iter()
            .enumerate()
            .map(|(place, length)| item(place, length));
        let parts = parts(items.collect(), 10);
        let places: Vec<Vec<usize>> = parts
            .iter()
            .map(|part| part.iter().map(|item| item.place).collect())
            .collect();
        assert_eq!(places, [vec![0, 1, 2], vec![3], vec![4, 5]]);
    }

    #[test]
    fn a_document_is_two_lines() {
        let document = Document {
            config: "state:/X/a".to_owned(),
            message_time: "2026-11-22 05:10:20.605".to_owned(),
            ..Document::default()
        };
        let item = Item::new(0, "x_alarms_state", "X:1:2", &document).unwrap();
        assert_eq!(
            String::from_utf8(lines(&[item])).unwrap(),
            "{\"create\":{\"_id\":\"X:1:2\",\"_index\":\"x_alarms_state\"}}\n{\"config\":\"state:/X/a\",\"message_time\":\"2026-11-22 05:10:20.605\"}\n"
        );
    }

    /// Answers of Elasticsearch 8.2.0; those of OpenSearch 2.19.1 are the same.
    #[test]
    fn what_became_of_each() {
        assert_eq!(
            read(
                br#"{"errors":false,"items":[{"create":{"status":201}}]}"#,
                1
            ),
            Ok(vec![Became::There])
        );
        let rows = [
            (r#"{"status":201}"#, Became::There),
            (
                r#"{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"[X:1:5]: version conflict, document already exists (current version [1])"}}"#,
                Became::There,
            ),
            (
                r#"{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse","caused_by":{"type":"illegal_argument_exception","reason":"no date"}}}"#,
                Became::Refused(
                    "mapper_parsing_exception: failed to parse; illegal_argument_exception: no date".to_owned(),
                ),
            ),
            (
                r#"{"status":400,"error":{"type":"invalid_index_name_exception","reason":"Invalid index name [x y]"}}"#,
                Became::Refused("invalid_index_name_exception: Invalid index name [x y]".to_owned()),
            ),
            (
                r#"{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"queue"}}"#,
                Became::Busy("es_rejected_execution_exception: queue".to_owned()),
            ),
            (
                r#"{"status":503,"error":{"type":"unavailable_shards_exception"}}"#,
                Became::Busy("unavailable_shards_exception".to_owned()),
            ),
            (
                r#"{"status":403,"error":{"type":"cluster_block_exception","reason":"read-only"}}"#,
                Became::Busy("cluster_block_exception: read-only".to_owned()),
            ),
            (
                r#"{"status":400,"error":{"type":"validation_exception","reason":"too many shards"}}"#,
                Became::Busy("validation_exception: too many shards".to_owned()),
            ),
            (r#"{"status":500}"#, Became::Busy("status 500".to_owned())),
        ];
        for (result, expected) in rows {
            let answer = format!(r#"{{"errors":true,"items":[{{"create":{result}}}]}}"#);
            assert_eq!(read(answer.as_bytes(), 1), Ok(vec![expected]), "{result}");
        }
        assert!(read(br#"{"errors":true,"items":[]}"#, 1).is_err());
        assert!(read(b"{}", 1).is_err());
    }
}
