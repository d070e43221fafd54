//! Text into tokens: indentation, flow brackets, scalars.
//!
//! The rules and the messages are those of YAML 1.1 as the reader that Helm uses (libyaml's
//! descendant in Go) applies them: a key must end on its own line within 1024 characters, a tab may
//! not indent, and so on.

use std::collections::{HashMap, VecDeque};

use super::error::{Mark, YamlError};
use super::literal::{is_blank, is_break_at, is_breakz_at, is_word, width};

use super::token::{Kind, Token};

/// Levels of brackets or indentation that are read at most.
pub(super) const MAX_DEPTH: usize = 128;
const MAX_KEY_LENGTH: u32 = 1024;

#[derive(Debug, Clone, Copy, Default)]
struct SimpleKey {
    possible: bool,
    required: bool,
    token_number: usize,
    mark: Mark,
}

pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) mark: Mark,
    tokens: VecDeque<Token<'a>>,
    tokens_taken: usize,
    pub(super) indent: i32,
    indents: Vec<i32>,
    pub(super) flow_level: usize,
    simple_keys: Vec<SimpleKey>,
    /// Index in `simple_keys` of the key that begins with a token. Helm's scanner forgets it for an
    /// empty flow collection, so that `[]: x` is no mapping.
    keys_by_token: HashMap<usize, usize>,
    pub(super) simple_key_allowed: bool,
    ended: bool,
}

