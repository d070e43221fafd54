//! What of a live object differs from what its release says, field by field. Pure.
//!
//! Only fields that the release sets are compared: what the cluster fills in by itself is no difference. Elements of a
//! list are matched by their name where they have one.

use serde::Serialize;
use serde_json::{Map, Value};

use super::state::shortened;
use crate::fleet::manifest::ResourceId;
use crate::fleet::workload::quantity;

/// A field that is not as released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The object.
    pub resource: ResourceId,
    /// The field, as `spec.template.spec.containers[a].image`; empty when the object itself is missing.
    pub field: String,
    /// What the release says.
    pub released: String,
    /// What is there; `None` when nothing is.
    pub live: Option<String>,
}

impl Difference {
    /// One line for people.
    pub fn text(&self) -> String {
        let live = self.live.as_deref();
        match (self.field.as_str(), live) {
            ("", _) => format!("{} is missing", self.resource),
            (field, None) => format!("{} {field}: {} is missing", self.resource, self.released),
            (field, Some(live)) => {
                format!(
                    "{} {field}: {live} instead of {}",
                    self.resource, self.released
                )
            }
        }
    }
}

/// Compares an object of the manifest with the live one.
pub fn differences(id: &ResourceId, released: &Value, live: Option<&Value>) -> Vec<Difference> {
    let Some(live) = live else {
        return vec![Difference {
            resource: id.clone(),
            field: String::new(),
            released: String::new(),
            live: None,
        }];
    };
    let mut comparison = Comparison {
        id,
        is_secret: id.kind == "Secret",
        found: Vec::new(),
    };
    let (Some(released), Some(live)) = (released.as_object(), live.as_object()) else {
        return Vec::new();
    };
    for (key, wanted) in released {
        match key.as_str() {
            // `stringData` is written in clear and kept in Base64 under `data`
            "apiVersion" | "kind" | "status" | "stringData" => {}
            "metadata" => {
                for part in ["labels", "annotations"] {
                    comparison.value(
                        &format!("metadata.{part}"),
                        wanted.get(part).unwrap_or(&Value::Null),
                        live.get(key).and_then(|metadata| metadata.get(part)),
                    );
                }
            }
            _ => comparison.value(key, wanted, live.get(key)),
        }
    }
    comparison.found
}

struct Comparison<'a> {
    id: &'a ResourceId,
    is_secret: bool,
    found: Vec<Difference>,
}

impl Comparison<'_> {
    fn value(&mut self, field: &str, wanted: &Value, live: Option<&Value>) {
        match (wanted, live) {
            (Value::Null, _) => {}
            (wanted, None | Some(Value::Null)) => {
                if !is_empty(wanted) {
                    self.add(field, wanted, None);
                }
            }
            (Value::Object(wanted), Some(Value::Object(live))) => self.map(field, wanted, live),
            (Value::Array(wanted), Some(Value::Array(live))) => self.list(field, wanted, live),
            (wanted, Some(live)) => {
                if !is_same(wanted, live) {
                    self.add(field, wanted, Some(live));
                }
            }
        }
    }

    fn map(&mut self, field: &str, wanted: &Map<String, Value>, live: &Map<String, Value>) {
        for (key, value) in wanted {
            self.value(&format!("{field}.{key}"), value, live.get(key));
        }
    }

    fn list(&mut self, field: &str, wanted: &[Value], live: &[Value]) {
        let name = |value: &Value| {
            ["name", "mountPath", "containerPort", "ip", "key"]
                .iter()
                .find_map(|key| value.get(*key))
                .map(|name| {
                    name.as_str()
                        .map_or_else(|| name.to_string(), str::to_owned)
                })
        };
        let names: Vec<Option<String>> = wanted.iter().map(name).collect();
        let are_named = !names.is_empty() && names.iter().all(Option::is_some);
        if are_named {
            for (value, name_of) in wanted.iter().zip(&names) {
                let shown = name_of.as_deref().unwrap_or_default();
                // several may share a name, as a port for two protocols: the first that fits
                let mut same: Vec<&Value> =
                    live.iter().filter(|live| name(live) == *name_of).collect();
                same.sort_by_key(|live| shallow_difference(value, live));
                self.value(&format!("{field}[{shown}]"), value, same.first().copied());
            }
            return;
        }
        if wanted.len() != live.len() {
            self.add(
                field,
                &Value::Array(wanted.to_vec()),
                Some(&Value::Array(live.to_vec())),
            );
            return;
        }
        for (number, (wanted, live)) in wanted.iter().zip(live).enumerate() {
            self.value(&format!("{field}[{number}]"), wanted, Some(live));
        }
    }

    fn add(&mut self, field: &str, wanted: &Value, live: Option<&Value>) {
        let secret = self.is_secret && field.starts_with("data");
        let text = |value: &Value| {
            if secret {
                "(secret)".to_owned()
            } else {
                shortened(
                    &value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned),
                )
            }
        };
        self.found.push(Difference {
            resource: self.id.clone(),
            field: field.to_owned(),
            released: text(wanted),
            live: live.map(text),
        });
    }
}

