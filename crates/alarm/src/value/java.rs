//! Numbers and moments as Java prints them.

use crate::time::Time;

/// A number as Java's `Double.toString` prints it: `2.0`, `1.0E10`, `1.0E-5`, `NaN`, `-Infinity`.
///
/// Java changes to scientific notation outside of 10⁻³ to 10⁷ and always shows a decimal.
pub fn double(number: f64) -> String {
    shortest(
        number,
        number == 0.0,
        number.is_sign_negative(),
        &format!("{:e}", number.abs()),
    )
}

/// A number as Java's `Float.toString` prints it.
pub fn float(number: f32) -> String {
    shortest(
        f64::from(number),
        number == 0.0,
        number.is_sign_negative(),
        &format!("{:e}", number.abs()),
    )
}

/// Lays out the shortest digits, given as `d.ddde±x`.
fn shortest(number: f64, is_zero: bool, is_negative: bool, scientific: &str) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    let sign = if is_negative { "-" } else { "" };
    if number.is_infinite() {
        return format!("{sign}Infinity");
    }
    if is_zero {
        return format!("{sign}0.0");
    }
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    if !(-3..7).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let rest = if rest.is_empty() { "0" } else { rest };
        return format!("{sign}{first}.{rest}E{exponent}");
    }
    if exponent < 0 {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0));
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole = usize::try_from(exponent).unwrap_or(0) + 1;
    if digits.len() <= whole {
        let zeros = "0".repeat(whole - digits.len());
        return format!("{sign}{digits}{zeros}.0");
    }
    let (before, after) = digits.split_at(whole);
    format!("{sign}{before}.{after}")
}

/// A moment as Java's `Instant.toString` prints it: no fraction, or as many digits as are needed in groups of three.
pub fn instant(time: Time) -> String {
    let Ok(moment) = jiff::Timestamp::new(time.seconds, 0) else {
        // years that no calendar has
        return format!("{} s", time.seconds);
    };
    let whole = moment.strftime("%Y-%m-%dT%H:%M:%S");
    if time.nano == 0 {
        return format!("{whole}Z");
    }
    let fraction = format!("{:09}", time.nano);
    let digits = fraction.trim_end_matches('0').len().div_ceil(3) * 3;
    format!("{whole}.{}Z", &fraction[..digits])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_java_prints_them() {
        // expectations: java.lang.Double.toString and Float.toString of JDK 17
        let rows = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (2.0, "2.0"),
            (-1.0, "-1.0"),
            (95.5, "95.5"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (0.00012, "1.2E-4"),
            (1_234_567.0, "1234567.0"),
            (9_999_999.5, "9999999.5"),
            (10_000_000.0, "1.0E7"),
            (12_345_678.9, "1.23456789E7"),
            (1e10, "1.0E10"),
            (1e100, "1.0E100"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (number, text) in rows {
            assert_eq!(double(number), text);
        }
        assert_eq!(float(0.1), "0.1");
        assert_eq!(float(1.0e-5), "1.0E-5");
    }

    proptest! {
        #[test]
        fn reads_back_as_the_same_number(number in any::<f64>()) {
            prop_assume!(number.is_finite());
            let text = double(number);
            prop_assert!(text.contains('.'));
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), number.to_bits());
        }
    }
}
