//! Sprig: regular expressions. Go's RE2 syntax and the `regex` crate's agree but for details, which
//! are translated here.

use std::fmt::Write as _;

use regex::Regex;

use super::arguments::{int, string};
use super::regex_syntax::check;
use super::regex_translation::translate;
use super::strings::invalid;
use super::{Called, Function, Type, function};
use crate::go::value::Value;
use crate::template::error::ExecError;
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    function("regexMatch", &[Type::Str, Type::Str], |state, a| {
        // A bad expression matches nothing; running out of steps is an error all the same.
        match expression(state, a, false) {
            Ok(regex) => Ok(Value::Bool(regex.is_match(&string(a, 1)))),
            Err(ExecError::Plain(_)) => Ok(Value::Bool(false)),
            Err(error) => Err(error),
        }
    }),
    function("mustRegexMatch", &[Type::Str, Type::Str], |state, a| {
        let regex = expression(state, a, false)?;
        Ok(Value::Bool(regex.is_match(&string(a, 1))))
    }),
    function("regexFind", &[Type::Str, Type::Str], |state, a| {
        find(state, a, true)
    }),
    function("mustRegexFind", &[Type::Str, Type::Str], |state, a| {
        find(state, a, false)
    }),
    function(
        "regexFindAll",
        &[Type::Str, Type::Str, Type::Int],
        |state, a| find_all(state, a, true),
    ),
    function(
        "mustRegexFindAll",
        &[Type::Str, Type::Str, Type::Int],
        |state, a| find_all(state, a, false),
    ),
    function(
        "regexReplaceAll",
        &[Type::Str, Type::Str, Type::Str],
        |state, a| replace(state, a, true),
    ),
    function(
        "mustRegexReplaceAll",
        &[Type::Str, Type::Str, Type::Str],
        |state, a| replace(state, a, false),
    ),
    function(
        "regexReplaceAllLiteral",
        &[Type::Str, Type::Str, Type::Str],
        |state, a| replace_literal(state, a, true),
    ),
    function(
        "mustRegexReplaceAllLiteral",
        &[Type::Str, Type::Str, Type::Str],
        |state, a| replace_literal(state, a, false),
    ),
    function(
        "regexSplit",
        &[Type::Str, Type::Str, Type::Int],
        |state, a| split(state, a, true),
    ),
    function(
        "mustRegexSplit",
        &[Type::Str, Type::Str, Type::Int],
        |state, a| split(state, a, false),
    ),
    function("regexQuoteMeta", &[Type::Str], quote_meta),
];

/// Compiles a pattern of Go.
fn compile(pattern: &str) -> Result<Regex, ExecError> {
    let malformed = |why: String| invalid(format!("error parsing regexp: {why}"));
    check(pattern).map_err(malformed)?;
    // Only what Go has and this library has not can fail here, or what is too large for it.
    Regex::new(&translate(pattern)).map_err(|error| {
        let why = if matches!(error, regex::Error::CompiledTooBig(_)) {
            "expression too large"
        } else {
            "invalid or unsupported syntax"
        };
        malformed(format!("{why}: `{pattern}`"))
    })
}

/// Functions without `must` panic on a bad pattern, which makes another message.
fn compiled(state: &State<'_>, pattern: &str, panics: bool) -> Result<Regex, ExecError> {
    state
        .expression(pattern, compile)
        .map_err(|error| match error {
            ExecError::Plain(message) if panics => {
                invalid(format!("regexp: Compile(`{pattern}`): {message}"))
            }
            other => other,
        })
}

/// The expression of a call whose text is the second argument. Searching can take as long as the text
/// times the states of the expression.
fn expression(state: &State<'_>, arguments: &[Value], panics: bool) -> Result<Regex, ExecError> {
    let pattern = string(arguments, 0);
    let regex = compiled(state, &pattern, panics)?;
    let states = states(&pattern);
    let length = string(arguments, 1).len() as u64;
    state.charge(states.saturating_mul(length) / STATE_BYTES_PER_STEP)?;
    Ok(regex)
}

/// What a part of a text takes in memory.
pub(super) const PART_BYTES: usize = 64;

const STATE_BYTES_PER_STEP: u64 = 1000;

