//! A server that does what a test tells it, over real sockets on the loopback interface.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use ca::proto::{Command, Decoder, Header, decode_frame, encode_frame};
use ca::{Client, Configuration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

/// Numbers that a message carries beside its payload: data type, count, first and second parameter.
pub(crate) type Fields = (u16, u32, u32, u32);

pub(crate) fn message(command: Command, fields: Fields, payload: &[u8]) -> Vec<u8> {
    let (data_type, count, parameter1, parameter2) = fields;
    let header = Header {
        command,
        payload_size: 0,
        data_type,
        count,
        parameter1,
        parameter2,
    };
    let mut bytes = Vec::new();
    encode_frame(header, payload, &mut bytes).unwrap();
    bytes
}

/// The answer of a server on this machine to one search.
pub(crate) fn answer(search: u32, server: SocketAddr) -> Vec<u8> {
    message(
        Command::SEARCH,
        (server.port(), 0, u32::MAX, search),
        &[0, 13],
    )
}

/// A fake server; its tasks end with it.
pub(crate) struct Fake {
    udp: SocketAddrV4,
    pub(crate) tcp: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Fake {
    /// `answers` says for each search datagram (counted from 0, with the numbers of its searches and the TCP address) which
    /// datagrams go back. `serve` gets each TCP connection (counted from 0).
    pub(crate) async fn start<S>(
        mut answers: impl FnMut(usize, Vec<u32>, SocketAddr) -> Vec<Vec<u8>> + Send + 'static,
        serve: impl Fn(usize, Peer) -> S + Send + 'static,
    ) -> Self
    where
        S: Future<Output = ()> + Send + 'static,
    {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let SocketAddr::V4(udp) = socket.local_addr().unwrap() else {
            unreachable!()
        };
        let tcp = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut buffer = vec![0; 2048];
            for count in 0.. {
                let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
                for datagram in answers(count, searches(&buffer[..length]), tcp) {
                    socket.send_to(&datagram, client).await.unwrap();
                }
            }
        });
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for count in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(
                    count,
                    Peer {
                        stream,
                        decoder: Decoder::new(1 << 20),
                        piece: None,
                    },
                ));
            }
        });
        Self {
            udp,
            tcp,
            _tasks: tasks,
        }
    }

    /// Answers every search at once.
    pub(crate) async fn answering<S>(serve: impl Fn(usize, Peer) -> S + Send + 'static) -> Self
    where
        S: Future<Output = ()> + Send + 'static,
    {
        let answers = |_, searches: Vec<u32>, tcp| {
            searches.iter().map(|&search| answer(search, tcp)).collect()
        };
        Self::start(answers, serve).await
    }

    pub(crate) fn configuration(&self) -> Configuration {
        Configuration {
            maximum_payload: 1 << 20,
            ..Configuration::for_addresses([self.udp])
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.configuration())
    }
}

/// Numbers of the searches in a datagram.
fn searches(mut bytes: &[u8]) -> Vec<u32> {
    let mut searches = Vec::new();
    while let Some((frame, used)) = decode_frame(bytes, 2048).unwrap() {
        if frame.header.command == Command::SEARCH {
            searches.push(frame.header.parameter1);
        }
        bytes = &bytes[used..];
    }
    searches
}

/// The server's end of a connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    decoder: Decoder,
    /// Length of the pieces that messages are sent in.
    piece: Option<usize>,
}

impl Peer {
    /// Sends everything in pieces of this many bytes, each in a segment of its own.
    pub(crate) fn in_pieces(mut self, length: usize) -> Self {
        self.stream.set_nodelay(true).unwrap();
        self.piece = Some(length);
        self
    }

    pub(crate) async fn send(&mut self, command: Command, fields: Fields, payload: &[u8]) {
        self.send_bytes(&message(command, fields, payload)).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.piece.unwrap_or(bytes.len())) {
            // a client that has had enough may be gone; what it says then is what the test looks at
            self.stream.write_all(piece).await.ok();
            if self.piece.is_some() {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
    }

    /// Waits for a message of this kind, past others; forever once the client is gone.
    pub(crate) async fn receive(&mut self, command: Command) -> Header {
        let mut buffer = vec![0; 4096];
        loop {
            while let Some(frame) = self.decoder.next_frame().unwrap() {
                if frame.header.command == command {
                    return frame.header;
                }
            }
            match self.stream.read(&mut buffer).await {
                Ok(length) if length > 0 => self.decoder.push(&buffer[..length]),
                _ => std::future::pending().await,
            }
        }
    }

    /// Exchanges versions.
    pub(crate) async fn greet(&mut self, minor: u32) {
        self.send(Command::VERSION, (0, minor, 0, 0), &[]).await;
        self.receive(Command::CLIENT_NAME).await;
    }

    /// Exchanges versions and gives a channel of this native type; the client's number of it comes back.
    pub(crate) async fn give_channel(&mut self, minor: u32, data_type: u16, count: u32) -> u32 {
        self.greet(minor).await;
        let channel = self.receive(Command::CREATE_CHAN).await.parameter1;
        self.send(Command::ACCESS_RIGHTS, (0, 0, channel, 3), &[])
            .await;
        self.send(Command::CREATE_CHAN, (data_type, count, channel, 77), &[])
            .await;
        channel
    }

    /// Keeps the connection until the client closes it.
    pub(crate) async fn idle(mut self) {
        self.receive(Command(u16::MAX)).await;
    }
}
