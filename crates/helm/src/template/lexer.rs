//! Template text into tokens.

/// What a token is; `text` of the token holds the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Error,
    Bool,
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl TokenKind {
    const fn is_keyword(self) -> bool {
        matches!(
            self,
            Self::Block
                | Self::Break
                | Self::Continue
                | Self::Dot
                | Self::Define
                | Self::Else
                | Self::End
                | Self::If
                | Self::Nil
                | Self::Range
                | Self::Template
                | Self::With
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token<'s> {
    pub(crate) kind: TokenKind,
    /// Byte offset in the source.
    pub(crate) at: usize,
    pub(crate) text: std::borrow::Cow<'s, str>,
    /// Line where the token begins, from 1.
    pub(crate) line: usize,
}

impl Token<'_> {
    /// The token as messages show it.
    pub(crate) fn describe(&self) -> String {
        use crate::go::quote::quote;
        match self.kind {
            TokenKind::Eof => "EOF".to_owned(),
            TokenKind::Error => self.text.to_string(),
            kind if kind.is_keyword() => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                let short: String = self.text.chars().take(10).collect();
                format!("{}...", quote(&short.into()))
            }
            _ => quote(&self.text.as_ref().into()),
        }
    }
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

pub(crate) struct Lexer<'s> {
    source: &'s str,
    at: usize,
    start: usize,
    line: usize,
    start_line: usize,
    inside_action: bool,
    paren_depth: i32,
    failed: bool,
}

fn keyword(word: &str) -> Option<TokenKind> {
    Some(match word {
        "." => TokenKind::Dot,
        "block" => TokenKind::Block,
        "break" => TokenKind::Break,
        "continue" => TokenKind::Continue,
        "define" => TokenKind::Define,
        "else" => TokenKind::Else,
        "end" => TokenKind::End,
        "if" => TokenKind::If,
        "range" => TokenKind::Range,
        "nil" => TokenKind::Nil,
        "template" => TokenKind::Template,
        "with" => TokenKind::With,
        _ => return None,
    })
}

fn is_space(character: Option<char>) -> bool {
    character.is_some_and(|character| SPACES.contains(&character))
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphabetic() || character.is_numeric()
}

fn trims_left(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next() == Some('-') && is_space(characters.next())
}

fn trims_right(text: &str) -> bool {
    let mut characters = text.chars();
    is_space(characters.next()) && characters.next() == Some('-')
}

impl<'s> Lexer<'s> {
    pub(crate) fn new(source: &'s str) -> Self {
        Self {
            source,
            at: 0,
            start: 0,
            line: 1,
            start_line: 1,
            inside_action: false,
            paren_depth: 0,
            failed: false,
        }
    }