/// At most so many states has an expression: repetitions multiply what they repeat.
fn states(pattern: &str) -> u64 {
    let repeats = pattern.split('{').skip(1).filter_map(|after| {
        let counts = after.split('}').next()?;
        counts
            .split(',')
            .filter_map(|count| count.parse::<u64>().ok())
            .max()
    });
    repeats.fold(pattern.len() as u64, |states, most| {
        states.saturating_mul(most.max(1))
    })
}

fn find(state: &State<'_>, arguments: &[Value], panics: bool) -> Called {
    let regex = expression(state, arguments, panics)?;
    let text = string(arguments, 1);
    Ok(Value::str(
        regex.find(&text).map_or("", |found| found.as_str()),
    ))
}

fn most(arguments: &[Value], at: usize) -> usize {
    usize::try_from(int(arguments, at)).unwrap_or(usize::MAX)
}

fn find_all(state: &State<'_>, arguments: &[Value], panics: bool) -> Called {
    let regex = expression(state, arguments, panics)?;
    let text = string(arguments, 1);
    let most = most(arguments, 2);
    state.reserve_parts(regex.find_iter(&text).take(most).count(), PART_BYTES)?;
    let found: Vec<&str> = regex
        .find_iter(&text)
        .take(most)
        .map(|found| found.as_str())
        .collect();
    Ok(Value::strings_or_nil(found))
}

fn replace(state: &State<'_>, arguments: &[Value], panics: bool) -> Called {
    let regex = expression(state, arguments, panics)?;
    let text = string(arguments, 1);
    let replacement = go_template(&string(arguments, 2));
    reserve_replaced(state, &regex, &text, &string(arguments, 2))?;
    Ok(Value::str(regex.replace_all(&text, replacement.as_str())))
}

/// A group can be in the replacement several times, and be as long as the text.
fn reserve_replaced(
    state: &State<'_>,
    regex: &Regex,
    text: &str,
    replacement: &str,
) -> Result<(), ExecError> {
    let groups = replacement.matches('$').count();
    state.reserve_parts(regex.find_iter(text).count(), replacement.len())?;
    state.reserve_parts(groups, text.len())
}

/// `$name` takes the longest name in both; a `$` that begins no name is dropped here and kept by
/// Go, so it is doubled.
fn go_template(replacement: &str) -> String {
    let mut out = String::with_capacity(replacement.len());
    let mut rest = replacement;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push_str("$$");
            rest = after;
        } else if let Some((name, after)) = rest
            .strip_prefix('{')
            .and_then(|braced| braced.split_once('}'))
            && is_name(name)
        {
            let _ = write!(out, "${{{name}}}");
            rest = after;
        } else {
            let length = rest
                .find(|c: char| !(c == '_' || c.is_alphanumeric()))
                .unwrap_or(rest.len());
            if length == 0 {
                out.push_str("$$");
            } else {
                let _ = write!(out, "${{{}}}", &rest[..length]);
                rest = &rest[length..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c == '_' || c.is_alphanumeric())
}

fn replace_literal(state: &State<'_>, arguments: &[Value], panics: bool) -> Called {
    let regex = expression(state, arguments, panics)?;
    let text = string(arguments, 1);
    let literal = string(arguments, 2);
    state.reserve_parts(regex.find_iter(&text).count(), literal.len())?;
    Ok(Value::str(
        regex.replace_all(&text, regex::NoExpand(&literal)),
    ))
}

fn split(state: &State<'_>, arguments: &[Value], panics: bool) -> Called {
    let regex = expression(state, arguments, panics)?;
    let text = string(arguments, 1);
    let limit = int(arguments, 2);
    if limit == 0 {
        return Ok(Value::strings_or_nil(Vec::<&str>::new()));
    }
    if !string(arguments, 0).is_empty() && text.is_empty() {
        return Ok(Value::strings([""]));
    }
    let most = most(arguments, 2);
    state.reserve_parts(regex.find_iter(&text).count(), PART_BYTES)?;
    let mut parts = Vec::new();
    let (mut from, mut end) = (0, 0);
    for found in regex.find_iter(&text) {
        if limit > 0 && parts.len() + 1 == most {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(&text[from..end]);
        }
        from = found.end();
    }
    if end != text.len() {
        parts.push(&text[from..]);
    }
    Ok(Value::strings(parts))
}

fn quote_meta(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let text = string(arguments, 0);
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if "\\.+*?()|[]{}^$".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    Ok(Value::str(out))
}
