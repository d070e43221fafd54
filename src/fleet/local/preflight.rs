//! What can be known before anything changes: images, host paths, ports, names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bollard::query_parameters::InspectContainerOptions;

use crate::diagnostic::Diagnostic;
use crate::engine::Engine;
use crate::fleet::containers::{self, InstanceContainer, refused};
use crate::fleet::local::folders::{Owner, is_device};
use crate::fleet::local::observe::is_missing;
use crate::fleet::local::specification::{Machine, container_name};
use crate::fleet::plan::ImageFact;
use crate::fleet::workload::model::{Container, HostPathKind, Port, Volume};
use crate::fleet::workload::{Pod, Workloads};
use crate::settings::ImageSettings;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// What the engine has of the images of a release.
#[derive(Debug, Clone, Default)]
pub struct Images {
    /// Identifiers by reference.
    pub ids: ImageFact,
    /// User that the image names, by reference.
    users: BTreeMap<String, String>,
}

impl Images {
    /// Who owns folders that are made for a container.
    pub fn owner(&self, container: &Container) -> Owner {
        let image_user = self
            .users
            .get(&container.image)
            .map(String::as_str)
            .unwrap_or_default();
        let (user, group) = image_user.split_once(':').unwrap_or((image_user, ""));
        // an image without a user runs as root
        let user = if user.is_empty() { "0" } else { user };
        Owner {
            user: container.user.or_else(|| user.parse().ok()),
            group: container.group.or_else(|| group.parse().ok()),
        }
    }
}

/// Looks the images of a release up. `recorded` are identifiers to use instead of what a reference means now, for
/// going back to an earlier revision.
///
/// # Errors
///
/// Images that are not there, all of them, with what would build them.
pub async fn images(
    engine: &Engine,
    workloads: &Workloads,
    recorded: &ImageFact,
    settings: &ImageSettings,
) -> CommandResult<Images> {
    let mut images = Images::default();
    let mut missing = Vec::new();
    for reference in workloads.images() {
        let wanted = recorded.get(reference).map_or(reference, String::as_str);
        match engine.docker().inspect_image(wanted).await {
            Ok(image) => {
                let id = image.id.unwrap_or_else(|| wanted.to_owned());
                images.ids.insert(reference.to_owned(), id);
                let user = image.config.and_then(|config| config.user);
                images
                    .users
                    .insert(reference.to_owned(), user.unwrap_or_default());
            }
            Err(error) if is_missing(&error) => missing.push((reference, wanted)),
            Err(error) => return Err(refused(error, "failed to look an image up")),
        }
    }
    if missing.is_empty() {
        return Ok(images);
    }
    let names: Vec<String> = missing
        .iter()
        .map(|(reference, wanted)| {
            if reference == wanted {
                format!("`{reference}`")
            } else {
                format!("`{reference}` as it was then ({wanted})")
            }
        })
        .collect();
    let mut error = CommandError::not_found(format!(
        "there is no image {} on this machine",
        names.join(" and ")
    ));
    for (reference, wanted) in missing {
        error = error.hint(if reference == wanted {
            how_to_get(reference, settings)
        } else {
            "the image was removed from the engine; deploy again from the services repository instead".to_owned()
        });
    }
    Err(error)
}

/// Which command gets an image.
fn how_to_get(reference: &str, settings: &ImageSettings) -> String {
    let own = reference
        .strip_prefix(&format!("{}/", settings.registry))
        .map(|rest| rest.split(':').next().unwrap_or(rest));
    match own {
        Some(name) if !name.contains('/') => {
            // one image is built for each target
            let name = ["-runtime", "-developer"]
                .iter()
                .find_map(|target| name.strip_suffix(target))
                .unwrap_or(name);
            format!("build it: `ioc build {name}`")
        }
        _ => format!("fetch it with the tool of your engine: `docker pull {reference}`"),
    }
}

