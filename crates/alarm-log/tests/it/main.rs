//! Tests of the logger from outside: real processes that are killed, both buses.
//!
//! `ALARM_LOG_CHILD` is set by tests for processes that they start themselves.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here must fail the test"
)]

mod elasticsearch;
mod kafka;
mod kills;
mod logging;
mod loki;
mod service;
mod story;
