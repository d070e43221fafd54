//! Words of the grammar, taken from the lines of a file and the files it includes.

use std::sync::Arc;

use super::msi::{self, Command};
use super::token::{Token, goes_on, json_token, plain_token};
use crate::diagnostic::Findings;
use crate::files::{Lookup, Search};
use crate::macros::{Expander, MacroProblem, MacroProblemKind};
use crate::{Diagnostic, Severity, Span};

/// Files that may include each other this deep.
const INCLUDE_LIMIT: usize = 32;
/// Bytes that one load may read, includes counted each time.
const SIZE_LIMIT: usize = 256 << 20;
/// The IOC's line buffer: what a line is longer than this after expansion is lost.
const LINE_LIMIT: usize = 1023;

#[derive(Clone, Debug)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) span: Span,
    pub(super) unresolved: bool,
}

/// Which of the two sets of rules applies: values of fields are JSON, all else is not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Plain,
    Json,
}

struct OpenFile {
    name: Arc<str>,
    text: Arc<str>,
    offset: usize,
    line: u32,
}

/// The line under work.
struct Line {
    file: Arc<str>,
    number: u32,
    source: String,
    text: String,
    /// Source offset of each byte of `text`; `None` if nothing was replaced.
    origin: Option<Vec<u32>>,
    problems: Vec<(MacroProblem, Severity)>,
    position: usize,
}

impl Line {
    fn source_offset(&self, offset: usize) -> usize {
        match &self.origin {
            None => offset,
            Some(origin) => origin
                .get(offset)
                .map_or(self.source.len(), |&at| at as usize),
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        let start = self.source_offset(start);
        let end = self.source_offset(end).max(start);
        Span::in_line(&self.file, self.number, &self.source, start, end)
    }

    fn unresolved(&self, start: usize, end: usize) -> bool {
        let (start, end) = (self.source_offset(start), self.source_offset(end));
        self.problems.iter().any(|(problem, _)| {
            // A problem on a joined line has no width of its own.
            (problem.start < end.max(start + 1)
                || problem.start == problem.end && problem.start <= end)
                && problem.end.max(problem.start + 1) > start
                && matches!(
                    problem.kind,
                    MacroProblemKind::Undefined
                        | MacroProblemKind::Recursive
                        | MacroProblemKind::TooMuch
                )
        })
    }
}

pub(super) struct Lexer<'a> {
    files: Vec<OpenFile>,
    expander: Expander<'a>,
    line: Line,
    read: usize,
    /// Where undefined macros can be given a value.
    macros_from: Option<Span>,
    /// Where the commands of `msi` look for files, if they are followed.
    msi: Option<Search<'a>>,
    unavailable: Vec<(Arc<str>, Span)>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(
        name: Arc<str>,
        text: Arc<str>,
        expander: Expander<'a>,
        msi: Option<Search<'a>>,
        macros_from: Option<Span>,
    ) -> Self {
        let line = Line {
            file: Arc::clone(&name),
            number: 0,
            source: String::new(),
            text: String::new(),
            origin: None,
            problems: Vec::new(),
            position: 0,
        };
        let read = text.len();
        Self {
            files: vec![OpenFile {
                name,
                text,
                offset: 0,
                line: 0,
            }],
            expander,
            line,
            read,
            macros_from,
            msi,
            unavailable: Vec::new(),
        }
    }

    /// Files that a command of `msi` names and the caller could not show.
    pub(super) fn take_unavailable(&mut self) -> Vec<(Arc<str>, Span)> {
        std::mem::take(&mut self.unavailable)
    }

    /// Carries out a command of `msi`, of which nothing is left in the text.
    fn msi_command(&mut self, command: Command<'_>, findings: &mut Findings) {
        let name = match command {
            Command::Substitute(definitions) => return self.expander.define(definitions),
            Command::Include(name) => name,
        };
        let Some(found) = self.msi.as_ref().map(|search| search.find_along(name)) else {
            return;
        };
        let line = &self.line;
        let span = Span::in_line(&line.file, line.number, &line.source, 0, line.source.len());
        match found.lookup {
            Lookup::Text(text) => {
                if let Err(why) = self.include(found.path, text) {
                    findings.push(Diagnostic::error(
                        span,
                        format!("`{name}` is not read: {why}"),
                    ));
                }
            }
            Lookup::Missing => {
                let message = format!("included file `{name}` does not exist");
                findings.push(Diagnostic::error(span, message));
            }
            Lookup::Unknown => self.unavailable.push((found.path, span)),
        }
    }