/// Host paths of a release that are devices, after checking that all host paths are what the manifest says.
///
/// # Errors
///
/// A path that is missing or something else.
pub fn host_paths(workloads: &Workloads) -> Result<BTreeSet<PathBuf>, Vec<Diagnostic>> {
    let mut devices = BTreeSet::new();
    let mut problems = Vec::new();
    for pod in &workloads.pods {
        for (name, volume) in &pod.volumes {
            let Volume::HostPath { path, kind } = volume else {
                continue;
            };
            if let Some(problem) = wrong_host_path(path, *kind) {
                problems.push(
                    Diagnostic::error(format!("`{}`: volume `{name}`: {problem}", pod.id))
                        .hint("is the device plugged in, or the file system mounted?"),
                );
            } else if is_device(path) {
                devices.insert(path.clone());
            }
        }
    }
    if problems.is_empty() {
        Ok(devices)
    } else {
        Err(problems)
    }
}

fn wrong_host_path(path: &Path, kind: HostPathKind) -> Option<String> {
    use std::os::unix::fs::FileTypeExt as _;
    let shown = path.display();
    let found = fs_err::metadata(path)
        .ok()
        .map(|metadata| metadata.file_type());
    let Some(found) = found else {
        return match kind {
            HostPathKind::DirectoryOrCreate | HostPathKind::FileOrCreate => None,
            _ => Some(format!("there is no `{shown}` on this machine")),
        };
    };
    let (right, expected) = match kind {
        HostPathKind::Any => (true, ""),
        HostPathKind::Directory | HostPathKind::DirectoryOrCreate => (found.is_dir(), "a folder"),
        HostPathKind::File | HostPathKind::FileOrCreate => (found.is_file(), "a file"),
        HostPathKind::Socket => (found.is_socket(), "a socket"),
        HostPathKind::CharDevice => (found.is_char_device(), "a character device"),
        HostPathKind::BlockDevice => (found.is_block_device(), "a block device"),
    };
    (!right).then(|| format!("`{shown}` is not {expected}"))
}

/// What the engine says of this machine.
///
/// # Errors
///
/// The engine's refusal.
pub async fn machine(engine: &Engine, devices: BTreeSet<PathBuf>) -> CommandResult<Machine> {
    let info = engine
        .docker()
        .info()
        .await
        .map_err(|error| refused(error, "failed to ask the engine about itself"))?;
    Ok(Machine {
        devices,
        log_driver: info.logging_driver.unwrap_or_default(),
    })
}

/// Refuses an instance that another state folder has deployed, and names that containers of others have.
///
/// # Errors
///
/// [`ErrorKind::Conflict`], or the engine's refusal.
pub async fn names(
    engine: &Engine,
    namespace: &str,
    instance: &str,
    state: &Path,
    present: &[InstanceContainer],
    workloads: &Workloads,
) -> CommandResult<()> {
    let shown = state.display().to_string();
    if let Some(foreign) = present
        .iter()
        .find(|container| container.state_folder != shown)
    {
        return Err(CommandError::new(
            ErrorKind::Conflict,
            format!(
                "`{instance}` is deployed from another state folder, `{}`",
                foreign.state_folder
            ),
        )
        .hint(format!(
            "delete it there first: `IOC_STATE_DIR={} ioc delete {instance}`",
            foreign.state_folder
        )));
    }
    let mut wanted: Vec<String> = Vec::new();
    for pod in &workloads.pods {
        for container in &pod.containers {
            let is_there = present
                .iter()
                .any(|one| one.pod == pod.name && one.container == container.name);
            if !is_there {
                wanted.push(container_name(namespace, instance, pod, container));
            }
        }
    }
    for name in wanted {
        match engine
            .docker()
            .inspect_container(&name, None::<InspectContainerOptions>)
            .await
        {
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(refused(error, "failed to look a name up")),
            Ok(found) => {
                let labels = found
                    .config
                    .and_then(|config| config.labels)
                    .unwrap_or_default();
                if labels.get(containers::INSTANCE).map(String::as_str) != Some(instance) {
                    return Err(CommandError::new(
                        ErrorKind::Conflict,
                        format!("the engine has a container `{name}` that does not belong to `{instance}`"),
                    )
                    .hint("rename or remove that container"));
                }
            }
        }
    }
    Ok(())
}

