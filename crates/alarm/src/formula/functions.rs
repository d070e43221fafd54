//! Functions of formulas.

use crate::formula::{Answer, Node, Run, Value, number, plain, truth};
use crate::severity::Severity;
use crate::state::DISCONNECTED;
use crate::text::Text;

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// Of one number.
    One(One),
    /// Of two numbers.
    Two(Two),
    /// The least or the greatest of some numbers.
    Least,
    Greatest,
    Random,
    Concatenate,
    SameText,
    IndexOf,
    Timestamp,
    HighestSeverity,
    MajorAlarm,
    MinorAlarm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum One {
    Abs,
    Acos,
    Asin,
    Atan,
    Ceil,
    Cos,
    Cosh,
    Exp,
    ExpM1,
    Floor,
    Log,
    Log10,
    Round,
    Sin,
    Sinh,
    Sqrt,
    Tan,
    Tanh,
    ToDegrees,
    ToRadians,
    BitNot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Two {
    Atan2,
    Hypot,
    Pow,
    BitAnd,
    BitOr,
    BitXor,
    BitLeftShift,
    BitRightShift,
}

const KNOWN: &[(&str, Function)] = &[
    ("abs", Function::One(One::Abs)),
    ("acos", Function::One(One::Acos)),
    ("asin", Function::One(One::Asin)),
    ("atan", Function::One(One::Atan)),
    ("ceil", Function::One(One::Ceil)),
    ("cos", Function::One(One::Cos)),
    ("cosh", Function::One(One::Cosh)),
    ("exp", Function::One(One::Exp)),
    ("expm1", Function::One(One::ExpM1)),
    ("floor", Function::One(One::Floor)),
    ("log", Function::One(One::Log)),
    ("log10", Function::One(One::Log10)),
    ("round", Function::One(One::Round)),
    ("sin", Function::One(One::Sin)),
    ("sinh", Function::One(One::Sinh)),
    ("sqrt", Function::One(One::Sqrt)),
    ("tan", Function::One(One::Tan)),
    ("tanh", Function::One(One::Tanh)),
    ("toDegrees", Function::One(One::ToDegrees)),
    ("toRadians", Function::One(One::ToRadians)),
    ("bitNOT", Function::One(One::BitNot)),
    ("atan2", Function::Two(Two::Atan2)),
    ("hypot", Function::Two(Two::Hypot)),
    ("pow", Function::Two(Two::Pow)),
    ("bitAND", Function::Two(Two::BitAnd)),
    ("bitOR", Function::Two(Two::BitOr)),
    ("bitXOR", Function::Two(Two::BitXor)),
    ("bitLeftShift", Function::Two(Two::BitLeftShift)),
    ("bitRightShift", Function::Two(Two::BitRightShift)),
    ("concat", Function::Concatenate),
    ("strEqual", Function::SameText),
    ("indexOf", Function::IndexOf),
    ("timestamp", Function::Timestamp),
    ("highestSeverity", Function::HighestSeverity),
    ("majorAlarm", Function::MajorAlarm),
    ("minorAlarm", Function::MinorAlarm),
];

/// Those that take arrays or images.
const OF_ARRAYS: &[&str] = &[
    "elementAt",
    "subArray",
    "arraySum",
    "arrayTotal",
    "arrayMax",
    "arrayMin",
    "arrayStats",
    "arrayMult",
    "arrayDiv",
    "arrayDivScalar",
    "arrayDivScalarInv",
    "arrayPow",
    "arrayOf",
    "arrayRangeOf",
    "arrayReversal",
    "arrayIndex",
    "arrayCumSum",
    "arraySampleWithStride",
    "arraySampleWithLTTB",
    "scale",
    "histogramOf",
    "enumOf",
];

/// What a name means.
pub(super) enum Found {
    Function(Function),
    /// It exists in Phoebus and not here, with the reason.
    Refused(&'static str),
    /// With the nearest name.
    Unknown(Option<&'static str>),
}

pub(super) fn find(name: &str) -> Found {
    // these three are built into the parser of Phoebus, which does not mind their case
    match name.to_ascii_lowercase().as_str() {
        "min" => return Found::Function(Function::Least),
        "max" => return Found::Function(Function::Greatest),
        "rnd" => return Found::Function(Function::Random),
        _ => {}
    }
    if let Some((_name, function)) = KNOWN.iter().find(|(known, _function)| *known == name) {
        return Found::Function(*function);
    }
    if OF_ARRAYS.contains(&name) {
        return Found::Refused("works on arrays, which formulas of alarms do not have");
    }
    if name.starts_with("image") {
        return Found::Refused("works on images, which formulas of alarms do not have");
    }
    let near = KNOWN
        .iter()
        .map(|(known, _function)| *known)
        .find(|known| known.eq_ignore_ascii_case(name));
    Found::Unknown(near)
}

/// Whether the arguments fit; what is wrong otherwise.
pub(super) fn check(function: Function, name: &str, arguments: &[Node]) -> Result<(), String> {
    let (least, most) = match function {
        Function::One(_) | Function::Random | Function::IndexOf | Function::Timestamp => (1, 1),
        Function::Two(_) | Function::SameText | Function::MajorAlarm | Function::MinorAlarm => {
            (2, 2)
        }
        Function::Least
        | Function::Greatest
        | Function::Concatenate
        | Function::HighestSeverity => (1, usize::MAX),
    };
    if arguments.len() < least || arguments.len() > most {
        let wanted = match (least, most) {
            (1, 1) => "one argument".to_owned(),
            (least, most) if least == most => format!("{least} arguments"),
            (least, _) => format!("{least} argument or more"),
        };
        return Err(format!(
            "`{name}` takes {wanted}, here are {}",
            arguments.len()
        ));
    }
    let of_pvs = matches!(
        function,
        Function::IndexOf | Function::Timestamp | Function::HighestSeverity
    );
    if of_pvs
        && !arguments
            .iter()
            .all(|argument| matches!(argument, Node::Input(_)))
    {
        return Err(format!("`{name}` takes a PV, not a calculation"));
    }
    Ok(())
}

pub(super) fn call(function: Function, arguments: &[Node], run: &mut Run<'_>) -> Answer {
    let answers: Vec<Answer> = arguments
        .iter()
        .map(|argument| run.node(argument))
        .collect();
    let numbers: Vec<f64> = answers.iter().map(|answer| answer.value.number()).collect();
    let first = numbers.first().copied().unwrap_or(f64::NAN);
    let answer = match function {
        Function::One(function) => number(one(function, first)),
        Function::Two(function) => match numbers.as_slice() {
            [left, right] => number(two(function, *left, *right)),
            _ => number(f64::NAN),
        },
        Function::Least => number(extreme(&numbers, f64::min)),
        Function::Greatest => number(extreme(&numbers, f64::max)),
        Function::Random => number((run.random)() * first),
        Function::Concatenate => {
            let text = answers.iter().map(|answer| answer.value.to_string());
            plain(Value::Text(text.collect()))
        }
        Function::SameText => {
            let mut texts = answers.iter().map(|answer| answer.value.to_string());
            truth(texts.next() == texts.next())
        }
        Function::IndexOf => number(first),
        Function::Timestamp => number(
            arguments
                .first()
                .map_or(f64::NAN, |pv| run.input(pv).seconds),
        ),
        Function::HighestSeverity => {
            let worst = arguments.iter().map(|pv| run.input(pv).severity).max();
            return plain(Value::Text(
                epics_name(worst.unwrap_or_default()).to_owned(),
            ));
        }
        Function::MajorAlarm => return alarm(Severity::Major, first, answers.get(1)),
        Function::MinorAlarm => return alarm(Severity::Minor, first, answers.get(1)),
    };
    let worst = answers.iter().reduce(|worst, other| {
        if other.severity > worst.severity {
            other
        } else {
            worst
        }
    });
    match worst {
        Some(worst) => answer.with_alarm_of(worst),
        None => answer,
    }
}

/// The condition, in alarm with that message while it holds.
fn alarm(severity: Severity, condition: f64, message: Option<&Answer>) -> Answer {
    let (severity, message) = if condition.is_nan() {
        (Severity::Undefined, Text::Fixed(&DISCONNECTED))
    } else if condition == 0.0 {
        (Severity::Ok, Text::default())
    } else {
        let message = message.map(|message| message.value.to_string());
        (severity, message.unwrap_or_default().into())
    };
    Answer {
        value: Value::Number(condition),
        severity,
        message,
    }
}

fn epics_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "NONE",
        other => other.unacknowledged().name(),
    }
}

/// What is unknown makes the result unknown.
fn extreme(numbers: &[f64], of: fn(f64, f64) -> f64) -> f64 {
    if numbers.iter().any(|number| number.is_nan()) {
        return f64::NAN;
    }
    numbers.iter().copied().reduce(of).unwrap_or(f64::NAN)
}

fn one(function: One, value: f64) -> f64 {
    match function {
        One::Abs => value.abs(),
        One::Acos => value.acos(),
        One::Asin => value.asin(),
        One::Atan => value.atan(),
        One::Ceil => value.ceil(),
        One::Cos => value.cos(),
        One::Cosh => value.cosh(),
        One::Exp => value.exp(),
        One::ExpM1 => value.exp_m1(),
        One::Floor => value.floor(),
        One::Log => value.ln(),
        One::Log10 => value.log10(),
        // half way goes up, also below zero
        One::Round => (value + 0.5).floor(),
        One::Sin => value.sin(),
        One::Sinh => value.sinh(),
        One::Sqrt => value.sqrt(),
        One::Tan => value.tan(),
        One::Tanh => value.tanh(),
        One::ToDegrees => value.to_degrees(),
        One::ToRadians => value.to_radians(),
        One::BitNot => bits(value, 0.0, |value, _| !value),
    }
}

fn two(function: Two, left: f64, right: f64) -> f64 {
    match function {
        Two::Atan2 => left.atan2(right),
        Two::Hypot => left.hypot(right),
        Two::Pow => left.powf(right),
        Two::BitAnd => bits(left, right, |left, right| left & right),
        Two::BitOr => bits(left, right, |left, right| left | right),
        Two::BitXor => bits(left, right, |left, right| left ^ right),
        Two::BitLeftShift => bits(left, right, |left, by| left.wrapping_shl(shift(by))),
        Two::BitRightShift => bits(left, right, |left, by| left.wrapping_shr(shift(by))),
    }
}

/// Only the last six bits count, as in Java.
fn shift(by: i64) -> u32 {
    u32::try_from(by & 63).unwrap_or(0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "numbers become 64-bit integers and back, as in Java; the conversion saturates"
)]
fn bits(left: f64, right: f64, of: impl Fn(i64, i64) -> i64) -> f64 {
    if left.is_nan() || right.is_nan() {
        return f64::NAN;
    }
    of(left as i64, right as i64) as f64
}
