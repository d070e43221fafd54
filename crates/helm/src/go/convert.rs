//! Conversions between numbers and text, by the rules of Go and of the `cast` library that Sprig
//! uses: what cannot be converted becomes zero.

use super::objects::Object;
use super::text::Text;
use super::value::{IntType, Value};
use crate::template::ast::Number;

/// `int64(float)` on amd64: what does not fit becomes the smallest number.
#[expect(clippy::cast_possible_truncation, reason = "checked against the range")]
pub(crate) fn float_to_int(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}

#[expect(clippy::cast_precision_loss, reason = "Go's float64(int64)")]
pub(crate) const fn int_to_float(number: i64) -> f64 {
    number as f64
}

/// The integer that a float is, when it is one.
#[expect(
    clippy::float_cmp,
    reason = "the comparison decides whether the float is whole"
)]
pub(crate) fn exact_int(number: f64) -> Option<i64> {
    let whole = float_to_int(number);
    (int_to_float(whole) == number).then_some(whole)
}

/// Go's `strconv.ParseInt(text, 0, 64)`: base by prefix, underscores between digits.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = parse_uint(digits)?;
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// Go's `strconv.ParseUint(text, 0, 64)`.
pub(crate) fn parse_uint(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (radix, digits, prefixed) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..], true),
        [b'0', b'o', ..] => (8, &lower[2..], true),
        [b'0', b'b', ..] => (2, &lower[2..], true),
        [b'0', _, ..] => (8, &lower[1..], true),
        _ => (10, lower.as_str(), false),
    };
    let misplaced =
        digits.ends_with('_') || digits.contains("__") || (digits.starts_with('_') && !prefixed);
    if misplaced {
        return None;
    }
    let plain: String = digits.chars().filter(|&c| c != '_').collect();
    if plain.is_empty() || !plain.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(&plain, radix).ok()
}

/// Go's `strconv.ParseFloat(text, 64)` without hexadecimal forms; too large is no number.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let spelled = text.contains(['n', 'N']);
    (number.is_finite() || spelled).then_some(number)
}

/// The integer values of a number constant.
pub(crate) fn parse_integer_constant(source: &str) -> (Option<i64>, Option<u64>) {
    let int = parse_int(source);
    let uint = match int {
        Some(0) => Some(0),
        _ => parse_uint(source),
    };
    (int, uint)
}

/// The float value of a number constant.
pub(crate) fn parse_float_constant(source: &str) -> Option<f64> {
    if source.contains("__") || source.ends_with('_') {
        return None;
    }
    let plain = source.replace('_', "");
    parse_hex_float(&plain).or_else(|| parse_float(&plain))
}

/// `0x1.8p4`: hexadecimal digits times a power of two.
fn parse_hex_float(source: &str) -> Option<f64> {
    let lower = source.to_ascii_lowercase();
    let unsigned = lower.strip_prefix(['+', '-']).unwrap_or(&lower);
    let (digits, exponent) = unsigned.strip_prefix("0x")?.split_once('p')?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mantissa = whole
        .chars()
        .chain(fraction.chars())
        .try_fold(0.0, |sum, digit| {
            Some(sum * 16.0 + f64::from(digit.to_digit(16)?))
        })?;
    let shift = i32::try_from(fraction.len()).ok()?.checked_mul(4)?;
    let number = mantissa * f64::from(exponent.parse::<i32>().ok()?.checked_sub(shift)?).exp2();
    Some(if lower.starts_with('-') {
        -number
    } else {
        number
    })
}

/// The value of a number constant where nothing else says its type: `int`, or `float64` when it is
/// written as one. Nothing when it does not fit.
pub(crate) fn ideal_constant(number: &Number) -> Option<Value> {
    if let Some((real, imaginary)) = number.complex {
        return Some(Object::Complex { real, imaginary }.into());
    }
    let source = &number.source;
    let lower = source.to_ascii_lowercase();
    let is_hex = lower.starts_with("0x") && !lower.contains('p');
    let is_rune = source.starts_with('\'');
    let is_float = !is_hex && !is_rune && source.contains(['.', 'e', 'E', 'p', 'P']);
    if is_float && let Some(float) = number.float {
        return Some(Value::Float(float));
    }
    number.int.map(Value::int)
}

/// `cast.ToInt64`.
pub(crate) fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Int(number, IntType::Int | IntType::Int64 | IntType::Month | IntType::Weekday) => {
            *number
        }
        Value::Uint(number, _) => number.cast_signed(),
        Value::Float(number) => float_to_int(*number),
        Value::Bool(truth) => i64::from(*truth),
        Value::Str(text) => parse_int(trim_zero_decimal(&text.lossy())).unwrap_or(0),
        Value::Nil
        | Value::Int(_, IntType::Duration)
        | Value::Bytes(_)
        | Value::List(_)
        | Value::Map(_)
        | Value::Object(_) => 0,
    }
}

/// `cast.ToFloat64`.
#[expect(clippy::cast_precision_loss, reason = "Go's float64(uint64)")]
pub(crate) fn to_float64(value: &Value) -> f64 {
    match value {
        Value::Int(number, IntType::Int | IntType::Int64 | IntType::Month | IntType::Weekday) => {
            int_to_float(*number)
        }
        Value::Uint(number, _) => *number as f64,
        Value::Float(number) => *number,
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::Str(text) => parse_float(&text.lossy()).unwrap_or(0.0),
        Value::Nil
        | Value::Int(_, IntType::Duration)
        | Value::Bytes(_)
        | Value::List(_)
        | Value::Map(_)
        | Value::Object(_) => 0.0,
    }
}

/// `12.00` counts as `12`.
fn trim_zero_decimal(text: &str) -> &str {
    match text.rsplit_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => {
            whole
        }
        _ => text,
    }
}

/// Sprig's `strval`: text as it is, anything else as it prints.
pub(crate) fn to_text(value: &Value) -> Text {
    match value {
        Value::Str(text) => text.clone(),
        Value::Bytes(bytes) => Text::from_bytes(bytes.to_vec()),
        other => super::format::to_text(other),
    }
}
