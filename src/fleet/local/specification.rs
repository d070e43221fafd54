//! What is asked of the engine for a container of a pod. Pure.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, HealthConfig, HostConfig, HostConfigLogConfig, Mount,
    MountBindOptions, MountBindOptionsPropagationEnum, MountTmpfsOptions, MountType, RestartPolicy,
    RestartPolicyNameEnum,
};

use crate::fleet::containers;
use crate::fleet::local::folders::Folders;
use crate::fleet::workload::model::{Container, HealthCheck, Pod, Propagation, Restart, Volume};

/// Length of a second as the engine counts.
const NANOSECONDS: i64 = 1_000_000_000;
/// Seconds between checks during the start period.
const FIRST_CHECKS: u32 = 5;
/// Size of one file of a container's log before the next is begun, and how many are kept.
const LOG_LIMITS: [(&str, &str); 2] = [("max-size", "20m"), ("max-file", "5")];

/// Whose containers these are.
#[derive(Debug, Clone)]
pub struct Identity<'a> {
    /// Instance, which is the name of the release.
    pub instance: &'a str,
    /// Beamline in `ioc.toml`.
    pub beamline: &'a str,
    /// Namespace.
    pub namespace: &'a str,
    /// Revision that makes them.
    pub revision: u32,
    /// State folder.
    pub state: &'a Path,
    /// Pod and name of the container that is the IOC.
    pub main: Option<(&'a str, &'a str)>,
}

/// What is known about this machine and the engine.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// Host paths that are devices.
    pub devices: BTreeSet<std::path::PathBuf>,
    /// The engine's log driver.
    pub log_driver: String,
}

/// Name of a container on the engine: namespace, instance, and what tells it from its neighbours.
///
/// None of the parts has an underscore, so the name is unique.
pub fn container_name(namespace: &str, instance: &str, pod: &Pod, container: &Container) -> String {
    let mut name = format!("{namespace}_{instance}");
    if pod.id.name != instance {
        name.push_str(&format!("_{}_{}", pod.id.name, container.name));
    } else if container.name != instance {
        name.push_str(&format!("_{}", container.name));
    }
    name
}

/// The request that makes a container. `image` is what to make it from: the reference of the manifest, or an
/// identifier when the reference means another image by now.
pub fn body(
    pod: &Pod,
    container: &Container,
    image: &str,
    identity: &Identity<'_>,
    folders: &Folders,
    machine: &Machine,
) -> ContainerCreateBody {
    let words = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: words(&container.command),
        cmd: words(&container.args),
        working_dir: container.working_dir.clone(),
        env: Some(
            container
                .env
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect(),
        ),
        user: user(container),
        tty: Some(container.tty),
        open_stdin: Some(container.stdin),
        stdin_once: Some(container.stdin_once),
        labels: Some(labels(pod, container, identity)),
        healthcheck: Some(health(container.health.as_ref())),
        stop_signal: container.stop_signal.clone(),
        stop_timeout: Some(i64::from(pod.grace_seconds)),
        host_config: Some(host_config(pod, container, folders, machine)),
        ..ContainerCreateBody::default()
    }
}

fn user(container: &Container) -> Option<String> {
    match (container.user, container.group) {
        (Some(user), Some(group)) => Some(format!("{user}:{group}")),
        (Some(user), None) => Some(user.to_string()),
        (None, Some(group)) => Some(format!("0:{group}")),
        (None, None) => None,
    }
}

fn labels(pod: &Pod, container: &Container, identity: &Identity<'_>) -> HashMap<String, String> {
    let is_main = identity.main == Some((pod.name.as_str(), container.name.as_str()));
    let ports: Vec<String> = container
        .ports
        .iter()
        .map(|port| format!("{}/{}", if port.udp { "udp" } else { "tcp" }, port.number))
        .collect();
    let own = [
        (containers::INSTANCE, identity.instance.to_owned()),
        (containers::BEAMLINE, identity.beamline.to_owned()),
        (containers::NAMESPACE, identity.namespace.to_owned()),
        (containers::REVISION, identity.revision.to_string()),
        (containers::CONTAINER, container.name.clone()),
        (
            containers::ROLE,
            if is_main { "ioc" } else { "extra" }.to_owned(),
        ),
        (containers::POD, pod.name.clone()),
        (containers::HASH, pod.hash.clone()),
        (containers::IMAGE, container.image.clone()),
        (containers::PORTS, ports.join(",")),
        (containers::STATE, identity.state.display().to_string()),
    ];
    // labels of the pod are there for people and their tools; ours win
    pod.labels
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .chain(own.map(|(key, value)| (key.to_owned(), value)))
        .collect()
}

fn health(check: Option<&HealthCheck>) -> HealthConfig {
    let Some(check) = check else {
        // a cluster does not look at the health check of an image either
        return HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..HealthConfig::default()
        };
    };
    let nanoseconds = |seconds: u32| Some(i64::from(seconds) * NANOSECONDS);
    let mut test = vec!["CMD".to_owned()];
    test.extend(check.command.iter().cloned());
    HealthConfig {
        test: Some(test),
        interval: nanoseconds(check.period),
        timeout: nanoseconds(check.timeout),
        retries: Some(i64::from(check.failures)),
        start_period: nanoseconds(check.start_period),
        // engines that know it (API 1.44) do not wait a whole period for the first check
        start_interval: nanoseconds(check.period.min(FIRST_CHECKS)),
    }
}

