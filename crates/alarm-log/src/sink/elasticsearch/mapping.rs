//! Fields of the indices: the templates of Phoebus' logger, and whether an index that is there has such fields. Pure.

use serde_json::{Map, Value, json};

use crate::phoebus::Index;

/// Times of documents.
const FORMAT: &str = "yyyy-MM-dd HH:mm:ss.SSS";
/// Texts that are longer (characters) are kept, but not searched for: the server refuses the whole document otherwise
/// (32,766 bytes, Lucene's longest term).
const LONGEST: u32 = 8191;

/// What a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// A text that is searched for as a whole.
    Word,
    /// One that records can make as long as they like.
    Text,
    Boolean,
    Time,
}

/// The fields of an index, as Phoebus 5.0.5 maps them.
fn fields(kind: Index) -> &'static [(&'static str, Field)] {
    match kind {
        Index::State => &[
            ("config", Field::Word),
            ("pv", Field::Word),
            ("severity", Field::Word),
            ("latch", Field::Boolean),
            ("message", Field::Text),
            ("value", Field::Text),
            ("time", Field::Time),
            ("message_time", Field::Time),
            ("current_severity", Field::Word),
            ("current_message", Field::Text),
            ("mode", Field::Word),
        ],
        Index::Command => &[
            ("config", Field::Word),
            ("user", Field::Word),
            ("host", Field::Word),
            ("command", Field::Text),
            ("message_time", Field::Time),
        ],
        Index::Config => &[
            ("config", Field::Word),
            ("user", Field::Word),
            ("host", Field::Word),
            ("enabled", Field::Word),
            ("latching", Field::Word),
            ("config_msg", Field::Text),
            ("message_time", Field::Time),
        ],
    }
}

pub(super) fn template_name(kind: Index) -> String {
    format!("alarms_{}_template", kind.word())
}

/// The template of an index.
pub(super) fn template(kind: Index) -> Value {
    let mut properties = Map::new();
    properties.insert("APPLICATION-ID".to_owned(), json!({ "type": "text" }));
    for (name, field) in fields(kind) {
        let mapped = match field {
            Field::Word => json!({ "type": "keyword" }),
            Field::Text => json!({ "type": "keyword", "ignore_above": LONGEST }),
            Field::Boolean => json!({ "type": "boolean" }),
            Field::Time => json!({ "type": "date", "format": FORMAT }),
        };
        properties.insert((*name).to_owned(), mapped);
    }
    let priority = match kind {
        Index::State => 1,
        Index::Command => 2,
        Index::Config => 3,
    };
    json!({
        "index_patterns": [format!("*_alarms_{}*", kind.word())],
        "priority": priority,
        "template": { "mappings": { "properties": properties } },
    })
}

/// Why an index with these mappings is none of an alarm history: what is written would be refused or not found again.
pub(super) fn foreign(mappings: &Value, kind: Index) -> Option<String> {
    let is_strict = mappings["dynamic"] == "strict";
    for (name, field) in fields(kind) {
        let mapped = mappings.get("properties").and_then(|all| all.get(name));
        let Some(mapped) = mapped else {
            return Some(format!("it has no field `{name}`"));
        };
        let found = mapped["type"].as_str().unwrap_or("object");
        let fits = match field {
            Field::Word | Field::Text => matches!(found, "keyword" | "wildcard"),
            Field::Boolean => matches!(found, "boolean" | "keyword"),
            Field::Time => {
                if matches!(found, "date" | "date_nanos") && !takes_our_times(mapped) {
                    return Some(format!(
                        "its field `{name}` takes times as `{}`, not as `{FORMAT}`",
                        mapped["format"].as_str().unwrap_or("ISO 8601")
                    ));
                }
                matches!(found, "date" | "date_nanos")
            }
        };
        if !fits {
            let wanted = match field {
                Field::Word | Field::Text => "keyword",
                Field::Boolean => "boolean",
                Field::Time => "date",
            };
            return Some(format!("its field `{name}` is `{found}`, not `{wanted}`"));
        }
    }
    // Phoebus writes it too, and its own template leaves it to the server
    let knows_notify = mappings.pointer("/properties/notify").is_some();
    (kind == Index::State && is_strict && !knows_notify)
        .then(|| "it has no field `notify`, and takes no others (`dynamic: strict`)".to_owned())
}

