//! What a circuit reports, and what it refuses.

use std::net::Ipv4Addr;

use super::{ChannelId, RequestId};
use crate::proto::{AccessRights, Command, DataType, Eca, Properties, Sample};

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
    /// A subscribed value, or why there is none (no read access, larger than this client accepts).
    Value {
        /// Which channel.
        channel: ChannelId,
        /// The value; of a state without its label.
        result: Result<Sample, Refusal>,
    },
    /// Subscribed properties, first as they are and then at each change, or why there are none.
    Properties {
        /// Which channel.
        channel: ChannelId,
        /// Units, limits, labels; without the limits for control.
        result: Result<Box<Properties>, Refusal>,
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
