//! The client: the protocol's state machines on real sockets and timers, by tokio.
//!
//! What it deliberately does not do: keep connections between calls. A call that ends or is dropped closes everything it
//! opened; nothing runs in the background.

mod connection;
mod context;
mod destinations;
mod error;
mod finder;
mod name_server;
mod session;

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::Configuration;
use crate::event::Reading;
use crate::name::{InvalidName, PvName};

use finder::Finder;
use session::Session;

pub use connection::ConnectionError;
pub use context::{Context, Events};
pub use error::{Error, Searched};

/// A server that has a PV and speaks Channel Access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The server's TCP address.
    pub server: SocketAddr,
    /// Other servers that answered for the same name: the PV exists twice, or one server answers on several interfaces.
    pub duplicates: Vec<SocketAddr>,
}

/// A Channel Access client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    configuration: Arc<Configuration>,
}

impl Client {
    /// A client that searches where the configuration says. Nothing is opened yet.
    pub fn new(configuration: Configuration) -> Self {
        Self {
            configuration: Arc::new(configuration),
        }
    }

    /// Waits until a server answers for the PV and has exchanged versions over TCP.
    ///
    /// It searches until `deadline` has passed, so a server that starts meanwhile is found. After the first answer it
    /// waits [`Configuration::settle`] for servers that have the same name.
    pub async fn find(&self, pv: &str, deadline: Duration) -> Result<Found, Error> {
        let mut results = self.find_many(&[pv], deadline).await;
        match results.pop() {
            Some(result) => result,
            None => Err(InvalidName::Empty.into()),
        }
    }

    /// [`Client::find`] for many PVs at once: names share datagrams and each server is connected to once. The results are
    /// in the order of `pvs`.
    pub async fn find_many<S: AsRef<str>>(
        &self,
        pvs: &[S],
        deadline: Duration,
    ) -> Vec<Result<Found, Error>> {
        let names: Vec<_> = pvs.iter().map(|pv| PvName::from_str(pv.as_ref())).collect();
        let valid = names.iter().flatten().cloned().collect();
        let mut found = Finder::run(
            &self.configuration,
            valid,
            deadline,
            self.configuration.settle,
        )
        .await
        .results
        .into_iter();
        names
            .into_iter()
            .filter_map(|name| match name {
                Ok(_) => found.next(),
                Err(invalid) => Some(Err(invalid.into())),
            })
            .collect()
    }

    /// Reads a PV: all its elements, alarm state, time stamp, and the label of an enumerated state.
    pub async fn get(&self, pv: &str, timeout: Duration) -> Result<Reading, Error> {
        let mut session = Session::open(&self.configuration, pv, timeout).await?;
        let reading = session.read().await?;
        session.close().await?;
        Ok(reading)
    }

    /// Writes a PV and waits until its record has processed.
    ///
    /// The server converts the text: numbers, and labels or numbers of enumerated states. An array of characters takes the
    /// text as it is; of other arrays only the first element is written. Text for all but character arrays has at most
    /// 39 bytes.
    pub async fn put(&self, pv: &str, value: &str, timeout: Duration) -> Result<(), Error> {
        let mut session = Session::open(&self.configuration, pv, timeout).await?;
        session.write(value).await?;
        session.close().await
    }
}

/// Longest time that is waited for anything: whoever asks for more means "for ever".
const FOR_EVER: Duration = Duration::from_hours(24 * 365);

/// The time when this duration from now has passed; bounded, because the clock is.
fn deadline_after(duration: Duration) -> Instant {
    Instant::now() + duration.min(FOR_EVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(_: T) {}

    #[test]
    fn calls_can_move_between_threads() {
        let client = Client::new(Configuration::loopback());
        is_send(client.find("PV", Duration::MAX));
        is_send(client.find_many(&["PV"], Duration::MAX));
        is_send(client.get("PV", Duration::MAX));
        is_send(client.put("PV", "1", Duration::MAX));
    }

    #[tokio::test]
    async fn no_duration_is_too_long() {
        let mut configuration = Configuration::for_addresses([]);
        configuration.settle = Duration::MAX;
        let error = Client::new(configuration)
            .find("PV", Duration::MAX)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::NowhereToSearch { .. }), "{error}");
    }
}
