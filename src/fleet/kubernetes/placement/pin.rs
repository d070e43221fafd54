//! Holding an instance to another node: its manifests and its values with the node in them, nothing else changed.
//!
//! The way that an instance is held to a node now is kept: a `nodeName` stays one, a selector or an affinity for a host
//! name gets the new name. Else a selector is added, so that the scheduler still looks at taints, ports and volumes.

use k8s_openapi::api::core::v1::{Node, PodSpec};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::diagnostic::Diagnostic;
use crate::fleet::kubernetes::placement::node::{self, HOSTNAME};
use crate::fleet::kubernetes::placement::workload;
use crate::fleet::manifest::{self, ResourceId};

/// How manifests hold an instance to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Held {
    /// `nodeName`: around the scheduler.
    NodeName,
    /// `nodeSelector` for the host name.
    NodeSelector,
    /// Affinity for the host name.
    Affinity,
}

/// Why an instance cannot be held to a node.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// Broken YAML in a record.
    #[error("the manifests of the release cannot be read")]
    Manifest(Box<Diagnostic>),
    /// Nothing that runs, or several things.
    #[error("the release has no single StatefulSet or Deployment that is the IOC")]
    NoWorkload,
}

/// The manifests of a release that hold its IOC to another node.
#[derive(Debug, Clone, PartialEq)]
pub struct Pinned {
    /// The whole text.
    pub manifest: String,
    /// The workload that was changed.
    pub workload: ResourceId,
    /// Its new body.
    pub body: Value,
    /// How it is held.
    pub held: Held,
}

/// Holds the IOC of a release to `node`.
///
/// # Errors
///
/// Manifests without a workload that is the IOC, or that cannot be read.
pub fn manifest(text: &str, instance: &str, node: &Node) -> Result<Pinned, PinError> {
    let resources = manifest::parse(text).map_err(PinError::Manifest)?;
    let workload = workload::main(&resources, instance).ok_or(PinError::NoWorkload)?;
    let mut body = workload.body.clone();
    let spec = body
        .pointer_mut("/spec/template/spec")
        .and_then(Value::as_object_mut)
        .ok_or(PinError::NoWorkload)?;
    let held = hold(spec, node);
    let manifest = manifest::with_body(text, &workload.id, &body)
        .map_err(PinError::Manifest)?
        .ok_or(PinError::NoWorkload)?;
    Ok(Pinned {
        manifest,
        workload: workload.id.clone(),
        body,
        held,
    })
}

/// A pod specification held to `node`, to see whether it could run there. `None` when it has no JSON form.
pub fn spec(spec: &PodSpec, node: &Node) -> Option<PodSpec> {
    let mut value = serde_json::to_value(spec).ok()?;
    hold(value.as_object_mut()?, node);
    serde_json::from_value(value).ok()
}

/// Changes a pod specification, or values that have the same keys.
fn hold(spec: &mut Map<String, Value>, to: &Node) -> Held {
    let name = node::name(to);
    // a node is called by its name, and labelled with what it calls itself
    let hostname = node::label(to, HOSTNAME).unwrap_or(name);
    let is_set = |value: Option<&Value>| {
        value
            .and_then(Value::as_str)
            .is_some_and(|text| !text.is_empty())
    };
    if is_set(spec.get("nodeName")) {
        spec.insert("nodeName".to_owned(), json!(name));
        return Held::NodeName;
    }
    if rename_in_affinity(spec, hostname, name) {
        if let Some(selector) = spec.get_mut("nodeSelector").and_then(Value::as_object_mut)
            && selector.contains_key(HOSTNAME)
        {
            selector.insert(HOSTNAME.to_owned(), json!(hostname));
        }
        return Held::Affinity;
    }
    let selector = spec.entry("nodeSelector").or_insert_with(|| json!({}));
    if !selector.is_object() {
        *selector = json!({});
    }
    if let Some(selector) = selector.as_object_mut() {
        selector.insert(HOSTNAME.to_owned(), json!(hostname));
    }
    Held::NodeSelector
}

/// Puts the new name where an affinity asks for a host name; tells whether it did.
fn rename_in_affinity(spec: &mut Map<String, Value>, hostname: &str, name: &str) -> bool {
    let terms = spec
        .get_mut("affinity")
        .and_then(|affinity| {
            affinity.pointer_mut(
                "/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms",
            )
        })
        .and_then(Value::as_array_mut);
    let mut found = false;
    for term in terms.into_iter().flatten() {
        for (list, key, value) in [
            ("matchExpressions", HOSTNAME, hostname),
            ("matchFields", "metadata.name", name),
        ] {
            let requirements = term.get_mut(list).and_then(Value::as_array_mut);
            for requirement in requirements.into_iter().flatten() {
                if requirement["key"] == key && requirement["operator"] == "In" {
                    requirement["values"] = json!([value]);
                    found = true;
                }
            }
        }
    }
    found
}

