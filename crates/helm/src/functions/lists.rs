//! Sprig: lists. None of these changes a list in place.

use super::arguments::{NIL_POINTER, fail, int, is_empty, items, string, value};
use super::reflection::deep_equal;
use super::{Called, Function, Type, function, variadic};
use crate::go::convert::to_text;
use crate::go::text::Text;
use crate::go::value::{Element, List, Value};
use crate::template::error::ExecError;
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("list", &[], Type::Any, list),
    variadic("tuple", &[], Type::Any, list),
    function("append", &[Type::Any, Type::Any], push),
    function("push", &[Type::Any, Type::Any], push),
    function("mustAppend", &[Type::Any, Type::Any], push),
    function("mustPush", &[Type::Any, Type::Any], push),
    function("prepend", &[Type::Any, Type::Any], prepend),
    function("mustPrepend", &[Type::Any, Type::Any], prepend),
    function("first", &[Type::Any], first),
    function("mustFirst", &[Type::Any], first),
    function("last", &[Type::Any], last),
    function("mustLast", &[Type::Any], last),
    function("rest", &[Type::Any], rest),
    function("mustRest", &[Type::Any], rest),
    function("initial", &[Type::Any], initial),
    function("mustInitial", &[Type::Any], initial),
    function("reverse", &[Type::Any], reverse),
    function("mustReverse", &[Type::Any], reverse),
    function("uniq", &[Type::Any], uniq),
    function("mustUniq", &[Type::Any], uniq),
    function("compact", &[Type::Any], compact),
    function("mustCompact", &[Type::Any], compact),
    variadic("without", &[Type::Any], Type::Any, without),
    variadic("mustWithout", &[Type::Any], Type::Any, without),
    function("has", &[Type::Any, Type::Any], has),
    function("mustHas", &[Type::Any, Type::Any], has),
    variadic("slice", &[Type::Any], Type::Any, slice),
    variadic("mustSlice", &[Type::Any], Type::Any, slice),
    variadic("concat", &[], Type::Any, concat),
    function("chunk", &[Type::Int, Type::Any], chunk),
    function("mustChunk", &[Type::Int, Type::Any], chunk),
    function("sortAlpha", &[Type::Any], sort_alpha),
    function("join", &[Type::Str, Type::Any], join),
    function("toStrings", &[Type::Any], |_, arguments| {
        Ok(Value::strings(strings(value(arguments, 0))))
    }),
];

/// The items, or the message that a function has for another kind of value.
fn items_or(list: &Value, complaint: &str) -> Result<Vec<Value>, ExecError> {
    if list.is_nil() {
        return fail(NIL_POINTER);
    }
    match items(list) {
        Some(items) => Ok(items),
        None => fail(format!("{complaint} {}", list.kind().name())),
    }
}

fn list(_: &mut State<'_>, arguments: &[Value]) -> Called {
    Ok(Value::list(arguments.to_vec()))
}

/// A slice that was never made: empty, and `null` in JSON.
pub(super) fn nil_list() -> Value {
    Value::List(List::new(Vec::new(), Element::NilAny))
}

fn push(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let mut all = items_or(value(arguments, 0), "Cannot push on type")?;
    all.push(value(arguments, 1).clone());
    Ok(Value::list(all))
}

fn prepend(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let mut all = items_or(value(arguments, 0), "Cannot prepend on type")?;
    all.insert(0, value(arguments, 1).clone());
    Ok(Value::list(all))
}

fn first(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let all = items_or(value(arguments, 0), "Cannot find first on type")?;
    Ok(all.first().cloned().unwrap_or(Value::Nil))
}

fn last(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let all = items_or(value(arguments, 0), "Cannot find last on type")?;
    Ok(all.last().cloned().unwrap_or(Value::Nil))
}

fn rest(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let mut all = items_or(value(arguments, 0), "Cannot find rest on type")?;
    if all.is_empty() {
        return Ok(nil_list());
    }
    all.remove(0);
    Ok(Value::list(all))
}

