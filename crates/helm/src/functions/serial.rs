//! Helm: YAML and JSON in both directions.

use super::arguments::{string, text, value};
use super::strings::invalid;
use super::{Called, Function, Type, function};
use crate::go::json::{Html, check_json, to_json, to_pretty_json};
use crate::go::json_syntax::syntax_error;
use crate::go::text::Text;
use crate::go::value::{Entries, Value};
use crate::template::exec::State;
use crate::yaml;

pub(super) const FUNCTIONS: &[Function] = &[
    function("toYaml", &[Type::Any], |_, a| {
        Ok(Value::str(to_yaml(value(a, 0)).unwrap_or_default()))
    }),
    function("toYamlPretty", &[Type::Any], |_, a| {
        let text = yaml::to_yaml_pretty(&value(a, 0).to_plain());
        let end = text.len() - usize::from(text.ends_with('\n'));
        Ok(Value::str(&text[..end]))
    }),
    function("mustToYaml", &[Type::Any], |_, a| {
        to_yaml(value(a, 0)).map(Value::str).map_err(invalid)
    }),
    function("fromYaml", &[Type::Str], from_yaml),
    function("fromYamlArray", &[Type::Str], from_yaml_array),
    function("toJson", &[Type::Any], |_, a| {
        Ok(Value::str(
            to_json(value(a, 0), Html::Escaped).unwrap_or_default(),
        ))
    }),
    function("mustToJson", &[Type::Any], |_, a| {
        to_json(value(a, 0), Html::Escaped)
            .map(Value::str)
            .map_err(invalid)
    }),
    function("toPrettyJson", &[Type::Any], |_, a| {
        Ok(Value::str(to_pretty_json(value(a, 0)).unwrap_or_default()))
    }),
    function("mustToPrettyJson", &[Type::Any], |_, a| {
        to_pretty_json(value(a, 0)).map(Value::str).map_err(invalid)
    }),
    function("toRawJson", &[Type::Any], to_raw_json),
    function("mustToRawJson", &[Type::Any], to_raw_json),
    function("fromJson", &[Type::Str], from_json),
    function("fromJsonArray", &[Type::Str], from_json_array),
    function("mustFromJson", &[Type::Str], must_from_json),
];

/// Key length from which Helm's YAML reader no longer sees a key in one line.
const MAX_KEY: usize = 1022;

/// Helm writes JSON and reads it back as YAML before it writes YAML, and gives nothing when that
/// fails half way.
pub(crate) fn to_yaml(value: &Value) -> Result<String, String> {
    check_json(value)?;
    let mut plain = value.to_plain();
    as_read_back(&mut plain)?;
    let mut text = yaml::to_yaml(&plain);
    text.truncate(
        text.trim_end_matches('\n')
            .len()
            .max(text.len().saturating_sub(1)),
    );
    Ok(text)
}

fn as_read_back(value: &mut yaml::Value) -> Result<(), String> {
    match value {
        yaml::Value::String(text) => {
            if yaml::is_unwritable(text) {
                return Err("yaml: control characters are not allowed".to_owned());
            }
            // A NEL inside the JSON text is a line break that folds.
            if text.contains('\u{85}') {
                *text = fold_next_lines(text).into();
            }
        }
        yaml::Value::List(items) => items.iter_mut().try_for_each(as_read_back)?,
        yaml::Value::Map(entries) => {
            for (key, entry) in entries.iter_mut() {
                if key.len() > MAX_KEY || yaml::is_unwritable(key) {
                    return Err("yaml: did not find expected ',' or '}'".to_owned());
                }
                as_read_back(entry)?;
            }
        }
        yaml::Value::Null | yaml::Value::Bool(_) | yaml::Value::Int(_) | yaml::Value::Float(_) => {}
    }
    Ok(())
}

fn fold_next_lines(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\u{85}') {
        out.push_str(rest[..at].trim_end_matches(' '));
        let run = rest[at..].trim_start_matches(['\u{85}', ' ']);
        let breaks = rest[at..rest.len() - run.len()].matches('\u{85}').count();
        out.push_str(&if breaks == 1 {
            " ".to_owned()
        } else {
            "\n".repeat(breaks - 1)
        });
        rest = run;
    }
    out.push_str(rest);
    out
}

