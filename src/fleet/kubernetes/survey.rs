//! What the cluster has, for [`crate::fleet::kubernetes::placement`]: nodes, pods, pod templates, claims and volumes, as far as this
//! login may see them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod, PodSpec};
use kube::Api;
use kube::api::{ListParams, ObjectList};
use serde::de::DeserializeOwned;

use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::placement::volume::Storage;
use crate::fleet::kubernetes::placement::workload::Owner;
use crate::fleet::kubernetes::preflight::Subject;
use crate::fleet::kubernetes::retry::retrying;
use crate::ui::error::{CommandError, CommandResult};

/// Objects per answer, so that a large cluster needs no large answer.
const PAGE: u32 = 500;
/// Requests under way at a time.
const AT_A_TIME: usize = 8;

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// Nodes.
    pub nodes: Vec<Node>,
    /// Pods.
    pub pods: Vec<Pod>,
    /// Pod templates by namespace and owner.
    pub templates: BTreeMap<(String, Owner), PodSpec>,
    /// Claims and volumes by namespace.
    pub storage: BTreeMap<String, Storage>,
    /// What could not be seen, in words.
    pub unseen: Vec<String>,
}

impl Survey {
    /// Looks at the whole cluster. Nodes are needed; what else this login may not list is told in `unseen`.
    ///
    /// # Errors
    ///
    /// Nodes that may not be listed, or a cluster that does not answer.
    pub async fn of(cluster: &Cluster) -> CommandResult<Self> {
        let nodes: Vec<Node> = all(&cluster.cluster_api(), &ListParams::default())
            .await
            .map_err(cluster.failed("list the nodes"))?;
        let mut survey = Self {
            nodes,
            ..Self::default()
        };
        let everywhere =
            |what: &str| format!("{what} of namespaces other than `{}`", cluster.namespace);
        let every = ListParams::default();
        let pods = wide::<Pod>(cluster, "pods", &every).await?;
        survey.pods = pods.objects;
        if pods.own_only {
            survey.unseen.push(everywhere("pods"));
        }
        let sets = wide::<StatefulSet>(cluster, "StatefulSets", &every).await?;
        if sets.own_only {
            survey
                .unseen
                .push(everywhere("StatefulSets and Deployments"));
        }
        for set in sets.objects {
            let key = (
                set.metadata.namespace.unwrap_or_default(),
                Owner::StatefulSet(set.metadata.name.unwrap_or_default()),
            );
            if let Some(spec) = set.spec.and_then(|spec| spec.template.spec) {
                survey.templates.insert(key, spec);
            }
        }
        let deployments = wide::<Deployment>(cluster, "Deployments", &every).await?;
        for deployment in deployments.objects {
            let key = (
                deployment.metadata.namespace.unwrap_or_default(),
                Owner::Deployment(deployment.metadata.name.unwrap_or_default()),
            );
            if let Some(spec) = deployment.spec.and_then(|spec| spec.template.spec) {
                survey.templates.insert(key, spec);
            }
        }
        survey.all_claims(cluster).await?;
        Ok(survey)
    }

