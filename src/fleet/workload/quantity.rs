//! Quantities as Kubernetes writes them: `500m`, `1.5`, `256Mi`, `1G`.

/// Reads a number of CPUs into thousandths.
///
/// `None` when it is not a quantity or not representable.
pub fn milli_cpus(text: &str) -> Option<u64> {
    scaled(text, 1000)
}

/// Reads a number of bytes, rounded up.
///
/// `None` when it is not a quantity or not representable.
pub fn bytes(text: &str) -> Option<u64> {
    scaled(text, 1)
}

/// The quantity times `factor`, rounded up, in exact arithmetic.
fn scaled(text: &str, factor: u128) -> Option<u64> {
    let digits = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let (multiplier, divisor) = multiplier(suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || fraction.len() > 12 {
        return None;
    }
    let places = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let mantissa: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scaled = mantissa.checked_mul(multiplier)?.checked_mul(factor)?;
    u64::try_from(scaled.div_ceil(places.checked_mul(divisor)?)).ok()
}

/// What a suffix multiplies and divides by.
fn multiplier(suffix: &str) -> Option<(u128, u128)> {
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let magnitude = 10_u128.checked_pow(power.unsigned_abs().min(30))?;
            if power < 0 {
                (1, magnitude)
            } else {
                (magnitude, 1)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_of_the_kubernetes_documentation() {
        // source of the notation: Kubernetes API reference, `Quantity`
        for (text, expected) in [
            ("500m", Some(500)),
            ("1", Some(1000)),
            ("0.1", Some(100)),
            ("1.5", Some(1500)),
            ("2e0", Some(2000)),
            ("100u", Some(1)),
            ("", None),
            (".", None),
            ("1.2.3", None),
            ("five", None),
            ("-1", None),
        ] {
            assert_eq!(milli_cpus(text), expected, "{text}");
        }
        for (text, expected) in [
            ("256Mi", Some(268_435_456)),
            ("1G", Some(1_000_000_000)),
            ("129e6", Some(129_000_000)),
            ("128974848000m", Some(128_974_848)),
            ("1.5Ki", Some(1536)),
            ("9999999E", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.eEmMiKk-]{0,40}") {
            let _result = (bytes(&text), milli_cpus(&text));
        }

        #[test]
        fn whole_numbers_keep_their_value(number in 0_u64..1 << 50) {
            prop_assert_eq!(bytes(&number.to_string()), Some(number));
        }
    }
}
