//! Go's `text/template`: lexer, parser and executor.
//!
//! Language and messages are those of Go 1.26 (`text/template`, `text/template/parse`). What a
//! template may call is in [`crate::functions`]; what it is given is made in [`crate::engine`].
//! This module knows nothing of charts.

pub(crate) mod ast;
pub(crate) mod call;
pub(crate) mod compare;
pub(crate) mod display;
pub(crate) mod error;
pub(crate) mod exec;
pub(crate) mod fields;
pub(crate) mod fuel;
mod lexer;
pub(crate) mod nested;
mod number;
mod original;
pub(crate) mod parser;
pub(crate) mod set;
mod turns;

#[cfg(test)]
mod tests;