fn error_map(message: String) -> Value {
    Value::map(Entries::from([(Text::from("Error"), Value::str(message))]))
}

/// The message of Helm's reader for a document of another type than the one wanted.
fn wrong_type(found: &yaml::Value, wanted: &str) -> String {
    let found = found.json_type();
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go \
         value of type {wanted}"
    )
}

/// A character of JSON or YAML can become a value.
fn reserve_read(
    state: &State<'_>,
    arguments: &[Value],
) -> Result<(), crate::template::error::ExecError> {
    const BYTES_PER_CHARACTER: usize = 16;
    let length = string(arguments, 0).len();
    state.charge(length as u64)?;
    state.reserve_parts(length, BYTES_PER_CHARACTER)
}

/// Reads YAML; what is not UTF-8 is none.
fn read_yaml(text: &Text) -> Result<yaml::Value, yaml::YamlError> {
    match yaml::YamlError::not_utf8(text.as_bytes()) {
        Some(error) => Err(error),
        None => yaml::parse(&text.lossy()),
    }
}

fn from_yaml(state: &mut State<'_>, arguments: &[Value]) -> Called {
    reserve_read(state, arguments)?;
    Ok(match read_yaml(&text(arguments, 0)) {
        Ok(yaml::Value::Null) => Value::map(Entries::new()),
        Ok(found @ yaml::Value::Map(_)) => Value::from(&found),
        Ok(found) => error_map(wrong_type(&found, "map[string]interface {}")),
        Err(error) => error_map(format!(
            "error converting YAML to JSON: {}",
            error.helm_text()
        )),
    })
}

fn from_yaml_array(state: &mut State<'_>, arguments: &[Value]) -> Called {
    reserve_read(state, arguments)?;
    Ok(match read_yaml(&text(arguments, 0)) {
        Ok(yaml::Value::Null) => Value::list(Vec::new()),
        Ok(found @ yaml::Value::List(_)) => Value::from(&found),
        Ok(found) => Value::list(vec![Value::str(wrong_type(&found, "[]interface {}"))]),
        Err(error) => Value::list(vec![Value::str(format!(
            "error converting YAML to JSON: {}",
            error.helm_text()
        ))]),
    })
}

fn to_raw_json(_: &mut State<'_>, arguments: &[Value]) -> Called {
    to_json(value(arguments, 0), Html::Plain)
        .map(Value::str)
        .map_err(invalid)
}

/// Reads JSON; what is wrong is said in Go's words.
fn read_json(text: &str) -> Result<yaml::Value, String> {
    serde_json::from_str::<serde_json::Value>(text)
        .map(|json| yaml::Value::from_json(&json))
        .map_err(|error| syntax_error(text).unwrap_or_else(|| error.to_string()))
}

fn from_json(state: &mut State<'_>, arguments: &[Value]) -> Called {
    reserve_read(state, arguments)?;
    Ok(match read_json(&string(arguments, 0)) {
        Ok(yaml::Value::Null) => Value::nil_map(),
        Ok(found @ yaml::Value::Map(_)) => Value::from(&found),
        Ok(found) => error_map(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            found.json_type()
        )),
        Err(message) => error_map(message),
    })
}

fn from_json_array(state: &mut State<'_>, arguments: &[Value]) -> Called {
    reserve_read(state, arguments)?;
    Ok(match read_json(&string(arguments, 0)) {
        Ok(yaml::Value::Null) => super::lists::nil_list(),
        Ok(found @ yaml::Value::List(_)) => Value::from(&found),
        Ok(found) => Value::list(vec![Value::str(format!(
            "json: cannot unmarshal {} into Go value of type []interface {{}}",
            found.json_type()
        ))]),
        Err(message) => Value::list(vec![Value::str(message)]),
    })
}

fn must_from_json(state: &mut State<'_>, arguments: &[Value]) -> Called {
    reserve_read(state, arguments)?;
    read_json(&string(arguments, 0))
        .map(|found| Value::from(&found))
        .map_err(invalid)
}
