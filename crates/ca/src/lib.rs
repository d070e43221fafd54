//! Channel Access client.
//!
//! What it is for: finding the server of a PV, connecting to it, reading, writing and watching values, for one question
//! ([`Client`]) or for months and a hundred thousand PVs ([`Context`]). The protocol lives in pure modules that neither open
//! sockets nor read a clock:
//!
//! * [`proto`]: messages and values as bytes;
//! * [`search`]: which search datagrams to send when, and what the answers mean;
//! * [`circuit`]: one TCP connection to one server;
//! * [`beacons`]: what the beacons of servers say, and when that means to search again;
//! * [`repeater`]: how the beacons reach all clients of a machine;
//! * [`channels`]: everything together: watches, requests, circuits, and the events that wait for the reader;
//! * [`environment`]: the `EPICS_CA_*` variables, taken from a map that the caller passes in.
//!
//! [`driver`] is the thin shell around them: sockets, timers, host names, network interfaces.
//!
//! What it deliberately does not do: there is no server side and no pvAccess; it knows only IPv4, as Channel Access does;
//! values are not kept, and text is not formatted as other programs print it.
//!
//! Protocol facts come from the Channel Access Protocol Specification (EPICS documentation) and from the behaviour of
//! EPICS base 7 (`libca`, `rsrv`).

pub mod beacons;
pub mod channels;
pub mod circuit;
pub mod configuration;
pub mod driver;
pub mod environment;
mod event;
pub mod interfaces;
mod name;
pub mod proto;
pub mod repeater;
pub mod search;

pub use channels::{Description, Statistics};
pub use configuration::Configuration;
pub use driver::{Client, Context, Error, Events, Found};
pub use environment::Address;
pub use event::{Event, Reading, Update, WatchId};
pub use name::{InvalidName, PvName};
pub use proto::{
    AccessRights, Array, DataType, Mask, Properties, Severity, Status, Timestamp, Value,
};
