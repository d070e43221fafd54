//! Alarm configurations: as files in each of their formats, as records of the IOCs that are deployed, and on the bus.
//!
//! What an alarm tree is, what can be wrong with it and what a difference needs to be published is decided in
//! `crates/alarm`; this module opens the files, knows the formats that need our YAML library, and asks others.

pub mod annotations;
pub mod bus;
pub mod client;
pub mod doctor;
pub mod document;
pub mod files;
pub mod follow;
pub mod generate;
pub mod history;
pub mod live;
pub mod scenario;
pub mod server;
pub mod server_settings;