type Scanned<T> = Result<T, YamlError>;

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Scanned<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if let Some(bad) = text.chars().find(|&character| !is_allowed(character)) {
            let mut mark = Mark::default();
            for character in text.chars().take_while(|&character| character != bad) {
                mark.column += 1;
                if character == '\n' {
                    mark.line += 1;
                    mark.column = 0;
                }
            }
            return Err(YamlError::at(mark, 0, "control characters are not allowed"));
        }
        Ok(Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            mark: Mark::default(),
            tokens: VecDeque::new(),
            tokens_taken: 0,
            indent: -1,
            indents: Vec::new(),
            flow_level: 0,
            simple_keys: vec![SimpleKey::default()],
            keys_by_token: HashMap::new(),
            simple_key_allowed: true,
            ended: false,
        })
    }

    /// The next token without taking it.
    pub(super) fn peek(&mut self) -> Scanned<&Token<'a>> {
        self.fill()?;
        self.tokens
            .front()
            .ok_or_else(|| YamlError::new("did not find expected <stream-start>"))
    }

    /// Takes the next token.
    pub(super) fn take(&mut self) -> Scanned<Token<'a>> {
        self.fill()?;
        self.tokens_taken += 1;
        self.tokens
            .pop_front()
            .ok_or_else(|| YamlError::new("did not find expected <stream-start>"))
    }

    /// Scans until the first waiting token can no longer turn out to be a mapping key.
    fn fill(&mut self) -> Scanned<()> {
        loop {
            if !self.tokens.is_empty() && !self.head_may_be_key()? {
                return Ok(());
            }
            if self.ended {
                return Ok(());
            }
            self.scan_next()?;
        }
    }

    fn head_may_be_key(&mut self) -> Scanned<bool> {
        match self.keys_by_token.get(&self.tokens_taken) {
            Some(&index) => self.key_still_possible(index),
            None => Ok(false),
        }
    }

    fn key_still_possible(&mut self, index: usize) -> Scanned<bool> {
        let Some(&key) = self.simple_keys.get(index) else {
            return Ok(false);
        };
        if !key.possible {
            return Ok(false);
        }
        if key.mark.line < self.mark.line || key.mark.index + MAX_KEY_LENGTH < self.mark.index {
            if key.required {
                return Err(self.error("could not find expected ':'"));
            }
            self.simple_keys[index].possible = false;
            return Ok(false);
        }
        Ok(true)
    }

    pub(super) fn error(&self, message: impl Into<String>) -> YamlError {
        // Helm's parser adds one to the line of a scanner error unless it is the first.
        let line = self.mark.line as usize;
        YamlError::at(self.mark, if line == 0 { 0 } else { line + 1 }, message)
    }

    /// As [`Self::error`]; on the first line Helm names the line where the construct began.
    pub(super) fn error_in(&self, start: Mark, message: impl Into<String>) -> YamlError {
        let line = self.mark.line as usize;
        let helm_line = if line == 0 {
            start.line as usize
        } else {
            line + 1
        };
        YamlError::at(self.mark, helm_line, message)
    }

    pub(super) fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    pub(super) fn is_blank(&self) -> bool {
        is_blank(self.byte(0))
    }

    pub(super) fn is_break(&self) -> bool {
        is_break_at(self.bytes, self.at)
    }

    pub(super) fn is_breakz(&self) -> bool {
        is_breakz_at(self.bytes, self.at)
    }

    pub(super) fn is_blankz_ahead(&self, ahead: usize) -> bool {
        is_blank(self.byte(ahead)) || is_breakz_at(self.bytes, self.at + ahead)
    }

    /// Passes one character.
    pub(super) fn skip(&mut self) {
        self.mark.index += 1;
        self.mark.column += 1;
        self.at += width(self.byte(0));
        self.at = self.at.min(self.bytes.len());
    }

    /// Passes one line break.
    pub(super) fn skip_line(&mut self) {
        if self.byte(0) == b'\r' && self.byte(1) == b'\n' {
            self.mark.index += 2;
            self.at += 2;
        } else if self.is_break() {
            self.mark.index += 1;
            self.at += width(self.byte(0));
        } else {
            return;
        }
        self.mark.column = 0;
        self.mark.line += 1;
    }

    /// Passes one character into `to`.
    pub(super) fn read(&mut self, to: &mut String) {
        let start = self.at;
        self.skip();
        to.push_str(self.text.get(start..self.at).unwrap_or_default());
    }

    /// Passes one line break into `to`, as `\n` unless it is a line or paragraph separator.
    pub(super) fn read_line(&mut self, to: &mut String) {
        if self.byte(0) == 0xE2 {
            to.push_str(self.text.get(self.at..self.at + 3).unwrap_or_default());
        } else {
            to.push('\n');
        }
        self.skip_line();
    }

    fn push(&mut self, kind: Kind<'a>, start: Mark) {
        self.tokens.push_back(Token {
            kind,
            start,
            end: self.mark,
        });
    }

    fn insert(&mut self, token_number: usize, kind: Kind<'a>, mark: Mark) {
        let token = Token {
            kind,
            start: mark,
            end: mark,
        };
        match token_number.checked_sub(self.tokens_taken) {
            Some(index) => self.tokens.insert(index.min(self.tokens.len()), token),
            None => self.tokens.push_back(token),
        }
    }

    fn scan_next(&mut self) -> Scanned<()> {
        self.skip_to_token();
        self.unroll_indent(self.column());
        if self.at >= self.bytes.len() {
            return self.stream_end();
        }
        let byte = self.byte(0);
        let next_blank = self.is_blankz_ahead(1);
        if self.mark.column == 0 {
            if byte == b'%' {
                return self.directive();
            }
            if self.at_document_mark(b'-') {
                return self.document_mark(Kind::DocumentStart);
            }
            if self.at_document_mark(b'.') {
                return self.document_mark(Kind::DocumentEnd);
            }
        }
        let in_flow = self.flow_level > 0;
        match byte {
            b'[' => self.flow_start(Kind::FlowSequenceStart),
            b'{' => self.flow_start(Kind::FlowMappingStart),
            b']' => self.flow_end(Kind::FlowSequenceEnd),
            b'}' => self.flow_end(Kind::FlowMappingEnd),
            b',' => self.flow_entry(),
            b'-' if next_blank => self.block_entry(),
            b'?' if in_flow || next_blank => self.key(),
            b':' if in_flow || next_blank => self.value(),
            b'*' | b'&' => self.anchor(),
            b'!' => self.tag(),
            b'|' if !in_flow => self.block_scalar(true),
            b'>' if !in_flow => self.block_scalar(false),
            b'\'' => self.quoted(true),
            b'"' => self.quoted(false),
            _ if self.starts_plain(byte) => self.plain(),
            _ => Err(self.error("found character that cannot start any token")),
        }
    }

    fn starts_plain(&self, byte: u8) -> bool {
        const INDICATORS: &[u8] = b"-?:,[]{}#&*!|>'\"%@`";
        if !self.is_blankz_ahead(0) && !INDICATORS.contains(&byte) {
            return true;
        }
        (byte == b'-' && !is_blank(self.byte(1)))
            || (self.flow_level == 0 && matches!(byte, b'?' | b':') && !self.is_blankz_ahead(1))
    }

    pub(super) fn at_document_mark(&self, byte: u8) -> bool {
        self.mark.column == 0
            && self.byte(0) == byte
            && self.byte(1) == byte
            && self.byte(2) == byte
            && self.is_blankz_ahead(3)
    }

    pub(super) fn column(&self) -> i32 {
        i32::try_from(self.mark.column).unwrap_or(i32::MAX)
    }

    fn skip_to_token(&mut self) {
        loop {
            if self.mark.column == 0 && self.bytes[self.at..].starts_with(b"\xEF\xBB\xBF") {
                self.skip();
            }
            while self.byte(0) == b' '
                || ((self.flow_level > 0 || !self.simple_key_allowed) && self.byte(0) == b'\t')
            {
                self.skip();
            }
            if self.byte(0) == b'#' {
                self.skip_comment();
            }
            if !self.is_break() {
                return;
            }
            self.skip_line();
            if self.flow_level == 0 {
                self.simple_key_allowed = true;
            }
        }
    }

    pub(super) fn skip_comment(&mut self) {
        while !self.is_breakz() {
            self.skip();
        }
    }

    fn stream_end(&mut self) -> Scanned<()> {
        if self.mark.column != 0 {
            self.mark.column = 0;
            self.mark.line += 1;
        }
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        self.push(Kind::StreamEnd, self.mark);
        self.ended = true;
        Ok(())
    }

    fn document_mark(&mut self, kind: Kind<'a>) -> Scanned<()> {
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        self.skip();
        self.skip();
        self.skip();
        self.push(kind, start);
        Ok(())
    }

    fn directive(&mut self) -> Scanned<()> {
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        let kind = self.scan_directive()?;
        self.push(kind, start);
        Ok(())
    }

    fn flow_start(&mut self, kind: Kind<'a>) -> Scanned<()> {
        self.save_simple_key()?;
        self.simple_keys.push(SimpleKey {
            token_number: self.tokens_taken + self.tokens.len(),
            mark: self.mark,
            ..SimpleKey::default()
        });
        self.flow_level += 1;
        if self.flow_level > MAX_DEPTH {
            return Err(self.error(format!("exceeded max depth of {MAX_DEPTH}")));
        }
        self.simple_key_allowed = true;
        let start = self.mark;
        self.skip();
        self.push(kind, start);
        Ok(())
    }

    fn flow_end(&mut self, kind: Kind<'a>) -> Scanned<()> {
        self.remove_simple_key()?;
        if self.flow_level > 0 {
            self.flow_level -= 1;
            if let Some(key) = self.simple_keys.pop() {
                self.keys_by_token.remove(&key.token_number);
            }
        }
        self.simple_key_allowed = false;
        let start = self.mark;
        self.skip();
        self.push(kind, start);
        Ok(())
    }

    fn flow_entry(&mut self) -> Scanned<()> {
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        let start = self.mark;
        self.skip();
        self.push(Kind::FlowEntry, start);
        Ok(())
    }

    fn block_entry(&mut self) -> Scanned<()> {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return Err(self.error("block sequence entries are not allowed in this context"));
            }
            self.roll_indent(self.column(), None, Kind::BlockSequenceStart, self.mark)?;
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        let start = self.mark;
        self.skip();
        self.push(Kind::BlockEntry, start);
        Ok(())
    }

    fn key(&mut self) -> Scanned<()> {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return Err(self.error("mapping keys are not allowed in this context"));
            }
            self.roll_indent(self.column(), None, Kind::BlockMappingStart, self.mark)?;
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = self.flow_level == 0;
        let start = self.mark;
        self.skip();
        self.push(Kind::Key, start);
        Ok(())
    }

    fn value(&mut self) -> Scanned<()> {
        let last = self.simple_keys.len() - 1;
        if self.key_still_possible(last)? {
            let key = self.simple_keys[last];
            self.insert(key.token_number, Kind::Key, key.mark);
            let column = i32::try_from(key.mark.column).unwrap_or(i32::MAX);
            let number = Some(key.token_number);
            self.roll_indent(column, number, Kind::BlockMappingStart, key.mark)?;
            self.simple_keys[last].possible = false;
            self.keys_by_token.remove(&key.token_number);
            self.simple_key_allowed = false;
        } else {
            if self.flow_level == 0 {
                if !self.simple_key_allowed {
                    return Err(self.error("mapping values are not allowed in this context"));
                }
                self.roll_indent(self.column(), None, Kind::BlockMappingStart, self.mark)?;
            }
            self.simple_key_allowed = self.flow_level == 0;
        }
        let start = self.mark;
        self.skip();
        self.push(Kind::Value, start);
        Ok(())
    }

    fn anchor(&mut self) -> Scanned<()> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        let alias = self.byte(0) == b'*';
        self.skip();
        let from = self.at;
        while is_word(self.byte(0)) {
            self.skip();
        }
        let name = &self.text[from..self.at];
        if name.is_empty() || !(self.is_blankz_ahead(0) || b"?:,]}%@`".contains(&self.byte(0))) {
            return Err(self.error_in(
                start,
                "did not find expected alphabetic or numeric character",
            ));
        }
        self.push(
            if alias {
                Kind::Alias(name)
            } else {
                Kind::Anchor(name)
            },
            start,
        );
        Ok(())
    }

    fn tag(&mut self) -> Scanned<()> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        let kind = self.scan_tag()?;
        self.push(kind, start);
        Ok(())
    }

    fn block_scalar(&mut self, literal: bool) -> Scanned<()> {
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        let start = self.mark;
        let (text, end) = self.scan_block_scalar(literal)?;
        let kind = Kind::Scalar {
            text: text.into(),
            plain: false,
        };
        self.tokens.push_back(Token { kind, start, end });
        Ok(())
    }

    fn quoted(&mut self, single: bool) -> Scanned<()> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        let text = self.scan_quoted(single)?;
        self.push(Kind::Scalar { text, plain: false }, start);
        Ok(())
    }

    fn plain(&mut self) -> Scanned<()> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        let (text, end) = self.scan_plain()?;
        let kind = Kind::Scalar { text, plain: true };
        self.tokens.push_back(Token { kind, start, end });
        Ok(())
    }

    fn save_simple_key(&mut self) -> Scanned<()> {
        if !self.simple_key_allowed {
            return Ok(());
        }
        let key = SimpleKey {
            possible: true,
            required: self.flow_level == 0 && self.indent == self.column(),
            token_number: self.tokens_taken + self.tokens.len(),
            mark: self.mark,
        };
        self.remove_simple_key()?;
        if let Some(last) = self.simple_keys.last_mut() {
            *last = key;
        }
        self.keys_by_token
            .insert(key.token_number, self.simple_keys.len() - 1);
        Ok(())
    }

    fn remove_simple_key(&mut self) -> Scanned<()> {
        let Some(key) = self.simple_keys.last().copied() else {
            return Ok(());
        };
        if key.possible && key.required {
            return Err(self.error("could not find expected ':'"));
        }
        if key.possible {
            self.keys_by_token.remove(&key.token_number);
        }
        if let Some(last) = self.simple_keys.last_mut() {
            last.possible = false;
        }
        Ok(())
    }

    fn roll_indent(
        &mut self,
        column: i32,
        token_number: Option<usize>,
        kind: Kind<'a>,
        mark: Mark,
    ) -> Scanned<()> {
        if self.flow_level > 0 || self.indent >= column {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column;
        if self.indents.len() > MAX_DEPTH {
            return Err(self.error(format!("exceeded max depth of {MAX_DEPTH}")));
        }
        match token_number {
            Some(number) => self.insert(number, kind, mark),
            None => self.tokens.push_back(Token {
                kind,
                start: mark,
                end: mark,
            }),
        }
        Ok(())
    }

    fn unroll_indent(&mut self, column: i32) {
        if self.flow_level > 0 {
            return;
        }
        while self.indent > column {
            self.push(Kind::BlockEnd, self.mark);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }
}

fn is_allowed(character: char) -> bool {
    matches!(character,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}
