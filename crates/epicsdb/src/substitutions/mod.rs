//! Substitution files: which templates are loaded with which macros.
//!
//! Two programs read them, and do not agree in every detail: the host tool `msi` and the IOC
//! command `dbLoadTemplate`. [`Reader`] says which one is followed. The templates themselves are
//! not read here.

mod words;

use std::sync::Arc;

use words::{Word, WordKind, Words};

use crate::diagnostic::Findings;
use crate::macros::{Environment, Expander, Macros};
use crate::{Diagnostic, Span};

/// Most loads that one file may ask for.
const LOAD_LIMIT: usize = 100_000;
/// `dbTemplateMaxVars` of base.
const VARIABLE_LIMIT: usize = 100;

/// The program that reads the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The host tool: any characters in a value, quotes kept as part of it.
    Msi,
    /// The IOC command: `NAME=VALUE` pairs, other characters than letters, digits and
    /// `_-+:./\[]<>;` need quotes.
    DbLoadTemplate,
}

/// One template with one set of macros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Substitution {
    /// Name of the template, environment variables expanded.
    pub template: String,
    /// Where the template is named.
    pub template_span: Span,
    /// Definitions of all `global` sets so far.
    pub globals: String,
    /// Definitions of this set.
    pub macros: String,
    /// Where this set begins.
    pub span: Span,
}

impl Substitution {
    /// The macros with which the template is expanded; `outer` are those of the command.
    pub fn macros(&self, outer: &Macros) -> Macros {
        let mut macros = outer.clone();
        macros.define(&self.globals);
        macros.push_scope();
        macros.define(&self.macros);
        macros
    }
}

/// What a substitution file asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Substitutions {
    /// The loads, in order.
    pub loads: Vec<Substitution>,
    /// What is wrong with the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a substitution file.
pub fn parse(name: &str, text: &str, reader: Reader, environment: &Environment) -> Substitutions {
    let mut findings = Findings::default();
    let words = Words::new(name.into(), text, reader);
    let mut parser = Parser {
        words,
        peeked: None,
        reader,
        environment,
        findings: &mut findings,
        loads: Vec::new(),
        globals: String::new(),
    };
    parser.file();
    let loads = parser.loads;
    Substitutions {
        loads,
        diagnostics: findings.into_vec(),
    }
}

struct Parser<'a, 'f> {
    words: Words<'a>,
    peeked: Option<Word>,
    reader: Reader,
    environment: &'a Environment,
    findings: &'f mut Findings,
    loads: Vec<Substitution>,
    globals: String,
}

struct Stop;

struct Template {
    name: String,
    span: Span,
    /// Names of the pattern, if there is one.
    pattern: Option<Vec<String>>,
}

impl Parser<'_, '_> {
    fn file(&mut self) {
        let mut empty = true;
        loop {
            let word = self.next_significant();
            let result = match &word.kind {
                WordKind::End => {
                    if empty && self.reader == Reader::DbLoadTemplate {
                        let message = "the file is empty, which dbLoadTemplate refuses";
                        self.findings.push(Diagnostic::error(word.span, message));
                    }
                    return;
                }
                WordKind::Bare(text) if text == "global" => self.global(),
                WordKind::Bare(text) if text == "file" => self.template(),
                _ => Err(self.unexpected(&word, "`file NAME {…}` or `global {…}`")),
            };
            empty = false;
            if result.is_err() && !self.recover() {
                return;
            }
        }
    }

    /// After an error, goes on at the next `file`.
    fn recover(&mut self) -> bool {
        loop {
            let word = self.next();
            match &word.kind {
                WordKind::End => return false,
                WordKind::Bare(text) if text == "file" => {
                    self.peeked = Some(word);
                    return true;
                }
                _ => {}
            }
        }
    }

    fn global(&mut self) -> Result<(), Stop> {
        self.open()?;
        let definitions = self.definitions()?;
        self.globals.push(',');
        self.globals.push_str(&definitions);
        Ok(())
    }

