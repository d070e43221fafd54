//! Reads and writes: they wait for the channel, share it with watches, and end with a result or with the circuit.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Instant;

use super::table::State;
use super::{Channels, CircuitId, Effect, Trouble};
use crate::circuit::{self, ChannelId, Payload, Refusal};
use crate::event::Reading;
use crate::name::PvName;
use crate::proto::{
    self, AccessRights, Array, DataType, Encoded, Form, Properties, Value, decode_labels,
    decode_properties, decode_sample, encode_characters, encode_value,
};

/// Number of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

/// What is to be done with a PV.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Read the value: all elements, or the first ones.
    Read {
        /// How many elements; `None` for all.
        count: Option<u32>,
    },
    /// Say who serves it, what it is, and read units, limits and labels.
    Describe,
    /// Write a value and wait until the record has processed. The server converts.
    Write(Value),
}

/// What a server says about a PV beside its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The server's TCP address.
    pub server: SocketAddrV4,
    /// Native type.
    pub data_type: DataType,
    /// Largest number of elements.
    pub count: u32,
    /// What this client may do.
    pub rights: AccessRights,
    /// Units, limits and labels.
    pub properties: Properties,
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Of a read.
    Reading(Reading),
    /// Of a description.
    Description(Box<Description>),
    /// Of a write.
    Written,
}

/// Why a request did not work.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Access security forbids reading.
    NoReadAccess(SocketAddrV4),
    /// Access security forbids writing.
    NoWriteAccess(SocketAddrV4),
    /// The server could not read.
    ReadRefused(SocketAddrV4, Refusal),
    /// The server could not write.
    WriteRefused(SocketAddrV4, Refusal),
    /// The channel or its circuit ended before there was an answer.
    Lost(Trouble),
    /// The server's answer cannot be understood.
    Violation(SocketAddrV4, proto::Error),
    /// The text is too long or holds a zero.
    Text {
        /// Bytes in the longest text.
        length: usize,
        /// Bytes that the PV takes.
        longest: u32,
    },
}

#[derive(Debug)]
pub(super) struct Request {
    channel: ChannelId,
    operation: Operation,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    Asked,
    /// A state has been read and its label is being read.
    Label(Reading),
}

impl Channels {
    /// Begins a request; its result comes as [`Effect::Done`]. `None` if there are too many channels.
    pub fn request(
        &mut self,
        name: PvName,
        operation: Operation,
        now: Instant,
    ) -> Option<RequestId> {
        let channel = self.channel(name, now)?;
        let request = RequestId(self.next_request);
        self.next_request += 1;
        let state = self.table.get_mut(channel)?;
        state.requests = state.requests.checked_add(1)?;
        let state = state.state;
        self.requests.insert(
            request,
            Request {
                channel,
                operation,
                phase: Phase::Waiting,
            },
        );
        self.requests_by_channel.insert((channel, request));
        if let State::Connected(circuit) = state {
            self.start(circuit, request, now);
            self.after(circuit);
        }
        Some(request)
    }

    /// Ends a request whose result is not wanted any more.
    pub fn cancel(&mut self, request: RequestId, now: Instant) {
        if let Some(removed) = self.forget(request) {
            self.release(removed.channel, now);
        }
    }

    fn forget(&mut self, request: RequestId) -> Option<Request> {
        let removed = self.requests.remove(&request)?;
        self.requests_by_channel.remove(&(removed.channel, request));
        if let Some(channel) = self.table.get_mut(removed.channel) {
            channel.requests = channel.requests.saturating_sub(1);
        }
        Some(removed)
    }

    fn finish(&mut self, request: RequestId, result: Result<Outcome, Failure>, now: Instant) {
        if let Some(removed) = self.forget(request) {
            self.effects.push_back(Effect::Done { request, result });
            self.release(removed.channel, now);
        }
    }

    /// Starts what has waited for a channel.
    pub(super) fn start_requests(&mut self, circuit: CircuitId, channel: ChannelId, now: Instant) {
        for request in self.requests_of(channel) {
            self.start(circuit, request, now);
        }
    }

