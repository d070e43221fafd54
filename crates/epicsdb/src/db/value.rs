//! Whether the IOC takes a value for a field (`dbPutString` of base 7.0.10).

use super::number::{
    NumberError, parse_double, parse_float, parse_integer, parse_signed, parse_unsigned,
};
use super::{Definitions, calc, link};
use crate::Diagnostic;
use crate::dbd::{Field, FieldKind, RecordType};
use crate::diagnostic::Findings;
use crate::nearest::nearest;
use crate::syntax::{Value, ValueKind};

/// Checks one value; `false` if the IOC refuses it.
pub(super) fn check(
    value: &Value,
    field: &Field,
    record_type: &RecordType,
    definitions: &Definitions,
    findings: &mut Findings,
) -> bool {
    let name = &field.name;
    let text = value.text.as_str();
    let problem = |message: String| Diagnostic::error(value.span.clone(), message);
    if text.contains("$(") || text.contains("${") {
        findings.push(
            problem(format!(
                "the value of `{name}` still holds a macro after expansion"
            ))
            .hint("macros are not expanded inside single quotes or behind a backslash"),
        );
        return false;
    }
    let result = match field.kind {
        FieldKind::String => string(value, field),
        FieldKind::Char => signed(text, i8::MIN.into(), i8::MAX.into()),
        FieldKind::Short => signed(text, i16::MIN.into(), i16::MAX.into()),
        FieldKind::Long => signed(text, i32::MIN.into(), i32::MAX.into()),
        FieldKind::Int64 => signed(text, i64::MIN, i64::MAX),
        FieldKind::UChar => unsigned(text, u8::MAX.into()),
        FieldKind::UShort | FieldKind::Enum => unsigned(text, u16::MAX.into()),
        FieldKind::ULong => unsigned(text, u32::MAX.into()),
        FieldKind::UInt64 => unsigned(text, u64::MAX),
        FieldKind::Float => floating(parse_float(or_zero(text))),
        FieldKind::Double => floating(parse_double(or_zero(text))),
        FieldKind::Menu => {
            let menu = field
                .menu
                .as_ref()
                .and_then(|menu| definitions.dbd.menus.get(menu));
            let Some(menu) = menu else { return true };
            let choices: Vec<&str> = menu
                .choices
                .iter()
                .map(|choice| choice.text.as_str())
                .collect();
            choice(text, &choices)
        }
        FieldKind::Device => {
            let devices = &record_type.devices;
            let choices: Vec<&str> = devices
                .iter()
                .map(|device| device.choice.as_str())
                .collect();
            match choice(text, &choices) {
                Verdict::Refused(_) if !definitions.complete => Verdict::Fine,
                verdict => verdict,
            }
        }
        FieldKind::InLink | FieldKind::OutLink | FieldKind::ForwardLink => {
            return link::check(value, field, definitions, findings);
        }
        FieldKind::NoAccess => Verdict::Refused(Refusal {
            why: "it cannot be set in a database".to_owned(),
            expected: None,
            hint: None,
        }),
    };
    match result {
        Verdict::Fine => true,
        Verdict::Doubtful(why) => {
            let message = format!("`{text}` for `{name}`: {why}");
            findings.push(Diagnostic::warning(value.span.clone(), message));
            true
        }
        Verdict::Refused(refusal) => {
            let shown: String = text.chars().take(60).collect();
            let mut diagnostic = match field.kind {
                FieldKind::NoAccess => problem(format!("`{name}` cannot be set: {}", refusal.why)),
                FieldKind::Device => problem(format!(
                    "`{shown}` is not a device type of this record type"
                )),
                _ => problem(format!(
                    "`{shown}` is not a value for `{name}`: {}",
                    refusal.why
                )),
            };
            diagnostic.expected = refusal.expected;
            diagnostic.hint = refusal.hint;
            findings.push(diagnostic);
            false
        }
    }
}

enum Verdict {
    Fine,
    Doubtful(String),
    Refused(Refusal),
}

struct Refusal {
    why: String,
    expected: Option<String>,
    hint: Option<String>,
}

fn refused(why: impl Into<String>, expected: &str) -> Verdict {
    let expected = Some(expected.to_owned());
    Verdict::Refused(Refusal {
        why: why.into(),
        expected,
        hint: None,
    })
}

