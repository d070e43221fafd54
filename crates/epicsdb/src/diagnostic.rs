//! What a check has to say about a file: how bad, where, what was expected, what to do.
//!
//! Positions are those of the file on disk, before macro expansion. This module prints nothing:
//! the caller renders a diagnostic with the source line beside it.

use std::fmt;
use std::sync::Arc;

/// How bad a finding is. The order is that of importance: `Error` is the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The IOC refuses the line, loads something other than what is written, or does not start.
    Error,
    /// The IOC prints a warning or carries on silently, and the author probably meant something
    /// else.
    Warning,
    /// What could not be looked at, or is worth knowing; nothing to repair.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// A stretch of one line of one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The name under which the file was asked for.
    pub file: Arc<str>,
    /// Line, counted from 1.
    pub line: u32,
    /// Column, counted from 1 in characters (not bytes).
    pub column: u32,
    /// Length in characters; 0 marks a place between two characters, such as the end of a file.
    pub length: u32,
}

impl Span {
    /// The whole file: line 1, column 1, no length.
    pub fn file(file: impl Into<Arc<str>>) -> Self {
        Self {
            file: file.into(),
            line: 1,
            column: 1,
            length: 0,
        }
    }

    /// The bytes `start..end` of `text`, which is line `line` of `file`.
    ///
    /// Offsets past the end, or inside a character, are moved back to the nearest boundary.
    pub fn in_line(file: &Arc<str>, line: u32, text: &str, start: usize, end: usize) -> Self {
        let start = floor_char_boundary(text, start);
        let end = floor_char_boundary(text, end.max(start));
        let count = |range: &str| u32::try_from(range.chars().count()).unwrap_or(u32::MAX);
        Self {
            file: Arc::clone(file),
            line,
            column: count(&text[..start]).saturating_add(1),
            length: count(&text[start..end]),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in lower case, without a full stop, names in backticks.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What would have been accepted at this place.
    pub expected: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A finding that stops the IOC from doing what is written.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, span, message)
    }

    /// A finding that the IOC lives with.
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, span, message)
    }

    /// Something to know.
    pub fn note(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, span, message)
    }

    fn new(severity: Severity, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity,
            message: message.into(),
            span,
            expected: None,
            hint: None,
        }
    }

    /// Adds what would have been accepted.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.span, self.severity, self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "; expected {expected}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

/// Keeps findings up to a limit, so that a hostile file cannot fill the memory with complaints.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Diagnostic>,
    dropped: usize,
}

impl Findings {
    const LIMIT: usize = 1000;

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < Self::LIMIT {
            self.list.push(diagnostic);
        } else {
            self.dropped += 1;
        }
    }

    /// Number of findings so far.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Puts the findings from `start` on in the order of their places: by file in the order in
    /// which the files first occur, then by line and column.
    pub(crate) fn sort_from(&mut self, start: usize) {
        let Some(new) = self.list.get_mut(start..) else {
            return;
        };
        let mut files: Vec<Arc<str>> = Vec::new();
        for diagnostic in new.iter() {
            if !files.contains(&diagnostic.span.file) {
                files.push(Arc::clone(&diagnostic.span.file));
            }
        }
        new.sort_by_key(|diagnostic| {
            let span = &diagnostic.span;
            (
                files.iter().position(|file| *file == span.file),
                span.line,
                span.column,
            )
        });
    }

    pub(crate) fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in diagnostics {
            self.push(diagnostic);
        }
    }

    /// The findings without repetitions, in the order in which they were made.
    pub(crate) fn into_vec(self) -> Vec<Diagnostic> {
        let mut seen = std::collections::HashSet::new();
        let mut list = Vec::with_capacity(self.list.len());
        for diagnostic in self.list {
            if seen.insert((diagnostic.span.clone(), diagnostic.message.clone())) {
                list.push(diagnostic);
            }
        }
        if self.dropped > 0
            && let Some(last) = list.last()
        {
            let message = format!("{} more findings are not shown", self.dropped);
            list.push(Diagnostic::note(last.span.clone(), message));
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let file: Arc<str> = "a.db".into();
        let span = Span::in_line(&file, 3, "é $(P)", 3, 7);
        assert_eq!(span.to_string(), "a.db:3:3");
        assert_eq!(span.length, 4);
        assert_eq!(
            Span::in_line(&file, 1, "é", 1, 9),
            Span {
                column: 1,
                length: 1,
                ..Span::file("a.db")
            }
        );
    }

    #[test]
    fn the_list_is_bounded_and_says_so() {
        let mut findings = Findings::default();
        for line in 0..1200 {
            findings.push(Diagnostic::error(
                Span {
                    line,
                    ..Span::file("x")
                },
                "bad",
            ));
        }
        let list = findings.into_vec();
        assert_eq!(list.len(), 1001);
        assert_eq!(list[1000].message, "200 more findings are not shown");
    }
}
