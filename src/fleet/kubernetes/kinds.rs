//! Which kinds a cluster knows, under which path, and whether they belong to a namespace: asked once per API version, or
//! all at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIResource, APIResourceList};
use kube::Client;
use kube::core::discovery::v2::{APIGroupDiscovery, APIGroupDiscoveryList};
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
        let versions = match self.aggregated().await? {
            Some(versions) => versions,
            None => self.one_by_one().await?,
        };
        let known = self.known.lock().await;
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

    /// All of it in two requests, which API servers from 1.27 on answer; `None` from one that does not.
    async fn aggregated(&self) -> Result<Option<Vec<String>>, kube::Error> {
        let (core, groups) = tokio::join!(
            retrying(|| self.client.list_core_api_versions_aggregated()),
            retrying(|| self.client.list_api_groups_aggregated()),
        );
        let (core, groups) = match (core, groups) {
            (Ok(core), Ok(groups)) => (core, groups),
            (Err(kube::Error::Api(status)), _) | (_, Err(kube::Error::Api(status)))
                if status.code == 406 =>
            {
                return Ok(None);
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let lists = discovered(&core, &groups);
        if core.items.is_empty() || groups.items.is_empty() {
            return Ok(None);
        }
        let versions = lists.iter().map(|(version, _)| version.clone()).collect();
        let mut known = self.known.lock().await;
        for (version, list) in lists {
            // what an API that is down does not tell is asked for when it is needed
            if let Some(list) = list {
                known.insert(version, Some(Arc::new(list)));
            }
        }
        Ok(Some(versions))
    }

    async fn one_by_one(&self) -> Result<Vec<String>, kube::Error> {
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
        Ok(versions)
    }
}

/// API versions and their kinds; `None` for those of an aggregated API server that does not answer.
fn discovered(
    core: &APIGroupDiscoveryList,
    groups: &APIGroupDiscoveryList,
) -> Vec<(String, Option<APIResourceList>)> {
    let name = |group: &APIGroupDiscovery| {
        let metadata = group.metadata.as_ref();
        metadata
            .and_then(|metadata| metadata.name.clone())
            .unwrap_or_default()
    };
    let mut found = Vec::new();
    for group in core.items.iter().chain(&groups.items) {
        let group_name = name(group);
        for version in &group.versions {
            let number = version.version.clone().unwrap_or_default();
            let group_version = if group_name.is_empty() {
                number
            } else {
                format!("{group_name}/{number}")
            };
            let is_stale = version.freshness.as_deref() == Some("Stale");
            let resources = version
                .resources
                .iter()
                .filter_map(|resource| {
                    Some(APIResource {
                        name: resource.resource.clone()?,
                        kind: resource.response_kind.as_ref()?.kind.clone()?,
                        namespaced: resource.scope.as_deref() == Some("Namespaced"),
                        verbs: resource.verbs.clone(),
                        ..APIResource::default()
                    })
                })
                .collect();
            let list = APIResourceList {
                group_version: group_version.clone(),
                resources,
            };
            found.push((group_version, (!is_stale).then_some(list)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_told_at_once_is_the_same_as_one_by_one() {
        let core = json!({"items": [{"versions": [{"version": "v1", "freshness": "Current", "resources": [
            {"resource": "pods", "responseKind": {"group": "", "version": "v1", "kind": "Pod"}, "scope": "Namespaced", "verbs": ["get"],
             "subresources": [{"subresource": "log", "responseKind": {"kind": "Pod"}, "verbs": ["get"]}]},
            {"resource": "nodes", "responseKind": {"kind": "Node"}, "scope": "Cluster", "verbs": ["get"]}]}]}]});
        let groups = json!({"items": [{"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1", "freshness": "Stale", "resources": []}]}]});
        let found = discovered(
            &serde_json::from_value(core).unwrap(),
            &serde_json::from_value(groups).unwrap(),
        );
        let (version, list) = &found[0];
        let kinds: Vec<(&str, &str, bool)> = list
            .as_ref()
            .unwrap()
            .resources
            .iter()
            .map(|one| (one.name.as_str(), one.kind.as_str(), one.namespaced))
            .collect();
        assert_eq!(version, "v1");
        assert_eq!(kinds, [("pods", "Pod", true), ("nodes", "Node", false)]);
        assert_eq!(found[1], ("metrics.k8s.io/v1".to_owned(), None));
    }
}
