//! Where values of PVs come from and go to.
//!
//! [`Pvs`] is what the server needs: Channel Access has it ([`channel_access`]), and a scripted one for tests
//! ([`scripted`]).

pub mod channel_access;
pub mod scripted;

use std::fmt;
use std::sync::Arc;

use alarm::State;
use futures_util::future::BoxFuture;

/// Which watch an event belongs to. Numbers are chosen by whoever watches and are not used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u64);

/// Something that happened to a watched PV.
#[derive(Debug, Clone, PartialEq)]
pub struct PvEvent {
    /// Which.
    pub id: WatchId,
    /// What.
    pub what: PvNews,
}

/// What can happen to a PV.
#[derive(Debug, Clone, PartialEq)]
pub enum PvNews {
    /// A server was found and serves it.
    Connected {
        /// Where it is, for people.
        server: Arc<str>,
    },
    /// A value.
    Value {
        /// The value with its alarm.
        state: State,
        /// How many earlier ones it stands for because nobody took them in time.
        coalesced: u32,
    },
    /// The connection is lost.
    Disconnected,
    /// It cannot be watched at all; why.
    Impossible(String),
    /// Something is wrong with it, although it goes on; for people.
    Trouble(String),
}

/// What is written to a PV.
#[derive(Debug, Clone, PartialEq)]
pub enum PutValue {
    /// A number.
    Number(f64),
    /// Text; long ones go to arrays of characters.
    Text(String),
}

impl fmt::Display for PutValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Text(text) => formatter.write_str(text),
        }
    }
}

/// Watches PVs.
pub trait Pvs: Send {
    /// Watches a PV. What goes wrong comes as an event.
    fn watch(&mut self, id: WatchId, name: &str);

    /// Lets a PV go.
    fn unwatch(&mut self, id: WatchId);

    /// Waits for events and gives all that are there, up to a bound; those of one watch in their order. `None` after the
    /// end. Dropping the future loses none.
    fn next(&mut self) -> BoxFuture<'_, Option<Vec<PvEvent>>>;

    /// A way to write.
    fn puts(&self) -> Arc<dyn Puts>;

    /// Closes all connections.
    fn close(&mut self) -> BoxFuture<'_, ()>;
}

/// Writes PVs.
pub trait Puts: Send + Sync {
    /// Writes a value and waits until the server of the PV has confirmed it; the error is for people. There is no bound
    /// in time.
    fn put(&self, name: String, value: PutValue) -> BoxFuture<'static, Result<(), String>>;
}