    fn requests_of(&self, channel: ChannelId) -> Vec<RequestId> {
        let first = (channel, RequestId(0));
        let last = (channel, RequestId(u64::MAX));
        let requests = self.requests_by_channel.range(first..=last);
        requests.map(|&(_, request)| request).collect()
    }

    fn start(&mut self, circuit: CircuitId, request: RequestId, now: Instant) {
        let Some(Request {
            channel, operation, ..
        }) = self.requests.get(&request)
        else {
            return;
        };
        let channel = *channel;
        let Some(server) = self.servers.get_mut(&circuit) else {
            return;
        };
        let address = server.address;
        let Some(state) = &mut server.circuit else {
            return;
        };
        let rights = state.access_rights(channel);
        let readable = rights.is_none_or(|rights| rights.read);
        let writable = rights.is_none_or(|rights| rights.write);
        let asked = match operation {
            Operation::Read { .. } | Operation::Describe if !readable => {
                Err(Failure::NoReadAccess(address))
            }
            Operation::Read { count: None } => Ok(state.read(channel, Form::Time)),
            Operation::Read { count: Some(count) } => {
                // no server gives more than there are, and some refuse to
                let most = state.native(channel).map_or(1, |(_, count)| count);
                Ok(state.read_count(channel, Form::Time, (*count).clamp(1, most.max(1))))
            }
            Operation::Describe => Ok(state.read(channel, Form::Control)),
            Operation::Write(_) if !writable => Err(Failure::NoWriteAccess(address)),
            Operation::Write(value) => match encode(value, state.native(channel)) {
                Ok(Encoded {
                    data_type,
                    count,
                    bytes,
                }) => Ok(state.write(channel, data_type, count, &bytes)),
                Err(failure) => Err(failure),
            },
        };
        match asked {
            Ok(Ok(number)) => {
                server.requests.insert(number, request);
                if let Some(request) = self.requests.get_mut(&request) {
                    request.phase = Phase::Asked;
                }
            }
            Ok(Err(error)) => {
                let trouble = Trouble {
                    server: address,
                    reason: Some(Arc::new(error)),
                };
                self.finish(request, Err(Failure::Lost(trouble)), now);
            }
            Err(failure) => self.finish(request, Err(failure), now),
        }
    }

    /// The server has answered a read.
    pub(super) fn read_done(
        &mut self,
        circuit: CircuitId,
        number: circuit::RequestId,
        result: Result<Payload, Refusal>,
        now: Instant,
    ) {
        let Some(server) = self.servers.get_mut(&circuit) else {
            return;
        };
        let address = server.address;
        let Some(request) = server.requests.remove(&number) else {
            return;
        };
        let Some(state) = self.requests.get_mut(&request) else {
            return;
        };
        let channel = state.channel;
        let payload = match result {
            Ok(payload) => payload,
            Err(refusal) => {
                return self.finish(request, Err(Failure::ReadRefused(address, refusal)), now);
            }
        };
        let native = server
            .circuit
            .as_ref()
            .and_then(|state| state.native(channel));
        let Some((data_type, count)) = native else {
            return;
        };
        let violation = |error| Failure::Violation(address, error);
        let result = match (
            &state.operation,
            std::mem::replace(&mut state.phase, Phase::Asked),
        ) {
            (_, Phase::Label(mut reading)) => decode_labels(&payload.bytes)
                .map(|labels| {
                    if let Value::Enum { index, label } = &mut reading.value {
                        *label = labels.into_iter().nth(usize::from(*index));
                    }
                    Outcome::Reading(reading)
                })
                .map_err(violation),
            (Operation::Describe, _) => {
                let rights = server
                    .circuit
                    .as_ref()
                    .and_then(|state| state.access_rights(channel))
                    .unwrap_or(AccessRights {
                        read: true,
                        write: true,
                    });
                decode_properties(data_type, Form::Control, &payload.bytes)
                    .map(|properties| {
                        Outcome::Description(Box::new(Description {
                            server: address,
                            data_type,
                            count,
                            rights,
                            properties,
                        }))
                    })
                    .map_err(violation)
            }
            (Operation::Read { .. } | Operation::Write(_), _) => {
                match decode_sample(data_type, payload.count, count <= 1, &payload.bytes) {
                    Ok(sample) => {
                        let labels = self
                            .table
                            .get(channel)
                            .and_then(|channel| channel.extra.as_ref())
                            .and_then(|extra| extra.labels.as_deref());
                        let reading = Reading::new(sample, labels.unwrap_or_default());
                        if matches!(reading.value, Value::Enum { .. }) && labels.is_none() {
                            return self.read_label(circuit, request, reading, now);
                        }
                        Ok(Outcome::Reading(reading))
                    }
                    Err(error) => Err(violation(error)),
                }
            }
        };
        self.finish(request, result, now);
    }

