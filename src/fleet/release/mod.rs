//! Releases: the revisions of an instance, their states, and what follows from them.
//!
//! Pure. Records are Helm's own ([`record`]); where they are kept is [`super::store`].

pub mod decide;
pub mod record;
#[cfg(test)]
mod tests;

pub use decide::{Repair, deployed, next_revision, prune, repair, rollback_target};
pub use record::{Record, Status};
