//! The `EPICS_CA_*` variables, with the meaning that `libca` gives them.
//!
//! What it deliberately does not do: read the environment of the process (the caller passes a map), resolve host names
//! or look at network interfaces. As in `libca`, an entry that cannot be understood is left out with a warning and the
//! others still count; the warnings are returned for the caller to show.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// Port of Channel Access servers unless configured otherwise.
pub const DEFAULT_SERVER_PORT: u16 = 5064;

/// Port of the repeater unless configured otherwise.
pub const DEFAULT_REPEATER_PORT: u16 = 5065;

/// Silence after which a server is asked for a sign of life, unless configured otherwise.
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Time between two beacons of a server that has been running for a while, unless configured otherwise.
pub const BEACON_PERIOD: Duration = Duration::from_secs(15);

/// Longest pause between two searches for a name, unless configured otherwise.
pub const MAXIMUM_SEARCH_PERIOD: Duration = Duration::from_mins(5);

/// The longest pause cannot be configured shorter than that, as in `libca`.
const SHORTEST_SEARCH_PERIOD: Duration = Duration::from_mins(1);

/// Largest payload in bytes, unless `EPICS_CA_MAX_ARRAY_BYTES` asks for more. `libca` has no bound when
/// `EPICS_CA_AUTO_ARRAY_BYTES` is not `NO`; a client that runs for months needs one.
pub const MAXIMUM_PAYLOAD: u32 = 64 << 20;

/// `EPICS_CA_MAX_ARRAY_BYTES` unless configured otherwise; it counts only with `EPICS_CA_AUTO_ARRAY_BYTES=NO`.
const MAXIMUM_ARRAY: u32 = 16_384;

/// Bytes that `libca` adds to `EPICS_CA_MAX_ARRAY_BYTES` for the largest header and what comes with a value.
const ARRAY_OVERHEAD: u32 = 24;

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
    /// `EPICS_CA_REPEATER_PORT`: where the repeater of this machine is.
    pub repeater_port: u16,
    /// `EPICS_CA_CONN_TMO`: silence after which a server is asked for a sign of life.
    pub connection_timeout: Duration,
    /// `EPICS_CA_BEACON_PERIOD`: how often servers say that they are there.
    pub beacon_period: Duration,
    /// `EPICS_CA_MAX_SEARCH_PERIOD`: longest pause between two searches for a name, at least a minute.
    pub maximum_search_period: Duration,
    /// `EPICS_CA_MCAST_TTL`: how many routers searches to multicast addresses may pass, 1 if not set.
    pub multicast_ttl: u8,
    /// Largest payload, from `EPICS_CA_AUTO_ARRAY_BYTES` and `EPICS_CA_MAX_ARRAY_BYTES`: the latter with `NO`, else
    /// [`MAXIMUM_PAYLOAD`] or the latter if that is more.
    pub maximum_payload: u32,
    /// What was left out, in plain words.
    pub warnings: Vec<String>,
}

impl Environment {
    /// Reads the variables from a map of the environment. A variable that is set but empty counts as not set, except
    /// that `EPICS_CA_SERVER_PORT` then draws a warning.
    pub fn parse(variables: &BTreeMap<String, String>) -> Self {
        let mut warnings = Vec::new();
        let value = |name: &str| variables.get(name).map(String::as_str).unwrap_or_default();
        let mut port = |name: &str, default: u16| match variables.get(name) {
            None => default,
            Some(text) => user_port(text).unwrap_or_else(|| {
                warnings.push(format!(
                    "{name} `{text}` is not a port above {LAST_RESERVED_PORT}; {default} is used"
                ));
                default
            }),
        };
        let server_port = port("EPICS_CA_SERVER_PORT", DEFAULT_SERVER_PORT);
        let repeater_port = port("EPICS_CA_REPEATER_PORT", DEFAULT_REPEATER_PORT);
        let mut seconds = |name: &str, default: Duration| match value(name) {
            "" => default,
            text => leading_seconds(text).unwrap_or_else(|| {
                let shown = default.as_secs();
                warnings.push(format!(
                    "{name} `{text}` is not a number of seconds; {shown} is used"
                ));
                default
            }),
        };
        let connection_timeout = seconds("EPICS_CA_CONN_TMO", CONNECTION_TIMEOUT);
        let beacon_period = seconds("EPICS_CA_BEACON_PERIOD", BEACON_PERIOD);
        let mut maximum_search_period =
            seconds("EPICS_CA_MAX_SEARCH_PERIOD", MAXIMUM_SEARCH_PERIOD);
        if maximum_search_period < SHORTEST_SEARCH_PERIOD {
            warnings.push(format!(
                "EPICS_CA_MAX_SEARCH_PERIOD `{}` is too short; {} is used",
                value("EPICS_CA_MAX_SEARCH_PERIOD"),
                SHORTEST_SEARCH_PERIOD.as_secs()
            ));
            maximum_search_period = SHORTEST_SEARCH_PERIOD;
        }
        let mut number = |name: &str, default: u32, maximum: u32| match value(name) {
            "" => default,
            text => leading_number(text)
                .filter(|&number| number > 0 && number <= maximum)
                .unwrap_or_else(|| {
                    warnings.push(format!(
                        "{name} `{text}` is not a number from 1 to {maximum}; {default} is used"
                    ));
                    default
                }),
        };
        let multicast_ttl = number("EPICS_CA_MCAST_TTL", 1, u32::from(u8::MAX));
        let array = number("EPICS_CA_MAX_ARRAY_BYTES", MAXIMUM_ARRAY, u32::MAX >> 1);
        let array = array.max(MAXIMUM_ARRAY) + ARRAY_OVERHEAD;
        // libca compares the first letters, in either case
        let fixed = value("EPICS_CA_AUTO_ARRAY_BYTES").eq_ignore_ascii_case("no");
        let maximum_payload = if fixed {
            array
        } else {
            array.max(MAXIMUM_PAYLOAD)
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
            repeater_port,
            connection_timeout,
            beacon_period,
            maximum_search_period,
            multicast_ttl: u8::try_from(multicast_ttl).unwrap_or(1),
            maximum_payload,
            warnings,
        }
    }
}

