//! What `ioc node` tells of a node, as data: what it is, what runs there, what happens when it fails.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use serde::Serialize;

use crate::fleet::kubernetes::placement::node::{self, Readiness};
use crate::fleet::kubernetes::placement::outage::{self, Fate};
use crate::fleet::kubernetes::placement::port::HostPort;
use crate::fleet::kubernetes::placement::{check, resource, scheduling, workload};
use crate::fleet::kubernetes::survey::Survey;

/// A node on one line.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub node: String,
    /// Whether it is well.
    pub state: Readiness,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Whether it takes no new pods.
    pub cordoned: bool,
    /// Its address inside the cluster.
    pub address: Option<String>,
    /// Its label `beamline`.
    pub beamline: Option<String>,
    /// Taints, as `key=value:Effect`.
    pub taints: Vec<String>,
    /// IOCs that are on it.
    pub iocs: usize,
    /// All pods that are on it.
    pub pods: usize,
    /// What they ask for.
    pub requested: resource::Requests,
    /// What it can give: thousandths of a CPU.
    pub allocatable_cpu_milli: Option<u64>,
    /// Bytes.
    pub allocatable_memory: Option<u64>,
    /// Pods.
    pub allocatable_pods: Option<u64>,
}

/// A node on one page.
#[derive(Debug, Serialize)]
pub struct Page {
    #[serde(flatten)]
    /// The line.
    pub row: Row,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// All conditions.
    pub conditions: Vec<Condition>,
    /// Images that it tells of.
    pub images: Vec<Image>,
    /// What runs there, IOCs first.
    pub runs: Vec<Runs>,
    /// What happens to each pod when it fails.
    pub if_it_fails: Vec<Fate>,
    /// What this login may not see.
    pub not_seen: Vec<String>,
}

/// What is not well, and what the node itself says to it.
#[derive(Debug, Serialize)]
pub struct Condition {
    /// `Ready`, `MemoryPressure`, …
    pub kind: String,
    /// `True`, `False`, `Unknown`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// In words.
    pub message: String,
}

/// An image that the node has.
#[derive(Debug, Serialize)]
pub struct Image {
    /// References.
    pub names: Vec<String>,
    /// Size.
    pub bytes: Option<i64>,
}

/// A pod of the node.
#[derive(Debug, Serialize)]
pub struct Runs {
    /// Namespace.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Instance, for an IOC.
    pub instance: Option<String>,
    /// Who made it.
    pub owner: workload::Owner,
    /// What it does or waits for.
    pub state: String,
    /// Restarts of its containers.
    pub restarts: i32,
    /// Whether it uses the network of the node.
    pub host_network: bool,
    /// Ports of the node that it takes.
    pub ports: Vec<HostPort>,
}

/// A node on one line.
pub fn row(node: &Node, pods: &[Pod]) -> Row {
    let name = node::name(node);
    let here: Vec<&Pod> = on(name, pods).collect();
    let (cpu, memory, most) = resource::allocatable(node);
    Row {
        node: name.to_owned(),
        state: node::readiness(node),
        since: node::since(node),
        cordoned: node::is_cordoned(node),
        address: node::address(node).map(str::to_owned),
        beamline: node::label(node, "beamline").map(str::to_owned),
        taints: node
            .spec
            .iter()
            .flat_map(|spec| spec.taints.iter().flatten())
            .map(scheduling::taint_text)
            .collect(),
        iocs: here
            .iter()
            .filter(|pod| workload::instance(pod).is_some())
            .count(),
        pods: here.len(),
        requested: resource::taken(here.iter().copied()),
        allocatable_cpu_milli: cpu,
        allocatable_memory: memory,
        allocatable_pods: most,
    }
}

/// Pods that are on a node and have not ended.
fn on<'a>(node: &'a str, pods: &'a [Pod]) -> impl Iterator<Item = &'a Pod> {
    pods.iter()
        .filter(move |pod| check::node_of(pod) == Some(node) && resource::is_live(pod))
}

/// A node on one page.
pub fn page(node: &Node, survey: &Survey) -> Page {
    let name = node::name(node);
    let cluster = outage::Cluster {
        nodes: &survey.nodes,
        pods: &survey.pods,
        templates: &survey.templates,
        storage: &survey.storage,
    };
    let status = node.status.as_ref();
    let mut runs: Vec<Runs> = on(name, &survey.pods).map(runs).collect();
    runs.sort_by(|one, other| {
        (one.instance.is_none(), &one.namespace, &one.pod).cmp(&(
            other.instance.is_none(),
            &other.namespace,
            &other.pod,
        ))
    });
    Page {
        row: row(node, &survey.pods),
        labels: node.metadata.labels.clone().unwrap_or_default(),
        conditions: status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten())
            .map(|one| Condition {
                kind: one.type_.clone(),
                status: one.status.clone(),
                reason: one.reason.clone().unwrap_or_default(),
                message: one.message.clone().unwrap_or_default(),
            })
            .collect(),
        images: status
            .iter()
            .flat_map(|status| status.images.iter().flatten())
            .map(|image| Image {
                names: image.names.clone().unwrap_or_default(),
                bytes: image.size_bytes,
            })
            .collect(),
        runs,
        if_it_fails: outage::fates(node, &cluster),
        not_seen: survey.unseen.clone(),
    }
}

fn runs(pod: &Pod) -> Runs {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let containers = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    Runs {
        namespace: text(&pod.metadata.namespace),
        pod: text(&pod.metadata.name),
        instance: workload::instance(pod),
        owner: workload::owner(pod),
        state: state(pod),
        restarts: containers.map(|one| one.restart_count).sum(),
        host_network: pod
            .spec
            .as_ref()
            .and_then(|spec| spec.host_network)
            .unwrap_or(false),
        ports: check::ports(pod),
    }
}

/// What its containers wait for, else its phase.
fn state(pod: &Pod) -> String {
    if pod.metadata.deletion_timestamp.is_some() {
        return "terminating".to_owned();
    }
    let status = pod.status.as_ref();
    let waits = status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten())
        .find_map(|one| one.state.as_ref()?.waiting.as_ref()?.reason.clone());
    waits.unwrap_or_else(|| {
        status
            .and_then(|status| status.phase.clone())
            .unwrap_or_default()
            .to_lowercase()
    })
}
