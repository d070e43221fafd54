//! Start-up scripts (`st.cmd`): which commands an IOC runs, in which order, with what arguments.
//!
//! Commands that decide what is loaded are recognised; all others are passed over, since which
//! ones exist depends on the code of the IOC. Nothing is run: environment and working directory
//! are followed as `epicsEnvSet` and `cd` would change them.

mod command;
mod lines;
mod words;

use std::sync::Arc;

pub use command::{Argument, Command, Statement};
use lines::{LogicalLines, Place};
use words::SplitError;

use crate::diagnostic::Findings;
use crate::files::{Files, Lookup, Search, join};
use crate::macros::{Environment, Expander, Macros};
use crate::nearest::nearest;
use crate::syntax::macro_diagnostic;
use crate::{Diagnostic, Severity, Span};

/// Scripts may call each other this deep.
const SCRIPT_DEPTH: u32 = 32;
/// Lines that are followed in all, scripts counted each time they are called.
const LINE_LIMIT: u32 = 200_000;

/// What a start-up script does.
#[derive(Clone, Debug, Default)]
pub struct Startup {
    /// The commands in the order in which they run, those of called scripts merged in.
    pub statements: Vec<Statement>,
    /// What is wrong with the scripts.
    pub diagnostics: Vec<Diagnostic>,
    /// The environment at the end.
    pub environment: Environment,
    /// All scripts that are called could be read.
    pub complete: bool,
}

/// Reads a start-up script and the scripts it calls.
pub fn scan(files: &dyn Files, startup: &str, environment: &Environment) -> Startup {
    let mut findings = Findings::default();
    let mut statements = Vec::new();
    let mut walk = Walk::new(files, environment);
    walk.run(startup, &mut findings, &mut |statement, _, _| {
        statements.push(statement.clone());
    });
    let complete = walk.complete;
    let environment = walk.environment;
    Startup {
        statements,
        diagnostics: findings.into_vec(),
        environment,
        complete,
    }
}