fn initial(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let mut all = items_or(value(arguments, 0), "Cannot find initial on type")?;
    Ok(if all.pop().is_none() {
        nil_list()
    } else {
        Value::list(all)
    })
}

fn reverse(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let mut all = items_or(value(arguments, 0), "Cannot find reverse on type")?;
    all.reverse();
    Ok(Value::list(all))
}

fn uniq(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let mut kept: Vec<Value> = Vec::new();
    for item in items_or(value(arguments, 0), "Cannot find uniq on type")? {
        state.charge(kept.len() as u64 / COMPARED_PER_STEP)?;
        if !contains(&kept, &item) {
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

/// Comparisons of two values that take as long as a node.
const COMPARED_PER_STEP: u64 = 8;

fn contains(list: &[Value], wanted: &Value) -> bool {
    list.iter().any(|item| deep_equal(wanted, item))
}

fn compact(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let all = items_or(value(arguments, 0), "Cannot compact on type")?;
    Ok(Value::list(
        all.into_iter().filter(|item| !is_empty(item)).collect(),
    ))
}

fn without(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let all = items_or(value(arguments, 0), "Cannot find without on type")?;
    let omitted = &arguments[1..];
    let compared = all.len() as u64 * omitted.len() as u64;
    state.charge(compared / COMPARED_PER_STEP)?;
    Ok(Value::list(
        all.into_iter()
            .filter(|item| !contains(omitted, item))
            .collect(),
    ))
}

fn has(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let haystack = value(arguments, 1);
    if haystack.is_nil() {
        return Ok(Value::Bool(false));
    }
    let all = items_or(haystack, "Cannot find has on type")?;
    Ok(Value::Bool(contains(&all, value(arguments, 0))))
}

fn slice(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let list = value(arguments, 0);
    if list.is_nil() {
        return fail(NIL_POINTER);
    }
    super::builtin::slice(list, &arguments[1..])
}

fn concat(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let mut all = Vec::new();
    for list in arguments {
        if list.is_nil() {
            return fail(NIL_POINTER);
        }
        match items(list) {
            Some(items) => all.extend(items),
            None => {
                let kind = list.kind().name();
                return fail(format!("Cannot concat type {kind} as list"));
            }
        }
    }
    Ok(if all.is_empty() {
        nil_list()
    } else {
        Value::list(all)
    })
}

fn chunk(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let all = items_or(value(arguments, 1), "Cannot chunk type")?;
    let size = match usize::try_from(int(arguments, 0)) {
        Ok(0) => return fail("runtime error: makeslice: len out of range"),
        Ok(size) => size,
        // Sprig counts the parts beforehand: with a size below zero there can be none of them.
        Err(_) if all.len() > 1 && int(arguments, 0) <= -as_size(all.len() - 1) => {
            return Ok(Value::List(List::new(Vec::new(), Element::AnyList)));
        }
        Err(_) => return fail("runtime error: makeslice: len out of range"),
    };
    let chunks = all
        .chunks(size)
        .map(|chunk| Value::list(chunk.to_vec()))
        .collect();
    Ok(Value::List(List::new(chunks, Element::AnyList)))
}

fn as_size(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn sort_alpha(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let list = value(arguments, 0);
    if items(list).is_none() {
        return Ok(Value::strings([to_text(list)]));
    }
    let mut texts = strings(list);
    texts.sort();
    Ok(Value::strings(texts))
}

/// Sprig's `strslice`: the items as text, those that are nil left out.
pub(super) fn strings(value: &Value) -> Vec<Text> {
    match items(value) {
        Some(items) => items
            .iter()
            .filter(|item| !item.is_nil())
            .map(to_text)
            .collect(),
        None if value.is_nil() => Vec::new(),
        None => vec![to_text(value)],
    }
}

fn join(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let separator = string(arguments, 0);
    let parts = strings(value(arguments, 1));
    state.reserve_parts(parts.len(), separator.len())?;
    let mut joined = Vec::new();
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            joined.extend_from_slice(separator.as_bytes());
        }
        joined.extend_from_slice(part.as_bytes());
    }
    Ok(Value::Str(Text::from_bytes(joined)))
}