fn takes_our_times(mapped: &Value) -> bool {
    let format = mapped["format"].as_str().unwrap_or_default();
    format.split("||").any(|one| one == FORMAT)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    /// What a real logger's indices have (reference: phoebus-logger, "Mappings").
    const STATE: &str = r#"{"properties":{"APPLICATION-ID":{"type":"text"},"config":{"type":"keyword"},"current_message":{"type":"keyword"},"current_severity":{"type":"keyword"},"latch":{"type":"boolean"},"message":{"type":"keyword"},"message_time":{"type":"date","format":"yyyy-MM-dd HH:mm:ss.SSS"},"mode":{"type":"keyword"},"notify":{"type":"text","fields":{"keyword":{"type":"keyword","ignore_above":256}}},"pv":{"type":"keyword"},"severity":{"type":"keyword"},"time":{"type":"date","format":"yyyy-MM-dd HH:mm:ss.SSS"},"value":{"type":"keyword"}}}"#;
    const COMMAND: &str = r#"{"properties":{"APPLICATION-ID":{"type":"text"},"command":{"type":"keyword"},"config":{"type":"keyword"},"host":{"type":"keyword"},"message_time":{"type":"date","format":"yyyy-MM-dd HH:mm:ss.SSS"},"user":{"type":"keyword"}}}"#;
    const CONFIG: &str = r#"{"properties":{"APPLICATION-ID":{"type":"text"},"config":{"type":"keyword"},"config_msg":{"type":"keyword"},"enabled":{"type":"keyword"},"host":{"type":"keyword"},"latching":{"type":"keyword"},"message_time":{"type":"date","format":"yyyy-MM-dd HH:mm:ss.SSS"},"user":{"type":"keyword"}}}"#;

    #[test]
    fn templates_are_those_of_phoebus() {
        for (kind, recorded) in [
            (Index::State, STATE),
            (Index::Command, COMMAND),
            (Index::Config, CONFIG),
        ] {
            let mut recorded: Value = serde_json::from_str(recorded).unwrap();
            assert_eq!(foreign(&recorded, kind), None);
            // the server's own guess
            recorded["properties"]
                .as_object_mut()
                .unwrap()
                .remove("notify");
            let mut ours = template(kind)["template"]["mappings"].clone();
            assert_eq!(foreign(&ours, kind), None);
            for (_name, field) in ours["properties"].as_object_mut().unwrap() {
                field.as_object_mut().unwrap().remove("ignore_above");
            }
            assert_eq!(ours, recorded);
        }
        assert_eq!(template_name(Index::Command), "alarms_cmd_template");
    }

    #[test]
    fn foreign_fields_are_recognised() {
        let with = |pointer: &str, value: Value| {
            let mut mappings: Value = serde_json::from_str(STATE).unwrap();
            *mappings.pointer_mut(pointer).unwrap() = value;
            foreign(&mappings, Index::State).unwrap()
        };
        let rows = [
            (
                "/properties/pv",
                json!({"type":"text"}),
                "its field `pv` is `text`, not `keyword`",
            ),
            (
                "/properties/value",
                json!({"type":"float"}),
                "its field `value` is `float`, not `keyword`",
            ),
            (
                "/properties/message_time",
                json!({"type":"date"}),
                "its field `message_time` takes times as `ISO 8601`, not as `yyyy-MM-dd HH:mm:ss.SSS`",
            ),
            (
                "/properties/time",
                json!({"type":"keyword"}),
                "its field `time` is `keyword`, not `date`",
            ),
            (
                "/properties/mode",
                json!({"properties":{}}),
                "its field `mode` is `object`, not `keyword`",
            ),
            ("/properties", json!({}), "it has no field `config`"),
        ];
        for (pointer, value, expected) in rows {
            assert_eq!(with(pointer, value), expected);
        }
        assert_eq!(
            foreign(&json!({}), Index::Command).unwrap(),
            "it has no field `config`"
        );
        let mut strict: Value = serde_json::from_str(STATE).unwrap();
        strict["dynamic"] = json!("strict");
        assert_eq!(foreign(&strict, Index::State), None);
        strict["properties"]
            .as_object_mut()
            .unwrap()
            .remove("notify");
        assert!(foreign(&strict, Index::State).unwrap().contains("`notify`"));
    }
}
