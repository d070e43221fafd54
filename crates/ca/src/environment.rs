//! The `EPICS_CA_*` variables, with the meaning that `libca` gives them.
//!
//! What it deliberately does not do: read the environment of the process (the caller passes a map), resolve host names
//! or look at network interfaces. As in `libca`, an entry that cannot be understood is left out with a warning and the
//! others still count; the warnings are returned for the caller to show.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Port of Channel Access servers unless configured otherwise.
pub const DEFAULT_SERVER_PORT: u16 = 5064;

/// Ports up to this one are refused for `EPICS_CA_SERVER_PORT`, as `libca` does (`IPPORT_USERRESERVED`).
const LAST_RESERVED_PORT: u16 = 5000;

/// Where searches go. Channel Access knows only IPv4.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// An address, a broadcast address among them.
    Ip(SocketAddrV4),
    /// A host name, to be resolved when it is used.
    Name {
        /// The host's name.
        host: String,
        /// The port.
        port: u16,
    },
}

impl From<SocketAddrV4> for Address {
    fn from(address: SocketAddrV4) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(formatter, "{address}"),
            Self::Name { host, port } => write!(formatter, "{host}:{port}"),
        }
    }
}

impl Address {
    /// Understands one entry of an address list: `a.b.c.d`, `name` or a 32-bit number, each with `:port` or without.
    ///
    /// `None` if it is none of them.
    pub fn parse(text: &str, default_port: u16) -> Option<Self> {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (text, default_port),
        };
        if host.starts_with(|first: char| first.is_ascii_digit()) {
            if host.bytes().all(|byte| byte.is_ascii_digit()) {
                return host
                    .parse()
                    .ok()
                    .map(|bits| Self::Ip(SocketAddrV4::new(Ipv4Addr::from_bits(bits), port)));
            }
            if host
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
            {
                return dotted(host).map(|address| Self::Ip(SocketAddrV4::new(address, port)));
            }
        }
        let named = !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        named.then(|| Self::Name {
            host: host.to_owned(),
            port,
        })
    }
}

/// Four decimal numbers; unlike [`Ipv4Addr`]'s own parser, leading zeros are read as decimal, as `libca` does.
fn dotted(text: &str) -> Option<Ipv4Addr> {
    let mut parts = text.split('.').map(str::parse::<u8>);
    let mut part = || parts.next()?.ok();
    let octets = [part()?, part()?, part()?, part()?];
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

/// What the variables say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// `EPICS_CA_ADDR_LIST`: where searches go besides the interfaces.
    pub addresses: Vec<Address>,
    /// `EPICS_CA_AUTO_ADDR_LIST`: whether searches also go to the broadcast address of every network interface.
    pub interfaces: bool,
    /// `EPICS_CA_SERVER_PORT`: the port of entries that do not name one, and of the interfaces' broadcasts.
    pub server_port: u16,
    /// `EPICS_CA_NAME_SERVERS`: servers that are asked over TCP.
    pub name_servers: Vec<Address>,
    /// What was left out, in plain words.
    pub warnings: Vec<String>,
}

impl Environment {
    /// Reads the variables from a map of the environment. A variable that is set but empty counts as not set, except
    /// that `EPICS_CA_SERVER_PORT` then draws a warning.
    pub fn parse(variables: &BTreeMap<String, String>) -> Self {
        let mut warnings = Vec::new();
        let value = |name: &str| variables.get(name).map(String::as_str).unwrap_or_default();
        let server_port = match variables.get("EPICS_CA_SERVER_PORT") {
            None => DEFAULT_SERVER_PORT,
            Some(text) => server_port(text).unwrap_or_else(|| {
                warnings.push(format!(
                    "EPICS_CA_SERVER_PORT `{text}` is not a port above {LAST_RESERVED_PORT}; \
                     {DEFAULT_SERVER_PORT} is used"
                ));
                DEFAULT_SERVER_PORT
            }),
        };
        let automatic = value("EPICS_CA_AUTO_ADDR_LIST");
        // libca looks for these two anywhere in the value; `No` is therefore yes
        let interfaces = !automatic.contains("no") && !automatic.contains("NO");
        let mut list = |name: &str| {
            let mut addresses = Vec::new();
            for entry in value(name).split_ascii_whitespace() {
                match Address::parse(entry, server_port) {
                    Some(address) if !addresses.contains(&address) => addresses.push(address),
                    Some(_) => warnings.push(format!("{name}: `{entry}` stands there twice")),
                    None => {
                        warnings.push(format!("{name}: `{entry}` is not an address or host name"));
                    }
                }
            }
            addresses
        };
        let addresses = list("EPICS_CA_ADDR_LIST");
        let name_servers = list("EPICS_CA_NAME_SERVERS");
        Self {
            addresses,
            interfaces,
            server_port,
            name_servers,
            warnings,
        }
    }
}

