//! Tests of the buses from outside: one contract over all of them, and what each of them has of its own.
//!
//! `BUS_CHILD` and its like are set by tests for processes that they start themselves.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "what fails here must fail the test"
)]

mod contract;
mod embedded;
mod kafka;
mod scripted;
