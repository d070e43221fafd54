//! What a watcher of PVs is told.
//!
//! What it deliberately does not do: say how values become text as other programs print them; a [`Reading`] carries the
//! native type, all elements, and number and label of a state.

use std::net::SocketAddr;

use crate::proto::{AccessRights, DataType, Sample, Severity, Status, Timestamp, Value};

/// Number of one watch, chosen by the caller. It should not be used again while events of its last use can be waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u64);

/// The value of a PV at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The value.
    pub value: Value,
    /// Alarm severity.
    pub severity: Severity,
    /// Alarm status.
    pub status: Status,
    /// When the record last processed.
    pub timestamp: Timestamp,
}

impl Reading {
    /// A decoded value; the label of a state is taken from `labels`.
    pub fn new(sample: Sample, labels: &[String]) -> Self {
        let mut value = sample.value;
        if let Value::Enum { index, label } = &mut value {
            *label = labels.get(usize::from(*index)).cloned();
        }
        Self {
            value,
            severity: sample.alarm.severity,
            status: sample.alarm.status,
            timestamp: sample.timestamp,
        }
    }
}

/// A value that arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The value; the label of a state is filled in if the server has one.
    pub reading: Reading,
    /// How many values arrived before this one that the reader was too slow to take. The server may have left out more,
    /// when it was asked to pause or was itself too slow.
    pub coalesced: u32,
}

/// Something that happened to a watched PV.
///
/// The events of one watch keep their order; connection events are never left out.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A server has the PV, and a channel to it is there. The first value follows, if it can be read.
    Connected {
        /// The server's TCP address.
        server: SocketAddr,
        /// Native type.
        data_type: DataType,
        /// Largest number of elements.
        count: u32,
        /// What this client may do.
        rights: AccessRights,
    },
    /// A value.
    Value(Update),
    /// What this client may do has changed. Without read access no values come until it changes again.
    AccessRights(AccessRights),
    /// The channel is gone; the PV is searched for again.
    Disconnected,
    /// Another server answered for the same name: the PV exists twice, or one server answers on several interfaces. The
    /// first one goes on to be used. Reported once for each other server.
    Duplicate {
        /// The server in use, then the other one.
        servers: Vec<SocketAddr>,
    },
}