/// How many plain fields differ.
fn shallow_difference(wanted: &Value, live: &Value) -> usize {
    wanted.as_object().map_or(0, |wanted| {
        wanted
            .iter()
            .filter(|(_, value)| !value.is_object() && !value.is_array())
            .filter(|(key, value)| {
                live.get(key.as_str())
                    .is_none_or(|live| !is_same(value, live))
            })
            .count()
    })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        // what is off or nothing need not be kept
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
    }
}

/// Equal, also where the cluster writes a number, a quantity or a text in its own way.
fn is_same(wanted: &Value, live: &Value) -> bool {
    if wanted == live {
        return true;
    }
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    let (Some(wanted), Some(live)) = (text(wanted), text(live)) else {
        return false;
    };
    wanted == live
        || (quantity::milli_cpus(&wanted).is_some()
            && quantity::milli_cpus(&wanted) == quantity::milli_cpus(&live))
        || (quantity::bytes(&wanted).is_some()
            && quantity::bytes(&wanted) == quantity::bytes(&live))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(kind: &str) -> ResourceId {
        ResourceId {
            kind: kind.into(),
            name: "a".into(),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "literals read better")]
    fn texts(kind: &str, released: Value, live: Value) -> Vec<String> {
        differences(&id(kind), &released, Some(&live))
            .iter()
            .map(Difference::text)
            .collect()
    }

    #[test]
    fn what_the_cluster_fills_in_is_no_difference() {
        let released = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "a", "labels": {"ioc": "true"}},
            "spec": {"replicas": 1, "template": {"spec": {"hostNetwork": true, "affinity": null, "nodeSelector": {},
                "containers": [{"name": "a", "image": "x:1", "tty": true, "resources": {"limits": {"cpu": "0.5", "memory": "256Mi"}},
                    "env": [{"name": "A", "value": "1"}, {"name": "EMPTY", "value": ""}],
                    "ports": [{"containerPort": 5064, "protocol": "UDP"}, {"containerPort": 5064, "protocol": "TCP"}]}]}}}});
        let live = json!({"metadata": {"name": "a", "uid": "u", "labels": {"ioc": "true", "app.kubernetes.io/managed-by": "Helm"}},
            "spec": {"replicas": 1, "podManagementPolicy": "OrderedReady", "template": {"spec": {"hostNetwork": true, "dnsPolicy": "ClusterFirst",
                "containers": [{"name": "a", "image": "x:1", "tty": true, "terminationMessagePath": "/dev/termination-log",
                    "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}},
                    "env": [{"name": "A", "value": "1"}, {"name": "EMPTY"}],
                    "ports": [{"containerPort": 5064, "protocol": "TCP"}, {"containerPort": 5064, "protocol": "UDP"}]}]}}},
            "status": {"replicas": 1}});
        assert_eq!(texts("StatefulSet", released, live), Vec::<String>::new());
    }

    #[test]
    fn every_changed_field_is_named() {
        let released = json!({"metadata": {"labels": {"ioc": "true"}}, "spec": {"replicas": 1, "template": {"spec": {
            "containers": [{"name": "a", "image": "x:1", "args": ["-c", "start"]}], "tolerations": [{"key": "nodetype", "value": "t01"}]}}}});
        let live = json!({"metadata": {"labels": {"ioc": "false"}}, "spec": {"replicas": 0, "template": {"spec": {
            "containers": [{"name": "a", "image": "x:2", "args": ["-c"]}]}}}});
        assert_eq!(
            texts("StatefulSet", released, live),
            [
                "StatefulSet a metadata.labels.ioc: false instead of true",
                "StatefulSet a spec.replicas: 0 instead of 1",
                "StatefulSet a spec.template.spec.containers[a].args: [\"-c\"] instead of [\"-c\",\"start\"]",
                "StatefulSet a spec.template.spec.containers[a].image: x:2 instead of x:1",
                "StatefulSet a spec.template.spec.tolerations: [{\"key\":\"nodetype\",\"value\":\"t01\"}] is missing",
            ]
        );
        assert_eq!(
            differences(&id("ConfigMap"), &json!({}), None)[0].text(),
            "ConfigMap a is missing"
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let found = texts(
            "Secret",
            json!({"data": {"key": "aHVzaA=="}}),
            json!({"data": {"key": "b3RoZXI="}}),
        );
        assert_eq!(found, ["Secret a data.key: (secret) instead of (secret)"]);
    }
}
