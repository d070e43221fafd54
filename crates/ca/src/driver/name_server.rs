//! Searching over TCP: one task for each name server, owned by the search that it serves.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::connection::{Connection, ConnectionError};
use crate::circuit::{Event, Settings};
use crate::search::Datagram;

/// Pause before a name server is connected to again.
const RETRY: Duration = Duration::from_secs(1);

/// What a name server brought.
pub(super) enum Reply {
    /// An answer to a search.
    Answer {
        /// The number given with the search.
        search: u32,
        /// Address of the IOC; `None` if it is the name server itself.
        address: Option<Ipv4Addr>,
        /// TCP port of the IOC.
        port: u16,
    },
    /// It cannot be asked, for now.
    Problem(NameServerError),
}

/// Why a name server cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum NameServerError {
    /// No connection.
    #[error(transparent)]
    Connection(ConnectionError),
    /// It does not know searches over TCP.
    #[error("it is older than Channel Access 4.12 and cannot be searched over TCP")]
    TooOld,
}

/// Sends every datagram's searches to the server and reports its replies, connecting again whenever the connection ends,
/// until the other ends of the queues are gone. A connection attempt ends at `deadline`.
pub(super) async fn ask(
    server: SocketAddr,
    settings: Arc<Settings>,
    mut datagrams: mpsc::Receiver<Arc<Datagram>>,
    replies: mpsc::Sender<(SocketAddr, Reply)>,
    deadline: Instant,
) {
    loop {
        let problem = match Connection::open(server, &settings, deadline).await {
            Ok(connection) if !connection.can_search() => NameServerError::TooOld,
            Ok(connection) => match serve(server, connection, &mut datagrams, &replies).await {
                Ok(()) => return,
                Err(error) => NameServerError::Connection(error),
            },
            Err(error) => NameServerError::Connection(error),
        };
        if replies
            .send((server, Reply::Problem(problem)))
            .await
            .is_err()
        {
            return;
        }
        sleep(RETRY).await;
    }
}

/// Serves one connection until it breaks, or until nobody wants replies any more.
async fn serve(
    server: SocketAddr,
    mut connection: Connection,
    datagrams: &mut mpsc::Receiver<Arc<Datagram>>,
    replies: &mpsc::Sender<(SocketAddr, Reply)>,
) -> Result<(), ConnectionError> {
    loop {
        tokio::select! {
            datagram = datagrams.recv() => match datagram {
                Some(datagram) => connection.circuit.search(&datagram),
                None => return connection.close().await,
            },
            event = connection.next_event() => {
                if let Event::SearchReply { search, address, port } = event? {
                    let reply = Reply::Answer { search, address, port };
                    if replies.send((server, reply)).await.is_err() {
                        return connection.close().await;
                    }
                }
            }
        }
    }
}
