//! What can go wrong for a user of the client.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::ConnectionError;
use crate::circuit::Refusal;
use crate::name::{InvalidName, PvName};

/// Why a PV could not be found, read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The name cannot be that of a PV.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// No address to search at.
    #[error(
        "there is nowhere to search for `{pv}`: no addresses, no interfaces with broadcast, no name servers"
    )]
    NowhereToSearch {
        /// Which PV.
        pv: PvName,
    },
    /// The search socket could not be opened.
    #[error("failed to open a socket to search for `{pv}`")]
    Socket {
        /// Which PV.
        pv: PvName,
        /// The system's reason.
        source: Arc<std::io::Error>,
    },
    /// Nobody has the PV.
    #[error("no server answered for `{pv}` within {}; searched {searched}", Seconds(*.after))]
    NotFound {
        /// Which PV.
        pv: PvName,
        /// How long it was searched for.
        after: Duration,
        /// Where.
        searched: Arc<Searched>,
    },
    /// A server answered the search, but not over TCP, or the connection to it ended.
    #[error("server {server} answered the search for `{pv}` but cannot be used")]
    Connection {
        /// Which PV.
        pv: PvName,
        /// Which server.
        server: SocketAddr,
        /// What went wrong.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The server answered the search but has no such PV when asked for a channel.
    #[error("server {server} answered the search for `{pv}` but did not give a channel to it")]
    NotCreated {
        /// Which PV.
        pv: PvName,
        /// Which server.
        server: SocketAddr,
    },
    /// Found, but not done in time.
    #[error("{action} `{pv}` at {server} was not done within {}", Seconds(*.after))]
    Timeout {
        /// Which PV.
        pv: PvName,
        /// Which server.
        server: SocketAddr,
        /// What was being done.
        action: &'static str,
        /// The time given for all of it, the search included.
        after: Duration,
    },
    /// Access security forbids reading.
    #[error("server {server} does not allow this user and host to read `{pv}`")]
    NoReadAccess {
        /// Which PV.
        pv: PvName,
        /// Which server.
        server: SocketAddr,
    },
    /// Access security forbids writing.
    #[error("server {server} does not allow this user and host to write `{pv}`")]
    NoWriteAccess {
        /// Which PV.
        pv: PvName,
        /// Which server.
        server: SocketAddr,
    },
    /// The server could not read.
    #[error("server {server} did not read `{pv}`")]
    ReadRefused {
        /// Which PV.
        pv: PvName,
        /// Which server.
        server: SocketAddr,
        /// The server's status.
        source: Refusal,
    },
    /// The server could not write.
    #[error("server {server} did not write `{pv}`")]
    WriteRefused {
        /// Which PV.
        pv: PvName,
        /// Which server.
        server: SocketAddr,
        /// The server's status.
        source: Refusal,
    },
    /// The text cannot be sent as a value of this PV.
    #[error(
        "a text of {length} bytes cannot be written to `{pv}`: at most {longest} bytes, without zeros"
    )]
    ValueText {
        /// Which PV.
        pv: PvName,
        /// Bytes in the text.
        length: usize,
        /// Bytes that the PV takes.
        longest: u32,
    },
}

impl Error {
    pub(super) fn connection(pv: &PvName, server: SocketAddr, source: ConnectionError) -> Self {
        Self::Connection {
            pv: pv.clone(),
            server,
            source: Arc::new(source),
        }
    }
}

/// Where a search went, and which places it could not reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    /// Addresses that datagrams were sent to.
    pub addresses: Vec<SocketAddr>,
    /// Name servers that were asked over TCP.
    pub name_servers: Vec<SocketAddr>,
    /// What did not work on the way, in plain words.
    pub problems: Vec<String>,
}

impl fmt::Display for Searched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.addresses.iter().map(SocketAddr::to_string);
        let servers = self
            .name_servers
            .iter()
            .map(|server| format!("name server {server}"));
        let places: Vec<_> = addresses.chain(servers).collect();
        if places.is_empty() {
            formatter.write_str("nowhere")?;
        } else {
            formatter.write_str(&places.join(", "))?;
        }
        if !self.problems.is_empty() {
            write!(formatter, " ({})", self.problems.join("; "))?;
        }
        Ok(())
    }
}

/// A duration as people write it: `5 s`, `0.25 s`.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} s", self.0.as_secs_f64())
    }
}

/// An error and its causes on one line.
pub(super) struct Chain<'a>(pub(super) &'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
