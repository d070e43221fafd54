//! Values as fields of a Go struct: how Helm reads `Chart.yaml`.
//!
//! A field of type string takes numbers and booleans too, as their text.

use crate::yaml::{Value, format_float_g};

/// The text of a scalar for a field of type string.
#[expect(
    clippy::cast_possible_truncation,
    reason = "Helm prints such numbers in 32-bit precision"
)]
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(match crate::go::convert::exact_int(*number) {
            Some(whole) => whole.to_string(),
            None => format_float_g((*number as f32).to_string().parse().unwrap_or(*number)),
        }),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// Why a field cannot be read.
#[derive(Debug)]
pub(super) struct WrongType {
    pub(super) field: String,
    pub(super) found: &'static str,
    pub(super) wanted: &'static str,
}

/// A mapping whose fields have types.
#[derive(Clone, Copy)]
pub(super) struct Fields<'v> {
    pub(super) value: &'v Value,
    pub(super) name: &'static str,
}

impl<'v> Fields<'v> {
    fn field(self, key: &str) -> Option<&'v Value> {
        let entries = self.value.as_map()?;
        // Go's JSON reader takes another case of the letters where the exact one is missing.
        entries
            .get(key)
            .or_else(|| {
                entries
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(key))
                    .map(|(_, value)| value)
            })
            .filter(|value| !matches!(value, Value::Null))
    }

    fn wrong(self, key: &str, found: &Value, wanted: &'static str) -> WrongType {
        WrongType {
            field: format!("{}{key}", self.name),
            found: found.json_type(),
            wanted,
        }
    }

    pub(super) fn text(self, key: &str) -> Result<String, WrongType> {
        match self.field(key) {
            None => Ok(String::new()),
            Some(value) => text_of(value).ok_or_else(|| self.wrong(key, value, "string")),
        }
    }

    pub(super) fn truth(self, key: &str) -> Result<bool, WrongType> {
        match self.field(key) {
            None => Ok(false),
            Some(Value::Bool(truth)) => Ok(*truth),
            Some(value) => Err(self.wrong(key, value, "bool")),
        }
    }

    pub(super) fn list(self, key: &str) -> Result<&'v [Value], WrongType> {
        match self.field(key) {
            None => Ok(&[]),
            Some(Value::List(items)) => Ok(items),
            Some(value) => Err(self.wrong(key, value, "list")),
        }
    }

    pub(super) fn texts(self, key: &str) -> Result<Vec<String>, WrongType> {
        self.list(key)?
            .iter()
            .map(|item| match item {
                Value::Null => Ok(String::new()),
                item => text_of(item).ok_or_else(|| self.wrong(key, item, "string")),
            })
            .collect()
    }

    /// A mapping of text to text; nothing when the field is absent.
    pub(super) fn text_map(
        self,
        key: &str,
    ) -> Result<Option<std::collections::BTreeMap<String, String>>, WrongType> {
        let Some(value) = self.field(key) else {
            return Ok(None);
        };
        let Some(entries) = value.as_map() else {
            return Err(self.wrong(key, value, "map of text"));
        };
        entries
            .iter()
            .map(|(name, entry)| match entry {
                Value::Null => Ok((name.to_string(), String::new())),
                entry => text_of(entry)
                    .map(|text| (name.to_string(), text))
                    .ok_or_else(|| self.wrong(key, entry, "string")),
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }
}