fn host_config(
    pod: &Pod,
    container: &Container,
    folders: &Folders,
    machine: &Machine,
) -> HostConfig {
    let security = &container.security;
    let resources = &container.resources;
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let memory = resources.memory_limit.map(signed);
    let mut security_options = Vec::new();
    if security.no_new_privileges {
        security_options.push("no-new-privileges".to_owned());
    }
    if security.seccomp_unconfined {
        security_options.push("seccomp=unconfined".to_owned());
    }
    let (devices, mounts): (Vec<_>, Vec<_>) = container
        .mounts
        .iter()
        .partition(|mount| is_device(pod, mount, machine));
    let reaches_usb = mounts.iter().any(|mount| {
        matches!(pod.volumes.get(&mount.volume), Some(Volume::HostPath { path, .. }) if path.starts_with("/dev/bus/usb"))
    });
    HostConfig {
        network_mode: Some("host".to_owned()),
        pid_mode: pod.host_pid.then(|| "host".to_owned()),
        ipc_mode: pod.host_ipc.then(|| "host".to_owned()),
        extra_hosts: (!pod.host_aliases.is_empty()).then(|| pod.host_aliases.clone()),
        restart_policy: Some(RestartPolicy {
            name: Some(match pod.restart {
                Restart::Always => RestartPolicyNameEnum::UNLESS_STOPPED,
                Restart::OnFailure => RestartPolicyNameEnum::ON_FAILURE,
                Restart::Never => RestartPolicyNameEnum::NO,
            }),
            maximum_retry_count: None,
        }),
        privileged: Some(security.privileged),
        readonly_rootfs: Some(security.read_only_root),
        cap_add: (!security.add.is_empty()).then(|| security.add.clone()),
        cap_drop: (!security.drop.is_empty()).then(|| security.drop.clone()),
        security_opt: (!security_options.is_empty()).then_some(security_options),
        group_add: (!container.supplemental_groups.is_empty()).then(|| {
            container
                .supplemental_groups
                .iter()
                .map(ToString::to_string)
                .collect()
        }),
        nano_cpus: resources
            .cpu_limit_milli
            .map(|milli| signed(milli).saturating_mul(1_000_000)),
        // the share that Kubernetes gives: 1024 for one CPU, at least 2
        cpu_shares: resources
            .cpu_request_milli
            .map(|milli| signed(milli.saturating_mul(1024) / 1000).max(2)),
        memory,
        // as much memory as swap and memory together: no swap, as on a cluster
        memory_swap: memory,
        memory_reservation: resources
            .memory_request
            .map(signed)
            .filter(|request| memory.is_none_or(|limit| *request <= limit)),
        devices: (!devices.is_empty()).then(|| {
            devices
                .iter()
                .filter_map(|mount| device(pod, mount))
                .collect()
        }),
        // character devices of major number 189 are those below /dev/bus/usb
        device_cgroup_rules: reaches_usb.then(|| vec!["c 189:* rwm".to_owned()]),
        mounts: Some(
            mounts
                .iter()
                .map(|mount| engine_mount(pod, mount, folders))
                .collect(),
        ),
        log_config: (machine.log_driver == "json-file").then(|| HostConfigLogConfig {
            typ: Some(machine.log_driver.clone()),
            config: Some(
                LOG_LIMITS
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
            ),
        }),
        ..HostConfig::default()
    }
}

type PodMount = crate::fleet::workload::model::Mount;

fn is_device(pod: &Pod, mount: &PodMount, machine: &Machine) -> bool {
    matches!(
        pod.volumes.get(&mount.volume),
        Some(Volume::HostPath { path, .. }) if machine.devices.contains(path)
    )
}

fn device(pod: &Pod, mount: &PodMount) -> Option<DeviceMapping> {
    let Some(Volume::HostPath { path, .. }) = pod.volumes.get(&mount.volume) else {
        return None;
    };
    Some(DeviceMapping {
        path_on_host: Some(path.display().to_string()),
        path_in_container: Some(mount.path.clone()),
        cgroup_permissions: Some(if mount.read_only { "r" } else { "rwm" }.to_owned()),
    })
}

fn engine_mount(pod: &Pod, mount: &PodMount, folders: &Folders) -> Mount {
    let volume = pod.volumes.get(&mount.volume);
    if let Some(Volume::Empty { memory: true, size }) = volume {
        return Mount {
            typ: Some(MountType::TMPFS),
            target: Some(mount.path.clone()),
            read_only: Some(mount.read_only),
            tmpfs_options: Some(MountTmpfsOptions {
                size_bytes: size.and_then(|bytes| i64::try_from(bytes).ok()),
                mode: Some(0o1777),
                options: None,
            }),
            ..Mount::default()
        };
    }
    let read_only = mount.read_only
        || matches!(
            volume,
            Some(
                Volume::Files(_)
                    | Volume::Claim {
                        read_only: true,
                        ..
                    }
            )
        );
    Mount {
        typ: Some(MountType::BIND),
        source: Some(folders.source(pod, mount).display().to_string()),
        target: Some(mount.path.clone()),
        read_only: Some(read_only),
        bind_options: Some(MountBindOptions {
            propagation: Some(match mount.propagation {
                Propagation::None => MountBindOptionsPropagationEnum::RPRIVATE,
                Propagation::HostToContainer => MountBindOptionsPropagationEnum::RSLAVE,
                Propagation::Bidirectional => MountBindOptionsPropagationEnum::RSHARED,
            }),
            ..MountBindOptions::default()
        }),
        ..Mount::default()
    }
}
