//! Workloads and pods with what a look needs and nothing else.
//!
//! Thousands of them are listed and watched: what is not here is skipped while the answer is read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

/// Annotation of every object that Helm made: its release.
pub const RELEASE_NAME: &str = "meta.helm.sh/release-name";

/// A StatefulSet.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct StatefulSet {
    /// Its metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(default)]
    pub spec: WorkloadSpec,
    /// What is.
    #[serde(default)]
    pub status: WorkloadStatus,
}

/// A Deployment.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Deployment {
    /// Its metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(default)]
    pub spec: WorkloadSpec,
    /// What is.
    #[serde(default)]
    pub status: WorkloadStatus,
}

/// A pod.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Pod {
    /// Its metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(default)]
    pub spec: PodSpec,
    /// What is.
    #[serde(default)]
    pub status: PodStatus,
}

/// A node: only whether it answers.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Node {
    /// Its metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is.
    #[serde(default)]
    pub status: NodeStatus,
}

/// State of a node.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct NodeStatus {
    /// What its kubelet, or whoever misses it, says.
    #[serde(default)]
    pub conditions: Vec<k8s_openapi::api::core::v1::NodeCondition>,
}

/// What a workload wants.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSpec {
    /// How many pods; 1 when not said.
    pub replicas: Option<i32>,
    /// Which pods are its own.
    #[serde(default)]
    pub selector: WorkloadSelector,
    /// The pod.
    #[serde(default)]
    pub template: Template,
}

/// The selector of a workload.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSelector {
    /// Labels that a pod must have.
    #[serde(default)]
    pub match_labels: BTreeMap<String, String>,
}

/// The pod of a workload.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Template {
    /// Labels and annotations.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Containers.
    #[serde(default)]
    pub spec: PodSpec,
}

/// What is looked at of a pod's specification.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    /// The node that it was given to.
    pub node_name: Option<String>,
    /// Whether a container that ended is started again; `Always` when not said.
    pub restart_policy: Option<String>,
    /// Its containers.
    #[serde(default)]
    pub containers: Vec<Container>,
    /// Those that run before them.
    #[serde(default)]
    pub init_containers: Vec<Container>,
}

/// A container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its image.
    pub image: Option<String>,
    /// Whether its standard input is open.
    #[serde(default)]
    pub stdin: bool,
    /// Whether it has a terminal.
    #[serde(default)]
    pub tty: bool,
    /// Whether it has started.
    pub startup_probe: Option<Probe>,
    /// Whether it is of use.
    pub readiness_probe: Option<Probe>,
    /// Whether it lives.
    pub liveness_probe: Option<Probe>,
}

/// The times of a probe.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Seconds before the first one.
    pub initial_delay_seconds: Option<i32>,
    /// Seconds between two.
    pub period_seconds: Option<i32>,
    /// So many in a row count.
    pub failure_threshold: Option<i32>,
}

impl Probe {
    /// Seconds after a start in which a failure says nothing yet.
    pub fn patience(&self) -> i64 {
        let period = i64::from(self.period_seconds.unwrap_or(10));
        let failures = i64::from(self.failure_threshold.unwrap_or(3));
        i64::from(self.initial_delay_seconds.unwrap_or(0))
            .saturating_add(period.saturating_mul(failures))
    }
}

/// What a workload's controller says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    /// The generation that the controller has seen.
    pub observed_generation: Option<i64>,
    /// Of a Deployment.
    #[serde(default)]
    pub conditions: Vec<WorkloadCondition>,
}

/// A condition of a Deployment.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct WorkloadCondition {
    /// Its name.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    #[serde(default)]
    pub status: String,
    /// In words.
    #[serde(default)]
    pub message: String,
}

macro_rules! resource {
    ($type:ty, $scope:ty, $group:literal, $kind:literal, $plural:literal) => {
        impl Resource for $type {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> Cow<'_, str> {
                $kind.into()
            }
            fn group((): &()) -> Cow<'_, str> {
                $group.into()
            }
            fn version((): &()) -> Cow<'_, str> {
                "v1".into()
            }
            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }
            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(
    StatefulSet,
    k8s_openapi::NamespaceResourceScope,
    "apps",
    "StatefulSet",
    "statefulsets"
);
resource!(
    Deployment,
    k8s_openapi::NamespaceResourceScope,
    "apps",
    "Deployment",
    "deployments"
);
resource!(Pod, k8s_openapi::NamespaceResourceScope, "", "Pod", "pods");
resource!(Node, k8s_openapi::ClusterResourceScope, "", "Node", "nodes");
