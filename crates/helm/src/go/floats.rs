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
