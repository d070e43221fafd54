//! What was passed over, counted by kind and told once of each.

use std::collections::BTreeMap;
use std::fmt;

use crate::server::Effect;

/// Why something was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// What sort of thing it is.
    pub kind: ComplaintKind,
    /// Key of the record; of a PV that cannot be made, its name.
    pub key: String,
    /// Why.
    pub why: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, key, why } = self;
        match kind {
            ComplaintKind::Pv => write!(formatter, "the PV `{key}` cannot be made: {why}"),
            ComplaintKind::Filter | ComplaintKind::Action => write!(formatter, "`{key}`: {why}"),
            _ => write!(formatter, "the record `{key}` is passed over: {why}"),
        }
    }
}

/// What sort of thing was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComplaintKind {
    /// A key that is none.
    Key,
    /// A record that is longer than any client writes.
    TooLong,
    /// A `config:` record that cannot be used.
    Config,
    /// A `state:` record that cannot be used.
    State,
    /// A `command:` record that cannot be used.
    Command,
    /// A command to an item that does not exist, or one that this server does not have.
    Refused,
    /// A record of the server's own topic that cannot be used.
    Own,
    /// A filter that is no formula. Told of each PV.
    Filter,
    /// A PV that cannot be made. Told of each PV.
    Pv,
    /// An automated action that nothing can be done with. Told of each item.
    Action,
}

impl ComplaintKind {
    /// A word for it, for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::TooLong => "too_long",
            Self::Config => "config",
            Self::State => "state",
            Self::Command => "command",
            Self::Refused => "refused",
            Self::Own => "own",
            Self::Filter => "filter",
            Self::Pv => "pv",
            Self::Action => "action",
        }
    }

    /// Whether each one is told: they are part of a configuration that somebody has to correct.
    fn is_told_always(self) -> bool {
        matches!(self, Self::Filter | Self::Pv | Self::Action)
    }
}

/// Counts of complaints.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    counts: BTreeMap<ComplaintKind, u64>,
}

/// So much of a key is told.
const SHOWN: usize = 200;

impl Complaints {
    /// Counts a complaint; what comes back has to be told.
    pub(super) fn complain(
        &mut self,
        kind: ComplaintKind,
        key: &str,
        why: String,
    ) -> Option<Effect> {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        (*count == 1 || kind.is_told_always()).then(|| {
            Effect::Complain(Complaint {
                kind,
                key: key.chars().take(SHOWN).collect(),
                why,
            })
        })
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (ComplaintKind, u64)> {
        self.counts.iter().map(|(kind, count)| (*kind, *count))
    }
}
