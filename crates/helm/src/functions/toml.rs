//! Helm: TOML in both directions.
//!
//! Writing follows the library that Helm uses: plain keys before tables, both sorted, tables two
//! blanks deeper than what holds them. Reading gives the same values; the words of an error are
//! those of another parser.

use std::rc::Rc;

use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use super::arguments::{fail, string, value};
use super::{Called, Function, Type, function};
use crate::go::format::to_text;
use crate::go::objects::Object;
use crate::go::text::Text;
use crate::go::value::{Element, Entries, IntType, Kind, Value};
use crate::template::exec::State;
use crate::yaml::format_float_g;

pub(super) const FUNCTIONS: &[Function] = &[
    function("toToml", &[Type::Any], |_, a| {
        if value(a, 0).is_nil() {
            return fail("reflect: call of reflect.Value.Type on zero Value");
        }
        Ok(Value::str(
            to_toml(value(a, 0)).unwrap_or_else(|message| message),
        ))
    }),
    function("mustToToml", &[Type::Any], |_, a| {
        if value(a, 0).is_nil() {
            return fail("reflect: call of reflect.Value.Type on zero Value");
        }
        match to_toml(value(a, 0)) {
            Ok(text) => Ok(Value::str(text)),
            Err(message) => fail(message),
        }
    }),
    function("fromToml", &[Type::Str], from_toml),
];

fn to_toml(value: &Value) -> Result<String, String> {
    let mut writer = Writer { out: String::new() };
    match value {
        Value::Map(_) => writer.table(&mut Vec::new(), value)?,
        plain => writer.element(plain)?,
    }
    Ok(writer.out)
}

struct Writer {
    out: String,
}

impl Writer {
    /// Plain entries, then those that are tables or lists of tables.
    fn table(&mut self, path: &mut Vec<String>, table: &Value) -> Result<(), String> {
        let entries = match table {
            Value::Map(map) => map.snapshot(),
            _ => Vec::new(),
        };
        let (tables, plain): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .filter(|(_, value)| !is_nil(value))
            .partition(|(_, value)| is_table(value) || is_list_of_tables(value));
        for (key, value) in plain {
            self.indent(path.len());
            self.out.push_str(&key_text(&key));
            self.out.push_str(" = ");
            self.element(&value)?;
            self.out.push('\n');
        }
        for (key, value) in tables {
            path.push(key_text(&key));
            match &value {
                Value::List(list) => {
                    for item in list.items.iter() {
                        self.blank_line();
                        self.heading(path, "[[", "]]");
                        self.table(path, item)?;
                    }
                }
                table => {
                    if path.len() == 1 {
                        self.blank_line();
                    }
                    self.heading(path, "[", "]");
                    self.table(path, table)?;
                }
            }
            path.pop();
        }
        Ok(())
    }

    fn indent(&mut self, depth: usize) {
        self.out.push_str(&"  ".repeat(depth));
    }

