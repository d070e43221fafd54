//! Objects of a release in a cluster: where they live, whose they are, and how two states of one compare. Mostly pure.

use std::fmt;

use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PropagationPolicy};
use kube::core::{ApiResource, ObjectMeta};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::retry::retrying;
use crate::fleet::manifest::Resource;

/// The field manager of Helm: another one would make the next `helm upgrade` conflict.
pub const MANAGER: &str = "helm";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";
const RESOURCE_POLICY: &str = "helm.sh/resource-policy";

/// What an object is called: unique in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectId {
    /// API group, empty for the core: versions of one group show the same objects.
    pub group: String,
    /// `StatefulSet`, …
    pub kind: String,
    /// Namespace; `None` for objects of the whole cluster.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind, self.name)
    }
}

/// One object that a manifest asks for, with its place in the cluster.
#[derive(Debug, Clone)]
pub struct Object {
    /// What it is called.
    pub id: ObjectId,
    /// How the library addresses its kind.
    pub resource: ApiResource,
    /// Template that it came from.
    pub source: std::path::PathBuf,
    /// As the manifest has it.
    pub body: Value,
}

/// Whose an object is by Helm's marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This release.
    Us,
    /// Another release: `name` in `namespace`.
    Release {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// No release.
    Nobody,
}

impl Object {
    /// Finds the place of a resource; `None` when the cluster does not know its kind.
    pub(super) async fn locate(
        cluster: &Cluster,
        resource: &Resource,
    ) -> Result<Option<Self>, kube::Error> {
        let text = |pointer: &str| resource.body.pointer(pointer).and_then(Value::as_str);
        let api_version = text("/apiVersion").unwrap_or_default();
        let Some(kind) = cluster.kinds.find(api_version, &resource.id.kind).await? else {
            return Ok(None);
        };
        let namespace = kind.is_namespaced.then(|| {
            text("/metadata/namespace")
                .filter(|namespace| !namespace.is_empty())
                .unwrap_or(&cluster.namespace)
                .to_owned()
        });
        Ok(Some(Self {
            id: ObjectId {
                group: kind.resource.group.clone(),
                kind: resource.id.kind.clone(),
                namespace,
                name: resource.id.name.clone(),
            },
            resource: kind.resource,
            source: resource.source.clone(),
            body: resource.body.clone(),
        }))
    }

    /// The way to objects of its kind beside it.
    pub(super) fn api(&self, cluster: &Cluster) -> Api<DynamicObject> {
        match &self.id.namespace {
            Some(namespace) => {
                Api::namespaced_with(cluster.client.clone(), namespace, &self.resource)
            }
            None => Api::all_with(cluster.client.clone(), &self.resource),
        }
    }

    /// As it is in the cluster.
    pub(super) async fn live(
        &self,
        cluster: &Cluster,
    ) -> Result<Option<DynamicObject>, kube::Error> {
        let api = self.api(cluster);
        retrying(|| api.get_opt(&self.id.name)).await
    }

    /// Applies it as Helm would, or only asks what would come of that.
    pub(super) async fn apply(
        &self,
        cluster: &Cluster,
        release: &str,
        dry_run: bool,
        force: bool,
    ) -> Result<DynamicObject, kube::Error> {
        let mut parameters = PatchParams::apply(MANAGER).validation_strict();
        parameters.dry_run = dry_run;
        parameters.force = force;
        let body = marked(
            &self.body,
            release,
            &cluster.namespace,
            self.id.namespace.as_deref(),
        );
        let api = self.api(cluster);
        let patch = Patch::Apply(&body);
        retrying(|| api.patch(&self.id.name, &parameters, &patch)).await
    }

    /// Deletes it, and what belongs to it in the background; `false` when it was not there.
    pub(super) async fn delete(&self, cluster: &Cluster) -> Result<bool, kube::Error> {
        let api = self.api(cluster);
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        match retrying(|| api.delete(&self.id.name, &parameters)).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether it is to stay when the release goes.
    pub(super) fn is_kept(&self) -> bool {
        self.body
            .pointer("/metadata/annotations")
            .and_then(|annotations| annotations.get(RESOURCE_POLICY))
            .and_then(Value::as_str)
            .is_some_and(is_keep)
    }

    /// Its name in words, with the namespace where that is not the one of the release.
    pub(super) fn described(&self, cluster: &Cluster) -> String {
        match &self.id.namespace {
            Some(namespace) if *namespace != cluster.namespace => {
                format!("{} in namespace {namespace}", self.id)
            }
            _ => self.id.to_string(),
        }
    }
}

fn is_keep(policy: &str) -> bool {
    policy.trim().eq_ignore_ascii_case("keep")
}

/// Whether a live object is to stay when the release goes.
pub(super) fn is_kept_live(metadata: &ObjectMeta) -> bool {
    metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(RESOURCE_POLICY))
        .is_some_and(|policy| is_keep(policy))
}

