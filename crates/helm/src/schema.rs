//! `values.schema.json`: checks values and words what is wrong as Helm does.

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use jsonschema::Validator;
use jsonschema::error::{TypeKind, ValidationErrorKind};

use crate::yaml::Value;

/// A schema, compiled when first used.
pub(crate) struct Schema {
    text: Arc<[u8]>,
    compiled: OnceLock<Result<Validator, String>>,
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Schema({} bytes)", self.text.len())
    }
}

/// A value that a chart's schema does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaViolation {
    /// Name of the chart whose schema it is.
    pub chart: String,
    /// Keys and indices that lead to the value, from the top of that chart's values.
    pub path: Vec<String>,
    /// What is wrong with it.
    pub message: String,
}

impl Schema {
    pub(crate) fn new(text: Arc<[u8]>) -> Self {
        Self {
            text,
            compiled: OnceLock::new(),
        }
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    fn validator(&self) -> Result<&Validator, &str> {
        self.compiled
            .get_or_init(|| compile(&self.text))
            .as_ref()
            .map_err(String::as_str)
    }

    /// What is wrong with values, nothing when they are right.
    pub(crate) fn check(&self, chart: &str, values: &Value) -> Vec<SchemaViolation> {
        let violation = |path: Vec<String>, message: String| SchemaViolation {
            chart: chart.to_owned(),
            path,
            message,
        };
        let validator = match self.validator() {
            Ok(validator) => validator,
            Err(problem) => {
                return vec![violation(
                    Vec::new(),
                    format!("values.schema.json: {problem}"),
                )];
            }
        };
        let json = values.to_json();
        if validator.is_valid(&json) {
            return Vec::new();
        }
        let mut violations: Vec<SchemaViolation> = validator
            .iter_errors(&json)
            .map(|error| {
                let pointer = error.instance_path().to_string();
                let path = pointer.split('/').skip(1).map(unescape).collect();
                violation(path, describe(&error))
            })
            .collect();
        violations.sort_by(report_order);
        violations
    }
}

/// The order of Helm's validator: what is missing in an object, then its properties, then those that
/// it may not have.
fn report_order(one: &SchemaViolation, other: &SchemaViolation) -> std::cmp::Ordering {
    let forbids = |violation: &SchemaViolation| violation.message.ends_with("not allowed");
    let common = one
        .path
        .iter()
        .zip(&other.path)
        .take_while(|(one, other)| one == other)
        .count();
    let at = |violation: &SchemaViolation| match violation.path.get(common) {
        Some(part) => (1, part.clone()),
        None if forbids(violation) => (2, String::new()),
        None => (0, String::new()),
    };
    at(one).cmp(&at(other))
}

fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

fn compile(text: &[u8]) -> Result<Validator, String> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let schema: serde_json::Value =
        serde_json::from_slice(text).map_err(|error| error.to_string())?;
    jsonschema::validator_for(&schema).map_err(|error| error.to_string())
}

fn json_type(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    names.join(", ")
}

/// The words of the library that Helm uses, for the kinds that charts meet most.
fn describe(error: &jsonschema::ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Type { kind } => {
            let wanted = match kind {
                TypeKind::Single(kind) => kind.to_string(),
                TypeKind::Multiple(kinds) => {
                    let kinds: Vec<String> = kinds.iter().map(|kind| kind.to_string()).collect();
                    kinds.join(" or ")
                }
            };
            format!("got {}, want {wanted}", json_type(error.instance()))
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            format!("missing property '{name}'")
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            format!("additional properties {} not allowed", quoted(unexpected))
        }
        ValidationErrorKind::Minimum { limit } => {
            format!("minimum: got {}, want {limit}", error.instance())
        }
        ValidationErrorKind::Maximum { limit } => {
            format!("maximum: got {}, want {limit}", error.instance())
        }
        ValidationErrorKind::Pattern { pattern } => {
            let text = error.instance().as_str().unwrap_or_default();
            format!("'{text}' does not match pattern '{pattern}'")
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> = options
                .as_array()
                .map(|options| {
                    options
                        .iter()
                        .map(|option| match option {
                            serde_json::Value::String(text) => format!("'{text}'"),
                            other => other.to_string(),
                        })
                        .collect()
                })
                .unwrap_or_default();
            format!("value must be one of {}", options.join(", "))
        }
        _ => error.to_string(),
    }
}

/// The message of Helm for all violations of one chart and of those below it.
pub(crate) fn helm_text(violations: &[SchemaViolation]) -> String {
    let mut text = String::new();
    let mut chart: Option<&str> = None;
    for violation in violations {
        if chart != Some(violation.chart.as_str()) {
            let _ = writeln!(text, "{}:", violation.chart);
            chart = Some(&violation.chart);
        }
        let path = violation
            .path
            .iter()
            .fold(String::new(), |path, part| path + "/" + part);
        let _ = writeln!(text, "- at '{path}': {}", violation.message);
    }
    text
}
