//! Helm: durations, in nanoseconds as in Go.

use super::arguments::{fail, value};
use super::methods::Method;
use super::strings::invalid;
use super::{Called, Function, Signature, Type, function};
use crate::go::convert::{float_to_int, int_to_float, parse_float};
use crate::go::quote::quote;
use crate::go::value::{IntType, Value};
use crate::template::error::ExecError;

const MICROSECOND: i64 = 1_000;
const MILLISECOND: i64 = 1_000_000;
pub(super) const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

pub(super) const FUNCTIONS: &[Function] = &[
    function("mustToDuration", &[Type::Any], |_, a| {
        of(value(a, 0)).map(duration)
    }),
    function("durationSeconds", &[Type::Any], |_, a| {
        in_units(a, SECOND, 1.0)
    }),
    function("durationMinutes", &[Type::Any], |_, a| {
        in_units(a, MINUTE, 1.0)
    }),
    function("durationHours", &[Type::Any], |_, a| in_units(a, HOUR, 1.0)),
    function("durationDays", &[Type::Any], |_, a| in_units(a, HOUR, 24.0)),
    function("durationWeeks", &[Type::Any], |_, a| {
        in_units(a, HOUR, 168.0)
    }),
    function("durationMilliseconds", &[Type::Any], |_, a| {
        whole_units(a, MILLISECOND)
    }),
    function("durationMicroseconds", &[Type::Any], |_, a| {
        whole_units(a, MICROSECOND)
    }),
    function("durationNanoseconds", &[Type::Any], |_, a| {
        whole_units(a, 1)
    }),
    function("durationRoundTo", &[Type::Any, Type::Any], |_, a| {
        to_multiple(a, round)
    }),
    function("durationTruncateTo", &[Type::Any, Type::Any], |_, a| {
        to_multiple(a, truncate)
    }),
];

pub(super) const METHODS: &[Method] = &[
    no_arguments("String", |receiver, _| {
        Ok(Value::str(to_text(nanoseconds(receiver))))
    }),
    no_arguments("Seconds", |receiver, _| {
        Ok(units(nanoseconds(receiver), SECOND))
    }),
    no_arguments("Minutes", |receiver, _| {
        Ok(units(nanoseconds(receiver), MINUTE))
    }),
    no_arguments("Hours", |receiver, _| {
        Ok(units(nanoseconds(receiver), HOUR))
    }),
    no_arguments("Milliseconds", |receiver, _| {
        Ok(Value::int64(nanoseconds(receiver) / MILLISECOND))
    }),
    no_arguments("Microseconds", |receiver, _| {
        Ok(Value::int64(nanoseconds(receiver) / MICROSECOND))
    }),
    no_arguments("Nanoseconds", |receiver, _| {
        Ok(Value::int64(nanoseconds(receiver)))
    }),
];

const fn no_arguments(name: &'static str, call: fn(&Value, &[Value]) -> Called) -> Method {
    Method {
        name,
        signature: Signature {
            fixed: &[],
            rest: None,
        },
        call,
    }
}

const fn nanoseconds(value: &Value) -> i64 {
    match value {
        Value::Int(number, _) => *number,
        _ => 0,
    }
}

pub(super) const fn duration(nanoseconds: i64) -> Value {
    Value::Int(nanoseconds, IntType::Duration)
}

/// Whole units and their fraction are added separately, as Go does, for the last digit.
fn units(nanoseconds: i64, unit: i64) -> Value {
    let whole = int_to_float(nanoseconds / unit);
    Value::Float(whole + int_to_float(nanoseconds % unit) / int_to_float(unit))
}

fn in_units(arguments: &[Value], unit: i64, divisor: f64) -> Called {
    let Ok(nanoseconds) = of(value(arguments, 0)) else {
        return Ok(Value::Float(0.0));
    };
    match units(nanoseconds, unit) {
        Value::Float(number) if divisor > 100.0 => Ok(Value::Float(number / 24.0 / 7.0)),
        Value::Float(number) => Ok(Value::Float(number / divisor)),
        other => Ok(other),
    }
}

fn whole_units(arguments: &[Value], unit: i64) -> Called {
    Ok(Value::int64(of(value(arguments, 0)).unwrap_or(0) / unit))
}

fn to_multiple(arguments: &[Value], change: fn(i64, i64) -> i64) -> Called {
    let Ok(nanoseconds) = of(value(arguments, 0)) else {
        return Ok(duration(0));
    };
    let Ok(multiple) = of(value(arguments, 1)) else {
        return Ok(duration(nanoseconds));
    };
    Ok(duration(if multiple <= 0 {
        nanoseconds
    } else {
        change(nanoseconds, multiple)
    }))
}