    /// Reads another file before the rest of the present one. The rest of the present line comes
    /// first, as it does in base. `Err` says why it is not followed.
    pub(super) fn include(&mut self, name: Arc<str>, text: Arc<str>) -> Result<(), String> {
        if self.files.len() >= INCLUDE_LIMIT {
            let again = self.files.iter().any(|file| file.name == name);
            let why = if again {
                "it includes itself"
            } else {
                "includes are nested too deeply"
            };
            return Err(why.to_owned());
        }
        self.read = self.read.saturating_add(text.len());
        if self.read > SIZE_LIMIT {
            return Err("the included files are too large".to_owned());
        }
        self.files.push(OpenFile {
            name,
            text,
            offset: 0,
            line: 0,
        });
        Ok(())
    }

    /// The place that was reached.
    pub(super) fn here(&self) -> Span {
        self.line.span(self.line.position, self.line.position)
    }

    /// Undefined macros in this word do no harm: the IOC takes the text as it is.
    pub(super) fn tolerate(&mut self, span: &Span) {
        let line = &mut self.line;
        if span.line != line.number || span.file != line.file {
            return;
        }
        for (problem, severity) in &mut line.problems {
            let at = Span::in_line(
                &line.file,
                line.number,
                &line.source,
                problem.start,
                problem.end,
            );
            if at.column < span.column + span.length && at.column + at.length > span.column {
                *severity = (*severity).max(Severity::Warning);
            }
        }
    }

    fn next_line(&mut self, findings: &mut Findings) -> bool {
        self.finish_line(findings);
        while let Some(file) = self.files.last_mut() {
            let rest = &file.text[file.offset..];
            if rest.is_empty() {
                self.files.pop();
                continue;
            }
            let length = rest.find('\n').map_or(rest.len(), |end| end + 1);
            let source = rest[..length].trim_end_matches('\n');
            // A line is a C string to the IOC.
            let (source, after) = source.split_once('\0').unwrap_or((source, ""));
            let (source, cut) = (source.to_owned(), !after.is_empty());
            file.offset += length;
            file.line = file.line.saturating_add(1);
            self.line.file = Arc::clone(&file.name);
            self.line.number = file.line;
            self.line.position = 0;
            if let Some(command) = self.msi.as_ref().and_then(|_| msi::command(&source)) {
                self.line.text.clear();
                self.line.origin = None;
                self.line.source.clone_from(&source);
                self.msi_command(command, findings);
                return true;
            }
            if source.contains('$') {
                let expansion = self.expander.expand(&source);
                self.line.text = expansion.text;
                self.line.origin = Some(expansion.origin);
                self.line.problems = expansion
                    .problems
                    .into_iter()
                    .map(|p| (p, Severity::Error))
                    .collect();
            } else {
                self.line.text.clone_from(&source);
                self.line.origin = None;
            }
            self.line.source = source;
            if cut {
                let message = "the line has a NUL character, the IOC drops what follows it";
                let end = self.line.text.len();
                findings.push(Diagnostic::warning(self.line.span(end, end), message));
            }
            if self.line.text.len() > LINE_LIMIT {
                let message = format!(
                    "the line has {} bytes after macro expansion, the IOC reads {LINE_LIMIT} and loses the rest",
                    self.line.text.len()
                );
                // A longer line without macros is read in pieces, and nothing is lost.
                if self.line.origin.is_some() {
                    let span = self.line.span(LINE_LIMIT, self.line.text.len());
                    findings.push(Diagnostic::error(span, message).hint("break the line in two"));
                }
            }
            return true;
        }
        false
    }