    /// The next token; after an error or the end, the end again and again.
    pub(crate) fn next(&mut self) -> Token<'s> {
        if self.failed {
            return self.end();
        }
        if self.inside_action {
            self.action()
        } else {
            self.text()
        }
    }

    fn end(&self) -> Token<'s> {
        Token {
            kind: TokenKind::Eof,
            at: self.at,
            text: "EOF".into(),
            line: self.start_line,
        }
    }

    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn advance(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += character.len_utf8();
        if character == '\n' {
            self.line += 1;
        }
        Some(character)
    }

    fn token(&mut self, kind: TokenKind) -> Token<'s> {
        let text = &self.source[self.start..self.at];
        let token = Token {
            kind,
            at: self.start,
            text: text.into(),
            line: self.start_line,
        };
        self.start = self.at;
        self.start_line = self.line;
        token
    }

    fn ignore(&mut self) {
        self.line += count_lines(&self.source[self.start..self.at]);
        self.start = self.at;
        self.start_line = self.line;
    }

    fn error(&mut self, message: impl Into<String>) -> Token<'s> {
        self.failed = true;
        Token {
            kind: TokenKind::Error,
            at: self.start,
            text: message.into().into(),
            line: self.start_line,
        }
    }

    fn text(&mut self) -> Token<'s> {
        loop {
            let Some(offset) = self.rest().find(LEFT) else {
                self.at = self.source.len();
                if self.at > self.start {
                    self.line += count_lines(&self.source[self.start..self.at]);
                    return self.token(TokenKind::Text);
                }
                return self.end();
            };
            if offset > 0 {
                let delim = self.at + offset;
                let text = &self.source[self.start..delim];
                let kept = if trims_left(&self.source[delim + LEFT.len()..]) {
                    text.trim_end_matches(SPACES).len()
                } else {
                    text.len()
                };
                self.at = self.start + kept;
                self.line += count_lines(&text[..kept]);
                let token = self.token(TokenKind::Text);
                self.at = delim;
                self.ignore();
                if !token.text.is_empty() {
                    return token;
                }
            }
            self.at += LEFT.len();
            let trim = trims_left(self.rest());
            let after_marker = if trim { 2 } else { 0 };
            if !self.source[self.at + after_marker..].starts_with("/*") {
                let token = self.token(TokenKind::LeftDelim);
                self.inside_action = true;
                self.at += after_marker;
                self.ignore();
                self.paren_depth = 0;
                return token;
            }
            self.at += after_marker;
            self.ignore();
            if let Some(error) = self.comment() {
                return error;
            }
        }
    }

    /// Passes a comment; gives a token only on error.
    fn comment(&mut self) -> Option<Token<'s>> {
        self.at += 2;
        let Some(end) = self.rest().find("*/") else {
            return Some(self.error("unclosed comment"));
        };
        self.at += end + 2;
        let trim = trims_right(self.rest()) && self.rest()[2..].starts_with(RIGHT);
        if trim {
            self.at += 2;
        } else if !self.rest().starts_with(RIGHT) {
            return Some(self.error("comment ends before closing delimiter"));
        }
        self.at += RIGHT.len();
        if trim {
            self.at = self.source.len() - self.rest().trim_start_matches(SPACES).len();
        }
        self.ignore();
        None
    }

    /// Whether the action ends here, and whether it trims what follows.
    fn at_right_delim(&self) -> Option<bool> {
        let rest = self.rest();
        if trims_right(rest) && rest[2..].starts_with(RIGHT) {
            return Some(true);
        }
        rest.starts_with(RIGHT).then_some(false)
    }

    fn right_delim(&mut self, trim: bool) -> Token<'s> {
        if trim {
            self.at += 2;
            self.ignore();
        }
        self.at += RIGHT.len();
        let token = self.token(TokenKind::RightDelim);
        if trim {
            self.at = self.source.len() - self.rest().trim_start_matches(SPACES).len();
            self.ignore();
        }
        self.inside_action = false;
        token
    }

    fn action(&mut self) -> Token<'s> {
        if let Some(trim) = self.at_right_delim() {
            if self.paren_depth == 0 {
                return self.right_delim(trim);
            }
            return self.error("unclosed left paren");
        }
        let Some(character) = self.advance() else {
            return self.error("unclosed action");
        };
        match character {
            ' ' | '\t' | '\r' | '\n' => self.spaces(),
            '=' => self.token(TokenKind::Assign),
            ':' => {
                if self.advance() == Some('=') {
                    self.token(TokenKind::Declare)
                } else {
                    self.error("expected :=")
                }
            }
            '|' => self.token(TokenKind::Pipe),
            '"' => self.quoted('"', TokenKind::String, "unterminated quoted string"),
            '`' => self.raw_quoted(),
            '$' => self.field_or_variable(TokenKind::Variable),
            '\'' => self.quoted(
                '\'',
                TokenKind::CharConstant,
                "unterminated character constant",
            ),
            '.' if !self.peek().is_some_and(|next| next.is_ascii_digit())
                && self.at < self.source.len() =>
            {
                self.field_or_variable(TokenKind::Field)
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.at = self.start;
                self.number()
            }
            '(' => {
                self.paren_depth += 1;
                self.token(TokenKind::LeftParen)
            }
            ')' => {
                self.paren_depth -= 1;
                if self.paren_depth < 0 {
                    return self.error("unexpected right paren");
                }
                self.token(TokenKind::RightParen)
            }
            _ if is_word(character) => self.identifier(),
            ' '..='~' => self.token(TokenKind::Char),
            _ => {
                let message = format!(
                    "unrecognized character in action: {}",
                    unicode(Some(character))
                );
                self.error(message)
            }
        }
    }

    fn spaces(&mut self) -> Token<'s> {
        while is_space(self.peek()) {
            self.advance();
        }
        // A trim marker needs the last of the blanks for itself.
        let before = self.at - 1;
        let rest = &self.source[before..];
        if trims_right(rest) && rest[2..].starts_with(RIGHT) {
            if self.source.as_bytes()[before] == b'\n' {
                self.line -= 1;
            }
            self.at = before;
            if self.at == self.start {
                return self.right_delim(true);
            }
        }
        self.token(TokenKind::Space)
    }

    fn identifier(&mut self) -> Token<'s> {
        while self.peek().is_some_and(is_word) {
            self.advance();
        }
        if !self.at_terminator() {
            let message = format!("bad character {}", unicode(self.peek()));
            return self.error(message);
        }
        let word = &self.source[self.start..self.at];
        match keyword(word) {
            Some(kind) => self.token(kind),
            None if matches!(word, "true" | "false") => self.token(TokenKind::Bool),
            None => self.token(TokenKind::Identifier),
        }
    }

    fn field_or_variable(&mut self, kind: TokenKind) -> Token<'s> {
        if self.at_terminator() {
            return self.token(if kind == TokenKind::Variable {
                kind
            } else {
                TokenKind::Dot
            });
        }
        while self.peek().is_some_and(is_word) {
            self.advance();
        }
        if !self.at_terminator() {
            let message = format!("bad character {}", unicode(self.peek()));
            return self.error(message);
        }
        self.token(kind)
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.rest().starts_with(RIGHT),
        }
    }

    fn quoted(&mut self, mark: char, kind: TokenKind, unterminated: &str) -> Token<'s> {
        loop {
            match self.advance() {
                Some('\\') if !matches!(self.peek(), None | Some('\n')) => {
                    self.advance();
                }
                Some('\\' | '\n') | None => return self.error(unterminated),
                Some(character) if character == mark => return self.token(kind),
                Some(_) => {}
            }
        }
    }

    fn raw_quoted(&mut self) -> Token<'s> {
        loop {
            match self.advance() {
                None => return self.error("unterminated raw quoted string"),
                Some('`') => return self.token(TokenKind::RawString),
                Some(_) => {}
            }
        }
    }

    fn number(&mut self) -> Token<'s> {
        if !self.scan_number() {
            return self.bad_number();
        }
        if matches!(self.peek(), Some('+' | '-')) {
            if !self.scan_number() || !self.source[..self.at].ends_with('i') {
                return self.bad_number();
            }
            return self.token(TokenKind::Complex);
        }
        self.token(TokenKind::Number)
    }

    fn bad_number(&mut self) -> Token<'s> {
        let text = &self.source[self.start..self.at];
        let message = format!(
            "bad number syntax: {}",
            crate::go::quote::quote(&text.into())
        );
        self.error(message)
    }

    fn accept(&mut self, valid: &str) -> bool {
        let accepted = self
            .peek()
            .is_some_and(|character| valid.contains(character));
        if accepted {
            self.advance();
        }
        accepted
    }

    fn accept_run(&mut self, valid: &str) {
        while self.accept(valid) {}
    }

    fn scan_number(&mut self) -> bool {
        const DECIMAL: &str = "0123456789_";
        const HEX: &str = "0123456789abcdefABCDEF_";
        self.accept("+-");
        let mut digits = DECIMAL;
        if self.accept("0") {
            if self.accept("xX") {
                digits = HEX;
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let exponent = if digits == DECIMAL {
            "eE"
        } else if digits == HEX {
            "pP"
        } else {
            ""
        };
        if !exponent.is_empty() && self.accept(exponent) {
            self.accept("+-");
            self.accept_run(DECIMAL);
        }
        self.accept("i");
        if self.peek().is_some_and(is_word) {
            self.advance();
            return false;
        }
        true
    }
}

fn count_lines(text: &str) -> usize {
    text.bytes().filter(|&byte| byte == b'\n').count()
}

/// A character as Go's `%#U` shows it.
fn unicode(character: Option<char>) -> String {
    match character {
        None => "U+FFFFFFFFFFFFFFFF".to_owned(),
        Some(character) => {
            let code = format!("U+{:04X}", u32::from(character));
            if crate::go::quote::is_print(character) {
                format!("{code} '{character}'")
            } else {
                code
            }
        }
    }
}
