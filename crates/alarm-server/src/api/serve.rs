//! The listener and its connections, with bounds on everything that a client decides.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Api;

/// How long the headers of a request may take.
const HEADERS: Duration = Duration::from_secs(10);
/// Largest headers, in bytes.
const HEADER_BYTES: usize = 64 << 10;
/// Most headers.
const HEADER_COUNT: usize = 64;

/// A socket that listens.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

/// Listens on an address.
///
/// # Errors
///
/// An address that is taken or not of this machine.
pub async fn bind(address: SocketAddr) -> std::io::Result<Listening> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Listening { listener, address })
}

impl Listening {
    /// Where, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until told to stop, then lets requests that are under way end.
    pub(crate) async fn serve(self, api: Api, stop: CancellationToken) {
        let connections = api.settings.connections;
        let router = super::routes::router(&api);
        self.serve_router(router, connections, stop).await;
    }

    /// Serves any routes with the same bounds, on so many connections at once.
    pub async fn serve_router(self, router: Router, connections: usize, stop: CancellationToken) {
        let connections = Arc::new(Semaphore::new(connections.max(1)));
        let tasks = TaskTracker::new();
        loop {
            let slot = tokio::select! {
                slot = Arc::clone(&connections).acquire_owned() => slot,
                () = stop.cancelled() => break,
            };
            let Ok(slot) = slot else { break };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let (router, stop) = (router.clone(), stop.clone());
                    tasks.spawn(async move {
                        connection(stream, peer, router, stop).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    // of the machine, such as too many open files
                    tracing::warn!("a connection to the control API was not accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        tasks.close();
        tasks.wait().await;
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("{peer}: {error}");
    }
    let service = TowerToHyperService::new(router.layer(axum::Extension(peer)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADER_COUNT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("{peer}: {error}");
    }
}
