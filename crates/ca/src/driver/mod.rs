//! The client: the protocol's state machines on real sockets and timers, by tokio.
//!
//! What it deliberately does not do: keep connections between calls. A call that ends or is dropped closes everything it
//! opened; nothing runs in the background.

mod connection;
mod destinations;
mod error;
mod finder;
mod name_server;

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::Configuration;
use crate::circuit::{self, ChannelId, Event};
use crate::name::{InvalidName, PvName};
use crate::proto::{
    self, DataType, Form, Sample, Severity, Status, Timestamp, Value, decode_labels, decode_sample,
    encode_characters, encode_string,
};

use connection::Connection;
use finder::Finder;

pub use connection::ConnectionError;
pub use error::{Error, Searched};

/// A server that has a PV and speaks Channel Access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The server's TCP address.
    pub server: SocketAddr,
    /// Other servers that answered for the same name: the PV exists twice, or one server answers on several interfaces.
    pub duplicates: Vec<SocketAddr>,
}

/// The value of a PV at the time of a read.
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

/// One channel on a connection of its own, with one deadline for all that is done on it.
struct Session {
    pv: PvName,
    server: SocketAddr,
    connection: Connection,
    channel: ChannelId,
    data_type: DataType,
    count: u32,
    timeout: Duration,
    deadline: Instant,
}

impl Session {
    async fn open(
        configuration: &Configuration,
        pv: &str,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let deadline = Instant::now() + timeout;
        let pv = PvName::from_str(pv)?;
        // the first server will do: `find` is there for whoever wants to know of others
        let mut outcome =
            Finder::run(configuration, vec![pv.clone()], timeout, Duration::ZERO).await;
        let server = match outcome.results.pop() {
            Some(found) => found?.server,
            None => return Err(InvalidName::Empty.into()),
        };
        let Some(mut connection) = outcome.connections.remove(&server) else {
            return Err(Error::NotCreated { pv, server });
        };
        let opening = async {
            let channel = connection.circuit.create_channel(&pv)?;
            loop {
                match connection.next_event().await? {
                    Event::ChannelCreated {
                        channel: created,
                        data_type,
                        count,
                    } if created == channel => {
                        return Ok(Some((channel, data_type, count)));
                    }
                    Event::CreateFailed { channel: failed }
                    | Event::ChannelDisconnected { channel: failed }
                        if failed == channel =>
                    {
                        return Ok(None);
                    }
                    other => log_unexpected(&other),
                }
            }
        };
        let created = match timeout_at(deadline, opening).await {
            Ok(created) => created.map_err(|source| Error::connection(&pv, server, source))?,
            Err(_) => {
                return Err(Error::Timeout {
                    pv,
                    server,
                    action: "creating the channel",
                    after: timeout,
                });
            }
        };
        let Some((channel, data_type, count)) = created else {
            return Err(Error::NotCreated { pv, server });
        };
        Ok(Self {
            pv,
            server,
            connection,
            channel,
            data_type,
            count,
            timeout,
            deadline,
        })
    }

    async fn read(&mut self) -> Result<Reading, Error> {
        if self
            .connection
            .circuit
            .access_rights(self.channel)
            .is_some_and(|rights| !rights.read)
        {
            return Err(Error::NoReadAccess {
                pv: self.pv.clone(),
                server: self.server,
            });
        }
        let payload = self.read_form(Form::Time).await?;
        let Sample {
            mut value,
            alarm,
            timestamp,
        } = decode_sample(
            self.data_type,
            payload.count,
            self.count <= 1,
            &payload.bytes,
        )
        .map_err(|source| self.violation(source))?;
        if let Value::Enum { index, label } = &mut value {
            let payload = self.read_form(Form::Control).await?;
            let labels = decode_labels(&payload.bytes).map_err(|source| self.violation(source))?;
            *label = labels.into_iter().nth(usize::from(*index));
        }
        Ok(Reading {
            value,
            severity: alarm.severity,
            status: alarm.status,
            timestamp,
        })
    }

