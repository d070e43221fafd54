//! The alarm server: Channel Access, bus, control API, metrics and actions around the logic of [`alarm`].
//!
//! [`Shell`] joins the parts: it is made from [`Settings`], a bus and a source of PVs, and [`Shell::run`] until it is
//! told to stop. One task owns the logic ([`alarm::server::Server`]); everything else asks it with messages, so there
//! are no locks around it and whatever happens has one order.
//!
//! Who speaks is decided at two places only: records leave through [`shell::publisher`], actions through [`actions`].
//! A stand-by keeps everything else running and closes these two ([`election`], [`shell::lead`]).
//!
//! This crate knows neither the terminal nor the command line nor the environment.

pub mod actions;
pub mod api;
pub mod clock;
pub mod election;
pub mod metrics;
pub mod pvs;
pub mod secrets;
pub mod settings;
pub mod shell;
pub mod stream;

pub use settings::Settings;
pub use shell::{Shell, ShellError};