/// Whose a live object is.
pub(super) fn owner(metadata: &ObjectMeta, release: &str, namespace: &str) -> Owner {
    let annotation = |key: &str| {
        let annotations = metadata.annotations.as_ref()?;
        annotations.get(key).map(String::as_str)
    };
    let label = metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(MANAGED_BY))
        .map(String::as_str);
    match (annotation(RELEASE_NAME), annotation(RELEASE_NAMESPACE)) {
        (Some(name), Some(place)) if label == Some("Helm") => {
            if name == release && place == namespace {
                Owner::Us
            } else {
                Owner::Release {
                    name: name.to_owned(),
                    namespace: place.to_owned(),
                }
            }
        }
        _ => Owner::Nobody,
    }
}

/// A body with Helm's marks, and with its namespace.
pub(super) fn marked(
    body: &Value,
    release: &str,
    release_namespace: &str,
    namespace: Option<&str>,
) -> Value {
    let mut body = body.clone();
    if let Some(metadata) = entry(&mut body, "metadata") {
        if let Some(namespace) = namespace {
            metadata.insert("namespace".to_owned(), json!(namespace));
        } else {
            metadata.remove("namespace");
        }
        let mut set = |part: &str, key: &str, value: &str| {
            let holder = metadata
                .entry(part)
                .or_insert_with(|| Value::Object(Map::new()));
            if holder.is_null() {
                *holder = Value::Object(Map::new());
            }
            if let Some(holder) = holder.as_object_mut() {
                holder.insert(key.to_owned(), json!(value));
            }
        };
        set("labels", MANAGED_BY, "Helm");
        set("annotations", RELEASE_NAME, release);
        set("annotations", RELEASE_NAMESPACE, release_namespace);
    }
    body
}

fn entry<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    value
        .as_object_mut()?
        .entry(key)
        .or_insert_with(|| Value::Object(Map::new()))
        .as_object_mut()
}

/// What a person means by "the object": without what the server keeps for itself, and without Helm's marks.
pub(super) fn comparable(object: &DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
        object.remove("apiVersion");
        object.remove("kind");
    }
    if let Some(metadata) = entry(&mut value, "metadata") {
        for key in [
            "managedFields",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "uid",
            "selfLink",
            "namespace",
            "name",
        ] {
            metadata.remove(key);
        }
        for (part, keys) in [
            ("labels", &[MANAGED_BY][..]),
            ("annotations", &[RELEASE_NAME, RELEASE_NAMESPACE][..]),
        ] {
            if let Some(holder) = metadata.get_mut(part).and_then(Value::as_object_mut) {
                for key in keys {
                    holder.remove(*key);
                }
                if holder.is_empty() {
                    metadata.remove(part);
                }
            }
        }
        if metadata.is_empty()
            && let Some(object) = value.as_object_mut()
        {
            object.remove("metadata");
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn metadata(label: &str, name: &str, namespace: &str) -> ObjectMeta {
        ObjectMeta {
            labels: Some(BTreeMap::from([(MANAGED_BY.into(), label.into())])),
            annotations: Some(BTreeMap::from([
                (RELEASE_NAME.into(), name.into()),
                (RELEASE_NAMESPACE.into(), namespace.into()),
            ])),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn an_object_is_ours_only_with_all_marks() {
        assert_eq!(owner(&metadata("Helm", "a", "n"), "a", "n"), Owner::Us);
        assert_eq!(owner(&metadata("ioc", "a", "n"), "a", "n"), Owner::Nobody);
        assert_eq!(owner(&ObjectMeta::default(), "a", "n"), Owner::Nobody);
        let other = Owner::Release {
            name: "b".into(),
            namespace: "n".into(),
        };
        assert_eq!(owner(&metadata("Helm", "b", "n"), "a", "n"), other);
    }

    #[test]
    fn marks_are_added_and_not_shown() {
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": null}, "data": {"a": "1"}});
        let body = marked(&body, "r", "n", Some("m"));
        assert_eq!(body["metadata"]["namespace"], "m");
        assert_eq!(body["metadata"]["labels"][MANAGED_BY], "Helm");
        assert_eq!(body["metadata"]["annotations"][RELEASE_NAME], "r");
        let object: DynamicObject = serde_json::from_value(body).unwrap();
        assert_eq!(comparable(&object), json!({"data": {"a": "1"}}));
    }
}
