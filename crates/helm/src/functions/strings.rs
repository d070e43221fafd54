//! Sprig: strings. Lengths and positions are bytes, as in Go.

use super::arguments::{fail, int, string, text, value};
use super::regexes::PART_BYTES;
use super::{Called, Function, Type, function, variadic};
use crate::go::convert::to_text;
use crate::go::format::{self, sprintf};
use crate::go::quote;
use crate::go::text::Text;
use crate::go::value::{Map, MapType, Value};
use crate::template::error::ExecError;
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    function("trim", &[Type::Str], |_, a| {
        Ok(Value::Str(trimmed(a, 0, str::trim)))
    }),
    function("trimAll", &[Type::Str, Type::Str], trim_all),
    function("trimall", &[Type::Str, Type::Str], trim_all),
    function("trimSuffix", &[Type::Str, Type::Str], |_, a| {
        let whole = text(a, 1);
        let length = whole
            .as_bytes()
            .strip_suffix(text(a, 0).as_bytes())
            .map(<[u8]>::len);
        Ok(Value::Str(length.map_or_else(
            || whole.clone(),
            |length| whole.slice(0, length),
        )))
    }),
    function("trimPrefix", &[Type::Str, Type::Str], |_, a| {
        let (prefix, whole) = (text(a, 0), text(a, 1));
        let starts = whole.as_bytes().starts_with(prefix.as_bytes());
        let from = if starts { prefix.len() } else { 0 };
        Ok(Value::Str(whole.slice(from, whole.len())))
    }),
    function("upper", &[Type::Str], |_, a| {
        Ok(Value::str(upper(&string(a, 0))))
    }),
    function("lower", &[Type::Str], |_, a| {
        Ok(Value::str(lower(&string(a, 0))))
    }),
    function("repeat", &[Type::Int, Type::Str], repeat),
    function("substr", &[Type::Int, Type::Int, Type::Str], substr),
    function("trunc", &[Type::Int, Type::Str], trunc),
    function("contains", &[Type::Str, Type::Str], |_, a| {
        Ok(Value::Bool(
            find(text(a, 1).as_bytes(), text(a, 0).as_bytes()).is_some(),
        ))
    }),
    function("hasPrefix", &[Type::Str, Type::Str], |_, a| {
        Ok(Value::Bool(
            text(a, 1).as_bytes().starts_with(text(a, 0).as_bytes()),
        ))
    }),
    function("hasSuffix", &[Type::Str, Type::Str], |_, a| {
        Ok(Value::Bool(
            text(a, 1).as_bytes().ends_with(text(a, 0).as_bytes()),
        ))
    }),
    variadic("quote", &[], Type::Any, |_, a| {
        Ok(Value::Str(quoted(a, |item| {
            quote::quote(&to_text(item)).into_bytes()
        })))
    }),
    variadic("squote", &[], Type::Any, |_, a| {
        Ok(Value::Str(quoted(a, |item| {
            [b"'", format::to_text(item).as_bytes(), b"'"].concat()
        })))
    }),
    variadic("cat", &[], Type::Any, cat),
    function("indent", &[Type::Int, Type::Str], |state, a| {
        indent(state, a, "")
    }),
    function("nindent", &[Type::Int, Type::Str], |state, a| {
        indent(state, a, "\n")
    }),
    function("replace", &[Type::Str, Type::Str, Type::Str], |state, a| {
        let (whole, old, new) = (text(a, 2), text(a, 0), text(a, 1));
        state.reserve_parts(parts(&whole, &old), new.len())?;
        Ok(Value::Str(replace(&whole, &old, &new)))
    }),
    function("plural", &[Type::Str, Type::Str, Type::Int], |_, a| {
        Ok(Value::Str(text(a, usize::from(int(a, 2) != 1))))
    }),
    function("toString", &[Type::Any], |_, a| {
        Ok(Value::Str(to_text(value(a, 0))))
    }),
    function("split", &[Type::Str, Type::Str], |state, a| {
        state.reserve_parts(parts(&text(a, 1), &text(a, 0)), 2 * PART_BYTES)?;
        Ok(numbered(split(&text(a, 1), &text(a, 0), None)))
    }),
    function("splitn", &[Type::Str, Type::Int, Type::Str], |_, a| {
        let parts = match usize::try_from(int(a, 1)) {
            Ok(0) => Vec::new(),
            Ok(most) => split(&text(a, 2), &text(a, 0), Some(most)),
            Err(_) => split(&text(a, 2), &text(a, 0), None),
        };
        Ok(numbered(parts))
    }),
    function("splitList", &[Type::Str, Type::Str], |state, a| {
        state.reserve_parts(parts(&text(a, 1), &text(a, 0)), PART_BYTES)?;
        Ok(Value::strings(split(&text(a, 1), &text(a, 0), None)))
    }),
];

