//! What is done on one channel: read its value, write it, close it.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use super::finder::Finder;
use super::{Error, deadline_after};
use crate::Configuration;
use crate::circuit::{self, ChannelId, Event};
use crate::event::Reading;
use crate::name::{InvalidName, PvName};
use crate::proto::{
    self, DataType, Form, Sample, Value, decode_labels, decode_sample, encode_characters,
    encode_string,
};

/// One channel on a connection of its own, with one deadline for all that is done on it.
pub(super) struct Session {
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
    pub(super) async fn open(
        configuration: &Configuration,
        pv: &str,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let deadline = deadline_after(timeout);
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
            let channel = ChannelId(1);
            connection.circuit.create_channel(channel, &pv)?;
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

    pub(super) async fn read(&mut self) -> Result<Reading, Error> {
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

    pub(super) async fn write(&mut self, text: &str) -> Result<(), Error> {
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

    pub(super) async fn close(mut self) -> Result<(), Error> {
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
        tracing::warn!("the server complains about message {command}: {refusal}");
    } else {
        tracing::trace!(?event, "not waited for");
    }
}