    fn read_label(
        &mut self,
        circuit: CircuitId,
        request: RequestId,
        reading: Reading,
        now: Instant,
    ) {
        let Some(state) = self.requests.get_mut(&request) else {
            return;
        };
        let Some(server) = self.servers.get_mut(&circuit) else {
            return;
        };
        let asked = server
            .circuit
            .as_mut()
            .map(|circuit| circuit.read(state.channel, Form::Graphic));
        if let Some(Ok(number)) = asked {
            server.requests.insert(number, request);
            state.phase = Phase::Label(reading);
        } else {
            self.finish(request, Ok(Outcome::Reading(reading)), now);
        }
    }

    /// The server has answered a write.
    pub(super) fn write_done(
        &mut self,
        circuit: CircuitId,
        number: circuit::RequestId,
        result: Result<(), Refusal>,
        now: Instant,
    ) {
        let Some(server) = self.servers.get_mut(&circuit) else {
            return;
        };
        let address = server.address;
        if let Some(request) = server.requests.remove(&number) {
            let result = result.map_err(|refusal| Failure::WriteRefused(address, refusal));
            self.finish(request, result.map(|()| Outcome::Written), now);
        }
    }

    /// The circuit of a request has ended.
    pub(super) fn request_lost(
        &mut self,
        request: RequestId,
        server: SocketAddrV4,
        reason: &Arc<dyn std::error::Error + Send + Sync>,
        now: Instant,
    ) {
        let trouble = Trouble {
            server,
            reason: Some(Arc::clone(reason)),
        };
        self.finish(request, Err(Failure::Lost(trouble)), now);
    }

    /// The server has taken a channel away: what it was asked for there will not be answered.
    pub(super) fn requests_lost(
        &mut self,
        circuit: CircuitId,
        channel: ChannelId,
        server: SocketAddrV4,
        now: Instant,
    ) {
        for request in self.requests_of(channel) {
            let asked = self
                .requests
                .get(&request)
                .is_some_and(|request| !matches!(request.phase, Phase::Waiting));
            if !asked {
                continue;
            }
            if let Some(server) = self.servers.get_mut(&circuit) {
                server.requests.retain(|_, other| *other != request);
            }
            let reason = Some(Arc::new(circuit::Error::NotConnected) as Arc<_>);
            let trouble = Trouble { server, reason };
            self.finish(request, Err(Failure::Lost(trouble)), now);
        }
    }
}

/// Text goes to an array of characters as it is; everything else in its own type.
fn encode(value: &Value, native: Option<(DataType, u32)>) -> Result<Encoded, Failure> {
    if let (Value::String(text), Some((DataType::Char, capacity @ 2..))) = (value, native) {
        let bytes = encode_characters(text, capacity);
        let encoded = bytes.and_then(|bytes| {
            Some(Encoded {
                data_type: DataType::Char,
                count: u32::try_from(bytes.len()).ok()?,
                bytes,
            })
        });
        return encoded.ok_or(Failure::Text {
            length: text.len(),
            longest: capacity - 1,
        });
    }
    // a state that is known by its label alone is converted by the server
    let labelled = match value {
        Value::Enum {
            label: Some(label), ..
        } if native.is_some_and(|(data_type, _)| data_type == DataType::String) => {
            Some(Value::String(label.clone()))
        }
        _ => None,
    };
    let value = labelled.as_ref().unwrap_or(value);
    let length = match value {
        Value::String(text) => text.len(),
        Value::Array(Array::String(texts)) => texts.iter().map(String::len).max().unwrap_or(0),
        _ => 0,
    };
    encode_value(value).ok_or(Failure::Text {
        length,
        longest: 39,
    })
}