    async fn read_form(&mut self, form: Form) -> Result<circuit::Payload, Error> {
        let request = self
            .connection
            .circuit
            .read(self.channel, form)
            .map_err(|source| Error::connection(&self.pv, self.server, source.into()))?;
        let result = self
            .wait("reading", |event| match event {
                Event::ReadDone {
                    request: done,
                    result,
                } if done == request => Ok(result),
                other => Err(other),
            })
            .await?;
        result.map_err(|source| Error::ReadRefused {
            pv: self.pv.clone(),
            server: self.server,
            source,
        })
    }

    async fn write(&mut self, text: &str) -> Result<(), Error> {
        if self
            .connection
            .circuit
            .access_rights(self.channel)
            .is_some_and(|rights| !rights.write)
        {
            return Err(Error::NoWriteAccess {
                pv: self.pv.clone(),
                server: self.server,
            });
        }
        let characters = self.data_type == DataType::Char && self.count > 1;
        let payload = if characters {
            encode_characters(text, self.count)
        } else {
            encode_string(text)
        };
        let longest = if characters { self.count - 1 } else { 39 };
        let payload = payload.ok_or_else(|| Error::ValueText {
            pv: self.pv.clone(),
            length: text.len(),
            longest,
        })?;
        // a longer payload could not have been encoded
        let (data_type, count) = match u32::try_from(payload.len()) {
            Ok(length) if characters => (DataType::Char, length),
            _ => (DataType::String, 1),
        };
        let request = self
            .connection
            .circuit
            .write(self.channel, data_type, count, &payload)
            .map_err(|source| Error::connection(&self.pv, self.server, source.into()))?;
        let result = self
            .wait("writing", |event| match event {
                Event::WriteDone {
                    request: done,
                    result,
                } if done == request => Ok(result),
                other => Err(other),
            })
            .await?;
        result.map_err(|source| Error::WriteRefused {
            pv: self.pv.clone(),
            server: self.server,
            source,
        })
    }

    /// Waits for the event that `wanted` picks out; a channel that the server takes away ends the wait.
    async fn wait<T>(
        &mut self,
        action: &'static str,
        wanted: impl Fn(Event) -> Result<T, Event>,
    ) -> Result<T, Error> {
        let waiting = async {
            loop {
                match wanted(self.connection.next_event().await?) {
                    Ok(value) => return Ok(value),
                    Err(Event::ChannelDisconnected { channel }) if channel == self.channel => {
                        return Err(circuit::Error::NotConnected.into());
                    }
                    Err(other) => log_unexpected(&other),
                }
            }
        };
        match timeout_at(self.deadline, waiting).await {
            Ok(result) => result.map_err(|source| Error::connection(&self.pv, self.server, source)),
            Err(_) => Err(Error::Timeout {
                pv: self.pv.clone(),
                server: self.server,
                action,
                after: self.timeout,
            }),
        }
    }

    async fn close(mut self) -> Result<(), Error> {
        let closing = async {
            self.connection.circuit.clear_channel(self.channel)?;
            self.connection.close().await
        };
        match timeout_at(self.deadline, closing).await {
            Ok(result) => result.map_err(|source| Error::connection(&self.pv, self.server, source)),
            // what was asked for is done, and the socket closes in any case
            Err(_) => Ok(()),
        }
    }

    fn violation(&self, source: proto::Error) -> Error {
        Error::connection(
            &self.pv,
            self.server,
            circuit::Error::Protocol(source).into(),
        )
    }
}

/// Events that a caller does not wait for: complaints of the server are worth a line, the rest is routine.
fn log_unexpected(event: &Event) {
    if let Event::ServerError { command, refusal } = event {
        tracing::warn!("the server complains about a {command} message: {refusal}");
    } else {
        tracing::trace!(?event, "not waited for");
    }
}
