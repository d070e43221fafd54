//! What is wrong, where, and what to do about it: the one shape in which every part of `ioc` reports a
//! problem with input.
//!
//! A diagnostic carries the offending line itself, so that it can be shown long after the file was read.
//! This module does not print; [`crate::ui::snippet`] draws a diagnostic for the terminal.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing has to change.
    Note,
    /// Works, but is probably not what was meant.
    Warning,
    /// Does not work.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A place in a text file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file as the user would name it.
    pub path: PathBuf,
    /// Line, from 1; 0 names the file as a whole.
    pub line: usize,
    /// Column in characters, from 1; 0 names the line as a whole.
    pub column: usize,
    /// How many characters are meant, at least 1.
    pub length: usize,
    /// The line itself without its line end, when it is known.
    pub text: Option<String>,
}

impl Place {
    /// The file as a whole.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            line: 0,
            column: 0,
            length: 1,
            text: None,
        }
    }

    /// A span on one line of `source`; `line` and `column` count from 1.
    pub fn in_text(
        path: impl Into<PathBuf>,
        source: &str,
        line: usize,
        column: usize,
        length: usize,
    ) -> Self {
        let text = line
            .checked_sub(1)
            .and_then(|index| source.lines().nth(index))
            .map(str::to_owned);
        Self {
            path: path.into(),
            line,
            column,
            length: length.max(1),
            text,
        }
    }

    /// A span given as a byte range of `source`, as parsers report it.
    pub fn in_range(path: impl Into<PathBuf>, source: &str, range: std::ops::Range<usize>) -> Self {
        let start = floor_boundary(source, range.start);
        let end = floor_boundary(source, range.end.max(start));
        let before = &source[..start];
        let line = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |index| index + 1);
        let column = source[line_start..start].chars().count() + 1;
        let meant = &source[start..end];
        let length = meant.lines().next().unwrap_or("").chars().count();
        Self::in_text(path, source, line, column, length)
    }
}

/// The largest character boundary at or before `index`.
fn floor_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.path.display())?;
        if self.line > 0 {
            write!(formatter, ":{}", self.line)?;
            if self.column > 0 {
                write!(formatter, ":{}", self.column)?;
            }
        }
        Ok(())
    }
}

/// One finding about input: what is wrong, where, what was expected, what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong; lower case, no full stop, names in backticks.
    pub message: String,
    /// Where, if it has a place.
    pub place: Option<Place>,
    /// What was expected instead; shown under the marked characters.
    pub expected: Option<String>,
    /// One thing to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message)
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message)
    }

    /// A note.
    pub fn note(message: impl Into<String>) -> Self {
        Self::new(Severity::Note, message)
    }

    /// A finding of the given severity without a place.
    pub fn new(severity: Severity, message: impl Into<String>) -> Self {
        Self {
            severity,
            message: message.into(),
            place: None,
            expected: None,
            hint: None,
        }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Says which file, without a line.
    #[must_use]
    pub fn in_file(self, path: &Path) -> Self {
        self.at(Place::file(path))
    }

    /// Says what was expected.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The candidate nearest to `word` by edit distance, if it is near enough to be meant.
///
/// Near enough is a distance of at most a third of the longer word, at least 1.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            let longer = word.chars().count().max(candidate.chars().count());
            *distance <= (longer / 3).max(1)
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance with transposition of neighbours counted as one edit.
fn edit_distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(256).collect();
    let right: Vec<char> = right.chars().take(256).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, left_char) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, right_char) in right.iter().enumerate() {
            let substitution = last[column] + usize::from(left_char != right_char);
            let mut best = substitution
                .min(last[column + 1] + 1)
                .min(current[column] + 1);
            let swapped = row > 0
                && column > 0
                && *left_char == right[column - 1]
                && left[row - 1] == *right_char;
            if swapped {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_word_is_found_only_when_near() {
        let fields = ["databases", "libraries", "dbds"];
        assert_eq!(nearest("databse", fields), Some("databases"));
        assert_eq!(nearest("libarries", fields), Some("libraries"));
        assert_eq!(nearest("colour", fields), None);
    }

    #[test]
    fn a_byte_range_becomes_line_and_column_in_characters() {
        let source = "a: 1\nµ: grün # x\n";
        let start = source.find("grün").unwrap();
        let place = Place::in_range("f.yaml", source, start..start + "grün".len());
        assert_eq!((place.line, place.column, place.length), (2, 4, 4));
        assert_eq!(place.text.as_deref(), Some("µ: grün # x"));
        assert_eq!(place.to_string(), "f.yaml:2:4");
    }
}
