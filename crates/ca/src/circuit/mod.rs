//! One TCP connection to one server, as a state machine.
//!
//! It opens no socket and reads no clock: the caller hands in the bytes that arrived and the time, writes out what
//! [`Circuit::take_output`] gives, acts on [`Circuit::poll_event`], and calls [`Circuit::handle_timeout`] when
//! [`Circuit::poll_timeout`] has passed. After an error the circuit is finished; the caller closes the connection.
//!
//! What it deliberately does not do yet: subscriptions and flow control. They belong here, beside reads.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::name::PvName;
use crate::proto::{
    self, AccessRights, Command, DYNAMIC_COUNT_MINOR_VERSION, DataType, Decoder, Eca, Form,
    MINIMUM_MINOR_VERSION, Request, Response,
};

/// How long a server has to answer an echo, as in `libca` (`CA_ECHO_TIMEOUT`).
pub const ECHO_TIMEOUT: Duration = Duration::from_secs(5);

/// Number that this client gives to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(u32);

/// Number of a read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u32);

/// What the client says about itself and expects of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// User name for access security.
    pub user_name: String,
    /// Host name for access security.
    pub host_name: String,
    /// Silence after which the server is asked for a sign of life.
    pub connection_timeout: Duration,
    /// Largest payload accepted, in bytes.
    pub maximum_payload: u32,
}

/// Something that the user of the circuit should know.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Versions are exchanged; the circuit can be used.
    Ready {
        /// The server's version, the digits after `4.`.
        minor: u32,
    },
    /// A channel can be used.
    ChannelCreated {
        /// Which channel.
        channel: ChannelId,
        /// Native type of the PV.
        data_type: DataType,
        /// Largest number of elements.
        count: u32,
    },
    /// What may be done with a channel; comes before [`Event::ChannelCreated`] and again at each change.
    AccessRights {
        /// Which channel.
        channel: ChannelId,
        /// What is allowed now.
        rights: AccessRights,
    },
    /// The server does not have the PV; the channel is gone.
    CreateFailed {
        /// Which channel.
        channel: ChannelId,
    },
    /// The server has taken the PV away; the channel and its requests are gone.
    ChannelDisconnected {
        /// Which channel.
        channel: ChannelId,
    },
    /// A read is answered.
    ReadDone {
        /// Which read.
        request: RequestId,
        /// The payload and its count, or why there is none.
        result: Result<Payload, Refusal>,
    },
    /// A write is answered: the record has processed, or the server refused.
    WriteDone {
        /// Which write.
        request: RequestId,
        /// Whether it worked.
        result: Result<(), Refusal>,
    },
    /// Answer of a name server.
    SearchReply {
        /// The number given with the search.
        search: u32,
        /// Address of the IOC; `None` if it is this server.
        address: Option<Ipv4Addr>,
        /// TCP port of the IOC.
        port: u16,
    },
    /// The server complains about something that belongs to no request.
    ServerError {
        /// What it complains about.
        command: Command,
        /// Why.
        refusal: Refusal,
    },
}

/// What a read brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Native type of the value.
    pub data_type: DataType,
    /// Elements.
    pub count: u32,
    /// The value, big-endian, in the form that was asked for.
    pub bytes: Vec<u8>,
}

/// The server did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status}{}", .text.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
pub struct Refusal {
    /// Its status code.
    pub status: Eca,
    /// Its own words, if it gave any.
    pub text: Option<String>,
}

/// Why a circuit cannot go on, or why something cannot be asked of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not Channel Access.
    #[error("protocol violation")]
    Protocol(#[from] proto::Error),
    /// Something other than the version came first.
    #[error("protocol violation: the server began with message {found}; expected VERSION")]
    ExpectedVersion {
        /// What came.
        found: Command,
    },
    /// The server is too old.
    #[error(
        "the server speaks Channel Access 4.{minor}; expected at least 4.{MINIMUM_MINOR_VERSION}"
    )]
    Version {
        /// Its minor version.
        minor: u32,
    },
    /// No sign of life although asked for.
    #[error("the server has been silent for {} s and does not answer an echo", .silent.as_secs())]
    Unresponsive {
        /// Since when nothing has come.
        silent: Duration,
    },
    /// The channel is not (or no longer) usable.
    #[error("the channel is not connected")]
    NotConnected,
}