/// Called for every command before it changes the state.
pub(crate) type Visit<'v, 'a> = dyn FnMut(&Statement, &Walk<'a>, &mut Findings) + 'v;

/// A script being followed.
pub(crate) struct Walk<'a> {
    pub(crate) search: Search<'a>,
    pub(crate) environment: Environment,
    /// All scripts that are called could be read.
    pub(crate) complete: bool,
    /// Lines that were passed over since a macro in them has no value.
    pub(crate) skipped: Vec<Span>,
    macros: Macros,
    lines: u32,
    stopped: bool,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(files: &'a dyn Files, environment: &Environment) -> Self {
        Self {
            search: Search::new(files),
            environment: environment.clone(),
            complete: true,
            skipped: Vec::new(),
            macros: Macros::new(),
            lines: 0,
            stopped: false,
        }
    }

    /// Follows the script from its first line; `false` if it cannot be read at all.
    pub(crate) fn run(
        &mut self,
        startup: &str,
        findings: &mut Findings,
        visit: &mut Visit<'_, 'a>,
    ) -> bool {
        let found = self.search.open(startup);
        match found.lookup {
            Lookup::Text(text) => {
                self.script(&found.path, &text, 0, findings, visit);
                true
            }
            Lookup::Missing => {
                let message = "the start-up script does not exist";
                findings.push(Diagnostic::error(Span::file(found.path), message));
                false
            }
            Lookup::Unknown => {
                self.complete = false;
                let message = "the start-up script is not at hand, nothing was checked";
                findings.push(Diagnostic::note(Span::file(found.path), message));
                false
            }
        }
    }

    fn script(
        &mut self,
        file: &Arc<str>,
        text: &str,
        depth: u32,
        findings: &mut Findings,
        visit: &mut Visit<'_, 'a>,
    ) {
        for place in LogicalLines::new(file, text) {
            self.lines += 1;
            if self.lines > LINE_LIMIT {
                if !self.stopped {
                    self.stopped = true;
                    let message =
                        format!("more than {LINE_LIMIT} lines run, the rest is not checked");
                    findings.push(Diagnostic::error(place.span(0, place.text.len()), message));
                }
                return;
            }
            if !place.ended {
                if !is_comment(&place.text) {
                    let message = "the last line has no line end, and the IOC does not run it";
                    let diagnostic = Diagnostic::error(place.span(0, place.text.len()), message);
                    findings.push(diagnostic.hint("end the file with a new line"));
                }
                return;
            }
            if self.line(&place, depth, findings, visit).is_break() {
                return;
            }
        }
    }

    fn line(
        &mut self,
        place: &Place,
        depth: u32,
        findings: &mut Findings,
        visit: &mut Visit<'_, 'a>,
    ) -> std::ops::ControlFlow<()> {
        use std::ops::ControlFlow::{Break, Continue};
        let line = place.text.as_str();
        if is_comment(line) {
            return Continue(());
        }
        let mut expander = Expander::new(&self.macros).with_environment(&self.environment);
        let expansion = expander.expand(line);
        for problem in &expansion.problems {
            let span = place.span(problem.start, problem.end);
            let diagnostic = macro_diagnostic(problem, Severity::Error, span, None);
            findings.push(if expansion.failed() && diagnostic.severity == Severity::Error {
                diagnostic.hint(format!(
                    "the IOC skips the whole line; set `{}` with epicsEnvSet or in the environment, or write `$({}=default)`",
                    problem.name, problem.name
                ))
            } else {
                diagnostic
            });
        }
        if expansion.failed() {
            self.skipped.push(place.span(0, line.len()));
            return Continue(());
        }
        if is_comment(&expansion.text) {
            return Continue(());
        }
        let words = match words::split(&expansion.text) {
            Ok(words) => words,
            Err((error, at)) => {
                let span = place.expanded_span(&expansion, at, expansion.text.len());
                findings.push(split_error(error, span));
                return Continue(());
            }
        };
        let argument = |word: &words::Word| Argument {
            text: word.text.clone(),
            span: place.expanded_span(&expansion, word.range.start, word.range.end),
        };
        let arguments: Vec<Argument> = words.list.iter().map(argument).collect();
        let span = place.span(line.len() - line.trim_start().len(), line.trim_end().len());
        let command = match (arguments.split_first(), &words.input) {
            (Some((name, rest)), _) => {
                Self::suspicious(name, rest, findings);
                Command::from_words(name, rest)
            }
            (None, Some(input)) => Command::LoadScript {
                file: argument(input),
                macros: None,
            },
            (None, None) if words.output.is_empty() => {
                let message = "a line without a command ends the script here";
                findings.push(Diagnostic::error(span, message).hint("remove it"));
                return Break(());
            }
            (None, None) => return Continue(()),
        };
        let statement = Statement { command, span };
        visit(&statement, self, findings);
        self.apply(&statement, depth, findings, visit)
    }

    fn suspicious(name: &Argument, rest: &[Argument], findings: &mut Findings) {
        if command::KNOWN.contains(&name.text.as_str()) {
            let missing = match name.text.as_str() {
                "iocInit" | "iocBuild" | "var" => None,
                "epicsEnvSet" if rest.len() < 2 => Some("a name and a value"),
                _ if rest.is_empty() => Some("an argument"),
                _ => None,
            };
            if let Some(missing) = missing {
                let message = format!("`{}` needs {missing}", name.text);
                findings.push(Diagnostic::error(name.span.clone(), message));
            }
        } else if name.text.len() > 5
            && let Some(near) = nearest(&name.text, command::KNOWN)
        {
            let message = format!("`{}` is not a command of EPICS base", name.text);
            let diagnostic = Diagnostic::warning(name.span.clone(), message);
            findings.push(diagnostic.hint(format!("did you mean `{near}`?")));
        }
    }

    fn apply(
        &mut self,
        statement: &Statement,
        depth: u32,
        findings: &mut Findings,
        visit: &mut Visit<'_, 'a>,
    ) -> std::ops::ControlFlow<()> {
        use std::ops::ControlFlow::{Break, Continue};
        match &statement.command {
            Command::SetEnvironment { name, value } => {
                self.macros.remove(&name.text);
                self.environment
                    .insert(name.text.clone(), value.text.clone());
            }
            Command::UnsetEnvironment(name) => {
                self.macros.remove(&name.text);
                self.environment.remove(&name.text);
            }
            Command::ChangeDirectory(directory) => {
                self.search.directory = join(&self.search.directory, &directory.text);
            }
            Command::LoadScript { file, macros } => {
                self.call(file, macros.as_ref(), depth, findings, visit);
            }
            Command::RunLine { line, macros } if depth < SCRIPT_DEPTH => {
                self.scoped(macros.as_ref(), |walk| {
                    walk.lines += 1;
                    let within = Place::of_argument(line);
                    // `exit` inside ends that one line only.
                    let _ = walk.line(&within, depth + 1, findings, visit);
                });
            }
            Command::Exit => return Break(()),
            _ => {}
        }
        Continue(())
    }

    fn call(
        &mut self,
        file: &Argument,
        macros: Option<&Argument>,
        depth: u32,
        findings: &mut Findings,
        visit: &mut Visit<'_, 'a>,
    ) {
        let found = self.search.open(&file.text);
        let text = match found.lookup {
            Lookup::Text(text) => text,
            Lookup::Missing => {
                let message = format!("script `{}` does not exist", found.path);
                findings.push(Diagnostic::error(file.span.clone(), message));
                return;
            }
            Lookup::Unknown => {
                self.complete = false;
                let message = format!("script `{}` is not at hand and was not checked", found.path);
                findings.push(Diagnostic::note(file.span.clone(), message));
                return;
            }
        };
        if depth >= SCRIPT_DEPTH {
            let message = format!(
                "script `{}` calls itself, or calls are nested too deeply",
                found.path
            );
            findings.push(Diagnostic::error(file.span.clone(), message));
            return;
        }
        self.scoped(macros, |walk| {
            walk.script(&found.path, &text, depth + 1, findings, visit);
        });
    }

    fn scoped(&mut self, macros: Option<&Argument>, run: impl FnOnce(&mut Self)) {
        self.macros.push_scope();
        if let Some(macros) = macros {
            self.macros.define(&macros.text);
        }
        run(self);
        self.macros.pop_scope();
    }
}

fn split_error(error: SplitError, span: Span) -> Diagnostic {
    let message = match error {
        SplitError::UnbalancedQuote => "the closing quote is missing, the IOC skips the line",
        SplitError::TrailingBackslash => "the line ends with a backslash, the IOC skips it",
        SplitError::InvalidRedirection => "the name of a file is missing, the IOC skips the line",
    };
    let diagnostic = Diagnostic::error(span, message);
    match error {
        SplitError::UnbalancedQuote => {
            diagnostic.hint("an apostrophe in a comment behind a command counts as a quote")
        }
        SplitError::TrailingBackslash | SplitError::InvalidRedirection => diagnostic,
    }
}

fn is_comment(text: &str) -> bool {
    let text = text.trim_start_matches(is_space);
    text.is_empty() || text.starts_with('#')
}

fn is_space(character: char) -> bool {
    character.is_ascii_whitespace() || character == '\u{b}'
}
