//! Number constants of templates.

use super::ast::Number;
use super::lexer::{Token, TokenKind};
use crate::go::quote::{is_one_char_or_more, quote, unquote_char};

/// Reads a number or character constant; the error is a message.
pub(super) fn number(token: &Token) -> Result<Number, String> {
    let source = token.text.to_string();
    if token.kind == TokenKind::CharConstant {
        let Some(character) = unquote_char(&source) else {
            return Err(if is_one_char_or_more(&source) {
                format!("malformed character constant: {source}")
            } else {
                "invalid syntax".to_owned()
            });
        };
        let code = u32::from(character);
        return Ok(Number {
            source,
            int: Some(i64::from(code)),
            float: Some(f64::from(code)),
            complex: None,
        });
    }
    if token.kind == TokenKind::Complex {
        return complex_pair(&source)
            .map(|parts| complex(source, parts))
            .ok_or_else(|| "syntax error scanning complex number".to_owned());
    }
    let imaginary = source
        .strip_suffix('i')
        .and_then(crate::go::convert::parse_float_constant);
    if let Some(imaginary) = imaginary {
        return Ok(complex(source, (0.0, imaginary)));
    }
    let (int, uint) = crate::go::convert::parse_integer_constant(&source);
    #[expect(
        clippy::cast_precision_loss,
        reason = "an integer constant used as a float"
    )]
    let float = match (int, uint) {
        (Some(int), _) => Some(int as f64),
        (None, Some(uint)) => Some(uint as f64),
        (None, None) => crate::go::convert::parse_float_constant(&source),
    };
    let quoted = || quote(&source.as_str().into());
    match (int, uint, float) {
        (None, None, None) => Err(format!("illegal number syntax: {}", quoted())),
        (None, None, Some(float)) => {
            if !source.contains(['.', 'e', 'E', 'p', 'P']) {
                return Err(format!("integer overflow: {}", quoted()));
            }
            let int = crate::go::convert::exact_int(float);
            Ok(Number {
                source,
                int,
                float: Some(float),
                complex: None,
            })
        }
        _ => Ok(Number {
            source,
            int,
            float,
            complex: None,
        }),
    }
}

/// A complex number; one without an imaginary part stands for the plain number too.
fn complex(source: String, (real, imaginary): (f64, f64)) -> Number {
    let float = (imaginary == 0.0).then_some(real);
    Number {
        source,
        int: float.and_then(crate::go::convert::exact_int),
        float,
        complex: Some((real, imaginary)),
    }
}

/// `1.5e3-2.5i`: the parts of a pair.
fn complex_pair(source: &str) -> Option<(f64, f64)> {
    let pair = source.strip_suffix('i')?;
    let is_hexadecimal = pair
        .trim_start_matches(['+', '-'])
        .to_ascii_lowercase()
        .starts_with("0x");
    let exponents: &[u8] = if is_hexadecimal { b"pP" } else { b"eE" };
    let bytes = pair.as_bytes();
    let sign = (1..bytes.len())
        .find(|&at| matches!(bytes[at], b'+' | b'-') && !exponents.contains(&bytes[at - 1]))?;
    let part = crate::go::convert::parse_float_constant;
    Some((part(&pair[..sign])?, part(&pair[sign..])?))
}
