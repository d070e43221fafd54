//! What an EPICS IOC reads when it starts: database definitions (`.dbd`), databases (`.db`,
//! `.template`), substitution files and start-up scripts (`st.cmd`), with macros.
//!
//! The parsers follow EPICS base 7.0.10 closely enough to tell, with file, line and column, what
//! an IOC would refuse before it is deployed. Nothing here reads a file, the environment or the
//! clock: texts come through the [`Files`] trait. Nothing here writes a database either.
//!
//! [`check_ioc`] goes the whole way; [`startup::scan`], [`substitutions::parse`], [`dbd::Dbd::load`]
//! and [`db::load`] read one kind of file each.
//!
//! What cannot be known from texts is not judged: which commands the IOC shell has, whether code
//! for a record type or device is linked in, what drivers make of an `@` address, whether records
//! of other IOCs exist. `on error` is not followed: lines behind a mistake are checked as if the
//! script went on, as it does by default.

pub mod db;
pub mod dbd;
pub mod macros;
pub mod startup;
pub mod substitutions;

mod check;
mod diagnostic;
mod files;
mod names;
mod nearest;
mod syntax;

pub use check::{Report, check_ioc};
pub use diagnostic::{Diagnostic, Severity, Span};
pub use files::{Files, Generated, Lookup};
pub use macros::Environment;
pub use names::{AlarmCondition, RecordSummary};
