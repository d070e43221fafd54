//! Sprig: defaults and choices.

use super::arguments::{fail, is_empty, truth, value};
use super::{Called, Function, Type, function, variadic};
use crate::go::value::Value;
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("default", &[Type::Any], Type::Any, default),
    function("empty", &[Type::Any], |_, arguments| {
        Ok(Value::Bool(is_empty(value(arguments, 0))))
    }),
    variadic("coalesce", &[], Type::Any, |_, arguments| {
        Ok(arguments
            .iter()
            .find(|argument| !is_empty(argument))
            .cloned()
            .unwrap_or(Value::Nil))
    }),
    variadic("all", &[], Type::Any, |_, arguments| {
        Ok(Value::Bool(!arguments.iter().any(is_empty)))
    }),
    variadic("any", &[], Type::Any, |_, arguments| {
        Ok(Value::Bool(!arguments.iter().all(is_empty)))
    }),
    function(
        "ternary",
        &[Type::Any, Type::Any, Type::Bool],
        |_, arguments| Ok(value(arguments, usize::from(!truth(arguments, 2))).clone()),
    ),
    function("deepCopy", &[Type::Any], deep_copy),
    function("mustDeepCopy", &[Type::Any], deep_copy),
    function("hello", &[], |_, _| Ok(Value::str("Hello!"))),
];

fn default(_: &mut State<'_>, arguments: &[Value]) -> Called {
    match arguments.get(1) {
        Some(given) if !is_empty(given) => Ok(given.clone()),
        _ => Ok(value(arguments, 0).clone()),
    }
}

fn deep_copy(_: &mut State<'_>, arguments: &[Value]) -> Called {
    match value(arguments, 0) {
        Value::Nil => fail("reflect: call of reflect.Value.Type on zero Value"),
        Value::Object(object) if object.len().is_none() => fail(format!(
            "deepCopy of {} is not supported",
            object.type_name()
        )),
        other => Ok(other.deep_copy()),
    }
}
