//! Requests of CPU, memory and pods against what a node has left.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::fleet::kubernetes::placement::{About, Finding, node};
use crate::fleet::workload::quantity;

/// Requests in thousandths of a CPU and in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Requests {
    /// Thousandths of a CPU.
    pub cpu_milli: u64,
    /// Bytes.
    pub memory: u64,
}

fn of(map: Option<&BTreeMap<String, Quantity>>, key: &str) -> Option<u64> {
    let text = &map?.get(key)?.0;
    if key == "cpu" {
        quantity::milli_cpus(text)
    } else {
        quantity::bytes(text)
    }
}

/// What a pod asks for: its containers together, or the largest of those that run before them.
pub fn requests(spec: &PodSpec) -> Requests {
    let mut sum = Requests::default();
    for container in &spec.containers {
        let requests = container
            .resources
            .as_ref()
            .and_then(|it| it.requests.as_ref());
        // a limit without a request is a request
        let limits = container
            .resources
            .as_ref()
            .and_then(|it| it.limits.as_ref());
        let one = |key| of(requests, key).or_else(|| of(limits, key)).unwrap_or(0);
        sum.cpu_milli = sum.cpu_milli.saturating_add(one("cpu"));
        sum.memory = sum.memory.saturating_add(one("memory"));
    }
    for container in spec.init_containers.iter().flatten() {
        let requests = container
            .resources
            .as_ref()
            .and_then(|it| it.requests.as_ref());
        sum.cpu_milli = sum.cpu_milli.max(of(requests, "cpu").unwrap_or(0));
        sum.memory = sum.memory.max(of(requests, "memory").unwrap_or(0));
    }
    sum
}

/// What a node can give in all; `None` for what it does not tell.
pub fn allocatable(node: &Node) -> (Option<u64>, Option<u64>, Option<u64>) {
    let map = node
        .status
        .as_ref()
        .and_then(|status| status.allocatable.as_ref());
    (of(map, "cpu"), of(map, "memory"), of(map, "pods"))
}

/// Whether a pod still counts on its node.
pub fn is_live(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Requests of all pods of a node.
pub fn taken<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Requests {
    let mut sum = Requests::default();
    for spec in pods
        .into_iter()
        .filter(|pod| is_live(pod))
        .filter_map(|pod| pod.spec.as_ref())
    {
        let one = requests(spec);
        sum.cpu_milli = sum.cpu_milli.saturating_add(one.cpu_milli);
        sum.memory = sum.memory.saturating_add(one.memory);
    }
    sum
}

/// Whether the pod fits beside `pods`, those on the node without itself.
pub fn findings(spec: &PodSpec, node: &Node, pods: &[&Pod]) -> Vec<Finding> {
    let name = node::name(node);
    let wanted = requests(spec);
    let taken = taken(pods.iter().copied());
    let (cpu, memory, most_pods) = allocatable(node);
    let mut findings = Vec::new();
    if let Some(cpu) = cpu.filter(|cpu| exceeds(wanted.cpu_milli, taken.cpu_milli, *cpu)) {
        findings.push(Finding::blocks(
            About::Resource,
            format!(
                "the instance asks for {} of a CPU, and node `{name}` has {} of {} left",
                cpus(wanted.cpu_milli),
                cpus(cpu.saturating_sub(taken.cpu_milli)),
                cpus(cpu)
            ),
        ));
    }
    if let Some(memory) = memory.filter(|memory| exceeds(wanted.memory, taken.memory, *memory)) {
        findings.push(Finding::blocks(
            About::Resource,
            format!(
                "the instance asks for {} of memory, and node `{name}` has {} of {} left",
                mebibytes(wanted.memory),
                mebibytes(memory.saturating_sub(taken.memory)),
                mebibytes(memory)
            ),
        ));
    }
    let running = pods.iter().filter(|pod| is_live(pod)).count();
    if most_pods.is_some_and(|most| u64::try_from(running).unwrap_or(u64::MAX) >= most) {
        findings.push(Finding::blocks(
            About::Resource,
            format!("node `{name}` has {running} pods, as many as it may"),
        ));
    }
    findings
}

/// Who asks for nothing gets in anywhere.
fn exceeds(wanted: u64, taken: u64, all: u64) -> bool {
    wanted > 0 && taken.saturating_add(wanted) > all
}

/// `0.25`, `2`.
pub fn cpus(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `64Mi`, rounded down.
pub fn mebibytes(bytes: u64) -> String {
    format!("{}Mi", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::kubernetes::placement::testing::from_yaml;

    #[test]
    fn what_does_not_fit_is_told_with_what_is_left() {
        let node: Node = from_yaml(
            "metadata: {name: bl}\nstatus: {allocatable: {cpu: '1', memory: 1Gi, pods: '2'}}",
        );
        let pod: Pod = from_yaml(
            "spec: {containers: [{name: c, resources: {requests: {cpu: 600m, memory: 512Mi}}}]}",
        );
        let done: Pod = from_yaml(
            "status: {phase: Succeeded}\nspec: {containers: [{name: c, resources: {requests: {cpu: '1'}}}]}",
        );
        for (resources, pods, expected) in [
            ("{}", vec![&pod], vec![]),
            ("{requests: {cpu: 400m}}", vec![&pod, &done], vec![]),
            (
                "{requests: {cpu: 401m}}",
                vec![&pod, &done],
                vec!["the instance asks for 0.401 of a CPU, and node `bl` has 0.4 of 1 left"],
            ),
            (
                "{limits: {memory: 1Gi}}",
                vec![&pod],
                vec![
                    "the instance asks for 1024Mi of memory, and node `bl` has 512Mi of 1024Mi left",
                ],
            ),
            (
                "{}",
                vec![&pod, &pod],
                vec!["node `bl` has 2 pods, as many as it may"],
            ),
        ] {
            let spec: PodSpec = from_yaml(&format!(
                "containers: [{{name: c, resources: {resources}}}]"
            ));
            let messages: Vec<String> = findings(&spec, &node, &pods)
                .into_iter()
                .map(|it| it.message)
                .collect();
            assert_eq!(messages, expected, "{resources}");
        }
    }
}
