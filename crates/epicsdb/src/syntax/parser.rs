//! The grammar: statements from words.
//!
//! Base gives up at the first syntax error. Here the parser goes on with the next statement, so
//! that one run shows more than one mistake.

use std::sync::Arc;

use super::item::{
    FieldDefinition, FieldItem, InfoItem, Item, RecordItem, RecordTypeItem, Text, Value, ValueKind,
};
use super::lexer::{Lexer, Mode, Spanned};
use super::token::{Token, translate_escapes};
use crate::diagnostic::Findings;
use crate::files::{Lookup, Search};
use crate::macros::{Environment, Expander, Macros};
use crate::{Diagnostic, Span};

/// Deepest nesting of JSON in a field value.
const JSON_DEPTH: u32 = 64;
/// Most syntax errors that are told of one load.
const SYNTAX_ERRORS: u32 = 50;

const KEYWORDS: [&str; 18] = [
    "include",
    "path",
    "addpath",
    "menu",
    "choice",
    "recordtype",
    "field",
    "device",
    "driver",
    "link",
    "breaktable",
    "record",
    "grecord",
    "alias",
    "info",
    "registrar",
    "function",
    "variable",
];
const STATEMENTS: [&str; 14] = [
    "include",
    "path",
    "addpath",
    "menu",
    "recordtype",
    "device",
    "driver",
    "link",
    "breaktable",
    "record",
    "grecord",
    "registrar",
    "function",
    "variable",
];

/// One text to read, and what is needed to read it.
pub(crate) struct Source<'a> {
    pub(crate) name: Arc<str>,
    pub(crate) text: Arc<str>,
    pub(crate) search: Search<'a>,
    pub(crate) macros: &'a Macros,
    pub(crate) environment: &'a Environment,
    /// `msi` has been over the text before: its commands are followed.
    pub(crate) through_msi: bool,
    /// The command or line that asked for the file.
    pub(crate) loaded_from: Option<Span>,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) items: Vec<Item>,
    pub(crate) findings: Findings,
    /// Included files that the caller could not show.
    pub(crate) unavailable: Vec<(Arc<str>, Span)>,
    /// The first syntax error: an IOC reads no further.
    pub(crate) refused: Option<Diagnostic>,
}

/// Reads a `.dbd` or `.db` text and all that it includes.
pub(crate) fn parse(source: Source<'_>) -> Parsed {
    let expander = Expander::new(source.macros);
    let msi = source.through_msi.then(|| source.search.clone());
    let lexer = Lexer::new(source.name, source.text, expander, msi, source.loaded_from);
    let mut parser = Parser {
        lexer,
        peeked: None,
        search: source.search,
        environment: source.environment,
        parsed: Parsed::default(),
        syntax_errors: 0,
    };
    parser.database();
    let unavailable = parser.lexer.take_unavailable();
    parser.parsed.unavailable.extend(unavailable);
    parser.parsed
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    peeked: Option<Spanned>,
    search: Search<'a>,
    environment: &'a Environment,
    parsed: Parsed,
    syntax_errors: u32,
}

/// A syntax error, already reported.
struct Stop;

type Parse<T> = Result<T, Stop>;

