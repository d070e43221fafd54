//! Ports of a node: what each pod takes there, and where two want the same.
//!
//! A port that a manifest declares is taken for good: the scheduler and the kubelet refuse a second pod with it. The
//! ports of Channel Access and PV Access are mostly not declared. Servers share their UDP ports, and a second server
//! that finds its TCP port taken takes another: that works for clients that search by broadcast, and not for those that
//! are given one address.

use std::fmt;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde::Serialize;

use crate::fleet::kubernetes::placement::{About, Finding};

/// One port that a pod takes on its node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct HostPort {
    /// Number.
    pub port: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// Address of the node; all when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Which container opens it.
    pub container: String,
    /// Where it is known from.
    pub known: Known,
}

/// Where a port is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// The manifest declares it.
    Declared,
    /// Servers of Channel Access listen there.
    ChannelAccess,
    /// Servers of PV Access listen there.
    PvAccess,
}

impl fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} port {}", self.protocol, self.port)?;
        match &self.address {
            Some(address) => write!(formatter, " of {address}"),
            None => Ok(()),
        }
    }
}

impl HostPort {
    fn overlaps(&self, other: &Self) -> bool {
        let addresses = match (&self.address, &other.address) {
            (Some(one), Some(two)) => one == two,
            // no address means all of them
            _ => true,
        };
        self.port == other.port && self.protocol == other.protocol && addresses
    }

    fn is_declared(&self) -> bool {
        self.known == Known::Declared
    }
}

/// The ports that a pod takes on its node, sorted, each once. `ioc` is the container that is an IOC, if there is one.
pub fn of_pod(spec: &PodSpec, ioc: Option<&Container>) -> Vec<HostPort> {
    let on_host = spec.host_network.unwrap_or(false);
    let mut ports = Vec::new();
    for container in spec
        .containers
        .iter()
        .chain(spec.init_containers.iter().flatten())
    {
        for port in container.ports.iter().flatten() {
            // on the host network the port of the container is the port of the node
            let number = port.host_port.or(on_host.then_some(port.container_port));
            let Some(number) = number
                .and_then(|number| u16::try_from(number).ok())
                .filter(|it| *it > 0)
            else {
                continue;
            };
            let address = port
                .host_ip
                .clone()
                .filter(|text| !text.is_empty() && text != "0.0.0.0" && text != "::");
            ports.push(HostPort {
                port: number,
                protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
                address,
                container: container.name.clone(),
                known: Known::Declared,
            });
        }
    }
    if let Some(ioc) = ioc.filter(|_| on_host) {
        for implied in implied(ioc) {
            if !ports.iter().any(|port| port.overlaps(&implied)) {
                ports.push(implied);
            }
        }
    }
    ports.sort();
    ports.dedup();
    ports
}

/// What an IOC opens without declaring it: the servers' ports, from its environment or the usual ones.
fn implied(ioc: &Container) -> Vec<HostPort> {
    let variable = |names: &[&str], usual: u16| {
        names
            .iter()
            .find_map(|name| variable(ioc, name)?.parse().ok())
            .unwrap_or(usual)
    };
    let channel_access = variable(&["EPICS_CAS_SERVER_PORT", "EPICS_CA_SERVER_PORT"], 5064);
    let pv_access = variable(&["EPICS_PVAS_SERVER_PORT", "EPICS_PVA_SERVER_PORT"], 5075);
    let broadcast = variable(
        &["EPICS_PVAS_BROADCAST_PORT", "EPICS_PVA_BROADCAST_PORT"],
        5076,
    );
    let repeater = variable(&["EPICS_CA_REPEATER_PORT"], 5065);
    let port = |number, protocol: &str, known| HostPort {
        port: number,
        protocol: protocol.to_owned(),
        address: None,
        container: ioc.name.clone(),
        known,
    };
    vec![
        port(channel_access, "TCP", Known::ChannelAccess),
        port(channel_access, "UDP", Known::ChannelAccess),
        port(repeater, "UDP", Known::ChannelAccess),
        port(pv_access, "TCP", Known::PvAccess),
        port(broadcast, "UDP", Known::PvAccess),
    ]
}

/// The value of a variable; the last of that name wins.
fn variable<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    let env = container.env.as_deref().unwrap_or_default();
    env.iter()
        .rev()
        .find(|one| one.name == name)
        .and_then(|one| one.value.as_deref())
}

/// Where `wanted` meets what others have: `others` are names of pods or instances with their ports.
pub fn clashes(
    node: &str,
    wanted: &[HostPort],
    others: &[(String, Vec<HostPort>)],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for port in wanted.iter().filter(|port| port.is_declared()) {
        for (name, theirs) in others {
            if let Some(taken) = theirs.iter().find(|theirs| theirs.overlaps(port)) {
                let how = if taken.is_declared() {
                    "which"
                } else {
                    "where"
                };
                let message = if taken.is_declared() {
                    format!(
                        "container `{}` wants {port} of `{node}`, {how} `{name}` has",
                        port.container
                    )
                } else {
                    format!(
                        "container `{}` wants {port} of `{node}`, {how} the IOC `{name}` listens",
                        port.container
                    )
                };
                findings.push(if taken.is_declared() {
                    Finding::blocks(About::Port, message).hint(format!(
                        "give one of the two another port, or move `{name}`"
                    ))
                } else {
                    Finding::warns(About::Port, message)
                });
            }
        }
    }
    for known in [Known::ChannelAccess, Known::PvAccess] {
        findings.extend(shared(node, known, wanted, others));
    }
    findings
}

