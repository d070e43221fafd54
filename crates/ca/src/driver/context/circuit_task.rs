//! One connection: bytes to and from the circuit's state.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::super::connection::ConnectionError;
use super::shared::{Connect, Phase, Shared};
use crate::channels::CircuitId;

/// Longest wait for a server to accept a connection and send its version.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes read at once.
const READ_SIZE: usize = 16 * 1024;
/// Reads before other tasks have their turn.
const READS: usize = 16;
/// When nothing is due.
const LONG: Duration = Duration::from_hours(1);
/// Longest wait for the last bytes to leave.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Makes a connection and serves it until it ends.
pub(super) async fn run(shared: Arc<Shared>, connect: Connect) {
    let circuit = connect.circuit;
    let mut phase = shared.phase.subscribe();
    let served = async {
        tokio::select! {
            result = serve(&shared, &connect) => result,
            // the state goes as a whole
            _ = phase.wait_for(|phase| *phase != Phase::Running) => Ok(()),
        }
    };
    if let Err(error) = served.await {
        tracing::debug!(
            "circuit to {} has ended: {}",
            connect.server,
            super::super::error::Chain(&error)
        );
        let reason: Arc<dyn std::error::Error + Send + Sync> = Arc::new(error);
        shared.with(|channels, now| channels.closed(circuit, &reason, now));
    }
    shared.forget(circuit);
}

async fn serve(shared: &Shared, connect: &Connect) -> Result<(), ConnectionError> {
    let Connect {
        circuit, server, ..
    } = *connect;
    let stream = match timeout(CONNECT_TIMEOUT, TcpStream::connect(server)).await {
        Ok(connected) => connected.map_err(ConnectionError::Connect)?,
        Err(_) => return Err(ConnectionError::Connect(io::ErrorKind::TimedOut.into())),
    };
    // requests are small and waited for; many are written at once anyway
    stream.set_nodelay(true).map_err(ConnectionError::Connect)?;
    shared.with(|channels, now| channels.connected(circuit, now));
    let mut connection = Connection {
        shared,
        circuit,
        stream,
        unsent: Vec::new(),
        written: 0,
    };
    let handshake = Instant::now() + CONNECT_TIMEOUT;
    loop {
        connection.collect();
        let due = shared.with(|channels, _| channels.poll_circuit_timeout(circuit));
        let due = due.map_or_else(|| Instant::now() + LONG, Instant::from_std);
        let ready = shared.with(|channels, _| channels.is_ready(circuit));
        let due = if ready { due } else { due.min(handshake) };
        if let Some(output) = connect.port.last_output() {
            connection.unsent.extend_from_slice(&output);
            return connection.close().await;
        }
        let full = shared.is_full();
        tokio::select! {
            readable = connection.stream.readable(), if !full => {
                readable.map_err(ConnectionError::Broken)?;
                connection.read()?;
            }
            writable = connection.stream.writable(), if connection.has_output() => {
                writable.map_err(ConnectionError::Broken)?;
                connection.write()?;
            }
            () = connect.port.wake.notified() => {}
            // looks again now and then, in case it was drained between the question and the wait
            () = drained(shared), if full => {}
            () = sleep_until(due) => {
                if !ready && Instant::now() >= handshake {
                    return Err(ConnectionError::Handshake);
                }
                shared.with(|channels, now| channels.handle_circuit_timeout(circuit, now))?;
            }
        }
    }
}

async fn drained(shared: &Shared) {
    timeout(Duration::from_millis(100), shared.drained.notified())
        .await
        .ok();
}

struct Connection<'a> {
    shared: &'a Shared,
    circuit: CircuitId,
    stream: TcpStream,
    unsent: Vec<u8>,
    written: usize,
}

impl Connection<'_> {
    fn has_output(&self) -> bool {
        self.written < self.unsent.len()
    }

    /// Fetches what is to be written.
    fn collect(&mut self) {
        let circuit = self.circuit;
        let mut output = self
            .shared
            .with(|channels, _| channels.take_output(circuit));
        if self.has_output() {
            self.unsent.append(&mut output);
        } else {
            self.unsent = output;
            self.written = 0;
        }
    }

    fn write(&mut self) -> Result<(), ConnectionError> {
        match self.stream.try_write(&self.unsent[self.written..]) {
            Ok(length) => {
                self.written += length;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(ConnectionError::Broken(error)),
        }
    }

    /// Reads what has arrived. The buffer is on the stack: hundreds of idle connections need none.
    fn read(&mut self) -> Result<(), ConnectionError> {
        let mut buffer = [0; READ_SIZE];
        for _ in 0..READS {
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return Err(ConnectionError::Closed),
                Ok(length) => {
                    let bytes = &buffer[..length];
                    let circuit = self.circuit;
                    self.shared
                        .with(|channels, now| channels.handle_bytes(circuit, bytes, now))?;
                    if length < READ_SIZE {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(ConnectionError::Broken(error)),
            }
        }
        Ok(())
    }

    /// Writes what there is and ends the connection.
    async fn close(mut self) -> Result<(), ConnectionError> {
        let last = async {
            self.stream.write_all(&self.unsent[self.written..]).await?;
            self.stream.shutdown().await
        };
        match timeout(CLOSE_TIMEOUT, last).await {
            Ok(result) => result.map_err(ConnectionError::Broken),
            // the socket closes in any case
            Err(_) => Ok(()),
        }
    }
}
