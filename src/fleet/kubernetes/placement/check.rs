//! A pod held against a node: everything that is known from the API, in one list.

use k8s_openapi::api::core::v1::{Node, Pod, PodSpec};

use crate::fleet::kubernetes::placement::volume::{Journey, Storage};
use crate::fleet::kubernetes::placement::{
    Finding, Weight, image, node, port, resource, scheduling, volume, workload,
};

/// What is around the pod.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// Name of the instance; its own pods are not in the way.
    pub instance: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Whether it is an IOC, which opens ports without declaring them.
    pub is_ioc: bool,
    /// The node it is on now.
    pub from: Option<&'a str>,
    /// Pods of the cluster, as far as they may be seen.
    pub pods: &'a [Pod],
    /// Claims and volumes.
    pub storage: &'a Storage,
}

/// Name of a pod for people: that of its instance, else its own.
pub fn who(pod: &Pod) -> String {
    workload::instance(pod)
        .or_else(|| pod.metadata.name.clone())
        .unwrap_or_default()
}

/// All findings, the heaviest first.
pub fn check(spec: &PodSpec, to: &Node, around: &Around<'_>) -> Vec<Finding> {
    let name = node::name(to);
    let is_own = |pod: &Pod| {
        pod.metadata.namespace.as_deref() == Some(around.namespace)
            && (workload::instance(pod).as_deref() == Some(around.instance)
                || workload::owner(pod).name() == Some(around.instance))
    };
    let others: Vec<&Pod> = around.pods.iter().filter(|pod| !is_own(pod)).collect();
    let there: Vec<&Pod> = others
        .iter()
        .copied()
        .filter(|pod| node_of(pod) == Some(name) && resource::is_live(pod))
        .collect();
    let neighbours: Vec<&Pod> = others
        .iter()
        .copied()
        .filter(|pod| pod.metadata.namespace.as_deref() == Some(around.namespace))
        .collect();
    let bypasses = spec.node_name.as_ref().is_some_and(|name| !name.is_empty());
    let mut findings = node::findings(to, bypasses);
    findings.extend(scheduling::findings(spec, to));
    findings.extend(resource::findings(spec, to, &there));
    findings.extend(image::findings(spec, to));
    let ioc = workload::ioc_container(spec, around.instance).filter(|_| around.is_ioc);
    let taken: Vec<(String, Vec<port::HostPort>)> = there
        .iter()
        .map(|pod| (who(pod), ports(pod)))
        .filter(|(_, ports)| !ports.is_empty())
        .collect();
    findings.extend(port::clashes(name, &port::of_pod(spec, ioc), &taken));
    let journey = Journey {
        from: around.from,
        to,
        others: &neighbours,
    };
    findings.extend(volume::findings(spec, around.storage, &journey));
    findings.sort_by_key(|finding| finding.weight);
    findings
}

/// The node of a pod.
pub fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

/// The ports that a pod takes on its node.
pub fn ports(pod: &Pod) -> Vec<port::HostPort> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let ioc = workload::instance(pod).and_then(|name| workload::ioc_container(spec, &name));
    port::of_pod(spec, ioc)
}

/// Whether nothing blocks.
pub fn is_possible(findings: &[Finding]) -> bool {
    findings
        .iter()
        .all(|finding| finding.weight != Weight::Blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::kubernetes::placement::Weight::{Blocks, Notes};
    use crate::fleet::kubernetes::placement::testing::{from_yaml, weights};

    #[test]
    fn its_own_pod_is_not_in_its_way_and_the_heaviest_comes_first() {
        let node: Node = from_yaml(
            "metadata: {name: b}\nstatus: {conditions: [{type: Ready, status: 'True'}], images: [{names: ['localhost/a:1']}]}",
        );
        let pod = |name: &str, port: u16| -> Pod {
            from_yaml(&format!(
                "metadata: {{name: {name}-0, namespace: t01, labels: {{ioc: 'true'}}, ownerReferences: [{{apiVersion: apps/v1, uid: u, kind: StatefulSet, name: {name}, controller: true}}]}}\n\
                 spec: {{nodeName: b, hostNetwork: true, containers: [{{name: {name}, ports: [{{containerPort: {port}}}]}}]}}"
            ))
        };
        let spec: PodSpec = from_yaml(
            "hostNetwork: true\ncontainers: [{name: mine, image: 'localhost/a:1', ports: [{containerPort: 8080}]}]",
        );
        let storage = Storage::default();
        for (pods, expected) in [
            (vec![pod("mine", 8080)], vec![]),
            (
                vec![pod("mine", 8080), pod("other", 8081)],
                vec![Notes, Notes],
            ),
            (vec![pod("other", 8080)], vec![Blocks, Notes, Notes]),
        ] {
            let around = Around {
                instance: "mine",
                namespace: "t01",
                is_ioc: true,
                from: None,
                pods: &pods,
                storage: &storage,
            };
            let found = check(&spec, &node, &around);
            assert_eq!(weights(&found), expected, "{found:?}");
            assert_eq!(is_possible(&found), !expected.contains(&Blocks));
        }
    }
}
