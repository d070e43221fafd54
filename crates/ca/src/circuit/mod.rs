//! One TCP connection to one server, as a state machine.
//!
//! It opens no socket and reads no clock: the caller hands in the bytes that arrived and the time, writes out what
//! [`Circuit::take_output`] gives, acts on [`Circuit::poll_event`], and calls [`Circuit::handle_timeout`] when
//! [`Circuit::poll_timeout`] has passed. After an error the circuit is finished; the caller closes the connection.
//!
//! A channel has at most one subscription of each kind, so that tens of thousands of channels need one table: the number
//! of a subscription is made from the number of its channel.
//!
//! What it deliberately does not do: decide what to read or subscribe to, keep values, or connect again.

mod event;
mod incoming;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::name::PvName;
use crate::proto::{
    self, AccessRights, Command, DYNAMIC_COUNT_MINOR_VERSION, DataType, Decoder, Form,
    MINIMUM_MINOR_VERSION, Mask, Request, Response,
};

pub use event::{Event, Payload, Refusal};
use incoming::Incoming;

/// How long a server has to answer an echo, as in `libca` (`CA_ECHO_TIMEOUT`).
pub const ECHO_TIMEOUT: Duration = Duration::from_secs(5);

/// Number that this client gives to a channel: chosen by the user of the circuit, at most [`ChannelId::MAXIMUM`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u32);

impl ChannelId {
    /// Largest number: the rest of the 32 bits tells subscriptions of one channel apart.
    pub const MAXIMUM: u32 = u32::MAX >> 1;
}

/// What a subscription is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subscribed {
    Values,
    Properties,
}

/// Number of a subscription.
fn subscription(channel: ChannelId, subscribed: Subscribed) -> u32 {
    channel.0 << 1 | u32::from(subscribed == Subscribed::Properties)
}

/// What a subscription number stands for.
fn subscribed(number: u32) -> (ChannelId, Subscribed) {
    let kind = if number & 1 == 0 {
        Subscribed::Values
    } else {
        Subscribed::Properties
    };
    (ChannelId(number >> 1), kind)
}

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
    /// Priority of the circuit, 0 to 99, for servers that schedule by it.
    pub priority: u16,
    /// Silence after which the server is asked for a sign of life.
    pub connection_timeout: Duration,
    /// Largest payload accepted, in bytes.
    pub maximum_payload: u32,
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
    /// The number of a new channel is in use or too large.
    #[error("channel number {} cannot be used", .channel.0)]
    ChannelNumber {
        /// Which.
        channel: ChannelId,
    },
    /// The channel is not (or no longer) usable.
    #[error("the channel is not connected")]
    NotConnected,
}

#[derive(Debug, Default)]
struct Channel {
    server: Option<ServerChannel>,
    rights: Option<AccessRights>,
    /// Mask of the subscription to values.
    values: Option<Mask>,
    /// Whether properties are subscribed to.
    properties: bool,
    /// Reads and writes that are not answered.
    requests: u16,
}

#[derive(Clone, Copy, Debug)]
struct ServerChannel {
    number: u32,
    count: u32,
    data_type: DataType,
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
    channels: HashMap<ChannelId, Channel>,
    pending: BTreeMap<RequestId, Pending>,
    next_request: u32,
    maximum_payload: u32,
    paused: bool,
    gathering: bool,
    connection_timeout: Duration,
    last_arrival: Instant,
    echo_sent: Option<Instant>,
}