const fn truncate(nanoseconds: i64, multiple: i64) -> i64 {
    nanoseconds - nanoseconds % multiple
}

/// Halves are rounded away from zero.
pub(super) const fn round(nanoseconds: i64, multiple: i64) -> i64 {
    let rest = nanoseconds % multiple;
    if rest.unsigned_abs() < multiple.unsigned_abs() - rest.unsigned_abs() {
        return nanoseconds - rest;
    }
    let away = if nanoseconds < 0 { -multiple } else { multiple };
    nanoseconds.saturating_add(away - rest)
}

fn from_seconds(seconds: f64) -> Result<i64, ExecError> {
    const MOST: f64 = 9_223_372_036.854_776;
    if !seconds.is_finite() {
        let text = crate::yaml::format_float_g(seconds);
        return fail(format!("invalid duration seconds: {text}"));
    }
    if seconds.abs() > MOST {
        let text = crate::yaml::format_float_g(seconds);
        return fail(format!("duration seconds overflow: {text}"));
    }
    Ok(float_to_int(seconds * int_to_float(SECOND)))
}

/// A duration from what a template has: text such as `1h30m`, or a number of seconds.
fn of(value: &Value) -> Result<i64, ExecError> {
    match value {
        Value::Int(number, IntType::Duration) => Ok(*number),
        Value::Int(seconds, _) => seconds
            .checked_mul(SECOND)
            .ok_or_else(|| invalid(format!("duration seconds overflow: {seconds}"))),
        Value::Uint(seconds, _) => i64::try_from(*seconds)
            .ok()
            .and_then(|seconds| seconds.checked_mul(SECOND))
            .ok_or_else(|| invalid(format!("duration seconds overflow: {seconds}"))),
        Value::Float(seconds) => from_seconds(*seconds),
        Value::Str(text) => {
            let lossy = text.lossy();
            let trimmed = lossy.trim();
            if trimmed.is_empty() {
                return fail("empty duration");
            }
            if let Ok(nanoseconds) = parse(trimmed) {
                return Ok(nanoseconds);
            }
            match parse_float(trimmed) {
                Some(seconds) => from_seconds(seconds),
                None => fail(format!("could not parse duration {}", quote(text))),
            }
        }
        Value::Nil => fail("invalid duration"),
        other => fail(format!("unsupported duration type {}", other.type_name())),
    }
}

/// Go's `time.ParseDuration`; the error is its message.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let quoted = || super::time_parsing::quote(text);
    let invalid = || format!("time: invalid duration {}", quoted());
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), digits);
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = match unit {
            "" => return Err(format!("time: missing unit in duration {}", quoted())),
            "ns" => 1,
            "us" | "µs" | "μs" => MICROSECOND,
            "ms" => MILLISECOND,
            "s" => SECOND,
            "m" => MINUTE,
            "h" => HOUR,
            unknown => {
                let unknown = super::time_parsing::quote(unknown);
                return Err(format!(
                    "time: unknown unit {unknown} in duration {}",
                    quoted()
                ));
            }
        };
        let more = nanoseconds_of(whole, fraction, i128::from(unit));
        total = more
            .and_then(|more| total.checked_add(more))
            .ok_or_else(invalid)?;
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

fn nanoseconds_of(whole: &str, fraction: &str, unit: i128) -> Option<i128> {
    let whole: i128 = match whole {
        "" => 0,
        digits => digits.parse().ok()?,
    };
    let fraction = &fraction[..fraction.len().min(18)];
    let part = match fraction {
        "" => 0,
        digits => {
            let scale = 10i128.pow(u32::try_from(digits.len()).ok()?);
            digits.parse::<i128>().ok()? * unit / scale
        }
    };
    whole.checked_mul(unit)?.checked_add(part)
}

/// Go's `Duration.String`.
pub(crate) fn to_text(nanoseconds: i64) -> String {
    let magnitude = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let second = SECOND.unsigned_abs();
    if magnitude == 0 {
        return "0s".to_owned();
    }
    if magnitude < second {
        let (unit, name) = match magnitude {
            0..1_000 => return format!("{sign}{magnitude}ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{name}", with_fraction(magnitude, unit));
    }
    let minutes = magnitude / (60 * second);
    let seconds = with_fraction(magnitude % (60 * second), second);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

fn with_fraction(number: u64, unit: u64) -> String {
    let (whole, rest) = (number / unit, number % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{rest:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}
