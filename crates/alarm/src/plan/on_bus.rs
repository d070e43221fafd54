//! The configuration that the records of a topic make.

use crate::config::{LeafConfig, Notes};
use crate::files::{Branch, Entry, Origin, Places, TreeFile};
use crate::path::{AlarmPath, PathError};
use crate::plan::{Sort, sort};
use crate::tree::{Content, ItemId, Tree};
use crate::wire::config::{ConfigMessage, Signed};
use crate::wire::key::{Key, Kind};

/// A configuration as it is on the bus.
#[derive(Debug)]
pub struct OnBus {
    tree: Tree<LeafConfig, Notes>,
    passed_over: Vec<PassedOver>,
}

/// A record that no server could use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record `{key}` is passed over: {why}")]
pub struct PassedOver {
    /// Its key, cut to 200 characters.
    pub key: String,
    /// Why.
    pub why: String,
}

/// So many records that cannot be used are kept; of more than that only the first say anything.
const MOST_PASSED_OVER: usize = 1000;

impl OnBus {
    /// A configuration of which nothing has been read.
    ///
    /// # Errors
    ///
    /// A name that no root can have.
    pub fn new(configuration: &str) -> Result<Self, PathError> {
        Ok(Self {
            tree: Tree::new(AlarmPath::root(configuration)?),
            passed_over: Vec::new(),
        })
    }

    /// Takes a record of the topic of the configuration, in the order of the topic. Records of other kinds do not
    /// matter, what cannot be used is kept in [`OnBus::passed_over`]: as an alarm server reads them.
    ///
    /// Gives back whether it was a record of a configuration.
    pub fn record(&mut self, key: &str, value: Option<&str>) -> bool {
        if !key.starts_with("config:") {
            return false;
        }
        if let Err(why) = self.take(key, value)
            && self.passed_over.len() < MOST_PASSED_OVER
        {
            self.passed_over.push(PassedOver {
                key: key.chars().take(200).collect(),
                why,
            });
        }
        true
    }

    fn take(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let key = Key::parse(key).map_err(|error| error.to_string())?;
        if key.kind != Kind::Config {
            return Ok(());
        }
        let path = key.path;
        let Some(text) = value else {
            if self.tree.find(&path) == Some(self.tree.root())
                && let Some(own) = self.tree.group_mut(self.tree.root())
            {
                *own = Notes::default();
            }
            self.tree.remove(&path);
            return Ok(());
        };
        let signed = Signed::read(text).map_err(|error| error.to_string())?;
        match signed.message {
            ConfigMessage::Deleting => {}
            ConfigMessage::Group(notes) => {
                let is_leaf = |id: ItemId| self.tree.leaf(id).is_some();
                if self.tree.find(&path).is_some_and(is_leaf) {
                    // without a description nothing is said of what makes a PV
                    return Ok(());
                }
                let (id, _is_new) = self
                    .tree
                    .put_group(&path)
                    .map_err(|error| error.to_string())?;
                if let Some(own) = self.tree.group_mut(id) {
                    *own = notes;
                }
            }
            ConfigMessage::Leaf(config) => {
                self.tree
                    .put_leaf(&path, config)
                    .map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// Records that could not be used.
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// Whether nothing is there but the root.
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    /// How many PVs there are; one that stands in several branches counts as often.
    pub fn pv_count(&self) -> usize {
        let items = self.items();
        items
            .iter()
            .filter(|(_path, sort)| *sort == Sort::Pv)
            .count()
    }

    pub(super) fn find(&self, path: &AlarmPath) -> Option<&Content<LeafConfig, Notes>> {
        let item = self.tree.item(self.tree.find(path)?)?;
        Some(&item.content)
    }

    /// An item and all below it, each before those below it.
    pub(super) fn below(&self, path: &AlarmPath) -> Vec<(AlarmPath, Sort)> {
        let Some(id) = self.tree.find(path) else {
            return Vec::new();
        };
        let ids = self.tree.below(id).into_iter();
        ids.filter_map(|id| self.tree.item(id))
            .map(|item| (item.path.clone(), sort(&item.content)))
            .collect()
    }

    /// All items but the root, each before those below it.
    pub fn items(&self) -> Vec<(AlarmPath, Sort)> {
        let root = self
            .tree
            .item(self.tree.root())
            .map(|item| item.path.clone());
        let mut items = root.map(|root| self.below(&root)).unwrap_or_default();
        if !items.is_empty() {
            items.remove(0);
        }
        items
    }

    /// The configuration as a file would have it; items are in the order in which they came.
    pub fn tree(&self) -> TreeFile {
        let root = self.tree.root();
        let item = self.tree.item(root);
        let name = item.map(|item| item.path.configuration().to_owned());
        TreeFile {
            name: name.unwrap_or_default(),
            origin: Origin::default(),
            notes: self.notes(root),
            places: Places::default(),
            entries: self.entries(root),
        }
    }

    fn notes(&self, id: ItemId) -> Notes {
        match self.tree.item(id).map(|item| &item.content) {
            Some(Content::Group { own, .. }) => own.clone(),
            _ => Notes::default(),
        }
    }

    fn entries(&self, id: ItemId) -> Vec<Entry> {
        let Some(Content::Group { children, .. }) = self.tree.item(id).map(|item| &item.content)
        else {
            return Vec::new();
        };
        let mut entries = Vec::with_capacity(children.len());
        for child in children {
            let name = match self.tree.item(*child) {
                Some(item) => item.path.name().to_owned(),
                None => continue,
            };
            entries.push(match self.tree.leaf(*child) {
                Some(config) => Entry::Pv {
                    name,
                    origin: Origin::default(),
                    places: Places::default(),
                    config: config.clone(),
                },
                None => Entry::Group(Branch {
                    name,
                    origin: Origin::default(),
                    notes: self.notes(*child),
                    places: Places::default(),
                    entries: self.entries(*child),
                }),
            });
        }
        entries
    }
}
