//! Alarm trees in our own format: YAML, and JSON with the same names.
//!
//! ```yaml
//! configuration: Accelerator
//! guidance: call the control room          # a text, or a list of texts and of {title, details}
//! groups:
//!   Vacuum:
//!     actions:
//!       - {details: "mailto:vacuum@lab.example", delay: 60}
//!     pvs:
//!       SR:VAC:P1:
//!         description: pressure of the first sector
//!         delay: 5
//!         filter: "'SR:CURRENT' > 1"
//!       SR:VAC:P2:
//!     include: sectors.csv                 # what is in it comes into this group
//! ```
//!
//! What is missing has the value that it has in the alarm system's messages: enabled, latching, annunciating, without
//! delay, count and filter; a PV without a description is described by its name.

mod read;
mod write;

pub use read::read;
pub use write::{to_json, to_yaml};

#[cfg(test)]
mod tests;

/// Fields of a group.
const OF_GROUPS: [&str; 7] = [
    "guidance", "displays", "commands", "actions", "pvs", "groups", "include",
];
/// Fields of a PV.
const OF_PVS: [&str; 11] = [
    "description",
    "enabled",
    "latching",
    "annunciating",
    "delay",
    "count",
    "filter",
    "guidance",
    "displays",
    "commands",
    "actions",
];
