//! What a server sends.

use std::net::Ipv4Addr;

use super::Error;
use super::data::{DataType, text_from_bytes};
use super::header::{Command, Frame, Header};
use super::status::Eca;

/// What the client may do with a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessRights {
    /// Values can be read.
    pub read: bool,
    /// Values can be written.
    pub write: bool,
}

/// What a server sends now and then to everybody, more often after its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// The server's protocol version, the digit after `4.`.
    pub minor: u16,
    /// TCP port of the server.
    pub port: u16,
    /// Counts from 0 at the start of the server.
    pub sequence: u32,
    /// Address of the server; `None` if it is the sender of the datagram.
    pub address: Option<Ipv4Addr>,
}

/// A message from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response<'a> {
    /// The server's protocol version.
    Version {
        /// The digit after `4.`.
        minor: u32,
    },
    /// The server has the name that was searched for.
    SearchReply {
        /// The number given with the search.
        search: u32,
        /// Address of the server; `None` if it is the sender of this message.
        address: Option<Ipv4Addr>,
        /// TCP port of the server.
        port: u16,
    },
    /// Access rights of a channel, at its creation and whenever they change.
    AccessRights {
        /// The client's number of the channel.
        channel: u32,
        /// What is allowed from now on.
        rights: AccessRights,
    },
    /// A channel is there.
    ChannelCreated {
        /// The client's number of the channel.
        channel: u32,
        /// The server's number of the channel.
        server_channel: u32,
        /// Native type of the PV.
        data_type: DataType,
        /// Largest number of elements that the PV can have.
        count: u32,
    },
    /// The server does not have the PV.
    CreateFailed {
        /// The client's number of the channel.
        channel: u32,
    },
    /// The server has taken the PV away; the circuit goes on.
    ChannelDisconnected {
        /// The client's number of the channel.
        channel: u32,
    },
    /// Answer to a read.
    ReadDone {
        /// The number given with the read.
        request: u32,
        /// Whether it worked; the payload is meaningless otherwise.
        status: Eca,
        /// Data type number of the payload.
        data_type: u16,
        /// Elements in the payload.
        count: u32,
        /// The value, big-endian.
        payload: &'a [u8],
    },
    /// A value that was subscribed to.
    Update {
        /// The number given with the subscription.
        subscription: u32,
        /// Whether there is a value; the payload is meaningless otherwise.
        status: Eca,
        /// Data type number of the payload.
        data_type: u16,
        /// Elements in the payload.
        count: u32,
        /// The value, big-endian; empty in the confirmation that a subscription has ended.
        payload: &'a [u8],
    },
    /// Answer to a write.
    WriteDone {
        /// The number given with the write.
        request: u32,
        /// Whether it worked.
        status: Eca,
    },
    /// The server could not do what `request` asked.
    ServerError {
        /// Why.
        status: Eca,
        /// Header of the message that the server complains about.
        request: Header,
        /// The server's own words; may be empty.
        text: String,
    },
    /// A server says that it is there.
    Beacon(Beacon),
    /// The repeater will send beacons.
    RepeaterConfirm,
    /// Sign of life.
    Echo,
    /// A message that needs no action from this client.
    Other(Command),
}

impl<'a> Response<'a> {
    /// Understands one message.
    pub fn decode(frame: Frame<'a>) -> Result<Self, Error> {
        let Frame { header, payload } = frame;
        Ok(match header.command {
            Command::VERSION => Self::Version {
                minor: header.count,
            },
            Command::SEARCH => Self::SearchReply {
                search: header.parameter2,
                address: server_address(header, payload),
                port: header.data_type,
            },
            Command::ACCESS_RIGHTS => Self::AccessRights {
                channel: header.parameter1,
                rights: AccessRights {
                    read: header.parameter2 & 1 != 0,
                    write: header.parameter2 & 2 != 0,
                },
            },
            Command::CREATE_CHAN => Self::ChannelCreated {
                channel: header.parameter1,
                server_channel: header.parameter2,
                data_type: DataType::from_number(header.data_type).ok_or(Error::DataType {
                    command: header.command,
                    found: header.data_type,
                    expected: "0 to 6",
                })?,
                count: header.count,
            },
            Command::CREATE_CH_FAIL => Self::CreateFailed {
                channel: header.parameter1,
            },
            Command::SERVER_DISCONN => Self::ChannelDisconnected {
                channel: header.parameter1,
            },
            Command::READ_NOTIFY => Self::ReadDone {
                request: header.parameter2,
                status: Eca(header.parameter1),
                data_type: header.data_type,
                count: header.count,
                payload,
            },
            Command::EVENT_ADD => Self::Update {
                subscription: header.parameter2,
                status: Eca(header.parameter1),
                data_type: header.data_type,
                count: header.count,
                payload,
            },
            Command::RSRV_IS_UP => Self::Beacon(Beacon {
                minor: header.data_type,
                port: u16::try_from(header.count).unwrap_or_default(),
                sequence: header.parameter1,
                address: (header.parameter2 != 0).then(|| Ipv4Addr::from_bits(header.parameter2)),
            }),
            Command::REPEATER_CONFIRM => Self::RepeaterConfirm,
            Command::WRITE_NOTIFY => Self::WriteDone {
                request: header.parameter2,
                status: Eca(header.parameter1),
            },
            Command::ERROR => {
                let (request, used) = Header::decode(payload).ok_or(Error::PayloadTooShort {
                    command: header.command,
                    size: payload.len(),
                    expected: super::HEADER_LENGTH,
                })?;
                let text = text_from_bytes(&payload[used..]);
                Self::ServerError {
                    status: Eca(header.parameter2),
                    request,
                    text,
                }
            }
            Command::ECHO => Self::Echo,
            other => Self::Other(other),
        })
    }
}

/// From version 4.8, which servers state in the payload of the answer, the first parameter is the server's address, or
/// all ones for "the sender". Older servers are always the sender.
fn server_address(header: Header, payload: &[u8]) -> Option<Ipv4Addr> {
    let minor = payload
        .first_chunk()
        .map_or(0, |bytes| u16::from_be_bytes(*bytes));
    (minor >= 8 && header.parameter1 != u32::MAX).then(|| Ipv4Addr::from_bits(header.parameter1))
}
