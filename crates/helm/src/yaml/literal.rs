//! The scanner's view of single characters and of scalars, tags and directives.

use std::borrow::Cow;

use super::error::{Mark, YamlError};
use super::scanner::Scanner;
use super::token::Kind;

pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Bytes of the character that begins with a byte.
pub(super) const fn width(byte: u8) -> usize {
    match byte {
        0..0xC0 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    }
}

/// Whether a line break begins here: CR, LF, NEL, line or paragraph separator.
pub(super) fn is_break_at(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at) {
        Some(b'\r' | b'\n') => true,
        Some(0xC2) => bytes.get(at + 1) == Some(&0x85),
        Some(0xE2) => {
            bytes.get(at + 1) == Some(&0x80) && matches!(bytes.get(at + 2), Some(0xA8 | 0xA9))
        }
        _ => false,
    }
}

pub(super) fn is_breakz_at(bytes: &[u8], at: usize) -> bool {
    at >= bytes.len() || is_break_at(bytes, at)
}

#[derive(Clone, Copy, PartialEq)]
enum Chomping {
    Strip,
    Clip,
    Keep,
}

/// Line breaks met in a flow scalar, before it is known whether they fold.
#[derive(Default)]
struct Folding {
    leading_break: String,
    trailing_breaks: String,
}

impl Folding {
    fn flush(&mut self, to: &mut String) {
        if self.leading_break.starts_with('\n') {
            if self.trailing_breaks.is_empty() {
                to.push(' ');
            } else {
                to.push_str(&self.trailing_breaks);
            }
        } else {
            to.push_str(&self.leading_break);
            to.push_str(&self.trailing_breaks);
        }
        self.leading_break.clear();
        self.trailing_breaks.clear();
    }
}

