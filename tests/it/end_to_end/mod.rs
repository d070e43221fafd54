//! The main job with real parts: images built by `ioc build`, instances of beamlines that `ioc new` wrote, in real
//! containers, and values read through Channel Access.
//!
//! Every test has a beamline of its own; see [`crate::beamline`].

mod autosave;
mod console;
mod deploy;
mod lifecycle;
mod logs;
mod output;
mod records;
mod releases;
mod trouble;
mod untidy;
