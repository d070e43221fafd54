//! The typed model of what runs: pods, containers, volumes, claims.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::fleet::manifest::ResourceId;

/// Everything that a release asks of the local engine.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Workloads {
    /// Pods, in the order of the manifests.
    pub pods: Vec<Pod>,
    /// Claims that the release itself declares; other claims may be mounted as well.
    pub claims: Vec<Claim>,
    /// Where the local backend differs from a cluster for this release.
    pub notes: Vec<Diagnostic>,
}

impl Workloads {
    /// The container that is the IOC: of the first pod, the one with the name of the release, else the first
    /// with an open standard input, else the first.
    pub fn main(&self, release: &str) -> Option<(&Pod, &Container)> {
        let pod = self.pods.first()?;
        let named = |container: &&Container| container.name == release;
        let container = pod
            .containers
            .iter()
            .find(named)
            .or_else(|| pod.containers.iter().find(|container| container.stdin))
            .or_else(|| pod.containers.first())?;
        Some((pod, container))
    }

    /// Images of all containers, each once.
    pub fn images(&self) -> BTreeSet<&str> {
        self.pods
            .iter()
            .flat_map(|pod| &pod.containers)
            .map(|container| container.image.as_str())
            .collect()
    }
}

/// A claim for a durable folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its name, which is the name of the folder.
    pub name: String,
}

/// One pod: containers that are replaced together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pod {
    /// The resource it comes from.
    pub id: ResourceId,
    /// Its name as a cluster would call it, `NAME-0` for a StatefulSet.
    pub name: String,
    /// Whether it is meant to run; false when `replicas` is 0.
    pub wanted: bool,
    /// Hash of the pod template: the pod is replaced when it changes. 12 hexadecimal digits.
    pub hash: String,
    /// Labels of the pod template.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pod template.
    pub annotations: BTreeMap<String, String>,
    /// Containers in order, at least one.
    pub containers: Vec<Container>,
    /// Volumes by name.
    pub volumes: BTreeMap<String, Volume>,
    /// Whether and when the engine starts it again.
    pub restart: Restart,
    /// Seconds between asking it to stop and killing it.
    pub grace_seconds: u32,
    /// Group that owns its volumes.
    pub volume_group: Option<u32>,
    /// Further lines of `/etc/hosts`, as `name:address`.
    pub host_aliases: Vec<String>,
    /// Shares the process numbers of the node.
    pub host_pid: bool,
    /// Shares System V IPC and POSIX queues of the node.
    pub host_ipc: bool,
}

/// When the engine starts a container again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Whenever it ends, and after a reboot, unless it was stopped on purpose.
    Always,
    /// When it ended with an error.
    OnFailure,
    /// Never.
    Never,
}

/// One container of a pod.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Container {
    /// Its name in the pod.
    pub name: String,
    /// Image reference.
    pub image: String,
    /// Replaces the image's entry point; empty keeps it.
    pub command: Vec<String>,
    /// Arguments; empty keeps the image's own when `command` is empty as well.
    pub args: Vec<String>,
    /// Working folder.
    pub working_dir: Option<String>,
    /// Variables in order, references resolved.
    pub env: Vec<(String, String)>,
    /// What is mounted where.
    pub mounts: Vec<Mount>,
    /// User and group, when the manifest names them.
    pub user: Option<u32>,
    /// Primary group.
    pub group: Option<u32>,
    /// Further groups.
    pub supplemental_groups: Vec<u32>,
    /// Refuses to run as user 0.
    pub must_not_be_root: bool,
    /// Capabilities, privileges, root file system.
    pub security: Security,
    /// Limits and reservations.
    pub resources: Resources,
    /// Standard input is open.
    pub stdin: bool,
    /// Standard input closes after the first client left.
    pub stdin_once: bool,
    /// Has a terminal.
    pub tty: bool,
    /// Ports that it says it opens on the node.
    pub ports: Vec<Port>,
    /// Becomes the engine's health check.
    pub health: Option<HealthCheck>,
    /// Run inside before it is asked to stop.
    pub pre_stop: Option<PreStop>,
    /// Signal that asks it to stop, when not SIGTERM or the image's own.
    pub stop_signal: Option<String>,
}

