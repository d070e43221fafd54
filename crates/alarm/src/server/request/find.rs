//! Items by path or by the name of their PV, and the nearest to a name that is none.

use std::collections::HashSet;

use crate::path::AlarmPath;
use crate::server::Server;
use crate::server::request::Refusal;
use crate::tree::{Content, ItemId};

/// So many names are compared at most with one that is not found.
const MOST_COMPARED: usize = 200_000;

impl Server {
    /// The leaves that are meant, each once, in the order in which they were named. The second is whether a leaf was
    /// named itself, not as part of a group.
    pub(super) fn targets(&self, items: &[String]) -> Result<Vec<(ItemId, bool)>, Refusal> {
        if items.is_empty() {
            return Err(Refusal::NoItems);
        }
        let mut targets = Vec::new();
        for wanted in items {
            let found = self.find_items(wanted);
            if found.is_empty() {
                return Err(Refusal::Unknown {
                    wanted: wanted.clone(),
                    nearest: self.nearest(wanted),
                });
            }
            for id in found {
                if self.tree.leaf(id).is_some() {
                    targets.push((id, true));
                } else {
                    let below = self.tree.below(id).into_iter();
                    let leaves = below.filter(|one| self.tree.leaf(*one).is_some());
                    targets.extend(leaves.map(|one| (one, false)));
                }
            }
        }
        let mut seen = HashSet::new();
        // what is named and also part of a group counts as named
        let named: HashSet<ItemId> = targets
            .iter()
            .filter(|(_id, is_named)| *is_named)
            .map(|(id, _is_named)| *id)
            .collect();
        Ok(targets
            .into_iter()
            .filter(|(id, _is_named)| seen.insert(*id))
            .map(|(id, _is_named)| (id, named.contains(&id)))
            .collect())
    }

    /// The items that a path or the name of a PV means.
    pub(crate) fn find_items(&self, wanted: &str) -> Vec<ItemId> {
        let by_path = |text: &str| {
            AlarmPath::parse(text)
                .ok()
                .and_then(|path| self.tree.find(&path))
        };
        if wanted.starts_with('/') {
            return by_path(wanted).into_iter().collect();
        }
        let pv = self.pvs.find(wanted).and_then(|id| self.pvs.get(id));
        let leaves: Vec<ItemId> = pv
            .map(|pv| pv.leaves.iter().copied().collect())
            .unwrap_or_default();
        if leaves.is_empty() {
            return by_path(wanted).into_iter().collect();
        }
        leaves
    }

    /// The item whose name is nearest: below the deepest group that the path names, or of all PVs.
    pub(crate) fn nearest(&self, wanted: &str) -> Option<AlarmPath> {
        if !wanted.starts_with('/') {
            let pvs = self.pvs.names().take(MOST_COMPARED);
            let name = most_alike(wanted, pvs)?;
            let pv = self.pvs.find(name).and_then(|id| self.pvs.get(id))?;
            let leaf = pv.leaves.iter().next()?;
            return Some(self.tree.item(*leaf)?.path.clone());
        }
        let path = AlarmPath::parse(wanted).ok()?;
        let mut at = self.tree.root();
        let mut names = path.names();
        if names.next() != Some(self.root.name()) {
            return Some(self.root.clone());
        }
        for name in names {
            let item = self.tree.item(at)?;
            let Content::Group { children, .. } = &item.content else {
                return Some(item.path.clone());
            };
            let is_it = |child: &&ItemId| {
                self.tree
                    .item(**child)
                    .is_some_and(|item| item.path.name() == name)
            };
            if let Some(child) = children.iter().find(is_it) {
                at = *child;
                continue;
            }
            let others = children
                .iter()
                .filter_map(|child| Some(self.tree.item(*child)?.path.name()));
            let alike = most_alike(name, others.take(MOST_COMPARED));
            return alike
                .and_then(|alike| item.path.child(alike).ok())
                .or_else(|| Some(item.path.clone()));
        }
        Some(self.tree.item(at)?.path.clone())
    }
}

/// The most alike of some names, if one is alike at all.
fn most_alike<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = wanted.to_lowercase().chars().take(LONGEST).collect();
    let mut best = (wanted.len() / 3 + 2, None);
    for name in names {
        let other: Vec<char> = name.to_lowercase().chars().take(LONGEST).collect();
        if wanted.len().abs_diff(other.len()) >= best.0 {
            continue;
        }
        let distance = distance(&wanted, &other, best.0);
        // the first in the alphabet of those that are as near, so that the answer does not change from run to run
        if distance < best.0 || (distance == best.0 && best.1.is_some_and(|best| name < best)) {
            best = (distance, Some(name));
        }
    }
    best.1
}

/// So many characters of a name are compared.
const LONGEST: usize = 80;

/// How many characters have to change (Levenshtein); `limit` if it is that many or more.
fn distance(one: &[char], other: &[char], limit: usize) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, character) in one.iter().enumerate() {
        let mut corner = place;
        let mut left = place + 1;
        let mut least = left;
        for (above, against) in row.iter_mut().skip(1).zip(other) {
            let changed = corner + usize::from(character != against);
            corner = *above;
            left = changed.min(*above + 1).min(left + 1);
            *above = left;
            least = least.min(left);
        }
        if let Some(first) = row.first_mut() {
            *first = place + 1;
        }
        if least >= limit {
            return limit;
        }
    }
    row.last().copied().unwrap_or(limit).min(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let rows = [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "ab", 1),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ];
        for (one, other, expected) in rows {
            let letters = |text: &str| text.chars().collect::<Vec<char>>();
            assert_eq!(distance(&letters(one), &letters(other), 10), expected);
        }
        assert_eq!(
            most_alike("SR:TEMP", ["SR:TMP", "SR:PRESSURE"].into_iter()),
            Some("SR:TMP")
        );
        assert_eq!(most_alike("xyz", ["SR:TMP"].into_iter()), None);
    }
}
