//! The alarm server from outside: its records on a bus, its API on a socket; scripted parts for what has to be exact,
//! a real EPICS IOC and real buses for what has to be true.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests; clippy knows tests by their attribute, which helper functions lack"
)]

mod actions;
mod api;
mod broker;
#[path = "../../../../tests/conformance/alarm/compare.rs"]
mod compare;
mod context;
mod cut;
mod faults;
mod ioc;
#[path = "../../../../tests/testbed/port.rs"]
mod port;
mod replicas;
mod server;
mod traces;
