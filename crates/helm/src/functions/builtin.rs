//! The functions of `text/template` itself.

use std::fmt::Write as _;

use super::arguments::{fail, items, text, value};
use super::{Called, Function, Type, function, variadic};
use crate::go::format::{sprint, sprintf, sprintln};
use crate::go::objects::Object;
use crate::go::quote::is_print;
use crate::go::text::Text;
use crate::go::value::{Element, List, MapType, UintType, Value};
use crate::template::compare;
use crate::template::error::ExecError;
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("and", &[Type::Reflect], Type::Reflect, lazy),
    variadic("or", &[Type::Reflect], Type::Reflect, lazy),
    function("not", &[Type::Reflect], |_, arguments| {
        Ok(Value::Bool(!value(arguments, 0).is_true()))
    }),
    variadic("call", &[Type::Reflect], Type::Reflect, call),
    variadic("html", &[], Type::Any, |_, arguments| {
        Ok(Value::str(html(&joined(arguments))))
    }),
    variadic("js", &[], Type::Any, |_, arguments| {
        Ok(Value::str(js(&joined(arguments))))
    }),
    variadic("urlquery", &[], Type::Any, |_, arguments| {
        Ok(Value::str(super::urls::query_escape(
            joined(arguments).as_bytes(),
        )))
    }),
    variadic("index", &[Type::Reflect], Type::Reflect, index),
    function("len", &[Type::Reflect], length),
    variadic("print", &[], Type::Any, |_, arguments| {
        Ok(Value::Str(sprint(arguments)))
    }),
    variadic("println", &[], Type::Any, |_, arguments| {
        Ok(Value::Str(sprintln(arguments)))
    }),
    variadic("printf", &[Type::Str], Type::Any, |_, arguments| {
        Ok(Value::Str(sprintf(
            text(arguments, 0).as_bytes(),
            &arguments[1..],
        )))
    }),
    variadic("eq", &[Type::Reflect], Type::Reflect, |_, arguments| {
        truth(compare::eq(arguments))
    }),
    function("ne", &[Type::Reflect, Type::Reflect], |_, arguments| {
        truth(compare::eq(arguments).map(|equal| !equal))
    }),
    function("lt", &[Type::Reflect, Type::Reflect], |_, arguments| {
        truth(compare::lt(value(arguments, 0), value(arguments, 1)))
    }),
    function("le", &[Type::Reflect, Type::Reflect], |_, arguments| {
        truth(compare::le(value(arguments, 0), value(arguments, 1)))
    }),
    function("gt", &[Type::Reflect, Type::Reflect], |_, arguments| {
        truth(compare::le(value(arguments, 0), value(arguments, 1)).map(|le| !le))
    }),
    function("ge", &[Type::Reflect, Type::Reflect], |_, arguments| {
        truth(compare::lt(value(arguments, 0), value(arguments, 1)).map(|lt| !lt))
    }),
];

fn truth(result: Result<bool, String>) -> Called {
    result.map(Value::Bool).map_err(ExecError::Plain)
}

/// The executor evaluates `and` and `or` itself.
fn lazy(_: &mut State<'_>, arguments: &[Value]) -> Called {
    Ok(arguments.last().cloned().unwrap_or(Value::Nil))
}

/// No value of a chart is a function.
fn call(_: &mut State<'_>, arguments: &[Value]) -> Called {
    match value(arguments, 0) {
        Value::Nil => fail("call of nil"),
        other => fail(format!("non-function of type {}", other.type_name())),
    }
}

fn joined(arguments: &[Value]) -> Text {
    match arguments {
        [Value::Str(text)] => text.clone(),
        _ => sprint(
            &arguments
                .iter()
                .map(|argument| match argument {
                    Value::Nil => Value::str("<no value>"),
                    other => other.clone(),
                })
                .collect::<Vec<_>>(),
        ),
    }
}

fn html(text: &Text) -> String {
    let mut out = String::new();
    for character in text.lossy().chars() {
        match character {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            other => out.push(other),
        }
    }
    out
}

fn js(text: &Text) -> String {
    let mut out = String::new();
    for character in text.lossy().chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' | '\0'..='\x1f' => {
                let _ = write!(out, "\\u{:04X}", u32::from(character));
            }
            _ if character.is_ascii() || is_print(character) => out.push(character),
            _ => {
                let _ = write!(out, "\\u{:04X}", u32::from(character));
            }
        }
    }
    out
}

