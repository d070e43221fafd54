//! Where a search goes: the configured addresses with their host names resolved, and the interfaces' broadcast addresses.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::{fmt, io};

use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};

use super::error::Searched;
use crate::Configuration;
use crate::environment::Address;
use crate::interfaces::broadcast_addresses;

/// Resolves everything that the configuration names. What cannot be resolved until the deadline becomes a problem in the
/// result; the rest counts.
pub(super) async fn resolve(configuration: &Configuration, deadline: Instant) -> Searched {
    let mut searched = Searched::default();
    if let Some(port) = configuration.interfaces {
        for address in interface_addresses(&mut searched.problems).await {
            push(&mut searched.addresses, SocketAddrV4::new(address, port));
        }
    }
    for address in &configuration.addresses {
        if let Some(address) = resolve_one(address, deadline, &mut searched.problems).await {
            push(&mut searched.addresses, address);
        }
    }
    for address in &configuration.name_servers {
        if let Some(address) = resolve_one(address, deadline, &mut searched.problems).await {
            push(&mut searched.name_servers, address);
        }
    }
    searched
}

/// Broadcast addresses of the interfaces; the loopback address if there are none, as `libca` does.
async fn interface_addresses(problems: &mut Vec<String>) -> Vec<Ipv4Addr> {
    let tables = async {
        let trie = tokio::fs::read_to_string("/proc/net/fib_trie").await?;
        let routes = tokio::fs::read_to_string("/proc/net/route").await?;
        Ok::<_, io::Error>(broadcast_addresses(&trie, &routes))
    };
    let addresses = tables.await.unwrap_or_else(|error| {
        problems.push(format!(
            "cannot list the network interfaces from `/proc/net`: {error}"
        ));
        Vec::new()
    });
    if addresses.is_empty() {
        vec![Ipv4Addr::LOCALHOST]
    } else {
        addresses
    }
}

async fn resolve_one(
    address: &Address,
    deadline: Instant,
    problems: &mut Vec<String>,
) -> Option<SocketAddrV4> {
    let (host, port) = match address {
        Address::Ip(address) => return Some(*address),
        Address::Name { host, port } => (host, *port),
    };
    let mut failed = |reason: &dyn fmt::Display| {
        problems.push(format!("host name `{host}` cannot be resolved: {reason}"));
        None
    };
    match timeout_at(deadline, lookup_host((host.as_str(), port))).await {
        Ok(Ok(mut addresses)) => {
            let first = addresses.find_map(v4);
            first.or_else(|| failed(&"it has no IPv4 address"))
        }
        Ok(Err(error)) => failed(&error),
        Err(_) => failed(&"no answer in time"),
    }
}

fn v4(address: SocketAddr) -> Option<SocketAddrV4> {
    match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    }
}

fn push(addresses: &mut Vec<SocketAddr>, address: SocketAddrV4) {
    let address = SocketAddr::V4(address);
    if !addresses.contains(&address) {
        addresses.push(address);
    }
}