impl Container {
    /// The value of one of its variables.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What a container may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Security {
    /// All capabilities and all devices of the node.
    pub privileged: bool,
    /// The root file system cannot be written.
    pub read_only_root: bool,
    /// Programs cannot gain rights by set-uid bits.
    pub no_new_privileges: bool,
    /// Capabilities added, without `CAP_`.
    pub add: Vec<String>,
    /// Capabilities taken away, without `CAP_`.
    pub drop: Vec<String>,
    /// Without the engine's system-call filter.
    pub seccomp_unconfined: bool,
}

/// Limits of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// CPU limit in thousandths of one CPU.
    pub cpu_limit_milli: Option<u64>,
    /// CPU request in thousandths of one CPU; its share when CPUs are short.
    pub cpu_request_milli: Option<u64>,
    /// Memory limit in bytes.
    pub memory_limit: Option<u64>,
    /// Memory request in bytes.
    pub memory_request: Option<u64>,
}

/// A port of a container, on the node's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Port {
    /// Number.
    pub number: u16,
    /// TCP or UDP.
    pub udp: bool,
}

impl std::fmt::Display for Port {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let protocol = if self.udp { "UDP" } else { "TCP" };
        write!(formatter, "{protocol} port {}", self.number)
    }
}

/// One mount of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// Name of the pod's volume.
    pub volume: String,
    /// Absolute path inside the container.
    pub path: String,
    /// Only this file or folder of the volume; relative, without `..`.
    pub sub_path: Option<String>,
    /// Cannot be written.
    pub read_only: bool,
    /// How mounts made later reach the other side.
    pub propagation: Propagation,
}

/// How mounts made later reach the other side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Propagation {
    /// Not at all.
    #[default]
    None,
    /// Mounts of the node appear in the container.
    HostToContainer,
    /// Both ways.
    Bidirectional,
}

/// A volume of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Volume {
    /// Files from a ConfigMap or Secret of the release.
    Files(Vec<File>),
    /// A durable folder.
    Claim {
        /// Name of the claim.
        name: String,
        /// Cannot be written.
        read_only: bool,
    },
    /// A path of the node.
    HostPath {
        /// Absolute path.
        path: PathBuf,
        /// What must be there.
        kind: HostPathKind,
    },
    /// A folder that begins empty with each new pod.
    Empty {
        /// In memory instead of on disk.
        memory: bool,
        /// Most bytes, for memory only.
        size: Option<u64>,
    },
}

/// What a host path must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostPathKind {
    /// Anything, also nothing.
    Any,
    /// A folder.
    Directory,
    /// A folder, made when missing.
    DirectoryOrCreate,
    /// A file.
    File,
    /// A file, made when missing.
    FileOrCreate,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// One file of a volume.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// Relative path, without `..`.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Contents.
    pub contents: Vec<u8>,
}

impl std::fmt::Debug for File {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // contents may be secret
        write!(
            formatter,
            "{} ({:o}, {} bytes)",
            self.path,
            self.mode,
            self.contents.len()
        )
    }
}

/// A command that tells whether a container is well. Times in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthCheck {
    /// Which probe it was: `livenessProbe`, `readinessProbe`.
    pub probe: &'static str,
    /// Command and arguments.
    pub command: Vec<String>,
    /// Failures do not count for so long.
    pub start_period: u32,
    /// Time between two checks.
    pub period: u32,
    /// Time for one check.
    pub timeout: u32,
    /// Failures in a row until it is unhealthy.
    pub failures: u32,
}

/// What happens before a container is asked to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreStop {
    /// A command inside the container.
    Exec(Vec<String>),
    /// Waiting, in seconds.
    Sleep(u32),
}
