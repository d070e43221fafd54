//! `config:` messages: the definition of an item. A message replaces the whole definition.

use jiff::civil::DateTime;
use serde_json::{Map, Value};

use crate::config::{Action, Enabled, LeafConfig, Notes, TitleDetail};
use crate::wire::json::{Object, as_boolean, as_text, as_whole};

/// What a `config:` record says of its item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigMessage {
    /// The item is a PV: the message has a `description`.
    Leaf(LeafConfig),
    /// The item is a group, or it is a PV already and the message says nothing of what PVs have.
    Group(Notes),
    /// The item is about to be deleted; a tombstone follows.
    Deleting,
}

/// A `config:` message with who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Who.
    pub user: String,
    /// From where.
    pub host: String,
    /// What.
    pub message: ConfigMessage,
}

/// The message is no JSON object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message is no JSON object")]
pub struct NoObject;

impl Signed {
    /// Reads a message as leniently as Phoebus does: unknown fields do not matter, numbers and booleans are coerced,
    /// an enable date that is none leaves the PV enabled.
    ///
    /// # Errors
    ///
    /// Only a text that is no JSON object.
    pub fn read(text: &str) -> Result<Self, NoObject> {
        let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(text) else {
            return Err(NoObject);
        };
        let field = |name: &str| fields.get(name).map(as_text).unwrap_or_default();
        Ok(Self {
            user: field("user"),
            host: field("host"),
            message: message(&fields),
        })
    }

    /// The message with the fields and in the order of Phoebus.
    pub fn write(&self) -> String {
        let object = Object::new()
            .text("user", &self.user)
            .text("host", &self.host);
        match &self.message {
            ConfigMessage::Leaf(leaf) => notes(leaf_fields(object, leaf), &leaf.notes),
            ConfigMessage::Group(group) => notes(object, group),
            ConfigMessage::Deleting => object.text("delete", "Deleting"),
        }
        .finish()
    }
}

fn message(fields: &Map<String, Value>) -> ConfigMessage {
    if fields.contains_key("delete") {
        return ConfigMessage::Deleting;
    }
    let notes = Notes {
        guidance: list(fields, "guidance", title_detail),
        displays: list(fields, "displays", |item| {
            let mut display = title_detail(item);
            if let Some(rest) = display.details.strip_prefix("opi:") {
                display.details = rest.to_owned();
            }
            display
        }),
        commands: list(fields, "commands", title_detail),
        actions: list(fields, "actions", |item| {
            let TitleDetail { title, details } = title_detail(item);
            let delay = item.get("delay").map_or(0, natural);
            Action {
                title,
                details,
                delay,
            }
        }),
    };
    let Some(description) = fields.get("description") else {
        return ConfigMessage::Group(notes);
    };
    ConfigMessage::Leaf(LeafConfig {
        description: as_text(description),
        enabled: fields.get("enabled").map_or(Enabled::Yes, enabled),
        latching: fields.get("latching").is_none_or(as_boolean),
        annunciating: fields.get("annunciating").is_none_or(as_boolean),
        delay: fields.get("delay").map_or(0, natural),
        count: fields.get("count").map_or(0, natural),
        filter: fields.get("filter").map(as_text).unwrap_or_default(),
        notes,
    })
}

fn list<T>(
    fields: &Map<String, Value>,
    name: &str,
    read: impl Fn(&Map<String, Value>) -> T,
) -> Vec<T> {
    let items = fields.get(name).and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .map(read)
        .collect()
}

fn title_detail(item: &Map<String, Value>) -> TitleDetail {
    let field = |name: &str| item.get(name).map(as_text).unwrap_or_default();
    TitleDetail {
        title: field("title"),
        details: field("details"),
    }
}

/// A number of seconds or alarms: negative ones count as none.
fn natural(value: &Value) -> u32 {
    u32::try_from(as_whole(value)).unwrap_or(0)
}

/// `true` and `false` in any case, else a date; what is neither leaves the PV enabled.
///
/// Phoebus recognises the words in any case and then reads them as a boolean, which only `true` is: the text `TRUE`
/// disables.
fn enabled(value: &Value) -> Enabled {
    let text = as_text(value);
    if text.eq_ignore_ascii_case("false") || text.eq_ignore_ascii_case("true") {
        return if as_boolean(value) {
            Enabled::Yes
        } else {
            Enabled::No
        };
    }
    date(&text).map_or(Enabled::Yes, Enabled::Until)
}

/// Reads a local date and time such as `2031-12-03T10:15:30`, seconds and fractions optional, without a zone.
pub fn date(text: &str) -> Option<DateTime> {
    let is_local = text.len() >= 16
        && text.as_bytes().get(10) == Some(&b'T')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.' | b'T'))
        && text.rfind('-') == Some(7);
    if !is_local {
        return None;
    }
    text.parse().ok()
}

/// Writes a date as [`date`] reads it, always with seconds.
pub fn write_date(date: DateTime) -> String {
    let text = date.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    match date.subsec_nanosecond() {
        0 => text,
        nano => {
            let fraction = format!("{nano:09}");
            // thousands, millionths or all of it, as Java groups them
            let digits = fraction.trim_end_matches('0').len().div_ceil(3) * 3;
            format!("{text}.{}", &fraction[..digits])
        }
    }
}

