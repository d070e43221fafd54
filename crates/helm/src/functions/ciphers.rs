//! Sprig: AES, as it has it: CBC with the password itself, filled up with zeros, as the key.

use aes::Aes256;
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecrypt as _, BlockEncrypt as _, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::arguments::{fail, text};
use super::encoding::decode_base64;
use super::random::unavailable;
use super::{Called, Function, Type, function};
use crate::go::text::Text;
use crate::go::value::Value;
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    function("encryptAES", &[Type::Str, Type::Str], encrypt),
    function("decryptAES", &[Type::Str, Type::Str], decrypt),
];

const BLOCK: usize = 16;

fn cipher(password: &[u8]) -> Aes256 {
    let mut key = [0; 32];
    let used = password.len().min(key.len());
    key[..used].copy_from_slice(&password[..used]);
    Aes256::new(&GenericArray::from(key))
}

fn encrypt(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let plain = text(arguments, 1);
    if plain.is_empty() {
        return Ok(Value::str(""));
    }
    let mut content = plain.as_bytes().to_vec();
    let padding = BLOCK - content.len() % BLOCK;
    content.resize(content.len() + padding, u8::try_from(padding).unwrap_or(0));
    let mut previous = [0; BLOCK];
    for byte in &mut previous {
        *byte = match state.random().byte() {
            Ok(byte) => byte,
            Err(error) => return unavailable(error),
        };
    }
    let cipher = cipher(text(arguments, 0).as_bytes());
    let mut out = previous.to_vec();
    for chunk in content.chunks_exact(BLOCK) {
        for (mixed, byte) in previous.iter_mut().zip(chunk) {
            *mixed ^= byte;
        }
        cipher.encrypt_block(GenericArray::from_mut_slice(&mut previous));
        out.extend_from_slice(&previous);
    }
    Ok(Value::str(STANDARD.encode(out)))
}

fn decrypt(_: &mut State<'_>, arguments: &[Value]) -> Called {
    let encrypted = text(arguments, 1);
    if encrypted.is_empty() {
        return Ok(Value::str(""));
    }
    let data = match decode_base64(encrypted.as_bytes()) {
        Ok(data) => data,
        Err(at) => return fail(format!("illegal base64 data at input byte {at}")),
    };
    if data.len() < BLOCK {
        // Go counts the bytes that its decoder made room for.
        let room = encrypted.len() / 4 * 3;
        return fail(format!(
            "runtime error: slice bounds out of range [:{BLOCK}] with capacity {room}"
        ));
    }
    if data.len() % BLOCK != 0 {
        return fail("crypto/cipher: input not full blocks");
    }
    let cipher = cipher(text(arguments, 0).as_bytes());
    let mut out = Vec::with_capacity(data.len());
    for pair in data.chunks_exact(BLOCK).collect::<Vec<_>>().windows(2) {
        let mut block = GenericArray::clone_from_slice(pair[1]);
        cipher.decrypt_block(&mut block);
        out.extend(block.iter().zip(pair[0]).map(|(byte, mixed)| byte ^ mixed));
    }
    let Some(padding) = out.last().map(|&byte| usize::from(byte)) else {
        return fail("runtime error: index out of range [-1]");
    };
    match out.len().checked_sub(padding) {
        Some(length) => out.truncate(length),
        None => return fail("runtime error: slice bounds out of range"),
    }
    Ok(Value::Str(Text::from_bytes(out)))
}
