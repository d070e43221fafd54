//! JSON as Go's encoder writes it.

use std::fmt::Write as _;

use base64::Engine as _;

use super::objects::Object;
use super::value::Value;
use crate::yaml::{self, format_float_json};

pub(crate) fn base64_text(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// How characters special to HTML are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Html {
    /// `<` as `\u003c`, the encoder's default.
    Escaped,
    Plain,
}

/// Compact JSON; an error text when a number has no JSON form.
pub(crate) fn to_json(value: &Value, html: Html) -> Result<String, String> {
    let mut out = String::new();
    write_value(&mut out, value, html, None)?;
    Ok(out)
}

/// JSON with two blanks per level.
pub(crate) fn to_pretty_json(value: &Value) -> Result<String, String> {
    let mut out = String::new();
    write_value(&mut out, value, Html::Escaped, Some(0))?;
    Ok(out)
}

/// What [`to_json`] would fail with.
pub(crate) fn check_json(value: &Value) -> Result<(), String> {
    match value {
        Value::Float(number) if !number.is_finite() => {
            let text = yaml::format_float_g(*number);
            Err(format!("json: unsupported value: {text}"))
        }
        Value::Object(Object::Complex { .. }) => {
            Err("json: unsupported type: complex128".to_owned())
        }
        Value::List(list) => list.items.iter().try_for_each(check_json),
        Value::Map(map) => map.borrow().values().try_for_each(check_json),
        _ => Ok(()),
    }
}

fn new_line(out: &mut String, indent: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", indent));
}

fn write_value(
    out: &mut String,
    value: &Value,
    html: Html,
    indent: Option<usize>,
) -> Result<(), String> {
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Int(number, _) => out.push_str(&number.to_string()),
        Value::Uint(number, _) => out.push_str(&number.to_string()),
        Value::Float(number) if number.is_finite() => out.push_str(&format_float_json(*number)),
        Value::Float(_) | Value::Object(Object::Complex { .. }) => check_json(value)?,
        Value::Str(text) => write_string(out, &json_text(text.as_bytes()), html),
        Value::Bytes(bytes) => write_string(out, &base64_text(bytes), html),
        Value::List(list) if list.element.is_nil() => {
            out.push_str("null");
        }
        Value::List(list) => {
            let inner = indent.map(|indent| indent + 1);
            out.push('[');
            for (position, item) in list.items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                if let Some(inner) = inner {
                    new_line(out, inner);
                }
                write_value(out, item, html, inner)?;
            }
            if let Some(indent) = indent.filter(|_| !list.items.is_empty()) {
                new_line(out, indent);
            }
            out.push(']');
        }
        Value::Map(map) if map.is_nil() => out.push_str("null"),
        Value::Map(map) => {
            let entries = map.borrow();
            write_object(
                out,
                html,
                indent,
                entries.iter().map(|(key, value)| (key.lossy(), value)),
            )?;
        }
        Value::Object(object) => {
            let fields = object.json_fields();
            match fields {
                Ok(fields) => {
                    let entries = fields
                        .iter()
                        .map(|(key, value)| (key.as_str().into(), value));
                    write_object(out, html, indent, entries)?;
                }
                Err(text) => write_string(out, &text, html),
            }
        }
    }
    Ok(())
}

fn write_object<'v>(
    out: &mut String,
    html: Html,
    indent: Option<usize>,
    entries: impl Iterator<Item = (std::borrow::Cow<'v, str>, &'v Value)>,
) -> Result<(), String> {
    let inner = indent.map(|indent| indent + 1);
    out.push('{');
    let mut first = true;
    for (key, value) in entries {
        if !first {
            out.push(',');
        }
        first = false;
        if let Some(inner) = inner {
            new_line(out, inner);
        }
        write_string(out, &key, html);
        out.push_str(if inner.is_some() { ": " } else { ":" });
        write_value(out, value, html, inner)?;
    }
    if let Some(indent) = indent.filter(|_| !first) {
        new_line(out, indent);
    }
    out.push('}');
    Ok(())
}

/// The encoder writes each run of bad bytes as one replacement per byte.
fn json_text(bytes: &[u8]) -> String {
    super::text::Text::from_bytes(bytes.to_vec())
        .lossy()
        .into_owned()
}

fn write_string(out: &mut String, text: &str, html: Html) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0C' => out.push_str("\\f"),
            '<' | '>' | '&' if html == Html::Escaped => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}
