//! Searching: one socket for all names and addresses. This task also starts the others, and ends after them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use std::{future, io};

use tokio::net::UdpSocket;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use super::super::destinations;
use super::super::error::Searched;
use super::shared::{Phase, Shared};
use super::{beacon_task, circuit_task};
use crate::Configuration;
use crate::channels::Channels;
use crate::environment::Address;

/// Receive buffer: the largest UDP datagram.
const DATAGRAM_SIZE: usize = 0xffff;
/// Datagrams taken before others have their turn.
const DATAGRAMS: usize = 64;
/// Room that is asked of the kernel for answers: those to a hundred thousand names come within a second.
const SOCKET_BUFFER: usize = 4 << 20;
/// How often names of hosts that could not be resolved, and the network's interfaces, are looked at again.
const RESOLVE_AGAIN: Duration = Duration::from_mins(1);
/// How long a name of a host may take to be resolved.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest wait for connections to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs until the context is closed.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut tasks = JoinSet::new();
    let mut phase = shared.phase.subscribe();
    if let Some(port) = shared.configuration.repeater_port {
        tasks.spawn(beacon_task::run(Arc::clone(&shared), port));
    }
    tokio::select! {
        never = search(&shared, &mut tasks) => match never {},
        // the sender is in `shared`
        _ = phase.wait_for(|phase| *phase != Phase::Running) => {}
    }
    let ended = async { while tasks.join_next().await.is_some() {} };
    timeout(CLOSE_TIMEOUT, ended).await.ok();
    tasks.abort_all();
    shared.closed();
}

async fn search(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) -> std::convert::Infallible {
    let mut searching = Searching {
        shared,
        socket: None,
        searched: Searched::default(),
    };
    // what needs no name server of the network is there at once
    let known = only_addresses(&shared.configuration);
    let first = destinations::resolve(&known, Instant::now() + RESOLVE_TIMEOUT).await;
    searching.found(first);
    let mut resolving = (known != shared.configuration).then(|| resolve(&shared.configuration));
    let mut resolve_at = Instant::now() + RESOLVE_AGAIN;
    let mut buffer = vec![0; DATAGRAM_SIZE];
    loop {
        for connect in shared.take_connects() {
            tasks.spawn(circuit_task::run(Arc::clone(shared), connect));
        }
        shared.with(Channels::handle_timeout);
        searching.transmit().await;
        let due = shared.search_due().map(Instant::from_std);
        let due = due.filter(|_| searching.has_somewhere());
        tokio::select! {
            () = shared.search.notified() => {}
            readable = readable(searching.socket.as_ref()) => match readable {
                Ok(()) => searching.receive(&mut buffer),
                Err(error) => searching.broken(&error),
            },
            () = sleep_until(due.unwrap_or(resolve_at).min(resolve_at)) => {
                if Instant::now() >= resolve_at {
                    resolve_at = Instant::now() + RESOLVE_AGAIN;
                    let configuration = &shared.configuration;
                    let may_change = configuration.interfaces.is_some() || !searching.searched.problems.is_empty();
                    if may_change && resolving.is_none() {
                        resolving = Some(resolve(configuration));
                    }
                }
            }
            searched = resolved(resolving.as_mut()) => {
                resolving = None;
                if let Some(searched) = searched {
                    searching.found(searched);
                }
            }
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended {
                    tracing::error!("a task of the Channel Access client failed: {error}");
                }
            }
        }
    }
}

/// The configuration without names of hosts.
fn only_addresses(configuration: &Configuration) -> Configuration {
    let is_address = |address: &Address| matches!(address, Address::Ip(_));
    let mut known = configuration.clone();
    known.addresses.retain(is_address);
    known.name_servers.retain(is_address);
    known
}

fn resolve(configuration: &Configuration) -> JoinHandle<Searched> {
    let configuration = configuration.clone();
    tokio::spawn(async move {
        destinations::resolve(&configuration, Instant::now() + RESOLVE_TIMEOUT).await
    })
}

