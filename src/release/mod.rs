//! What a git tag releases: charts with its version, images with its tag, notes about what is new.
//!
//! Here is what a release consists of and what must be true of it before anything is pushed; registry and engine are reached by
//! the command. It sits above `services`, `versions` and `fleet::plan`, which do not know it.

pub mod charts;
pub mod notes;
pub mod verify;

pub use self::charts::{ReleasedChart, chart};
pub use self::notes::Notes;
