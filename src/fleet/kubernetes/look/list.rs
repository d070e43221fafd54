//! What is asked of the API server for a list of instances: five requests side by side.
//!
//! Metadata and fields that nobody looks at are dropped while it is read, so that thousands of instances take little
//! memory. Nodes may be looked at by few; without them a lost node is told by its pods alone.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::api::Api;
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::object::{Deployment, Node, Pod, StatefulSet};
use super::page::{List, OBJECTS, Page, damaged};
use super::release::Releases;
use super::state::LostNodes;
use super::workload::{IOC_LABELS, Workload};
use super::{protobuf, releases};
use crate::fleet::kubernetes::Cluster;
use crate::ui::error::{CommandError, CommandResult};

/// Superseded revisions are history and not asked for.
pub(super) const RELEASES: &str = "owner=helm,status!=superseded";
/// Workloads whose pods are asked for one by one, at the same time.
const UNLABELLED_AT_ONCE: usize = 16;

/// Where is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// One namespace, whatever is in it.
    Namespace(&'a str),
    /// All namespaces, only what is labelled as an IOC.
    All,
}

impl<'s> Scope<'s> {
    pub(super) fn api<K>(self, cluster: &Cluster) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match self {
            Self::Namespace(name) => Api::namespaced(cluster.client.clone(), name),
            Self::All => Api::all(cluster.client.clone()),
        }
    }

    /// Selectors of which one must hold; the API has no "or".
    pub(super) fn selectors(self) -> Vec<Option<&'static str>> {
        match self {
            Self::Namespace(_) => vec![None],
            Self::All => IOC_LABELS.iter().map(|label| Some(*label)).collect(),
        }
    }

    pub(super) fn namespace(self) -> Option<&'s str> {
        match self {
            Self::Namespace(name) => Some(name),
            Self::All => None,
        }
    }

    /// For messages.
    pub fn name(self) -> String {
        match self {
            Self::Namespace(name) => format!("namespace `{name}`"),
            Self::All => "all namespaces".to_owned(),
        }
    }
}

/// What a cluster says at one moment.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Workloads, IOCs and others.
    pub workloads: Vec<Workload>,
    /// Pods.
    pub pods: Vec<Pod>,
    /// Releases.
    pub releases: Releases,
    /// Nodes that do not answer.
    pub lost: LostNodes,
    /// Whether nodes may be looked at.
    pub nodes_are_seen: bool,
    /// What could not be looked at, in words.
    pub unseen: Vec<String>,
}

/// Looks.
///
/// # Errors
///
/// Workloads or pods that this login may not list, or a cluster that does not answer. Releases and nodes that it may
/// not list are told in [`Seen::unseen`].
pub async fn look(cluster: &Cluster, scope: Scope<'_>) -> CommandResult<Seen> {
    let (stateful_sets, deployments, pods, releases, nodes) = tokio::join!(
        listed::<StatefulSet, Workload>(cluster, scope, "StatefulSets", |object| Some(
            object.into()
        )),
        listed::<Deployment, Workload>(cluster, scope, "Deployments", |object| Some(object.into())),
        listed::<Pod, Pod>(cluster, scope, "pods", |object| Some(without_ballast(
            object
        ))),
        releases::releases(cluster, scope),
        nodes(cluster),
    );
    let mut unseen = Vec::new();
    let mut workloads = stateful_sets?;
    workloads.extend(deployments?);
    let mut pods = pods?;
    unique(&mut workloads, |workload| workload.uid.clone());
    if scope == Scope::All {
        pods.extend(unlabelled_pods(cluster, &workloads).await?);
    }
    unique(&mut pods, |pod| pod.uid().unwrap_or_default());
    workloads.extend(pods.iter().filter_map(Workload::of_lone_pod));
    let releases = releases.unwrap_or_else(|error| {
        unseen.push(format!(
            "versions and revisions are not shown: {}",
            in_full(&error)
        ));
        Releases::default()
    });
    let nodes_are_seen = nodes.is_ok();
    let lost = nodes.unwrap_or_else(|error| {
        tracing::debug!(%error, "nodes are not looked at");
        LostNodes::default()
    });
    Ok(Seen {
        workloads,
        pods,
        releases,
        lost,
        nodes_are_seen,
        unseen,
    })
}

