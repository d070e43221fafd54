//! Which pods are IOCs, of which instance, and who makes them again.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use serde::Serialize;
use serde_json::Value;

use crate::fleet::manifest::{Resource, ResourceId};

/// Labels of the generations of IOC charts: any of them marks an IOC.
const MARKS: [&str; 3] = ["ioc", "is_ioc", "ioc_group"];

/// Whether labels are those of an IOC: `ioc: "true"`, `is_ioc: "True"`, or any `ioc_group`.
pub fn is_ioc(labels: Option<&BTreeMap<String, String>>) -> bool {
    let Some(labels) = labels else { return false };
    MARKS.iter().any(|mark| {
        labels
            .get(*mark)
            .is_some_and(|value| *mark == "ioc_group" || value.eq_ignore_ascii_case("true"))
    })
}

/// The container that is the IOC: the one with the name of the instance, else the first with an open standard input,
/// else the first.
pub fn ioc_container<'a>(spec: &'a PodSpec, instance: &str) -> Option<&'a Container> {
    spec.containers
        .iter()
        .find(|container| container.name == instance)
        .or_else(|| {
            spec.containers
                .iter()
                .find(|container| container.stdin == Some(true))
        })
        .or_else(|| spec.containers.first())
}

/// Who makes a pod again when it is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", content = "name", rename_all = "PascalCase")]
pub enum Owner {
    /// Makes a pod of the same name, and only when the old one is gone for certain.
    StatefulSet(String),
    /// Makes another pod as soon as the old one is going.
    Deployment(String),
    /// As a Deployment.
    ReplicaSet(String),
    /// One pod on each node.
    DaemonSet(String),
    /// Runs once.
    Job(String),
    /// The kubelet itself.
    Node(String),
    /// Something that Kubernetes does not know.
    Other(String),
    /// Nobody.
    Nobody,
}

impl Owner {
    /// Kind and name for people.
    pub fn words(&self) -> String {
        match self {
            Self::StatefulSet(name) => format!("StatefulSet {name}"),
            Self::Deployment(name) => format!("Deployment {name}"),
            Self::ReplicaSet(name) => format!("ReplicaSet {name}"),
            Self::DaemonSet(name) => format!("DaemonSet {name}"),
            Self::Job(name) => format!("Job {name}"),
            Self::Node(name) => format!("node {name}"),
            Self::Other(words) => words.clone(),
            Self::Nobody => "nobody".to_owned(),
        }
    }

    /// Name of the owner.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::StatefulSet(name)
            | Self::Deployment(name)
            | Self::ReplicaSet(name)
            | Self::DaemonSet(name)
            | Self::Job(name)
            | Self::Node(name) => Some(name),
            Self::Other(_) | Self::Nobody => None,
        }
    }
}

/// Who owns a pod.
pub fn owner(pod: &Pod) -> Owner {
    let Some(reference) = pod
        .metadata
        .owner_references
        .iter()
        .flatten()
        .find(|it| it.controller == Some(true))
    else {
        return Owner::Nobody;
    };
    let name = reference.name.clone();
    match reference.kind.as_str() {
        "StatefulSet" => Owner::StatefulSet(name),
        "DaemonSet" => Owner::DaemonSet(name),
        "Job" => Owner::Job(name),
        "Node" => Owner::Node(name),
        "ReplicaSet" => {
            // the ReplicaSet of a Deployment is called after it and the hash of its template
            let hash = pod
                .metadata
                .labels
                .as_ref()
                .and_then(|labels| labels.get("pod-template-hash"));
            let deployment = hash.and_then(|hash| name.strip_suffix(&format!("-{hash}")));
            match deployment {
                Some(deployment) => Owner::Deployment(deployment.to_owned()),
                None => Owner::ReplicaSet(name),
            }
        }
        kind => Owner::Other(format!("{kind} {name}")),
    }
}

/// The instance that a pod is of; `None` for a pod that is no IOC. A release and its workload have the same name.
pub fn instance(pod: &Pod) -> Option<String> {
    if !is_ioc(pod.metadata.labels.as_ref()) {
        return None;
    }
    let label = |key: &str| pod.metadata.labels.as_ref()?.get(key).cloned();
    match owner(pod) {
        Owner::StatefulSet(name) | Owner::Deployment(name) | Owner::ReplicaSet(name) => Some(name),
        _ => label("app").or_else(|| pod.metadata.name.clone()),
    }
}

