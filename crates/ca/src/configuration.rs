//! What a client must be told: where to search, how long to wait, who it is.
//!
//! What it deliberately does not do: read the environment of the process or touch the network.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use crate::environment::{
    Address, BEACON_PERIOD, CONNECTION_TIMEOUT, DEFAULT_SERVER_PORT, Environment, MAXIMUM_PAYLOAD,
    MAXIMUM_SEARCH_PERIOD,
};

/// Settings of a [`crate::Client`] or a [`crate::Context`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Where search datagrams go: servers or broadcast addresses.
    pub addresses: Vec<Address>,
    /// Search also on the broadcast address of every network interface, at this port.
    pub interfaces: Option<u16>,
    /// Servers that are searched over TCP.
    pub name_servers: Vec<Address>,
    /// How long to wait for answers of further servers after the first one, to find names that are served twice.
    pub settle: Duration,
    /// Longest pause between two searches for the same name.
    pub search_interval: Duration,
    /// Longest pause between two searches of a [`crate::Context`] for the same name (`EPICS_CA_MAX_SEARCH_PERIOD`); when a
    /// server appears it is searched for at once.
    pub maximum_search_period: Duration,
    /// Port of the repeater on this machine, which passes on the beacons of servers; without one servers that appear are
    /// found by searching alone.
    pub repeater_port: Option<u16>,
    /// How often servers say that they are there (`EPICS_CA_BEACON_PERIOD`).
    pub beacon_period: Duration,
    /// How many routers searches to multicast addresses may pass (`EPICS_CA_MCAST_TTL`).
    pub multicast_ttl: u8,
    /// Priority of circuits, 0 to 99, for servers that schedule by it.
    pub priority: u16,
    /// How long a server may be silent before it is asked for a sign of life (`EPICS_CA_CONN_TMO` in EPICS).
    pub connection_timeout: Duration,
    /// Largest payload accepted from a server, in bytes.
    pub maximum_payload: u32,
    /// User name for access security; the number of the user if not given.
    pub user_name: Option<String>,
    /// Host name for access security; the name of this host if not given.
    pub host_name: Option<String>,
}

impl Configuration {
    /// What `libca` would do with these environment variables. Entries that cannot be understood are left out and logged
    /// as warnings; [`Environment::parse`] returns them. The user name is taken from `USER`, else `LOGNAME`.
    pub fn from_environment(variables: &BTreeMap<String, String>) -> Self {
        let environment = Environment::parse(variables);
        for warning in &environment.warnings {
            tracing::warn!("{warning}");
        }
        let user_name = ["USER", "LOGNAME"]
            .iter()
            .find_map(|name| variables.get(*name).filter(|user| !user.is_empty()));
        Self {
            addresses: environment.addresses,
            interfaces: environment.interfaces.then_some(environment.server_port),
            name_servers: environment.name_servers,
            maximum_search_period: environment.maximum_search_period,
            repeater_port: Some(environment.repeater_port),
            beacon_period: environment.beacon_period,
            multicast_ttl: environment.multicast_ttl,
            connection_timeout: environment.connection_timeout,
            maximum_payload: environment.maximum_payload,
            user_name: user_name.cloned(),
            ..Self::unreachable()
        }
    }

    /// All IOCs on this machine that listen on the loopback interface, and nothing else: broadcast to
    /// `127.255.255.255:5064`. (`127.0.0.1` would reach only one of several IOCs.)
    pub fn loopback() -> Self {
        let broadcast = Ipv4Addr::new(127, 255, 255, 255);
        Self::for_addresses([SocketAddrV4::new(broadcast, DEFAULT_SERVER_PORT)])
    }

    /// These addresses and nothing else.
    pub fn for_addresses(addresses: impl IntoIterator<Item = SocketAddrV4>) -> Self {
        Self {
            addresses: addresses.into_iter().map(Address::Ip).collect(),
            ..Self::unreachable()
        }
    }

    /// The defaults, with nowhere to search.
    fn unreachable() -> Self {
        Self {
            addresses: Vec::new(),
            interfaces: None,
            name_servers: Vec::new(),
            settle: Duration::from_millis(50),
            search_interval: Duration::from_secs(1),
            maximum_search_period: MAXIMUM_SEARCH_PERIOD,
            repeater_port: None,
            beacon_period: BEACON_PERIOD,
            multicast_ttl: 1,
            priority: 0,
            connection_timeout: CONNECTION_TIMEOUT,
            maximum_payload: MAXIMUM_PAYLOAD,
            user_name: None,
            host_name: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_decides_where_to_search() {
        let variables = [
            ("EPICS_CA_ADDR_LIST", "10.0.0.255"),
            ("EPICS_CA_SERVER_PORT", "5070"),
            ("LOGNAME", "operator"),
        ];
        let mut map: BTreeMap<_, _> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let configuration = Configuration::from_environment(&map);
        assert_eq!(
            configuration.addresses,
            [Address::Ip("10.0.0.255:5070".parse().unwrap())]
        );
        assert_eq!(configuration.interfaces, Some(5070));
        assert_eq!(configuration.user_name.as_deref(), Some("operator"));

        map.insert("EPICS_CA_AUTO_ADDR_LIST".to_owned(), "NO".to_owned());
        assert_eq!(Configuration::from_environment(&map).interfaces, None);
    }

    #[test]
    fn loopback_stays_on_this_machine() {
        let configuration = Configuration::loopback();
        assert_eq!(
            configuration.addresses,
            [Address::Ip("127.255.255.255:5064".parse().unwrap())]
        );
        assert_eq!(
            (configuration.interfaces, configuration.name_servers.len()),
            (None, 0)
        );
    }
}
