//! Sprig: arithmetic. Integer functions work on 64 bits and wrap as in Go.

use super::arguments::{fail, float, int, string, value};
use super::{Called, Function, Type, function, variadic};
use crate::go::convert::{int_to_float, to_float64, to_int64};
use crate::go::format::to_text;
use crate::go::value::{Element, List, Value};
use crate::template::error::ExecError;
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    function("atoi", &[Type::Str], atoi),
    function("int", &[Type::Any], |_, arguments| {
        Ok(Value::int(to_int64(value(arguments, 0))))
    }),
    function("int64", &[Type::Any], |_, arguments| {
        Ok(Value::int64(to_int64(value(arguments, 0))))
    }),
    function("float64", &[Type::Any], |_, arguments| {
        Ok(Value::Float(to_float64(value(arguments, 0))))
    }),
    function("toDecimal", &[Type::Any], to_decimal),
    function("until", &[Type::Int], until),
    function("untilStep", &[Type::Int, Type::Int, Type::Int], until_step),
    variadic("seq", &[], Type::Int, seq),
    function("add1", &[Type::Any], |_, arguments| {
        Ok(Value::int64(to_int64(value(arguments, 0)).wrapping_add(1)))
    }),
    variadic("add", &[], Type::Any, |_, arguments| {
        Ok(Value::int64(fold(0, arguments, i64::wrapping_add)))
    }),
    function("sub", &[Type::Any, Type::Any], |_, arguments| {
        let (one, other) = (to_int64(value(arguments, 0)), to_int64(value(arguments, 1)));
        Ok(Value::int64(one.wrapping_sub(other)))
    }),
    function("div", &[Type::Any, Type::Any], |_, arguments| {
        divide(arguments, i64::wrapping_div)
    }),
    function("mod", &[Type::Any, Type::Any], |_, arguments| {
        divide(arguments, i64::wrapping_rem)
    }),
    variadic("mul", &[Type::Any], Type::Any, |_, arguments| {
        Ok(Value::int64(fold(1, arguments, i64::wrapping_mul)))
    }),
    variadic("max", &[Type::Any], Type::Any, max),
    variadic("biggest", &[Type::Any], Type::Any, max),
    variadic("min", &[Type::Any], Type::Any, |_, arguments| {
        Ok(Value::int64(
            arguments.iter().map(to_int64).min().unwrap_or(0),
        ))
    }),
    variadic("maxf", &[Type::Any], Type::Any, |_, arguments| {
        Ok(Value::Float(extreme(arguments, f64::max)))
    }),
    variadic("minf", &[Type::Any], Type::Any, |_, arguments| {
        Ok(Value::Float(extreme(arguments, f64::min)))
    }),
    function("floor", &[Type::Any], |_, arguments| {
        Ok(Value::Float(to_float64(value(arguments, 0)).floor()))
    }),
    function("ceil", &[Type::Any], |_, arguments| {
        Ok(Value::Float(to_float64(value(arguments, 0)).ceil()))
    }),
    variadic("round", &[Type::Any, Type::Int], Type::Float, round),
    function("add1f", &[Type::Any], |_, arguments| {
        decimal(
            &[value(arguments, 0).clone(), Value::int(1)],
            Operation::Add,
        )
    }),
    variadic("addf", &[], Type::Any, |_, arguments| {
        let mut all = vec![Value::Float(0.0)];
        all.extend_from_slice(arguments);
        decimal(&all, Operation::Add)
    }),
    variadic("subf", &[Type::Any], Type::Any, |_, arguments| {
        decimal(arguments, Operation::Subtract)
    }),
    variadic("mulf", &[Type::Any], Type::Any, |_, arguments| {
        decimal(arguments, Operation::Multiply)
    }),
    variadic("divf", &[Type::Any], Type::Any, |_, arguments| {
        decimal(arguments, Operation::Divide)
    }),
];

/// How long a list a template may make with `until` and `seq`.
const MAX_COUNT: usize = 1_000_000;

fn fold(start: i64, arguments: &[Value], step: fn(i64, i64) -> i64) -> i64 {
    arguments.iter().map(to_int64).fold(start, step)
}

fn divide(arguments: &[Value], operation: fn(i64, i64) -> i64) -> Called {
    let (one, other) = (to_int64(value(arguments, 0)), to_int64(value(arguments, 1)));
    if other == 0 {
        return fail("runtime error: integer divide by zero");
    }
    Ok(Value::int64(operation(one, other)))
}

fn max(_: &mut State<'_>, arguments: &[Value]) -> Called {
    Ok(Value::int64(
        arguments.iter().map(to_int64).max().unwrap_or(0),
    ))
}

/// Unlike Rust, Go gives NaN as soon as one operand is.
fn extreme(arguments: &[Value], choose: fn(f64, f64) -> f64) -> f64 {
    arguments
        .iter()
        .map(to_float64)
        .reduce(|one, other| {
            if one.is_nan() || other.is_nan() {
                f64::NAN
            } else {
                choose(one, other)
            }
        })
        .unwrap_or(0.0)
}

fn atoi(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let text = string(arguments, 0);
    Ok(Value::int(
        text.parse().unwrap_or_else(|_| out_of_range(&text)),
    ))
}

/// Go's `Atoi` gives the nearest number beside its error, which Sprig drops.
fn out_of_range(text: &str) -> i64 {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    if text.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    }
}

/// Reads the digits as octal, whatever the name says.
fn to_decimal(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let text = to_text(value(arguments, 0));
    let number = i64::from_str_radix(&text.lossy(), 8).unwrap_or(0);
    Ok(Value::int64(number))
}

