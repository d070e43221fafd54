//! What is asked of the API server for a list of instances: five requests side by side, in pages.
//!
//! Metadata and fields that nobody looks at are dropped page by page, so that thousands of instances take little
//! memory. Nodes may be looked at by few; without them a lost node is told by its pods alone.

use std::fmt::Debug;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams, Request};
use kube::client::Body;
use kube::{Resource, ResourceExt as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::object::{Deployment, Node, Pod, StatefulSet};
use super::protobuf;
use super::release::{self, Releases};
use super::state::LostNodes;
use super::workload::{IOC_LABELS, Workload};
use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::retry::retrying;
use crate::ui::error::{CommandError, CommandResult};

/// Objects in one answer.
const PAGE: u32 = 250;
/// Release Secrets in one answer: each may be large.
const RELEASE_PAGE: u32 = 100;
/// A list that changes faster than it can be read is given up after so many attempts.
const MOST_ATTEMPTS: u32 = 4;
/// Superseded revisions are history and not asked for.
pub(super) const RELEASES: &str = "owner=helm,status!=superseded";
/// Workloads whose pods are asked for one by one, at the same time.
const UNLABELLED_AT_ONCE: usize = 16;
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf, application/json";

/// Where is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// One namespace, whatever is in it.
    Namespace(&'a str),
    /// All namespaces, only what is labelled as an IOC.
    All,
}

impl Scope<'_> {
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

    fn namespace(self) -> Option<String> {
        match self {
            Self::Namespace(name) => Some(name.to_owned()),
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
        releases(cluster, scope),
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
            let api: Api<Pod> = Scope::Namespace(&workload.namespace).api(cluster);
            pages(&api, Some(&labels.join(",")), |pod| {
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
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    K::DynamicType: Default,
{
    let api: Api<K> = scope.api(cluster);
    let lists: Vec<Vec<T>> = stream::iter(scope.selectors())
        .map(|selector| pages(&api, selector, take))
        .buffered(IOC_LABELS.len())
        .try_collect()
        .await
        .map_err(cluster.failed(format!("list the {what} in {}", scope.name())))?;
    Ok(lists.into_iter().flatten().collect())
}

async fn pages<K, T>(
    api: &Api<K>,
    selector: Option<&str>,
    take: impl Fn(K) -> Option<T>,
) -> Result<Vec<T>, kube::Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    let first = ListParams {
        label_selector: selector.map(str::to_owned),
        limit: Some(PAGE),
        ..ListParams::default()
    };
    let mut attempt = 1;
    'again: loop {
        let mut parameters = first.clone();
        let mut found = Vec::new();
        loop {
            let page = match retrying(|| api.list(&parameters)).await {
                Ok(page) => page,
                // the list that the token goes on with is too old
                Err(error) if is_gone(&error) && attempt < MOST_ATTEMPTS => {
                    attempt += 1;
                    continue 'again;
                }
                Err(error) => return Err(error),
            };
            found.extend(page.items.into_iter().filter_map(&take));
            parameters.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if parameters.continue_token.is_none() {
                return Ok(found);
            }
        }
    }
}

fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 410)
}

async fn nodes(cluster: &Cluster) -> CommandResult<LostNodes> {
    let api: Api<Node> = cluster.cluster_api();
    let nodes = pages(&api, None, |mut node: Node| {
        node.metadata.managed_fields = None;
        node.metadata.annotations = None;
        Some(node)
    })
    .await
    .map_err(cluster.failed("list the nodes"))?;
    Ok(LostNodes::of(&nodes))
}

/// The releases of a scope.
///
/// # Errors
///
/// The login may not list Secrets, or the cluster does not answer.
pub async fn releases(cluster: &Cluster, scope: Scope<'_>) -> CommandResult<Releases> {
    let mut attempt = 1;
    'again: loop {
        let mut found = Releases::default();
        let mut next: Option<String> = None;
        loop {
            let parameters = ListParams {
                label_selector: Some(RELEASES.to_owned()),
                limit: Some(RELEASE_PAGE),
                continue_token: next,
                ..ListParams::default()
            };
            let page = retrying(|| secrets(cluster, scope, &parameters)).await;
            next = match page {
                Ok(body) => add_page(&body, &mut found),
                Err(error) if is_gone(&error) && attempt < MOST_ATTEMPTS => {
                    attempt += 1;
                    continue 'again;
                }
                Err(error) => {
                    let doing = format!("list the releases (Secrets) in {}", scope.name());
                    return Err(cluster.failed(doing)(error));
                }
            };
            if next.is_none() {
                return Ok(found);
            }
        }
    }
}

/// One page of release Secrets.
fn secrets(
    cluster: &Cluster,
    scope: Scope<'_>,
    parameters: &ListParams,
) -> impl Future<Output = Result<Bytes, kube::Error>> {
    let path = Secret::url_path(&(), scope.namespace().as_deref());
    let request = Request::new(path)
        .list(parameters)
        .map_err(kube::Error::BuildRequest);
    let client = cluster.client.clone();
    async move {
        let mut request = request?;
        if let Ok(accept) = PROTOBUF.parse() {
            request.headers_mut().insert("accept", accept);
        }
        let plain = request.uri().clone();
        let response = client.send(request.map(Body::from)).await?;
        if !response.status().is_success() {
            // the refusal came in a form of its own; asked as JSON it becomes an error with all its words
            let mut again = kube::api::Request::new(plain.path())
                .list(&ListParams::default().limit(1))
                .map_err(kube::Error::BuildRequest)?;
            *again.uri_mut() = plain;
            client.request::<serde::de::IgnoredAny>(again).await?;
        }
        response.into_body().collect_bytes().await
    }
}

/// Adds what a page has; gives where the next begins.
fn add_page(body: &[u8], found: &mut Releases) -> Option<String> {
    if protobuf::is_protobuf(body) {
        let page = protobuf::secrets(body)?;
        for secret in page.secrets {
            let label = |key: &str| secret.labels.get(key).map(|value| (*value).to_owned());
            if let Some((name, revision)) = release::revision(label, secret.release) {
                found.add(secret.namespace, &name, revision);
            }
        }
        return (!page.next.is_empty()).then(|| page.next.to_owned());
    }
    let page: Page = serde_json::from_slice(body).ok()?;
    for secret in page.items {
        let labels = secret.metadata.labels.unwrap_or_default();
        let content = secret.data.release.unwrap_or_default();
        if let Some((name, revision)) =
            release::revision(|key| labels.get(key).cloned(), content.as_bytes())
        {
            let namespace = secret.metadata.namespace.unwrap_or_default();
            found.add(&namespace, &name, revision);
        }
    }
    page.metadata.continue_.filter(|token| !token.is_empty())
}

/// A page from something that does not speak protocol buffers, such as a proxy.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: kube::core::ListMeta,
    #[serde(default)]
    items: Vec<PageSecret>,
}

#[derive(Deserialize)]
struct PageSecret {
    metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    #[serde(default)]
    data: PageData,
}

#[derive(Default, Deserialize)]
struct PageData {
    release: Option<String>,
}