/// Where the values of a chart say on which node it runs: the path to the table with `nodeName` or `nodeSelector`.
///
/// Charts of IOC instances keep their values below the name of the library chart, others at the top.
fn table(defaults: &Map<String, Value>, given: &Map<String, Value>) -> Option<Vec<String>> {
    let says =
        |map: &Map<String, Value>| map.contains_key("nodeName") || map.contains_key("nodeSelector");
    let below = |map: &Map<String, Value>| {
        let mut keys: Vec<&String> = map
            .iter()
            .filter(|(_, value)| value.as_object().is_some_and(says))
            .map(|(key, _)| key)
            .collect();
        keys.sort_by_key(|key| *key != "ioc-instance");
        keys.first().map(|key| vec![(*key).clone()])
    };
    [given, defaults]
        .into_iter()
        .find_map(|map| below(map).or_else(|| says(map).then(Vec::new)))
        .or_else(|| {
            let known = given.contains_key("ioc-instance") || defaults.contains_key("ioc-instance");
            known.then(|| vec!["ioc-instance".to_owned()])
        })
}

/// Writes the node into the values that were given for a release, so that `helm get values` shows it and
/// `helm upgrade --reuse-values` keeps it. `None` when its chart has no value for it.
pub fn values(
    given: &Map<String, Value>,
    defaults: &Map<String, Value>,
    body: &Value,
    held: Held,
) -> Option<Map<String, Value>> {
    let path = table(defaults, given)?;
    let key = match held {
        Held::NodeName => "nodeName",
        Held::NodeSelector => "nodeSelector",
        Held::Affinity => "affinity",
    };
    let value = body.pointer("/spec/template/spec")?.get(key)?.clone();
    let mut values = given.clone();
    let mut table = &mut values;
    for step in path {
        let next = table.entry(step).or_insert_with(|| json!({}));
        if !next.is_object() {
            *next = json!({});
        }
        table = next.as_object_mut()?;
    }
    table.insert(key.to_owned(), value);
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::kubernetes::placement::testing::from_yaml;

    fn node() -> Node {
        from_yaml("metadata: {name: bl-2, labels: {kubernetes.io/hostname: bl-2.site}}")
    }

    fn text(spec: &str) -> String {
        format!(
            "---\n# Source: c/t.yaml\nkind: StatefulSet\nmetadata: {{name: i}}\nspec: {{template: {{spec: {spec}}}}}\n"
        )
    }

    #[test]
    fn the_way_it_is_held_is_kept() {
        let affinity = |key: &str| {
            format!(
                "{{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{{matchExpressions: [{{key: {key}, operator: In, values: [a]}}]}}]}}}}}}"
            )
        };
        for (spec, held, path, expected) in [
            (
                "{nodeName: bl-1}".to_owned(),
                Held::NodeName,
                "/nodeName",
                json!("bl-2"),
            ),
            (
                "{nodeName: ''}".to_owned(),
                Held::NodeSelector,
                "/nodeSelector",
                json!({HOSTNAME: "bl-2.site"}),
            ),
            (
                "{}".to_owned(),
                Held::NodeSelector,
                "/nodeSelector",
                json!({HOSTNAME: "bl-2.site"}),
            ),
            (
                "{nodeSelector: {beamline: t01}}".to_owned(),
                Held::NodeSelector,
                "/nodeSelector",
                json!({HOSTNAME: "bl-2.site", "beamline": "t01"}),
            ),
            (
                format!("{{affinity: {}}}", affinity("kubernetes.io/hostname")),
                Held::Affinity,
                "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchExpressions/0/values",
                json!(["bl-2.site"]),
            ),
            (
                format!("{{affinity: {}}}", affinity("beamline")),
                Held::NodeSelector,
                "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchExpressions/0/values",
                json!(["a"]),
            ),
        ] {
            let pinned = manifest(&text(&spec), "i", &node()).unwrap();
            let template = pinned.body.pointer("/spec/template/spec").unwrap();
            assert_eq!(
                (pinned.held, template.pointer(path)),
                (held, Some(&expected)),
                "{spec}"
            );
            let again = manifest::parse(&pinned.manifest).unwrap();
            assert_eq!(again[0].body, pinned.body, "{spec}");
        }
        assert!(matches!(
            manifest("kind: Pod\nmetadata: {name: p}\n", "i", &node()),
            Err(PinError::NoWorkload)
        ));
    }

    #[test]
    fn values_say_the_same_where_the_chart_looks_for_it() {
        let body = json!({"spec": {"template": {"spec": {"nodeSelector": {HOSTNAME: "b"}}}}});
        let at = |given: Value, defaults: Value| {
            let (Value::Object(given), Value::Object(defaults)) = (given, defaults) else {
                panic!("maps")
            };
            values(&given, &defaults, &body, Held::NodeSelector).map(Value::Object)
        };
        let wanted = json!({HOSTNAME: "b"});
        for (given, defaults, expected) in [
            // our library chart and ec-helm-charts: defaults of the library below its name
            (
                json!({"ioc-instance": {"image": "x"}}),
                json!({"ioc-instance": {"nodeName": ""}}),
                Some(json!({"ioc-instance": {"image": "x", "nodeSelector": wanted}})),
            ),
            (
                json!({"ioc-instance": {"image": "x"}}),
                json!({}),
                Some(json!({"ioc-instance": {"image": "x", "nodeSelector": wanted}})),
            ),
            (
                json!({"image": "x"}),
                json!({"nodeSelector": {}}),
                Some(json!({"image": "x", "nodeSelector": wanted})),
            ),
            (
                json!({"other": {"nodeSelector": {"a": "b"}}}),
                json!({}),
                Some(json!({"other": {"nodeSelector": wanted}})),
            ),
            (json!({"image": "x"}), json!({"image": ""}), None),
        ] {
            assert_eq!(
                at(given.clone(), defaults.clone()),
                expected,
                "{given} {defaults}"
            );
        }
    }
}
