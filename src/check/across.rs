//! What instances may not have in common: names, PVs, ports of the node that they share.

use std::collections::BTreeMap;
use std::path::Path;

use crate::check::Examined;
use crate::diagnostic::{Diagnostic, Place};
use crate::fleet::workload::model::{Container, Port};
use crate::services::name::problem_of_instance;
use crate::services::{Instance, Repository};
use crate::settings::Settings;

/// Most PVs of one pair of instances that are named one by one.
const NAMED: usize = 5;

/// A finding and the instances that it is about, so that it can be left out when none of them was asked for.
#[derive(Debug)]
pub struct Shared {
    /// The finding.
    pub finding: Diagnostic,
    /// Names of the instances.
    pub instances: Vec<String>,
}

/// Names of the instances of a repository, by themselves and against each other.
pub fn names(repository: &Repository) -> Vec<Shared> {
    let mut found = Vec::new();
    let mut by_name: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
    for instance in repository.instances() {
        let name = instance.name();
        by_name.entry(name).or_default().push(instance);
        let about = |finding: Diagnostic| Shared {
            finding: finding.in_file(instance.folder()),
            instances: vec![name.to_owned()],
        };
        if let Some(problem) = problem_of_instance(name) {
            let message = format!(
                "an instance cannot be called `{}`: {problem}",
                instance.folder_name()
            );
            found.push(about(Diagnostic::error(message).hint("rename the folder")));
        } else if instance.folder_name() != name {
            found.push(about(
                Diagnostic::warning(format!(
                    "the folder `{}` becomes the release `{name}`",
                    instance.folder_name()
                ))
                .hint("names of releases are lower case: rename the folder"),
            ));
        }
    }
    for (name, instances) in by_name {
        if let [first, second, ..] = instances[..] {
            found.push(Shared {
                finding: Diagnostic::error(format!(
                    "`{}` and `{}` are the same name but for case, and both become the release `{name}`",
                    first.folder_name(),
                    second.folder_name()
                ))
                .in_file(second.folder())
                .hint("rename one of them"),
                instances: vec![name.to_owned()],
            });
        }
    }
    found
}

/// Instances of this repository whose name another beamline of the project has too.
pub fn beamlines(repository: &Repository, settings: &Settings) -> Vec<Shared> {
    let real = |path: &Path| fs_err::canonicalize(path).ok();
    let here = real(repository.root());
    let mut found = Vec::new();
    for beamline in settings.beamlines.values() {
        if real(&beamline.repository) == here {
            continue;
        }
        // Not everybody has every beamline checked out.
        let Ok(other) = Repository::open(&beamline.repository) else {
            continue;
        };
        for instance in repository.instances() {
            if other
                .instances()
                .iter()
                .any(|there| there.name() == instance.name())
            {
                found.push(Shared {
                    finding: Diagnostic::error(format!(
                        "beamline `{}` has an instance `{}` too",
                        beamline.name,
                        instance.name()
                    ))
                    .in_file(instance.folder())
                    .hint("commands find an instance by its name alone: begin each name with its beamline"),
                    instances: vec![instance.name().to_owned()],
                });
            }
        }
    }
    found
}