/// How much text one call may make by repetition.
const MAX_REPEATED: usize = 64 * 1024 * 1024;

fn trimmed(arguments: &[Value], at: usize, trim: fn(&str) -> &str) -> Text {
    Text::from(trim(&string(arguments, at)))
}

/// Go maps each character by itself, without the special cases of whole words.
pub(super) fn upper(text: &str) -> String {
    text.chars().map(one_upper).collect()
}

pub(super) fn lower(text: &str) -> String {
    text.chars().map(one_lower).collect()
}

pub(super) fn one_upper(character: char) -> char {
    let mut mapped = character.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(upper), None) => upper,
        _ => character,
    }
}

pub(super) fn one_lower(character: char) -> char {
    let mut mapped = character.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(lower), None) => lower,
        _ if character == '\u{130}' => 'i',
        _ => character,
    }
}

fn trim_all(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let cutset = string(arguments, 0).into_owned();
    let whole = string(arguments, 1);
    Ok(Value::str(
        whole.trim_matches(|character| cutset.contains(character)),
    ))
}

fn repeat(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let text = text(arguments, 1);
    let Ok(count) = usize::try_from(int(arguments, 0)) else {
        return fail("strings: negative Repeat count");
    };
    if text.len().saturating_mul(count) > MAX_REPEATED {
        return fail("strings: Repeat output length overflow");
    }
    Ok(Value::Str(Text::from_bytes(text.as_bytes().repeat(count))))
}

fn out_of_bounds(bound: impl std::fmt::Display, length: usize) -> Called {
    fail(format!(
        "runtime error: slice bounds out of range {bound} with length {length}"
    ))
}

fn substr(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let (start, end, whole) = (int(arguments, 0), int(arguments, 1), text(arguments, 2));
    let length = whole.len();
    let from = usize::try_from(start).unwrap_or(0);
    let to = match usize::try_from(end) {
        Ok(to) if start < 0 => to,
        Ok(to) if to <= length => to,
        Err(_) if start < 0 => {
            return fail(format!("runtime error: slice bounds out of range [:{end}]"));
        }
        _ => length,
    };
    if to > length {
        return out_of_bounds(format!("[:{to}]"), length);
    }
    if from > length && to == length {
        return fail(format!(
            "runtime error: slice bounds out of range [{from}:{length}]"
        ));
    }
    if from > to {
        return fail(format!(
            "runtime error: slice bounds out of range [{from}:{to}]"
        ));
    }
    Ok(Value::Str(whole.slice(from, to)))
}

fn trunc(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let (count, whole) = (int(arguments, 0), text(arguments, 1));
    let length = whole.len();
    let kept = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if kept >= length {
        return Ok(Value::Str(whole));
    }
    let part = if count < 0 {
        whole.slice(length - kept, length)
    } else {
        whole.slice(0, kept)
    };
    Ok(Value::Str(part))
}

fn quoted(arguments: &[Value], quote: impl Fn(&Value) -> Vec<u8>) -> Text {
    let parts: Vec<Vec<u8>> = arguments
        .iter()
        .filter(|item| !item.is_nil())
        .map(quote)
        .collect();
    Text::from_bytes(parts.join(&b' '))
}

