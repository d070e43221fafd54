//! The alarm logger: everything that the topics of an alarm configuration carry, kept exactly once and found again.
//!
//! Records go one way: [`intake`] reads them from the bus into the [`spool`] on the disk, because the bus forgets fast;
//! [`drain`] takes them from there to the [`sink`]s. What a record means is said by [`record`], without I/O. The identity
//! of an [`Entry`] comes from the bus, so that writing it once more changes nothing: that is what makes "at least once"
//! on the way "exactly once" in the history.
//!
//! This crate knows neither the terminal nor the command line nor the environment.

pub mod database;
pub mod dead_letter;
pub mod drain;
mod entry;
mod hash;
pub mod import;
pub mod intake;
mod lines;
pub mod logger;
pub mod phoebus;
pub mod query;
pub mod record;
pub mod remote;
pub mod rest;
pub mod sink;
pub mod spool;
pub mod stats;
pub mod status;

pub use entry::{Command, Config, Deletion, Entry, Event, Gap, Kind, State, Talk};
pub use logger::{Logger, Settings};
