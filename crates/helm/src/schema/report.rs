//! Violations of a schema in the words and in the form of Helm's validator.

use std::collections::BTreeMap;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use super::SchemaViolation;
use crate::yaml::format_float_g;

/// What is wrong, several things about one value gathered below it.
pub(super) fn violations<'e>(
    chart: &str,
    errors: impl Iterator<Item = ValidationError<'e>>,
) -> Vec<SchemaViolation> {
    let found = errors.map(|error| found(chart, &error)).collect();
    gathered(chart, together(chart, decisive(found)), 0)
}

/// A violation with where its schema is.
struct Found {
    violation: SchemaViolation,
    schema: Vec<String>,
}

fn parts(pointer: &str) -> Vec<String> {
    let plain = |part: &str| part.replace("~1", "/").replace("~0", "~");
    pointer.split('/').skip(1).map(plain).collect()
}

fn found(chart: &str, error: &ValidationError<'_>) -> Found {
    let path = parts(&error.instance_path().to_string());
    let mut violation = SchemaViolation::new(chart, path.clone(), describe(error));
    if let ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } =
        error.kind()
    {
        let depth = path.len();
        for branch in context {
            // The places of these are counted from where the branches begin.
            let inner = branch
                .iter()
                .map(|error| {
                    let mut inner = found(chart, error);
                    if !inner.violation.path.starts_with(&path) {
                        inner.violation.path.splice(0..0, path.clone());
                    }
                    inner
                })
                .collect();
            let mut causes = gathered(chart, together(chart, decisive(inner)), depth);
            violation.causes.append(&mut causes);
        }
    }
    Found {
        violation,
        schema: parts(&error.schema_path().to_string()),
    }
}

/// Where the type is wrong, or a value is none of those allowed, Helm's validator looks no further at it.
fn decisive(all: Vec<Found>) -> Vec<Found> {
    const ENDS: [&str; 3] = ["type", "const", "enum"];
    let rank = |keyword: &str| ENDS.iter().position(|end| *end == keyword);
    let ends: Vec<(Vec<String>, Vec<String>, usize)> = all
        .iter()
        .filter_map(|found| {
            let (keyword, place) = found.schema.split_last()?;
            let path = found.violation.path.clone();
            Some((place.to_vec(), path, rank(keyword)?))
        })
        .collect();
    let is_after = |found: &Found| {
        ends.iter().any(|(place, path, end)| {
            let keyword = found.schema.get(place.len());
            found.schema.starts_with(place)
                && found.violation.path.starts_with(path)
                && keyword.is_some_and(|keyword| rank(keyword).is_none_or(|rank| rank > *end))
        })
    };
    all.into_iter().filter(|found| !is_after(found)).collect()
}

/// Properties that are missing in one place make one violation, and so do the parts of an `allOf`.
fn together(chart: &str, all: Vec<Found>) -> Vec<SchemaViolation> {
    let mut out: Vec<SchemaViolation> = Vec::new();
    let mut missing: Vec<(Vec<String>, Vec<String>, usize)> = Vec::new();
    let mut parts: Vec<(Vec<String>, Vec<Found>, usize)> = Vec::new();
    for mut found in all {
        if let Some(at) = found.schema.iter().position(|part| part == "allOf") {
            let schema = found.schema[..at].to_vec();
            found.schema.drain(..(at + 2).min(found.schema.len()));
            match parts.iter_mut().find(|(known, _, _)| *known == schema) {
                Some((_, inner, _)) => inner.push(found),
                None => {
                    let depth = instance_depth(&schema).min(found.violation.path.len());
                    let path = found.violation.path[..depth].to_vec();
                    parts.push((schema, vec![found], out.len()));
                    out.push(SchemaViolation::new(chart, path, "'allOf' failed"));
                }
            }
            continue;
        }
        let name = found.violation.message.strip_prefix("missing property ");
        if let Some(name) = name {
            let name = name.to_owned();
            let place = missing
                .iter_mut()
                .find(|(schema, _, _)| *schema == found.schema);
            if let Some((_, names, at)) = place {
                names.push(name);
                out[*at].message = format!("missing properties {}", names.join(", "));
                continue;
            }
            missing.push((found.schema.clone(), vec![name], out.len()));
        }
        out.push(found.violation);
    }
    for (_, inner, at) in parts {
        let depth = out[at].path.len();
        out[at].causes = gathered(chart, together(chart, inner), depth);
    }
    out
}

/// How many keys and indices of the values a place in a schema has passed.
fn instance_depth(schema: &[String]) -> usize {
    let mut depth = 0;
    let mut parts = schema.iter();
    while let Some(part) = parts.next() {
        match part.as_str() {
            "properties" | "patternProperties" | "prefixItems" => {
                parts.next();
                depth += 1;
            }
            "additionalProperties" | "items" | "unevaluatedProperties" => depth += 1,
            _ => {}
        }
    }
    depth
}

/// In the order of Helm's validator: what is missing in an object, then its properties, then those
/// that it may not have. Several below one value are gathered under it.
fn gathered(chart: &str, all: Vec<SchemaViolation>, depth: usize) -> Vec<SchemaViolation> {
    let (own, below): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|violation| violation.path.len() <= depth);
    let (forbidden, mut out): (Vec<_>, Vec<_>) = own
        .into_iter()
        .partition(|violation| violation.message.ends_with("not allowed"));
    let mut groups: BTreeMap<String, Vec<SchemaViolation>> = BTreeMap::new();
    for violation in below {
        let key = violation.path.get(depth).cloned().unwrap_or_default();
        groups.entry(key).or_default().push(violation);
    }
    for group in groups.into_values() {
        let path: Vec<String> = group
            .first()
            .map(|first| first.path[..=depth].to_vec())
            .unwrap_or_default();
        let mut inner = gathered(chart, group, depth + 1);
        if inner.len() > 1 {
            let mut several = SchemaViolation::new(chart, path, "validation failed");
            several.causes = inner;
            out.push(several);
        } else {
            out.append(&mut inner);
        }
    }
    out.extend(forbidden);
    out
}

const fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    names.join(", ")
}

/// A value of an enumeration; nothing for one that has parts.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(format!("'{text}'")),
        Value::Null => Some("<nil>".to_owned()),
        Value::Array(_) | Value::Object(_) => None,
        Value::Number(number) => Some(grouped(&number.to_string())),
        Value::Bool(truth) => Some(truth.to_string()),
    }
}

/// A number with commas between thousands.
fn grouped(number: &str) -> String {
    let (whole, fraction) = match number.find(['.', 'e']) {
        Some(at) => number.split_at(at),
        None => (number, ""),
    };
    let fraction = if fraction == ".0" { "" } else { fraction };
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole),
    };
    let mut out = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

fn compared(keyword: &str, got: &Value, want: &Value) -> String {
    let (got, want) = (measured(got), measured(want));
    format!("{keyword}: got {got}, want {want}")
}

/// A number as Go's translated messages write it: `1.5×10⁰⁶` from a million on.
fn measured(number: &Value) -> String {
    let text = number
        .as_f64()
        .map_or_else(|| number.to_string(), format_float_g);
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return grouped(&text);
    };
    let raised = exponent.chars().filter_map(|character| match character {
        '-' => Some('⁻'),
        digit => "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit.to_digit(10)? as usize),
    });
    format!("{mantissa}×10{}", raised.collect::<String>())
}

fn counted(keyword: &str, got: usize, want: u64) -> String {
    let (got, want) = (grouped(&got.to_string()), grouped(&want.to_string()));
    format!("{keyword}: got {got}, want {want}")
}

fn length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(entries) => entries.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn equal_items(value: &Value) -> Option<(usize, usize)> {
    let items = value.as_array()?;
    (1..items.len()).find_map(|later| {
        let earlier = items[..later]
            .iter()
            .position(|item| *item == items[later])?;
        Some((earlier, later))
    })
}

/// The words of the library that Helm uses.
fn describe(error: &ValidationError<'_>) -> String {
    let instance = error.instance();
    match error.kind() {
        ValidationErrorKind::Type { kind } => {
            let wanted = match kind {
                TypeKind::Single(kind) => kind.to_string(),
                TypeKind::Multiple(kinds) => {
                    let kinds: Vec<String> = kinds.iter().map(|kind| kind.to_string()).collect();
                    kinds.join(" or ")
                }
            };
            format!("got {}, want {wanted}", json_type(instance))
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            format!("missing property '{name}'")
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            format!("additional properties {} not allowed", quoted(unexpected))
        }
        ValidationErrorKind::Minimum { limit } => compared("minimum", instance, limit),
        ValidationErrorKind::Maximum { limit } => compared("maximum", instance, limit),
        ValidationErrorKind::ExclusiveMinimum { limit } => {
            compared("exclusiveMinimum", instance, limit)
        }
        ValidationErrorKind::ExclusiveMaximum { limit } => {
            compared("exclusiveMaximum", instance, limit)
        }
        ValidationErrorKind::MultipleOf { multiple_of } => {
            compared("multipleOf", instance, &Value::from(*multiple_of))
        }
        ValidationErrorKind::MinLength { limit } => counted("minLength", length(instance), *limit),
        ValidationErrorKind::MaxLength { limit } => counted("maxLength", length(instance), *limit),
        ValidationErrorKind::MinItems { limit } => counted("minItems", length(instance), *limit),
        ValidationErrorKind::MaxItems { limit } => counted("maxItems", length(instance), *limit),
        ValidationErrorKind::MinProperties { limit } => {
            counted("minProperties", length(instance), *limit)
        }
        ValidationErrorKind::MaxProperties { limit } => {
            counted("maxProperties", length(instance), *limit)
        }
        ValidationErrorKind::UniqueItems => match equal_items(instance) {
            Some((one, other)) => format!("items at {one} and {other} are equal"),
            None => "items are equal".to_owned(),
        },
        ValidationErrorKind::Pattern { pattern } => {
            let text = instance.as_str().unwrap_or_default();
            format!("'{text}' does not match pattern '{pattern}'")
        }
        ValidationErrorKind::Constant { expected_value } => match shown(expected_value) {
            Some(value) => format!("value must be {value}"),
            None => "const failed".to_owned(),
        },
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().map_or(&[][..], Vec::as_slice);
            let shown: Option<Vec<String>> = options.iter().map(shown).collect();
            match shown.as_deref() {
                None => "enum failed".to_owned(),
                Some([one]) => format!("value must be {one}"),
                Some(several) => format!("value must be one of {}", several.join(", ")),
            }
        }
        ValidationErrorKind::AnyOf { .. } => "'anyOf' failed".to_owned(),
        ValidationErrorKind::OneOfNotValid { .. } => "'oneOf' failed, none matched".to_owned(),
        ValidationErrorKind::OneOfMultipleValid { context } => {
            let mut matched = context
                .iter()
                .enumerate()
                .filter(|(_, errors)| errors.is_empty())
                .map(|(at, _)| at);
            let (one, other) = (matched.next().unwrap_or(0), matched.next().unwrap_or(1));
            format!("'oneOf' failed, subschemas {one}, {other} matched")
        }
        ValidationErrorKind::Not { .. } => "'not' failed".to_owned(),
        ValidationErrorKind::FalseSchema => "false schema".to_owned(),
        ValidationErrorKind::Contains => "no items match contains schema".to_owned(),
        _ => error.to_string(),
    }
}
