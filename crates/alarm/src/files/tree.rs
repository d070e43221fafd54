//! The model that all file formats are read into and written from.

use std::ops::Range;

use crate::config::{LeafConfig, Notes};
use crate::path::AlarmPath;

/// Where something stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Which of the sources.
    pub file: usize,
    /// Which bytes of its text.
    pub span: Range<usize>,
}

/// An alarm tree.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeFile {
    /// Name of the configuration.
    pub name: String,
    /// Where that stands.
    pub origin: Origin,
    /// Guidance and so on of the root.
    pub notes: Notes,
    /// Where its actions stand.
    pub places: Places,
    /// What is in it.
    pub entries: Vec<Entry>,
}

/// Something in a group.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A group.
    Group(Branch),
    /// A PV.
    Pv {
        /// Its name.
        name: String,
        /// Where that stands.
        origin: Origin,
        /// Where its filter and its actions stand.
        places: Places,
        /// Its configuration.
        config: LeafConfig,
    },
}

/// A group.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// Its name.
    pub name: String,
    /// Where that stands.
    pub origin: Origin,
    /// Guidance and so on.
    pub notes: Notes,
    /// Where its actions stand.
    pub places: Places,
    /// What is in it.
    pub entries: Vec<Entry>,
}

/// Where parts of an item stand that can be wrong by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// The filter; without one the item stands for it.
    pub filter: Option<Origin>,
    /// What each action does, in their order; where one is missing the item stands for it.
    pub actions: Vec<Origin>,
}

/// An item with its path, for whoever walks a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Item<'a> {
    /// A group.
    Group(&'a Notes),
    /// A PV.
    Pv(&'a LeafConfig),
}

impl TreeFile {
    /// All items with their paths, groups before what is in them. Items whose names cannot stand in a path are left
    /// out; [`TreeFile::check`] finds them.
    pub fn items(&self) -> Vec<(AlarmPath, Item<'_>)> {
        let mut found = Vec::new();
        if let Ok(root) = AlarmPath::root(&self.name) {
            found.push((root.clone(), Item::Group(&self.notes)));
            collect(&root, &self.entries, &mut found);
        }
        found
    }

    /// How many PVs there are; one that stands in several branches counts as often.
    pub fn pv_count(&self) -> usize {
        self.items()
            .iter()
            .filter(|(_path, item)| matches!(item, Item::Pv(_)))
            .count()
    }

    /// The PVs with their paths, places and configurations.
    pub fn pvs(&self) -> Vec<(AlarmPath, &Origin, &LeafConfig)> {
        fn below<'a>(
            above: &AlarmPath,
            entries: &'a [Entry],
            found: &mut Vec<(AlarmPath, &'a Origin, &'a LeafConfig)>,
        ) {
            for entry in entries {
                match entry {
                    Entry::Group(branch) => {
                        if let Ok(path) = above.child(&branch.name) {
                            below(&path, &branch.entries, found);
                        }
                    }
                    Entry::Pv {
                        name,
                        origin,
                        config,
                        ..
                    } => {
                        if let Ok(path) = above.child(name) {
                            found.push((path, origin, config));
                        }
                    }
                }
            }
        }
        let mut found = Vec::new();
        if let Ok(root) = AlarmPath::root(&self.name) {
            below(&root, &self.entries, &mut found);
        }
        found
    }

    /// Puts the PVs of each group before its groups, which is the order of tables and of YAML; among themselves they
    /// stay as they are. Where an item stands among its neighbours means nothing to an alarm server.
    pub fn normalize(&mut self) {
        fn sort(entries: &mut [Entry]) {
            entries.sort_by_key(|entry| matches!(entry, Entry::Group(_)));
            for entry in entries {
                if let Entry::Group(branch) = entry {
                    sort(&mut branch.entries);
                }
            }
        }
        sort(&mut self.entries);
    }

    /// Counts its origins from another source on: for a tree that becomes part of one with several sources.
    pub fn shift(&mut self, by: usize) {
        fn places(places: &mut Places, by: usize) {
            for origin in places.filter.iter_mut().chain(&mut places.actions) {
                origin.file += by;
            }
        }
        fn entries(list: &mut [Entry], by: usize) {
            for entry in list {
                match entry {
                    Entry::Group(branch) => {
                        branch.origin.file += by;
                        places(&mut branch.places, by);
                        entries(&mut branch.entries, by);
                    }
                    Entry::Pv {
                        origin,
                        places: own,
                        ..
                    } => {
                        origin.file += by;
                        places(own, by);
                    }
                }
            }
        }
        self.origin.file += by;
        places(&mut self.places, by);
        entries(&mut self.entries, by);
    }
}

fn collect<'a>(above: &AlarmPath, entries: &'a [Entry], found: &mut Vec<(AlarmPath, Item<'a>)>) {
    for entry in entries {
        match entry {
            Entry::Group(branch) => {
                if let Ok(path) = above.child(&branch.name) {
                    found.push((path.clone(), Item::Group(&branch.notes)));
                    collect(&path, &branch.entries, found);
                }
            }
            Entry::Pv { name, config, .. } => {
                if let Ok(path) = above.child(name) {
                    found.push((path, Item::Pv(config)));
                }
            }
        }
    }
}
