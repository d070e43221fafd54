//! Versions of a services repository: its git tags, at which of them an instance changed, and its files at one of them; or the
//! charts that were made from it, in a registry.
//!
//! The machine's own `git` reads and fetches; the working copy and its index are never touched. What is rendered or
//! deployed from the files is not known here.

mod between;
pub mod branch;
mod charts;
mod checkout;
mod error;
mod git;
mod history;
pub mod name;
mod reach;
pub mod selected;

pub use self::between::{Fate, InstanceChange, TaggedCommit, between};
pub use self::charts::{ChartVersion, ReceivedChart};
pub use self::checkout::Checkout;
pub use self::error::VersionsError;
pub use self::git::Location;
pub use self::history::{History, InstanceVersion, history};
pub use self::selected::Repository;
