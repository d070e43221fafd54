//! Alarm severities and their two orders.

use std::fmt;
use std::str::FromStr;

/// How bad an alarm is, and whether somebody has acknowledged it.
///
/// The order of the variants is the *display* order: the severity of a group is the maximum of its items in it, so
/// that an active minor alarm shows above an acknowledged undefined one. Whether an alarm replaces a latched one is
/// decided by [`Severity::priority`] instead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// No alarm.
    #[default]
    Ok,
    /// Minor, acknowledged.
    MinorAck,
    /// Major, acknowledged.
    MajorAck,
    /// Invalid, acknowledged.
    InvalidAck,
    /// Undefined, acknowledged.
    UndefinedAck,
    /// Minor.
    Minor,
    /// Major.
    Major,
    /// The value cannot be relied on.
    Invalid,
    /// There is no value: disconnected, or the PV does not exist.
    Undefined,
}

impl Severity {
    /// All severities in display order.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::MinorAck,
        Self::MajorAck,
        Self::InvalidAck,
        Self::UndefinedAck,
        Self::Minor,
        Self::Major,
        Self::Invalid,
        Self::Undefined,
    ];

    /// Place in the display order, 0 to 8: what `sevrpv:` actions write.
    pub fn ordinal(self) -> u8 {
        self as u8
    }

    /// Place in the order in which alarms replace each other, 0 to 8: an acknowledged alarm comes right above the
    /// active one of the same kind, so that only something worse replaces it.
    pub fn priority(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Minor => 1,
            Self::MinorAck => 2,
            Self::Major => 3,
            Self::MajorAck => 4,
            Self::Invalid => 5,
            Self::InvalidAck => 6,
            Self::Undefined => 7,
            Self::UndefinedAck => 8,
        }
    }

    /// Whether it wants attention: in alarm and not acknowledged.
    pub fn is_active(self) -> bool {
        self >= Self::Minor
    }

    /// The acknowledged form; OK and acknowledged severities stay as they are.
    #[must_use]
    pub fn acknowledged(self) -> Self {
        match self {
            Self::Minor => Self::MinorAck,
            Self::Major => Self::MajorAck,
            Self::Invalid => Self::InvalidAck,
            Self::Undefined => Self::UndefinedAck,
            other => other,
        }
    }

    /// The active form of an acknowledged severity; others stay as they are.
    #[must_use]
    pub fn unacknowledged(self) -> Self {
        match self {
            Self::MinorAck => Self::Minor,
            Self::MajorAck => Self::Major,
            Self::InvalidAck => Self::Invalid,
            Self::UndefinedAck => Self::Undefined,
            other => other,
        }
    }

    /// The name on the wire, such as `MAJOR_ACK`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::MinorAck => "MINOR_ACK",
            Self::MajorAck => "MAJOR_ACK",
            Self::InvalidAck => "INVALID_ACK",
            Self::UndefinedAck => "UNDEFINED_ACK",
            Self::Minor => "MINOR",
            Self::Major => "MAJOR",
            Self::Invalid => "INVALID",
            Self::Undefined => "UNDEFINED",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A word that is no severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a severity")]
pub struct UnknownSeverity(pub String);

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(name: &str) -> Result<Self, UnknownSeverity> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.name() == name)
            .ok_or_else(|| UnknownSeverity(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for severity in Severity::ALL {
            assert_eq!(severity.name().parse(), Ok(severity));
        }
        assert!("ok".parse::<Severity>().is_err());
    }

    #[test]
    fn the_two_orders() {
        let mut by_priority = Severity::ALL;
        by_priority.sort_by_key(|severity| severity.priority());
        let names: Vec<_> = by_priority.iter().map(|severity| severity.name()).collect();
        assert_eq!(
            names,
            [
                "OK",
                "MINOR",
                "MINOR_ACK",
                "MAJOR",
                "MAJOR_ACK",
                "INVALID",
                "INVALID_ACK",
                "UNDEFINED",
                "UNDEFINED_ACK"
            ]
        );
        for (place, severity) in Severity::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(severity.ordinal()), place);
        }
    }

    #[test]
    fn acknowledging_keeps_the_kind() {
        for severity in Severity::ALL {
            assert!(!severity.acknowledged().is_active());
            assert_eq!(
                severity.acknowledged().unacknowledged(),
                severity.unacknowledged()
            );
            assert!(severity.acknowledged().priority() >= severity.priority());
        }
    }
}
