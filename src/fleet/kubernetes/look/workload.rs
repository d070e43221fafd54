//! Which workloads of a cluster are IOC instances, whoever deployed them. Pure.
//!
//! Charts of every generation count: `ioc` (today), `is_ioc` (before, as `true` or `True`), `ioc_group` (with or
//! without it). A release deployed by `ioc` counts when the services repository has an instance of that name.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use super::object::{
    Container, Deployment, Pod, RELEASE_NAME, StatefulSet, WorkloadSpec, WorkloadStatus,
};
use super::state;
use crate::fleet::manifest::Resource;

/// Labels of IOCs, newest generation of charts first.
pub const IOC_LABELS: [&str; 3] = ["ioc", "is_ioc", "ioc_group"];

/// What makes the pods of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub enum Kind {
    /// A StatefulSet, as charts of today have.
    StatefulSet,
    /// A Deployment, as the first charts had.
    Deployment,
    /// A pod that nothing makes again.
    Pod,
}

impl Kind {
    /// As Kubernetes writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::StatefulSet => "StatefulSet",
            Self::Deployment => "Deployment",
            Self::Pod => "Pod",
        }
    }
}

/// A workload that is, or may be, an instance.
#[derive(Debug, Clone)]
pub struct Workload {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its identity.
    pub uid: String,
    /// Release that made it, as its annotation says.
    pub release: Option<String>,
    /// Whether a label says that it is an IOC.
    pub is_labelled: bool,
    /// Whether its pods have such a label too.
    pub pods_are_labelled: bool,
    /// How many pods are wanted.
    pub replicas: i32,
    /// Whether the controller has seen the newest specification.
    pub is_observed: bool,
    /// Containers of its pod.
    pub containers: Vec<Container>,
    /// Containers that run before them.
    pub init_containers: Vec<Container>,
    /// Labels that its pods have.
    pub selector: BTreeMap<String, String>,
    /// Version in its labels, where charts put one.
    pub version_label: Option<String>,
    /// Why its controller cannot make pods.
    pub failure: Option<String>,
    /// Who has set fields of its specification last, when more than one program has: it may differ from the release.
    pub touched_by: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
}

impl Workload {
    /// The container that is the IOC: named as the workload, otherwise the first.
    pub fn main_container(&self) -> Option<&Container> {
        self.containers
            .iter()
            .find(|container| container.name == self.name)
            .or_else(|| self.containers.first())
    }

    /// Its image.
    pub fn image(&self) -> &str {
        self.main_container()
            .and_then(|container| container.image.as_deref())
            .unwrap_or_default()
    }

    /// Whether a pod is its own.
    pub fn owns(&self, pod: &Pod) -> bool {
        let metadata = &pod.metadata;
        if self.kind == Kind::Pod {
            return metadata.uid.as_deref() == Some(&self.uid);
        }
        if metadata.namespace.as_deref() != Some(&self.namespace) {
            return false;
        }
        owner(pod).is_some_and(|(kind, name)| kind == self.kind && name == self.name)
    }
}

/// The workload that a pod belongs to. A Deployment's pods belong to a ReplicaSet whose name is that of the
/// Deployment and the pod's hash.
pub fn owner(pod: &Pod) -> Option<(Kind, &str)> {
    let metadata = &pod.metadata;
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    match owner.kind.as_str() {
        "StatefulSet" => Some((Kind::StatefulSet, &owner.name)),
        "ReplicaSet" => {
            let hash = metadata.labels.as_ref()?.get("pod-template-hash")?;
            let name = owner.name.strip_suffix(hash)?.strip_suffix('-')?;
            Some((Kind::Deployment, name))
        }
        _ => None,
    }
}

impl From<StatefulSet> for Workload {
    fn from(object: StatefulSet) -> Self {
        workload(
            Kind::StatefulSet,
            object.metadata,
            object.spec,
            object.status,
        )
    }
}

impl From<Deployment> for Workload {
    fn from(object: Deployment) -> Self {
        workload(
            Kind::Deployment,
            object.metadata,
            object.spec,
            object.status,
        )
    }
}

