//! Sprig: checksums.

use std::fmt::Write as _;

use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use super::arguments::text;
use super::{Function, Type, function};
use crate::go::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("sha1sum", &[Type::Str], |_, a| {
        Ok(Value::str(hex(&Sha1::digest(text(a, 0).as_bytes()))))
    }),
    function("sha256sum", &[Type::Str], |_, a| {
        Ok(Value::str(hex(&Sha256::digest(text(a, 0).as_bytes()))))
    }),
    function("sha512sum", &[Type::Str], |_, a| {
        Ok(Value::str(hex(&Sha512::digest(text(a, 0).as_bytes()))))
    }),
    function("adler32sum", &[Type::Str], |_, a| {
        Ok(Value::str(adler32(text(a, 0).as_bytes()).to_string()))
    }),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// RFC 1950, section 8.2.
fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (mut low, mut high) = (1u32, 0u32);
    for &byte in bytes {
        low = (low + u32::from(byte)) % MODULUS;
        high = (high + low) % MODULUS;
    }
    (high << 16) | low
}
