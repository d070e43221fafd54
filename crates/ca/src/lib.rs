//! Channel Access client.
//!
//! What it is for: finding the server of a PV, connecting to it, and reading or writing a value, so that a deployment
//! can tell whether an IOC answers. The protocol lives in pure modules that neither open sockets nor read a clock:
//!
//! * [`proto`]: messages and values as bytes;
//! * [`search`]: which search datagrams to send when, and what the answers mean;
//! * [`circuit`]: one TCP connection to one server;
//! * [`environment`]: the `EPICS_CA_*` variables, taken from a map that the caller passes in.
//!
//! [`driver`] is the thin shell around them: sockets, timers, host names, network interfaces.
//!
//! What it deliberately does not do yet: monitors, beacons and long-lived channels. Each [`Client`] call opens what it
//! needs and closes it again. There is no server side.
//!
//! Protocol facts come from the Channel Access Protocol Specification (EPICS documentation) and from the behaviour of
//! EPICS base 7 (`libca`, `rsrv`).

pub mod circuit;
pub mod configuration;
pub mod driver;
pub mod environment;
mod event;
pub mod interfaces;
mod name;
pub mod proto;
pub mod search;

pub use configuration::Configuration;
pub use driver::{Client, Context, Error, Events, Found};
pub use environment::Address;
pub use event::{Event, Mask, Reading, Update, WatchId};
pub use name::{InvalidName, PvName};
pub use proto::{AccessRights, Array, DataType, Severity, Status, Timestamp, Value};
