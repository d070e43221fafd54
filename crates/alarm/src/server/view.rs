//! What others see of the server: items with everything that is known of them, counts, and what has changed.

use std::collections::BTreeMap;

use crate::config::{LeafConfig, Notes};
use crate::leaf::Pending;
use crate::path::AlarmPath;
use crate::server::request::{Refusal, Shelving};
use crate::server::sources::{Last, Source};
use crate::server::watched::Watched;
use crate::server::{ComplaintKind, Server};
use crate::severity::Severity;
use crate::state::{ClientState, State};
use crate::time::Time;
use crate::tree::{Content, Counts, Item, ItemId, Mark, Marks};

/// How a PV is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Connection {
    /// It is disabled by its configuration: nobody asks.
    Unwatched,
    /// Nothing has been heard of it since it is watched.
    Never,
    /// It is.
    Connected,
    /// It was, and is not any more.
    Disconnected,
    /// It cannot be made.
    Impossible,
}

impl Connection {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unwatched => "unwatched",
            Self::Never => "never",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Impossible => "impossible",
        }
    }
}

/// An item.
#[derive(Debug)]
pub struct ItemView<'a> {
    /// Where it is.
    pub path: &'a AlarmPath,
    /// Severity of its alarm.
    pub severity: Severity,
    /// What it is.
    pub kind: KindView<'a>,
}

/// What an item is.
#[derive(Debug)]
pub enum KindView<'a> {
    /// A PV.
    Leaf(Box<LeafView<'a>>),
    /// A group.
    Group(GroupView<'a>),
}

/// A PV.
#[derive(Debug)]
pub struct LeafView<'a> {
    /// The name under which it is watched: without `ca://`; of a formula with `=`.
    pub pv: &'a str,
    /// The alarm.
    pub alarm: &'a State,
    /// The PV itself.
    pub current: &'a State,
    /// How it is connected.
    pub connection: Connection,
    /// Why it cannot be made, if it cannot.
    pub impossible: Option<&'a str>,
    /// Whether it is disabled now.
    pub is_disabled: bool,
    /// Whether it is its filter that disables it.
    pub is_filtered: bool,
    /// When it is enabled again by itself.
    pub enabled_at: Option<Time>,
    /// Who disabled it, until when and why, if that was asked of this server.
    pub shelving: Option<&'a Shelving>,
    /// The alarm that waits for its delay.
    pub pending: Option<&'a Pending>,
    watched: &'a Watched,
}

impl LeafView<'_> {
    /// Its whole configuration.
    pub fn config(&self) -> LeafConfig {
        self.watched.config.full()
    }

    /// What it is called.
    pub fn description(&self) -> &str {
        &self.watched.config.description
    }

    /// What clients see.
    pub fn state(&self) -> ClientState {
        self.watched.alarm.state()
    }
}

/// A group.
#[derive(Debug)]
pub struct GroupView<'a> {
    /// Guidance and so on.
    pub notes: &'a Notes,
    /// How many items are right below it.
    pub children: usize,
    /// The leaves at any depth below it.
    pub counts: Counts,
}

/// Which items are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Which {
    /// All, groups as well.
    #[default]
    All,
    /// Leaves with an active alarm.
    Active,
    /// Leaves with an acknowledged alarm.
    Acknowledged,
    /// Leaves with either.
    InAlarm,
    /// Leaves that are watched and not connected, or cannot be made.
    Disconnected,
    /// Leaves that are disabled, for whatever reason.
    Disabled,
    /// Leaves that are shelved.
    Shelved,
    /// Leaves whose alarm waits for its delay.
    Pending,
}

/// Where items are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Wanted {
    /// In the whole tree.
    #[default]
    Everywhere,
    /// At and below a path, or the leaves of a PV.
    Named(String),
}

/// Items that are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Where.
    pub place: Wanted,
    /// Which.
    pub which: Which,
    /// Only what is right below a group that is named, not deeper.
    pub is_flat: bool,
}

/// What has changed since it was last asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Items that are new or of which anything has changed.
    pub items: Vec<AlarmPath>,
    /// Items that were removed. One may also be among the others, if it came again.
    pub removed: Vec<AlarmPath>,
    /// Maintenance mode or notifications.
    pub mode: bool,
    /// So much was removed that the lists are not whole: look at everything.
    pub everything: bool,
}

