//! Broadcast addresses of the network interfaces, for `EPICS_CA_AUTO_ADDR_LIST`.
//!
//! Linux lists them in its routing tables, which are text under `/proc/net`; that needs neither unsafe code nor another
//! dependency. What it deliberately does not do: name the far end of point-to-point interfaces (VPN tunnels), which
//! `libca` would add; such an address goes into `EPICS_CA_ADDR_LIST`.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// Picks the broadcast addresses out of `/proc/net/fib_trie`, without the loopback interface's.
///
/// `routes` is `/proc/net/route`: older kernels list the first address of each attached network (`10.0.0.0`) as another
/// broadcast address, which nothing answers; it is recognised there as the destination of a route without a gateway.
pub fn broadcast_addresses(fib_trie: &str, routes: &str) -> Vec<Ipv4Addr> {
    let networks = attached_networks(routes);
    let mut addresses = BTreeSet::new();
    let mut current = None;
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            current = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 ") && line.ends_with(" BROADCAST") {
            addresses.extend(
                current.filter(|address| !address.is_loopback() && !networks.contains(address)),
            );
        }
    }
    addresses.into_iter().collect()
}

/// First address of each network that is attached without a gateway: columns `Destination` and `Gateway`, hexadecimal in
/// the byte order of the machine.
fn attached_networks(routes: &str) -> BTreeSet<Ipv4Addr> {
    let column = |text: &str| u32::from_str_radix(text, 16).ok();
    let network = |line: &str| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let destination = column(columns.next()?)?;
        let gateway = column(columns.next()?)?;
        (gateway == 0).then(|| Ipv4Addr::from(destination.to_ne_bytes()))
    };
    routes.lines().skip(1).filter_map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    // Linux 5.10: the network's first address is listed as a broadcast address as well
    const OLD_TRIE: &str = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.1.2.0/24 2 0 2
        |-- 10.1.2.0
           /32 link BROADCAST
           /24 link UNICAST
        |-- 10.1.2.17
           /32 host LOCAL
        |-- 10.1.2.255
           /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.0
           /32 link BROADCAST
           /8 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
     |-- 172.16.3.63
        /32 link BROADCAST
Local:
     |-- 10.1.2.255
        /32 link BROADCAST
";

    #[cfg(target_endian = "little")]
    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask
eth0\t00000000\t0102010A\t0003\t0\t0\t0\t00000000
eth0\t0002010A\t00000000\t0001\t0\t0\t0\t00FFFFFF
";

    #[cfg(target_endian = "little")]
    #[test]
    fn loopback_and_network_addresses_are_left_out() {
        let addresses = broadcast_addresses(OLD_TRIE, ROUTES);
        assert_eq!(
            addresses,
            [Ipv4Addr::new(10, 1, 2, 255), Ipv4Addr::new(172, 16, 3, 63)]
        );
    }

    #[test]
    fn nonsense_gives_nothing() {
        let addresses = broadcast_addresses(
            "/32 link BROADCAST\n|-- x\n/32 link BROADCAST",
            "\n\n x y z",
        );
        assert!(addresses.is_empty(), "{addresses:?}");
    }
}
