//! Words of a substitution file, for either of its readers.

use super::{FileName, Reader};
use crate::diagnostic::Findings;
use crate::{Diagnostic, Span};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WordKind {
    Open,
    Close,
    Equals,
    /// A comma; for `msi` white space and line ends too.
    Separator,
    Bare(String),
    /// The inside of quotes, and the quote.
    Quoted(String, char),
    End,
}

#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) kind: WordKind,
    pub(super) span: Span,
}

pub(super) struct Words<'a> {
    file: FileName,
    reader: Reader,
    lines: std::str::Split<'a, char>,
    line: &'a str,
    number: u32,
    position: usize,
}

impl<'a> Words<'a> {
    pub(super) fn new(file: FileName, text: &'a str, reader: Reader) -> Self {
        Self {
            file,
            reader,
            lines: text.split('\n'),
            line: "",
            number: 0,
            position: 0,
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::in_line(&self.file, self.number.max(1), self.line, start, end)
    }

    fn next_line(&mut self) -> bool {
        loop {
            let Some(line) = self.lines.next() else {
                return false;
            };
            self.line = line;
            self.number = self.number.saturating_add(1);
            self.position = 0;
            if !line.starts_with('#') {
                return true;
            }
        }
    }

    pub(super) fn next(&mut self, findings: &mut Findings) -> Word {
        match self.reader {
            Reader::Msi => self.next_msi(findings),
            Reader::DbLoadTemplate => self.next_template(findings),
        }
    }

    fn end(&self) -> Word {
        Word {
            kind: WordKind::End,
            span: self.span(self.line.len(), self.line.len()),
        }
    }

    fn word(&mut self, kind: WordKind, start: usize, end: usize) -> Word {
        self.position = end;
        Word {
            kind,
            span: self.span(start, end),
        }
    }

    fn next_msi(&mut self, findings: &mut Findings) -> Word {
        let rest = &self.line.as_bytes()[self.position..];
        // A comment is only known at the very place where a word could begin.
        if self.number == 0 || rest.is_empty() || rest[0] == b'#' {
            if !self.next_line() {
                self.line = "";
                self.position = 0;
                return self.end();
            }
            return self.word(WordKind::Separator, 0, 0);
        }
        let spaces = rest.iter().take_while(|&&byte| is_space(byte)).count();
        let start = self.position + spaces;
        let rest = &self.line.as_bytes()[start..];
        match rest.first() {
            Some(b'{') => self.word(WordKind::Open, start, start + 1),
            Some(b'}') => self.word(WordKind::Close, start, start + 1),
            None | Some(b',') => {
                let length = rest
                    .iter()
                    .take_while(|&&byte| is_space(byte) || byte == b',')
                    .count();
                self.word(WordKind::Separator, start, start + length)
            }
            Some(b'"') => self.quoted(start, b'"', findings, |next| next == b'"'),
            Some(_) => {
                let length = rest
                    .iter()
                    .take_while(|&&byte| !is_space(byte) && !b"\",{}".contains(&byte))
                    .count();
                let text = self.line[start..start + length].to_owned();
                self.word(WordKind::Bare(text), start, start + length)
            }
        }
    }

    fn next_template(&mut self, findings: &mut Findings) -> Word {
        loop {
            let start = self.position;
            let rest = &self.line.as_bytes()[start..];
            let Some(&byte) = rest.first().filter(|&&byte| byte != b'#') else {
                if self.next_line_with_comments() {
                    continue;
                }
                return self.end();
            };
            match byte {
                b' ' | b'\t' | b'\r' => self.position += 1,
                b'{' => return self.word(WordKind::Open, start, start + 1),
                b'}' => return self.word(WordKind::Close, start, start + 1),
                b'=' => return self.word(WordKind::Equals, start, start + 1),
                b',' => return self.word(WordKind::Separator, start, start + 1),
                quote @ (b'"' | b'\'') => return self.quoted(start, quote, findings, |_| true),
                byte if is_bareword(byte) => {
                    let length = rest.iter().take_while(|&&byte| is_bareword(byte)).count();
                    let text = self.line[start..start + length].to_owned();
                    return self.word(WordKind::Bare(text), start, start + length);
                }
                _ => {
                    let character = self.line[start..].chars().next().unwrap_or(' ');
                    self.position += character.len_utf8();
                    let message =
                        format!("the character `{character}` needs quotes around the value");
                    let span = self.span(start, self.position);
                    findings.push(Diagnostic::error(span, message));
                }
            }
        }
    }

    fn next_line_with_comments(&mut self) -> bool {
        let Some(line) = self.lines.next() else {
            self.position = self.line.len();
            return false;
        };
        self.line = line;
        self.number = self.number.saturating_add(1);
        self.position = 0;
        true
    }

    /// A string in quotes; `escapable` says what a backslash protects.
    fn quoted(
        &mut self,
        start: usize,
        quote: u8,
        findings: &mut Findings,
        escapable: impl Fn(u8) -> bool,
    ) -> Word {
        let bytes = self.line.as_bytes();
        let mut end = start + 1;
        loop {
            match bytes.get(end) {
                Some(&byte) if byte == quote => break,
                Some(b'\\') if bytes.get(end + 1).is_some_and(|&next| escapable(next)) => end += 2,
                Some(_) => end += 1,
                None => {
                    let span = self.span(start, end);
                    findings.push(Diagnostic::error(
                        span,
                        "the closing quote is missing on this line",
                    ));
                    let text = self.line[start + 1..].to_owned();
                    let length = self.line.len();
                    return self.word(WordKind::Quoted(text, quote.into()), start, length);
                }
            }
        }
        let text = self.line[start + 1..end].to_owned();
        self.word(WordKind::Quoted(text, quote.into()), start, end + 1)
    }
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn is_bareword(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-+:./\\[]<>;".contains(&byte)
}
