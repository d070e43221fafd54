//! Names of process variables, checked once where they enter.
//!
//! What it deliberately does not do: know record names. A PV name may carry a field (`.VAL`), a long-string modifier
//! (`$`) and a channel filter in JSON, so almost every character is allowed.

use std::fmt;
use std::str::FromStr;

use crate::proto::{HEADER_LENGTH, LIBCA_DATAGRAM};

/// The name of a process variable: 1 to [`PvName::MAXIMUM_LENGTH`] bytes, no control characters, no blanks at either end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PvName(Box<str>);

impl PvName {
    /// Longest name in bytes: together with the version message, the search header and the closing zero it must fit into
    /// one datagram of `libca`, so that no name works here and not there.
    pub const MAXIMUM_LENGTH: usize = LIBCA_DATAGRAM - 2 * HEADER_LENGTH - 1;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PvName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for PvName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        if text.len() > Self::MAXIMUM_LENGTH {
            return Err(InvalidName::TooLong { length: text.len() });
        }
        if text.trim() != text || text.chars().any(char::is_control) {
            return Err(InvalidName::Character {
                name: text.escape_debug().to_string(),
            });
        }
        Ok(Self(text.into()))
    }
}

/// Why a text is not a PV name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// No characters at all.
    #[error("a PV name cannot be empty")]
    Empty,
    /// Does not fit into a search datagram.
    #[error(
        "a PV name of {length} bytes is too long; at most {} fit into a search",
        PvName::MAXIMUM_LENGTH
    )]
    TooLong {
        /// Bytes in the name.
        length: usize,
    },
    /// A control character (zero, tab, line end) or a blank at an end.
    #[error("`{name}` is not a PV name: control characters and blanks at the ends are not allowed")]
    Character {
        /// The text, with control characters escaped.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in [
            "T01:UPTIME",
            "a",
            "T01:M1.RBV",
            "T01:WF.{\"arr\":{\"s\":1, \"e\":3}}",
            "é",
        ] {
            assert_eq!(
                good.parse::<PvName>().map(|name| name.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in ["", " a", "a ", "a\0b", "a\n", "\t"] {
            assert!(bad.parse::<PvName>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(PvName::MAXIMUM_LENGTH).parse::<PvName>().is_ok());
        assert_eq!(
            "x".repeat(PvName::MAXIMUM_LENGTH + 1).parse::<PvName>(),
            Err(InvalidName::TooLong {
                length: PvName::MAXIMUM_LENGTH + 1
            })
        );
    }
}