impl Workload {
    /// A pod that nothing owns and that a label calls an IOC.
    pub fn of_lone_pod(pod: &Pod) -> Option<Self> {
        let metadata = &pod.metadata;
        if !metadata
            .owner_references
            .as_deref()
            .unwrap_or_default()
            .is_empty()
            || !has_ioc_label(metadata.labels.as_ref())
        {
            return None;
        }
        let spec = WorkloadSpec {
            replicas: Some(1),
            template: super::object::Template {
                metadata: ObjectMeta::default(),
                spec: pod.spec.clone(),
            },
            ..WorkloadSpec::default()
        };
        let mut found = workload(Kind::Pod, metadata.clone(), spec, WorkloadStatus::default());
        found.is_observed = true;
        // the kubelet and whoever made it are two
        found.touched_by = None;
        Some(found)
    }
}

/// The workload that a resource of a manifest would become; `None` for other kinds.
pub fn released(resource: &Resource) -> Option<Workload> {
    match resource.id.kind.as_str() {
        "StatefulSet" => serde_json::from_value::<StatefulSet>(resource.body.clone())
            .ok()
            .map(Into::into),
        "Deployment" => serde_json::from_value::<Deployment>(resource.body.clone())
            .ok()
            .map(Into::into),
        _ => None,
    }
}

fn workload(
    kind: Kind,
    metadata: ObjectMeta,
    spec: WorkloadSpec,
    status: WorkloadStatus,
) -> Workload {
    let labels = metadata.labels.unwrap_or_default();
    let template_labels = spec.template.metadata.labels.unwrap_or_default();
    let annotations = metadata.annotations.unwrap_or_default();
    let version_label = ["ioc_version", "app.kubernetes.io/version"]
        .iter()
        .find_map(|key| labels.get(*key).or_else(|| template_labels.get(*key)))
        .cloned();
    let is_disabled = labels.get("enabled").is_some_and(|value| value == "false");
    let failure = status
        .conditions
        .into_iter()
        .find(|condition| condition.kind == "ReplicaFailure" && condition.status == "True")
        .map(|condition| condition.message);
    Workload {
        kind,
        pods_are_labelled: has_ioc_label(Some(&template_labels)),
        is_labelled: has_ioc_label(Some(&labels)) || has_ioc_label(Some(&template_labels)),
        name: metadata.name.unwrap_or_default(),
        namespace: metadata.namespace.unwrap_or_default(),
        uid: metadata.uid.unwrap_or_default(),
        release: annotations.get(RELEASE_NAME).cloned(),
        replicas: spec.replicas.unwrap_or(1),
        is_observed: status.observed_generation >= metadata.generation,
        containers: spec.template.spec.containers,
        init_containers: spec.template.spec.init_containers,
        selector: spec.selector.match_labels,
        version_label,
        failure,
        touched_by: second_writer(
            metadata.managed_fields.as_deref().unwrap_or_default(),
            spec.replicas.unwrap_or(1),
            is_disabled,
        ),
        created: metadata.creation_timestamp.map(|time| time.0),
    }
}

/// Who has set fields of the specification last, when it is not the only one.
///
/// Scaling leaves no name: the field then belongs to nobody any more. A chart that does not say how many leaves it to
/// nobody too, so that only a number that no chart leaves unsaid counts.
fn second_writer(
    fields: &[ManagedFieldsEntry],
    replicas: i32,
    is_disabled: bool,
) -> Option<String> {
    let mut writers: Vec<(&ManagedFieldsEntry, &serde_json::Value)> = fields
        .iter()
        .filter(|entry| entry.subresource.as_deref() != Some("status"))
        .filter_map(|entry| Some((entry, entry.fields_v1.as_ref()?.0.get("f:spec")?)))
        .collect();
    writers.sort_by_key(|(entry, _)| entry.time.as_ref().map(|time| time.0));
    let ((last, _), others) = writers.split_last()?;
    if !others.is_empty() {
        return Some(state::shortened(
            last.manager.as_deref().unwrap_or("somebody"),
        ));
    }
    let is_owned = writers
        .iter()
        .any(|(_, spec)| spec.get("f:replicas").is_some());
    let is_odd = replicas != 1 || is_disabled;
    (!is_owned && is_odd).then(|| "`kubectl scale` or alike".to_owned())
}

