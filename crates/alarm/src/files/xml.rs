//! Phoebus' XML: `<config>` with `<component>`s and `<pv>`s.

mod document;
mod read;
mod write;

pub use read::read;
pub use write::write;

#[cfg(test)]
mod tests;