#[derive(Debug)]
struct Channel {
    server: Option<ServerChannel>,
    rights: Option<AccessRights>,
}

#[derive(Clone, Copy, Debug)]
struct ServerChannel {
    number: u32,
    data_type: DataType,
    count: u32,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    channel: ChannelId,
    kind: PendingKind,
}

#[derive(Clone, Copy, Debug)]
enum PendingKind {
    Read { data_type: DataType, number: u16 },
    Write,
}

/// State of one connection.
#[derive(Debug)]
pub struct Circuit {
    decoder: Decoder,
    output: Vec<u8>,
    events: VecDeque<Event>,
    /// The server's minor version once it is known.
    minor: Option<u32>,
    channels: BTreeMap<ChannelId, Channel>,
    pending: BTreeMap<RequestId, Pending>,
    next_channel: u32,
    next_request: u32,
    connection_timeout: Duration,
    last_arrival: Instant,
    echo_sent: Option<Instant>,
}

impl Circuit {
    /// A circuit on a connection that has just been made. Version, host name and user name are in the output at once.
    pub fn new(settings: &Settings, now: Instant) -> Result<Self, Error> {
        let mut output = Vec::new();
        Request::Version { priority: 0 }.encode(&mut output)?;
        Request::HostName(&settings.host_name).encode(&mut output)?;
        Request::ClientName(&settings.user_name).encode(&mut output)?;
        Ok(Self {
            decoder: Decoder::new(settings.maximum_payload),
            output,
            events: VecDeque::new(),
            minor: None,
            channels: BTreeMap::new(),
            pending: BTreeMap::new(),
            next_channel: 1,
            next_request: 1,
            connection_timeout: settings.connection_timeout,
            last_arrival: now,
            echo_sent: None,
        })
    }

