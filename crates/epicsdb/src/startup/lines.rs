//! Lines of a script as the IOC shell reads them: a backslash at the end joins a line with the
//! next one (a comment too), and what follows the last line end is lost (`epicsReadline` of base
//! 7.0.10).

use std::sync::Arc;

use super::command::Argument;
use crate::Span;
use crate::macros::Expansion;

/// A line as it is run, and where it came from.
pub(super) struct Place {
    /// The text, joined.
    pub(super) text: String,
    /// A line end follows; without one the IOC does not run the line.
    pub(super) ended: bool,
    origin: Origin,
}

enum Origin {
    /// Lines of a file: offset in the joined text, number and text of each.
    Lines(Arc<str>, Vec<(usize, u32, String)>),
    /// An argument that is run as a line: it was unquoted, and has no columns of its own.
    Argument(Span),
}

impl Place {
    pub(super) fn of_argument(argument: &Argument) -> Self {
        Self {
            text: argument.text.clone(),
            ended: true,
            origin: Origin::Argument(argument.span.clone()),
        }
    }

    /// The place of bytes `start..end`, as far as they stand on one line.
    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        match &self.origin {
            Origin::Argument(span) => span.clone(),
            Origin::Lines(file, lines) => {
                let line = lines.iter().rev().find(|(offset, ..)| *offset <= start);
                match line {
                    Some((offset, number, text)) => Span::in_line(
                        file,
                        *number,
                        text,
                        start - offset,
                        end.saturating_sub(*offset),
                    ),
                    None => Span::file(Arc::clone(file)),
                }
            }
        }
    }

    /// The place of bytes `start..end` of the expanded text.
    pub(super) fn expanded_span(&self, expansion: &Expansion, start: usize, end: usize) -> Span {
        let start = expansion.source_offset(start);
        let at_end = end >= expansion.text.len();
        self.span(
            start,
            if at_end {
                self.text.len()
            } else {
                expansion.source_offset(end)
            },
        )
    }
}

pub(super) struct LogicalLines<'t> {
    file: Arc<str>,
    rest: &'t str,
    number: u32,
}

impl<'t> LogicalLines<'t> {
    pub(super) fn new(file: &Arc<str>, text: &'t str) -> Self {
        Self {
            file: Arc::clone(file),
            rest: text,
            number: 0,
        }
    }
}

impl Iterator for LogicalLines<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        if self.rest.is_empty() {
            return None;
        }
        let mut text = String::new();
        let mut lines = Vec::new();
        loop {
            let (line, rest, ended) = match self.rest.split_once('\n') {
                Some((line, rest)) => (line, rest, true),
                None => (self.rest, "", false),
            };
            self.rest = rest;
            self.number = self.number.saturating_add(1);
            let joined = ended.then(|| line.strip_suffix('\\')).flatten();
            lines.push((text.len(), self.number, line.to_owned()));
            text.push_str(joined.unwrap_or(line));
            // A backslash before the end of the file loses the line.
            if joined.is_none() || rest.is_empty() {
                let ended = ended && joined.is_none();
                return Some(Place {
                    text,
                    ended,
                    origin: Origin::Lines(Arc::clone(&self.file), lines),
                });
            }
        }
    }
}
