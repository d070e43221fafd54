//! Filters: formulas that enable their PV while they are above 0.

use std::time::Duration;

use crate::formula::{Formula, FormulaError, Input, Value};
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
        let text = watched.config.filter.trim().to_owned();
        if text.is_empty() {
            return None;
        }
        let formula = match Formula::parse(&text) {
            Ok(formula) => formula,
            Err(error) => return Some(error),
        };
        let inputs = formula.inputs().to_vec();
        watched.filter = Some(Filter {
            formula,
            enables: true,
            due: None,
            last: None,
        });
        for input in inputs {
            self.pvs.entry(input).or_default().filters.push(id);
        }
        None
    }

    /// Takes the filter of a leaf away; the names of the PVs that it needed.
    pub(super) fn end_filter(&mut self, id: ItemId) -> Vec<String> {
        let filter = self
            .tree
            .leaf_mut(id)
            .and_then(|watched| watched.filter.take());
        let Some(filter) = filter else {
            return Vec::new();
        };
        if let Some(due) = filter.due {
            self.timers.remove(&(due, Timer::Filter(id)));
        }
        let inputs = filter.formula.inputs().to_vec();
        for input in &inputs {
            if let Some(pv) = self.pvs.get_mut(input) {
                pv.filters.retain(|leaf| *leaf != id);
            }
        }
        inputs
    }

    /// The PVs that the filter of a leaf needs.
    pub(super) fn filter_inputs(&self, id: ItemId) -> Vec<String> {
        let filter = self
            .tree
            .leaf(id)
            .and_then(|watched| watched.filter.as_ref());
        filter
            .map(|filter| filter.formula.inputs().to_vec())
            .unwrap_or_default()
    }

    /// An input has changed: the filter is calculated soon.
    pub(super) fn filter_later(&mut self, id: ItemId, now: Time) {
        let Some(watched) = self.tree.leaf_mut(id).filter(|watched| watched.is_wanted) else {
            return;
        };
        let Some(filter) = watched
            .filter
            .as_mut()
            .filter(|filter| filter.due.is_none())
        else {
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
            .map(|name| {
                let last = self.pvs.get(name).and_then(|pv| pv.last.as_ref());
                last.map_or_else(Input::unknown, input)
            })
            .collect();
        let random = &mut self.random;
        let Some(watched) = self.tree.leaf_mut(id) else {
            return Vec::new();
        };
        let Some(filter) = &mut watched.filter else {
            return Vec::new();
        };
        filter.due = None;
        filter.enables = filter.formula.enables(&inputs, &mut || random.draw());
        let enables = filter.enables;
        self.change(id, |leaf, maintenance| {
            leaf.set_enabled(enables, maintenance, now)
        })
    }
}

fn input(news: &News) -> Input {
    let News::Value(reading) = news else {
        return Input::unknown();
    };
    let state = &reading.state;
    Input {
        value: match reading.number {
            Some(number) => Value::Number(number),
            None => Value::Text(state.value.clone().unwrap_or_default()),
        },
        severity: state.severity,
        seconds: seconds(state.time),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 are exact for millions of years"
)]
fn seconds(time: Time) -> f64 {
    time.seconds as f64 + f64::from(time.nano) / 1e9
}
