//! Short texts that are the same for thousands of PVs.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A message such as `HIHI_ALARM`. A copy costs nothing; those that EPICS and the server use take no memory.
#[derive(Clone)]
pub enum Text {
    /// One of the known ones.
    Fixed(&'static &'static str),
    /// Any other.
    Shared(Arc<String>),
}

/// What EPICS says of a record's alarm, as JCA names it and by its number.
static STATUSES: [&str; 22] = [
    "NO_ALARM",
    "READ_ALARM",
    "WRITE_ALARM",
    "HIHI_ALARM",
    "HIGH_ALARM",
    "LOLO_ALARM",
    "LOW_ALARM",
    "STATE_ALARM",
    "COS_ALARM",
    "COMM_ALARM",
    "TIMEOUT_ALARM",
    "HW_LIMIT_ALARM",
    "CALC_ALARM",
    "SCAN_ALARM",
    "LINK_ALARM",
    "SOFT_ALARM",
    "BAD_SUB_ALARM",
    "UDF_ALARM",
    "DISABLE_ALARM",
    "SIMM_ALARM",
    "READ_ACCESS_ALARM",
    "WRITE_ACCESS_ALARM",
];

/// What the server says itself.
static OURS: [&str; 6] = ["", "None", "OK", "Disabled", "Disconnected", "No PV"];

impl Text {
    /// The status of a record's alarm by its number; nothing for a number that EPICS does not have.
    pub fn status(number: usize) -> Option<Self> {
        STATUSES.get(number).map(Self::Fixed)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Fixed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        match STATUSES.iter().chain(&OURS).find(|known| **known == text) {
            Some(known) => Self::Fixed(known),
            None => Self::Shared(Arc::new(text.to_owned())),
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::Fixed(&"")
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, formatter)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_and_other_texts_are_alike() {
        assert!(matches!(Text::from("HIHI_ALARM"), Text::Fixed(_)));
        assert!(matches!(Text::from("Fault 7".to_owned()), Text::Shared(_)));
        assert_eq!(Text::status(3), Some(Text::from("HIHI_ALARM")));
        assert_eq!(Text::status(21), Some(Text::from("WRITE_ACCESS_ALARM")));
        assert_eq!(Text::status(22), None);
        assert_eq!(Text::from("Fault 7"), "Fault 7");
        assert_ne!(Text::from("OK"), Text::from("ok"));
        assert_eq!(Text::Fixed(&"x"), Text::Shared(Arc::new("x".to_owned())));
        assert_eq!(
            format!("{:>4}|{:?}", Text::from("OK"), Text::default()),
            "  OK|\"\""
        );
    }
}
