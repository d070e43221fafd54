//! The alarm system's logic and messages: what a value of a PV does to its alarm, what that does to the groups above,
//! and how both are written for Phoebus and its relatives.
//!
//! This crate has no sockets, no clock, no randomness and no threads: time is passed in, what has to be done comes
//! back as values. Channel Access, the bus, the configuration's files and the control API are other people's work.
//!
//! Sources of the rules: the Phoebus alarm server (release 5.0.5) as it was observed on the wire, and the description
//! of its messages. Where we differ on purpose stands in `docs/alarm-compatibility.md`.

pub mod config;
pub mod files;
pub mod formula;
pub mod leaf;
pub mod path;
pub mod plan;
pub mod random;
pub mod server;
pub mod severity;
pub mod simulate;
pub mod state;
pub mod text;
pub mod time;
pub mod tree;
pub mod value;
pub mod wire;

pub use path::AlarmPath;
pub use severity::Severity;
pub use state::{ClientState, State};
pub use text::Text;
pub use time::Time;
pub use value::Value;