fn leaf_fields(mut object: Object, leaf: &LeafConfig) -> Object {
    object = object.text("description", &leaf.description);
    match leaf.enabled {
        Enabled::Yes => {}
        Enabled::No => object = object.boolean("enabled", false),
        Enabled::Until(date) => object = object.text("enabled", &write_date(date)),
    }
    if !leaf.latching {
        object = object.boolean("latching", false);
    }
    if !leaf.annunciating {
        object = object.boolean("annunciating", false);
    }
    if leaf.delay > 0 {
        object = object.number("delay", i64::from(leaf.delay));
    }
    if leaf.count > 0 {
        object = object.number("count", i64::from(leaf.count));
    }
    if !leaf.filter.is_empty() {
        object = object.text("filter", &leaf.filter);
    }
    object
}

fn notes(mut object: Object, notes: &Notes) -> Object {
    let lists = [
        ("guidance", &notes.guidance),
        ("displays", &notes.displays),
        ("commands", &notes.commands),
    ];
    for (name, items) in lists {
        if !items.is_empty() {
            let items = items.iter().map(|item| {
                Object::new()
                    .text("title", &item.title)
                    .text("details", &item.details)
            });
            object = object.objects(name, items);
        }
    }
    if !notes.actions.is_empty() {
        let actions = notes.actions.iter().map(|action| {
            Object::new()
                .text("title", &action.title)
                .text("details", &action.details)
                .number("delay", i64::from(action.delay))
        });
        object = object.objects("actions", actions);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn what_phoebus_wrote_is_written_again() {
        // recorded from the Phoebus alarm server 5.0.5
        let rows = [
            r#"{"user":"root","host":"vm","guidance":[{"title":"Area A","details":"Call operator"}]}"#,
            r#"{"user":"root","host":"vm","description":"t:ai1"}"#,
            r#"{"user":"root","host":"vm","description":"Beam current","latching":false,"delay":3,"count":3}"#,
            r#"{"user":"root","host":"vm","description":"*!Valve open","annunciating":false,"guidance":[{"title":"G","details":"Close it"}],"displays":[{"title":"D","details":"file:/d.bob"}],"commands":[{"title":"C","details":"echo hi"}]}"#,
            r#"{"user":"root","host":"vm","description":"t:disabled","enabled":false}"#,
            r#"{"user":"u","host":"h","description":"d","enabled":"2031-12-03T10:15:30","latching":false,"annunciating":false,"delay":4,"count":5,"filter":"A>1","guidance":[{"title":"t","details":"d"}],"actions":[{"title":"t","details":"mailto:a@b","delay":5}]}"#,
            r#"{"user":"u","host":"h","delete":"Deleting"}"#,
        ];
        for row in rows {
            assert_eq!(Signed::read(row).unwrap().write(), row);
        }
    }

    #[test]
    fn what_others_write_is_coerced() {
        let leaf = |text: &str| match Signed::read(text).unwrap().message {
            ConfigMessage::Leaf(leaf) => leaf,
            other => panic!("{other:?}"),
        };
        // fields and nulls as SLAM writes them
        let slam = leaf(
            r#"{"user":"u","hostname":"h","description":null,"enabled":"false","latching":0,"annunciating":"no","delta":3,"delay":"2","count":1.9,"guidance":null,"filter":null,"displays":[{"title":"t","details":"opi:a.bob"},null,7]}"#,
        );
        assert_eq!(slam.description, "null");
        assert_eq!(slam.enabled, Enabled::No);
        assert!(!slam.latching && !slam.annunciating);
        assert_eq!((slam.delay, slam.count), (2, 1));
        assert_eq!(slam.filter, "null");
        assert_eq!(slam.notes.displays.len(), 1);
        assert_eq!(slam.notes.displays[0].details, "a.bob");
        let shouted = leaf(r#"{"description":"d","enabled":"TRUE"}"#);
        assert_eq!(shouted.enabled, Enabled::No);
        for stays in [
            r#""enabled":"true""#,
            r#""enabled":true"#,
            r#""enabled":0"#,
            r#""enabled":"""#,
            r#""enabled":null"#,
            r#""enabled":"tomorrow""#,
            r#""delay":-5"#,
        ] {
            let leaf = leaf(&format!(r#"{{"description":"d",{stays}}}"#));
            assert_eq!(leaf, LeafConfig::new("d"), "{stays}");
        }
        for junk in ["", "null", "[]", "7", "{"] {
            assert_eq!(Signed::read(junk), Err(NoObject), "{junk}");
        }
    }

    #[test]
    fn dates_are_local_and_have_no_zone() {
        let rows = [
            ("2031-12-03T10:15:30", Some("2031-12-03T10:15:30")),
            ("2031-12-03T10:15", Some("2031-12-03T10:15:00")),
            ("2031-12-03T10:15:30.5", Some("2031-12-03T10:15:30.500")),
            (
                "2031-12-03T10:15:30.000001",
                Some("2031-12-03T10:15:30.000001"),
            ),
            ("2031-12-03T10:15:30Z", None),
            ("2031-12-03T10:15:30+01:00", None),
            ("2031-12-03T10:15:30-01:00", None),
            ("2031-12-03 10:15:30", None),
            ("2031-13-03T10:15:30", None),
            ("20311203T101530", None),
            ("", None),
        ];
        for (text, written) in rows {
            assert_eq!(date(text).map(write_date).as_deref(), written, "{text}");
        }
    }
}
