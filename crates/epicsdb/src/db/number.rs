//! Numbers as the C library of base reads them (`epicsParseInt64`, `epicsParseDouble` of base
//! 7.0.10): leading and trailing white space, `0x` and leading-zero octal integers.

use std::fmt;

/// Why a text is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberError {
    /// No digits.
    NotANumber,
    /// Something follows the number.
    Trailing,
    /// Too large.
    Overflow,
    /// Too near to zero.
    Underflow,
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "it does not begin with a digit",
            Self::Trailing => "something follows the digits",
            Self::Overflow => "it is too large",
            Self::Underflow => "it is too near to zero",
        })
    }
}

/// `strtoll`/`strtoull` with base 0; the result is as wide as both need.
pub(crate) fn parse_integer(text: &str) -> Result<i128, NumberError> {
    let (value, rest) = scan_integer(text)?;
    if !rest.trim_start_matches(is_space).is_empty() {
        return Err(NumberError::Trailing);
    }
    Ok(value)
}

/// The integer at the start, and what follows it.
pub(crate) fn scan_integer(text: &str) -> Result<(i128, &str), NumberError> {
    let text = text.trim_start_matches(is_space);
    let (negative, digits) = sign(text);
    let hex = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let hex = hex.filter(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit()));
    let (radix, digits) = match hex {
        Some(rest) => (16, rest),
        None if digits.starts_with('0') => (8, digits),
        None => (10, digits),
    };
    let end = digits
        .find(|c: char| !c.is_digit(radix))
        .unwrap_or(digits.len());
    if end == 0 {
        return Err(NumberError::NotANumber);
    }
    let mut value: i128 = 0;
    for digit in digits[..end].chars().filter_map(|c| c.to_digit(radix)) {
        value = value
            .saturating_mul(i128::from(radix))
            .saturating_add(i128::from(digit));
        value = value.min(i128::from(u64::MAX) + 1);
    }
    Ok((if negative { -value } else { value }, &digits[end..]))
}

/// A signed field: what does not fit 64 bits is refused.
pub(crate) fn parse_signed(text: &str) -> Result<i64, NumberError> {
    i64::try_from(parse_integer(text)?).map_err(|_| NumberError::Overflow)
}

/// An unsigned field: a minus sign is accepted and wraps around, as `strtoull` does.
pub(crate) fn parse_unsigned(text: &str) -> Result<u64, NumberError> {
    let value = parse_integer(text)?;
    let magnitude = u64::try_from(value.unsigned_abs()).map_err(|_| NumberError::Overflow)?;
    Ok(if value < 0 {
        magnitude.wrapping_neg()
    } else {
        magnitude
    })
}

/// A floating-point field.
pub(crate) fn parse_double(text: &str) -> Result<f64, NumberError> {
    let (value, rest) = scan_double(text)?;
    if !rest.trim_start_matches(is_space).is_empty() {
        return Err(NumberError::Trailing);
    }
    Ok(value)
}

/// `strtod` of glibc: the number at the start, and what follows it.
pub(crate) fn scan_double(text: &str) -> Result<(f64, &str), NumberError> {
    let text = text.trim_start_matches(is_space);
    let (negative, number) = sign(text);
    let starts = |word: &str| {
        number
            .get(..word.len())
            .is_some_and(|s| s.eq_ignore_ascii_case(word))
    };
    let signed = |value: f64| if negative { -value } else { value };
    if starts("nan") {
        let rest = &number[3..];
        let tail = rest
            .strip_prefix('(')
            .and_then(|inside| inside.split_once(')'));
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        return Ok(match tail {
            Some((inside, after)) if inside.chars().all(word) => (f64::NAN, after),
            _ => (f64::NAN, rest),
        });
    }
    if starts("inf") {
        let length = if starts("infinity") { 8 } else { 3 };
        return Ok((signed(f64::INFINITY), &number[length..]));
    }
    if let Some((value, rest)) = hexadecimal(number) {
        return check_range(value, value != 0.0).map(|value| (signed(value), rest));
    }
    let end = decimal_length(number);
    if end == 0 {
        return Err(NumberError::NotANumber);
    }
    let digits = &number[..end];
    let value: f64 = digits.parse().map_err(|_| NumberError::NotANumber)?;
    let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
    let nonzero = mantissa.contains(|c| ('1'..='9').contains(&c));
    check_range(value, nonzero).map(|value| (signed(value), &number[end..]))
}

