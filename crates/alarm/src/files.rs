//! Alarm trees as files: Phoebus' XML and the tables of SLAC, read into one model with the place of everything. Our own
//! format is read elsewhere, into the same model: it needs the YAML library.
//!
//! Reading never stops at the first mistake: all of them are [`Finding`]s. This module opens no file: whoever reads
//! passes a [`Loader`] for what is included.

pub mod check;
pub mod loss;
pub mod table;
pub mod tree;
pub mod xml;

use std::ops::Range;
use std::path::{Path, PathBuf};

pub use check::Compatibility;
pub use loss::{Loss, losses};
pub use tree::{Branch, Entry, Item, Origin, Places, TreeFile};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Works, but probably not as it was meant.
    Warning,
    /// Cannot be used.
    Error,
}

/// Something about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// Where.
    pub origin: Origin,
    /// What is wrong.
    pub message: String,
    /// What was expected there.
    pub expected: Option<String>,
    /// What would help.
    pub hint: Option<String>,
}

impl Finding {
    /// Something that cannot be used.
    pub fn error(origin: Origin, message: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            origin,
            message: message.into(),
            expected: None,
            hint: None,
        }
    }

    /// Something that is probably not meant.
    pub fn warning(origin: Origin, message: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            ..Self::error(origin, message)
        }
    }

    /// With what was expected.
    #[must_use]
    pub fn expected(mut self, what: impl Into<String>) -> Self {
        self.expected = Some(what.into());
        self
    }

    /// With what would help.
    #[must_use]
    pub fn hint(mut self, what: impl Into<String>) -> Self {
        self.hint = Some(what.into());
        self
    }
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As it was named.
    pub path: PathBuf,
    /// Its text, decoded.
    pub text: String,
}

/// Gives the bytes of a file, or says why not.
pub type Loader<'a> = dyn FnMut(&Path) -> Result<Vec<u8>, String> + 'a;

/// What came of reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The tree; `None` if not even its root could be read.
    pub tree: Option<TreeFile>,
    /// The files, the first being the one that was asked for; origins count them.
    pub sources: Vec<Source>,
    /// What is wrong, in the order of the files.
    pub findings: Vec<Finding>,
}

impl Reading {
    /// Whether the tree can be used.
    pub fn is_usable(&self) -> bool {
        self.tree.is_some()
            && self
                .findings
                .iter()
                .all(|finding| finding.level < Level::Error)
    }
}

/// One letter more, less or different, or two exchanged; or the one begins with the other.
pub(crate) fn is_near(one: &str, other: &str) -> bool {
    let lower = |word: &str| word.to_lowercase().chars().collect::<Vec<char>>();
    let (one, other) = (lower(one), lower(other));
    let shorter = one.len().min(other.len());
    if shorter > 2 && one[..shorter] == other[..shorter] {
        return true;
    }
    if one.len().abs_diff(other.len()) > 1 {
        return false;
    }
    let same_start = one
        .iter()
        .zip(&other)
        .take_while(|(left, right)| left == right)
        .count();
    let same_end = one
        .iter()
        .rev()
        .zip(other.iter().rev())
        .take_while(|(left, right)| left == right)
        .count();
    let longer = one.len().max(other.len());
    let is_exchanged = one.len() == other.len()
        && same_start + same_end + 2 == longer
        && one.get(same_start) == other.get(same_start + 1)
        && one.get(same_start + 1) == other.get(same_start);
    same_start + same_end + 1 >= longer || is_exchanged
}

/// A place in a file: which of the sources, and which bytes of its text.
pub fn origin(file: usize, span: Range<usize>) -> Origin {
    Origin { file, span }
}
