//! JSON as Jackson writes it, and values read with Jackson's coercions.
//!
//! Why not a serializer: the order and presence of fields and the escapes are part of the contract, and readers such
//! as SLAM write `null`, numbers as text and text as numbers, which Phoebus turns into something.

use serde_json::Value;

use crate::value::double;

/// An object that is written field by field, compactly.
#[derive(Debug)]
pub struct Object {
    text: String,
}

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

impl Object {
    /// An empty object.
    pub fn new() -> Self {
        Self {
            text: "{".to_owned(),
        }
    }

    /// A text.
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        quote(value, &mut self.text);
        self
    }

    /// A text or `null`.
    #[must_use]
    pub fn text_or_null(mut self, name: &str, value: Option<&str>) -> Self {
        self.name(name);
        match value {
            Some(value) => quote(value, &mut self.text),
            None => self.text.push_str("null"),
        }
        self
    }

    /// `true` or `false`.
    #[must_use]
    pub fn boolean(mut self, name: &str, value: bool) -> Self {
        self.name(name);
        self.text.push_str(if value { "true" } else { "false" });
        self
    }

    /// A whole number.
    #[must_use]
    pub fn number(mut self, name: &str, value: i64) -> Self {
        self.name(name);
        self.text.push_str(&value.to_string());
        self
    }

    /// An object within this one.
    #[must_use]
    pub fn object(mut self, name: &str, value: Object) -> Self {
        self.name(name);
        self.text.push_str(&value.finish());
        self
    }

    /// A list of objects.
    #[must_use]
    pub fn objects(mut self, name: &str, values: impl Iterator<Item = Object>) -> Self {
        self.name(name);
        self.text.push('[');
        for (place, value) in values.enumerate() {
            if place > 0 {
                self.text.push(',');
            }
            self.text.push_str(&value.finish());
        }
        self.text.push(']');
        self
    }

    /// The text of the object.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }

    fn name(&mut self, name: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        quote(name, &mut self.text);
        self.text.push(':');
    }
}

/// Writes a text with Jackson's escapes: short ones where JSON has them, else `\u00XX` in capitals; nothing beyond
/// ASCII is escaped.
fn quote(value: &str, to: &mut String) {
    to.push('"');
    for character in value.chars() {
        match character {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            '\u{8}' => to.push_str("\\b"),
            '\u{c}' => to.push_str("\\f"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                to.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            other => to.push(other),
        }
    }
    to.push('"');
}

/// The value as Jackson's `asText` sees it: scalars as text, `null` as the word, containers empty.
pub fn as_text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) if number.is_f64() => number.as_f64().map(double).unwrap_or_default(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => String::new(),
    }
}

/// The value as Jackson's `asBoolean` sees it: numbers but 0 are true, of texts only `true`.
pub fn as_boolean(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Number(number) => {
            // only whole numbers count, as in Jackson
            number.as_i64().is_some_and(|number| number != 0)
                || number.as_u64().is_some_and(|number| number != 0)
        }
        Value::String(text) => text.trim() == "true",
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// The value as Jackson's `asInt` sees it: fractions are cut off, texts are read as numbers, anything else is 0.
pub fn as_whole(value: &Value) -> i64 {
    let cut = |number: f64| {
        if number.is_nan() {
            return 0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "cutting off is what is wanted; the conversion saturates"
        )]
        let whole = number.trunc() as i64;
        whole.clamp(i64::from(i32::MIN), i64::from(i32::MAX))
    };
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.clamp(i64::from(i32::MIN), i64::from(i32::MAX)),
            None => cut(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => text.trim().parse::<f64>().map_or(0, cut),
        Value::Bool(value) => i64::from(*value),
        Value::Null | Value::Array(_) | Value::Object(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn written_as_jackson_writes() {
        let object = Object::new()
            .text("a", "é \" \\ / \u{1b} \n \u{7f}")
            .text_or_null("b", None)
            .boolean("c", false)
            .object("d", Object::new().number("seconds", -1))
            .objects(
                "e",
                [Object::new(), Object::new().text("t", "")].into_iter(),
            );
        assert_eq!(
            object.finish(),
            "{\"a\":\"é \\\" \\\\ / \\u001B \\n \u{7f}\",\"b\":null,\"c\":false,\"d\":{\"seconds\":-1},\"e\":[{},{\"t\":\"\"}]}"
        );
    }

    #[test]
    fn coercions() {
        let rows = [
            (json!("2"), 2, false, "2"),
            (json!(1.9), 1, false, "1.9"),
            (json!(-5), -5, true, "-5"),
            (json!(0), 0, false, "0"),
            (json!("no"), 0, false, "no"),
            (json!("true"), 0, true, "true"),
            (json!(true), 1, true, "true"),
            (json!(null), 0, false, "null"),
            (json!([1]), 0, false, ""),
            (json!(1e300), i64::from(i32::MAX), false, "1.0E300"),
        ];
        for (value, whole, boolean, text) in rows {
            assert_eq!(
                (as_whole(&value), as_boolean(&value), as_text(&value)),
                (whole, boolean, text.to_owned()),
                "{value}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_reads_back(name in "\\PC{0,10}", value in any::<String>()) {
            let written = Object::new().text(&name, &value).finish();
            let read: Value = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(read[&name].as_str(), Some(value.as_str()));
        }
    }
}
