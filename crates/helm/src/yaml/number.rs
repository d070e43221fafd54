//! Numbers as Go prints them.

/// Shortest decimal digits of a finite float, and the power of ten of the first digit.
fn shortest_digits(number: f64) -> (String, i32) {
    let text = format!("{:e}", number.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text.as_str(), "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

fn with_exponent(digits: &str, exponent: i32) -> String {
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{first}{point}{rest}e{sign}{:02}", exponent.abs())
}

fn without_exponent(digits: &str, exponent: i32) -> String {
    if exponent < 0 {
        let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
        return format!("0.{}{digits}", "0".repeat(zeros));
    }
    let whole = usize::try_from(exponent).unwrap_or(0) + 1;
    if digits.len() <= whole {
        format!("{digits}{}", "0".repeat(whole - digits.len()))
    } else {
        format!("{}.{}", &digits[..whole], &digits[whole..])
    }
}

/// The text of Go's `strconv.FormatFloat(number, 'g', -1, 64)` and of its `%v`: an exponent from a
/// million upwards.
pub(crate) fn format_float_g(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if number == 0.0 {
        return format!("{sign}0");
    }
    let (digits, exponent) = shortest_digits(number);
    let text = if (-4..6).contains(&exponent) {
        without_exponent(&digits, exponent)
    } else {
        with_exponent(&digits, exponent)
    };
    format!("{sign}{text}")
}

/// The text that Go's JSON encoder writes for a finite float.
pub(crate) fn format_float_json(number: f64) -> String {
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if number == 0.0 {
        return format!("{sign}0");
    }
    let (digits, exponent) = shortest_digits(number);
    let magnitude = number.abs();
    if (1e-6..1e21).contains(&magnitude) {
        return format!("{sign}{}", without_exponent(&digits, exponent));
    }
    // The encoder writes e-9 where the formatter gives e-09.
    let text = with_exponent(&digits, exponent).replace("e-0", "e-");
    format!("{sign}{text}")
}
