//! What a deploy or a rollback would change: resources and fields, records, and the actions on the engine in order.
//!
//! Pure: two sets of manifests, what the engine has, and what the release asks for, in; a plan out.

pub mod actions;
pub mod changes;
pub mod records;
pub mod show;
#[cfg(test)]
mod tests;

pub use actions::{Action, Existing, ImageFact, Reason, actions};
pub use changes::{Change, FieldChange, Nature, changes, fields};
pub use records::{FieldValue, RecordChange, Records, record_changes};
