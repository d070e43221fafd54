//! The node that an instance runs on.

use k8s_openapi::api::core::v1 as core;
use kube::api::Api;
use kube::runtime::reflector::Lookup as _;

use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::look::object::{self, Pod};
use crate::fleet::kubernetes::look::state;
use crate::fleet::kubernetes::retry::retrying;
use crate::fleet::story::Machine;
use crate::ui::error::CommandResult;

pub(super) async fn node(
    cluster: &Cluster,
    pod: Option<&Pod>,
) -> CommandResult<Option<core::Node>> {
    let Some(name) = pod.and_then(|pod| pod.spec.node_name.as_deref()) else {
        return Ok(None);
    };
    let api: Api<core::Node> = cluster.cluster_api();
    retrying(|| api.get_opt(name))
        .await
        .map_err(cluster.failed(format!("read node `{name}`")))
}

/// What the state of an instance is told by.
pub(super) fn lean(node: &core::Node) -> object::Node {
    object::Node {
        metadata: node.metadata.clone(),
        status: object::NodeStatus {
            conditions: node
                .status
                .as_ref()
                .and_then(|status| status.conditions.clone())
                .unwrap_or_default(),
        },
    }
}

/// How it is, with what is unusual about it.
pub(super) fn machine(node: &core::Node, pod: Option<&core::Pod>) -> Machine {
    let conditions = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let is_ready = conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let mut unusual: Vec<String> = conditions
        .iter()
        .filter(|condition| (condition.type_ == "Ready") != (condition.status == "True"))
        .map(|condition| {
            state::shortened(&format!(
                "{} is {}: {}",
                condition.type_,
                condition.status,
                condition.message.as_deref().unwrap_or_default()
            ))
        })
        .collect();
    let spec = node.spec.as_ref();
    if spec.and_then(|spec| spec.unschedulable) == Some(true) {
        unusual.push("takes no new pods (cordoned)".to_owned());
    }
    for taint in spec
        .and_then(|spec| spec.taints.as_deref())
        .unwrap_or_default()
    {
        unusual.push(format!(
            "taint {}={}:{}",
            taint.key,
            taint.value.as_deref().unwrap_or_default(),
            taint.effect
        ));
    }
    let status = pod.and_then(|pod| pod.status.as_ref());
    Machine {
        name: node.name().map(|name| name.to_string()).unwrap_or_default(),
        is_ready,
        conditions: unusual,
        host_network: pod
            .and_then(|pod| pod.spec.as_ref()?.host_network)
            .unwrap_or(false),
        addresses: status
            .and_then(|status| status.pod_ips.as_deref())
            .unwrap_or_default()
            .iter()
            .map(|address| address.ip.clone())
            .collect(),
    }
}