impl Circuit {
    /// A circuit on a connection that has just been made. Version, host name and user name are in the output at once.
    pub fn new(settings: &Settings, now: Instant) -> Result<Self, Error> {
        let mut output = Vec::new();
        let priority = settings.priority;
        Request::Version { priority }.encode(&mut output)?;
        Request::HostName(&settings.host_name).encode(&mut output)?;
        Request::ClientName(&settings.user_name).encode(&mut output)?;
        Ok(Self {
            decoder: Decoder::new(settings.maximum_payload),
            output,
            events: VecDeque::new(),
            minor: None,
            channels: HashMap::new(),
            pending: BTreeMap::new(),
            next_request: 1,
            maximum_payload: settings.maximum_payload,
            paused: false,
            gathering: false,
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
                output: &mut self.output,
                maximum_payload: self.maximum_payload,
            };
            if u32::try_from(frame.payload.len()).is_ok_and(|size| size < frame.header.payload_size)
            {
                incoming.left_out(frame.header);
            } else {
                incoming.handle(Response::decode(frame)?)?;
            }
        }
        Ok(())
    }

    /// Asks at once for a sign of life: something suggests that the server has been started again.
    pub fn probe(&mut self, now: Instant) -> Result<(), Error> {
        if self.echo_sent.is_some() {
            return Ok(());
        }
        self.echo_sent = Some(now);
        Ok(Request::Echo.encode(&mut self.output)?)
    }

    /// Asks for a channel to a PV.
    pub fn create_channel(&mut self, channel: ChannelId, name: &PvName) -> Result<(), Error> {
        if channel.0 > ChannelId::MAXIMUM || self.channels.contains_key(&channel) {
            return Err(Error::ChannelNumber { channel });
        }
        Request::CreateChannel {
            name,
            channel: channel.0,
        }
        .encode(&mut self.output)?;
        self.channels.insert(channel, Channel::default());
        Ok(())
    }

    /// Gives a channel back. Its values and answers to its requests are no longer reported.
    pub fn clear_channel(&mut self, channel: ChannelId) -> Result<(), Error> {
        let Some(state) = self.channels.remove(&channel) else {
            return Ok(());
        };
        if state.requests > 0 {
            self.pending.retain(|_, pending| pending.channel != channel);
        }
        if let Some(server) = state.server {
            let request = Request::ClearChannel {
                server_channel: server.number,
                channel: channel.0,
            };
            request.encode(&mut self.output)?;
        }
        Ok(())
    }

    /// All channels, also those that the server has not confirmed.
    pub fn channels(&self) -> impl Iterator<Item = ChannelId> {
        self.channels.keys().copied()
    }

    /// Whether the channel has been asked for and not been lost or given back.
    pub fn has_channel(&self, channel: ChannelId) -> bool {
        self.channels.contains_key(&channel)
    }

    /// Bytes that wait to be written.
    pub fn output_length(&self) -> usize {
        self.output.len()
    }

    /// The server's minor version once it is known.
    pub fn minor_version(&self) -> Option<u32> {
        self.minor
    }

    /// Native type and largest number of elements of a channel that is there.
    pub fn native(&self, channel: ChannelId) -> Option<(DataType, u32)> {
        let server = self.channels.get(&channel)?.server?;
        Some((server.data_type, server.count))
    }

