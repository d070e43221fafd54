//! What a watcher of PVs is told.
//!
//! What it deliberately does not do: say how values become text as other programs print them; a [`Reading`] carries the
//! native type, all elements, and number and label of a state.

use std::fmt;
use std::net::SocketAddr;
use std::ops::BitOr;

use crate::proto::{AccessRights, DataType, Severity, Status, Timestamp, Value};

/// Number of one watch, chosen by the caller. It should not be used again while events of its last use can be waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u64);

/// Which changes a server reports (`DBE_*` in `caeventmask.h`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mask(u8);

impl Mask {
    /// Changes of the value beyond the monitor deadband (`MDEL`).
    pub const VALUE: Self = Self(1);
    /// Changes of the value beyond the archive deadband (`ADEL`).
    pub const LOG: Self = Self(2);
    /// Changes of alarm severity or status.
    pub const ALARM: Self = Self(4);
    /// Changes of units, limits, precision or labels; servers before EPICS 3.14.12 never send them.
    pub const PROPERTY: Self = Self(8);

    /// As it stands in messages.
    pub fn bits(self) -> u16 {
        u16::from(self.0)
    }

    /// Whether all changes in `other` are in this one too.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Default for Mask {
    /// Value and alarm, as most clients have it.
    fn default() -> Self {
        Self::VALUE | Self::ALARM
    }
}

impl BitOr for Mask {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::VALUE, "VALUE"),
            (Self::LOG, "LOG"),
            (Self::ALARM, "ALARM"),
            (Self::PROPERTY, "PROPERTY"),
        ];
        let set: Vec<_> = names
            .iter()
            .filter(|(mask, _)| self.contains(*mask))
            .map(|(_, name)| *name)
            .collect();
        formatter.write_str(&set.join("|"))
    }
}

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
