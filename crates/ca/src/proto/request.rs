//! What a client sends.

use std::net::Ipv4Addr;

use super::header::{Command, Header, encode_frame};
use super::{Error, MINOR_VERSION, Mask};
use crate::name::PvName;

/// A message from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// First message of a datagram and of a circuit.
    Version {
        /// Priority of the circuit, 0 to 99; 0 in datagrams.
        priority: u16,
    },
    /// Who has this name? The server answers only if it has it.
    Search {
        /// The name searched for.
        name: &'a PvName,
        /// Number that the answer repeats.
        search: u32,
    },
    /// The client's host, for access security.
    HostName(&'a str),
    /// The user, for access security.
    ClientName(&'a str),
    /// Creates a channel.
    CreateChannel {
        /// Name of the PV.
        name: &'a PvName,
        /// Number that the client gives to the channel.
        channel: u32,
    },
    /// Ends a channel.
    ClearChannel {
        /// Number that the server gave to the channel.
        server_channel: u32,
        /// Number that the client gave to the channel.
        channel: u32,
    },
    /// Reads a value.
    Read {
        /// Data type number wanted.
        data_type: u16,
        /// Elements wanted; zero for as many as there are (from version 4.13).
        count: u32,
        /// Number that the server gave to the channel.
        server_channel: u32,
        /// Number that the answer repeats.
        request: u32,
    },
    /// Writes a value; the server answers when the record has processed.
    Write {
        /// Data type number of the payload.
        data_type: u16,
        /// Elements in the payload.
        count: u32,
        /// Number that the server gave to the channel.
        server_channel: u32,
        /// Number that the answer repeats.
        request: u32,
        /// The value, big-endian.
        payload: &'a [u8],
    },
    /// Asks for updates of a value, the present one first.
    EventAdd {
        /// Data type number wanted.
        data_type: u16,
        /// Elements wanted; zero for as many as there are (from version 4.13).
        count: u32,
        /// Number that the server gave to the channel.
        server_channel: u32,
        /// Number that the updates repeat.
        subscription: u32,
        /// Which changes to report.
        mask: Mask,
    },
    /// Ends updates; the server confirms with one that has no payload.
    EventCancel {
        /// Data type number of the subscription.
        data_type: u16,
        /// Elements of the subscription.
        count: u32,
        /// Number that the server gave to the channel.
        server_channel: u32,
        /// Number that the updates repeat.
        subscription: u32,
    },
    /// Flow control: the server keeps updates back, the latest of each subscription.
    EventsOff,
    /// Flow control: updates flow again.
    EventsOn,
    /// Asks for a sign of life.
    Echo,
    /// Asks a repeater for copies of all beacons.
    RepeaterRegister {
        /// Address of the client.
        client: Ipv4Addr,
    },
}

/// `DONTREPLY` in a search: a server without the name stays silent.
const SILENT_IF_UNKNOWN: u16 = 5;

impl Request<'_> {
    /// Appends the message to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        match *self {
            Self::Version { priority } => {
                let count = u32::from(MINOR_VERSION);
                Header {
                    data_type: priority,
                    count,
                    ..Header::new(Command::VERSION)
                }
                .encode(out);
                Ok(())
            }
            Self::Search { name, search } => {
                let header = Header {
                    data_type: SILENT_IF_UNKNOWN,
                    count: u32::from(MINOR_VERSION),
                    parameter1: search,
                    parameter2: search,
                    ..Header::new(Command::SEARCH)
                };
                encode_frame(header, &zero_terminated(name.as_str()), out)
            }
            Self::HostName(name) => {
                encode_frame(Header::new(Command::HOST_NAME), &zero_terminated(name), out)
            }
            Self::ClientName(name) => encode_frame(
                Header::new(Command::CLIENT_NAME),
                &zero_terminated(name),
                out,
            ),
            Self::CreateChannel { name, channel } => {
                let header = Header {
                    parameter1: channel,
                    parameter2: u32::from(MINOR_VERSION),
                    ..Header::new(Command::CREATE_CHAN)
                };
                encode_frame(header, &zero_terminated(name.as_str()), out)
            }
            Self::ClearChannel {
                server_channel,
                channel,
            } => {
                Header {
                    parameter1: server_channel,
                    parameter2: channel,
                    ..Header::new(Command::CLEAR_CHANNEL)
                }
                .encode(out);
                Ok(())
            }
            Self::Read {
                data_type,
                count,
                server_channel,
                request,
            } => {
                Header {
                    data_type,
                    count,
                    parameter1: server_channel,
                    parameter2: request,
                    ..Header::new(Command::READ_NOTIFY)
                }
                .encode(out);
                Ok(())
            }
            Self::Write {
                data_type,
                count,
                server_channel,
                request,
                payload,
            } => {
                let header = Header {
                    data_type,
                    count,
                    parameter1: server_channel,
                    parameter2: request,
                    ..Header::new(Command::WRITE_NOTIFY)
                };
                encode_frame(header, payload, out)
            }
            Self::EventAdd {
                data_type,
                count,
                server_channel,
                subscription,
                mask,
            } => {
                let header = Header {
                    data_type,
                    count,
                    parameter1: server_channel,
                    parameter2: subscription,
                    ..Header::new(Command::EVENT_ADD)
                };
                // low, high and to as floating point, which servers ignore; the mask; padding
                let mut payload = [0; 16];
                payload[12..14].copy_from_slice(&mask.bits().to_be_bytes());
                encode_frame(header, &payload, out)
            }
            Self::EventCancel {
                data_type,
                count,
                server_channel,
                subscription,
            } => {
                Header {
                    data_type,
                    count,
                    parameter1: server_channel,
                    parameter2: subscription,
                    ..Header::new(Command::EVENT_CANCEL)
                }
                .encode(out);
                Ok(())
            }
            Self::EventsOff => {
                plain(Command::EVENTS_OFF, out);
                Ok(())
            }
            Self::EventsOn => {
                plain(Command::EVENTS_ON, out);
                Ok(())
            }
            Self::Echo => {
                plain(Command::ECHO, out);
                Ok(())
            }
            Self::RepeaterRegister { client } => {
                Header {
                    parameter2: client.to_bits(),
                    ..Header::new(Command::REPEATER_REGISTER)
                }
                .encode(out);
                Ok(())
            }
        }
    }
}

fn plain(command: Command, out: &mut Vec<u8>) {
    Header::new(command).encode(out);
}

fn zero_terminated(text: &str) -> Vec<u8> {
    // a zero inside would end the text early at the server; PV names have none, host and user names come from outside
    text.bytes()
        .take_while(|&byte| byte != 0)
        .chain([0])
        .collect()
}
