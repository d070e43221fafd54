//! The alarm tree: groups, leaves, and the severity of each group by counting, not by searching.
//!
//! What a leaf or a group *is* belongs to whoever uses the tree; it carries a payload of each.

use std::collections::HashMap;

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
        /// Its items by name, in the order in which they came.
        children: Vec<(String, ItemId)>,
        /// How many children have which severity.
        tally: [u32; 9],
    },
}

/// Items that were taken out, children before their groups.
pub type Removed<L, G> = Vec<(AlarmPath, Content<L, G>)>;

impl<L, G> Item<L, G> {
    /// Severity of the alarm.
    pub fn severity(&self) -> Severity {
        self.severity
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
    items: Vec<Option<Item<L, G>>>,
    free: Vec<ItemId>,
    paths: HashMap<AlarmPath, ItemId>,
    root: ItemId,
}

impl<L, G: Default> Tree<L, G> {
    /// A tree that has only its root.
    pub fn new(root: AlarmPath) -> Self {
        let id = ItemId(0);
        let paths = HashMap::from([(root.clone(), id)]);
        Self {
            items: vec![Some(Item {
                path: root,
                parent: None,
                severity: Severity::Ok,
                content: empty_group(G::default()),
            })],
            free: Vec::new(),
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
        self.items.get(id.0 as usize)?.as_ref()
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
            let item = self.items.get_mut(id.0 as usize).and_then(Option::as_mut);
            return match item.map(|item| &mut item.content) {
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
        let mut changed = Vec::new();
        if id != self.root {
            changed = self.set_severity(id, Severity::Ok);
            changed.retain(|one| !doomed.contains(one));
            if let Some((parent, severity)) = self
                .item(id)
                .and_then(|item| Some((item.parent?, item.severity)))
            {
                self.count(parent, severity, -1);
                if let Some(Content::Group { children, .. }) = self.content_mut(parent) {
                    children.retain(|(_name, child)| *child != id);
                }
            }
        } else if let Some(Content::Group {
            children, tally, ..
        }) = self.content_mut(id)
        {
            children.clear();
            *tally = [0; 9];
            if let Some(item) = self.items.get_mut(id.0 as usize).and_then(Option::as_mut)
                && item.severity != Severity::Ok
            {
                item.severity = Severity::Ok;
                changed.push(id);
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
        let mut changed = Vec::new();
        let mut at = id;
        let mut new = severity;
        loop {
            let Some(item) = self.items.get_mut(at.0 as usize).and_then(Option::as_mut) else {
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
                open.extend(children.iter().rev().map(|(_name, child)| *child));
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
        let item = self.items.get_mut(id.0 as usize)?.as_mut()?;
        Some(&mut item.content)
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
        let item = Item {
            path: path.clone(),
            parent: Some(parent),
            severity: Severity::Ok,
            content,
        };
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
            children.push((path.name().to_owned(), id));
        }
        self.paths.insert(path, id);
        Ok(id)
    }
}

fn empty_group<L, G>(own: G) -> Content<L, G> {
    Content::Group {
        own,
        children: Vec::new(),
        tally: [0; 9],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Plain = Tree<(), ()>;

    fn path(text: &str) -> AlarmPath {
        AlarmPath::parse(text).unwrap()
    }

    fn severity(tree: &Plain, at: &str) -> Severity {
        tree.item(tree.find(&path(at)).unwrap()).unwrap().severity()
    }

    /// The severity of every group by looking at all its children.
    fn check(tree: &Plain) {
        for id in tree.below(tree.root()) {
            let item = tree.item(id).unwrap();
            if let Content::Group { children, .. } = &item.content {
                let worst = children
                    .iter()
                    .map(|(_name, child)| tree.item(*child).unwrap().severity())
                    .max()
                    .unwrap_or_default();
                assert_eq!(item.severity(), worst, "{}", item.path);
            }
        }
    }

    #[test]
    fn groups_come_with_their_leaves_and_take_the_worst() {
        let mut tree = Plain::new(path("/X"));
        let (low, _) = tree.put_leaf(&path("/X/a/b/low"), ()).unwrap();
        let (high, _) = tree.put_leaf(&path("/X/a/high"), ()).unwrap();
        assert_eq!(tree.len(), 5);
        assert_eq!(tree.set_severity(low, Severity::Minor).len(), 3);
        assert_eq!(tree.set_severity(high, Severity::Major).len(), 2);
        assert_eq!(tree.set_severity(high, Severity::Major).len(), 0);
        assert_eq!(severity(&tree, "/X"), Severity::Major);
        assert_eq!(severity(&tree, "/X/a/b"), Severity::Minor);
        let (removed, changed) = tree.remove(&path("/X/a/high"));
        assert_eq!((removed.len(), changed.len()), (1, 2));
        assert_eq!(severity(&tree, "/X"), Severity::Minor);
        check(&tree);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut tree = Plain::new(path("/X"));
        tree.put_leaf(&path("/X/a/pv"), ()).unwrap();
        let refused = [
            tree.put_leaf(&path("/Y/a"), ()).unwrap_err(),
            tree.put_leaf(&path("/X/a"), ()).unwrap_err(),
            tree.put_leaf(&path("/X/a/pv/below"), ()).unwrap_err(),
            tree.put_group(&path("/X/a/pv")).unwrap_err(),
            tree.put_leaf(&path("/Y"), ()).unwrap_err(),
        ];
        let words: Vec<String> = refused.iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "`/Y/a` does not belong to the configuration `X`",
                "`/X/a` is a group and cannot become a PV",
                "`/X/a/pv` is a PV and cannot have items below it",
                "`/X/a/pv` is a PV and cannot have items below it",
                "`/Y` does not belong to the configuration `X`"
            ]
        );
        assert_eq!(tree.len(), 3);
    }

    #[test]
    fn the_root_stays() {
        let mut tree = Plain::new(path("/X"));
        let (id, _) = tree.put_leaf(&path("/X/a/pv"), ()).unwrap();
        tree.set_severity(id, Severity::Invalid);
        let (removed, changed) = tree.remove(&path("/X"));
        assert_eq!((removed.len(), changed.len()), (2, 1));
        assert!(tree.is_empty());
        check(&tree);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put(u8),
        Remove(u8),
        Set(u8, Severity),
    }

    fn place(number: u8) -> AlarmPath {
        let names = ["/X", "a", "b", "c"];
        let depth = usize::from(number % 3) + 1;
        let mut text = names[..depth].join("/");
        text.push_str(&format!(
            "/{}",
            if number & 64 == 0 {
                format!("pv{number}")
            } else {
                format!("g{}/pv{number}", number % 5)
            }
        ));
        path(&text)
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            any::<u8>().prop_map(Step::Put),
            any::<u8>().prop_map(Step::Remove),
            (any::<u8>(), 0_usize..9)
                .prop_map(|(at, severity)| Step::Set(at, Severity::ALL[severity])),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn groups_are_the_worst_of_their_items_after_any_steps(steps in steps()) {
            let mut tree = Plain::new(path("/X"));
            for step in steps {
                match step {
                    Step::Put(at) => {
                        tree.put_leaf(&place(at), ()).unwrap();
                    }
                    Step::Remove(at) => {
                        let doomed = place(at);
                        let doomed = if at % 7 == 0 { doomed.parent().unwrap() } else { doomed };
                        tree.remove(&doomed);
                    }
                    Step::Set(at, severity) => {
                        if let Some(id) = tree.find(&place(at)) {
                            let before: Vec<Severity> = tree.below(tree.root()).iter().map(|one| tree.item(*one).unwrap().severity()).collect();
                            let changed = tree.set_severity(id, severity);
                            let after: Vec<Severity> = tree.below(tree.root()).iter().map(|one| tree.item(*one).unwrap().severity()).collect();
                            let different = before.iter().zip(&after).filter(|(one, other)| one != other).count();
                            // the leaf itself is not among the groups
                            prop_assert!(different == changed.len() || different == changed.len() + 1);
                        }
                    }
                }
                check(&tree);
            }
        }
    }
}