fn check_range(value: f64, nonzero: bool) -> Result<f64, NumberError> {
    if value.is_infinite() {
        Err(NumberError::Overflow)
    } else if value.is_subnormal() || (value == 0.0 && nonzero) {
        Err(NumberError::Underflow)
    } else {
        Ok(value)
    }
}

/// `0x1F`, `0x1.8p3`.
fn hexadecimal(text: &str) -> Option<(f64, &str)> {
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))?;
    let mut value = 0.0_f64;
    let mut scale = 0_i32;
    let (mut seen, mut fraction, mut end) = (false, false, 0);
    for (index, character) in digits.char_indices() {
        match character.to_digit(16) {
            Some(digit) => {
                seen = true;
                value = value.mul_add(16.0, f64::from(digit));
                scale -= if fraction { 4 } else { 0 };
            }
            None if character == '.' && !fraction => fraction = true,
            None => break,
        }
        end = index + 1;
    }
    if !seen {
        return None;
    }
    let mut rest = &digits[end..];
    if let Some(exponent) = rest.strip_prefix(['p', 'P']) {
        let (negative, number) = sign(exponent);
        let length = number
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(number.len());
        if length > 0 {
            let exponent = number[..length]
                .parse::<i32>()
                .unwrap_or(i32::MAX)
                .min(100_000);
            scale = scale.saturating_add(if negative { -exponent } else { exponent });
            rest = &number[length..];
        }
    }
    Some((value * 2.0_f64.powi(scale), rest))
}

/// A 32-bit floating-point field.
pub(crate) fn parse_float(text: &str) -> Result<f64, NumberError> {
    let value = parse_double(text)?;
    if value.is_finite() && value.abs() >= f64::from(f32::MAX) {
        return Err(NumberError::Overflow);
    }
    if value > 0.0 && value <= f64::from(f32::MIN_POSITIVE) {
        return Err(NumberError::Underflow);
    }
    Ok(value)
}

/// Length of the longest decimal number at the start.
fn decimal_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let whole = digits(0);
    let mut end = whole;
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        if whole + fraction > 0 {
            end += 1 + fraction;
        }
    }
    if whole + fraction == 0 {
        return 0;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = bytes
            .get(end + 1 + signed..)
            .map_or(0, |_| digits(end + 1 + signed));
        if exponent > 0 {
            end += 1 + signed + exponent;
        }
    }
    end
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn is_space(character: char) -> bool {
    character.is_ascii_whitespace() || character == '\u{b}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        use NumberError::{NotANumber, Overflow, Trailing};
        for (text, expected) in [
            ("5", Ok(5)),
            (" -5 ", Ok(-5)),
            ("0x1F", Ok(31)),
            ("010", Ok(8)),
            ("08", Err(Trailing)),
            ("0x", Err(Trailing)),
            ("1.0", Err(Trailing)),
            ("1 2", Err(Trailing)),
            ("", Err(NotANumber)),
            ("x", Err(NotANumber)),
            ("9223372036854775808", Err(Overflow)),
        ] {
            assert_eq!(parse_signed(text), expected, "{text}");
        }
        assert_eq!(parse_unsigned("-1"), Ok(u64::MAX));
        assert_eq!(parse_unsigned("18446744073709551616"), Err(Overflow));
    }

    #[test]
    fn floating_point() {
        use NumberError::{NotANumber, Overflow, Trailing, Underflow};
        for (text, expected) in [
            ("1.5e3", Ok(1500.0)),
            (".5", Ok(0.5)),
            ("5.", Ok(5.0)),
            ("1e", Err(Trailing)),
            (" 1 ", Ok(1.0)),
            ("-Inf", Ok(f64::NEG_INFINITY)),
            ("infinity", Ok(f64::INFINITY)),
            ("0x10", Ok(16.0)),
            ("0x1.8p3", Ok(12.0)),
            ("0x", Err(Trailing)),
            ("0x1p", Err(Trailing)),
            ("1e999", Err(Overflow)),
            ("1e-320", Err(Underflow)),
            ("0e-999", Ok(0.0)),
            (".", Err(NotANumber)),
            ("10 C", Err(Trailing)),
            ("abc", Err(NotANumber)),
        ] {
            assert_eq!(parse_double(text), expected, "{text}");
        }
        assert!(parse_double("nan(x)").is_ok_and(f64::is_nan));
        assert_eq!(parse_float("1e39"), Err(Overflow));
    }
}
