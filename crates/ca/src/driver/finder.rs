//! Finding servers: the search state machine on a UDP socket and name-server connections, and the check that a server
//! that answered can be connected to.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use std::{future, io};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::connection::{Connection, ConnectionError, settings};
use super::error::{Chain, Error, Searched};
use super::name_server::{self, Reply};
use super::{FOR_EVER, Found, deadline_after, destinations};
use crate::Configuration;
use crate::circuit::Settings;
use crate::name::PvName;
use crate::search::{Answer, Datagram, Search, SearchId};

/// Longest wait for a server to accept a connection and send its version, before its names are searched for again.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// Datagrams that may wait for a name server; more are dropped, the names come again.
const NAME_SERVER_QUEUE: usize = 64;
/// Receive buffer: the largest UDP datagram.
const DATAGRAM_SIZE: usize = 0xffff;

/// What a search brought.
pub(super) struct Outcome {
    /// One result for each name, in their order.
    pub(super) results: Vec<Result<Found, Error>>,
    /// The connections by which the servers were checked.
    pub(super) connections: BTreeMap<SocketAddr, Connection>,
}

/// One search for some names.
pub(super) struct Finder {
    search: Search,
    wanted: BTreeMap<SearchId, Wanted>,
    searched: Searched,
    socket: Option<UdpSocket>,
    name_servers: Vec<mpsc::Sender<Arc<Datagram>>>,
    servers: BTreeMap<SocketAddr, Server>,
    checks: JoinSet<(SocketAddr, Result<Connection, ConnectionError>)>,
    settings: Arc<Settings>,
    settle: Duration,
    timeout: Duration,
    deadline: Instant,
}

/// One name.
struct Wanted {
    name: PvName,
    /// Servers that answered, in the order of their answers, without those that could not be connected to.
    servers: Vec<SocketAddr>,
    /// Until when further answers are waited for.
    settled: Option<Instant>,
    failure: Option<(SocketAddr, Arc<ConnectionError>)>,
    found: Option<Found>,
}

/// A server that answered.
enum Server {
    Checking,
    Usable(Box<Connection>),
}

impl Finder {
    /// Searches until every name is found and no further answer came for `settle`, or until `timeout` has passed.
    pub(super) async fn run(
        configuration: &Configuration,
        names: Vec<PvName>,
        timeout: Duration,
        settle: Duration,
    ) -> Outcome {
        let deadline = deadline_after(timeout);
        let failed = |error: &dyn Fn(PvName) -> Error| Outcome {
            results: names.iter().cloned().map(|name| Err(error(name))).collect(),
            connections: BTreeMap::new(),
        };
        if names.is_empty() {
            return failed(&|pv| Error::NowhereToSearch { pv });
        }
        let searched = destinations::resolve(configuration, deadline).await;
        if searched == Searched::default() {
            return failed(&|pv| Error::NowhereToSearch { pv });
        }
        let socket = if searched.addresses.is_empty() {
            None
        } else {
            match open_socket().await {
                Ok(socket) => Some(socket),
                Err(error) => {
                    let source = Arc::new(error);
                    return failed(&|pv| Error::Socket {
                        pv,
                        source: Arc::clone(&source),
                    });
                }
            }
        };
        let now = Instant::now().into_std();
        let mut search = Search::new(configuration.search_interval, now);
        let wanted = |(number, name): (u32, PvName)| {
            let id = SearchId(number);
            search.add(id, now);
            (
                id,
                Wanted {
                    name,
                    servers: Vec::new(),
                    settled: None,
                    failure: None,
                    found: None,
                },
            )
        };
        // searches are numbered upwards, so the map keeps the order of the names
        let wanted = (1..).zip(names).map(wanted).collect();
        let finder = Self {
            search,
            wanted,
            searched,
            socket,
            name_servers: Vec::new(),
            servers: BTreeMap::new(),
            checks: JoinSet::new(),
            settings: Arc::new(settings(configuration)),
            settle: settle.min(FOR_EVER),
            timeout,
            deadline,
        };
        finder.search().await
    }

