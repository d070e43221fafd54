//! Access to arguments whose types the executor has checked.

use std::borrow::Cow;

use crate::go::text::Text;
use crate::go::value::{Map, Value};
use crate::template::error::ExecError;

/// What Go says when a nil pointer or nil type is used.
pub(super) const NIL_POINTER: &str =
    "runtime error: invalid memory address or nil pointer dereference";

pub(super) fn fail<T>(message: impl Into<String>) -> Result<T, ExecError> {
    Err(ExecError::plain(message))
}

pub(super) fn value(arguments: &[Value], at: usize) -> &Value {
    arguments.get(at).unwrap_or(&Value::Nil)
}

pub(super) fn text(arguments: &[Value], at: usize) -> Text {
    match value(arguments, at) {
        Value::Str(text) => text.clone(),
        _ => Text::from(""),
    }
}

pub(super) fn string(arguments: &[Value], at: usize) -> Cow<'_, str> {
    match value(arguments, at) {
        Value::Str(text) => text.lossy(),
        _ => Cow::Borrowed(""),
    }
}

pub(super) fn int(arguments: &[Value], at: usize) -> i64 {
    match value(arguments, at) {
        Value::Int(number, _) => *number,
        _ => 0,
    }
}

pub(super) fn float(arguments: &[Value], at: usize) -> f64 {
    match value(arguments, at) {
        Value::Float(number) => *number,
        _ => 0.0,
    }
}

pub(super) fn truth(arguments: &[Value], at: usize) -> bool {
    matches!(value(arguments, at), Value::Bool(true))
}

/// A map; nothing for a map that is nil.
pub(super) fn map(arguments: &[Value], at: usize) -> Option<&Map> {
    match value(arguments, at) {
        Value::Map(map) => Some(map),
        _ => None,
    }
}

/// The items of a slice of any type; nothing for another kind of value.
pub(super) fn items(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::List(list) => Some(list.items.to_vec()),
        Value::Bytes(bytes) => Some(
            bytes
                .iter()
                .map(|byte| Value::Uint(u64::from(*byte), crate::go::value::UintType::Uint8))
                .collect(),
        ),
        _ => None,
    }
}

/// Sprig's `empty`.
pub(super) fn is_empty(value: &Value) -> bool {
    !value.is_true()
}
