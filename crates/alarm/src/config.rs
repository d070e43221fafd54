//! Configuration of the items of an alarm tree.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::leaf::Behaviour;
use crate::time::Time;

/// A title with details: guidance, a display, a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TitleDetail {
    /// What it is called.
    pub title: String,
    /// What it says or opens.
    pub details: String,
}

/// An automated action.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Action {
    /// What it is called.
    pub title: String,
    /// What is done, such as `mailto:a@b`.
    pub details: String,
    /// Seconds that the alarm must have lasted.
    pub delay: u32,
}

/// What PVs and groups have alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// What to do.
    pub guidance: Vec<TitleDetail>,
    /// Screens to open.
    pub displays: Vec<TitleDetail>,
    /// Programs to start.
    pub commands: Vec<TitleDetail>,
    /// What the server does by itself.
    pub actions: Vec<Action>,
}

/// Whether a PV is watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Enabled {
    /// It is.
    #[default]
    Yes,
    /// It is not.
    No,
    /// Not until that date, which is the local time of the server.
    Until(DateTime),
}

impl Enabled {
    /// The moment from which it is watched again; `None` unless it is disabled until a date.
    ///
    /// A date that a change of the clock leaves out or has twice means the later, or the first.
    pub fn until(self, zone: &TimeZone) -> Option<Time> {
        let Self::Until(date) = self else { return None };
        let timestamp = zone.to_ambiguous_timestamp(date).compatible().ok()?;
        let nano = u32::try_from(timestamp.subsec_nanosecond()).unwrap_or(0);
        Some(Time::new(timestamp.as_second(), nano))
    }

    /// Whether it is watched at that moment.
    pub fn at(self, now: Time, zone: &TimeZone) -> bool {
        match self {
            Self::Yes => true,
            Self::No => false,
            Self::Until(_) => self.until(zone).is_none_or(|until| until <= now),
        }
    }
}

/// Configuration of a PV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafConfig {
    /// What it is; also what is announced.
    pub description: String,
    /// Whether it is watched.
    pub enabled: Enabled,
    /// Whether an alarm stays until it is acknowledged.
    pub latching: bool,
    /// Whether an alarm is announced.
    pub annunciating: bool,
    /// Seconds that an alarm must last; 0 for none.
    pub delay: u32,
    /// How many alarms within the delay count at once; 0 does not count.
    pub count: u32,
    /// Formula that enables the PV while it is above 0; empty for none.
    pub filter: String,
    /// Guidance, displays, commands, actions.
    pub notes: Notes,
}

impl LeafConfig {
    /// The configuration that a PV has of which only the description is given.
    pub fn new(description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            enabled: Enabled::Yes,
            latching: true,
            annunciating: true,
            delay: 0,
            count: 0,
            filter: String::new(),
            notes: Notes::default(),
        }
    }

    /// What the alarm logic has to know.
    pub fn behaviour(&self) -> Behaviour {
        Behaviour::new(self.latching, self.annunciating, self.delay, self.count)
    }
}
