//! What a message from the server does to a circuit.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{
    Channel, ChannelId, Error, Event, Payload, Pending, PendingKind, Refusal, RequestId,
    ServerChannel, Subscribed, subscribed,
};
use crate::proto::{
    self, Command, Eca, Form, Header, MINIMUM_MINOR_VERSION, Request, Response, decode_properties,
    decode_sample,
};

/// The parts of a circuit that messages change, apart from the decoder that lends them.
pub(super) struct Incoming<'a> {
    pub(super) events: &'a mut VecDeque<Event>,
    pub(super) minor: &'a mut Option<u32>,
    pub(super) channels: &'a mut HashMap<ChannelId, Channel>,
    pub(super) pending: &'a mut BTreeMap<RequestId, Pending>,
    pub(super) output: &'a mut Vec<u8>,
    pub(super) maximum_payload: u32,
}

impl Incoming<'_> {
    /// A value that is larger than this client accepts has been left out of the stream.
    pub(super) fn left_out(mut self, header: Header) {
        let refusal = Refusal {
            status: Eca::TOO_LARGE,
            text: Some(format!(
                "{} bytes, and this client accepts at most {} (EPICS_CA_MAX_ARRAY_BYTES)",
                header.payload_size, self.maximum_payload
            )),
        };
        if header.command == Command::EVENT_ADD {
            self.failed(header.parameter2, refusal);
        } else {
            let request = RequestId(header.parameter2);
            if self.answered(request).is_some() {
                let result = Err(refusal);
                self.events.push_back(Event::ReadDone { request, result });
            }
        }
    }

    /// Reports a failure of a subscription that is known.
    fn failed(&mut self, number: u32, refusal: Refusal) {
        let (channel, kind) = subscribed(number);
        let Some(state) = self.channels.get(&channel) else {
            return;
        };
        match kind {
            Subscribed::Values if state.values.is_some() => self.events.push_back(Event::Value {
                channel,
                result: Err(refusal),
            }),
            Subscribed::Properties if state.properties => {
                self.events.push_back(Event::Properties {
                    channel,
                    result: Err(refusal),
                });
            }
            Subscribed::Values | Subscribed::Properties => {}
        }
    }

    /// Takes a request off the list.
    fn answered(&mut self, request: RequestId) -> Option<Pending> {
        let pending = self.pending.remove(&request)?;
        if let Some(channel) = self.channels.get_mut(&pending.channel) {
            channel.requests = channel.requests.saturating_sub(1);
        }
        Some(pending)
    }

    /// A value, properties, or the end of a subscription.
    fn update(
        &mut self,
        number: u32,
        status: Eca,
        found: u16,
        count: u32,
        payload: &[u8],
    ) -> Result<(), Error> {
        // the confirmation that a subscription has ended
        if payload.is_empty() {
            return Ok(());
        }
        let (channel, kind) = subscribed(number);
        let Some(Channel {
            server: Some(server),
            values,
            properties,
            ..
        }) = self.channels.get(&channel)
        else {
            return Ok(());
        };
        if !status.is_success() {
            self.failed(number, Refusal { status, text: None });
            return Ok(());
        }
        let form = match kind {
            Subscribed::Values => Form::Time,
            Subscribed::Properties => Form::Graphic,
        };
        if found != server.data_type.number(form) {
            return Err(proto::Error::DataType {
                command: Command::EVENT_ADD,
                found,
                expected: "the type that was subscribed to",
            }
            .into());
        }
        match kind {
            Subscribed::Values if values.is_some() => {
                let result = Ok(decode_sample(
                    server.data_type,
                    count,
                    server.count <= 1,
                    payload,
                )?);
                self.events.push_back(Event::Value { channel, result });
            }
            Subscribed::Properties if *properties => {
                let properties = decode_properties(server.data_type, form, payload)?;
                let result = Ok(Box::new(properties));
                self.events.push_back(Event::Properties { channel, result });
            }
            Subscribed::Values | Subscribed::Properties => {}
        }
        Ok(())
    }

    pub(super) fn handle(mut self, response: Response<'_>) -> Result<(), Error> {
        match response {
            Response::Version { minor } => {
                if minor < u32::from(MINIMUM_MINOR_VERSION) {
                    return Err(Error::Version { minor });
                }
                // rsrv sends its version when the connection is made and again as an answer
                if self.minor.replace(minor).is_none() {
                    self.events.push_back(Event::Ready { minor });
                }
            }
            Response::AccessRights { channel, rights } => {
                let channel = ChannelId(channel);
                if let Some(state) = self.channels.get_mut(&channel) {
                    state.rights = Some(rights);
                    self.events
                        .push_back(Event::AccessRights { channel, rights });
                }
            }
            Response::ChannelCreated {
                channel,
                server_channel,
                data_type,
                count,
            } => {
                let channel = ChannelId(channel);
                match self.channels.get_mut(&channel) {
                    Some(state) if state.server.is_none() => {
                        state.server = Some(ServerChannel {
                            number: server_channel,
                            data_type,
                            count,
                        });
                        self.events.push_back(Event::ChannelCreated {
                            channel,
                            data_type,
                            count,
                        });
                    }
                    // a server that says so twice
                    Some(_) => {}
                    // given back before the server made it: it would stay there as long as the circuit
                    None => {
                        let request = Request::ClearChannel {
                            server_channel,
                            channel: channel.0,
                        };
                        request.encode(self.output)?;
                    }
                }
            }
            Response::CreateFailed { channel } => {
                let channel = ChannelId(channel);
                if self.channels.remove(&channel).is_some() {
                    self.events.push_back(Event::CreateFailed { channel });
                }
            }
            Response::ChannelDisconnected { channel } => {
                let channel = ChannelId(channel);
                if let Some(state) = self.channels.remove(&channel) {
                    if state.requests > 0 {
                        self.pending.retain(|_, pending| pending.channel != channel);
                    }
                    self.events
                        .push_back(Event::ChannelDisconnected { channel });
                }
            }
            Response::ReadDone {
                request,
                status,
                data_type: found,
                count,
                payload,
            } => {
                let request = RequestId(request);
                let Some(Pending {
                    kind: PendingKind::Read { data_type, number },
                    ..
                }) = self.pending.get(&request).copied()
                else {
                    return Ok(());
                };
                self.answered(request);
                let result = if !status.is_success() {
                    Err(Refusal { status, text: None })
                } else if found == number {
                    Ok(Payload {
                        data_type,
                        count,
                        bytes: payload.to_vec(),
                    })
                } else {
                    let command = Command::READ_NOTIFY;
                    return Err(proto::Error::DataType {
                        command,
                        found,
                        expected: "the type that was asked for",
                    }
                    .into());
                };
                self.events.push_back(Event::ReadDone { request, result });
            }
            Response::Update {
                subscription,
                status,
                data_type,
                count,
                payload,
            } => self.update(subscription, status, data_type, count, payload)?,
            Response::WriteDone { request, status } => {
                let request = RequestId(request);
                if let Some(Pending {
                    kind: PendingKind::Write,
                    ..
                }) = self.pending.get(&request)
                {
                    self.answered(request);
                    let result = if status.is_success() {
                        Ok(())
                    } else {
                        Err(Refusal { status, text: None })
                    };
                    self.events.push_back(Event::WriteDone { request, result });
                }
            }
            Response::ServerError {
                status,
                request: header,
                text,
            } => {
                let refusal = Refusal {
                    status,
                    text: (!text.is_empty()).then_some(text),
                };
                let request = RequestId(header.parameter2);
                if header.command == Command::EVENT_ADD {
                    self.failed(header.parameter2, refusal);
                    return Ok(());
                }
                let pending = match header.command {
                    Command::READ_NOTIFY | Command::WRITE_NOTIFY => self.answered(request),
                    _ => None,
                };
                self.events
                    .push_back(match pending.map(|pending| pending.kind) {
                        Some(PendingKind::Read { .. }) => Event::ReadDone {
                            request,
                            result: Err(refusal),
                        },
                        Some(PendingKind::Write) => Event::WriteDone {
                            request,
                            result: Err(refusal),
                        },
                        None => Event::ServerError {
                            command: header.command,
                            refusal,
                        },
                    });
            }
            Response::SearchReply {
                search,
                address,
                port,
            } => {
                self.events.push_back(Event::SearchReply {
                    search,
                    address,
                    port,
                });
            }
            Response::Echo | Response::Beacon(_) | Response::RepeaterConfirm => {}
            Response::Other(command) => tracing::debug!("{command} message ignored"),
        }
        Ok(())
    }
}