    fn template(&mut self) -> Result<(), Stop> {
        let word = self.next_significant();
        let (WordKind::Bare(name) | WordKind::Quoted(name, _)) = &word.kind else {
            return Err(self.unexpected(&word, "the name of a template"));
        };
        let mut expander = Expander::new(&Macros::new()).with_environment(self.environment);
        let expansion = expander.expand(name);
        if let Some(problem) = expansion.problems.first().filter(|_| expansion.failed()) {
            let message = format!(
                "environment variable `{}` in the template name is not set",
                problem.name
            );
            self.findings
                .push(Diagnostic::error(word.span.clone(), message));
        }
        let mut template = Template {
            name: expansion.text,
            span: word.span,
            pattern: None,
        };
        self.open()?;
        let mut first = true;
        loop {
            let word = self.next_significant();
            match &word.kind {
                WordKind::Close => return Ok(()),
                WordKind::End if self.reader == Reader::Msi => {
                    let message = "the last `}` is missing";
                    self.findings
                        .push(Diagnostic::warning(word.span.clone(), message));
                    self.peeked = Some(word);
                    return Ok(());
                }
                WordKind::Open => {
                    let span = word.span.clone();
                    let macros = match &template.pattern {
                        Some(names) => {
                            let names = names.clone();
                            self.pattern_values(&names)?
                        }
                        None => self.definitions()?,
                    };
                    self.load(&template, macros, span)?;
                }
                WordKind::Bare(text) if text == "global" => self.global()?,
                WordKind::Bare(text)
                    if text == "pattern" && self.reader == Reader::DbLoadTemplate && !first =>
                {
                    return Err(self.unexpected(&word, "`pattern` only at the beginning"));
                }
                WordKind::Bare(text) if text == "pattern" => {
                    self.open()?;
                    template.pattern = Some(self.pattern_names()?);
                }
                WordKind::Bare(text) if self.reader == Reader::DbLoadTemplate => {
                    let next = self.next_significant();
                    if next.kind != WordKind::Open {
                        return Err(self.unexpected(&word, "`{` or `}`"));
                    }
                    let message = format!("`{text}` before the bracket has no meaning");
                    let diagnostic = Diagnostic::warning(word.span, message);
                    self.findings.push(diagnostic.hint("leave it away"));
                    self.peeked = Some(next);
                }
                _ => return Err(self.unexpected(&word, "`{`, `}` or `pattern {…}`")),
            }
            first = false;
        }
    }

    fn load(&mut self, template: &Template, macros: String, span: Span) -> Result<(), Stop> {
        if self.loads.len() >= LOAD_LIMIT {
            let message = format!("more than {LOAD_LIMIT} loads in one file");
            self.findings.push(Diagnostic::error(span, message));
            return Err(Stop);
        }
        self.loads.push(Substitution {
            template: template.name.clone(),
            template_span: template.span.clone(),
            globals: self.globals.clone(),
            macros,
            span,
        });
        Ok(())
    }

    fn pattern_names(&mut self) -> Result<Vec<String>, Stop> {
        let mut names = Vec::new();
        let mut first = true;
        loop {
            let word = self.next_in_set(&mut first)?;
            match word.kind {
                WordKind::Separator => {}
                WordKind::Close => return Ok(names),
                WordKind::Bare(name) => names.push(name),
                // `msi` keeps the quotes, which go when the definitions are read.
                WordKind::Quoted(name, quote) if self.reader == Reader::Msi => {
                    names.push(format!("{quote}{name}{quote}"));
                }
                _ => return Err(self.unexpected(&word, "a macro name or `}`")),
            }
            if self.reader == Reader::DbLoadTemplate && names.len() > VARIABLE_LIMIT {
                let message = format!("a pattern has at most {VARIABLE_LIMIT} macros");
                self.findings.push(
                    Diagnostic::error(word.span, message)
                        .hint("set the variable dbTemplateMaxVars before dbLoadTemplate"),
                );
                return Err(Stop);
            }
        }
    }

    fn pattern_values(&mut self, names: &[String]) -> Result<String, Stop> {
        let mut definitions = String::new();
        let mut names = names.iter();
        let mut told = false;
        let mut first = true;
        loop {
            let word = self.next_in_set(&mut first)?;
            let value = match word.kind {
                WordKind::Separator => continue,
                WordKind::Close => return Ok(definitions),
                WordKind::Bare(value) => value,
                WordKind::Quoted(value, quote) => self.quoted(&value, quote),
                _ => return Err(self.unexpected(&word, "a value or `}`")),
            };
            if let Some(name) = names.next() {
                if !definitions.is_empty() {
                    definitions.push(',');
                }
                definitions.push_str(name);
                definitions.push('=');
                definitions.push_str(&value);
            } else if !told {
                told = true;
                let message = "there are more values than names in the pattern";
                let diagnostic = Diagnostic::warning(word.span, message);
                self.findings
                    .push(diagnostic.hint("this value and those behind it are dropped"));
            }
        }
    }

