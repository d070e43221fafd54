//! The IOC shell of a running instance: what may be typed into it, and what of its output may reach a terminal.

pub mod filter;
pub mod output;
