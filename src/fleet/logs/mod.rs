//! Logs of instances: cutting the engine's stream into lines, time windows, merging several instances.

pub mod line;
pub mod merge;
pub mod store;
pub mod stream;
pub mod window;
