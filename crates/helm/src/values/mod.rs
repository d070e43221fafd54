//! Values of a release: files and `--set` options, merged as Helm's command line does.

mod strvals;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::strvals::SetError;
use crate::chart::ChartCache;
use crate::yaml::{self, Value, YamlError};

/// Values given for a release, layer upon layer.
///
/// Later layers win. Helm's command line applies values files first, then `--set-json`, `--set`,
/// `--set-string`, `--set-file` and `--set-literal`, each in the order given; add them in that order
/// for the same result.
///
/// ```
/// # fn main() -> Result<(), helm::ValuesError> {
/// let values = helm::Values::new()
///     .file("services/values.yaml", "ioc-instance: {image: a}")?
///     .set("ioc-instance.image=b")?
///     .into_value();
/// assert_eq!(values.at(["ioc-instance", "image"]), Some(&"b".into()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Values {
    merged: BTreeMap<Arc<str>, Value>,
}

/// Values that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValuesError {
    /// A values file is not YAML, or no mapping.
    #[error("failed to parse `{name}`")]
    File {
        /// Name of the file.
        name: String,
        /// What is wrong, and where in the file.
        source: YamlError,
    },
    /// The argument of a `--set` option is malformed.
    #[error("failed parsing {option} data: {source}")]
    Set {
        /// The option, for example `--set-string`.
        option: &'static str,
        /// What is wrong.
        source: SetError,
    },
}

impl ValuesError {
    /// The message in Helm's own words.
    pub fn helm_text(&self) -> String {
        match self {
            Self::File { name, source } => {
                format!("failed to parse {name}: {}", unread_values(source))
            }
            Self::Set {
                source:
                    SetError::JsonExpression {
                        given, is_object, ..
                    },
                option,
            } => {
                let what = if *is_object { "data JSON:" } else { "data" };
                format!("failed parsing {option} {what} {given}")
            }
            Self::Set { option, source } => format!("failed parsing {option} data: {source}"),
        }
    }
}

impl Values {
    /// No values at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a values file (`-f`). `name` is for messages only.
    ///
    /// # Errors
    /// When the text is not YAML or not a mapping.
    pub fn file(mut self, name: &str, text: &str) -> Result<Self, ValuesError> {
        let value = read_values(text.as_bytes()).map_err(|source| ValuesError::File {
            name: name.to_owned(),
            source,
        })?;
        self.merge(value);
        Ok(self)
    }

