//! The alarm tree: groups, leaves, and the severity of each group by counting, not by searching.
//!
//! What a leaf or a group *is* belongs to whoever uses the tree; it carries a payload of each.

mod counts;

use std::collections::HashMap;

pub use counts::{Counts, Mark, Marks};

use crate::path::AlarmPath;
use crate::severity::Severity;

/// A place in the tree. Stays valid until its item is removed; places are used again after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(u32);

/// An item.
#[derive(Debug)]
pub struct Item<L, G> {
    /// Where it is.
    pub path: AlarmPath,
    parent: Option<ItemId>,
    severity: Severity,
    marks: Marks,
    is_noted: bool,
    /// A leaf or a group.
    pub content: Content<L, G>,
}

/// What an item is.
#[derive(Debug)]
pub enum Content<L, G> {
    /// A PV.
    Leaf(L),
    /// A group of items.
    Group {
        /// The group's own.
        own: G,
        /// Its items, in the order in which they came.
        children: Vec<ItemId>,
        /// How many children have which severity.
        tally: [u32; 9],
        /// The leaves at and below this group.
        counts: Box<Counts>,
    },
}

/// Items that were taken out, children before their groups.
pub type Removed<L, G> = Vec<(AlarmPath, Content<L, G>)>;

impl<L, G> Item<L, G> {
    /// Severity of the alarm.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What else is counted of a leaf.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// The item above.
    pub fn parent(&self) -> Option<ItemId> {
        self.parent
    }
}

/// Why an item cannot be where it is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Its path begins with the name of another configuration.
    #[error("`{path}` does not belong to the configuration `{root}`")]
    Foreign {
        /// The path.
        path: AlarmPath,
        /// The configuration.
        root: String,
    },
    /// A PV is where a group would have to be, or the other way round.
    #[error("`{0}` is a PV and cannot have items below it")]
    BelowLeaf(AlarmPath),
    /// The item is of the other sort already.
    #[error("`{0}` is a group and cannot become a PV")]
    IsGroup(AlarmPath),
    /// No space for more than 2³² items.
    #[error("the tree is full")]
    Full,
}

/// A tree with one root.
#[derive(Debug)]
pub struct Tree<L, G> {
    items: Vec<Option<Box<Item<L, G>>>>,
    free: Vec<ItemId>,
    /// Items that were noted since the notes were last taken.
    noted: Vec<ItemId>,
    paths: HashMap<AlarmPath, ItemId>,
    root: ItemId,
}

impl<L, G: Default> Tree<L, G> {
    /// A tree that has only its root.
    pub fn new(root: AlarmPath) -> Self {
        let id = ItemId(0);
        let paths = HashMap::from([(root.clone(), id)]);
        Self {
            items: vec![Some(Box::new(Item {
                path: root,
                parent: None,
                severity: Severity::Ok,
                marks: Marks::default(),
                is_noted: false,
                content: empty_group(G::default()),
            }))],
            free: Vec::new(),
            noted: Vec::new(),
            paths,
            root: id,
        }
    }

    /// The root.
    pub fn root(&self) -> ItemId {
        self.root
    }