/// An empty text is a zero.
fn or_zero(text: &str) -> &str {
    if text.is_empty() { "0" } else { text }
}

fn string(value: &Value, field: &Field) -> Verdict {
    let length = value.text.len();
    if length >= usize::from(field.size) {
        let most = field.size.saturating_sub(1);
        return refused(
            format!("it has {length} bytes"),
            &format!("at most {most} bytes"),
        );
    }
    if field.special.as_deref() == Some("SPC_CALC") {
        return match calc::check(&value.text) {
            Ok(()) => Verdict::Fine,
            Err(why) => refused(why, "a CALC expression"),
        };
    }
    if value.kind == ValueKind::Json {
        return Verdict::Doubtful("a JSON value is stored as its text".to_owned());
    }
    Verdict::Fine
}

fn signed(text: &str, least: i64, most: i64) -> Verdict {
    match parse_signed(or_zero(text)) {
        Ok(number) if number < least || number > most => Verdict::Doubtful(format!(
            "the field holds {least} to {most}, the IOC keeps the lowest bits without a word"
        )),
        Ok(_) => Verdict::Fine,
        Err(why) => refused_number(text, why),
    }
}

fn unsigned(text: &str, most: u64) -> Verdict {
    match parse_unsigned(or_zero(text)) {
        Ok(number) if number > most => Verdict::Doubtful(format!(
            "the field holds 0 to {most}, the IOC keeps the lowest bits without a word"
        )),
        Ok(_) if text.trim_start().starts_with('-') => {
            Verdict::Doubtful("the field has no sign, the IOC keeps a large positive number".into())
        }
        Ok(_) => Verdict::Fine,
        Err(why) => refused_number(text, why),
    }
}

fn refused_number(text: &str, why: NumberError) -> Verdict {
    let digits = text.trim();
    let octal = why == NumberError::Trailing
        && digits.trim_start_matches(['-', '+']).starts_with('0')
        && digits
            .trim_start_matches(['-', '+'])
            .bytes()
            .all(|byte| byte.is_ascii_digit());
    if octal {
        return Verdict::Refused(Refusal {
            why: "a leading zero makes it octal, which has no 8 or 9".to_owned(),
            expected: Some("a whole number".to_owned()),
            hint: Some("leave the leading zero away".to_owned()),
        });
    }
    refused(why.to_string(), "a whole number")
}

fn floating(result: Result<f64, NumberError>) -> Verdict {
    match result {
        Ok(_) => Verdict::Fine,
        Err(why) => refused(why.to_string(), "a number"),
    }
}

fn choice(text: &str, choices: &[&str]) -> Verdict {
    let text = or_zero(text);
    if choices.contains(&text) {
        return Verdict::Fine;
    }
    // A number is read without sign: -1 becomes 65535, which passes.
    if let Ok(number) = parse_integer(text) {
        let count = i128::try_from(choices.len()).unwrap_or(i128::MAX);
        let number = if (-65535..0).contains(&number) {
            number + 65536
        } else {
            number
        };
        return match number {
            _ if (0..count).contains(&number) || (count == 0 && (0..65536).contains(&number)) => {
                Verdict::Fine
            }
            _ if number == count || number == 65535 => Verdict::Doubtful(format!(
                "the choices are numbered 0 to {}, but the IOC takes it",
                count - 1
            )),
            _ => refused("there is no choice of this number", &listed(choices)),
        };
    }
    let hint = nearest(text, choices.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    Verdict::Refused(Refusal {
        why: "it is none of the choices".to_owned(),
        expected: Some(listed(choices)),
        hint,
    })
}

fn listed(choices: &[&str]) -> String {
    const MOST: usize = 20;
    if choices.is_empty() {
        return "a number (there are no choices)".to_owned();
    }
    let named: Vec<String> = choices
        .iter()
        .take(MOST)
        .map(|choice| format!("`{choice}`"))
        .collect();
    let more = choices.len().saturating_sub(MOST);
    if more > 0 {
        format!("one of {} and {more} more", named.join(", "))
    } else {
        format!("one of {}", named.join(", "))
    }
}
