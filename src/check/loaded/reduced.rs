//! The manifests of an instance reduced to what decides on the records of its IOC, without what Secrets hold.
//!
//! The local backend refuses what it cannot run; here the same manifests are only looked at, those of clusters too.
//! So all that has no influence on the records is left out before they are read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::check::is_ioc;
use crate::check::loaded::Ioc;
use crate::fleet::manifest::Resource;
use crate::fleet::workload;

/// Stands for every value out of a Secret, so that none is shown. The IOC shell takes it as one word.
const HIDDEN: &str = "*hidden*";

/// What is kept of a container as it is.
const KEPT: [&str; 6] = ["name", "image", "command", "args", "stdin", "volumeMounts"];

/// The IOC of an instance; `None` when nothing runs.
///
/// # Errors
///
/// Why the manifests cannot be understood.
pub(super) fn ioc(
    instance: &str,
    namespace: &str,
    resources: &[Resource],
) -> Result<Option<Ioc>, String> {
    let reduced = reduced(resources);
    let surroundings = workload::Surroundings {
        namespace,
        node: "localhost",
    };
    let workloads = workload::read(instance, &reduced, &surroundings).map_err(|refused| {
        let first = refused.diagnostics.first();
        let why = first.map_or_else(|| refused.to_string(), |finding| finding.message.clone());
        format!("the manifests of `{instance}` are not understood: {why}")
    })?;
    let ioc = workloads.main(instance).map(|(pod, container)| Ioc {
        // what tells templates apart says nothing of records
        pod: workload::Pod {
            hash: String::new(),
            labels: BTreeMap::new(),
            containers: Vec::new(),
            ..pod.clone()
        },
        container: container.clone(),
    });
    let is_ioc = workloads.pods.first().is_some_and(is_ioc);
    Ok(ioc.filter(|ioc| is_ioc || ioc.config().iter().any(|file| file.name == "st.cmd")))
}

fn reduced(resources: &[Resource]) -> Vec<Resource> {
    let known = Known::new(resources);
    let mut reduced = Vec::new();
    for resource in resources {
        let template = match resource.id.kind.as_str() {
            "ConfigMap" => {
                reduced.push(resource.clone());
                continue;
            }
            "Pod" => Some(&resource.body),
            "StatefulSet" | "Deployment" | "DaemonSet" => resource.body.pointer("/spec/template"),
            _ => continue,
        };
        let spec = template.and_then(|template| template.get("spec"));
        let labels = template.and_then(|template| template.pointer("/metadata/labels"));
        let pod = json!({
            "kind": "Pod",
            "metadata": {"name": resource.id.name, "labels": labels},
            "spec": spec.map(|spec| known.pod(spec)),
        });
        let mut resource = resource.clone();
        "Pod".clone_into(&mut resource.id.kind);
        resource.body = pod;
        reduced.push(resource);
    }
    reduced
}

/// Keys of the ConfigMaps and Secrets of a release.
struct Known<'a> {
    config_maps: BTreeMap<&'a str, BTreeSet<&'a str>>,
    secrets: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Known<'a> {
    fn new(resources: &'a [Resource]) -> Self {
        let of = |kind: &str, fields: [&str; 2]| {
            let maps = resources.iter().filter(|resource| resource.id.kind == kind);
            maps.map(|map| {
                let data = fields
                    .iter()
                    .filter_map(|field| map.body.get(field)?.as_object());
                let keys = data.flat_map(Map::keys).map(String::as_str);
                (map.id.name.as_str(), keys.collect())
            })
            .collect()
        };
        Self {
            config_maps: of("ConfigMap", ["data", "binaryData"]),
            secrets: of("Secret", ["data", "stringData"]),
        }
    }

    fn pod(&self, spec: &Value) -> Value {
        let containers: Vec<Value> = items(spec, "containers")
            .map(|container| self.container(container))
            .collect();
        let mut volumes: Vec<Value> = items(spec, "volumes")
            .map(|volume| self.volume(volume))
            .collect();
        // claims that a StatefulSet makes by itself are not among its volumes
        for mount in containers
            .iter()
            .flat_map(|container| items(container, "volumeMounts"))
        {
            let is_there = volumes
                .iter()
                .any(|volume| volume.get("name") == mount.get("name"));
            if !is_there {
                volumes.push(json!({"name": mount.get("name"), "emptyDir": {}}));
            }
        }
        json!({"hostNetwork": true, "containers": containers, "volumes": volumes})
    }

    /// A volume with its files where they are in the release, and otherwise one whose files nobody knows.
    fn volume(&self, volume: &Value) -> Value {
        let map = volume.get("configMap");
        let name = map.and_then(|map| map.get("name")?.as_str());
        if let (Some(map), Some(name)) = (map, name)
            && self.config_maps.contains_key(name)
        {
            let items = map.get("items").cloned();
            let mut map = json!({"name": name, "optional": true});
            if let (Some(items), Some(map)) = (items, map.as_object_mut()) {
                map.insert("items".to_owned(), items);
            }
            return json!({"name": volume.get("name"), "configMap": map});
        }
        json!({"name": volume.get("name"), "emptyDir": {}})
    }

    fn container(&self, container: &Value) -> Value {
        let mut kept = Map::new();
        for field in KEPT {
            if let Some(value) = container.get(field) {
                kept.insert(field.to_owned(), value.clone());
            }
        }
        let mut from = Vec::new();
        let mut env = Vec::new();
        for source in items(container, "envFrom") {
            let name = |kind: &str| source.get(kind)?.get("name")?.as_str();
            let prefix = source
                .get("prefix")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if let Some(keys) = name("secretRef").and_then(|name| self.secrets.get(name)) {
                let hidden =
                    |key: &&str| json!({"name": format!("{prefix}{key}"), "value": HIDDEN});
                env.extend(keys.iter().map(hidden));
            } else if name("configMapRef").is_some_and(|name| self.config_maps.contains_key(name)) {
                from.push(source.clone());
            }
        }
        env.extend(items(container, "env").filter_map(|variable| self.variable(variable)));
        kept.insert("envFrom".to_owned(), Value::from(from));
        kept.insert("env".to_owned(), Value::from(env));
        Value::Object(kept)
    }

    /// A variable as far as its value is known from the manifests.
    fn variable(&self, variable: &Value) -> Option<Value> {
        let Some(from) = variable.get("valueFrom").filter(|from| !from.is_null()) else {
            return Some(variable.clone());
        };
        if from.get("secretKeyRef").is_some() {
            return Some(json!({"name": variable.get("name"), "value": HIDDEN}));
        }
        if let Some(reference) = from.get("configMapKeyRef") {
            let name = reference.get("name")?.as_str()?;
            let key = reference.get("key")?.as_str()?;
            return self
                .config_maps
                .get(name)?
                .contains(key)
                .then(|| variable.clone());
        }
        let field = from.pointer("/fieldRef/fieldPath")?.as_str()?;
        matches!(field, "metadata.name" | "metadata.namespace").then(|| variable.clone())
    }
}

fn items<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
