//! The bytes of a template as they are in its file.
//!
//! Lexer and parser work on text; what is not UTF-8 reaches them as U+FFFD. Text between actions and strings in
//! backticks keep their bytes, and places are counted in bytes of the file, as in Go.

use super::ast::At;
use super::lexer::{Token, TokenKind};
use crate::go::quote::unquote;
use crate::go::text::Text;

pub(super) struct Original<'s> {
    bytes: &'s [u8],
    /// Where the readable text has a U+FFFD of three bytes for one byte of the file.
    replaced: Vec<usize>,
}

impl<'s> Original<'s> {
    pub(super) fn new(source: &'s Text) -> Self {
        let mut replaced = Vec::new();
        if let Text::Raw(bytes) = source {
            let mut at = 0;
            for chunk in bytes.utf8_chunks() {
                at += chunk.valid().len();
                for _ in chunk.invalid() {
                    replaced.push(at);
                    at += char::REPLACEMENT_CHARACTER.len_utf8();
                }
            }
        }
        Self {
            bytes: source.as_bytes(),
            replaced,
        }
    }

    fn offset(&self, at: usize) -> usize {
        let before = self.replaced.partition_point(|&replaced| replaced < at);
        at - before * (char::REPLACEMENT_CHARACTER.len_utf8() - 1)
    }

    pub(super) fn position(&self, at: usize) -> At {
        At::try_from(self.offset(at)).unwrap_or(At::MAX)
    }

    pub(super) fn text(&self, token: &Token<'_>) -> Text {
        if self.replaced.is_empty() {
            return token.text.as_ref().into();
        }
        let end = token.at + token.text.len();
        Text::from_bytes(self.bytes[self.offset(token.at)..self.offset(end)].to_vec())
    }

    /// The value of a string constant; nothing when it is none.
    pub(super) fn unquoted(&self, token: &Token<'_>) -> Option<Text> {
        match (token.kind, self.text(token)) {
            // Go takes carriage returns out of these, and nothing else.
            (TokenKind::RawString, Text::Raw(bytes)) => {
                let inside = bytes.get(1..bytes.len() - 1)?;
                let kept = inside.iter().copied().filter(|&byte| byte != b'\r');
                Some(Text::from_bytes(kept.collect()))
            }
            _ => unquote(&token.text),
        }
    }
}
