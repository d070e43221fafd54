//! Whole release records and live objects, one at a time: what a closer look asks for.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::discovery::{self, ApiResource, Scope as ResourceScope};
use serde_json::Value;

use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::retry::retrying;
use crate::fleet::manifest::Resource;
use crate::fleet::release::Record;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// The record of one revision; `None` when it is gone.
///
/// # Errors
///
/// The cluster's refusal, or a record that cannot be read.
pub async fn record(
    cluster: &Cluster,
    namespace: &str,
    release: &str,
    revision: u32,
) -> CommandResult<Option<Record>> {
    let name = helm::release::storage_name(release, i64::from(revision));
    let api: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
    let secret = retrying(|| api.get_opt(&name))
        .await
        .map_err(cluster.failed(format!("read revision {revision} of release `{release}`")))?;
    let Some(content) = secret.and_then(|secret| secret.data?.remove("release")) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&content.0);
    helm::release::decode(&text).map(Some).map_err(|error| {
        CommandError::new(
            ErrorKind::Input,
            format!("revision {revision} of release `{release}` cannot be read"),
        )
        .caused_by(error)
    })
}

/// Numbers and states of all revisions of a release, oldest first.
///
/// # Errors
///
/// The cluster's refusal.
pub async fn revisions(
    cluster: &Cluster,
    namespace: &str,
    release: &str,
) -> CommandResult<Vec<(u32, String)>> {
    let api: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
    let parameters = ListParams::default().labels(&format!("owner=helm,name={release}"));
    let list = retrying(|| api.list_metadata(&parameters))
        .await
        .map_err(cluster.failed(format!("list the revisions of `{release}`")))?;
    let mut revisions: Vec<(u32, String)> = list
        .items
        .into_iter()
        .filter_map(|secret| {
            let labels = secret.metadata.labels?;
            Some((
                labels.get("version")?.parse().ok()?,
                labels.get("status")?.clone(),
            ))
        })
        .collect();
    revisions.sort();
    Ok(revisions)
}

/// The live object of a resource of a manifest; `None` when there is none.
///
/// # Errors
///
/// The cluster's refusal, or a kind that it does not have.
pub async fn live(
    cluster: &Cluster,
    namespace: &str,
    resource: &Resource,
) -> CommandResult<Option<Value>> {
    let Some((kind, is_namespaced)) = kind_of(cluster, resource).await? else {
        return Ok(None);
    };
    let own = resource
        .body
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or(namespace);
    let api: Api<DynamicObject> = if is_namespaced {
        Api::namespaced_with(cluster.client.clone(), own, &kind)
    } else {
        Api::all_with(cluster.client.clone(), &kind)
    };
    let found = retrying(|| api.get_opt(&resource.id.name))
        .await
        .map_err(cluster.failed(format!("read {}", resource.id)))?;
    let Some(mut object) = found else {
        return Ok(None);
    };
    object.metadata.managed_fields = None;
    serde_json::to_value(object).map(Some).map_err(|error| {
        CommandError::new(
            ErrorKind::Internal,
            format!("failed to read {}", resource.id),
        )
        .caused_by(error)
    })
}

/// How a kind is reached, and whether it lives in namespaces; what charts of IOCs have is known without asking.
async fn kind_of(
    cluster: &Cluster,
    resource: &Resource,
) -> CommandResult<Option<(ApiResource, bool)>> {
    let version = resource
        .body
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = GroupVersionKind::gvk(group, version, &resource.id.kind);
    let known = [
        "ConfigMap",
        "Secret",
        "Service",
        "ServiceAccount",
        "PersistentVolumeClaim",
        "StatefulSet",
        "Deployment",
        "DaemonSet",
        "Role",
        "RoleBinding",
        "ResourceClaimTemplate",
    ];
    if known.contains(&resource.id.kind.as_str()) {
        return Ok(Some((ApiResource::from_gvk(&kind), true)));
    }
    match discovery::pinned_kind(&cluster.client, &kind).await {
        Ok((found, capabilities)) => Ok(Some((
            found,
            capabilities.scope == ResourceScope::Namespaced,
        ))),
        Err(kube::Error::Discovery(_)) => Ok(None),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(cluster
            .failed(format!("ask for the kind {}", resource.id.kind))(
            error
        )),
    }
}