    /// The inside of `{A=1, B="2"}` as a definition string.
    fn definitions(&mut self) -> Result<String, Stop> {
        let mut definitions = String::new();
        let mut first = true;
        loop {
            let word = self.next_in_set(&mut first)?;
            match word.kind {
                WordKind::Close => return Ok(definitions),
                // `dbLoadTemplate` puts its own commas between definitions.
                WordKind::Separator if self.reader == Reader::DbLoadTemplate => {}
                WordKind::Separator => definitions.push(','),
                WordKind::Bare(text) if self.reader == Reader::Msi => definitions.push_str(&text),
                WordKind::Quoted(text, quote) if self.reader == Reader::Msi => {
                    definitions.push_str(&self.quoted(&text, quote));
                }
                WordKind::Bare(name) => {
                    let equals = self.next();
                    if equals.kind != WordKind::Equals {
                        return Err(self.unexpected(&equals, "`=`"));
                    }
                    let value = self.next_in_set(&mut first)?;
                    let value = match value.kind {
                        WordKind::Bare(text) => text,
                        WordKind::Quoted(text, quote) => self.quoted(&text, quote),
                        _ => return Err(self.unexpected(&value, "a value")),
                    };
                    for part in [",", &name, "=", &value] {
                        definitions.push_str(part);
                    }
                }
                _ => return Err(self.unexpected(&word, "`NAME=VALUE` or `}`")),
            }
        }
    }

    /// `dbLoadTemplate` writes double quotes around a value, whichever it had.
    fn quoted(&self, text: &str, quote: char) -> String {
        let quote = if self.reader == Reader::DbLoadTemplate {
            '"'
        } else {
            quote
        };
        format!("{quote}{text}{quote}")
    }

    fn open(&mut self) -> Result<(), Stop> {
        let word = self.next_significant();
        if word.kind == WordKind::Open {
            return Ok(());
        }
        Err(self.unexpected(&word, "`{`"))
    }

    fn next(&mut self) -> Word {
        match self.peeked.take() {
            Some(word) => word,
            None => self.words.next(self.findings),
        }
    }

    /// The next word that is not a separator; `dbLoadTemplate` takes commas only inside a set.
    fn next_significant(&mut self) -> Word {
        loop {
            let word = self.next();
            if word.kind != WordKind::Separator || self.reader == Reader::DbLoadTemplate {
                return word;
            }
        }
    }

    /// The next word inside a set, keywords refused where they are none.
    fn next_in_set(&mut self, first: &mut bool) -> Result<Word, Stop> {
        let word = self.next();
        if self.reader == Reader::DbLoadTemplate {
            match &word.kind {
                WordKind::Bare(text) if matches!(text.as_str(), "file" | "pattern" | "global") => {
                    return Err(self.unexpected(&word, "a name or value (a keyword needs quotes)"));
                }
                WordKind::Separator if *first => {
                    return Err(self.unexpected(&word, "a name or value before the comma"));
                }
                _ => {}
            }
        }
        *first = false;
        Ok(word)
    }

    fn unexpected(&mut self, word: &Word, expected: &str) -> Stop {
        let found = match &word.kind {
            WordKind::Open => "`{` is not expected here".to_owned(),
            WordKind::Close => "`}` is not expected here".to_owned(),
            WordKind::Equals => "`=` is not expected here".to_owned(),
            WordKind::Separator => "`,` is not expected here".to_owned(),
            WordKind::Bare(text) | WordKind::Quoted(text, _) => {
                let shown: String = text.chars().take(40).collect();
                format!("`{shown}` is not expected here")
            }
            WordKind::End => "the file ends before a closing bracket".to_owned(),
        };
        if word.kind == WordKind::End || word.kind == WordKind::Bare("file".to_owned()) {
            self.peeked = Some(word.clone());
        }
        self.findings
            .push(Diagnostic::error(word.span.clone(), found).expected(expected));
        Stop
    }
}

type FileName = Arc<str>;