impl Parser<'_> {
    fn database(&mut self) {
        loop {
            let next = self.next();
            if next.token == Token::End {
                return;
            }
            if self.statement(&next).is_err() {
                if self.syntax_errors >= SYNTAX_ERRORS {
                    return;
                }
                self.recover();
            }
        }
    }

    fn statement(&mut self, first: &Spanned) -> Parse<()> {
        let Token::Word(word) = &first.token else {
            return Err(self.unexpected(first, "a statement such as `record(…)`"));
        };
        let item = match word.as_str() {
            "include" => return self.include(),
            "path" | "addpath" => {
                let list = self.text()?;
                if word == "path" {
                    self.search.set_path(&list.value);
                } else {
                    self.search.add_path(&list.value);
                }
                return Ok(());
            }
            "menu" => self.menu()?,
            "recordtype" => self.record_type()?,
            "device" => {
                let [record_type, link, table, choice] = self.arguments()?;
                Item::Device {
                    record_type,
                    link,
                    table,
                    choice,
                }
            }
            "driver" => self.arguments().map(|[name]| Item::Driver(name))?,
            "registrar" => self.arguments().map(|[name]| Item::Registrar(name))?,
            "function" => self.arguments().map(|[name]| Item::Function(name))?,
            "link" => self
                .arguments()
                .map(|[key, support]| Item::Link(key, support))?,
            "variable" => {
                self.mark('(')?;
                let name = self.text()?;
                let kind = if self.take(',') {
                    Some(self.text()?)
                } else {
                    None
                };
                self.mark(')')?;
                Item::Variable(name, kind)
            }
            "breaktable" => self.break_table()?,
            "record" | "grecord" => self.record()?,
            "alias" => self
                .arguments()
                .map(|[record, alias]| Item::Alias { record, alias })?,
            _ => return Err(self.unexpected(first, "a statement such as `record(…)`")),
        };
        self.parsed.items.push(item);
        Ok(())
    }

    fn include(&mut self) -> Parse<()> {
        let name = self.text()?;
        let mut expander = Expander::new(&Macros::new()).with_environment(self.environment);
        let expansion = expander.expand(&name.value);
        if let Some(problem) = expansion.problems.first().filter(|_| expansion.failed()) {
            let message = format!(
                "environment variable `{}` in the file name is not set",
                problem.name
            );
            self.parsed
                .findings
                .push(Diagnostic::error(name.span, message));
            return Ok(());
        }
        let found = self.search.find(&expansion.text);
        match found.lookup {
            Lookup::Text(text) => {
                // The parser must not have looked past the name: the included text comes first.
                debug_assert!(self.peeked.is_none());
                if let Err(why) = self.lexer.include(found.path, text) {
                    let message = format!("`{}` is not read: {why}", name.value);
                    self.parsed
                        .findings
                        .push(Diagnostic::error(name.span, message));
                }
            }
            Lookup::Missing => {
                let message = format!("included file `{}` does not exist", name.value);
                let mut diagnostic = Diagnostic::error(name.span, message);
                if !self.search.path.is_empty() && !name.value.contains('/') {
                    diagnostic = diagnostic.hint(format!(
                        "it was looked for in {}",
                        self.search.path.join(", ")
                    ));
                }
                self.parsed.findings.push(diagnostic);
            }
            Lookup::Unknown => self.parsed.unavailable.push((found.path, name.span)),
        }
        Ok(())
    }

    fn menu(&mut self) -> Parse<Item> {
        let [name] = self.arguments()?;
        self.mark('{')?;
        let mut choices = Vec::new();
        loop {
            let next = self.next();
            match &next.token {
                Token::Word(word) if word == "choice" => {
                    let [name, text] = self.arguments()?;
                    choices.push((name, text));
                }
                Token::Word(word) if word == "include" => self.include()?,
                Token::Mark('}') if !choices.is_empty() => return Ok(Item::Menu { name, choices }),
                _ => return Err(self.unexpected(&next, "`choice(NAME, \"text\")` or `}`")),
            }
        }
    }

    fn record_type(&mut self) -> Parse<Item> {
        let [name] = self.arguments()?;
        self.mark('{')?;
        let mut item = RecordTypeItem {
            name,
            fields: Vec::new(),
            c_lines: Vec::new(),
            empty: true,
        };
        loop {
            let next = self.next();
            match next.token {
                Token::Word(ref word) if word == "field" => {
                    let [name, kind] = self.arguments()?;
                    let attributes = self.field_attributes()?;
                    item.fields.push(FieldDefinition {
                        name,
                        kind,
                        attributes,
                    });
                }
                Token::Word(ref word) if word == "include" => self.include()?,
                Token::CLine(line) => item.c_lines.push(line),
                Token::Mark('}') => return Ok(Item::RecordType(item)),
                _ => return Err(self.unexpected(&next, "`field(NAME, DBF_…) {…}` or `}`")),
            }
            item.empty = false;
        }
    }

    fn field_attributes(&mut self) -> Parse<Vec<(Text, Text)>> {
        self.mark('{')?;
        let mut attributes = Vec::new();
        loop {
            let next = self.next();
            let keyword =
                matches!(&next.token, Token::Word(word) if is_keyword(word) && word != "menu");
            match next.token {
                Token::Mark('}') if !attributes.is_empty() => return Ok(attributes),
                Token::Word(value) | Token::Quoted(value) if !keyword => {
                    let name = Text {
                        value,
                        span: next.span,
                        unresolved: next.unresolved,
                    };
                    let [value] = self.arguments()?;
                    attributes.push((name, value));
                }
                _ => return Err(self.unexpected(&next, "an attribute such as `prompt(\"…\")`")),
            }
        }
    }

    fn break_table(&mut self) -> Parse<Item> {
        let [name] = self.arguments()?;
        self.mark('{')?;
        let mut numbers = vec![self.text()?];
        loop {
            if self.take('}') {
                return Ok(Item::BreakTable { name, numbers });
            }
            self.take(',');
            numbers.push(self.text()?);
        }
    }

    fn record(&mut self) -> Parse<Item> {
        let [record_type, name] = self.arguments()?;
        let mut item = RecordItem {
            record_type,
            name,
            fields: Vec::new(),
            infos: Vec::new(),
            aliases: Vec::new(),
        };
        if !self.take('{') {
            return Ok(Item::Record(item));
        }
        loop {
            let next = self.next();
            let Token::Word(word) = &next.token else {
                if next.token == Token::Mark('}') {
                    return Ok(Item::Record(item));
                }
                return Err(self.inside_record(item, &next));
            };
            let result = match word.as_str() {
                "field" => self.pair(false).map(|(name, value)| {
                    item.fields.push(FieldItem { name, value });
                }),
                "info" => self.pair(true).map(|(name, value)| {
                    item.infos.push(InfoItem { name, value });
                }),
                "alias" => self.arguments().map(|[alias]| item.aliases.push(alias)),
                "include" => self.include(),
                _ => return Err(self.inside_record(item, &next)),
            };
            if result.is_err() {
                self.parsed.items.push(Item::Record(item));
                return Err(Stop);
            }
        }
    }

    /// Keeps what was read of the record, so that later references to it find it.
    fn inside_record(&mut self, item: RecordItem, next: &Spanned) -> Stop {
        let stop = self.unexpected(next, "`field(…)`, `info(…)`, `alias(…)` or `}`");
        self.parsed.items.push(Item::Record(item));
        stop
    }

    /// `(NAME, value)`.
    fn pair(&mut self, tolerant: bool) -> Parse<(Text, Value)> {
        self.mark('(')?;
        let name = self.text()?;
        self.mark(',')?;
        let value = self.json_value(tolerant)?;
        self.mark(')')?;
        Ok((name, value))
    }

    fn json_value(&mut self, tolerant: bool) -> Parse<Value> {
        let first = self.next_json(tolerant);
        let mut value = Value {
            text: String::new(),
            kind: ValueKind::Bare,
            span: first.span.clone(),
            unresolved: first.unresolved,
        };
        match &first.token {
            Token::JsonText(text) => {
                value.kind = ValueKind::Quoted;
                value.text = translate_escapes(text.get(1..text.len() - 1).unwrap_or_default());
            }
            Token::Word(word) => value.text.clone_from(word),
            Token::Mark('{' | '[') => {
                value.kind = ValueKind::Json;
                self.json_inner(first, &mut value, 0, tolerant)?;
            }
            _ => return Err(self.unexpected(&first, "a value")),
        }
        Ok(value)
    }

    fn json_inner(
        &mut self,
        first: Spanned,
        value: &mut Value,
        depth: u32,
        tolerant: bool,
    ) -> Parse<()> {
        value.unresolved |= first.unresolved;
        if depth > JSON_DEPTH {
            return Err(self.syntax_error(first.span, "the value is nested too deeply", None));
        }
        let object = match first.token {
            Token::JsonText(text) => {
                value.text.push_str(&text);
                return Ok(());
            }
            Token::Word(word) => {
                if is_json_literal(&word) {
                    value.text.push_str(&word);
                } else {
                    for part in ["\"", &word, "\""] {
                        value.text.push_str(part);
                    }
                }
                return Ok(());
            }
            Token::Mark('{') => true,
            Token::Mark('[') => false,
            _ => return Err(self.unexpected(&first, "a value")),
        };
        let close = if object { '}' } else { ']' };
        value.text.push(if object { '{' } else { '[' });
        loop {
            let next = self.next_json(tolerant);
            extend_span(&mut value.span, &next.span);
            if next.token == Token::Mark(close) {
                break;
            }
            if object {
                match &next.token {
                    Token::JsonText(key) => value.text.push_str(key),
                    Token::Word(key) if !is_json_literal(key) => value.text.push_str(key),
                    _ => return Err(self.unexpected(&next, "a key or `}`")),
                }
                let colon = self.next_json(tolerant);
                if colon.token != Token::Mark(':') {
                    return Err(self.unexpected(&colon, "`:`"));
                }
                value.text.push(':');
                let inner = self.next_json(tolerant);
                extend_span(&mut value.span, &inner.span);
                self.json_inner(inner, value, depth + 1, tolerant)?;
            } else {
                self.json_inner(next, value, depth + 1, tolerant)?;
            }
            let next = self.next_json(tolerant);
            extend_span(&mut value.span, &next.span);
            match next.token {
                Token::Mark(',') => value.text.push(','),
                Token::Mark(mark) if mark == close => break,
                _ => return Err(self.unexpected(&next, &format!("`,` or `{close}`"))),
            }
        }
        value.text.push(close);
        Ok(())
    }

    fn next_json(&mut self, tolerant: bool) -> Spanned {
        debug_assert!(self.peeked.is_none());
        let next = self.lexer.next(Mode::Json, &mut self.parsed.findings);
        if tolerant {
            self.lexer.tolerate(&next.span);
        }
        next
    }

    /// `(a, b, …)`: as many texts as the caller names.
    fn arguments<const COUNT: usize>(&mut self) -> Parse<[Text; COUNT]> {
        self.mark('(')?;
        let mut texts = Vec::with_capacity(COUNT);
        for index in 0..COUNT {
            if index > 0 {
                self.mark(',')?;
            }
            texts.push(self.text()?);
        }
        self.mark(')')?;
        texts.try_into().map_err(|_| Stop)
    }

    fn text(&mut self) -> Parse<Text> {
        let next = self.next();
        let expected = "a name or a quoted string";
        match next.token {
            Token::Word(ref word) if is_keyword(word) => {
                let message = format!("`{word}` is a keyword here and needs quotes");
                Err(self.syntax_error(next.span, message, Some(expected)))
            }
            Token::Word(value) | Token::Quoted(value) => Ok(Text {
                value,
                span: next.span,
                unresolved: next.unresolved,
            }),
            _ => Err(self.unexpected(&next, expected)),
        }
    }

    fn mark(&mut self, mark: char) -> Parse<()> {
        let next = self.next();
        if next.token == Token::Mark(mark) {
            return Ok(());
        }
        Err(self.unexpected(&next, &format!("`{mark}`")))
    }

    fn take(&mut self, mark: char) -> bool {
        let next = self.next();
        if next.token == Token::Mark(mark) {
            return true;
        }
        self.peeked = Some(next);
        false
    }

    fn next(&mut self) -> Spanned {
        match self.peeked.take() {
            Some(next) => next,
            None => self.lexer.next(Mode::Plain, &mut self.parsed.findings),
        }
    }

    fn unexpected(&mut self, next: &Spanned, expected: &str) -> Stop {
        let found = match &next.token {
            Token::Word(text) | Token::Quoted(text) | Token::JsonText(text) => {
                let shown: String = text.chars().take(40).collect();
                format!("`{shown}` is not expected here")
            }
            Token::CLine(_) => "a C line is not expected here".to_owned(),
            Token::Mark(mark) => format!("`{mark}` is not expected here"),
            Token::End => "the file ends in the middle of a statement".to_owned(),
        };
        if next.token == Token::End {
            self.peeked = Some(next.clone());
        } else if matches!(&next.token, Token::Word(word) if is_statement(word)) {
            // Probably the next statement: a bracket was forgotten before it.
            self.peeked = Some(next.clone());
        }
        self.syntax_error(next.span.clone(), found, Some(expected))
    }

    fn syntax_error(
        &mut self,
        span: Span,
        message: impl Into<String>,
        expected: Option<&str>,
    ) -> Stop {
        self.syntax_errors += 1;
        let mut diagnostic = Diagnostic::error(span, message)
            .hint("the IOC stops reading the file here and refuses it");
        if let Some(expected) = expected {
            diagnostic = diagnostic.expected(expected);
        }
        self.parsed
            .refused
            .get_or_insert_with(|| diagnostic.clone());
        self.parsed.findings.push(diagnostic);
        Stop
    }

    /// Goes on to the next word that begins a statement.
    fn recover(&mut self) {
        loop {
            let next = self.next();
            let statement = matches!(&next.token, Token::Word(word) if is_statement(word));
            if next.token == Token::End || statement {
                self.peeked = Some(next);
                return;
            }
        }
    }
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.contains(&word)
}

fn is_statement(word: &str) -> bool {
    STATEMENTS.contains(&word)
}

/// `null`, `true`, `false` and numbers stay without quotes, and cannot be keys.
fn is_json_literal(word: &str) -> bool {
    matches!(word, "null" | "true" | "false")
        || word.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first))
        || matches!(word, "NaN" | "Infinity")
}

fn extend_span(span: &mut Span, to: &Span) {
    if span.file == to.file && span.line == to.line {
        span.length = (to.column + to.length)
            .saturating_sub(span.column)
            .max(span.length);
    }
}