/// The number at the beginning of the text, as `scanf("%ld")` reads it, if it is a port that `libca` accepts.
fn server_port(text: &str) -> Option<u16> {
    let text = text.trim_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    text[..end]
        .parse()
        .ok()
        .filter(|&port| port > LAST_RESERVED_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    fn parse(variables: &[(&str, &str)]) -> Environment {
        let map = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Environment::parse(&map.collect())
    }

    fn shown(addresses: &[Address]) -> String {
        addresses
            .iter()
            .map(Address::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn entries() {
        for (entry, expected) in [
            ("127.0.0.1", Some("127.0.0.1:5064")),
            ("127.0.0.1:5070", Some("127.0.0.1:5070")),
            ("010.1.2.3", Some("10.1.2.3:5064")),
            ("2130706433", Some("127.0.0.1:5064")),
            ("2130706433:6000", Some("127.0.0.1:6000")),
            ("t01-nx", Some("t01-nx:5064")),
            ("t01.example.org:5066", Some("t01.example.org:5066")),
            ("4ch-ioc", Some("4ch-ioc:5064")),
            ("1.2.3", None),
            ("1.2.3.4.5", None),
            ("256.1.1.1", None),
            ("4294967296", None),
            ("127.0.0.1:", None),
            ("127.0.0.1:70000", None),
            (":5064", None),
            ("::1", None),
            ("a,b", None),
        ] {
            let shown = Address::parse(entry, 5064).map(|address| address.to_string());
            assert_eq!(shown.as_deref(), expected, "{entry}");
        }
    }

    #[test]
    fn nothing_set_searches_the_interfaces() {
        let environment = parse(&[]);
        assert!(environment.interfaces);
        assert_eq!(environment.server_port, 5064);
        assert_eq!(
            (
                environment.addresses,
                environment.name_servers,
                environment.warnings
            ),
            Default::default()
        );
    }

    #[test]
    fn lists_are_separated_by_white_space_and_take_the_server_port() {
        let environment = parse(&[
            (
                "EPICS_CA_ADDR_LIST",
                " 10.0.0.255\tgateway:6064\n10.0.0.255  10.0.0.9x ",
            ),
            ("EPICS_CA_NAME_SERVERS", "10.0.0.1"),
            ("EPICS_CA_SERVER_PORT", "5070"),
        ]);
        assert_eq!(
            shown(&environment.addresses),
            "10.0.0.255:5070 gateway:6064 10.0.0.9x:5070"
        );
        assert_eq!(shown(&environment.name_servers), "10.0.0.1:5070");
        assert_eq!(
            environment.warnings,
            ["EPICS_CA_ADDR_LIST: `10.0.0.255` stands there twice"]
        );
    }

    #[test]
    fn a_bad_entry_costs_only_itself() {
        let environment = parse(&[("EPICS_CA_ADDR_LIST", "10.0.0.300 10.0.0.3")]);
        assert_eq!(shown(&environment.addresses), "10.0.0.3:5064");
        assert_eq!(
            environment.warnings,
            ["EPICS_CA_ADDR_LIST: `10.0.0.300` is not an address or host name"]
        );
    }

    #[test]
    fn automatic_list() {
        for (value, expected) in [
            ("YES", true),
            ("NO", false),
            ("no", false),
            ("No", true),
            ("", true),
            ("nope", false),
        ] {
            assert_eq!(
                parse(&[("EPICS_CA_AUTO_ADDR_LIST", value)]).interfaces,
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn server_port_has_libca_bounds() {
        for (value, expected, warnings) in [
            ("5070", 5070, 0),
            (" 5070 # ours", 5070, 0),
            ("5000", 5064, 1),
            ("5001", 5001, 0),
            ("65536", 5064, 1),
            ("-1", 5064, 1),
            ("port", 5064, 1),
            ("", 5064, 1),
        ] {
            let environment = parse(&[("EPICS_CA_SERVER_PORT", value)]);
            assert_eq!(
                (environment.server_port, environment.warnings.len()),
                (expected, warnings),
                "{value}"
            );
        }
    }
}
