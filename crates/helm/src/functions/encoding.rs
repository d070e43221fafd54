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
    let compact = without_breaks(text);
    // Go's decoder accepts bits that padding leaves over.
    let engine = base64::engine::GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    match engine.decode(&compact) {
        Ok(bytes) => Text::from_bytes(bytes),
        Err(_) => {
            let at = bad_input(text.as_bytes(), 4, |byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
            });
            format!("illegal base64 data at input byte {at}").into()
        }
    }
}

/// Where Go's decoder stops: the first byte that does not belong, else the last group.
fn bad_input(bytes: &[u8], group: usize, belongs: impl Fn(u8) -> bool) -> usize {
    let mut count = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if matches!(byte, b'\r' | b'\n') {
            continue;
        }
        if belongs(byte) {
            count += 1;
            continue;
        }
        if byte == b'=' && count % group >= 2 {
            // Padding: wrong when it is short or when something follows it.
            let padding = &bytes[at..];
            let wanted = group - count % group;
            let equals = padding.iter().take_while(|&&byte| byte == b'=').count();
            if equals < wanted {
                return at + equals.min(padding.len());
            }
            return at + wanted;
        }
        return at;
    }
    bytes.len()
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
    let compact = without_breaks(text);
    let digits = compact.iter().take_while(|&&byte| byte != b'=').count();
    let padding = &compact[digits..];
    let valid = compact.len().is_multiple_of(8)
        && padding.iter().all(|&byte| byte == b'=')
        && matches!(padding.len(), 0 | 1 | 3 | 4 | 6);
    let mut out = Vec::new();
    let mut buffer = 0u64;
    let mut bits = 0;
    for (at, byte) in compact[..digits].iter().enumerate() {
        let Some(value) = BASE32.iter().position(|digit| digit == byte) else {
            return format!("illegal base32 data at input byte {at}").into();
        };
        buffer = (buffer << 5) | value as u64;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((buffer >> bits) & 0xff).unwrap_or(0));
        }
    }
    if !valid {
        return format!("illegal base32 data at input byte {digits}").into();
    }
    Text::from_bytes(out)
}