impl Server {
    /// One item.
    pub fn item(&self, path: &AlarmPath) -> Option<ItemView<'_>> {
        self.view(self.tree.find(path)?)
    }

    /// The items that are wanted, in the order of the tree: each group before what is in it.
    ///
    /// # Errors
    ///
    /// The place does not exist.
    pub fn items<'a>(
        &'a self,
        selection: &Selection,
    ) -> Result<impl Iterator<Item = ItemView<'a>> + use<'a>, Refusal> {
        let roots = match &selection.place {
            Wanted::Everywhere => vec![self.tree.root()],
            Wanted::Named(name) => self.find_items(name),
        };
        if let (Wanted::Named(name), true) = (&selection.place, roots.is_empty()) {
            return Err(Refusal::Unknown {
                wanted: name.clone(),
                nearest: self.nearest(name),
            });
        }
        let found: Vec<ItemId> = if selection.is_flat {
            roots
                .iter()
                .flat_map(|id| match self.tree.item(*id).map(|item| &item.content) {
                    Some(Content::Group { children, .. }) => children.clone(),
                    _ => vec![*id],
                })
                .collect()
        } else {
            roots.iter().flat_map(|id| self.tree.below(*id)).collect()
        };
        let which = selection.which;
        Ok(found
            .into_iter()
            .filter(move |id| self.tree.item(*id).is_some_and(|item| which.has(item)))
            .filter_map(|id| self.view(id)))
    }

    /// How many leaves at and below an item have which severity and which mark. Costs nothing.
    pub fn counts(&self, path: &AlarmPath) -> Option<Counts> {
        self.tree.counts(self.tree.find(path)?)
    }

    /// The groups and leaves right below the root with their counts: the areas of metrics.
    pub fn areas(&self) -> Vec<(&AlarmPath, Counts)> {
        let Some(Content::Group { children, .. }) =
            self.tree.item(self.tree.root()).map(|item| &item.content)
        else {
            return Vec::new();
        };
        children
            .iter()
            .filter_map(|id| Some((&self.tree.item(*id)?.path, self.tree.counts(*id)?)))
            .collect()
    }

    /// How many channels are watched, and how many of them are connected.
    pub fn channels(&self) -> (usize, usize) {
        self.pvs.channels()
    }

    /// How often something was passed over.
    pub fn complaints(&self) -> BTreeMap<ComplaintKind, u64> {
        self.complaints.counts().collect()
    }

    /// What has changed since this was last called, each item once. Has to be called now and then: what has changed
    /// is kept until then.
    pub fn take_changes(&mut self) -> Changes {
        let items = self.tree.take_noted();
        Changes {
            items: items
                .into_iter()
                .filter_map(|id| Some(self.tree.item(id)?.path.clone()))
                .collect(),
            removed: std::mem::take(&mut self.removed),
            everything: std::mem::take(&mut self.is_everything_changed),
            mode: std::mem::take(&mut self.is_mode_changed),
        }
    }

    fn view(&self, id: ItemId) -> Option<ItemView<'_>> {
        let item = self.tree.item(id)?;
        let kind = match &item.content {
            Content::Group { own, children, .. } => KindView::Group(GroupView {
                notes: &own.notes,
                children: children.len(),
                counts: self.tree.counts(id)?,
            }),
            Content::Leaf(watched) => {
                let pv = self.pvs.get(watched.pv)?;
                KindView::Leaf(Box::new(LeafView {
                    pv: &pv.name,
                    alarm: watched.alarm.alarm(),
                    current: watched.alarm.current(),
                    connection: self.connection(watched),
                    impossible: match &pv.source {
                        Source::Impossible(why) => Some(why),
                        Source::Channel | Source::Formula(_) => None,
                    },
                    is_disabled: watched.alarm.is_disabled(),
                    is_filtered: watched.is_wanted && watched.alarm.is_disabled(),
                    enabled_at: watched.enable_at(),
                    shelving: watched.shelving(),
                    pending: watched.alarm.pending(),
                    watched,
                }))
            }
        };
        Some(ItemView {
            path: &item.path,
            severity: item.severity(),
            kind,
        })
    }

    fn connection(&self, watched: &Watched) -> Connection {
        if !watched.is_wanted {
            return Connection::Unwatched;
        }
        match self.pvs.get(watched.pv).map(|pv| &pv.last) {
            None | Some(Last::Never) => Connection::Never,
            Some(Last::Value(_)) => Connection::Connected,
            Some(Last::Disconnected) => Connection::Disconnected,
            Some(Last::Impossible) => Connection::Impossible,
        }
    }

    /// Counts a leaf anew and notes that it has changed.
    pub(super) fn refresh(&mut self, id: ItemId) {
        let Some(watched) = self.tree.leaf(id) else {
            return;
        };
        let connection = self.connection(watched);
        let is_shelved = watched
            .shelving()
            .is_some_and(|shelving| shelving.until.is_some());
        let marks = Marks::default()
            .with(Mark::Disabled, watched.alarm.is_disabled())
            .with(Mark::Shelved, is_shelved || watched.enable_at().is_some())
            .with(
                Mark::Disconnected,
                matches!(
                    connection,
                    Connection::Disconnected | Connection::Impossible
                ),
            )
            .with(Mark::Never, connection == Connection::Never)
            .with(Mark::Pending, watched.alarm.pending().is_some());
        self.tree.set_marks(id, marks);
        self.tree.note(id);
    }
}

impl Which {
    fn has<L, G>(self, item: &Item<L, G>) -> bool {
        if self == Self::All {
            return true;
        }
        if !matches!(item.content, Content::Leaf(_)) {
            return false;
        }
        let severity = item.severity();
        let marks = item.marks();
        match self {
            Self::All => true,
            Self::Active => severity.is_active(),
            Self::Acknowledged => severity != Severity::Ok && !severity.is_active(),
            Self::InAlarm => severity != Severity::Ok,
            Self::Disconnected => marks.has(Mark::Disconnected) || marks.has(Mark::Never),
            Self::Disabled => marks.has(Mark::Disabled),
            Self::Shelved => marks.has(Mark::Shelved),
            Self::Pending => marks.has(Mark::Pending),
        }
    }
}
