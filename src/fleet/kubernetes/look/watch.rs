//! What a cluster says, kept up to date by watches.
//!
//! Each kind is listed once and then watched; a watch that is cut or too old (410 Gone) begins again by itself, with
//! growing pauses. Nothing is asked while nothing happens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use futures_util::stream::{self, BoxStream, SelectAll, StreamExt as _};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::list::{self, Scope, Seen};
use super::object::{Deployment, Node, Pod, StatefulSet};
use super::release::{self, Releases};
use super::state::LostNodes;
use super::workload::Workload;
use crate::fleet::kubernetes::Cluster;
use crate::ui::error::CommandResult;

/// Records that are read at the same time.
const RECORDS_AT_ONCE: usize = 16;

type Key = (String, String);

/// What happened to an object of one of the kinds.
enum Change {
    Workload(usize, Step<Box<Workload>>),
    Pod(Step<Box<Pod>>),
    Node(Step<Box<Node>>),
    Release(Step<Labelled>),
    /// A watch was cut; it begins again.
    Lost(kube::Error),
}

/// The labels of a release Secret.
#[derive(Debug, Clone)]
struct Labelled {
    release: String,
    number: u32,
}

/// A step of a watch.
enum Step<T> {
    Begin,
    Listed(Key, T),
    Done,
    Applied(Key, T),
    Deleted(Key),
}

/// The objects of one watch; while it is listed again the old ones stay.
struct Objects<T> {
    now: BTreeMap<Key, T>,
    listing: BTreeMap<Key, T>,
    is_listed: bool,
}

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Self {
            now: BTreeMap::new(),
            listing: BTreeMap::new(),
            is_listed: false,
        }
    }
}

impl<T> Objects<T> {
    fn take(&mut self, step: Step<T>) {
        match step {
            Step::Begin => self.listing.clear(),
            Step::Listed(key, object) => {
                self.listing.insert(key, object);
            }
            Step::Done => {
                self.now = std::mem::take(&mut self.listing);
                self.is_listed = true;
            }
            Step::Applied(key, object) => {
                self.now.insert(key, object);
            }
            Step::Deleted(key) => {
                self.now.remove(&key);
            }
        }
    }
}

/// A live view of a scope.
pub struct Watch {
    cluster: Cluster,
    changes: SelectAll<BoxStream<'static, Change>>,
    workloads: Vec<Objects<Box<Workload>>>,
    pods: Objects<Box<Pod>>,
    nodes: Objects<Box<Node>>,
    releases: Releases,
    known: Objects<Labelled>,
    /// Secrets of which the record has to be read.
    unread: BTreeSet<Key>,
    unseen: Vec<String>,
    /// Why the newest of what is shown may be missing.
    lost: Option<String>,
}

impl Watch {
    /// Begins to watch. What this login may not see is refused here, once, rather than again and again later.
    ///
    /// # Errors
    ///
    /// The cluster's refusal.
    pub async fn begin(cluster: &Cluster, scope: Scope<'_>) -> CommandResult<Self> {
        // a look first: its refusals have the words, and its releases their records
        let first = list::look(cluster, scope).await?;
        let mut changes = SelectAll::new();
        let selectors = scope.selectors();
        for (number, selector) in selectors.iter().enumerate() {
            changes.push(steps(
                scope.api::<StatefulSet>(cluster),
                selector.unwrap_or_default(),
                move |step| Change::Workload(2 * number, step),
                |object| Box::new(Workload::from(object)),
            ));
            changes.push(steps(
                scope.api::<Deployment>(cluster),
                selector.unwrap_or_default(),
                move |step| Change::Workload(2 * number + 1, step),
                |object| Box::new(Workload::from(object)),
            ));
        }
        // pods without a label belong to workloads with one in old charts: all are watched
        changes.push(steps(scope.api::<Pod>(cluster), "", Change::Pod, |pod| {
            Box::new(list::without_ballast(pod))
        }));
        if first.unseen.is_empty() {
            changes.push(steps(
                scope.api::<PartialObjectMeta<Secret>>(cluster),
                list::RELEASES,
                Change::Release,
                labelled,
            ));
        }
        if first.nodes_are_seen {
            changes.push(steps(
                cluster.cluster_api::<Node>(),
                "",
                Change::Node,
                |mut node: Node| {
                    node.metadata.managed_fields = None;
                    node.metadata.annotations = None;
                    Box::new(node)
                },
            ));
        }
        Ok(Self {
            cluster: cluster.clone(),
            changes,
            workloads: selectors
                .iter()
                .flat_map(|_| [Objects::default(), Objects::default()])
                .collect(),
            pods: Objects::default(),
            nodes: Objects::default(),
            releases: first.releases,
            known: Objects::default(),
            unread: BTreeSet::new(),
            unseen: first.unseen,
            lost: None,
        })
    }

    /// Waits for the next change that people can see.
    pub async fn changed(&mut self) {
        while let Some(change) = self.changes.next().await {
            if self.take(change) && self.is_complete() {
                return;
            }
        }
        // all watches go on for ever
        std::future::pending::<()>().await;
    }

    /// Whether everything has been listed once.
    fn is_complete(&self) -> bool {
        self.workloads.iter().all(|objects| objects.is_listed) && self.pods.is_listed
    }

    /// Notes a change; whether it can be seen.
    fn take(&mut self, change: Change) -> bool {
        if !matches!(change, Change::Lost(_)) {
            self.lost = None;
        }
        match change {
            Change::Workload(number, step) => {
                let is_seen = is_seen(&step);
                if let Some(objects) = self.workloads.get_mut(number) {
                    objects.take(step);
                }
                is_seen
            }
            Change::Pod(step) => {
                let is_seen = is_seen(&step);
                self.pods.take(step);
                is_seen
            }
            Change::Node(step) => {
                let before = self.lost_nodes();
                self.nodes.take(step);
                // kubelets report every few minutes that all is as before
                before != self.lost_nodes()
            }
            Change::Release(step) => self.take_release(step),
            Change::Lost(error) => {
                self.lost = Some(list::in_full(&self.cluster.failed("watch the cluster")(
                    error,
                )));
                true
            }
        }
    }

