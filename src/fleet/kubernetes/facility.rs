//! Applying the objects of a beamline, and labelling and tainting its nodes: compared first, then made.
//!
//! Server-side apply without force: what somebody else set is named and left alone. Done again, it changes nothing.

use k8s_openapi::api::core::v1::{Node, Taint};
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiResource, Scope, pinned_kind};
use serde::Serialize;
use serde_json::{Value, json};

use crate::fleet::facility::{LABEL, TAINT};
use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::placement::scheduling::taint_text;
use crate::fleet::kubernetes::retry::retrying;
use crate::fleet::manifest::Resource;
use crate::fleet::plan::{Change, Nature, changes};
use crate::fleet::progress::Progress;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Owner of the fields that are applied here.
const MANAGER: &str = "ioc-beamline";
/// How often a node is read again when somebody else changed it in between.
const MOST_TRIES: usize = 5;

/// What would change.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plan {
    /// Objects, by field.
    pub changes: Vec<Change>,
    /// Nodes.
    pub nodes: Vec<NodeChange>,
}

/// What a node gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeChange {
    /// Its name.
    pub node: String,
    /// A label, as `beamline=t01`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The label that it had, of another beamline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// A taint, as `nodetype=t01:NoSchedule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taint: Option<String>,
}

impl Plan {
    /// Whether everything is there already.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.nodes.is_empty()
    }
}

/// An object and where it goes.
struct Placed<'a> {
    resource: &'a Resource,
    api: Api<DynamicObject>,
}

async fn place<'a>(cluster: &Cluster, resource: &'a Resource) -> CommandResult<Placed<'a>> {
    let version = resource.body["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let kind = GroupVersionKind::gvk(group, version, &resource.id.kind);
    let (known, capabilities) = match pinned_kind(&cluster.client, &kind).await {
        Ok(found) => found,
        Err(kube::Error::Discovery(_)) => return Err(unknown(cluster, resource)),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            return Err(unknown(cluster, resource));
        }
        Err(other) => return Err(cluster.failed("ask which kinds of objects it knows")(other)),
    };
    Ok(Placed {
        api: api(cluster, resource, &known, &capabilities.scope),
        resource,
    })
}

fn api(
    cluster: &Cluster,
    resource: &Resource,
    known: &ApiResource,
    scope: &Scope,
) -> Api<DynamicObject> {
    match scope {
        Scope::Cluster => Api::all_with(cluster.client.clone(), known),
        Scope::Namespaced => {
            let namespace = resource
                .body
                .pointer("/metadata/namespace")
                .and_then(Value::as_str);
            let namespace = namespace.unwrap_or(&cluster.namespace);
            Api::namespaced_with(cluster.client.clone(), namespace, known)
        }
    }
}

fn unknown(cluster: &Cluster, resource: &Resource) -> CommandError {
    let version = resource.body["apiVersion"].as_str().unwrap_or_default();
    let error = CommandError::new(
        ErrorKind::Unsupported,
        format!(
            "the cluster (Kubernetes {}) does not know `{}` of `{version}`",
            cluster.version, resource.id.kind
        ),
    );
    if version.starts_with("admissionregistration") {
        error.hint("admission policies need Kubernetes 1.30 or newer; take them out of the file to go without")
    } else {
        error
    }
}

/// Compares objects and nodes with the cluster; a dry run of the apply tells what would come out.
///
/// # Errors
///
/// Kinds that the cluster does not know, fields that are wrong or belong to somebody else, and what is not allowed.
pub async fn plan(
    cluster: &Cluster,
    resources: &[Resource],
    beamline: &str,
    nodes: &[String],
) -> CommandResult<Plan> {
    let mut plan = Plan::default();
    for resource in resources {
        plan.changes.extend(compare(cluster, resource).await?);
    }
    for name in nodes {
        let node = read_node(cluster, name).await?;
        plan.nodes.extend(node_change(&node, beamline));
    }
    Ok(plan)
}

async fn compare(cluster: &Cluster, resource: &Resource) -> CommandResult<Option<Change>> {
    let placed = place(cluster, resource).await?;
    let id = &resource.id;
    let live = retrying(|| placed.api.get_opt(&id.name))
        .await
        .map_err(cluster.failed(format!("read {id}")))?;
    let parameters = PatchParams {
        dry_run: true,
        ..PatchParams::apply(MANAGER)
    };
    let patch = Patch::Apply(&resource.body);
    let wanted = match retrying(|| placed.api.patch(&id.name, &parameters, &patch)).await {
        Ok(object) => comparable(&object),
        // its namespace is made before it
        Err(kube::Error::Api(status)) if status.code == 404 && live.is_none() => {
            resource.body.clone()
        }
        Err(other) => return Err(cluster.failed(format!("apply {id}"))(other)),
    };
    let Some(live) = live else {
        return Ok(Some(Change {
            resource: id.clone(),
            nature: Nature::Added,
            fields: Vec::new(),
        }));
    };
    let of = |body: Value| Resource {
        id: id.clone(),
        source: resource.source.clone(),
        body,
    };
    Ok(changes(&[of(comparable(&live))], &[of(wanted)])
        .into_iter()
        .next())
}

/// An object without what the server keeps for itself.
fn comparable(object: &DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        for own in [
            "managedFields",
            "resourceVersion",
            "generation",
            "uid",
            "creationTimestamp",
        ] {
            metadata.remove(own);
        }
    }
    value
}

