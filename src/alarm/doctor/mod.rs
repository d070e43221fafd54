//! What may be wrong with an alarm system: each thing that was looked at, with a verdict and what to do.
//!
//! Pure: [`topics`] judges what brokers said, [`pvs`] what IOCs said. Asking them is for the command.
//!
//! What it deliberately does not do: change anything, or write to a topic to see whether that is allowed.

pub mod pvs;
#[cfg(test)]
mod tests;
pub mod topics;

use serde::Serialize;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It was not looked at, or cannot be seen from here.
    Unknown,
    /// It works, and will make trouble.
    Warning,
    /// It does not work.
    Bad,
}

impl Verdict {
    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Unknown => "not checked",
            Self::Warning => "warning",
            Self::Bad => "BAD",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Part of the system: `bus`, `topic`, `history`, `server`, `channel access`, `clock`.
    pub part: &'static str,
    /// What of it.
    pub what: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

impl Check {
    /// A thing and how it is.
    pub fn new(
        part: &'static str,
        what: impl Into<String>,
        verdict: Verdict,
        seen: impl Into<String>,
    ) -> Self {
        Self {
            part,
            what: what.into(),
            verdict,
            seen: seen.into(),
            hints: Vec::new(),
        }
    }

    /// With what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}
