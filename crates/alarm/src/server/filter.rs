//! Filters: formulas that enable their PV while they are above 0.

use std::time::Duration;

use crate::formula::{Formula, FormulaError, Input};
use crate::server::sources::{PvId, input};
use crate::server::{Effect, News, Server, Timer};
use crate::time::Time;
use crate::tree::ItemId;

/// How long after its first input has changed a filter is calculated.
const SETTLE: Duration = Duration::from_millis(100);
/// Inputs that change faster than this are looked at that often.
const THROTTLE: Duration = Duration::from_millis(500);

/// The filter of a leaf.
#[derive(Debug)]
pub(super) struct Filter {
    formula: Formula,
    inputs: Vec<PvId>,
    /// What it said last; before it said anything the PV is enabled.
    pub(super) enables: bool,
    due: Option<Time>,
    last: Option<Time>,
}

impl Server {
    /// Reads the filter of a leaf anew. One that is no formula is passed over, and the PV is enabled.
    pub(super) fn set_filter(&mut self, id: ItemId) -> Option<FormulaError> {
        self.end_filter(id);
        let watched = self.tree.leaf_mut(id)?;
        let text = watched.config.filter.as_deref().unwrap_or_default().trim();
        if text.is_empty() {
            return None;
        }
        let formula = match Formula::parse(text) {
            Ok(formula) => formula,
            Err(error) => return Some(error),
        };
        let inputs: Vec<PvId> = formula
            .inputs()
            .iter()
            .map(|input| self.pvs.take(input))
            .collect();
        for input in &inputs {
            if let Some(pv) = self.pvs.get_mut(*input) {
                pv.add_filter(id);
            }
        }
        if let Some(watched) = self.tree.leaf_mut(id) {
            watched.set_filter(Some(Filter {
                formula,
                inputs,
                enables: true,
                due: None,
                last: None,
            }));
        }
        None
    }

    /// Takes the filter of a leaf away; the PVs that it needed.
    pub(super) fn end_filter(&mut self, id: ItemId) -> Vec<PvId> {
        let filter = self
            .tree
            .leaf_mut(id)
            .and_then(|watched| watched.set_filter(None));
        let Some(filter) = filter else {
            return Vec::new();
        };
        if let Some(due) = filter.due {
            self.timers.remove(&(due, Timer::Filter(id)));
        }
        for input in &filter.inputs {
            if let Some(pv) = self.pvs.get_mut(*input) {
                pv.remove_filter(id);
            }
        }
        filter.inputs
    }

    /// The PVs that the filter of a leaf needs.
    pub(super) fn filter_inputs(&self, id: ItemId) -> Vec<PvId> {
        let filter = self.tree.leaf(id).and_then(|watched| watched.filter());
        filter
            .map(|filter| filter.inputs.clone())
            .unwrap_or_default()
    }

    /// An input has changed: the filter is calculated soon.
    pub(super) fn filter_later(&mut self, id: ItemId, now: Time) {
        let Some(watched) = self.tree.leaf_mut(id).filter(|watched| watched.is_wanted) else {
            return;
        };
        let Some(filter) = watched.filter_mut().filter(|filter| filter.due.is_none()) else {
            return;
        };
        let earliest = filter
            .last
            .map_or(now, |last| last.after(THROTTLE).max(now));
        let due = earliest.after(SETTLE);
        filter.due = Some(due);
        filter.last = Some(earliest);
        self.timers.insert((due, Timer::Filter(id)));
    }

    /// Calculates the filter and enables or disables its PV.
    pub(super) fn filter_now(&mut self, id: ItemId, now: Time) -> Vec<Effect> {
        let inputs: Vec<Input> = self
            .filter_inputs(id)
            .iter()
            .map(|pv| match self.last(*pv) {
                Some(News::Value(state)) => input(&state),
                Some(News::Disconnected | News::Impossible) | None => Input::unknown(),
            })
            .collect();
        let random = &mut self.random;
        let Some(watched) = self.tree.leaf_mut(id) else {
            return Vec::new();
        };
        let Some(filter) = watched.filter_mut() else {
            return Vec::new();
        };
        filter.due = None;
        filter.enables = filter.formula.enables(&inputs, &mut || random.draw());
        let enables = filter.enables;
        self.change(id, now, |leaf, maintenance| {
            leaf.set_enabled(enables, maintenance, now)
        })
    }
}