/// An index or bound within `0..=most`.
fn position(index: &Value, most: usize) -> Result<usize, ExecError> {
    let number = match index {
        Value::Int(number, _) => *number,
        Value::Uint(number, _) => number.cast_signed(),
        Value::Nil => return fail("cannot index slice/array with nil"),
        other => {
            return fail(format!(
                "cannot index slice/array with type {}",
                other.type_name()
            ));
        }
    };
    match usize::try_from(number) {
        Ok(position) if position <= most => Ok(position),
        _ => fail(format!("index out of range: {number}")),
    }
}

fn index(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let mut item = value(arguments, 0).clone();
    if item.is_nil() {
        return fail("index of untyped nil");
    }
    for index in &arguments[1..] {
        item = index_one(&item, index)?;
    }
    Ok(item)
}

const OUT_OF_RANGE: &str = "reflect: slice index out of range";

fn index_one(item: &Value, index: &Value) -> Called {
    match item {
        Value::Nil => fail("index of nil pointer"),
        Value::List(list) => {
            let at = position(index, list.items.len())?;
            match list.items.get(at) {
                Some(found) => Ok(found.clone()),
                None => fail(OUT_OF_RANGE),
            }
        }
        Value::Bytes(bytes) => {
            let at = position(index, bytes.len())?;
            match bytes.get(at) {
                Some(byte) => Ok(Value::Uint(u64::from(*byte), UintType::Uint8)),
                None => fail(OUT_OF_RANGE),
            }
        }
        Value::Str(text) => {
            let at = position(index, text.len())?;
            match text.as_bytes().get(at) {
                Some(byte) => Ok(Value::Uint(u64::from(*byte), UintType::Uint8)),
                None => fail("reflect: string index out of range"),
            }
        }
        Value::Map(map) => {
            let key = map_key(index)?;
            let missing = match map.element {
                MapType::Str | MapType::NilStr => Value::str(""),
                MapType::Any | MapType::NilAny | MapType::Values => Value::Nil,
            };
            let found = map.borrow().get(key.as_bytes()).cloned();
            Ok(found.unwrap_or(missing))
        }
        Value::Object(Object::Files(files)) => {
            let key = map_key(index)?;
            let data = files.get(key.lossy().as_ref()).map_or(&[][..], |data| data);
            Ok(Value::Bytes(data.into()))
        }
        other => fail(format!("can't index item of type {}", other.type_name())),
    }
}

fn map_key(index: &Value) -> Result<Text, ExecError> {
    match index {
        Value::Str(key) => Ok(key.clone()),
        Value::Nil => fail("value is nil; should be of type string"),
        other => fail(format!(
            "value has type {}; should be string",
            other.type_name()
        )),
    }
}

fn length(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let length = match value(arguments, 0) {
        Value::Nil => return fail("len of nil pointer"),
        Value::Str(text) => text.len(),
        Value::List(list) => list.items.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Map(map) => map.len(),
        Value::Object(object) => match object.len() {
            Some(length) => length,
            None => return fail(format!("len of type {}", object.type_name())),
        },
        other => return fail(format!("len of type {}", other.type_name())),
    };
    Ok(Value::int(i64::try_from(length).unwrap_or(i64::MAX)))
}

/// Sprig's `slice`, which hides that of Go.
pub(super) fn slice(item: &Value, indices: &[Value]) -> Called {
    let Some(all) = items(item) else {
        let kind = item.kind().name();
        return fail(format!("list should be type of slice or array but {kind}"));
    };
    if all.is_empty() {
        return Ok(Value::Nil);
    }
    let bound = |at: usize, otherwise: i64| {
        indices
            .get(at)
            .map_or(otherwise, crate::go::convert::to_int64)
    };
    let length = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let (start, end) = (bound(0, 0), bound(1, length));
    let (Ok(from), Ok(to)) = (usize::try_from(start), usize::try_from(end)) else {
        return fail("reflect.Value.Slice: slice index out of bounds");
    };
    if from > to || to > all.len() {
        return fail("reflect.Value.Slice: slice index out of bounds");
    }
    let element = match item {
        Value::List(list) => list.element,
        _ => Element::Any,
    };
    Ok(Value::List(List::new(all[from..to].to_vec(), element)))
}
