//! The one grammar that `.dbd` and `.db` files share (`dbLex.l`, `dbYacc.y` of EPICS base).
//!
//! Reads text line by line, expands macros per line as base does, and makes items of it. What the
//! items mean, and whether they fit together, is decided in [`crate::dbd`] and [`crate::db`].

mod item;
mod lexer;
mod msi;
mod parser;
mod token;

pub(crate) use item::{FieldDefinition, RecordTypeItem};
pub(crate) use item::{FieldItem, Item, RecordItem, Text, Value, ValueKind};
pub(crate) use lexer::macro_diagnostic;
pub(crate) use parser::{Source, parse};
