//! Beacons: registration with the repeater of this machine, and what the beacons mean for searching.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::repeater_task;
use super::shared::{Phase, Shared, now};
use crate::Configuration;
use crate::beacons::Beacons;
use crate::environment::Address;
use crate::repeater::{Registration, Step, holds_confirmation};

/// Receive buffer: beacons are small, and a datagram holds few of them.
const DATAGRAM_SIZE: usize = 4096;
/// Pause after the socket has failed.
const RETRY: std::time::Duration = std::time::Duration::from_secs(10);

/// Runs until the context is closed; beacons are a help, so nothing here ends the client.
pub(super) async fn run(shared: Arc<Shared>, port: u16) {
    let mut phase = shared.phase.subscribe();
    let listening = async {
        loop {
            let Err(error) = listen(&shared, port).await;
            tracing::warn!("beacons of servers cannot be received: {error}");
            sleep(RETRY).await;
        }
    };
    tokio::select! {
        () = listening => {}
        // the sender is in `shared`
        _ = phase.wait_for(|phase| *phase != Phase::Running) => {}
    }
}

async fn listen(shared: &Shared, port: u16) -> io::Result<std::convert::Infallible> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut registration = Registration::new(now());
    let mut beacons = Beacons::new(shared.configuration.beacon_period, now());
    // ends with this function
    let mut repeater = JoinSet::new();
    let mut told = false;
    let mut buffer = vec![0; DATAGRAM_SIZE];
    loop {
        match registration.poll(now()) {
            Some(Step::Register(bytes)) => {
                // a port that nobody listens at may come back as an error of a later call
                if let Err(error) = socket.send_to(&bytes, (Ipv4Addr::LOCALHOST, port)).await {
                    tracing::debug!("registration with the repeater: {error}");
                }
            }
            Some(Step::Become) => {
                let address = listening_address(&shared.configuration);
                match UdpSocket::bind((address, port)).await {
                    Ok(socket) => {
                        tracing::debug!("no repeater at port {port}: this process is it now");
                        repeater.spawn(repeater_task::run(socket));
                    }
                    Err(error) => {
                        if !told {
                            tracing::warn!(
                                "port {port} for beacons is taken and no repeater answers there ({error}); servers that \
                                 return are found by searching alone"
                            );
                        }
                        told = true;
                        registration.failed(now());
                    }
                }
            }
            None => {}
        }
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                let Ok((length, sender)) = received else {
                    continue;
                };
                let bytes = &buffer[..length];
                if holds_confirmation(bytes) {
                    registration.confirmed(now());
                }
                let IpAddr::V4(sender) = sender.ip() else {
                    continue;
                };
                let result = beacons.handle_datagram(bytes, sender, now(), |server, anomaly| {
                    tracing::debug!("beacons of {server}: {anomaly:?}");
                    shared.with(|channels, now| channels.handle_anomaly(server, now));
                });
                if let Err(error) = result {
                    tracing::debug!("datagram from the repeater: {error}");
                }
            }
            () = sleep_until(Instant::from_std(registration.poll_timeout())) => {}
        }
    }
}

/// Where a repeater listens: at the loopback interface if everything that is searched is there, else everywhere.
fn listening_address(configuration: &Configuration) -> Ipv4Addr {
    let all = configuration
        .addresses
        .iter()
        .chain(&configuration.name_servers);
    let local = |address: &Address| match address {
        Address::Ip(address) => address.ip().is_loopback(),
        Address::Name { .. } => false,
    };
    if configuration.interfaces.is_none() && all.into_iter().all(local) {
        Ipv4Addr::LOCALHOST
    } else {
        Ipv4Addr::UNSPECIFIED
    }
}
