//! What the server keeps of a leaf, small: there may be hundreds of thousands.

use crate::config::{Enabled, LeafConfig, Notes};
use crate::leaf::{Behaviour, Leaf};
use crate::server::actions::Actions;
use crate::server::filter::Filter;
use crate::server::request::Shelving;
use crate::server::sources::PvId;
use crate::time::{Moment, Time};

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
    /// When it counts as disconnected unless something is heard before.
    pub(super) connect_by: Option<Moment>,
    rare: Option<Box<Rare>>,
}

/// What few leaves have.
#[derive(Debug, Default)]
struct Rare {
    filter: Option<Filter>,
    /// Who disabled it, until when and why.
    shelving: Option<Shelving>,
    actions: Actions,
    /// When its date comes.
    enable_at: Option<Moment>,
    /// What of it stands in the server's own topic, as a digest.
    kept: u64,
}

impl Watched {
    pub(super) fn new(config: LeafConfig, pv: PvId, now: Time) -> Self {
        Self {
            alarm: Leaf::new(config.behaviour(), now),
            config: Kept::new(config),
            pv,
            is_wanted: true,
            is_told: false,
            connect_by: None,
            rare: None,
        }
    }

    /// Changes what few leaves have, and takes no space for nothing.
    fn change<T>(&mut self, what: impl FnOnce(&mut Rare) -> T) -> T {
        let rare = self.rare.get_or_insert_default();
        let result = what(rare);
        let is_nothing = rare.filter.is_none()
            && rare.shelving.is_none()
            && rare.actions.is_idle()
            && rare.enable_at.is_none()
            && rare.kept == 0;
        if is_nothing {
            self.rare = None;
        }
        result
    }

    pub(super) fn filter(&self) -> Option<&Filter> {
        self.rare.as_ref()?.filter.as_ref()
    }

    pub(super) fn filter_mut(&mut self) -> Option<&mut Filter> {
        self.rare.as_mut()?.filter.as_mut()
    }

    /// Sets the filter and gives the one before.
    pub(super) fn set_filter(&mut self, filter: Option<Filter>) -> Option<Filter> {
        self.change(|rare| std::mem::replace(&mut rare.filter, filter))
    }

    /// Who disabled it, until when and why.
    pub(super) fn shelving(&self) -> Option<&Shelving> {
        self.rare.as_ref()?.shelving.as_ref()
    }

    pub(super) fn set_shelving(&mut self, shelving: Option<Shelving>) {
        self.change(|rare| rare.shelving = shelving);
    }

    /// What its actions are at; nothing while nothing is to be done.
    pub(super) fn actions(&self) -> Option<&Actions> {
        let actions = &self.rare.as_ref()?.actions;
        (!actions.is_idle()).then_some(actions)
    }

    pub(super) fn set_actions(&mut self, actions: Actions) {
        self.change(|rare| rare.actions = actions);
    }

    /// When its date comes.
    pub(super) fn enable_at(&self) -> Option<Time> {
        self.rare.as_ref()?.enable_at.map(Time::from)
    }

    pub(super) fn set_enable_at(&mut self, at: Option<Time>) {
        self.change(|rare| rare.enable_at = at.map(Moment::from));
    }

    /// What of it stands in the server's own topic, as a digest; 0 is nothing.
    pub(super) fn kept(&self) -> u64 {
        self.rare.as_ref().map_or(0, |rare| rare.kept)
    }

    pub(super) fn set_kept(&mut self, kept: u64) {
        self.change(|rare| rare.kept = kept);
    }
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