    async fn search(mut self) -> Outcome {
        // dropped at the end, and the tasks with it
        let mut tasks = JoinSet::new();
        let (reply_sender, mut replies) = mpsc::channel(NAME_SERVER_QUEUE);
        for &server in &self.searched.name_servers {
            let (sender, datagrams) = mpsc::channel(NAME_SERVER_QUEUE);
            self.name_servers.push(sender);
            let settings = Arc::clone(&self.settings);
            tasks.spawn(name_server::ask(
                server,
                settings,
                datagrams,
                reply_sender.clone(),
                self.deadline,
            ));
        }
        let mut buffer = vec![0; DATAGRAM_SIZE];
        loop {
            let now = Instant::now();
            self.settle(now);
            let all_found = self.wanted.values().all(|wanted| wanted.found.is_some());
            // checks end at the deadline by themselves and say what was wrong
            if all_found || (now >= self.deadline && self.checks.is_empty()) {
                return self.outcome();
            }
            self.transmit(now).await;
            let wake = self.next_wake(now);
            tokio::select! {
                received = receive(self.socket.as_ref(), &mut buffer) => match received {
                    Ok((length, sender)) => self.handle_datagram(&buffer[..length], sender),
                    Err(error) => {
                        self.problem(format!("cannot receive answers: {error}"));
                        self.socket = None;
                    }
                },
                Some((server, reply)) = replies.recv() => self.handle_name_server(server, reply),
                Some(joined) = self.checks.join_next() => match joined {
                    Ok((server, result)) => self.handle_check(server, result),
                    Err(error) => self.problem(format!("a connection check failed: {error}")),
                },
                () = sleep_until(wake) => {}
            }
        }
    }

    /// The next time at which something is due without anything arriving.
    fn next_wake(&mut self, now: Instant) -> Instant {
        if now >= self.deadline {
            // only checks are left, and they wake the loop themselves
            return now + CHECK_TIMEOUT;
        }
        let settling = self.wanted.values().filter(|wanted| wanted.found.is_none());
        let settled = settling
            .filter_map(|wanted| wanted.settled)
            .filter(|&settled| settled > now)
            .min();
        let search = self.search.poll_timeout().map(Instant::from_std);
        [settled, search]
            .into_iter()
            .flatten()
            .fold(self.deadline, Instant::min)
    }

    /// Sends what is due to everybody.
    async fn transmit(&mut self, now: Instant) {
        if now >= self.deadline {
            return;
        }
        let wanted = &self.wanted;
        let name = |search| wanted.get(&search).map(|wanted: &Wanted| &wanted.name);
        while let Some(datagram) = self.search.poll_transmit(now.into_std(), name) {
            if let Some(socket) = &self.socket {
                for address in &self.searched.addresses {
                    if let Err(error) = socket.send_to(datagram.bytes(), address).await {
                        let problem = format!("cannot send to {address}: {error}");
                        if !self.searched.problems.contains(&problem) {
                            self.searched.problems.push(problem);
                        }
                    }
                }
            }
            if self.name_servers.is_empty() {
                continue;
            }
            let datagram = Arc::new(datagram);
            for name_server in &self.name_servers {
                if name_server.try_send(Arc::clone(&datagram)).is_err() {
                    tracing::debug!(
                        "a name server does not keep up; its searches are sent again later"
                    );
                }
            }
        }
    }

    fn handle_datagram(&mut self, bytes: &[u8], sender: SocketAddr) {
        let IpAddr::V4(sender) = sender.ip() else {
            return;
        };
        let (answers, result) = self.search.handle_datagram(bytes, sender);
        if let Err(error) = result {
            tracing::debug!("datagram from {sender}: {error}");
        }
        for answer in answers {
            self.handle_answer(answer);
        }
    }

