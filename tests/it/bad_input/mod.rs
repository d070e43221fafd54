//! What wrong input gets: place, reason, hint and exit code, and nothing changed.
//!
//! Each test is one mistake that a person makes, and the whole answer that they see. [`TestContext::refuse`]
//! checks that project and state are as before.
//!
//! [`TestContext::refuse`]: crate::context::TestContext::refuse

mod charts;
mod clusters;
mod command_line;
mod engine;
mod images;
mod kubeconfigs;
mod new;
mod project;
mod releases;
mod services;
mod sources;
