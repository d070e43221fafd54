//! `values.schema.json`: checks values and words what is wrong as Helm does.

mod report;

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use jsonschema::Validator;

use crate::go::json_syntax::syntax_error;
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
    /// What is wrong in detail, where several things are or where a schema is made of several.
    pub causes: Vec<SchemaViolation>,
    is_about_schema: bool,
}

impl SchemaViolation {
    pub(crate) fn new(chart: &str, path: Vec<String>, message: impl Into<String>) -> Self {
        Self {
            chart: chart.to_owned(),
            path,
            message: message.into(),
            causes: Vec::new(),
            is_about_schema: false,
        }
    }
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
        let validator = match self.validator() {
            Ok(validator) => validator,
            Err(problem) => {
                let mut violation = SchemaViolation::new(chart, Vec::new(), problem);
                violation.is_about_schema = true;
                return vec![violation];
            }
        };
        let json = values.to_json();
        if validator.is_valid(&json) {
            return Vec::new();
        }
        report::violations(chart, validator.iter_errors(&json))
    }
}

fn compile(text: &[u8]) -> Result<Validator, String> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let schema: serde_json::Value = serde_json::from_slice(text).map_err(|error| {
        let source = String::from_utf8_lossy(text);
        as_read_from_a_stream(&source, syntax_error(&source)).unwrap_or_else(|| error.to_string())
    })?;
    jsonschema::validator_for(&schema).map_err(|error| error.to_string())
}

/// Helm reads schemas from a stream, which words some mistakes in another way than its reader of texts.
fn as_read_from_a_stream(source: &str, words: Option<String>) -> Option<String> {
    let words = words?;
    Some(if source.trim().is_empty() {
        "EOF".to_owned()
    } else if words == "unexpected end of JSON input" {
        "unexpected EOF".to_owned()
    } else if words.ends_with("after top-level value") {
        "invalid character after top-level value".to_owned()
    } else {
        words
    })
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
        write_violation(&mut text, violation, 0);
    }
    text
}

fn write_violation(text: &mut String, violation: &SchemaViolation, depth: usize) {
    // A schema that cannot be read has no place in the values.
    if violation.is_about_schema {
        let _ = writeln!(text, "{}", violation.message);
        return;
    }
    let path = violation
        .path
        .iter()
        .fold(String::new(), |path, part| path + "/" + part);
    let indent = "  ".repeat(depth);
    let _ = writeln!(text, "{indent}- at '{path}': {}", violation.message);
    for cause in &violation.causes {
        write_violation(text, cause, depth + 1);
    }
}