    /// Bytes to be written to the connection.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Circuit::handle_timeout`] is to be called, unless something arrives before; `None` if the connection timeout
    /// is longer than the clock reaches.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.echo_sent {
            None => self.last_arrival.checked_add(self.connection_timeout),
            Some(sent) => sent.checked_add(ECHO_TIMEOUT),
        }
    }

    /// Asks a silent server for a sign of life; gives up on one that did not answer.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        if self.poll_timeout().is_none_or(|timeout| now < timeout) {
            return Ok(());
        }
        if self.echo_sent.is_some() {
            return Err(Error::Unresponsive {
                silent: now - self.last_arrival,
            });
        }
        self.echo_sent = Some(now);
        Ok(Request::Echo.encode(&mut self.output)?)
    }

    /// Takes bytes as they arrived.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) -> Result<(), Error> {
        self.last_arrival = now;
        self.echo_sent = None;
        self.decoder.push(bytes);
        // before the payload, which something that is not Channel Access would never complete
        if let (None, Some(header)) = (self.minor, self.decoder.next_header())
            && header.command != Command::VERSION
        {
            return Err(Error::ExpectedVersion {
                found: header.command,
            });
        }
        while let Some(frame) = self.decoder.next_frame()? {
            let incoming = Incoming {
                events: &mut self.events,
                minor: &mut self.minor,
                channels: &mut self.channels,
                pending: &mut self.pending,
            };
            incoming.handle(Response::decode(frame)?)?;
        }
        Ok(())
    }

    /// Asks for a channel to a PV.
    pub fn create_channel(&mut self, name: &PvName) -> Result<ChannelId, Error> {
        let channel = ChannelId(self.next_channel);
        self.next_channel = self.next_channel.wrapping_add(1);
        Request::CreateChannel {
            name,
            channel: channel.0,
        }
        .encode(&mut self.output)?;
        self.channels.insert(
            channel,
            Channel {
                server: None,
                rights: None,
            },
        );
        Ok(channel)
    }

    /// Gives a channel back. Answers to its requests are no longer reported.
    pub fn clear_channel(&mut self, channel: ChannelId) -> Result<(), Error> {
        self.pending.retain(|_, pending| pending.channel != channel);
        if let Some(Channel {
            server: Some(server),
            ..
        }) = self.channels.remove(&channel)
        {
            let request = Request::ClearChannel {
                server_channel: server.number,
                channel: channel.0,
            };
            request.encode(&mut self.output)?;
        }
        Ok(())
    }

    /// What the server allows on a channel; `None` if it has not said so.
    pub fn access_rights(&self, channel: ChannelId) -> Option<AccessRights> {
        self.channels.get(&channel)?.rights
    }

    /// Reads all elements in the PV's own type.
    pub fn read(&mut self, channel: ChannelId, form: Form) -> Result<RequestId, Error> {
        let server = self.server_channel(channel)?;
        let dynamic = self
            .minor
            .is_some_and(|minor| minor >= u32::from(DYNAMIC_COUNT_MINOR_VERSION));
        // the labels of an enumerated array come once, whatever its length
        let count = match form {
            Form::Control => 1,
            Form::Plain | Form::Time if dynamic => 0,
            Form::Plain | Form::Time => server.count,
        };
        let number = server.data_type.number(form);
        let request = self.next_request(
            channel,
            PendingKind::Read {
                data_type: server.data_type,
                number,
            },
        );
        let message = Request::Read {
            data_type: number,
            count,
            server_channel: server.number,
            request: request.0,
        };
        message.encode(&mut self.output)?;
        Ok(request)
    }

    /// Writes `count` elements in the plain form of `data_type`; the server converts them to the PV's own type.
    pub fn write(
        &mut self,
        channel: ChannelId,
        data_type: DataType,
        count: u32,
        payload: &[u8],
    ) -> Result<RequestId, Error> {
        let server = self.server_channel(channel)?;
        let request = self.next_request(channel, PendingKind::Write);
        let message = Request::Write {
            data_type: data_type.number(Form::Plain),
            count,
            server_channel: server.number,
            request: request.0,
            payload,
        };
        message.encode(&mut self.output)?;
        Ok(request)
    }

    /// Sends the searches of a datagram to this server; it must speak at least
    /// [`proto::TCP_SEARCH_MINOR_VERSION`].
    pub fn search(&mut self, datagram: &crate::search::Datagram) {
        self.output.extend_from_slice(datagram.searches());
    }

    fn server_channel(&self, channel: ChannelId) -> Result<ServerChannel, Error> {
        self.channels
            .get(&channel)
            .and_then(|channel| channel.server)
            .ok_or(Error::NotConnected)
    }

    fn next_request(&mut self, channel: ChannelId, kind: PendingKind) -> RequestId {
        let request = RequestId(self.next_request);
        self.next_request = self.next_request.wrapping_add(1);
        self.pending.insert(request, Pending { channel, kind });
        request
    }
}

/// The parts of a circuit that messages change, apart from the decoder that lends them.
struct Incoming<'a> {
    events: &'a mut VecDeque<Event>,
    minor: &'a mut Option<u32>,
    channels: &'a mut BTreeMap<ChannelId, Channel>,
    pending: &'a mut BTreeMap<RequestId, Pending>,
}

impl Incoming<'_> {
    fn handle(self, response: Response<'_>) -> Result<(), Error> {
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
                if let Some(state) = self.channels.get_mut(&channel) {
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
            }
            Response::CreateFailed { channel } => {
                let channel = ChannelId(channel);
                if self.channels.remove(&channel).is_some() {
                    self.events.push_back(Event::CreateFailed { channel });
                }
            }
            Response::ChannelDisconnected { channel } => {
                let channel = ChannelId(channel);
                if self.channels.remove(&channel).is_some() {
                    self.pending.retain(|_, pending| pending.channel != channel);
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
                self.pending.remove(&request);
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
            Response::WriteDone { request, status } => {
                let request = RequestId(request);
                if let Some(Pending {
                    kind: PendingKind::Write,
                    ..
                }) = self.pending.get(&request)
                {
                    self.pending.remove(&request);
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
                let pending = match header.command {
                    Command::READ_NOTIFY | Command::WRITE_NOTIFY => self.pending.remove(&request),
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
            Response::Echo => {}
            Response::Other(command) => tracing::debug!("{command} message ignored"),
        }
        Ok(())
    }
}
