//! The one integration-test binary: it runs the real `ioc` as a user would.
//!
//! One module per subject. Tests that need a real part (container engine, helm, EPICS) get it through
//! [`testbed`], which fails under `CI=true` when the part is missing and otherwise says loudly what was left out.
//! docs/testing.md tells what is tested where.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests stop at the first surprise, and say aloud what they could not check"
)]

mod alarm;
mod alarm_server;
mod architecture;
mod bad_input;
mod beamline;
mod check;
mod console_program;
mod context;
mod documentation;
mod end_to_end;
mod engine;
mod help;
mod image_scripts;
mod kubernetes;
mod local_backend;
mod new;
mod podman;
#[path = "../testbed/port.rs"]
mod port;
mod recipes;
mod registry;
mod release;
mod render;
mod site;
mod sources;
mod terminal;
mod testbed;
mod versions;
mod web;
