//! Macro definitions and their expansion, as EPICS `macLib` does it (base 7.0.10).
//!
//! The behaviour is that of `modules/libcom/src/macLib` of EPICS base, oddities included: it is
//! compared with recorded answers of the real library in `tests/macros.rs`. Two things differ on
//! purpose: nesting and work are bounded, and text on which `macLib` never returns ends here.
//! This module knows neither files nor the process environment; both are passed in.

mod definitions;
mod expand;

use std::collections::BTreeMap;
use std::rc::Rc;

pub use definitions::{Definition, parse_definitions};
pub use expand::{Expander, Expansion, MacroProblem, MacroProblemKind};

/// Environment variables by name.
pub type Environment = BTreeMap<String, String>;

/// A value that `macLib` keeps for a macro is cut at this many bytes (`MAC_SIZE`).
pub const VALUE_LIMIT: usize = 256;

/// A set of macros with nested scopes. Values are kept as written and expanded when used, so they
/// may refer to macros that are defined later.
#[derive(Clone, Debug, Default)]
pub struct Macros {
    entries: Vec<Entry>,
    level: u32,
}

#[derive(Clone, Debug)]
struct Entry {
    name: Rc<str>,
    value: Rc<str>,
    level: u32,
}

impl Macros {
    /// No macros.
    pub fn new() -> Self {
        Self::default()
    }

    /// The macros of a definition string such as `P=BL01,R="a,b"`.
    pub fn from_definitions(text: &str) -> Self {
        let mut macros = Self::new();
        macros.define(text);
        macros
    }

    /// Adds the macros of a definition string; a name without `=` removes that macro.
    pub fn define(&mut self, text: &str) {
        for definition in parse_definitions(text) {
            match definition.value {
                Some(value) => self.set(&definition.name, &value),
                None => self.remove(&definition.name),
            }
        }
    }

    /// Defines a macro in the innermost scope.
    pub fn set(&mut self, name: &str, value: &str) {
        let level = self.level;
        let existing = self
            .entries
            .iter_mut()
            .rev()
            .find(|entry| &*entry.name == name);
        match existing {
            Some(entry) if entry.level == level => entry.value = value.into(),
            _ => self.entries.push(Entry {
                name: name.into(),
                value: value.into(),
                level,
            }),
        }
    }

    /// Removes a macro from every scope.
    pub fn remove(&mut self, name: &str) {
        self.entries.retain(|entry| &*entry.name != name);
    }

    /// Opens a scope: what is defined from here on goes with [`Macros::pop_scope`].
    pub fn push_scope(&mut self) {
        self.level += 1;
    }

    /// Closes the innermost scope.
    pub fn pop_scope(&mut self) {
        if self.level > 0 {
            self.entries.retain(|entry| entry.level < self.level);
            self.level -= 1;
        }
    }

    /// The value of a macro as written, before expansion.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.entries
            .iter()
            .rev()
            .find(|entry| &*entry.name == name)
            .map(|entry| &*entry.value)
    }

    /// Names and values as written, innermost definition last.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|entry| (&*entry.name, &*entry.value))
    }

    /// Expands one text with these macros only. For many texts make an [`Expander`].
    pub fn expand(&self, text: &str) -> Expansion {
        Expander::new(self).expand(text)
    }
}