/// Pods of workloads whose template has none of the labels.
async fn unlabelled_pods(cluster: &Cluster, workloads: &[Workload]) -> CommandResult<Vec<Pod>> {
    let lists: Vec<Vec<Pod>> = stream::iter(workloads)
        .filter(|workload| {
            let wanted = !workload.pods_are_labelled && !workload.selector.is_empty();
            async move { wanted }
        })
        .map(|workload| async move {
            let labels: Vec<String> = workload
                .selector
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            let path = Pod::url_path(&(), Some(&workload.namespace));
            pages(cluster, &path, Some(&labels.join(",")), |pod| {
                Some(without_ballast(pod))
            })
            .await
        })
        .buffer_unordered(UNLABELLED_AT_ONCE)
        .try_collect()
        .await
        .map_err(cluster.failed("list the pods in all namespaces"))?;
    Ok(lists.into_iter().flatten().collect())
}

/// An error and what is below it, in one line.
pub(super) fn in_full(error: &CommandError) -> String {
    let mut text = error.to_string();
    for cause in error.causes() {
        text.push_str(": ");
        text.push_str(&cause);
    }
    text
}

/// Several selectors may find the same object.
fn unique<T>(items: &mut Vec<T>, uid: impl Fn(&T) -> String) {
    let mut seen = std::collections::BTreeSet::new();
    items.retain(|item| seen.insert(uid(item)));
}

/// What a list has of no use to a look.
pub(super) fn without_ballast(mut pod: Pod) -> Pod {
    let metadata = &mut pod.metadata;
    metadata.managed_fields = None;
    metadata.annotations = None;
    let status = &mut pod.status;
    let containers = status
        .container_statuses
        .iter_mut()
        .chain(status.init_container_statuses.iter_mut())
        .flatten();
    for container in containers {
        container.volume_mounts = None;
        container.resources = None;
        container.allocated_resources = None;
    }
    pod
}

/// All objects of a kind, page by page.
async fn listed<K, T>(
    cluster: &Cluster,
    scope: Scope<'_>,
    what: &str,
    take: impl Fn(K) -> Option<T> + Copy,
) -> CommandResult<Vec<T>>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + for<'a> protobuf::Read<'a>,
{
    let path = K::url_path(&(), scope.namespace());
    let lists: Vec<Vec<T>> = stream::iter(scope.selectors())
        .map(|selector| pages(cluster, &path, selector, take))
        .buffered(IOC_LABELS.len())
        .try_collect()
        .await
        .map_err(cluster.failed(format!("list the {what} in {}", scope.name())))?;
    Ok(lists.into_iter().flatten().collect())
}

async fn pages<K, T>(
    cluster: &Cluster,
    path: &str,
    selector: Option<&str>,
    take: impl Fn(K) -> Option<T>,
) -> Result<Vec<T>, kube::Error>
where
    K: DeserializeOwned + for<'a> protobuf::Read<'a>,
{
    let list = List {
        path,
        selector,
        page: None,
        accept: OBJECTS,
    };
    list.all(cluster, |body, found: &mut Vec<T>| {
        if protobuf::is_protobuf(body) {
            let next = protobuf::page(body, |object| found.extend(take(object)));
            return Ok(next.ok_or_else(damaged)?.to_owned());
        }
        let page: Page<K> = serde_json::from_slice(body)?;
        found.extend(page.items.into_iter().filter_map(&take));
        Ok(page.metadata.continue_.unwrap_or_default())
    })
    .await
}

async fn nodes(cluster: &Cluster) -> CommandResult<LostNodes> {
    let path = Node::url_path(&(), None);
    let nodes = pages(cluster, &path, None, |mut node: Node| {
        node.metadata.managed_fields = None;
        node.metadata.annotations = None;
        Some(node)
    })
    .await
    .map_err(cluster.failed("list the nodes"))?;
    Ok(LostNodes::of(&nodes))
}
