//! Sprig: random text and numbers, from the operating system's generator.

use std::fmt::Write as _;

use super::arguments::{fail, int, string};
use super::{Called, Function, Type, function};
use crate::go::json::base64_text;
use crate::go::value::Value;
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    function("randAlphaNum", &[Type::Int], |state, a| {
        random_text(state, a, u8::is_ascii_alphanumeric)
    }),
    function("randAlpha", &[Type::Int], |state, a| {
        random_text(state, a, u8::is_ascii_alphabetic)
    }),
    function("randNumeric", &[Type::Int], |state, a| {
        random_text(state, a, u8::is_ascii_digit)
    }),
    function("randAscii", &[Type::Int], |state, a| {
        random_text(state, a, |byte| (b' '..=b'~').contains(byte))
    }),
    function("randBytes", &[Type::Int], rand_bytes),
    function("randInt", &[Type::Int, Type::Int], rand_int),
    function("uuidv4", &[], uuid),
    function("shuffle", &[Type::Str], shuffle),
];

/// Random bytes, drawn in blocks.
#[derive(Debug, Default)]
pub(crate) struct Random {
    block: Vec<u8>,
}

const BLOCK: usize = 256;
const MAX_LENGTH: i64 = 1_000_000;

impl Random {
    pub(super) fn byte(&mut self) -> Result<u8, getrandom::Error> {
        if self.block.is_empty() {
            self.block.resize(BLOCK, 0);
            getrandom::fill(&mut self.block)?;
        }
        Ok(self.block.pop().unwrap_or_default())
    }

    fn number(&mut self) -> Result<u64, getrandom::Error> {
        (0..8).try_fold(0, |number, _| Ok((number << 8) | u64::from(self.byte()?)))
    }
}

pub(super) fn unavailable<T>(
    error: getrandom::Error,
) -> Result<T, crate::template::error::ExecError> {
    fail(format!(
        "no random numbers from the operating system: {error}"
    ))
}

fn random_text(state: &mut State<'_>, arguments: &[Value], belongs: fn(&u8) -> bool) -> Called {
    let length = int(arguments, 0);
    if length > MAX_LENGTH {
        return fail(format!("more than {MAX_LENGTH} random characters"));
    }
    let length = usize::try_from(length).unwrap_or(0);
    let mut random = state.random();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        match random.byte() {
            // The top bit is dropped; what does not belong is drawn again, so that each character
            // is as likely as the next.
            Ok(byte) => {
                let byte = byte & 0x7f;
                if belongs(&byte) {
                    text.push(char::from(byte));
                }
            }
            Err(error) => return unavailable(error),
        }
    }
    Ok(Value::str(text))
}

fn rand_bytes(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let length = int(arguments, 0);
    if length > MAX_LENGTH {
        return fail(format!("more than {MAX_LENGTH} random bytes"));
    }
    let Ok(length) = usize::try_from(length) else {
        return fail("runtime error: makeslice: len out of range");
    };
    let mut random = state.random();
    match (0..length)
        .map(|_| random.byte())
        .collect::<Result<Vec<u8>, _>>()
    {
        Ok(bytes) => Ok(Value::str(base64_text(&bytes))),
        Err(error) => unavailable(error),
    }
}

fn rand_int(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let (least, end) = (int(arguments, 0), int(arguments, 1));
    let Some(count) = end
        .checked_sub(least)
        .and_then(|count| u64::try_from(count).ok())
    else {
        return fail("invalid argument to Intn");
    };
    if count == 0 {
        return fail("invalid argument to Intn");
    }
    match state.random().number() {
        Ok(number) => Ok(Value::int(least.wrapping_add_unsigned(number % count))),
        Err(error) => unavailable(error),
    }
}

/// RFC 9562, version 4.
fn uuid(state: &mut State<'_>, _: &[Value]) -> Called {
    let mut random = state.random();
    let bytes = match (0..16)
        .map(|_| random.byte())
        .collect::<Result<Vec<u8>, _>>()
    {
        Ok(bytes) => bytes,
        Err(error) => return unavailable(error),
    };
    let mut text = String::with_capacity(36);
    for (position, byte) in bytes.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let byte = match position {
            6 => (byte & 0x0f) | 0x40,
            8 => (byte & 0x3f) | 0x80,
            _ => *byte,
        };
        let _ = write!(text, "{byte:02x}");
    }
    Ok(Value::str(text))
}

fn shuffle(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let mut characters: Vec<char> = string(arguments, 0).chars().collect();
    let mut random = state.random();
    for last in (1..characters.len()).rev() {
        match random.number() {
            Ok(number) => {
                let other = usize::try_from(number % (last as u64 + 1)).unwrap_or(0);
                characters.swap(last, other);
            }
            Err(error) => return unavailable(error),
        }
    }
    Ok(Value::str(characters.into_iter().collect::<String>()))
}
