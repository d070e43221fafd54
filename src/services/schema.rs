//! The values of an instance against the schemas of its chart and of the charts in it, in words and with places.
//!
//! The chart engine checks the same, and its verdict counts; this says what was meant.

use helm::Chart;
use helm::yaml::Value as HelmValue;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Place, nearest};
use crate::yaml::tree::{Cursor, Tree};

/// Most names that are listed where one of several is expected.
const LISTED: usize = 12;

/// A chart as far as its values are concerned: that of the instance, or one of the charts in it.
#[derive(Debug, Clone)]
pub struct Section<'a> {
    /// Where its values are: the names of the charts on the way, empty for the chart of the instance.
    pub path: Vec<String>,
    /// The chart.
    pub chart: &'a Chart,
}

/// Where values come from, for the places of findings.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The values files, strongest first.
    pub trees: &'a [Tree],
    /// Some values were given on the command line and stand in no file.
    pub command_line: bool,
}

/// The chart and the charts in it, each with the place of its values.
pub fn sections(chart: &Chart) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    collect(chart, &[], &mut sections);
    sections
}

fn collect<'a>(chart: &'a Chart, path: &[String], sections: &mut Vec<Section<'a>>) {
    sections.push(Section {
        path: path.to_vec(),
        chart,
    });
    for declared in &chart.metadata().dependencies {
        let found = chart
            .dependencies()
            .iter()
            .find(|dependency| dependency.name() == declared.name);
        if let Some(dependency) = found {
            let mut path = path.to_vec();
            path.push(declared.used_name().to_owned());
            collect(dependency, &path, sections);
        }
    }
}

/// Checks the values that were given against the schemas of all sections.
pub fn check(values: &HelmValue, sections: &[Section<'_>], origin: &Origin<'_>) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for section in sections {
        let Some(schema) = section.chart.schema() else {
            continue;
        };
        // A broken schema is reported by the engine.
        let Ok(schema) = serde_json::from_slice::<Value>(schema) else {
            continue;
        };
        let Ok(validator) = Validator::new(&schema) else {
            continue;
        };
        for error in validator.iter_errors(&merged(values, section)) {
            let mut path = section.path.clone();
            path.extend(
                error
                    .instance_path()
                    .into_iter()
                    .map(|part| part.to_string()),
            );
            explain(&error, &path, &schema, origin, &mut findings);
        }
    }
    findings
}

/// What a section sees: its defaults under the values that were given, with the global ones.
fn merged(values: &HelmValue, section: &Section<'_>) -> Value {
    let given = values.at(section.path.iter().map(String::as_str));
    let mut merged = helm::Values::new().value(section.chart.values().clone());
    if let Some(given) = given {
        merged = merged.value(given.clone());
    }
    let mut merged = merged.into_value().to_json();
    if let (Some(merged), Some(global), false) = (
        merged.as_object_mut(),
        values.get("global"),
        section.path.is_empty(),
    ) {
        merged.insert("global".to_owned(), global.to_json());
    }
    without_nulls(&mut merged);
    merged
}