    /// As [`Self::file`]; a text that the cache knows is not read again.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub fn cached_file(
        mut self,
        name: &str,
        text: &str,
        cache: &ChartCache,
    ) -> Result<Self, ValuesError> {
        let value = cache
            .values_of(text, read_values)
            .map_err(|source| ValuesError::File {
                name: name.to_owned(),
                source,
            })?;
        self.merge(value.as_ref().clone());
        Ok(self)
    }

    /// Adds values that are there already.
    #[must_use]
    pub fn value(mut self, value: Value) -> Self {
        self.merge(value);
        self
    }

    fn merge(&mut self, value: Value) {
        if let Value::Map(entries) = value {
            merge_entries(&mut self.merged, entries);
        }
    }

    /// Adds `--set`: `a.b=1,list[0]=x,c={d,e}`; numbers, `true`, `false` and `null` have types.
    ///
    /// # Errors
    /// When the expression is malformed.
    pub fn set(mut self, expression: &str) -> Result<Self, ValuesError> {
        strvals::parse(expression, &mut self.merged, strvals::Mode::Typed).map_err(|source| {
            ValuesError::Set {
                option: "--set",
                source,
            }
        })?;
        Ok(self)
    }

    /// Adds `--set-string`: as [`Self::set`], every value being text.
    ///
    /// # Errors
    /// When the expression is malformed.
    pub fn set_string(mut self, expression: &str) -> Result<Self, ValuesError> {
        strvals::parse(expression, &mut self.merged, strvals::Mode::Text).map_err(|source| {
            ValuesError::Set {
                option: "--set-string",
                source,
            }
        })?;
        Ok(self)
    }

    /// Adds `--set-json`: `a.b={"c": 1}`, or a whole JSON object.
    ///
    /// # Errors
    /// When the expression is malformed or no JSON follows.
    pub fn set_json(mut self, expression: &str) -> Result<Self, ValuesError> {
        let trimmed = expression.trim();
        let is_object = trimmed.starts_with('{');
        let error = |source| ValuesError::Set {
            option: "--set-json",
            source: SetError::JsonExpression {
                given: expression.to_owned(),
                is_object,
                source: Box::new(source),
            },
        };
        if is_object {
            let json: serde_json::Value = serde_json::from_str(trimmed)
                .map_err(|_| error(SetError::Json(expression.to_owned())))?;
            self.merge(Value::from_json(&json));
            return Ok(self);
        }
        strvals::parse(expression, &mut self.merged, strvals::Mode::Json).map_err(error)?;
        Ok(self)
    }

    /// Adds `--set-file`: `a.b=path`; `read` gives the text of a path.
    ///
    /// # Errors
    /// When the expression is malformed or the file cannot be read.
    pub fn set_file(
        mut self,
        expression: &str,
        mut read: impl FnMut(&str) -> Result<String, String>,
    ) -> Result<Self, ValuesError> {
        strvals::parse(expression, &mut self.merged, strvals::Mode::File(&mut read)).map_err(
            |source| ValuesError::Set {
                option: "--set-file",
                source,
            },
        )?;
        Ok(self)
    }

    /// Adds `--set-literal`: `a.b=value`, where the value is everything after the sign.
    ///
    /// # Errors
    /// When the expression is malformed.
    pub fn set_literal(mut self, expression: &str) -> Result<Self, ValuesError> {
        strvals::parse_literal(expression, &mut self.merged).map_err(|source| {
            ValuesError::Set {
                option: "--set-literal",
                source,
            }
        })?;
        Ok(self)
    }

    /// The merged values.
    pub fn into_value(self) -> Value {
        Value::Map(self.merged)
    }
}

/// Merges one mapping into another: mappings are merged in turn, anything else replaces.
pub(crate) fn merge_entries(into: &mut BTreeMap<Arc<str>, Value>, from: BTreeMap<Arc<str>, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Map(old)), Value::Map(new)) => merge_entries(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// Reads a values file: the documents in it are merged.
///
/// # Errors
/// When a document is not YAML or neither a mapping nor empty; lines are those of the file.
pub(crate) fn read_values(bytes: &[u8]) -> Result<Value, YamlError> {
    if let Some(error) = YamlError::not_utf8(bytes) {
        return Err(error);
    }
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    // Helm reads by lines and ends each, which is seen in a block of text at the end of the file.
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let mut merged = BTreeMap::new();
    for (first_line, document) in documents(&text)? {
        let value = yaml::parse(document).map_err(|error| error.moved(first_line))?;
        match value {
            Value::Map(entries) => merge_entries(&mut merged, entries),
            Value::Null => {}
            other => {
                let found = other.json_type();
                return Err(YamlError::wrong_type(format!(
                    "json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
                )));
            }
        }
    }
    Ok(Value::Map(merged))
}

const BAD_SEPARATOR: &str = "invalid Yaml document separator";

/// Why values could not be read, in the words of Helm.
pub(crate) fn unread_values(source: &YamlError) -> String {
    if source.message.starts_with(BAD_SEPARATOR) {
        return format!("error reading yaml document: {}", source.message);
    }
    format!(
        "cannot unmarshal yaml document: {}{}",
        crate::chart::conversion(source),
        source.helm_text()
    )
}

/// The documents of a file with the number of lines before each. A line that begins with `---`
/// separates, whatever blanks or comment follow.
fn documents(text: &str) -> Result<Vec<(usize, &str)>, YamlError> {
    let mut documents = Vec::new();
    let (mut start, mut start_line) = (0, 0);
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let end = at + line.len();
        if let Some(rest) = line.strip_prefix("---") {
            let rest = rest.trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                return Err(YamlError::new(format!("{BAD_SEPARATOR}: {rest}")));
            }
            if at > start {
                documents.push((start_line, &text[start..at]));
            }
            start = end;
            start_line = number + 1;
        }
        at = end;
    }
    if start < text.len() {
        documents.push((start_line, &text[start..]));
    }
    Ok(documents)
}

#[cfg(test)]
mod tests;