    /// Subscribes to values with alarm state and time stamp, in the PV's own type and with all its elements; the present
    /// value comes first. A channel that is subscribed already is subscribed anew: the present value comes again.
    pub fn subscribe(&mut self, channel: ChannelId, mask: Mask) -> Result<(), Error> {
        self.unsubscribe(channel)?;
        self.event_add(channel, Subscribed::Values, mask)?;
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.values = Some(mask);
        }
        Ok(())
    }

    /// Ends the subscription to values.
    pub fn unsubscribe(&mut self, channel: ChannelId) -> Result<(), Error> {
        let server = self.server_channel(channel)?;
        let subscribed = self.channels.get_mut(&channel);
        if subscribed
            .and_then(|channel| channel.values.take())
            .is_none()
        {
            return Ok(());
        }
        let request = Request::EventCancel {
            data_type: server.data_type.number(Form::Time),
            count: self.whole(server),
            server_channel: server.number,
            subscription: subscription(channel, Subscribed::Values),
        };
        Ok(request.encode(&mut self.output)?)
    }

    /// Subscribes to units, limits, precision and labels: as they are now, and whenever they change.
    pub fn subscribe_properties(&mut self, channel: ChannelId) -> Result<(), Error> {
        if self
            .channels
            .get(&channel)
            .is_some_and(|state| state.properties)
        {
            return Ok(());
        }
        self.event_add(channel, Subscribed::Properties, Mask::PROPERTY)?;
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.properties = true;
        }
        Ok(())
    }

    fn event_add(&mut self, channel: ChannelId, kind: Subscribed, mask: Mask) -> Result<(), Error> {
        let server = self.server_channel(channel)?;
        let (form, count) = match kind {
            Subscribed::Values => (Form::Time, self.whole(server)),
            Subscribed::Properties => (Form::Graphic, 1),
        };
        let request = Request::EventAdd {
            data_type: server.data_type.number(form),
            count,
            server_channel: server.number,
            subscription: subscription(channel, kind),
            mask,
        };
        Ok(request.encode(&mut self.output)?)
    }

    /// Asks the server to keep values back from the place on where the output had this length, until
    /// [`Circuit::gathered`]. The first values of many new subscriptions then come together. Without it a server of EPICS
    /// base wakes a thread for each of them, which looks through all subscriptions and is in the way of the next one.
    pub fn gather(&mut self, since: usize) -> Result<(), Error> {
        if self.gathering {
            return Ok(());
        }
        self.gathering = true;
        if !self.paused {
            let mut off = Vec::new();
            Request::EventsOff.encode(&mut off)?;
            let since = since.min(self.output.len());
            self.output.splice(since..since, off);
        }
        Ok(())
    }

    /// Ends [`Circuit::gather`].
    pub fn gathered(&mut self) -> Result<(), Error> {
        let flows = self.gathering && !self.paused;
        self.gathering = false;
        if flows {
            Request::EventsOn.encode(&mut self.output)?;
        }
        Ok(())
    }

    /// Flow control: asks the server to keep values back, the latest of each subscription, or to send them again.
    pub fn pause(&mut self, paused: bool) -> Result<(), Error> {
        if paused == self.paused {
            return Ok(());
        }
        self.paused = paused;
        if self.gathering {
            return Ok(());
        }
        let request = if paused {
            Request::EventsOff
        } else {
            Request::EventsOn
        };
        Ok(request.encode(&mut self.output)?)
    }

    /// What the server allows on a channel; `None` if it has not said so.
    pub fn access_rights(&self, channel: ChannelId) -> Option<AccessRights> {
        self.channels.get(&channel)?.rights
    }

    /// Reads all elements in the PV's own type; properties come with one element, because they are about all.
    pub fn read(&mut self, channel: ChannelId, form: Form) -> Result<RequestId, Error> {
        let server = self.server_channel(channel)?;
        let count = match form {
            Form::Graphic | Form::Control => 1,
            Form::Plain | Form::Time => self.whole(server),
        };
        self.read_count(channel, form, count)
    }

    /// Reads the first `count` elements in the PV's own type; zero asks servers from version 4.13 for all.
    pub fn read_count(
        &mut self,
        channel: ChannelId,
        form: Form,
        count: u32,
    ) -> Result<RequestId, Error> {
        let server = self.server_channel(channel)?;
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

    /// The count that asks for all elements.
    fn whole(&self, server: ServerChannel) -> u32 {
        let dynamic = self
            .minor
            .is_some_and(|minor| minor >= u32::from(DYNAMIC_COUNT_MINOR_VERSION));
        if dynamic { 0 } else { server.count }
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
        let mut request = RequestId(self.next_request);
        while self.pending.contains_key(&request) {
            request = RequestId(request.0.wrapping_add(1));
        }
        self.next_request = request.0.wrapping_add(1);
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.requests = channel.requests.saturating_add(1);
        }
        self.pending.insert(request, Pending { channel, kind });
        request
    }
}