    fn handle_name_server(&mut self, server: SocketAddr, reply: Reply) {
        match (reply, server.ip()) {
            (
                Reply::Answer {
                    search,
                    address,
                    port,
                },
                IpAddr::V4(sender),
            ) => {
                if let Some(answer) = self.search.handle_reply(search, address, port, sender) {
                    self.handle_answer(answer);
                }
            }
            (Reply::Answer { .. }, IpAddr::V6(_)) => {}
            (Reply::Problem(error), _) => {
                self.problem(format!("name server {server}: {}", Chain(&error)));
            }
        }
    }

    fn handle_answer(&mut self, answer: Answer) {
        let server = SocketAddr::V4(answer.server);
        let Some(wanted) = self.wanted.get_mut(&answer.search) else {
            return;
        };
        if wanted.found.is_some() || wanted.servers.contains(&server) {
            return;
        }
        let now = Instant::now();
        wanted.servers.push(server);
        wanted.settled.get_or_insert(now + self.settle);
        self.search.pause(answer.search);
        if self.servers.contains_key(&server) {
            return;
        }
        self.servers.insert(server, Server::Checking);
        let settings = Arc::clone(&self.settings);
        let deadline = self.deadline.min(now + CHECK_TIMEOUT);
        self.checks
            .spawn(async move { (server, Connection::open(server, &settings, deadline).await) });
    }

    fn handle_check(&mut self, server: SocketAddr, result: Result<Connection, ConnectionError>) {
        let error = match result {
            Ok(connection) => {
                self.servers
                    .insert(server, Server::Usable(Box::new(connection)));
                return;
            }
            Err(error) => Arc::new(error),
        };
        tracing::debug!(
            "server {server} answered a search but cannot be used: {}",
            Chain(&error)
        );
        self.servers.remove(&server);
        let now = Instant::now().into_std();
        for (&search, wanted) in &mut self.wanted {
            if wanted.found.is_some() || !wanted.servers.contains(&server) {
                continue;
            }
            wanted.servers.retain(|other| *other != server);
            wanted.failure = Some((server, Arc::clone(&error)));
            if wanted.servers.is_empty() {
                wanted.settled = None;
                self.search.resume(search, now);
            }
        }
    }

    /// Finishes the names that have a usable server and have waited long enough for others.
    fn settle(&mut self, now: Instant) {
        for (&search, wanted) in &mut self.wanted {
            let settled = wanted
                .settled
                .is_some_and(|settled| settled.min(self.deadline) <= now);
            if wanted.found.is_some() || !settled {
                continue;
            }
            let usable =
                |server: &&SocketAddr| matches!(self.servers.get(server), Some(Server::Usable(_)));
            if let Some(&server) = wanted.servers.iter().find(usable) {
                let others = wanted.servers.iter().copied();
                let duplicates = others.filter(|other| *other != server).collect();
                wanted.found = Some(Found { server, duplicates });
                self.search.remove(search);
            }
        }
    }

    fn problem(&mut self, problem: String) {
        if !self.searched.problems.contains(&problem) {
            self.searched.problems.push(problem);
        }
    }

    fn outcome(self) -> Outcome {
        let searched = Arc::new(self.searched);
        let result = |wanted: Wanted| match (wanted.found, wanted.failure) {
            (Some(found), _) => Ok(found),
            (None, Some((server, source))) => Err(Error::Connection {
                pv: wanted.name,
                server,
                source,
            }),
            (None, None) => Err(Error::NotFound {
                pv: wanted.name,
                after: self.timeout,
                searched: Arc::clone(&searched),
            }),
        };
        let results = self.wanted.into_values().map(result).collect();
        let usable = |(server, state)| match state {
            Server::Usable(connection) => Some((server, *connection)),
            Server::Checking => None,
        };
        Outcome {
            results,
            connections: self.servers.into_iter().filter_map(usable).collect(),
        }
    }
}

async fn open_socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.set_broadcast(true)?;
    Ok(socket)
}

/// Waits for a datagram; forever without a socket.
async fn receive(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(buffer).await,
        None => future::pending().await,
    }
}
