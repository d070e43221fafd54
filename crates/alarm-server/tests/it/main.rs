//! The alarm server from outside: its records on a bus, its API on a socket.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests; clippy knows tests by their attribute, which helper functions lack"
)]

mod api;
mod context;
mod server;