/// Makes what is planned, in the order of the file.
///
/// # Errors
///
/// The first refusal, with what was done before it.
pub async fn apply(
    cluster: &Cluster,
    resources: &[Resource],
    beamline: &str,
    plan: &Plan,
    progress: &dyn Progress,
) -> CommandResult<()> {
    let mut done: Vec<String> = Vec::new();
    for resource in resources {
        let id = &resource.id;
        if !plan.changes.iter().any(|change| change.resource == *id) {
            continue;
        }
        progress.step(&format!("applying {id}"));
        apply_one(cluster, resource)
            .await
            .map_err(|error| so_far(error, &done))?;
        done.push(id.to_string());
    }
    for change in &plan.nodes {
        progress.step(&format!("labelling {}", change.node));
        mark(cluster, &change.node, beamline)
            .await
            .map_err(|error| so_far(error, &done))?;
        done.push(format!("node {}", change.node));
    }
    Ok(())
}

fn so_far(error: CommandError, done: &[String]) -> CommandError {
    let done = if done.is_empty() {
        "nothing".to_owned()
    } else {
        done.join(", ")
    };
    error.hint(format!(
        "done before it: {done}; the same command goes on from there"
    ))
}

async fn apply_one(cluster: &Cluster, resource: &Resource) -> CommandResult<()> {
    let placed = place(cluster, resource).await?;
    let id = &resource.id;
    let patch = Patch::Apply(&placed.resource.body);
    let parameters = PatchParams::apply(MANAGER);
    retrying(|| placed.api.patch(&id.name, &parameters, &patch))
        .await
        .map_err(cluster.failed(format!("apply {id}")))?;
    Ok(())
}

async fn read_node(cluster: &Cluster, name: &str) -> CommandResult<Node> {
    let api: Api<Node> = cluster.cluster_api();
    retrying(|| api.get_opt(name))
        .await
        .map_err(cluster.failed(format!("read node {name}")))?
        .ok_or_else(|| {
            CommandError::not_found(format!("the cluster has no node `{name}`"))
                .hint("`ioc node` lists them")
        })
}

/// What a node lacks to be one of the beamline; `None` when nothing.
fn node_change(node: &Node, beamline: &str) -> Option<NodeChange> {
    let label = node
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(LABEL));
    let is_labelled = label.is_some_and(|label| label == beamline);
    let is_tainted = taints(node)
        .iter()
        .any(|taint| *taint == wanted_taint(beamline));
    if is_labelled && is_tainted {
        return None;
    }
    Some(NodeChange {
        node: node.metadata.name.clone().unwrap_or_default(),
        label: (!is_labelled).then(|| format!("{LABEL}={beamline}")),
        instead_of: label.filter(|_| !is_labelled).cloned(),
        taint: (!is_tainted).then(|| taint_text(&wanted_taint(beamline))),
    })
}

fn wanted_taint(beamline: &str) -> Taint {
    Taint {
        key: TAINT.to_owned(),
        value: Some(beamline.to_owned()),
        effect: "NoSchedule".to_owned(),
        time_added: None,
    }
}

/// The taints of a node without the times at which they came.
fn taints(node: &Node) -> Vec<Taint> {
    let spec = node.spec.as_ref();
    spec.and_then(|spec| spec.taints.clone())
        .unwrap_or_default()
}

/// All taints of a node with that of the beamline; one of the same key and effect is of another beamline.
fn with_taint(node: &Node, beamline: &str) -> Vec<Taint> {
    let wanted = wanted_taint(beamline);
    let mut all = taints(node);
    all.retain(|taint| taint.key != wanted.key || taint.effect != wanted.effect);
    all.push(wanted);
    all
}

/// Labels and taints a node. Taints are one list that others write too, so it is written only as it was read.
async fn mark(cluster: &Cluster, name: &str, beamline: &str) -> CommandResult<()> {
    let api: Api<Node> = cluster.cluster_api();
    for try_ in 1.. {
        let node = read_node(cluster, name).await?;
        let patch = json!({
            "metadata": {
                "labels": {LABEL: beamline},
                "resourceVersion": node.metadata.resource_version,
            },
            "spec": {"taints": with_taint(&node, beamline)},
        });
        match api
            .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
        {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 && try_ < MOST_TRIES => {}
            Err(other) => {
                return Err(cluster.failed(format!("label and taint node {name}"))(
                    other,
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::kubernetes::placement::testing::from_yaml;

    #[test]
    fn a_node_gets_what_it_lacks_and_keeps_the_taints_of_others() {
        let node = |labels: &str, taints: &str| -> Node {
            from_yaml(&format!(
                "metadata: {{name: bl, labels: {{{labels}}}}}\nspec: {{taints: [{taints}]}}"
            ))
        };
        let ours = "{key: nodetype, value: t01, effect: NoSchedule}";
        assert_eq!(node_change(&node("beamline: t01", ours), "t01"), None);
        let new = node_change(&node("", ""), "t01").unwrap();
        assert_eq!(
            (new.label.as_deref(), new.taint.as_deref(), new.instead_of),
            (Some("beamline=t01"), Some("nodetype=t01:NoSchedule"), None)
        );
        let other = node(
            "beamline: t02",
            "{key: nodetype, value: t02, effect: NoSchedule}, {key: gpu, effect: NoExecute}",
        );
        assert_eq!(
            node_change(&other, "t01").unwrap().instead_of.as_deref(),
            Some("t02")
        );
        let shown: Vec<String> = with_taint(&other, "t01").iter().map(taint_text).collect();
        assert_eq!(shown, ["gpu:NoExecute", "nodetype=t01:NoSchedule"]);
    }
}