/// The TCP port of a server that others have too.
fn shared(
    node: &str,
    known: Known,
    wanted: &[HostPort],
    others: &[(String, Vec<HostPort>)],
) -> Option<Finding> {
    let port = wanted
        .iter()
        .find(|port| port.known == known && port.protocol == "TCP")?;
    let having: Vec<&str> = others
        .iter()
        .filter(|(_, theirs)| theirs.iter().any(|theirs| theirs.overlaps(port)))
        .map(|(name, _)| name.as_str())
        .collect();
    if having.is_empty() {
        return None;
    }
    let (what, usual, broadcast) = match known {
        Known::PvAccess => ("PV Access", 5075, "EPICS_PVA_ADDR_LIST"),
        _ => ("Channel Access", 5064, "EPICS_CA_ADDR_LIST"),
    };
    let who = if having.len() <= 3 {
        having
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    } else {
        format!("{} IOCs", having.len())
    };
    let message = format!(
        "{what}: {who} on `{node}` also use{} {port}; the second server takes another TCP port by itself, and clients find it when they search by broadcast",
        if having.len() == 1 { "s" } else { "" },
    );
    let message = format!("{message}, not when `{broadcast}` names the node's own address");
    Some(if port.port == usual {
        Finding::notes(About::Port, message)
    } else {
        // somebody chose this number, and so somebody relies on it
        Finding::warns(About::Port, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::kubernetes::placement::Weight::{self, Blocks, Notes, Warns};
    use crate::fleet::kubernetes::placement::testing::{from_yaml, weights};

    fn ports(text: &str, is_ioc: bool) -> Vec<HostPort> {
        let spec: PodSpec = from_yaml(text);
        of_pod(&spec, spec.containers.first().filter(|_| is_ioc))
    }

    const PLAIN: &str = "hostNetwork: true\ncontainers: [{name: ioc}]";

    fn shown(ports: &[HostPort]) -> Vec<String> {
        ports.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ports_of_pods() {
        let usual = [
            "TCP port 5064",
            "UDP port 5064",
            "UDP port 5065",
            "TCP port 5075",
            "UDP port 5076",
        ];
        assert_eq!(shown(&ports(PLAIN, true)), usual);
        assert_eq!(shown(&ports(PLAIN, false)), [] as [&str; 0]);
        assert_eq!(
            shown(&ports(
                "containers: [{name: ioc, ports: [{containerPort: 80}]}]",
                true
            )),
            [] as [&str; 0]
        );
        let declared = "hostNetwork: true\ncontainers: [{name: ioc, ports: [{containerPort: 5064}, {containerPort: 80, hostIP: 10.0.0.1}]}]";
        assert_eq!(
            shown(&ports(declared, true)),
            [
                "TCP port 80 of 10.0.0.1",
                "TCP port 5064",
                "UDP port 5064",
                "UDP port 5065",
                "TCP port 5075",
                "UDP port 5076"
            ]
        );
        let mapped = "containers: [{name: web, ports: [{containerPort: 80, hostPort: 8080, protocol: TCP}]}]";
        assert_eq!(shown(&ports(mapped, false)), ["TCP port 8080"]);
        let moved = "hostNetwork: true\ncontainers: [{name: ioc, env: [{name: EPICS_CA_SERVER_PORT, value: '6064'}, {name: EPICS_CAS_SERVER_PORT, value: '7064'}, {name: EPICS_PVA_SERVER_PORT, value: '7075'}]}]";
        assert_eq!(
            shown(&ports(moved, true)),
            [
                "UDP port 5065",
                "UDP port 5076",
                "TCP port 7064",
                "UDP port 7064",
                "TCP port 7075"
            ]
        );
    }

    #[test]
    fn what_two_want() {
        let declares = |port: u16| {
            format!(
                "hostNetwork: true\ncontainers: [{{name: c, ports: [{{containerPort: {port}}}]}}]"
            )
        };
        let at = |port: u16| {
            format!(
                "hostNetwork: true\ncontainers: [{{name: c, env: [{{name: EPICS_CAS_SERVER_PORT, value: '{port}'}}, {{name: EPICS_PVAS_SERVER_PORT, value: '{}'}}]}}]",
                port + 1
            )
        };
        let on = |address: &str| {
            format!(
                "containers: [{{name: c, ports: [{{containerPort: 1, hostPort: 80, hostIP: {address}}}]}}]"
            )
        };
        let cases: [(String, bool, String, bool, Vec<Weight>); 9] = [
            (PLAIN.into(), true, PLAIN.into(), true, vec![Notes, Notes]),
            (PLAIN.into(), true, at(7064), true, vec![]),
            (at(7064), true, at(7064), true, vec![Warns, Warns]),
            (declares(8080), false, declares(8080), false, vec![Blocks]),
            (declares(8080), false, declares(8081), false, vec![]),
            // the scheduler does not know that these could share
            (
                declares(5064),
                true,
                declares(5064),
                true,
                vec![Blocks, Notes],
            ),
            (declares(5064), false, PLAIN.into(), true, vec![Warns]),
            (on("10.0.0.1"), false, on("10.0.0.2"), false, vec![]),
            (on("0.0.0.0"), false, on("10.0.0.2"), false, vec![Blocks]),
        ];
        for (wanted, is_ioc, other, other_is_ioc, expected) in cases {
            let others = [("other".to_owned(), ports(&other, other_is_ioc))];
            let found = clashes("n", &ports(&wanted, is_ioc), &others);
            assert_eq!(weights(&found), expected, "{wanted}\n{other}\n{found:?}");
        }
    }
}
