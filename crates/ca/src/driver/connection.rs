//! A circuit on a TCP connection.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::circuit::{self, Circuit, Event, Settings};
use crate::{Configuration, proto};

/// Bytes read at once.
const READ_SIZE: usize = 16 * 1024;

/// Why a connection could not be made, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// TCP connection not made.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// Connected, but no version came in time.
    #[error("the server accepted the connection but sent no version")]
    Handshake,
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// The server broke the protocol, or is silent.
    #[error(transparent)]
    Circuit(#[from] circuit::Error),
}

/// What the client says of itself, with this machine's own names where the configuration gives none.
pub(super) fn settings(configuration: &Configuration) -> Settings {
    let host_name = || {
        rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned()
    };
    let user_name = || rustix::process::geteuid().as_raw().to_string();
    Settings {
        user_name: configuration.user_name.clone().unwrap_or_else(user_name),
        host_name: configuration.host_name.clone().unwrap_or_else(host_name),
        priority: configuration.priority,
        connection_timeout: configuration.connection_timeout,
        maximum_payload: configuration.maximum_payload,
    }
}

/// A connection on which versions have been exchanged.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) circuit: Circuit,
    minor: u32,
    stream: TcpStream,
    buffer: Vec<u8>,
    unsent: Vec<u8>,
}

impl Connection {
    /// Connects and exchanges versions. Dropping the future closes the connection.
    pub(super) async fn open(
        server: SocketAddr,
        settings: &Settings,
        deadline: Instant,
    ) -> Result<Self, ConnectionError> {
        let stream = match timeout_at(deadline, TcpStream::connect(server)).await {
            Ok(connected) => connected.map_err(ConnectionError::Connect)?,
            Err(_) => return Err(ConnectionError::Connect(io::ErrorKind::TimedOut.into())),
        };
        // requests are small and waited for
        stream.set_nodelay(true).map_err(ConnectionError::Connect)?;
        let circuit = Circuit::new(settings, Instant::now().into_std())?;
        let mut connection = Self {
            circuit,
            minor: 0,
            stream,
            buffer: vec![0; READ_SIZE],
            unsent: Vec::new(),
        };
        let ready = async {
            loop {
                if let Event::Ready { minor } = connection.next_event().await? {
                    return Ok::<_, ConnectionError>(minor);
                }
            }
        };
        connection.minor = match timeout_at(deadline, ready).await {
            Ok(minor) => minor?,
            Err(_) => return Err(ConnectionError::Handshake),
        };
        Ok(connection)
    }

    /// Whether the server can be searched over this connection.
    pub(super) fn can_search(&self) -> bool {
        self.minor >= u32::from(proto::TCP_SEARCH_MINOR_VERSION)
    }

    /// Waits for the next event, and meanwhile writes what there is to write. The future can be dropped and the call
    /// repeated: nothing is lost.
    pub(super) async fn next_event(&mut self) -> Result<Event, ConnectionError> {
        loop {
            self.unsent.append(&mut self.circuit.take_output());
            if let Some(event) = self.circuit.poll_event() {
                return Ok(event);
            }
            let timeout = self.circuit.poll_timeout();
            let (mut reader, mut writer) = self.stream.split();
            tokio::select! {
                read = reader.read(&mut self.buffer) => match read {
                    Ok(0) => return Err(ConnectionError::Closed),
                    Ok(length) => {
                        let now = Instant::now().into_std();
                        self.circuit.handle_bytes(&self.buffer[..length], now)?;
                    }
                    Err(error) => return Err(ConnectionError::Broken(error)),
                },
                written = writer.write(&self.unsent), if !self.unsent.is_empty() => {
                    let length = written.map_err(ConnectionError::Broken)?;
                    self.unsent.drain(..length);
                }
                () = sleep_until_some(timeout) => self.circuit.handle_timeout(Instant::now().into_std())?,
            }
        }
    }

    /// Writes what there is to write and ends the connection.
    pub(super) async fn close(mut self) -> Result<(), ConnectionError> {
        self.unsent.append(&mut self.circuit.take_output());
        self.stream
            .write_all(&self.unsent)
            .await
            .map_err(ConnectionError::Broken)?;
        self.stream
            .shutdown()
            .await
            .map_err(ConnectionError::Broken)
    }
}

/// Sleeps until that time; forever without one.
async fn sleep_until_some(time: Option<std::time::Instant>) {
    match time {
        Some(time) => sleep_until(Instant::from_std(time)).await,
        None => std::future::pending().await,
    }
}
