//! Channel Access messages as bytes: encoding what a client sends, decoding what a server sends.
//!
//! What it deliberately does not do: input, output, time, or any memory of earlier messages. A message that cannot be
//! understood is an [`Error`] and never a panic; sizes are bounded before anything is kept.

mod data;
mod encode;
mod header;
mod mask;
mod properties;
mod request;
mod response;
mod status;

#[cfg(test)]
mod tests;

pub use data::{
    Alarm, Array, DataType, Form, Sample, Severity, Status, Timestamp, Value, decode_sample,
};
pub use encode::{Encoded, encode_characters, encode_string, encode_value};
pub use header::{
    Command, Decoder, EXTENDED_HEADER_LENGTH, Frame, HEADER_LENGTH, Header, decode_frame,
    encode_frame,
};
pub use mask::Mask;
pub use properties::{Limits, Properties, Range, decode_labels, decode_properties};
pub use request::Request;
pub use response::{AccessRights, Beacon, Response};
pub use status::Eca;

/// Minor version of the protocol (`4.13`) that this client speaks: EPICS base 3.14.12 and later.
pub const MINOR_VERSION: u16 = 13;

/// The oldest minor version that can be spoken to: `4.4` introduced the way channels are created now. `rsrv` draws the
/// line at the same place.
pub const MINIMUM_MINOR_VERSION: u16 = 4;

/// The minor version from which a count of zero in a read means "as many elements as there are now".
pub const DYNAMIC_COUNT_MINOR_VERSION: u16 = 13;

/// The minor version from which a server answers searches over TCP.
pub const TCP_SEARCH_MINOR_VERSION: u16 = 12;

/// Largest datagram that is sent, in bytes: fits into every Ethernet frame (1500) with the headers of IP and UDP and a tag.
pub const MAXIMUM_DATAGRAM: usize = 1440;

/// Largest search datagram of `libca`, in bytes (`MAX_UDP_SEND`); it bounds the length of names.
pub const LIBCA_DATAGRAM: usize = 1024;

/// What is wrong with bytes that should be Channel Access.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The message announces more payload than this client accepts.
    #[error("message {command} announces {size} bytes of payload; at most {maximum} are accepted")]
    PayloadTooLarge {
        /// Which message.
        command: Command,
        /// Announced size in bytes.
        size: u32,
        /// Configured bound in bytes.
        maximum: u32,
    },
    /// Payload sizes are multiples of eight on a circuit; anything else means that the stream is out of step.
    #[error("message {command} announces {size} bytes of payload; expected a multiple of 8")]
    Misaligned {
        /// Which message.
        command: Command,
        /// Announced size in bytes.
        size: u32,
    },
    /// A datagram that ends inside a message.
    #[error("the datagram ends inside a message ({rest} bytes left)")]
    Truncated {
        /// Bytes after the last whole message.
        rest: usize,
    },
    /// The payload does not hold what its header says.
    #[error("the payload of message {command} has {size} bytes; expected at least {expected}")]
    PayloadTooShort {
        /// Which message.
        command: Command,
        /// Bytes there.
        size: usize,
        /// Bytes needed.
        expected: usize,
    },
    /// A data type number outside the protocol, or one that was not asked for.
    #[error("data type {found} in message {command}; expected {expected}")]
    DataType {
        /// Which message.
        command: Command,
        /// The number found.
        found: u16,
        /// What would have been right.
        expected: &'static str,
    },
}