    fn take_release(&mut self, step: Step<Labelled>) -> bool {
        match &step {
            Step::Applied(key, _) => {
                self.unread.insert(key.clone());
            }
            Step::Deleted(key) => {
                if let Some(gone) = self.known.now.get(key) {
                    self.releases.remove(&key.0, &gone.release, gone.number);
                }
            }
            Step::Done => {
                let gone = self
                    .known
                    .now
                    .iter()
                    .filter(|(key, _)| !self.known.listing.contains_key(*key));
                for (key, labels) in gone {
                    self.releases.remove(&key.0, &labels.release, labels.number);
                }
                // the first look has read the records that are listed first
                if self.known.is_listed {
                    self.unread.extend(self.known.listing.keys().cloned());
                }
            }
            Step::Begin | Step::Listed(..) => {}
        }
        let is_seen = is_seen(&step);
        self.known.take(step);
        is_seen
    }

    fn lost_nodes(&self) -> LostNodes {
        let nodes: Vec<Node> = self
            .nodes
            .now
            .values()
            .map(|node| (**node).clone())
            .collect();
        LostNodes::of(&nodes)
    }

    /// What is seen now, after reading the records that changed.
    pub async fn seen(&mut self) -> Seen {
        let unread = std::mem::take(&mut self.unread);
        let cluster = &self.cluster;
        let read: Vec<_> = stream::iter(unread)
            .map(|(namespace, name)| async move {
                let api: Api<Secret> = Api::namespaced(cluster.client.clone(), &namespace);
                (namespace, api.get_opt(&name).await)
            })
            .buffer_unordered(RECORDS_AT_ONCE)
            .collect()
            .await;
        for (namespace, secret) in read {
            let secret = match secret {
                Ok(Some(secret)) => secret,
                Ok(None) => continue,
                Err(error) => {
                    tracing::debug!(%error, "a release record is not read");
                    continue;
                }
            };
            let labels = secret.metadata.labels.unwrap_or_default();
            let content = secret.data.and_then(|mut data| data.remove("release"));
            let content = content.map(|content| content.0).unwrap_or_default();
            if let Some((name, revision)) =
                release::revision(|key| labels.get(key).cloned(), &content)
            {
                self.releases.add(&namespace, &name, revision);
            }
        }
        let pods: Vec<Pod> = self.pods.now.values().map(|pod| (**pod).clone()).collect();
        let mut workloads: BTreeMap<&str, &Workload> = BTreeMap::new();
        for objects in &self.workloads {
            workloads.extend(
                objects
                    .now
                    .values()
                    .map(|workload| (workload.uid.as_str(), &**workload)),
            );
        }
        let mut workloads: Vec<Workload> = workloads.into_values().cloned().collect();
        workloads.extend(pods.iter().filter_map(Workload::of_lone_pod));
        Seen {
            workloads,
            pods,
            releases: self.releases.clone(),
            lost: self.lost_nodes(),
            nodes_are_seen: self.nodes.is_listed,
            unseen: self.unseen.iter().chain(&self.lost).cloned().collect(),
        }
    }
}

fn is_seen<T>(step: &Step<T>) -> bool {
    !matches!(step, Step::Begin | Step::Listed(..))
}

/// The steps of a watch without end.
fn steps<K, T>(
    api: Api<K>,
    selector: &str,
    change: impl Fn(Step<T>) -> Change + Send + 'static,
    take: impl Fn(K) -> T + Send + 'static,
) -> BoxStream<'static, Change>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    T: Send + 'static,
{
    let mut config = watcher::Config::default();
    if !selector.is_empty() {
        config = config.labels(selector);
    }
    watcher::watcher(api, config)
        .default_backoff()
        .map(move |event| step(event, &change, &take))
        .boxed()
}

/// The labels of a release Secret; its content is read when it has changed.
fn labelled(secret: PartialObjectMeta<Secret>) -> Labelled {
    let labels = secret.metadata.labels.unwrap_or_default();
    Labelled {
        release: labels.get("name").cloned().unwrap_or_default(),
        number: labels
            .get("version")
            .and_then(|version| version.parse().ok())
            .unwrap_or_default(),
    }
}

fn step<K: Resource<DynamicType = ()>, T>(
    event: Result<Event<K>, watcher::Error>,
    change: &impl Fn(Step<T>) -> Change,
    take: &impl Fn(K) -> T,
) -> Change {
    let key = |object: &K| (object.namespace().unwrap_or_default(), object.name_any());
    change(match event {
        Ok(Event::Init) => Step::Begin,
        Ok(Event::InitApply(object)) => Step::Listed(key(&object), take(object)),
        Ok(Event::InitDone) => Step::Done,
        Ok(Event::Apply(object)) => Step::Applied(key(&object), take(object)),
        Ok(Event::Delete(object)) => Step::Deleted(key(&object)),
        Err(error) => {
            tracing::debug!(%error, "a watch begins again");
            return Change::Lost(cause(error));
        }
    })
}

/// The refusal inside a watch's error.
pub(in crate::fleet::kubernetes) fn cause(error: watcher::Error) -> kube::Error {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => error,
        watcher::Error::WatchError(status) => kube::Error::Api(status),
        error @ watcher::Error::NoResourceVersion => kube::Error::Service(Box::new(error)),
    }
}