fn steps(start: i64, end: i64, by: i64) -> Result<Vec<i64>, ExecError> {
    let mut numbers = Vec::new();
    if (end < start && by >= 0) || (end >= start && by <= 0) {
        return Ok(numbers);
    }
    let mut number = start;
    while if by > 0 { number < end } else { number > end } {
        numbers.push(number);
        if numbers.len() > MAX_COUNT {
            return fail(format!("more than {MAX_COUNT} numbers"));
        }
        let Some(next) = number.checked_add(by) else {
            break;
        };
        number = next;
    }
    Ok(numbers)
}

fn int_list(numbers: Vec<i64>) -> Value {
    Value::List(List::new(
        numbers.into_iter().map(Value::int).collect(),
        Element::Int,
    ))
}

fn until(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let count = int(arguments, 0);
    steps(0, count, if count < 0 { -1 } else { 1 }).map(int_list)
}

fn until_step(_: &mut State<'_>, arguments: &[Value]) -> Called {
    steps(int(arguments, 0), int(arguments, 1), int(arguments, 2)).map(int_list)
}

fn seq(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let number = |at: usize| int(arguments, at);
    let direction = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let numbers = match arguments.len() {
        1 => {
            let step = direction(1, number(0));
            steps(1, number(0).saturating_add(step), step)?
        }
        2 => {
            let step = direction(number(0), number(1));
            steps(number(0), number(1).saturating_add(step), step)?
        }
        3 => {
            let (start, step, end) = (number(0), number(1), number(2));
            let increment = direction(start, end);
            if increment < 0 && step > 0 {
                return Ok(Value::str(""));
            }
            steps(start, end.saturating_add(increment), step)?
        }
        _ => return Ok(Value::str("")),
    };
    let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    Ok(Value::str(texts.join(" ")))
}

fn round(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let round_on = if arguments.len() > 2 {
        float(arguments, 2)
    } else {
        0.5
    };
    let power = 10f64.powf(int_to_float(int(arguments, 1)));
    let digit = power * to_float64(value(arguments, 0));
    let fraction = digit - digit.trunc();
    let rounded = if fraction >= round_on {
        digit.ceil()
    } else {
        digit.floor()
    };
    Ok(Value::Float(rounded / power))
}

#[derive(Clone, Copy)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// Sprig computes with decimal numbers, so that `0.1 + 0.2` is `0.3`.
fn decimal(arguments: &[Value], operation: Operation) -> Called {
    let mut numbers = arguments
        .iter()
        .map(|argument| Decimal::from_float(to_float64(argument)));
    let Some(first) = numbers.next() else {
        return Ok(Value::Float(0.0));
    };
    let mut result = first?;
    for number in numbers {
        result = result.apply(number?, operation)?;
    }
    Ok(Value::Float(result.to_float()))
}

/// `digits * 10^exponent`.
#[derive(Clone, Copy)]
struct Decimal {
    digits: i128,
    exponent: i32,
}

/// Digits after the point that a division keeps.
const DIVISION_DIGITS: i32 = 16;

impl Decimal {
    fn from_float(number: f64) -> Result<Self, ExecError> {
        if !number.is_finite() {
            let text = crate::yaml::format_float_g(number);
            return fail(format!("Cannot create a Decimal from {text}"));
        }
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text.as_str(), "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}").parse().unwrap_or(0);
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let shift = i32::try_from(fraction.len()).unwrap_or(0);
        Ok(Self {
            digits,
            exponent: exponent - shift,
        })
    }

    /// The same number with a smaller exponent.
    fn at_exponent(self, exponent: i32) -> Option<i128> {
        let shift = u32::try_from(self.exponent - exponent).ok()?;
        10i128.checked_pow(shift)?.checked_mul(self.digits)
    }

    fn apply(self, other: Self, operation: Operation) -> Result<Self, ExecError> {
        let exact = match operation {
            Operation::Add | Operation::Subtract => {
                let exponent = self.exponent.min(other.exponent);
                let sign = if matches!(operation, Operation::Add) {
                    1
                } else {
                    -1
                };
                self.at_exponent(exponent)
                    .zip(other.at_exponent(exponent))
                    .and_then(|(one, other)| one.checked_add(sign * other))
                    .map(|digits| Self { digits, exponent })
            }
            Operation::Multiply => self.digits.checked_mul(other.digits).map(|digits| Self {
                digits,
                exponent: self.exponent + other.exponent,
            }),
            Operation::Divide => {
                if other.digits == 0 {
                    return fail("decimal division by 0");
                }
                self.divide(other)
            }
        };
        match exact {
            Some(result) => Ok(result),
            // Beyond 38 digits the result is rounded to a float on the way.
            None => {
                let (one, other) = (self.to_float(), other.to_float());
                Self::from_float(match operation {
                    Operation::Add => one + other,
                    Operation::Subtract => one - other,
                    Operation::Multiply => one * other,
                    Operation::Divide => one / other,
                })
            }
        }
    }

    fn divide(self, other: Self) -> Option<Self> {
        let shift = self.exponent - other.exponent + DIVISION_DIGITS;
        let (mut numerator, mut denominator) = (self.digits, other.digits);
        let power = 10i128.checked_pow(shift.unsigned_abs())?;
        if shift >= 0 {
            numerator = numerator.checked_mul(power)?;
        } else {
            denominator = denominator.checked_mul(power)?;
        }
        let mut digits = numerator / denominator;
        let remainder = (numerator % denominator).unsigned_abs();
        if remainder.checked_mul(2)? >= denominator.unsigned_abs() {
            digits += if (numerator < 0) == (denominator < 0) {
                1
            } else {
                -1
            };
        }
        Some(Self {
            digits,
            exponent: -DIVISION_DIGITS,
        })
    }

    fn to_float(self) -> f64 {
        format!("{}e{}", self.digits, self.exponent)
            .parse()
            .unwrap_or(0.0)
    }
}
