//! The header of a message, its extended form, and the cutting of a byte stream into messages.
//!
//! Layout (big-endian): command `u16`, payload size `u16`, data type `u16`, data count `u16`, two parameters `u32`.
//! A payload size of `0xffff` says that the true payload size and count follow as two more `u32`.

use std::fmt;

use super::Error;

/// Bytes of a plain header.
pub const HEADER_LENGTH: usize = 16;

/// Bytes of a header with 32-bit payload size and count.
pub const EXTENDED_HEADER_LENGTH: usize = 24;

const EXTENDED_MARK: u16 = 0xffff;

/// The number of a message, as in `caProto.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Command(pub u16);

macro_rules! commands {
    ($($name:ident = $number:literal, $doc:literal;)+) => {
        impl Command {
            $(#[doc = $doc] pub const $name: Self = Self($number);)+
        }

        impl fmt::Display for Command {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    $($number => formatter.write_str(stringify!($name)),)+
                    other => write!(formatter, "{other}"),
                }
            }
        }
    };
}

commands! {
    VERSION = 0, "Protocol version; priority on a circuit.";
    EVENT_ADD = 1, "Subscription and its updates.";
    EVENT_CANCEL = 2, "End of a subscription.";
    WRITE = 4, "Write without acknowledgement.";
    SEARCH = 6, "Search for a name, and its answer.";
    EVENTS_OFF = 8, "Flow control: pause updates.";
    EVENTS_ON = 9, "Flow control: resume updates.";
    READ_SYNC = 10, "Deprecated barrier.";
    ERROR = 11, "The server could not do what was asked.";
    CLEAR_CHANNEL = 12, "End of a channel.";
    RSRV_IS_UP = 13, "Beacon.";
    NOT_FOUND = 14, "Negative answer to a search.";
    READ_NOTIFY = 15, "Read and its answer.";
    REPEATER_CONFIRM = 17, "Answer of the repeater.";
    CREATE_CHAN = 18, "Creation of a channel.";
    WRITE_NOTIFY = 19, "Acknowledged write.";
    CLIENT_NAME = 20, "Name of the user.";
    HOST_NAME = 21, "Name of the client's host.";
    ACCESS_RIGHTS = 22, "What the client may do with a channel.";
    ECHO = 23, "Sign of life.";
    REPEATER_REGISTER = 24, "Registration with the repeater.";
    CREATE_CH_FAIL = 26, "The server has no such PV.";
    SERVER_DISCONN = 27, "The server has taken the PV away.";
}

/// The fields of a header, whichever form it had on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which message.
    pub command: Command,
    /// Bytes of payload that follow.
    pub payload_size: u32,
    /// Data type, or another small number that depends on the command.
    pub data_type: u16,
    /// Number of elements, or another number that depends on the command.
    pub count: u32,
    /// First parameter (`m_cid`).
    pub parameter1: u32,
    /// Second parameter (`m_available`).
    pub parameter2: u32,
}

impl Header {
    /// A header without payload and with all other fields zero.
    pub fn new(command: Command) -> Self {
        Self {
            command,
            payload_size: 0,
            data_type: 0,
            count: 0,
            parameter1: 0,
            parameter2: 0,
        }
    }

    /// Reads a header from the beginning of `bytes` and says how long it was; `None` if there are too few bytes.
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let plain = bytes.first_chunk::<HEADER_LENGTH>()?;
        let half = |at: usize| u16::from_be_bytes([plain[at], plain[at + 1]]);
        let word = |at: usize| {
            u32::from_be_bytes([plain[at], plain[at + 1], plain[at + 2], plain[at + 3]])
        };
        let mut header = Self {
            command: Command(half(0)),
            payload_size: u32::from(half(2)),
            data_type: half(4),
            count: u32::from(half(6)),
            parameter1: word(8),
            parameter2: word(12),
        };
        if half(2) != EXTENDED_MARK {
            return Some((header, HEADER_LENGTH));
        }
        // libca and rsrv look at the payload size alone; a count other than zero does not make the header a plain one
        let [s0, s1, s2, s3, c0, c1, c2, c3] = *bytes[HEADER_LENGTH..].first_chunk::<8>()?;
        header.payload_size = u32::from_be_bytes([s0, s1, s2, s3]);
        header.count = u32::from_be_bytes([c0, c1, c2, c3]);
        Some((header, EXTENDED_HEADER_LENGTH))
    }

    /// Appends the header to `out`, in the plain form wherever its fields fit.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let small = |number: u32| {
            u16::try_from(number)
                .ok()
                .filter(|&number| number != EXTENDED_MARK)
        };
        let plain = small(self.payload_size).zip(small(self.count));
        let (size, count) = plain.unwrap_or((EXTENDED_MARK, 0));
        out.extend_from_slice(&self.command.0.to_be_bytes());
        out.extend_from_slice(&size.to_be_bytes());
        out.extend_from_slice(&self.data_type.to_be_bytes());
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&self.parameter1.to_be_bytes());
        out.extend_from_slice(&self.parameter2.to_be_bytes());
        if plain.is_none() {
            out.extend_from_slice(&self.payload_size.to_be_bytes());
            out.extend_from_slice(&self.count.to_be_bytes());
        }
    }
}