/// The workload of an instance among the resources of its release: the one that is marked as an IOC, else the only one.
pub fn main<'a>(resources: &'a [Resource], instance: &str) -> Option<&'a Resource> {
    let workloads: Vec<&Resource> = resources
        .iter()
        .filter(|resource| matches!(resource.id.kind.as_str(), "StatefulSet" | "Deployment"))
        .collect();
    let marked = |resource: &&&Resource| {
        let labels = resource.body.pointer("/spec/template/metadata/labels");
        let labels: Option<BTreeMap<String, String>> =
            labels.and_then(|labels| serde_json::from_value(labels.clone()).ok());
        is_ioc(labels.as_ref())
    };
    let named = |resource: &&&Resource| resource.id.name == instance;
    workloads
        .iter()
        .find(|resource| marked(resource) && named(resource))
        .or_else(|| workloads.iter().find(named))
        .or_else(|| workloads.iter().find(marked))
        .or_else(|| workloads.first().filter(|_| workloads.len() == 1))
        .copied()
}

/// The pod template of a workload.
pub fn template(body: &Value) -> Option<PodSpec> {
    serde_json::from_value(body.pointer("/spec/template/spec")?.clone()).ok()
}

/// Whether a pod belongs to a workload.
pub fn belongs(pod: &Pod, id: &ResourceId) -> bool {
    match owner(pod) {
        Owner::StatefulSet(name) => id.kind == "StatefulSet" && id.name == name,
        Owner::Deployment(name) => id.kind == "Deployment" && id.name == name,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::kubernetes::placement::testing::from_yaml;
    use crate::fleet::manifest;

    #[test]
    fn all_generations_of_labels_mark_an_ioc() {
        for (labels, expected) in [
            ("{ioc: 'true'}", true),
            ("{is_ioc: 'True'}", true),
            ("{ioc_group: t01}", true),
            ("{ioc: 'false'}", false),
            ("{app: x}", false),
        ] {
            let pod: Pod = from_yaml(&format!("metadata: {{labels: {labels}}}"));
            assert_eq!(is_ioc(pod.metadata.labels.as_ref()), expected, "{labels}");
        }
    }

    #[test]
    fn owners_and_instances() {
        for (metadata, owner_, instance_) in [
            (
                "{labels: {ioc: 'true'}, ownerReferences: [{kind: StatefulSet, name: s, controller: true}]}",
                Owner::StatefulSet("s".into()),
                Some("s"),
            ),
            (
                "{labels: {ioc_group: x, pod-template-hash: 5d}, ownerReferences: [{kind: ReplicaSet, name: d-5d, controller: true}]}",
                Owner::Deployment("d".into()),
                Some("d"),
            ),
            (
                "{ownerReferences: [{kind: ReplicaSet, name: d-5d, controller: true}]}",
                Owner::ReplicaSet("d-5d".into()),
                None,
            ),
            (
                "{ownerReferences: [{kind: StatefulSet, name: s}]}",
                Owner::Nobody,
                None,
            ),
            (
                "{ownerReferences: [{kind: Rollout, name: r, controller: true}]}",
                Owner::Other("Rollout r".into()),
                None,
            ),
            (
                "{name: p, labels: {ioc: 'true', app: a}}",
                Owner::Nobody,
                Some("a"),
            ),
        ] {
            let pod: Pod = from_yaml(&format!(
                "metadata: {}",
                metadata.replace("kind:", "apiVersion: v1, uid: u, kind:")
            ));
            assert_eq!(
                (owner(&pod), instance(&pod).as_deref()),
                (owner_, instance_),
                "{metadata}"
            );
        }
    }

    #[test]
    fn the_workload_of_an_instance() {
        let sts = |name: &str, labels: &str| {
            format!(
                "---\nkind: StatefulSet\nmetadata: {{name: {name}}}\nspec: {{template: {{metadata: {{labels: {labels}}}, spec: {{containers: []}}}}}}\n"
            )
        };
        for (text, expected) in [
            (sts("a", "{}") + &sts("x", "{ioc: 'true'}"), Some("x")),
            (sts("a", "{}") + &sts("i", "{}"), Some("i")),
            (sts("a", "{}"), Some("a")),
            (sts("a", "{}") + &sts("b", "{}"), None),
            ("kind: Pod\nmetadata: {name: p}\n".to_owned(), None),
        ] {
            let resources = manifest::parse(&text).unwrap();
            assert_eq!(
                main(&resources, "i").map(|it| it.id.name.as_str()),
                expected,
                "{text}"
            );
        }
    }
}
