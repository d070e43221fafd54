//! Names of indices: `accelerator_alarms_state_2026-11-01`. Pure.

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use crate::phoebus::Index;

/// How much time an index covers; its name has the first day of it (UTC).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rotation {
    /// All of it, and no day in the name.
    Never,
    /// A year.
    Year,
    /// A month.
    #[default]
    Month,
    /// A week that begins with Sunday.
    Week,
    /// A day.
    Day,
}

impl Rotation {
    /// The one of this name: `never`, `year`, `month`, `week`, `day`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "never" => Some(Self::Never),
            "year" => Some(Self::Year),
            "month" => Some(Self::Month),
            "week" => Some(Self::Week),
            "day" => Some(Self::Day),
            _ => None,
        }
    }

    /// Name of the index for something of a time.
    pub(super) fn name(self, configuration: &str, kind: Index, time: Timestamp) -> String {
        let index = format!("{}_alarms_{}", configuration.to_lowercase(), kind.word());
        match self.begin(time.to_zoned(TimeZone::UTC).date()) {
            Some(day) => format!("{index}_{day}"),
            None => index,
        }
    }

    fn begin(self, day: Date) -> Option<Date> {
        Some(match self {
            Self::Never => return None,
            Self::Year => day.first_of_year(),
            Self::Month => day.first_of_month(),
            Self::Week if day.weekday() == Weekday::Sunday => day,
            // there is one before each day that an alarm can have
            Self::Week => day.nth_weekday(-1, Weekday::Sunday).unwrap_or(day),
            Self::Day => day,
        })
    }
}

/// Whether the name can be that of an index (Elasticsearch, "Create index API"): one that cannot is refused with its
/// document, and must not become part of a request's path.
pub(super) fn is_usable(index: &str) -> bool {
    !index.starts_with(['-', '_', '+', '.'])
        && !index.contains(|character: char| {
            r#"\/*?"<>|,#:%"#.contains(character) || character.is_whitespace()
        })
        && index.len() <= 255
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn names_by_time() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let rows = [
            ("never", "2026-11-22T05:00:00Z", "accelerator_alarms_state"),
            (
                "year",
                "2026-11-22T05:00:00Z",
                "accelerator_alarms_state_2026-01-01",
            ),
            // as recorded of the real one
            (
                "month",
                "2026-11-22T05:00:00Z",
                "accelerator_alarms_state_2026-11-01",
            ),
            // a Sunday, the Saturday before, and the Monday after
            (
                "week",
                "2026-11-22T05:00:00Z",
                "accelerator_alarms_state_2026-11-22",
            ),
            (
                "week",
                "2026-11-21T23:59:59.999Z",
                "accelerator_alarms_state_2026-11-15",
            ),
            (
                "week",
                "2026-11-23T00:00:00Z",
                "accelerator_alarms_state_2026-11-22",
            ),
            (
                "day",
                "2026-12-31T23:59:59.999Z",
                "accelerator_alarms_state_2026-12-31",
            ),
            (
                "month",
                "2027-01-01T00:00:00+01:00",
                "accelerator_alarms_state_2026-12-01",
            ),
        ];
        for (rotation, text, expected) in rows {
            let rotation = Rotation::from_name(rotation).unwrap();
            assert_eq!(
                rotation.name("Accelerator", Index::State, time(text)),
                expected
            );
        }
        let name = Rotation::Never.name("X", Index::Command, Timestamp::UNIX_EPOCH);
        assert_eq!(name, "x_alarms_cmd");
        assert_eq!(Rotation::from_name("M"), None);
    }

    #[test]
    fn names_that_can_be() {
        for (name, expected) in [
            ("accelerator_alarms_state_2026-11-01", true),
            ("käse_alarms_cmd", true),
            ("a b_alarms_cmd", false),
            ("../_alarms_cmd", false),
            ("*_alarms_cmd", false),
            ("-x_alarms_cmd", false),
            ("a%2fb_alarms_cmd", false),
        ] {
            assert_eq!(is_usable(name), expected, "{name}");
        }
    }
}
