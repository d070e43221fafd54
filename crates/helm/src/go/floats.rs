//! Floating-point verbs of `printf`.

use crate::yaml::format_float_g;

pub(super) fn zeros(count: usize) -> String {
    "0".repeat(count)
}

fn not_finite(number: f64) -> Option<String> {
    (!number.is_finite()).then(|| format_float_g(number))
}

/// `%f`.
pub(super) fn float_fixed(number: f64, precision: usize) -> String {
    not_finite(number).unwrap_or_else(|| format!("{number:.precision$}"))
}

/// `%e`, with an exponent of at least two digits.
pub(super) fn float_exponent(number: f64, precision: usize) -> String {
    if let Some(text) = not_finite(number) {
        return text;
    }
    let text = format!("{number:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text.as_str(), "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// `%g` with a precision: so many significant digits, trailing zeros dropped.
pub(super) fn float_general(number: f64, precision: usize, keep_zeros: bool) -> String {
    if let Some(text) = not_finite(number) {
        return text;
    }
    let significant = precision.max(1);
    let scientific = format!("{number:.*e}", significant - 1);
    let exponent: i32 = scientific
        .split_once('e')
        .and_then(|(_, text)| text.parse().ok())
        .unwrap_or(0);
    // Go compares with the digits that are there, which may be fewer than asked for.
    let limit = i32::try_from(significant).unwrap_or(i32::MAX);
    let trim = |text: String| {
        if keep_zeros || !text.contains('.') {
            text
        } else {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    };
    if exponent < -4 || exponent >= limit {
        let text = float_exponent(number, significant - 1);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text.as_str(), "+00"));
        return format!("{}e{exponent}", trim(mantissa.to_owned()));
    }
    let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    trim(format!("{number:.decimals$}"))
}

/// Bits of the fraction of a number.
const FRACTION: u32 = 52;

/// The sign, the integer that the digits make, and the power of two that it is multiplied by.
fn parts(number: f64) -> (&'static str, u64, i64) {
    let bits = number.to_bits();
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let fraction = bits & ((1 << FRACTION) - 1);
    let exponent = i64::try_from((bits >> FRACTION) & 0x7ff).unwrap_or_default();
    let offset = 1023 + i64::from(FRACTION);
    if exponent == 0 {
        (sign, fraction, 1 - offset)
    } else {
        (sign, fraction | 1 << FRACTION, exponent - offset)
    }
}

/// `%b`: `4503599627370496p-52`.
pub(super) fn float_binary(number: f64) -> String {
    if !number.is_finite() {
        return crate::yaml::format_float_g(number);
    }
    let (sign, digits, exponent) = parts(number);
    format!("{sign}{digits}p{exponent:+}")
}

/// `%x`: `0x1.8p+00`, with as many digits as the number needs.
pub(super) fn float_hexadecimal(number: f64) -> String {
    if !number.is_finite() {
        return crate::yaml::format_float_g(number);
    }
    let (sign, digits, exponent) = parts(number);
    if digits == 0 {
        return format!("{sign}0x0p+00");
    }
    let shift = digits.leading_zeros() - (63 - FRACTION);
    let fraction = (digits << shift) & ((1 << FRACTION) - 1);
    let exponent = exponent - i64::from(shift) + i64::from(FRACTION);
    let hexadecimal = format!("{fraction:013x}");
    let point = match hexadecimal.trim_end_matches('0') {
        "" => String::new(),
        some => format!(".{some}"),
    };
    let direction = if exponent < 0 { '-' } else { '+' };
    let size = exponent.unsigned_abs();
    format!("{sign}0x1{point}p{direction}{size:02}")
}

#[cfg(test)]
mod tests {
    use super::{float_binary, float_hexadecimal};

    #[test]
    fn numbers_in_powers_of_two_are_those_of_go() {
        for (number, hexadecimal, binary) in [
            (0.0, "0x0p+00", "0p-1074"),
            (255.0, "0x1.fep+07", "8972014882652160p-45"),
            (-1.5, "-0x1.8p+00", "-6755399441055744p-52"),
            (5e-324, "0x1p-1074", "1p-1074"),
            (f64::INFINITY, "+Inf", "+Inf"),
        ] {
            assert_eq!(float_hexadecimal(number), hexadecimal);
            assert_eq!(float_binary(number), binary);
        }
    }
}
