//! Which kinds a cluster knows, under which path, and whether they belong to a namespace: asked once per API version.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::Client;
use kube::core::{ApiResource, GroupVersion};
use tokio::sync::Mutex;

use crate::fleet::kubernetes::retry::retrying;

/// How many API versions are asked about at a time.
const AT_A_TIME: usize = 8;

/// A kind of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// How the library addresses it.
    pub resource: ApiResource,
    /// Whether its objects belong to a namespace.
    pub is_namespaced: bool,
}

/// The kinds of a cluster, as far as they were asked for.
#[derive(Clone)]
pub struct Kinds {
    client: Client,
    known: Arc<Mutex<BTreeMap<String, Option<Arc<APIResourceList>>>>>,
}

impl Kinds {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            known: Arc::default(),
        }
    }

    /// The kind; `None` when the cluster does not know it.
    ///
    /// # Errors
    ///
    /// The cluster's refusal.
    pub async fn find(&self, api_version: &str, kind: &str) -> Result<Option<Kind>, kube::Error> {
        let mut known = self.known.lock().await;
        let list = if let Some(list) = known.get(api_version) {
            list.clone()
        } else {
            let list = self.ask(api_version).await?.map(Arc::new);
            known.insert(api_version.to_owned(), list.clone());
            list
        };
        let Some(list) = list else {
            return Ok(None);
        };
        let Ok(version) = api_version.parse::<GroupVersion>() else {
            return Ok(None);
        };
        let found = list
            .resources
            .iter()
            .find(|resource| resource.kind == kind && !resource.name.contains('/'));
        Ok(found.map(|found| Kind {
            resource: ApiResource::from_gvk_with_plural(&version.with_kind(kind), &found.name),
            is_namespaced: found.namespaced,
        }))
    }

    /// Forgets what was asked: kinds may have been added.
    pub async fn forget(&self) {
        self.known.lock().await.clear();
    }

    async fn ask(&self, api_version: &str) -> Result<Option<APIResourceList>, kube::Error> {
        let answer = retrying(|| async {
            if api_version.contains('/') {
                self.client.list_api_group_resources(api_version).await
            } else {
                self.client.list_core_api_resources(api_version).await
            }
        })
        .await;
        match answer {
            Ok(list) => Ok(Some(list)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every group version and kind of the cluster, as charts see them in `.Capabilities.APIVersions`.
    ///
    /// # Errors
    ///
    /// The cluster's refusal.
    pub async fn all(&self) -> Result<Vec<String>, kube::Error> {
        let mut versions = retrying(|| self.client.list_core_api_versions())
            .await?
            .versions;
        let groups = retrying(|| self.client.list_api_groups()).await?.groups;
        versions.extend(
            groups
                .into_iter()
                .flat_map(|group| group.versions)
                .map(|version| version.group_version),
        );
        let mut known = self.known.lock().await;
        let new: Vec<String> = versions
            .iter()
            .filter(|version| !known.contains_key(*version))
            .cloned()
            .collect();
        let answers: Vec<Option<(String, Option<Arc<APIResourceList>>)>> = stream::iter(new)
            .map(|version| async move {
                // an aggregated API that is down must not stop a deploy that does not need it
                let list = self.ask(&version).await.ok()?;
                Some((version, list.map(Arc::new)))
            })
            .buffer_unordered(AT_A_TIME)
            .collect()
            .await;
        known.extend(answers.into_iter().flatten());
        let mut all = Vec::new();
        for version in versions {
            if let Some(Some(list)) = known.get(&version) {
                all.extend(
                    list.resources
                        .iter()
                        .filter(|resource| !resource.name.contains('/'))
                        .map(|resource| format!("{version}/{}", resource.kind)),
                );
            }
            all.push(version);
        }
        all.sort();
        all.dedup();
        Ok(all)
    }
}