    /// How many items there are, the root included.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.len() <= 1
    }

    /// The item at that path.
    pub fn find(&self, path: &AlarmPath) -> Option<ItemId> {
        self.paths.get(path).copied()
    }

    /// An item.
    pub fn item(&self, id: ItemId) -> Option<&Item<L, G>> {
        self.items.get(id.0 as usize)?.as_deref()
    }

    /// A leaf.
    pub fn leaf(&self, id: ItemId) -> Option<&L> {
        match &self.item(id)?.content {
            Content::Leaf(leaf) => Some(leaf),
            Content::Group { .. } => None,
        }
    }

    /// A leaf, to be changed.
    pub fn leaf_mut(&mut self, id: ItemId) -> Option<&mut L> {
        match &mut self.items.get_mut(id.0 as usize)?.as_mut()?.content {
            Content::Leaf(leaf) => Some(leaf),
            Content::Group { .. } => None,
        }
    }

    /// How many leaves of a group, at any depth, are in which state; of a leaf, itself.
    pub fn counts(&self, id: ItemId) -> Option<Counts> {
        let item = self.item(id)?;
        Some(match &item.content {
            Content::Group { counts, .. } => **counts,
            Content::Leaf(_) => Counts::of(item.severity, item.marks),
        })
    }

    /// Notes that something of an item has changed.
    pub fn note(&mut self, id: ItemId) {
        if let Some(item) = self.item_mut(id)
            && !std::mem::replace(&mut item.is_noted, true)
        {
            self.noted.push(id);
        }
    }

    /// Takes the notes: each item once, in the order in which they were noted first. Those that have been removed
    /// since are not among them.
    pub fn take_noted(&mut self) -> Vec<ItemId> {
        let mut noted = std::mem::take(&mut self.noted);
        noted.retain(|id| {
            self.item_mut(*id)
                .is_some_and(|item| std::mem::replace(&mut item.is_noted, false))
        });
        noted
    }

    /// A group's own, to be changed.
    pub fn group_mut(&mut self, id: ItemId) -> Option<&mut G> {
        match &mut self.items.get_mut(id.0 as usize)?.as_mut()?.content {
            Content::Group { own, .. } => Some(own),
            Content::Leaf(_) => None,
        }
    }

    /// Puts a leaf there, with the groups above it as they are needed. A leaf that is there already is replaced and
    /// given back; its severity stays until [`Tree::set_severity`].
    ///
    /// # Errors
    ///
    /// A foreign path, a PV above it, a group in its place.
    pub fn put_leaf(
        &mut self,
        path: &AlarmPath,
        leaf: L,
    ) -> Result<(ItemId, Option<L>), TreeError> {
        if let Some(id) = self.find(path) {
            return match self.item_mut(id).map(|item| &mut item.content) {
                Some(Content::Leaf(before)) => Ok((id, Some(std::mem::replace(before, leaf)))),
                _ => Err(TreeError::IsGroup(path.clone())),
            };
        }
        let parent = self.parent_of(path)?;
        let id = self.add(path.clone(), parent, Content::Leaf(leaf))?;
        Ok((id, None))
    }

    /// Makes sure that there is a group, with the groups above it. The second is whether it is new.
    ///
    /// # Errors
    ///
    /// A foreign path, a PV above it or in its place.
    pub fn put_group(&mut self, path: &AlarmPath) -> Result<(ItemId, bool), TreeError> {
        if let Some(id) = self.find(path) {
            return match self.item(id).map(|item| &item.content) {
                Some(Content::Group { .. }) => Ok((id, false)),
                _ => Err(TreeError::BelowLeaf(path.clone())),
            };
        }
        let parent = self.parent_of(path)?;
        let id = self.add(path.clone(), parent, empty_group(G::default()))?;
        Ok((id, true))
    }

    /// Removes an item and all below it; the root stays, without anything below it. Gives back what was removed,
    /// children first, and the groups whose severity changed by that, from below.
    pub fn remove(&mut self, path: &AlarmPath) -> (Removed<L, G>, Vec<ItemId>) {
        let Some(id) = self.find(path) else {
            return (Vec::new(), Vec::new());
        };
        let mut doomed = self.below(id);
        if id == self.root {
            doomed.retain(|one| *one != id);
        }
        let counts = self.counts(id).unwrap_or_default();
        let mut changed = Vec::new();
        if id == self.root {
            if let Some(item) = self.item_mut(id) {
                if std::mem::take(&mut item.severity) != Severity::Ok {
                    changed.push(id);
                }
                if let Content::Group {
                    children,
                    tally,
                    counts,
                    ..
                } = &mut item.content
                {
                    children.clear();
                    *tally = [0; 9];
                    **counts = Counts::default();
                }
            }
        } else {
            changed = self.percolate(id, Severity::Ok);
            self.recount(id, &counts, &Counts::default());
            if let Some(parent) = self.item(id).and_then(Item::parent) {
                self.count(parent, Severity::Ok, -1);
                if let Some(Content::Group { children, .. }) = self.content_mut(parent) {
                    children.retain(|child| *child != id);
                }
            }
        }
        let mut removed = Vec::with_capacity(doomed.len());
        for one in doomed.into_iter().rev() {
            let taken = self.items.get_mut(one.0 as usize).and_then(Option::take);
            if let Some(item) = taken {
                self.paths.remove(&item.path);
                self.free.push(one);
                removed.push((item.path, item.content));
            }
        }
        (removed, changed)
    }

    /// Sets the severity of a leaf and gives back the groups whose severity changes by that, from below.
    ///
    /// Costs a step for each group on the way up, however many items there are.
    pub fn set_severity(&mut self, id: ItemId, severity: Severity) -> Vec<ItemId> {
        let Some(item) = self.item(id) else {
            return Vec::new();
        };
        if item.severity == severity || !matches!(item.content, Content::Leaf(_)) {
            return Vec::new();
        }
        let (before, marks) = (item.severity, item.marks);
        self.recount(id, &Counts::of(before, marks), &Counts::of(severity, marks));
        self.percolate(id, severity)
    }

    /// Sets what else is counted of a leaf. Whether that is a change.
    pub fn set_marks(&mut self, id: ItemId, marks: Marks) -> bool {
        let Some(item) = self.item_mut(id) else {
            return false;
        };
        let before = std::mem::replace(&mut item.marks, marks);
        if before == marks || !matches!(item.content, Content::Leaf(_)) {
            return false;
        }
        let severity = item.severity;
        self.recount(
            id,
            &Counts::of(severity, before),
            &Counts::of(severity, marks),
        );
        true
    }

    /// Counts an item in all groups above it anew.
    fn recount(&mut self, id: ItemId, before: &Counts, after: &Counts) {
        let mut at = self.item(id).and_then(Item::parent);
        while let Some(group) = at {
            let Some(item) = self.item_mut(group) else {
                return;
            };
            if let Content::Group { counts, .. } = &mut item.content {
                counts.replace(before, after);
            }
            at = item.parent;
        }
    }

    fn percolate(&mut self, id: ItemId, severity: Severity) -> Vec<ItemId> {
        let mut changed = Vec::new();
        let mut at = id;
        let mut new = severity;
        loop {
            let Some(item) = self.item_mut(at) else {
                return changed;
            };
            let old = std::mem::replace(&mut item.severity, new);
            if at != id {
                changed.push(at);
            }
            let Some(parent) = item.parent else {
                return changed;
            };
            if old == new {
                return changed;
            }
            self.count(parent, old, -1);
            self.count(parent, new, 1);
            let worst = self.worst(parent);
            if self
                .item(parent)
                .is_none_or(|group| group.severity == worst)
            {
                return changed;
            }
            at = parent;
            new = worst;
        }
    }

    /// An item and all below it, each before those below it.
    pub fn below(&self, id: ItemId) -> Vec<ItemId> {
        let mut found = Vec::new();
        let mut open = vec![id];
        while let Some(at) = open.pop() {
            let Some(item) = self.item(at) else { continue };
            found.push(at);
            if let Content::Group { children, .. } = &item.content {
                open.extend(children.iter().rev());
            }
        }
        found
    }

    fn worst(&self, group: ItemId) -> Severity {
        let Some(Content::Group { tally, .. }) = self.item(group).map(|item| &item.content) else {
            return Severity::Ok;
        };
        let worst = Severity::ALL
            .into_iter()
            .rev()
            .find(|severity| tally[usize::from(severity.ordinal())] > 0);
        worst.unwrap_or_default()
    }

    fn count(&mut self, group: ItemId, severity: Severity, by: i32) {
        if let Some(Content::Group { tally, .. }) = self.content_mut(group) {
            let place = &mut tally[usize::from(severity.ordinal())];
            *place = place.saturating_add_signed(by);
        }
    }

    fn content_mut(&mut self, id: ItemId) -> Option<&mut Content<L, G>> {
        Some(&mut self.item_mut(id)?.content)
    }

    fn item_mut(&mut self, id: ItemId) -> Option<&mut Item<L, G>> {
        self.items.get_mut(id.0 as usize)?.as_deref_mut()
    }

    fn parent_of(&mut self, path: &AlarmPath) -> Result<ItemId, TreeError> {
        let root = self
            .item(self.root)
            .map(|item| item.path.configuration().to_owned());
        let root = root.unwrap_or_default();
        match path.parent() {
            Some(parent) if path.configuration() == root => Ok(self.put_group(&parent)?.0),
            _ => Err(TreeError::Foreign {
                path: path.clone(),
                root,
            }),
        }
    }

    fn add(
        &mut self,
        path: AlarmPath,
        parent: ItemId,
        content: Content<L, G>,
    ) -> Result<ItemId, TreeError> {
        let item = Box::new(Item {
            path: path.clone(),
            parent: Some(parent),
            severity: Severity::Ok,
            marks: Marks::default(),
            is_noted: false,
            content,
        });
        let id = if let Some(id) = self.free.pop() {
            if let Some(place) = self.items.get_mut(id.0 as usize) {
                *place = Some(item);
            }
            id
        } else {
            let id = u32::try_from(self.items.len()).map_err(|_too_many| TreeError::Full)?;
            self.items.push(Some(item));
            ItemId(id)
        };
        self.count(parent, Severity::Ok, 1);
        if let Some(Content::Group { children, .. }) = self.content_mut(parent) {
            children.push(id);
        }
        self.paths.insert(path, id);
        if matches!(
            self.item(id).map(|item| &item.content),
            Some(Content::Leaf(_))
        ) {
            let one = Counts::of(Severity::Ok, Marks::default());
            self.recount(id, &Counts::default(), &one);
        }
        Ok(id)
    }
}

fn empty_group<L, G>(own: G) -> Content<L, G> {
    Content::Group {
        own,
        children: Vec::new(),
        tally: [0; 9],
        counts: Box::default(),
    }
}

#[cfg(test)]
mod tests;
