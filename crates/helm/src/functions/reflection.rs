//! Sprig: types and kinds of values, and deep equality.

use super::arguments::{string, value};
use super::{Function, Type, function};
use crate::go::format::to_text;
use crate::go::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("typeOf", &[Type::Any], |_, a| {
        Ok(Value::str(value(a, 0).type_name()))
    }),
    function("typeIs", &[Type::Str, Type::Any], |_, a| {
        Ok(Value::Bool(string(a, 0) == value(a, 1).type_name()))
    }),
    function("typeIsLike", &[Type::Str, Type::Any], |_, a| {
        let (wanted, found) = (string(a, 0), value(a, 1).type_name());
        Ok(Value::Bool(
            wanted == found || found.strip_prefix('*') == Some(wanted.as_ref()),
        ))
    }),
    function("kindOf", &[Type::Any], |_, a| {
        Ok(Value::str(value(a, 0).kind().name()))
    }),
    function("kindIs", &[Type::Str, Type::Any], |_, a| {
        Ok(Value::Bool(string(a, 0) == value(a, 1).kind().name()))
    }),
    function("deepEqual", &[Type::Any, Type::Any], |_, a| {
        Ok(Value::Bool(deep_equal(value(a, 0), value(a, 1))))
    }),
];

/// Go's `reflect.DeepEqual`: types count, `1` is not `1.0`.
#[expect(
    clippy::float_cmp,
    reason = "the comparison that the template asks for"
)]
pub(super) fn deep_equal(one: &Value, other: &Value) -> bool {
    if one.type_name() != other.type_name() {
        return false;
    }
    match (one, other) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::Int(one, _), Value::Int(other, _)) => one == other,
        (Value::Uint(one, _), Value::Uint(other, _)) => one == other,
        (Value::Float(one), Value::Float(other)) => one == other,
        (Value::Str(one), Value::Str(other)) => one == other,
        (Value::Bytes(one), Value::Bytes(other)) => one == other,
        (Value::List(one), Value::List(other)) => {
            one.element == other.element
                && one.items.len() == other.items.len()
                && one
                    .items
                    .iter()
                    .zip(other.items.iter())
                    .all(|(one, other)| deep_equal(one, other))
        }
        (Value::Map(one), Value::Map(other)) => {
            if one.is_same(other) {
                return true;
            }
            let (ones, others) = (one.snapshot(), other.snapshot());
            one.is_nil() == other.is_nil()
                && ones.len() == others.len()
                && ones
                    .iter()
                    .zip(&others)
                    .all(|(one, other)| one.0 == other.0 && deep_equal(&one.1, &other.1))
        }
        (Value::Object(_), Value::Object(_)) => to_text(one) == to_text(other),
        _ => false,
    }
}