fn has_ioc_label(labels: Option<&BTreeMap<String, String>>) -> bool {
    let Some(labels) = labels else { return false };
    let says_yes = |value: &String| !value.eq_ignore_ascii_case("false") && !value.is_empty();
    // a group is a name and may be anything
    labels.get("ioc").is_some_and(says_yes)
        || labels.get("is_ioc").is_some_and(says_yes)
        || (labels.contains_key("ioc_group") && labels.get("is_ioc").is_none_or(says_yes))
}

/// A workload with the name of the instance that it is.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Name for people and commands: that of the release, or of the workload where a release has several IOCs.
    pub name: String,
    /// The workload.
    pub workload: Workload,
}

/// The instances among workloads; `known` are names of the services repository.
pub fn instances(workloads: Vec<Workload>, known: &BTreeSet<String>) -> Vec<Instance> {
    let is_known = |workload: &Workload| {
        workload
            .release
            .as_ref()
            .is_some_and(|release| known.contains(release))
    };
    let mut found: Vec<Workload> = workloads
        .into_iter()
        .filter(|workload| workload.is_labelled || is_known(workload))
        .collect();
    // what is labelled is the IOC; other workloads of its release only serve it
    let labelled: BTreeSet<(String, String)> = found
        .iter()
        .filter(|workload| workload.is_labelled)
        .filter_map(|workload| Some((workload.namespace.clone(), workload.release.clone()?)))
        .collect();
    found.retain(|workload| {
        workload.is_labelled
            || workload.release.as_ref().is_none_or(|release| {
                !labelled.contains(&(workload.namespace.clone(), release.clone()))
            })
    });
    let mut of_release: BTreeMap<(String, String), usize> = BTreeMap::new();
    for workload in &found {
        if let Some(release) = &workload.release {
            *of_release
                .entry((workload.namespace.clone(), release.clone()))
                .or_default() += 1;
        }
    }
    let mut instances: Vec<Instance> = found
        .into_iter()
        .map(|workload| {
            let alone = workload.release.clone().filter(|release| {
                of_release.get(&(workload.namespace.clone(), release.clone())) == Some(&1)
            });
            Instance {
                name: alone.unwrap_or_else(|| workload.name.clone()),
                workload,
            }
        })
        .collect();
    instances.sort_by(|left, right| {
        (&left.name, &left.workload.namespace).cmp(&(&right.name, &right.workload.namespace))
    });
    instances
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "literals read better")]
    fn stateful_set(name: &str, labels: serde_json::Value, release: Option<&str>) -> Workload {
        let mut object = json!({
            "metadata": {"name": name, "namespace": "t01", "uid": name, "labels": labels},
            "spec": {"template": {"spec": {"containers": [{"name": name, "image": "x:1"}]}}},
        });
        if let Some(release) = release {
            object["metadata"]["annotations"] = json!({RELEASE_NAME: release});
        }
        serde_json::from_value::<StatefulSet>(object)
            .unwrap()
            .into()
    }

    fn names(workloads: Vec<Workload>, known: &[&str]) -> Vec<String> {
        let known = known.iter().map(|name| (*name).to_owned()).collect();
        instances(workloads, &known)
            .into_iter()
            .map(|instance| instance.name)
            .collect()
    }

    #[test]
    fn labels_of_all_generations_of_charts_count() {
        let cases = [
            (json!({"ioc": "true"}), true),
            (json!({"ioc": "false"}), false),
            (json!({"is_ioc": "True", "beamline": "bl45p"}), true),
            (json!({"is_ioc": "true", "ioc_group": "p47"}), true),
            (json!({"is_ioc": "false", "ioc_group": "p47"}), false),
            (json!({"ioc_group": "bl01t"}), true),
            (json!({"app": "opis"}), false),
            (json!({}), false),
        ];
        for (labels, expected) in cases {
            let found = stateful_set("a", labels.clone(), None);
            assert_eq!(found.is_labelled, expected, "{labels}");
        }
    }

    #[test]
    fn the_name_is_that_of_the_release_unless_it_has_several_iocs() {
        let ioc = json!({"ioc": "true"});
        let one = vec![stateful_set(
            "chart-name",
            ioc.clone(),
            Some("t01-ea-ioc-01"),
        )];
        assert_eq!(names(one, &[]), ["t01-ea-ioc-01"]);
        let several = vec![
            stateful_set("b-ioc", ioc.clone(), Some("beamline")),
            stateful_set("a-ioc", ioc.clone(), Some("beamline")),
        ];
        assert_eq!(names(several, &[]), ["a-ioc", "b-ioc"]);
        let with_proxy = vec![
            stateful_set("a-ioc", ioc, Some("r")),
            stateful_set("proxy", json!({}), Some("r")),
        ];
        assert_eq!(names(with_proxy, &["r"]), ["r"]);
    }

    #[test]
    fn without_labels_the_services_repository_decides() {
        let gateway = || vec![stateful_set("gw", json!({}), Some("t01-gateways"))];
        assert_eq!(names(gateway(), &[]), Vec::<String>::new());
        assert_eq!(names(gateway(), &["t01-gateways"]), ["t01-gateways"]);
    }

    #[test]
    fn pods_belong_to_stateful_sets_and_deployments() {
        let pod = |owner: serde_json::Value, labels: serde_json::Value| -> Pod {
            serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "t01",
                "ownerReferences": [owner], "labels": labels}}))
            .unwrap()
        };
        let reference = |kind: &str, name: &str| json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u", "controller": true});
        let of_set = pod(reference("StatefulSet", "a"), json!({}));
        assert_eq!(owner(&of_set), Some((Kind::StatefulSet, "a")));
        let of_deployment = pod(
            reference("ReplicaSet", "a-b-6c9f7d"),
            json!({"pod-template-hash": "6c9f7d"}),
        );
        assert_eq!(owner(&of_deployment), Some((Kind::Deployment, "a-b")));
        assert_eq!(owner(&pod(reference("Job", "a"), json!({}))), None);
        assert!(stateful_set("a", json!({}), None).owns(&of_set));
    }

    #[test]
    fn a_second_writer_of_the_specification_is_seen() {
        let object = |managers: serde_json::Value| -> Workload {
            serde_json::from_value::<StatefulSet>(
                json!({"metadata": {"name": "a", "managedFields": managers}}),
            )
            .unwrap()
            .into()
        };
        let entry = |manager: &str, subresource: &str, field: &str| {
            json!({"manager": manager, "operation": "Update", "apiVersion": "apps/v1",
                "subresource": subresource, "fieldsType": "FieldsV1", "fieldsV1": {field: {}}})
        };
        let helm = entry("helm", "", "f:spec");
        let controller = entry("kube-controller-manager", "status", "f:status");
        assert_eq!(object(json!([helm, controller])).touched_by, None);
        let scaled = object(json!([helm, entry("kubectl", "scale", "f:spec")]));
        assert_eq!(scaled.touched_by.as_deref(), Some("kubectl"));
        let labelled = object(json!([helm, entry("kubectl", "", "f:metadata")]));
        assert_eq!(labelled.touched_by, None);
        // `kubectl scale` takes the field from Helm and leaves no entry of its own
        let counted = |owned: serde_json::Value, replicas: i32| {
            let mut helm = helm.clone();
            helm["fieldsV1"]["f:spec"] = owned;
            let object = json!({"metadata": {"name": "a", "managedFields": [helm]}, "spec": {"replicas": replicas}});
            Workload::from(serde_json::from_value::<StatefulSet>(object).unwrap()).touched_by
        };
        assert_eq!(counted(json!({"f:replicas": {}}), 0), None);
        assert!(counted(json!({}), 0).unwrap().contains("scale"));
        assert_eq!(counted(json!({}), 1), None);
    }
}