fn cat(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let kept: Vec<Value> = arguments
        .iter()
        .filter(|item| !item.is_nil())
        .cloned()
        .collect();
    let format = vec!["%v"; kept.len()].join(" ");
    Ok(Value::Str(sprintf(format.as_bytes(), &kept)))
}

fn indent(state: &State<'_>, arguments: &[Value], before: &str) -> Called {
    let Ok(spaces) = usize::try_from(int(arguments, 0)) else {
        return fail("strings: negative Repeat count");
    };
    let whole = text(arguments, 1);
    let lines = whole.as_bytes().split(|&byte| byte == b'\n').count();
    if spaces.saturating_mul(lines) > MAX_REPEATED {
        return fail("strings: Repeat output length overflow");
    }
    state.reserve_parts(lines, spaces)?;
    let mut out = Vec::with_capacity(whole.len() + spaces * lines + before.len());
    out.extend_from_slice(before.as_bytes());
    for (number, line) in whole.as_bytes().split(|&byte| byte == b'\n').enumerate() {
        if number > 0 {
            out.push(b'\n');
        }
        out.extend(std::iter::repeat_n(b' ', spaces));
        out.extend_from_slice(line);
    }
    Ok(Value::Str(Text::from_bytes(out)))
}

/// Where a sequence of bytes first occurs in another.
pub(super) fn find(whole: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    whole.windows(part.len()).position(|window| window == part)
}

/// How many parts a separator makes of a text, at most.
fn parts(whole: &Text, separator: &Text) -> usize {
    match (whole, separator) {
        (Text::Utf8(whole), Text::Utf8(separator)) => whole.matches(separator.as_ref()).count() + 1,
        _ => whole.len() / separator.len().max(1) + 1,
    }
}

fn replace(whole: &Text, old: &Text, new: &Text) -> Text {
    if let (Text::Utf8(whole), Text::Utf8(old), Text::Utf8(new)) = (whole, old, new) {
        return whole.replace(old.as_ref(), new).into();
    }
    let parts = split(whole, old, None);
    let parts: Vec<&[u8]> = parts.iter().map(Text::as_bytes).collect();
    Text::from_bytes(parts.join(new.as_bytes()))
}

/// Go's `strings.SplitN`; an empty separator splits into characters.
pub(super) fn split(whole: &Text, separator: &Text, most: Option<usize>) -> Vec<Text> {
    let most = most.unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    if separator.is_empty() {
        let lossy = whole.lossy();
        let mut rest = lossy.as_ref();
        while let Some(character) = rest.chars().next() {
            if parts.len() + 1 >= most {
                break;
            }
            let (first, after) = rest.split_at(character.len_utf8());
            parts.push(Text::from(first));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Text::from(rest));
        }
        return parts;
    }
    if let (Text::Utf8(whole), Text::Utf8(separator)) = (whole, separator) {
        return whole
            .splitn(most, separator.as_ref())
            .map(Text::from)
            .collect();
    }
    let bytes = whole.as_bytes();
    let mut from = 0;
    while parts.len() + 1 < most {
        let Some(at) = find(&bytes[from..], separator.as_bytes()) else {
            break;
        };
        parts.push(whole.slice(from, from + at));
        from += at + separator.len();
    }
    parts.push(whole.slice(from, bytes.len()));
    parts
}

/// A map with the keys `_0`, `_1` and so on.
fn numbered(parts: Vec<Text>) -> Value {
    let entries = parts
        .into_iter()
        .enumerate()
        .map(|(number, part)| (Text::from(format!("_{number}")), Value::Str(part)))
        .collect();
    Value::Map(Map::typed(entries, MapType::Str))
}

/// The error of a function that got text which it cannot use.
pub(super) fn invalid(message: impl Into<String>) -> ExecError {
    ExecError::plain(message)
}