async fn resolved(resolving: Option<&mut JoinHandle<Searched>>) -> Option<Searched> {
    match resolving {
        Some(handle) => handle.await.ok(),
        None => future::pending().await,
    }
}

async fn readable(socket: Option<&UdpSocket>) -> io::Result<()> {
    match socket {
        Some(socket) => socket.readable().await,
        None => future::pending().await,
    }
}

struct Searching<'a> {
    shared: &'a Shared,
    socket: Option<UdpSocket>,
    searched: Searched,
}

impl Searching<'_> {
    fn has_somewhere(&self) -> bool {
        !self.searched.addresses.is_empty() || !self.searched.name_servers.is_empty()
    }

    /// Takes over where to search.
    fn found(&mut self, searched: Searched) {
        for problem in &searched.problems {
            if !self.searched.problems.contains(problem) {
                tracing::warn!("searching for PVs: {problem}");
            }
        }
        let more = searched
            .addresses
            .iter()
            .any(|address| !self.searched.addresses.contains(address));
        self.searched = searched;
        self.shared.set_searched(self.searched.clone());
        let name_servers = &self.searched.name_servers;
        self.shared.with(|channels, now| {
            for address in name_servers {
                if let SocketAddr::V4(address) = address {
                    channels.add_name_server(*address, now);
                }
            }
            if more {
                channels.search_again(now);
            }
        });
    }

    /// Sends what is due to everybody.
    async fn transmit(&mut self) {
        if !self.has_somewhere() {
            return;
        }
        if self.socket.is_none() && !self.searched.addresses.is_empty() {
            match open_socket(&self.shared.configuration).await {
                Ok(socket) => self.socket = Some(socket),
                Err(error) => self.problem(format!("cannot open a socket to search: {error}")),
            }
        }
        while let Some(datagram) = self.shared.with(Channels::poll_search) {
            let mut failed = Vec::new();
            if let Some(socket) = &self.socket {
                for address in &self.searched.addresses {
                    if let Err(error) = socket.send_to(datagram.bytes(), address).await {
                        failed.push(format!("cannot send to {address}: {error}"));
                    }
                }
            }
            for problem in failed {
                self.problem(problem);
            }
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) {
        let Some(socket) = &self.socket else {
            return;
        };
        for _ in 0..DATAGRAMS {
            match socket.try_recv_from(buffer) {
                Ok((length, sender)) => {
                    let IpAddr::V4(sender) = sender.ip() else {
                        continue;
                    };
                    let bytes = &buffer[..length];
                    let result = self
                        .shared
                        .with(|channels, now| channels.handle_datagram(bytes, sender, now));
                    if let Err(error) = result {
                        tracing::debug!("datagram from {sender}: {error}");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // the kernel reports what an earlier datagram met, as "connection refused"
                    tracing::debug!("receiving answers to searches: {error}");
                    return;
                }
            }
        }
    }

    /// The socket cannot be used any more; the next search opens another.
    fn broken(&mut self, error: &io::Error) {
        self.problem(format!("cannot receive answers: {error}"));
        self.socket = None;
    }

    fn problem(&mut self, problem: String) {
        /// Problems that are kept for messages.
        const MOST: usize = 32;
        let problems = &mut self.searched.problems;
        if problems.len() < MOST && !problems.contains(&problem) {
            tracing::warn!("searching for PVs: {problem}");
            problems.push(problem);
            self.shared.set_searched(self.searched.clone());
        }
    }
}

async fn open_socket(configuration: &Configuration) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.set_broadcast(true)?;
    socket.set_multicast_ttl_v4(u32::from(configuration.multicast_ttl))?;
    // the kernel gives as much of it as it is set to
    if let Err(error) = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER) {
        tracing::debug!("receive buffer of searches: {error}");
    }
    Ok(socket)
}
