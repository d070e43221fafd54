//! What a format did not keep.

use std::collections::HashMap;

use crate::config::Notes;
use crate::files::{Item, TreeFile};
use crate::path::AlarmPath;
use crate::plan::{FieldChange, fields};

/// What is missing of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Of which item.
    pub path: AlarmPath,
    /// Which fields are not as they were; none if the whole item is missing.
    pub fields: Vec<FieldChange>,
}

/// What of a tree is missing or different after it was written in some format and read again. Formats keep different
/// things; this looks instead of knowing.
pub fn losses(before: &TreeFile, after: &TreeFile) -> Vec<Loss> {
    let after: HashMap<AlarmPath, Item<'_>> = after.items().into_iter().collect();
    let mut losses = Vec::new();
    for (path, item) in before.items() {
        let fields = match (item, after.get(&path)) {
            (Item::Group(before), Some(Item::Group(after))) => fields::of_notes(before, after),
            (Item::Pv(before), Some(Item::Pv(after))) => fields::of_leaf(before, after),
            (Item::Group(before), None) if *before == Notes::default() && path.depth() == 1 => {
                continue;
            }
            (_, None | Some(_)) => {
                let fields = Vec::new();
                losses.push(Loss { path, fields });
                continue;
            }
        };
        if !fields.is_empty() {
            losses.push(Loss { path, fields });
        }
    }
    losses
}