/// One whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its header.
    pub header: Header,
    /// Its payload, with the padding; `header.payload_size` bytes.
    pub payload: &'a [u8],
}

/// Cuts the first message off `bytes` and says how many bytes it took; `None` if it is not complete yet.
///
/// A payload above `maximum_payload` bytes is refused as soon as its header is seen.
pub fn decode_frame(
    bytes: &[u8],
    maximum_payload: u32,
) -> Result<Option<(Frame<'_>, usize)>, Error> {
    let Some((header, header_length)) = Header::decode(bytes) else {
        return Ok(None);
    };
    let size = header.payload_size;
    let too_large = || Error::PayloadTooLarge {
        command: header.command,
        size,
        maximum: maximum_payload,
    };
    if size > maximum_payload {
        return Err(too_large());
    }
    let end = usize::try_from(size)
        .ok()
        .and_then(|size| size.checked_add(header_length))
        .ok_or_else(too_large)?;
    Ok(bytes
        .get(header_length..end)
        .map(|payload| (Frame { header, payload }, end)))
}

/// Appends a message to `out`: the header with the size of `payload` rounded up to a multiple of eight, the payload and
/// zeros up to that size.
///
/// A payload of 4 GiB or more cannot be expressed; it is refused.
pub fn encode_frame(header: Header, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let padded = payload.len().next_multiple_of(8);
    let payload_size = u32::try_from(padded).map_err(|_| Error::PayloadTooLarge {
        command: header.command,
        size: u32::MAX,
        maximum: u32::MAX - 7,
    })?;
    Header {
        payload_size,
        ..header
    }
    .encode(out);
    out.extend_from_slice(payload);
    out.resize(out.len() + padded - payload.len(), 0);
    Ok(())
}

/// Cuts the byte stream of a circuit into messages, however the network split it.
///
/// It holds at most one incomplete message beside what one [`Decoder::push`] brought. After an error it stays at the
/// broken message: a stream that is out of step cannot be trusted again.
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
    maximum_payload: u32,
    /// Bytes still to come of a payload that is left out.
    skip: usize,
}

/// Room for messages that is kept between them; more is given back when it is not needed any more.
const KEPT_CAPACITY: usize = 64 * 1024;

impl Decoder {
    /// A decoder that refuses messages with more than `maximum_payload` bytes of payload, except values: of those it gives
    /// the header alone (a [`Frame`] whose payload is shorter than its header says), and skips the payload.
    pub fn new(maximum_payload: u32) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            maximum_payload,
            skip: 0,
        }
    }

    /// Takes bytes as they arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_CAPACITY {
            self.buffer = Vec::new();
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The header of the next message, even if its payload has not arrived yet.
    pub fn next_header(&self) -> Option<Header> {
        Header::decode(&self.buffer[self.start..]).map(|(header, _)| header)
    }

    /// The next whole message, or `None` until more bytes arrive.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, Error> {
        let skipped = self.skip.min(self.buffer.len() - self.start);
        self.start += skipped;
        self.skip -= skipped;
        if self.skip > 0 {
            return Ok(None);
        }
        let rest = &self.buffer[self.start..];
        let Some((header, header_length)) = Header::decode(rest) else {
            return Ok(None);
        };
        let Header {
            command,
            payload_size: size,
            ..
        } = header;
        // checked before the payload arrives, which would never do so in a stream that is out of step
        if !size.is_multiple_of(8) {
            return Err(Error::Misaligned { command, size });
        }
        let value = matches!(command, Command::EVENT_ADD | Command::READ_NOTIFY);
        if value && size > self.maximum_payload {
            self.skip = usize::try_from(size).unwrap_or(usize::MAX);
            self.start += header_length;
            let payload = &[];
            return Ok(Some(Frame { header, payload }));
        }
        let Some((frame, used)) = decode_frame(rest, self.maximum_payload)? else {
            return Ok(None);
        };
        self.start += used;
        Ok(Some(frame))
    }
}