    /// Joins the next line of the file to this one. What is found on it is placed at the end of
    /// this line.
    fn append_line(&mut self, findings: &mut Findings) -> bool {
        let Some(file) = self.files.last() else {
            return false;
        };
        if file.name != self.line.file || file.offset >= file.text.len() {
            return false;
        }
        let before = Line {
            file: Arc::clone(&self.line.file),
            source: std::mem::take(&mut self.line.source),
            text: std::mem::take(&mut self.line.text),
            origin: self.line.origin.take(),
            problems: std::mem::take(&mut self.line.problems),
            ..self.line
        };
        let next = self.next_line(findings);
        let added = std::mem::replace(&mut self.line, before);
        if !next {
            return false;
        }
        let line = &mut self.line;
        let end = u32::try_from(line.source.len()).unwrap_or(u32::MAX);
        let origin = line.origin.get_or_insert_with(|| (0..end).collect());
        line.text.push('\n');
        line.text.push_str(&added.text);
        origin.resize(line.text.len(), end);
        line.problems
            .extend(added.problems.into_iter().map(|(problem, severity)| {
                let end = line.source.len();
                (
                    MacroProblem {
                        start: end,
                        end,
                        ..problem
                    },
                    severity,
                )
            }));
        true
    }

    fn finish_line(&mut self, findings: &mut Findings) {
        let line = &mut self.line;
        for (problem, severity) in line.problems.drain(..) {
            let span = Span::in_line(
                &line.file,
                line.number,
                &line.source,
                problem.start,
                problem.end,
            );
            findings.push(macro_diagnostic(
                &problem,
                severity,
                span,
                self.macros_from.as_ref(),
            ));
        }
    }

    pub(super) fn next(&mut self, mode: Mode, findings: &mut Findings) -> Spanned {
        loop {
            let bytes = self.line.text.as_bytes();
            let start = self.line.position;
            let Some(&byte) = bytes.get(start) else {
                if self.next_line(findings) {
                    continue;
                }
                return Spanned {
                    token: Token::End,
                    span: self.here(),
                    unresolved: false,
                };
            };
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.line.position += 1;
                    continue;
                }
                b'#' => {
                    let at = self.line.source_offset(start);
                    for (problem, severity) in &mut self.line.problems {
                        if problem.start >= at {
                            *severity = Severity::Note;
                        }
                    }
                    self.line.position = bytes.len();
                    continue;
                }
                _ => {}
            }
            let (token, end) = match mode {
                Mode::Plain => plain_token(&self.line.text, start),
                Mode::Json => {
                    while goes_on(&self.line.text, start) && self.append_line(findings) {}
                    json_token(&self.line.text, start)
                }
            };
            self.line.position = end;
            let span = self.line.span(start, end);
            match token {
                Ok(token) => {
                    let unresolved = self.line.unresolved(start, end);
                    return Spanned {
                        token,
                        span,
                        unresolved,
                    };
                }
                Err(message) => {
                    // An undefined macro leaves a `$` behind, and has its own message.
                    if !self.line.unresolved(start, end) {
                        findings.push(Diagnostic::error(span, message));
                    }
                }
            }
        }
    }
}

/// What to say about a macro that could not be expanded.
pub(crate) fn macro_diagnostic(
    problem: &MacroProblem,
    severity: Severity,
    span: Span,
    macros_from: Option<&Span>,
) -> Diagnostic {
    let name = &problem.name;
    let inside = match &problem.inside {
        Some(outer) => format!(" (used in the value of macro `{outer}`)"),
        None => String::new(),
    };
    let (severity, message) = match problem.kind {
        MacroProblemKind::Undefined if severity == Severity::Note => (
            severity,
            format!("macro `{name}` in a comment is not defined{inside}"),
        ),
        MacroProblemKind::Undefined => (severity, format!("macro `{name}` is not defined{inside}")),
        MacroProblemKind::Recursive => {
            (severity, format!("macro `{name}` refers to itself{inside}"))
        }
        MacroProblemKind::TooMuch => (
            Severity::Error,
            "macros expand to far too much text, or are nested too deeply".into(),
        ),
        MacroProblemKind::Unclosed => (
            severity.max(Severity::Warning),
            format!("the reference to macro `{name}` has no closing bracket{inside}"),
        ),
        MacroProblemKind::Cut => (
            severity,
            format!(
                "the value of macro `{name}` is longer than {} bytes, the IOC cuts it off",
                crate::macros::VALUE_LIMIT
            ),
        ),
    };
    let diagnostic = Diagnostic {
        severity,
        message,
        span,
        expected: None,
        hint: None,
    };
    match (problem.kind, macros_from) {
        (MacroProblemKind::Undefined, Some(from)) if severity != Severity::Note => diagnostic.hint(
            format!("add `{name}=…` to the macros at {from}, or write `$({name}=default)`"),
        ),
        _ => diagnostic,
    }
}
