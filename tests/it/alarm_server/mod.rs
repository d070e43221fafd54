//! `ioc alarm serve` and its clients: real processes, a real IOC, both buses.
//!
//! Every test has an IOC on a port of its own, a configuration of its own and, but for Kafka, a bus of its own.

mod api;
pub(crate) mod bed;
mod buses;
mod doctor;
mod forward;
mod history;
mod kafka;
mod killed;
mod pv;
mod refused;
mod replicas;
mod services;