/// The number at the beginning of the text, as `scanf("%ld")` reads it, if it is not negative.
fn leading_number(text: &str) -> Option<u32> {
    let text = text.trim_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    text[..end].parse().ok()
}

/// A port that `libca` accepts.
fn user_port(text: &str) -> Option<u16> {
    let number = u16::try_from(leading_number(text)?).ok()?;
    Some(number).filter(|&port| port > LAST_RESERVED_PORT)
}

/// The number at the beginning of the text, as `scanf("%lf")` reads it, if it is a positive number of seconds.
fn leading_seconds(text: &str) -> Option<Duration> {
    let text = text.trim_start();
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit() && !b"+-.eE".contains(&byte))
        .unwrap_or(text.len());
    let number = (1..=end)
        .rev()
        .find_map(|end| text[..end].parse::<f64>().ok())?;
    Duration::try_from_secs_f64(number)
        .ok()
        .filter(|duration| !duration.is_zero())
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

    #[test]
    fn times_are_seconds_as_libca_reads_them() {
        for (value, expected, warnings) in [
            ("", 30.0, 0),
            ("10", 10.0, 0),
            (" 2.5 # site", 2.5, 0),
            ("1e2s", 100.0, 0),
            ("soon", 30.0, 1),
            ("0", 30.0, 1),
            ("-3", 30.0, 1),
            ("1e999", 30.0, 1),
        ] {
            let environment = parse(&[("EPICS_CA_CONN_TMO", value)]);
            let found = environment.connection_timeout.as_secs_f64();
            assert_eq!(
                (found, environment.warnings.len()),
                (expected, warnings),
                "{value}"
            );
        }
        let period = |value| parse(&[("EPICS_CA_MAX_SEARCH_PERIOD", value)]).maximum_search_period;
        assert_eq!(
            [period(""), period("600"), period("5")].map(|period| period.as_secs()),
            [300, 600, 60]
        );
    }

    #[test]
    fn array_size_is_bounded() {
        for (automatic, bytes, expected) in [
            ("", "", MAXIMUM_PAYLOAD),
            ("", "1000000", MAXIMUM_PAYLOAD),
            ("YES", "100000000", 100_000_024),
            ("NO", "", 16_408),
            ("no", "1000000", 1_000_024),
            ("NO", "100", 16_408),
            ("NO", "many", 16_408),
        ] {
            let environment = parse(&[
                ("EPICS_CA_AUTO_ARRAY_BYTES", automatic),
                ("EPICS_CA_MAX_ARRAY_BYTES", bytes),
            ]);
            assert_eq!(environment.maximum_payload, expected, "{automatic} {bytes}");
        }
    }

    #[test]
    fn repeater_and_multicast() {
        let environment = parse(&[
            ("EPICS_CA_REPEATER_PORT", "7065"),
            ("EPICS_CA_MCAST_TTL", "4"),
        ]);
        assert_eq!(
            (environment.repeater_port, environment.multicast_ttl),
            (7065, 4)
        );
        let environment = parse(&[("EPICS_CA_MCAST_TTL", "300")]);
        assert_eq!(
            (environment.multicast_ttl, environment.warnings.len()),
            (1, 1)
        );
    }
}
