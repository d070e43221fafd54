//! Messages of the alarm topics: keys, and JSON exactly as Phoebus writes it and as leniently as Phoebus reads it.
//!
//! A configuration named `X` has three topics. `X` carries `config:` and `state:` records and is compacted, `XCommand`
//! carries `command:` records, `XTalk` carries `talk:` records. A record without a value is a tombstone.

pub mod command;
pub mod config;
pub mod json;
pub mod key;
pub mod state;
pub mod talk;

pub use key::{Key, Kind};
