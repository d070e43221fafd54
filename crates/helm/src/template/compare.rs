//! `eq`, `lt` and their kin, by the rules of Go's templates.

use std::cmp::Ordering;

use crate::go::format::{sprintf, to_text};
use crate::go::objects::Object;
use crate::go::value::{Kind, Value};

const BAD_TYPE: &str = "invalid type for comparison";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Basic {
    Bool,
    Int,
    Uint,
    Float,
    Complex,
    Str,
    Other,
}

const fn basic(value: &Value) -> Basic {
    match value {
        Value::Bool(_) => Basic::Bool,
        Value::Int(..) => Basic::Int,
        Value::Uint(..) => Basic::Uint,
        Value::Float(_) => Basic::Float,
        Value::Str(_) => Basic::Str,
        Value::Object(Object::Complex { .. }) => Basic::Complex,
        Value::Nil | Value::Bytes(_) | Value::List(_) | Value::Map(_) | Value::Object(_) => {
            Basic::Other
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    if value.is_nil() {
        "interface {}"
    } else {
        value.type_name()
    }
}

/// Whether the first value equals any of the others.
pub(crate) fn eq(values: &[Value]) -> Result<bool, String> {
    let [first, others @ ..] = values else {
        return Err("missing argument for comparison".to_owned());
    };
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equal(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[expect(
    clippy::float_cmp,
    reason = "the comparison that the template asks for"
)]
fn equal(one: &Value, other: &Value) -> Result<bool, String> {
    Ok(match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::Int(one, _), Value::Int(other, _)) => one == other,
        (Value::Uint(one, _), Value::Uint(other, _)) => one == other,
        (Value::Int(int, _), Value::Uint(uint, _)) | (Value::Uint(uint, _), Value::Int(int, _)) => {
            u64::try_from(*int).is_ok_and(|int| int == *uint)
        }
        (Value::Float(one), Value::Float(other)) => one == other,
        (Value::Str(one), Value::Str(other)) => one == other,
        (Value::Nil, other) | (other, Value::Nil) => other.is_nil(),
        _ if basic(one) != basic(other) => {
            return Err(format!(
                "incompatible types for comparison: {} and {}",
                type_of(one),
                type_of(other)
            ));
        }
        (Value::Object(one), Value::Object(other)) if !is_files(one) && !is_files(other) => {
            to_text(&Value::Object(one.clone())) == to_text(&Value::Object(other.clone()))
        }
        _ if one.kind() != other.kind() => {
            return Err(format!(
                "non-comparable types {}: {}, {}: {}",
                sprintf(b"%s", std::slice::from_ref(one)).lossy(),
                type_of(one),
                type_of(other),
                to_text(other).lossy()
            ));
        }
        // What was never made is equal to its like, although nothing else of its type can be compared.
        _ if was_never_made(one) || was_never_made(other) => {
            was_never_made(one) == was_never_made(other)
        }
        _ if matches!(one.kind(), Kind::Map | Kind::Slice) => {
            let shown = sprintf(b"%s", std::slice::from_ref(other));
            return Err(format!(
                "non-comparable type {}: {}",
                shown.lossy(),
                type_of(other)
            ));
        }
        _ => false,
    })
}

fn was_never_made(value: &Value) -> bool {
    match value {
        Value::Map(map) => map.is_nil(),
        Value::List(list) => list.element.is_nil(),
        _ => false,
    }
}

const fn is_files(object: &Object) -> bool {
    matches!(object, Object::Files(_))
}

fn order(one: &Value, other: &Value) -> Result<Option<Ordering>, String> {
    let orderless = |value| matches!(basic(value), Basic::Other | Basic::Complex);
    if orderless(one) || orderless(other) {
        return Err(BAD_TYPE.to_owned());
    }
    Ok(match (one, other) {
        (Value::Int(one, _), Value::Int(other, _)) => Some(one.cmp(other)),
        (Value::Uint(one, _), Value::Uint(other, _)) => Some(one.cmp(other)),
        (Value::Int(one, _), Value::Uint(other, _)) => {
            Some(u64::try_from(*one).map_or(Ordering::Less, |one| one.cmp(other)))
        }
        (Value::Uint(one, _), Value::Int(other, _)) => {
            Some(u64::try_from(*other).map_or(Ordering::Greater, |other| one.cmp(&other)))
        }
        (Value::Float(one), Value::Float(other)) => one.partial_cmp(other),
        (Value::Str(one), Value::Str(other)) => Some(one.cmp(other)),
        (Value::Bool(_), Value::Bool(_)) => return Err(BAD_TYPE.to_owned()),
        _ => {
            return Err(format!(
                "incompatible types for comparison: {} and {}",
                type_of(one),
                type_of(other)
            ));
        }
    })
}

pub(crate) fn lt(one: &Value, other: &Value) -> Result<bool, String> {
    Ok(order(one, other)? == Some(Ordering::Less))
}

pub(crate) fn le(one: &Value, other: &Value) -> Result<bool, String> {
    Ok(matches!(
        order(one, other)?,
        Some(Ordering::Less | Ordering::Equal)
    ))
}
