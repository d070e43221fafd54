//! Tables of alarms (CSV), as SLAC and its experiment halls write them.
//!
//! A row with a number in the first column begins a group at that depth, one without is a PV of the group above. The
//! columns are found by their headings:
//!
//! | heading | groups | PVs | without it |
//! |---|---|---|---|
//! | `#Indent` | depth, 0 is right below the root | empty | needed |
//! | `Branch` | name | | needed |
//! | `PV` | summary PV, passed over | name | needed |
//! | `Description` | passed over | what it is | the name of the PV |
//! | `Latch` | | `TRUE` or `FALSE` | latching |
//! | `Delay` | | seconds | none |
//! | `Count` | | alarms within the delay | none |
//! | `Filter` | | formula | none |
//! | `Guidance` | what to do | what to do | none |
//! | `Enabled` (ours) | | `TRUE`, `FALSE`, a date | enabled |
//! | `Annunciate` (ours) | | `TRUE` or `FALSE` | announced |
//!
//! `major://…` and `minor://…` as names of PVs are formulas that are in alarm while they hold.

mod read;
mod write;

pub use read::read;
pub use write::write;

#[cfg(test)]
mod tests;
