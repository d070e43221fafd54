//! Sprig: hashes of passwords, and passwords derived from a master password.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::arguments::{fail, int, string, text};
use super::{Called, Function, Type, function};
use crate::go::value::Value;
use crate::template::exec::State;

pub(super) const FUNCTIONS: &[Function] = &[
    function("bcrypt", &[Type::Str], |state, a| {
        bcrypt_text(state, text(a, 0).as_bytes()).map(Value::str)
    }),
    function("htpasswd", &[Type::Str, Type::Str], |state, a| {
        let user = string(a, 0);
        if user.contains(':') {
            return Ok(Value::str(format!("invalid username: {user}")));
        }
        let hash = bcrypt_text(state, text(a, 1).as_bytes())?;
        Ok(Value::str(format!("{user}:{hash}")))
    }),
    function(
        "derivePassword",
        &[Type::Uint32, Type::Str, Type::Str, Type::Str, Type::Str],
        derive,
    ),
];

/// Go's default.
const COST: u32 = 10;
/// A hash takes as long as so many steps of a template.
const STEPS: u64 = 1_000_000;
const LONGEST: usize = 72;

fn bcrypt_text(
    state: &State<'_>,
    password: &[u8],
) -> Result<String, crate::template::error::ExecError> {
    state.charge(STEPS)?;
    if password.len() > LONGEST {
        return Ok(
            "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes"
                .to_owned(),
        );
    }
    match bcrypt::hash_with_result(password, COST) {
        Ok(parts) => Ok(parts.format_for_version(bcrypt::Version::TwoA)),
        Err(error) => fail(format!("failed to encrypt string with bcrypt: {error}")),
    }
}

/// The forms of each type of password: each letter stands for a class of characters.
const FORMS: &[(&str, &[&str])] = &[
    ("maximum", &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"]),
    (
        "long",
        &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
    ),
    ("medium", &["CvcnoCvc", "CvcCvcno"]),
    ("short", &["Cvcn"]),
    ("basic", &["aaanaaan", "aannaaan", "aaannaaa"]),
    ("pin", &["nnnn"]),
];

const fn class(letter: u8) -> &'static [u8] {
    match letter {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'A' => b"AEIOUBCDFGHJKLMNPQRSTVWXYZ",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

const SEED: &[u8] = b"com.lyndir.masterpassword";

fn seeded(name: &str) -> Vec<u8> {
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
    [SEED, &length.to_be_bytes(), name.as_bytes()].concat()
}

/// The algorithm of Master Password, version 0: scrypt over user and password, then a keyed hash of
/// site and counter chooses the characters.
fn derive(state: &mut State<'_>, arguments: &[Value]) -> Called {
    let kind = string(arguments, 1);
    let Some((_, forms)) = FORMS.iter().find(|(name, _)| *name == kind) else {
        return Ok(Value::str(format!("cannot find password template {kind}")));
    };
    state.charge(STEPS)?;
    let mut key = [0; 64];
    let derived = scrypt::Params::new(15, 8, 2, key.len())
        .map_err(|error| error.to_string())
        .and_then(|parameters| {
            let password = text(arguments, 2);
            let salt = seeded(&string(arguments, 3));
            scrypt::scrypt(password.as_bytes(), &salt, &parameters, &mut key)
                .map_err(|error| error.to_string())
        });
    if let Err(error) = derived {
        return Ok(Value::str(format!("failed to derive password: {error}")));
    }
    let mut message = seeded(&string(arguments, 4));
    let counter = u32::try_from(int(arguments, 0)).unwrap_or(u32::MAX);
    message.extend_from_slice(&counter.to_be_bytes());
    let Ok(mut code) = <Hmac<Sha256> as hmac::Mac>::new_from_slice(&key) else {
        return fail("failed to derive password");
    };
    code.update(&message);
    let seed = code.finalize().into_bytes();
    let form = forms[usize::from(seed[0]) % forms.len()];
    let password: String = form
        .bytes()
        .zip(&seed[1..])
        .map(|(letter, &number)| {
            let class = class(letter);
            char::from(class[usize::from(number) % class.len()])
        })
        .collect();
    Ok(Value::str(password))
}