/// A value that is null removes a default; it is not itself a value.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// One failure of a schema in our words, at the place of the value.
fn explain(
    error: &ValidationError<'_>,
    path: &[String],
    schema: &Value,
    origin: &Origin<'_>,
    findings: &mut Vec<Diagnostic>,
) {
    let shown = dotted(path);
    let value: &Value = error.instance();
    let finding = match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let known = known_properties(error, schema);
            for name in unexpected {
                let mut path = path.to_vec();
                path.push(name.clone());
                findings.push(unknown(name, &known).at(key_place(&path, origin)));
            }
            return;
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            Diagnostic::error(format!("`{name}` is missing in `{shown}`"))
                .expected(format!("`{name}:` belongs here"))
        }
        ValidationErrorKind::Type { kind } => {
            let finding = Diagnostic::error(format!("`{shown}` is {}", kind_of(value)))
                .expected(format!("expected {}", kinds(kind)));
            let wants_text = kinds(kind).contains("a text");
            match value {
                Value::Bool(_) | Value::Number(_) if wants_text => {
                    finding.hint(format!("write it in quotes: \"{value}\""))
                }
                Value::String(text) if text.parse::<f64>().is_ok() => {
                    finding.hint(format!("write it without quotes: {text}"))
                }
                _ => finding,
            }
        }
        ValidationErrorKind::Enum { options } => {
            let names: Vec<String> = options
                .as_array()
                .into_iter()
                .flatten()
                .map(|option| {
                    option
                        .as_str()
                        .map_or_else(|| option.to_string(), str::to_owned)
                })
                .collect();
            let given = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let finding = Diagnostic::error(format!("`{shown}` cannot be `{given}`"))
                .expected(format!("expected one of {}", listed(&names)));
            match nearest(&given, names.iter().map(String::as_str)) {
                Some(near) => finding.hint(format!("did you mean `{near}`?")),
                None => finding,
            }
        }
        ValidationErrorKind::Pattern { pattern } => {
            Diagnostic::error(format!("`{shown}` cannot be {value}"))
                .expected(format!("expected a text that matches {pattern}"))
        }
        _ => Diagnostic::error(format!("`{shown}`: {error}")),
    };
    findings.push(finding.at(place(path, origin)));
}

fn unknown(name: &str, known: &[String]) -> Diagnostic {
    let finding = Diagnostic::error(format!("unknown value `{name}`"));
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => finding.hint(format!("did you mean `{near}`?")),
        None if known.is_empty() => finding,
        None => finding.expected(format!("expected one of {}", listed(known))),
    }
}

/// The names that the schema allows where it refuses others.
fn known_properties(error: &ValidationError<'_>, schema: &Value) -> Vec<String> {
    let pointer = error.schema_path().to_string();
    let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    let properties = schema
        .pointer(parent)
        .and_then(|here| here.get("properties"));
    let properties = properties.and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect()
}

/// Where a value is, or the nearest thing above it that any of the files has.
pub(super) fn place(path: &[String], origin: &Origin<'_>) -> Place {
    located(path, origin, |cursor, exact| {
        if exact {
            cursor.place()
        } else {
            cursor.key_place()
        }
    })
}

fn key_place(path: &[String], origin: &Origin<'_>) -> Place {
    located(path, origin, |cursor, _| cursor.key_place())
}

/// The place of the deepest part of a path that any of the files has, the strongest file first.
fn located(
    path: &[String],
    origin: &Origin<'_>,
    place: impl Fn(Cursor<'_>, bool) -> Place,
) -> Place {
    for length in (1..=path.len()).rev() {
        let part = || path[..length].iter().map(String::as_str);
        if let Some(cursor) = origin.trees.iter().find_map(|tree| tree.get(part())) {
            return place(cursor, length == path.len());
        }
        if origin.command_line && length == path.len() {
            return Place::file("the command line (--set)");
        }
    }
    origin.trees.first().map_or_else(
        || Place::file("values.yaml"),
        |tree| Place::file(tree.path()),
    )
}

/// `a.b[0].c`
pub(super) fn dotted(path: &[String]) -> String {
    let mut shown = String::new();
    for part in path {
        if part.parse::<usize>().is_ok() {
            shown.push_str(&format!("[{part}]"));
        } else {
            if !shown.is_empty() {
                shown.push('.');
            }
            shown.push_str(part);
        }
    }
    shown
}

fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(LISTED)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().saturating_sub(LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "a boolean (true or false)",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

fn kinds(kind: &TypeKind) -> String {
    let name = |kind: jsonschema::JsonType| match kind {
        jsonschema::JsonType::Array => "a list",
        jsonschema::JsonType::Boolean => "true or false",
        jsonschema::JsonType::Integer => "a whole number",
        jsonschema::JsonType::Null => "nothing",
        jsonschema::JsonType::Number => "a number",
        jsonschema::JsonType::Object => "a mapping",
        jsonschema::JsonType::String => "a text",
    };
    match kind {
        TypeKind::Single(kind) => name(*kind).to_owned(),
        TypeKind::Multiple(kinds) => {
            let names: Vec<&str> = kinds.iter().map(name).collect();
            names.join(" or ")
        }
    }
}
