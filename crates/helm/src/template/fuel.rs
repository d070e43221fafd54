//! How much a template may make the functions do: a chart is input of somebody else.
//!
//! The executor counts nodes; this counts what one call can hide: long texts, long lists, values
//! nested in themselves, regular expressions. All of it ends in an error with the place.

use super::exec::{Executed, State};
use crate::functions::Function;
use crate::go::value::Value;

/// Bytes of text, or items of a list, that cost as much as a node.
const BYTES_PER_STEP: u64 = 32;
const ITEMS_PER_STEP: u64 = 4;
/// What an item of a list or map takes in memory.
const ITEM_BYTES: usize = 32;
/// Values inside one another, for functions that walk through them.
const DEEPEST: usize = 1000;

impl State<'_> {
    /// Counts memory that is about to be used.
    pub(crate) fn reserve(&self, bytes: u64) -> Executed<()> {
        let total = self.runtime.allocated.get().saturating_add(bytes);
        self.runtime.allocated.set(total);
        let most = self.runtime.limits.memory_bytes;
        if total > most {
            return self.error(format!(
                "functions of the chart made more than {most} bytes of values"
            ));
        }
        Ok(())
    }

    /// As [`Self::reserve`] for so many parts of so many bytes.
    pub(crate) fn reserve_parts(&self, parts: usize, bytes: usize) -> Executed<()> {
        self.reserve((parts as u64).saturating_mul(bytes as u64))
    }

    pub(super) fn before_call(&self, function: &Function, arguments: &[Value]) -> Executed<()> {
        for argument in arguments {
            match argument {
                Value::Str(text) => self.charge(text.len() as u64 / BYTES_PER_STEP)?,
                Value::List(list) => self.charge(list.items.len() as u64 / ITEMS_PER_STEP)?,
                _ => {}
            }
        }
        if function.walks_through() {
            self.measure(arguments)?;
        }
        Ok(())
    }

    pub(super) fn after_call(&self, result: &Value) -> Executed<()> {
        match result {
            Value::Str(text) => self.reserve(text.len() as u64),
            Value::List(list) => self.reserve_parts(list.items.len(), ITEM_BYTES),
            _ => Ok(()),
        }
    }

    /// Counts everything inside values; a map that contains itself is an error.
    pub(crate) fn measure(&self, values: &[Value]) -> Executed<()> {
        values.iter().try_for_each(|value| self.walk(value, 0))
    }

    fn walk(&self, value: &Value, depth: usize) -> Executed<()> {
        if depth > DEEPEST {
            return self.error(format!(
                "a value is nested more than {DEEPEST} levels deep, or contains itself"
            ));
        }
        match value {
            Value::List(list) => {
                self.charge(list.items.len() as u64 / ITEMS_PER_STEP + 1)?;
                self.reserve_parts(list.items.len(), ITEM_BYTES + 2 * depth)?;
                list.items
                    .iter()
                    .filter(|item| matches!(item, Value::List(_) | Value::Map(_) | Value::Str(_)))
                    .try_for_each(|item| self.walk(item, depth + 1))
            }
            Value::Map(map) => {
                let entries = map.borrow();
                self.charge(entries.len() as u64 / ITEMS_PER_STEP + 1)?;
                self.reserve_parts(entries.len(), ITEM_BYTES + 2 * depth)?;
                entries
                    .values()
                    .try_for_each(|entry| self.walk(entry, depth + 1))
            }
            Value::Str(text) => self.reserve(text.len() as u64),
            _ => Ok(()),
        }
    }
}
