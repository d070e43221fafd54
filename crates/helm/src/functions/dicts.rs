//! Sprig: maps. `set` and `unset` change the map itself.

use super::arguments::{fail, map, text, value};
use super::{Called, Function, Type, function, variadic};
use crate::go::convert::to_text;
use crate::go::value::{Entries, Map, MapType, Value};
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("dict", &[], Type::Any, dict),
    function("get", &[Type::Map, Type::Str], get),
    function("set", &[Type::Map, Type::Str, Type::Any], set),
    function("unset", &[Type::Map, Type::Str], unset),
    function("hasKey", &[Type::Map, Type::Str], has_key),
    variadic("pluck", &[Type::Str], Type::Map, pluck),
    variadic("keys", &[], Type::Map, keys),
    variadic("pick", &[Type::Map], Type::Str, pick),
    variadic("omit", &[Type::Map], Type::Str, omit),
    function("values", &[Type::Map], values),
    variadic("dig", &[], Type::Any, dig),
];

fn dict(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let entries = arguments
        .chunks(2)
        .map(|pair| {
            (
                to_text(&pair[0]),
                pair.get(1).cloned().unwrap_or_else(|| Value::str("")),
            )
        })
        .collect();
    Ok(Value::map(entries))
}

fn get(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let key = text(arguments, 1);
    let found = map(arguments, 0).and_then(|map| map.borrow().get(key.as_bytes()).cloned());
    Ok(found.unwrap_or_else(|| Value::str("")))
}

/// A parameter of the type `map[string]interface {}` makes it of `common.Values`, the same map.
pub(super) fn plain_type(value: &Value) -> Value {
    match value {
        Value::Map(map) if map.element == MapType::Values => Value::Map(map.as_type(MapType::Any)),
        other => other.clone(),
    }
}

fn set(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let Some(map) = map(arguments, 0).filter(|map| !map.is_nil()) else {
        return fail("assignment to entry in nil map");
    };
    map.insert(text(arguments, 1), value(arguments, 2).clone());
    Ok(plain_type(value(arguments, 0)))
}

fn unset(_: &mut State<'_>, arguments: &[Value]) -> Called {
    if let Some(map) = map(arguments, 0) {
        map.borrow_mut().remove(text(arguments, 1).as_bytes());
    }
    Ok(plain_type(value(arguments, 0)))
}

fn has_key(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let key = text(arguments, 1);
    let found = map(arguments, 0).is_some_and(|map| map.borrow().contains_key(key.as_bytes()));
    Ok(Value::Bool(found))
}

fn pluck(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let key = text(arguments, 0);
    let found = (1..arguments.len())
        .filter_map(|at| map(arguments, at))
        .filter_map(|map| map.borrow().get(key.as_bytes()).cloned())
        .collect();
    Ok(Value::list(found))
}

/// Go gives the keys in random order; here they are sorted.
fn keys(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let keys = (0..arguments.len())
        .filter_map(|at| map(arguments, at))
        .flat_map(|map| map.borrow().keys().cloned().collect::<Vec<_>>());
    Ok(Value::strings(keys.collect::<Vec<_>>()))
}

fn pick(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let mut entries = Entries::new();
    if let Some(map) = map(arguments, 0) {
        let map = map.borrow();
        for at in 1..arguments.len() {
            let key = text(arguments, at);
            if let Some(found) = map.get(key.as_bytes()) {
                entries.insert(key, found.clone());
            }
        }
    }
    Ok(Value::map(entries))
}

fn omit(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let mut entries = map(arguments, 0)
        .map(|map| map.borrow().clone())
        .unwrap_or_default();
    for at in 1..arguments.len() {
        entries.remove(text(arguments, at).as_bytes());
    }
    Ok(Value::map(entries))
}

/// Go gives the values in random order; here they follow the sorted keys.
fn values(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let values = map(arguments, 0).map(|map| map.borrow().values().cloned().collect());
    Ok(Value::list(values.unwrap_or_default()))
}

fn conversion<T>(found: &Value, wanted: &str) -> Result<T, crate::template::error::ExecError> {
    let found = if found.is_nil() {
        "nil"
    } else {
        found.type_name()
    };
    fail(format!(
        "interface conversion: interface {{}} is {found}, not {wanted}"
    ))
}

/// A map of exactly this type: `.Values` itself is of another.
fn plain_map(value: &Value) -> Option<&Map> {
    match value {
        Value::Map(map) if matches!(map.element, MapType::Any | MapType::NilAny) => Some(map),
        _ => None,
    }
}

fn dig(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let [keys @ .., default, root] = arguments else {
        return fail("dig needs at least three arguments");
    };
    if keys.is_empty() {
        return fail("dig needs at least three arguments");
    }
    let Some(_) = plain_map(root) else {
        return conversion(root, "map[string]interface {}");
    };
    if let Some(key) = keys.iter().find(|key| !matches!(key, Value::Str(_))) {
        return conversion(key, "string");
    }
    let mut step = root.clone();
    for key in keys {
        let Value::Str(key) = key else { break };
        let Some(map) = plain_map(&step) else {
            return conversion(&step, "map[string]interface {}");
        };
        let found = map.borrow().get(key.as_bytes()).cloned();
        match found {
            Some(found) => step = found,
            None => return Ok(default.clone()),
        }
    }
    Ok(step)
}