impl<'a> Scanner<'a> {
    pub(super) fn scan_directive(&mut self) -> Result<Kind<'a>, YamlError> {
        let start = self.mark;
        self.skip();
        let from = self.at;
        while is_word(self.byte(0)) {
            self.skip();
        }
        let name = &self.text[from..self.at];
        if name.is_empty() {
            return Err(self.error_in(start, "could not find expected directive name"));
        }
        if !self.is_blankz_ahead(0) {
            return Err(self.error_in(start, "found unexpected non-alphabetical character"));
        }
        let kind = match name {
            "YAML" => self.scan_version(start)?,
            "TAG" => self.scan_tag_directive(start)?,
            _ => return Err(self.error_in(start, "found unknown directive name")),
        };
        self.end_of_line(start)?;
        Ok(kind)
    }

    /// Blanks, a comment and the line break that must follow.
    fn end_of_line(&mut self, start: Mark) -> Result<(), YamlError> {
        while self.is_blank() {
            self.skip();
        }
        if self.byte(0) == b'#' {
            self.skip_comment();
        }
        if !self.is_breakz() {
            return Err(self.error_in(start, "did not find expected comment or line break"));
        }
        self.skip_line();
        Ok(())
    }

    fn scan_version(&mut self, start: Mark) -> Result<Kind<'a>, YamlError> {
        while self.is_blank() {
            self.skip();
        }
        let major = self.scan_version_number(start)?;
        if self.byte(0) != b'.' {
            return Err(self.error_in(start, "did not find expected digit or '.' character"));
        }
        self.skip();
        let minor = self.scan_version_number(start)?;
        Ok(Kind::VersionDirective { major, minor })
    }

    fn scan_version_number(&mut self, start: Mark) -> Result<u8, YamlError> {
        let from = self.at;
        while self.byte(0).is_ascii_digit() {
            self.skip();
            if self.at - from > 2 {
                return Err(self.error_in(start, "found extremely long version number"));
            }
        }
        self.text[from..self.at]
            .parse()
            .map_err(|_| self.error_in(start, "did not find expected version number"))
    }

    fn scan_tag_directive(&mut self, start: Mark) -> Result<Kind<'a>, YamlError> {
        while self.is_blank() {
            self.skip();
        }
        let handle = self.scan_tag_handle(true, start)?;
        if !self.is_blank() {
            return Err(self.error_in(start, "did not find expected whitespace"));
        }
        while self.is_blank() {
            self.skip();
        }
        let prefix = self.scan_tag_uri("", start)?;
        if !self.is_blankz_ahead(0) {
            return Err(self.error_in(start, "did not find expected whitespace or line break"));
        }
        Ok(Kind::TagDirective {
            handle,
            prefix: prefix.into(),
        })
    }

    pub(super) fn scan_tag(&mut self) -> Result<Kind<'a>, YamlError> {
        let start = self.mark;
        let kind = if self.byte(1) == b'<' {
            self.skip();
            self.skip();
            let suffix = self.scan_tag_uri("", start)?;
            if self.byte(0) != b'>' {
                return Err(self.error_in(start, "did not find the expected '>'"));
            }
            self.skip();
            Kind::Tag {
                handle: "".into(),
                suffix: suffix.into(),
            }
        } else {
            let handle = self.scan_tag_handle(false, start)?;
            if handle.len() > 1 && handle.ends_with('!') {
                let suffix = self.scan_tag_uri("", start)?;
                Kind::Tag {
                    handle: handle.into(),
                    suffix: suffix.into(),
                }
            } else {
                let suffix = self.scan_tag_uri(handle, start)?;
                // A lone `!` is a tag of its own, not a handle.
                if suffix.is_empty() {
                    Kind::Tag {
                        handle: "".into(),
                        suffix: "!".into(),
                    }
                } else {
                    Kind::Tag {
                        handle: "!".into(),
                        suffix: suffix.into(),
                    }
                }
            }
        };
        if self.is_blankz_ahead(0) {
            Ok(kind)
        } else {
            Err(self.error_in(start, "did not find expected whitespace or line break"))
        }
    }

    fn scan_tag_handle(&mut self, directive: bool, start: Mark) -> Result<&'a str, YamlError> {
        if self.byte(0) != b'!' {
            return Err(self.error_in(start, "did not find expected '!'"));
        }
        let from = self.at;
        self.skip();
        while is_word(self.byte(0)) {
            self.skip();
        }
        if self.byte(0) == b'!' {
            self.skip();
        } else if directive && self.at - from != 1 {
            return Err(self.error_in(start, "did not find expected '!'"));
        }
        Ok(&self.text[from..self.at])
    }

    fn scan_tag_uri(&mut self, head: &str, start: Mark) -> Result<String, YamlError> {
        let mut bytes: Vec<u8> = head.bytes().skip(1).collect();
        let mut found = !head.is_empty();
        while is_word(self.byte(0)) || b";/?:@&=+$,.!~*'()[]%".contains(&self.byte(0)) {
            found = true;
            if self.byte(0) == b'%' {
                let hex = self.text.get(self.at + 1..self.at + 3);
                let octet = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
                let Some(octet) = octet else {
                    return Err(self.error_in(start, "did not find URI escaped octet"));
                };
                bytes.push(octet);
                self.skip();
                self.skip();
            } else {
                bytes.push(self.byte(0));
            }
            self.skip();
        }
        if !found {
            return Err(self.error_in(start, "did not find expected tag URI"));
        }
        String::from_utf8(bytes)
            .map_err(|_| self.error_in(start, "found an incorrect leading UTF-8 octet"))
    }

    pub(super) fn scan_block_scalar(&mut self, literal: bool) -> Result<(String, Mark), YamlError> {
        let start = self.mark;
        self.skip();
        let (chomping, increment) = self.scan_block_header(start)?;
        self.end_of_line(start)?;
        let mut indent = match increment {
            0 => 0,
            increment => self.indent.max(0) + increment,
        };
        let mut text = String::new();
        let mut leading_break = String::new();
        let mut breaks = String::new();
        let mut end = self.scan_block_breaks(&mut indent, &mut breaks, start)?;
        let mut leading_blank = false;
        while self.column() == indent && self.at < self.bytes.len() {
            let trailing_blank = self.is_blank();
            if !literal && !leading_blank && !trailing_blank && leading_break.starts_with('\n') {
                if breaks.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(&leading_break);
            }
            leading_break.clear();
            text.push_str(&breaks);
            breaks.clear();
            leading_blank = self.is_blank();
            let from = self.at;
            while !self.is_breakz() {
                self.skip();
            }
            text.push_str(&self.text[from..self.at]);
            if self.at < self.bytes.len() {
                self.read_line(&mut leading_break);
            }
            end = self.scan_block_breaks(&mut indent, &mut breaks, start)?;
        }
        if chomping != Chomping::Strip {
            text.push_str(&leading_break);
        }
        if chomping == Chomping::Keep {
            text.push_str(&breaks);
        }
        Ok((text, end))
    }

    fn scan_block_header(&mut self, start: Mark) -> Result<(Chomping, i32), YamlError> {
        let mut chomping = None;
        let mut increment = 0;
        for _ in 0..2 {
            match self.byte(0) {
                b'+' if chomping.is_none() => chomping = Some(Chomping::Keep),
                b'-' if chomping.is_none() => chomping = Some(Chomping::Strip),
                b'0' if increment == 0 => {
                    return Err(self.error_in(start, "found an indentation indicator equal to 0"));
                }
                digit @ b'1'..=b'9' if increment == 0 => increment = i32::from(digit - b'0'),
                _ => break,
            }
            self.skip();
        }
        Ok((chomping.unwrap_or(Chomping::Clip), increment))
    }

    fn scan_block_breaks(
        &mut self,
        indent: &mut i32,
        breaks: &mut String,
        start: Mark,
    ) -> Result<Mark, YamlError> {
        let mut end = self.mark;
        let mut deepest = 0;
        loop {
            while (*indent == 0 || self.column() < *indent) && self.byte(0) == b' ' {
                self.skip();
            }
            deepest = deepest.max(self.column());
            if (*indent == 0 || self.column() < *indent) && self.byte(0) == b'\t' {
                return Err(self.error_in(
                    start,
                    "found a tab character where an indentation space is expected",
                ));
            }
            if !self.is_break() {
                break;
            }
            self.read_line(breaks);
            end = self.mark;
        }
        if *indent == 0 {
            *indent = deepest.max(self.indent + 1).max(1);
        }
        Ok(end)
    }

    pub(super) fn scan_quoted(&mut self, single: bool) -> Result<Cow<'a, str>, YamlError> {
        let start = self.mark;
        let quote = if single { b'\'' } else { b'"' };
        self.skip();
        if let Some(text) = self.simple_quoted(quote) {
            return Ok(text.into());
        }
        let mut text = String::new();
        let mut folding = Folding::default();
        let mut whitespace = String::new();
        loop {
            if self.at_document_mark(b'-') || self.at_document_mark(b'.') {
                return Err(self.error_in(start, "found unexpected document indicator"));
            }
            if self.at >= self.bytes.len() {
                return Err(self.error_in(start, "found unexpected end of stream"));
            }
            let mut leading_blanks = false;
            while !self.is_blankz_ahead(0) {
                if single && self.byte(0) == b'\'' && self.byte(1) == b'\'' {
                    text.push('\'');
                    self.skip();
                    self.skip();
                } else if self.byte(0) == quote {
                    break;
                } else if !single && self.byte(0) == b'\\' {
                    if is_break_at(self.bytes, self.at + 1) {
                        self.skip();
                        self.skip_line();
                        leading_blanks = true;
                        break;
                    }
                    self.scan_escape(&mut text, start)?;
                } else {
                    self.read(&mut text);
                }
            }
            if self.byte(0) == quote {
                self.skip();
                return Ok(text.into());
            }
            while self.is_blank() || self.is_break() {
                if self.is_blank() {
                    if leading_blanks {
                        self.skip();
                    } else {
                        self.read(&mut whitespace);
                    }
                } else if leading_blanks {
                    self.read_line(&mut folding.trailing_breaks);
                } else {
                    whitespace.clear();
                    self.read_line(&mut folding.leading_break);
                    leading_blanks = true;
                }
            }
            if leading_blanks {
                folding.flush(&mut text);
            } else {
                text.push_str(&whitespace);
                whitespace.clear();
            }
        }
    }

    /// A quoted scalar on one line without escapes, which needs no copy.
    fn simple_quoted(&mut self, quote: u8) -> Option<&'a str> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| {
            byte == quote || byte == b'\\' || byte == b'\n' || byte == b'\r' || byte >= 0x80
        })?;
        if rest[length] != quote || rest.get(length + 1) == Some(&b'\'') {
            return None;
        }
        let text = &self.text[self.at..self.at + length];
        let characters = u32::try_from(length + 1).ok()?;
        self.at += length + 1;
        self.mark.index += characters;
        self.mark.column += characters;
        Some(text)
    }

    fn scan_escape(&mut self, text: &mut String, start: Mark) -> Result<(), YamlError> {
        let digits = match self.byte(1) {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => 0,
        };
        if digits == 0 {
            text.push(match self.byte(1) {
                b'0' => '\0',
                b'a' => '\x07',
                b'b' => '\x08',
                b't' | b'\t' => '\t',
                b'n' => '\n',
                b'v' => '\x0B',
                b'f' => '\x0C',
                b'r' => '\r',
                b'e' => '\x1B',
                b' ' => ' ',
                b'"' => '"',
                b'\'' => '\'',
                b'\\' => '\\',
                b'N' => '\u{85}',
                b'_' => '\u{a0}',
                b'L' => '\u{2028}',
                b'P' => '\u{2029}',
                _ => return Err(self.error_in(start, "found unknown escape character")),
            });
            self.skip();
            self.skip();
            return Ok(());
        }
        self.skip();
        self.skip();
        let hex = self.text.get(self.at..self.at + digits);
        let code = hex
            .filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let Some(code) = code else {
            return Err(self.error_in(start, "did not find expected hexdecimal number"));
        };
        let Some(character) = char::from_u32(code) else {
            return Err(self.error_in(start, "found invalid Unicode character escape code"));
        };
        text.push(character);
        for _ in 0..digits {
            self.skip();
        }
        Ok(())
    }

    pub(super) fn scan_plain(&mut self) -> Result<(Cow<'a, str>, Mark), YamlError> {
        let start = self.mark;
        let mut end = self.mark;
        let from = self.at;
        let mut to = self.at;
        // Borrowed while the scalar is one run of text; copied once a line break folds.
        let mut folded: Option<String> = None;
        let mut folding = Folding::default();
        let mut whitespace = String::new();
        let mut leading_blanks = false;
        let indent = self.indent + 1;
        loop {
            if self.at_document_mark(b'-') || self.at_document_mark(b'.') || self.byte(0) == b'#' {
                break;
            }
            while !self.is_blankz_ahead(0) {
                let byte = self.byte(0);
                if (byte == b':' && self.is_blankz_ahead(1))
                    || (self.flow_level > 0 && b",?[]{}".contains(&byte))
                {
                    break;
                }
                if leading_blanks {
                    let text = folded.get_or_insert_with(|| self.text[from..to].to_owned());
                    folding.flush(text);
                    leading_blanks = false;
                    whitespace.clear();
                } else if !whitespace.is_empty() {
                    if let Some(text) = &mut folded {
                        text.push_str(&whitespace);
                    }
                    whitespace.clear();
                }
                let character = self.at;
                self.skip();
                if let Some(text) = &mut folded {
                    text.push_str(&self.text[character..self.at]);
                }
                to = self.at;
                end = self.mark;
            }
            if !(self.is_blank() || self.is_break()) {
                break;
            }
            while self.is_blank() || self.is_break() {
                if self.is_blank() {
                    if leading_blanks && self.column() < indent && self.byte(0) == b'\t' {
                        return Err(
                            self.error_in(start, "found a tab character that violates indentation")
                        );
                    }
                    if leading_blanks {
                        self.skip();
                    } else {
                        self.read(&mut whitespace);
                    }
                } else if leading_blanks {
                    self.read_line(&mut folding.trailing_breaks);
                } else {
                    whitespace.clear();
                    self.read_line(&mut folding.leading_break);
                    leading_blanks = true;
                }
            }
            if self.flow_level == 0 && self.column() < indent {
                break;
            }
        }
        if leading_blanks {
            self.simple_key_allowed = true;
        }
        Ok((
            folded.map_or_else(|| self.text[from..to].into(), Cow::Owned),
            end,
        ))
    }
}