/// Ports of EPICS servers: several IOCs on one host share the UDP ports and take other TCP ports by themselves.
const EPICS_PORTS: [u16; 4] = [5064, 5065, 5075, 5076];
/// Variables that move them.
const EPICS_PORT_VARIABLES: [&str; 6] = [
    "EPICS_CA_SERVER_PORT",
    "EPICS_CAS_SERVER_PORT",
    "EPICS_CA_REPEATER_PORT",
    "EPICS_PVA_SERVER_PORT",
    "EPICS_PVAS_SERVER_PORT",
    "EPICS_PVAS_BROADCAST_PORT",
];

/// Ports that the release declares and that are taken: by another instance, or by a program of this machine.
///
/// `all` are the containers of all instances, `listening` the ports on which anything listens.
pub fn taken_ports(
    workloads: &Workloads,
    instance: &str,
    all: &[InstanceContainer],
    listening: &BTreeSet<Port>,
) -> Vec<Diagnostic> {
    let label = |port: Port| format!("{}/{}", if port.udp { "udp" } else { "tcp" }, port.number);
    let mut problems = Vec::new();
    for (pod, container, port) in declared(workloads) {
        let name = label(port);
        let has = |other: &&InstanceContainer| other.ports.contains(&name);
        let own = all
            .iter()
            .filter(|other| other.instance == instance && other.is_kept_running)
            .find(has);
        let other = all
            .iter()
            .filter(|other| other.instance != instance && other.is_kept_running)
            .find(has);
        let by = match other {
            Some(other) => format!("by `{}`", other.instance),
            None if own.is_none() && listening.contains(&port) => {
                "by a program of this machine".to_owned()
            }
            None => continue,
        };
        problems.push(
            Diagnostic::error(format!(
                "`{}`: container `{}` wants {port}, which is taken {by}",
                pod.id, container.name
            ))
            .hint(format!(
                "on the host network each port exists once; `ss -lnp 'sport = {}'` says who has it",
                port.number
            )),
        );
    }
    problems
}

fn declared(workloads: &Workloads) -> impl Iterator<Item = (&Pod, &Container, Port)> {
    workloads.pods.iter().flat_map(|pod| {
        pod.containers.iter().flat_map(move |container| {
            let shared: BTreeSet<u16> = EPICS_PORT_VARIABLES
                .iter()
                .filter_map(|name| container.variable(name)?.parse().ok())
                .chain(EPICS_PORTS)
                .collect();
            container
                .ports
                .iter()
                .filter(move |port| !shared.contains(&port.number))
                .map(move |port| (pod, container, *port))
        })
    })
}

/// Ports of this machine on which something listens, from the kernel's tables.
pub fn listening() -> BTreeSet<Port> {
    let mut ports = BTreeSet::new();
    for (file, udp) in [
        ("/proc/net/tcp", false),
        ("/proc/net/tcp6", false),
        ("/proc/net/udp", true),
        ("/proc/net/udp6", true),
    ] {
        if let Ok(text) = fs_err::read_to_string(file) {
            ports.extend(listening_in(&text, udp));
        }
    }
    ports
}

/// Local ports of a table of proc(5): TCP sockets in state `0A`, which is LISTEN, and all UDP sockets.
fn listening_in(table: &str, udp: bool) -> impl Iterator<Item = Port> {
    table.lines().skip(1).filter_map(move |line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next()?;
        let state = fields.nth(1)?;
        if !udp && state != "0A" {
            return None;
        }
        let number = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        Some(Port { number, udp })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
            0: 0100007F:13C8 00000000:0000 0A 00000000:00000000\n\
            1: 0100007F:0016 0100007F:9C40 01 00000000:00000000\n";
        let ports: Vec<String> = listening_in(table, false)
            .map(|port| port.to_string())
            .collect();
        assert_eq!(ports, ["TCP port 5064"]);
    }

    #[test]
    fn which_command_gets_an_image() {
        let settings = ImageSettings {
            folder: PathBuf::new(),
            base: String::new(),
            registry: "localhost".into(),
            tag: "latest".into(),
        };
        assert_eq!(
            how_to_get("localhost/ioc-sim-runtime:latest", &settings),
            "build it: `ioc build ioc-sim`"
        );
        assert_eq!(
            how_to_get("lab/x:1", &settings),
            "fetch it with the tool of your engine: `docker pull lab/x:1`"
        );
    }
}
