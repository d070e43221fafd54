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
        });
    }
    if token.kind == TokenKind::Complex || source.ends_with('i') {
        return Err(format!("complex constant {source} is not supported"));
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
            })
        }
        _ => Ok(Number { source, int, float }),
    }
}