/// PV prefixes, PVs and ports that two instances both claim.
pub fn resources(examined: &[Examined<'_>]) -> Vec<Shared> {
    let mut found = Vec::new();
    prefixes(examined, &mut found);
    records(examined, &mut found);
    ports(examined, &mut found);
    found
}

fn prefixes(examined: &[Examined<'_>], found: &mut Vec<Shared>) {
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    for instance in examined {
        let Some(container) = instance.container() else {
            continue;
        };
        let Some(prefix) = container
            .variable("IOC_PREFIX")
            .filter(|prefix| !prefix.is_empty())
        else {
            continue;
        };
        let name = instance.instance.name();
        // The liveness check reads the prefix in capitals.
        match first.get(&prefix.to_uppercase()) {
            None => {
                first.insert(prefix.to_uppercase(), name);
            }
            Some(other) => found.push(Shared {
                finding: Diagnostic::error(format!(
                    "`{other}` and `{name}` have the same PV prefix `{prefix}`"
                ))
                .at(instance.values_place(&["ioc-instance", "prefix"]))
                .hint(
                    "give each instance a prefix of its own: clients find one of the two at random",
                ),
                instances: vec![(*other).to_owned(), name.to_owned()],
            }),
        }
    }
}

fn records(examined: &[Examined<'_>], found: &mut Vec<Shared>) {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let mut doubled: BTreeMap<(&str, &str), Vec<(&str, &Place)>> = BTreeMap::new();
    for instance in examined {
        let name = instance.instance.name();
        for record in &instance.records {
            match first.get(record.name.as_str()) {
                None => {
                    first.insert(&record.name, name);
                }
                Some(other) if *other != name => {
                    let pair = doubled.entry((other, name)).or_default();
                    pair.push((&record.name, &record.place));
                }
                // Defined twice in one IOC: EPICS adds up the fields, and `epicsdb` has its say.
                Some(_) => {}
            }
        }
    }
    for ((first, second), records) in doubled {
        let names: Vec<String> = records
            .iter()
            .take(NAMED)
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let more = match records.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let place = records.first().map(|(_, place)| (*place).clone());
        let mut finding = Diagnostic::error(format!(
            "`{first}` and `{second}` both have the PV{} {}{more}",
            if records.len() == 1 { "" } else { "s" },
            names.join(", ")
        ))
        .hint("clients find one of the two at random: change the prefix (`P=…`) of one of them");
        finding.place = place;
        found.push(Shared {
            finding,
            instances: vec![first.to_owned(), second.to_owned()],
        });
    }
}

fn ports(examined: &[Examined<'_>], found: &mut Vec<Shared>) {
    let of_beamline = port_of_all(examined);
    let mut first: BTreeMap<(Option<&str>, Port), &str> = BTreeMap::new();
    for instance in examined {
        let name = instance.instance.name();
        let node = instance.node();
        let pods = instance
            .workloads
            .iter()
            .flat_map(|workloads| &workloads.pods);
        let containers = pods.flat_map(|pod| &pod.containers);
        for (port, is_epics) in containers.flat_map(claimed_ports) {
            if is_epics && of_beamline.contains(&port) {
                continue;
            }
            let other = match first.get(&(node, port)) {
                Some(other) if *other != name => *other,
                Some(_) => continue,
                None => {
                    first.insert((node, port), name);
                    continue;
                }
            };
            let message = format!("`{other}` and `{name}` both want {port} of their node");
            let finding = if is_epics {
                // The second IOC goes on with a port that the system picks, and says so in its log.
                Diagnostic::warning(message).hint("leave `EPICS_CAS_SERVER_PORT` out: IOCs of one node share 5064 for searches, and each takes a port of its own for the rest")
            } else {
                Diagnostic::error(message).hint("give one of them another port")
            };
            found.push(Shared {
                finding: finding.at(instance.values_place(&["ioc-instance"])),
                instances: vec![other.to_owned(), name.to_owned()],
            });
        }
    }
}

/// Ports that every IOC names for EPICS: the beamline's own in place of the usual ones, and shared like those.
fn port_of_all(examined: &[Examined<'_>]) -> Vec<Port> {
    let mut all = examined
        .iter()
        .filter_map(Examined::container)
        .map(|container| {
            let ports = claimed_ports(container).into_iter();
            let ports = ports.filter_map(|(port, is_epics)| is_epics.then_some(port));
            ports.collect::<Vec<Port>>()
        });
    let first = all.next().unwrap_or_default();
    all.fold(first, |common, ports| {
        common
            .into_iter()
            .filter(|port| ports.contains(port))
            .collect()
    })
}

/// Ports that a container names, and whether it is one that an IOC can do without.
fn claimed_ports(container: &Container) -> Vec<(Port, bool)> {
    let mut ports: Vec<(Port, bool)> = container.ports.iter().map(|port| (*port, false)).collect();
    for name in ["EPICS_CAS_SERVER_PORT", "EPICS_PVAS_SERVER_PORT"] {
        let number = container
            .variable(name)
            .and_then(|port| port.trim().parse().ok());
        // 0 lets the system choose, and the usual port is shared.
        if let Some(number) = number.filter(|number| ![0, 5064, 5075].contains(number)) {
            ports.push((Port { number, udp: false }, true));
        }
    }
    ports
}