    /// Looks only at what these instances meet: the nodes, what runs on those that they are held to, their claims.
    /// `None` when this login may not list nodes.
    ///
    /// # Errors
    ///
    /// A cluster that does not answer.
    pub async fn around(
        cluster: &Cluster,
        subjects: &[Subject<'_>],
    ) -> CommandResult<Option<Self>> {
        let nodes = async {
            let nodes = all(&cluster.cluster_api(), &ListParams::default()).await;
            if_allowed(nodes).map_err(cluster.failed("list the nodes"))
        };
        let held: BTreeSet<&str> = subjects.iter().filter_map(Subject::held_to).collect();
        let pods = stream::iter(held)
            .map(|node| async move {
                let on = ListParams::default().fields(&format!("spec.nodeName={node}"));
                wide::<Pod>(cluster, "pods", &on).await
            })
            .buffered(AT_A_TIME)
            .try_collect::<Vec<_>>();
        let named: BTreeSet<&str> = subjects.iter().flat_map(Subject::claims).collect();
        let (nodes, pods, storage) = tokio::try_join!(nodes, pods, named_claims(cluster, named))?;
        Ok(nodes.map(|nodes| Self {
            nodes,
            pods: pods.into_iter().flat_map(|wide| wide.objects).collect(),
            storage: BTreeMap::from([(cluster.namespace.clone(), storage)]),
            ..Self::default()
        }))
    }

    async fn all_claims(&mut self, cluster: &Cluster) -> CommandResult<()> {
        let every = ListParams::default();
        let wide = wide::<PersistentVolumeClaim>(cluster, "claims", &every).await?;
        if wide.own_only {
            self.unseen.push(format!(
                "claims of namespaces other than `{}`",
                cluster.namespace
            ));
        }
        if wide.hidden {
            let own = self.storage.entry(cluster.namespace.clone()).or_default();
            own.claims_are_hidden = true;
        }
        let volumes: Option<Vec<PersistentVolume>> =
            if_allowed(all(&cluster.cluster_api(), &every).await)
                .map_err(cluster.failed("list the volumes"))?;
        if volumes.is_none() {
            self.unseen.push("volumes (`persistentvolumes`)".to_owned());
        }
        let mut by_name: BTreeMap<String, PersistentVolume> = BTreeMap::new();
        for volume in volumes.iter().flatten() {
            by_name.insert(
                volume.metadata.name.clone().unwrap_or_default(),
                volume.clone(),
            );
        }
        for claim in wide.objects {
            let namespace = claim.metadata.namespace.clone().unwrap_or_default();
            let storage = self.storage.entry(namespace).or_insert_with(|| Storage {
                volumes_are_known: volumes.is_some(),
                ..Storage::default()
            });
            let bound = claim
                .spec
                .as_ref()
                .and_then(|spec| spec.volume_name.as_ref());
            if let Some(volume) = bound.and_then(|name| by_name.get(name)) {
                storage.volumes.insert(
                    volume.metadata.name.clone().unwrap_or_default(),
                    volume.clone(),
                );
            }
            storage
                .claims
                .insert(claim.metadata.name.clone().unwrap_or_default(), claim);
        }
        Ok(())
    }

    /// The node of that name.
    ///
    /// # Errors
    ///
    /// Not found, with the nearest name.
    pub fn node(&self, name: &str) -> CommandResult<&Node> {
        let names = || {
            self.nodes
                .iter()
                .filter_map(|node| node.metadata.name.as_deref())
        };
        self.nodes
            .iter()
            .find(|node| node.metadata.name.as_deref() == Some(name))
            .ok_or_else(|| {
                let error = CommandError::not_found(format!("the cluster has no node `{name}`"));
                match crate::diagnostic::nearest(name, names()) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint("`ioc node` lists them"),
                }
            })
    }
}

/// Objects of all namespaces, or, where that is not allowed, of the own one.
struct Wide<K> {
    objects: Vec<K>,
    /// Other namespaces may not be seen.
    own_only: bool,
    /// Nor may the own one.
    hidden: bool,
}

async fn wide<K>(cluster: &Cluster, what: &str, which: &ListParams) -> CommandResult<Wide<K>>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
    K::DynamicType: Default,
{
    let everywhere = all(&Api::all(cluster.client.clone()), which).await;
    if let Some(objects) =
        if_allowed(everywhere).map_err(cluster.failed(format!("list the {what}")))?
    {
        return Ok(Wide {
            objects,
            own_only: false,
            hidden: false,
        });
    }
    let own = if_allowed(all(&cluster.api(), which).await)
        .map_err(cluster.failed(format!("list the {what} of `{}`", cluster.namespace)))?;
    Ok(Wide {
        own_only: true,
        hidden: own.is_none(),
        objects: own.unwrap_or_default(),
    })
}

/// Claims of the namespace, by name.
async fn named_claims(cluster: &Cluster, names: BTreeSet<&str>) -> CommandResult<Storage> {
    let api: Api<PersistentVolumeClaim> = cluster.api();
    let claims = stream::iter(names)
        .map(|name| {
            let api = &api;
            async move {
                let claim = retrying(|| api.get_opt(name)).await;
                if_allowed(claim).map_err(cluster.failed(format!("look at the claim `{name}`")))
            }
        })
        .buffered(AT_A_TIME)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(Storage {
        claims_are_hidden: claims.iter().any(Option::is_none),
        claims: claims
            .into_iter()
            .flatten()
            .flatten()
            .map(|claim| (claim.metadata.name.clone().unwrap_or_default(), claim))
            .collect(),
        ..Storage::default()
    })
}

/// `None` for what this login may not do.
fn if_allowed<T>(result: Result<T, kube::Error>) -> Result<Option<T>, kube::Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
        Err(other) => Err(other),
    }
}

/// All objects, page by page.
async fn all<K>(api: &Api<K>, which: &ListParams) -> Result<Vec<K>, kube::Error>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut objects = Vec::new();
    let mut parameters = which.clone().limit(PAGE);
    loop {
        let page: ObjectList<K> = match retrying(|| api.list(&parameters)).await {
            // the pages of a list end after some minutes: begin again
            Err(kube::Error::Api(status))
                if status.code == 410 && parameters.continue_token.is_some() =>
            {
                objects.clear();
                parameters.continue_token = None;
                continue;
            }
            other => other?,
        };
        objects.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters.continue_token = Some(token),
            None => return Ok(objects),
        }
    }
}
