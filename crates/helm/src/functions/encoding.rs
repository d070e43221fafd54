//! Sprig: Base64 and Base32.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::arguments::text;
use super::{Function, Type, function};
use crate::go::text::Text;
use crate::go::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("b64enc", &[Type::Str], |_, a| {
        Ok(Value::str(STANDARD.encode(text(a, 0).as_bytes())))
    }),
    function("b64dec", &[Type::Str], |_, a| {
        Ok(Value::Str(base64_decode(&text(a, 0))))
    }),
    function("b32enc", &[Type::Str], |_, a| {
        Ok(Value::str(base32_encode(text(a, 0).as_bytes())))
    }),
    function("b32dec", &[Type::Str], |_, a| {
        Ok(Value::Str(base32_decode(&text(a, 0))))
    }),
];

fn without_breaks(text: &Text) -> Vec<u8> {
    text.as_bytes()
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect()
}

/// What cannot be decoded becomes the decoder's message, as in Sprig.
fn base64_decode(text: &Text) -> Text {
    match decode_base64(text.as_bytes()) {
        Ok(bytes) => Text::from_bytes(bytes),
        Err(at) => format!("illegal base64 data at input byte {at}").into(),
    }
}

fn skip_breaks(text: &[u8], at: &mut usize) {
    while matches!(text.get(*at), Some(b'\r' | b'\n')) {
        *at += 1;
    }
}

/// Base64 with padding, line breaks anywhere; the error is the place that Go's decoder names.
pub(super) fn decode_base64(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut at = 0;
    loop {
        let mut group = 0u32;
        let mut digits = 0;
        while digits < 4 {
            skip_breaks(text, &mut at);
            let Some(&byte) = text.get(at) else {
                return if digits == 0 {
                    Ok(out)
                } else {
                    Err(at - digits)
                };
            };
            at += 1;
            if let Some(digit) = base64_digit(byte) {
                group = (group << 6) | digit;
                digits += 1;
                continue;
            }
            if byte != b'=' || digits < 2 {
                return Err(at - 1);
            }
            if digits == 2 {
                skip_breaks(text, &mut at);
                match text.get(at) {
                    None => return Err(text.len()),
                    Some(b'=') => at += 1,
                    Some(_) => return Err(at - 1),
                }
            }
            skip_breaks(text, &mut at);
            if at < text.len() {
                return Err(at);
            }
            let bytes = (group << (6 * (4 - digits))).to_be_bytes();
            out.extend_from_slice(&bytes[1..digits]);
            return Ok(out);
        }
        out.extend_from_slice(&group.to_be_bytes()[1..]);
    }
}

fn base64_digit(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32_encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(5) {
        let mut block = [0u8; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let digits = (chunk.len() * 8).div_ceil(5);
        for position in 0..8 {
            if position < digits {
                let index = (bits >> (35 - 5 * position)) & 31;
                out.push(char::from(BASE32[usize::try_from(index).unwrap_or(0)]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

fn base32_decode(text: &Text) -> Text {
    match decode_base32(&without_breaks(text)) {
        Ok(bytes) => Text::from_bytes(bytes),
        Err(at) => format!("illegal base32 data at input byte {at}").into(),
    }
}

/// Base32 with padding; the error is the place that Go's decoder names.
fn decode_base32(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len() / 8 * 5);
    for (number, chunk) in text.chunks(8).enumerate() {
        let start = number * 8;
        let mut group = 0u64;
        let mut digits = 0;
        for (offset, &byte) in chunk.iter().enumerate() {
            let at = start + offset;
            let after = text.len() - at - 1;
            if byte == b'=' && offset >= 2 && after < 8 {
                if after + offset < 7 {
                    return Err(text.len());
                }
                let padding = &text[at + 1..];
                if let Some(wrong) = padding.iter().take(7 - offset).position(|&b| b != b'=') {
                    return Err(at + wrong);
                }
                if matches!(offset, 3 | 6) {
                    return Err(at);
                }
                break;
            }
            let Some(digit) = BASE32.iter().position(|&digit| digit == byte) else {
                return Err(at);
            };
            group = (group << 5) | digit as u64;
            digits += 1;
        }
        let padded = chunk.get(digits) == Some(&b'=');
        if digits < 8 && !padded {
            return Err(text.len() - digits);
        }
        let bytes = (group << (5 * (8 - digits))).to_be_bytes();
        out.extend_from_slice(&bytes[3..3 + digits * 5 / 8]);
        if digits < 8 {
            break;
        }
    }
    Ok(out)
}
