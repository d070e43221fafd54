//! The repeater on its socket.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use tokio::net::UdpSocket;

use crate::repeater::{Action, Repeater};

/// Receive buffer: the largest UDP datagram.
const DATAGRAM_SIZE: usize = 0xffff;

/// Passes beacons on until the task is ended.
pub(super) async fn run(socket: UdpSocket) {
    let mut repeater = Repeater::default();
    // a socket for each client: only so does the kernel say that a client is gone
    let mut clients = HashMap::new();
    let mut buffer = vec![0; DATAGRAM_SIZE];
    loop {
        let (length, sender) = match socket.recv_from(&mut buffer).await {
            Ok((length, SocketAddr::V4(sender))) => (length, sender),
            Ok((_, SocketAddr::V6(_))) => continue,
            Err(error) => {
                tracing::debug!("repeater: {error}");
                tokio::task::yield_now().await;
                continue;
            }
        };
        let bytes = &buffer[..length];
        let local = is_local(*sender.ip());
        for action in repeater.handle(bytes, sender, local) {
            match action {
                Action::Send { client, bytes } => {
                    send(&mut repeater, &mut clients, client, &bytes).await;
                }
                Action::Distribute { except, bytes } => {
                    let all: Vec<_> = repeater.clients().collect();
                    for client in all.into_iter().filter(|client| *client != except) {
                        send(&mut repeater, &mut clients, client, &bytes).await;
                    }
                }
            }
        }
    }
}

/// Whether an address is one of this machine.
fn is_local(address: Ipv4Addr) -> bool {
    // what cannot be bound to is somewhere else
    address.is_loopback() || std::net::UdpSocket::bind((IpAddr::V4(address), 0)).is_ok()
}

async fn send(
    repeater: &mut Repeater,
    clients: &mut HashMap<SocketAddrV4, UdpSocket>,
    client: SocketAddrV4,
    bytes: &[u8],
) {
    if let Entry::Vacant(entry) = clients.entry(client) {
        let connected = async {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
            socket.connect(client).await?;
            Ok::<_, std::io::Error>(socket)
        };
        match connected.await {
            Ok(socket) => {
                entry.insert(socket);
            }
            Err(error) => tracing::debug!("repeater: {client}: {error}"),
        }
    }
    let result = match clients.get(&client) {
        Some(socket) => socket.send(bytes).await,
        None => return repeater.remove(client),
    };
    if let Err(error) = result {
        tracing::debug!("repeater: client {client} is gone: {error}");
        clients.remove(&client);
        repeater.remove(client);
    }
}
