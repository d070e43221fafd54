//! What the server keeps of a leaf, small: there may be hundreds of thousands.

use crate::config::{Enabled, LeafConfig, Notes};
use crate::leaf::{Behaviour, Leaf};
use crate::server::actions::Actions;
use crate::server::filter::Filter;
use crate::server::request::Shelving;
use crate::server::sources::PvId;
use crate::time::Moment;

/// A leaf of the tree.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) config: Kept,
    pub(super) alarm: Leaf,
    pub(super) pv: PvId,
    /// Whether its configuration enables it: only then its PV is watched.
    pub(super) is_wanted: bool,
    /// Whether it has heard of its PV since it is watched.
    pub(super) is_told: bool,
    pub(super) filter: Option<Box<Filter>>,
    /// Who disabled it, until when and why.
    pub(super) shelving: Option<Box<Shelving>>,
    pub(super) actions: Option<Box<Actions>>,
    /// What of it stands in the server's own topic, as a digest.
    pub(super) kept: u64,
    /// When it counts as disconnected unless something is heard before.
    pub(super) connect_by: Option<Moment>,
    /// When its date comes.
    pub(super) enable_at: Option<Moment>,
}

/// A group of the tree.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) notes: Notes,
    pub(super) actions: Option<Box<Actions>>,
    /// What of it stands in the server's own topic, as a digest.
    pub(super) kept: u64,
}

/// A [`LeafConfig`] in little space: most PVs have no filter and no guidance.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) description: Box<str>,
    pub(super) filter: Option<Box<str>>,
    pub(super) notes: Option<Box<Notes>>,
    pub(super) enabled: Enabled,
    latching: bool,
    annunciating: bool,
    delay: u32,
    count: u32,
}

impl Kept {
    pub(super) fn new(config: LeafConfig) -> Self {
        Self {
            description: config.description.into(),
            filter: (!config.filter.is_empty()).then(|| config.filter.into()),
            notes: (config.notes != Notes::default()).then(|| Box::new(config.notes)),
            enabled: config.enabled,
            latching: config.latching,
            annunciating: config.annunciating,
            delay: config.delay,
            count: config.count,
        }
    }

    /// The whole configuration again.
    pub(super) fn full(&self) -> LeafConfig {
        LeafConfig {
            description: self.description.to_string(),
            enabled: self.enabled,
            latching: self.latching,
            annunciating: self.annunciating,
            delay: self.delay,
            count: self.count,
            filter: self.filter.as_deref().unwrap_or_default().to_owned(),
            notes: self.notes.as_deref().cloned().unwrap_or_default(),
        }
    }

    pub(super) fn behaviour(&self) -> Behaviour {
        Behaviour::new(self.latching, self.annunciating, self.delay, self.count)
    }
}
