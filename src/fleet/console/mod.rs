//! The IOC shell of a running instance: what may be typed into it, what of its output may reach a terminal, and
//! the connection to it.

pub mod connection;
pub mod debug;
pub mod engine;
pub mod filter;
pub mod output;
pub mod telnet;
pub mod terminal_output;
pub mod transcript;