    fn blank_line(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn heading(&mut self, path: &[String], open: &str, close: &str) {
        self.indent(path.len() - 1);
        self.out.extend([open, &path.join("."), close, "\n"]);
    }

    fn element(&mut self, value: &Value) -> Result<(), String> {
        match value {
            Value::Str(text) => push_quoted(&mut self.out, &text.lossy()),
            Value::Bool(truth) => self.out.push_str(if *truth { "true" } else { "false" }),
            Value::Float(number) => self.out.push_str(&float_text(*number)),
            Value::Object(Object::Time(time)) => {
                self.out.push_str(&crate::functions::dates::rfc3339(time));
            }
            Value::List(list) => {
                self.out.push('[');
                for (at, item) in list.items.iter().enumerate() {
                    if item.is_nil() {
                        return Err("toml: cannot encode array with nil element".to_owned());
                    }
                    if at > 0 {
                        self.out.push_str(", ");
                    }
                    self.element(item)?;
                }
                self.out.push(']');
            }
            Value::Map(map) => {
                self.out.push('{');
                let mut first = true;
                for (key, value) in map.snapshot() {
                    if is_nil(&value) {
                        continue;
                    }
                    if !std::mem::take(&mut first) {
                        self.out.push_str(", ");
                    }
                    self.out.push_str(&key_text(&key));
                    self.out.push_str(" = ");
                    self.element(&value)?;
                }
                self.out.push('}');
            }
            Value::Int(number, IntType::Duration) => {
                push_quoted(&mut self.out, &super::durations::to_text(*number));
            }
            Value::Int(number, _) => self.out.push_str(&number.to_string()),
            Value::Object(Object::Complex { .. }) => {
                return Err("unsupported type: complex128".to_owned());
            }
            Value::Nil | Value::Uint(..) => {
                self.out.push_str(&to_text(value).lossy());
            }
            Value::Bytes(_) | Value::Object(_) => {
                let text = value.to_plain();
                let text = text.as_str().unwrap_or_default();
                push_quoted(&mut self.out, text);
            }
        }
        Ok(())
    }
}

fn is_nil(value: &Value) -> bool {
    value.is_nil() || matches!(value, Value::Map(map) if map.is_nil())
}

fn is_table(value: &Value) -> bool {
    value.kind() == Kind::Map
}

/// Empty lists and lists with anything else in them are written in one line.
fn is_list_of_tables(value: &Value) -> bool {
    match value {
        Value::List(list) => {
            list.element != Element::Str
                && !list.items.is_empty()
                && list.items.iter().all(is_table)
        }
        _ => false,
    }
}

fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+inf" } else { "-inf" }.to_owned();
    }
    let text = format_float_g(number);
    if text.contains(['.', 'e']) {
        text
    } else {
        text + ".0"
    }
}

fn key_text(key: &Text) -> String {
    let key = key.lossy();
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !key.is_empty() && key.bytes().all(bare) {
        return key.into_owned();
    }
    let mut quoted = String::new();
    push_quoted(&mut quoted, &key);
    quoted
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x08' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\x0c' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\x1f' | '\x7f' => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            other => out.push(other),
        }
    }
    out.push('"');
}

fn from_toml(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let text = string(arguments, 0);
    state.charge(text.len() as u64)?;
    state.reserve_parts(text.len(), 16)?;
    let zone = state.now().time_zone();
    Ok(match text.parse::<toml::Table>() {
        Ok(table) => Value::map(entries(table, zone)),
        Err(error) => {
            let before = error.span().map_or("", |span| &text[..span.start]);
            let line = before.matches('\n').count() + 1;
            let why = error.message();
            let message = format!("toml: line {line}: {why}");
            Value::map(Entries::from([(Text::from("Error"), Value::str(message))]))
        }
    })
}

fn entries(table: toml::Table, zone: &TimeZone) -> Entries {
    table
        .into_iter()
        .map(|(key, value)| (Text::from(key.as_str()), from_plain(value, zone)))
        .collect()
}

fn from_plain(value: toml::Value, zone: &TimeZone) -> Value {
    match value {
        toml::Value::String(text) => Value::str(text),
        toml::Value::Integer(number) => Value::int64(number),
        toml::Value::Float(number) => Value::Float(number),
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(when) => moment(&when.to_string(), zone),
        toml::Value::Array(items) => Value::list(
            items
                .into_iter()
                .map(|item| from_plain(item, zone))
                .collect(),
        ),
        toml::Value::Table(table) => Value::map(entries(table, zone)),
    }
}

/// A date or time; one without an offset is of the zone that is local.
fn moment(text: &str, zone: &TimeZone) -> Value {
    let zoned = match text.parse::<Timestamp>() {
        Ok(timestamp) => {
            let zone = offset_of(text).unwrap_or(TimeZone::UTC);
            Some(timestamp.to_zoned(zone))
        }
        Err(_) => text
            .parse::<civil::DateTime>()
            .or_else(|_| {
                let time = text.parse::<civil::Time>()?;
                Ok::<_, jiff::Error>(civil::date(0, 1, 1).to_datetime(time))
            })
            .and_then(|local| local.to_zoned(zone.clone()))
            .ok(),
    };
    zoned.map_or_else(
        || Value::str(text),
        |zoned| Object::Time(Rc::new(zoned)).into(),
    )
}

fn offset_of(text: &str) -> Option<TimeZone> {
    let offset = Pieces::parse(text).ok()?.to_numeric_offset()?;
    Some(if offset.is_zero() {
        TimeZone::UTC
    } else {
        TimeZone::fixed(offset)
    })
}
