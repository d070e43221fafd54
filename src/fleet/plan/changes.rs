//! The difference of two sets of manifests, by resource and field.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::fleet::manifest::{Resource, ResourceId};
use crate::fleet::workload::node::item_name;
use crate::fleet::workload::support::ITEM_KEYS;

/// What happens to one resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Which resource.
    #[serde(flatten)]
    pub resource: ResourceId,
    /// New, gone or different.
    pub nature: Nature,
    /// Which fields, for a resource that is different.
    pub fields: Vec<FieldChange>,
}

/// New, gone or different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Nature {
    /// Only the new manifests have it.
    Added,
    /// Only the old manifests have it.
    Removed,
    /// Both have it, differently.
    Changed,
}

/// What happens to one field. Values of Secrets are replaced by their length.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// The field, elements of lists by name: `spec.template.spec.containers[ioc].env[IOC_PREFIX].value`.
    pub path: String,
    /// Its old value; `None` when it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// Its new value; `None` when it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Compares the manifests of two revisions. The order is that of the new manifests, then what is gone.
pub fn changes(before: &[Resource], after: &[Resource]) -> Vec<Change> {
    let old: BTreeMap<&ResourceId, &Resource> = before
        .iter()
        .map(|resource| (&resource.id, resource))
        .collect();
    let mut changes = Vec::new();
    for resource in after {
        let Some(previous) = old.get(&resource.id) else {
            changes.push(whole(resource, Nature::Added));
            continue;
        };
        let fields = fields(&resource.id.kind, &previous.body, &resource.body);
        if !fields.is_empty() {
            changes.push(Change {
                resource: resource.id.clone(),
                nature: Nature::Changed,
                fields,
            });
        }
    }
    let gone = before
        .iter()
        .filter(|resource| !after.iter().any(|other| other.id == resource.id));
    changes.extend(gone.map(|resource| whole(resource, Nature::Removed)));
    changes
}

fn whole(resource: &Resource, nature: Nature) -> Change {
    Change {
        resource: resource.id.clone(),
        nature,
        fields: Vec::new(),
    }
}

/// The fields in which two states of one resource differ; values of Secrets are hidden.
pub fn fields(kind: &str, before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    compare("", Some(before), Some(after), &mut changes);
    if kind == "Secret" {
        for change in &mut changes {
            // what kubectl has noted of the whole object is as secret as the object
            let is_secret = ["data", "stringData"]
                .iter()
                .any(|part| change.path.starts_with(part))
                || change.path.contains("last-applied-configuration");
            if is_secret {
                change.before = change.before.as_ref().map(hidden);
                change.after = change.after.as_ref().map(hidden);
            }
        }
    }
    changes
}

/// Stands for the value of a Secret. Its length is all that may be said.
fn hidden(value: &Value) -> Value {
    let length = match value {
        Value::String(text) => text.len(),
        other => other.to_string().len(),
    };
    Value::String(format!("hidden, {length} characters"))
}

fn compare(
    path: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    changes: &mut Vec<FieldChange>,
) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            for key in old
                .keys()
                .chain(new.keys().filter(|key| !old.contains_key(*key)))
            {
                compare(&below(path, key), old.get(key), new.get(key), changes);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if are_named(old) && are_named(new) => {
            compare_lists(path, old, new, changes);
        }
        _ => changes.push(FieldChange {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

/// Elements that have a name are compared by it, so that an insertion is one change and not many.
fn compare_lists(path: &str, old: &[Value], new: &[Value], changes: &mut Vec<FieldChange>) {
    let named = |list: &[Value]| -> Vec<String> {
        list.iter()
            .enumerate()
            .map(|(index, item)| item_name(item, ITEM_KEYS, index))
            .collect()
    };
    let old_names = named(old);
    let new_names = named(new);
    let find = |names: &[String], list: &'_ [Value], name: &str| -> Option<Value> {
        let index = names.iter().position(|other| other == name)?;
        list.get(index).cloned()
    };
    let before = changes.len();
    for name in old_names
        .iter()
        .chain(new_names.iter().filter(|name| !old_names.contains(name)))
    {
        compare(
            &format!("{path}[{name}]"),
            find(&old_names, old, name).as_ref(),
            find(&new_names, new, name).as_ref(),
            changes,
        );
    }
    if changes.len() == before {
        changes.push(FieldChange {
            path: format!("{path} (order)"),
            before: Some(Value::from(old_names)),
            after: Some(Value::from(new_names)),
        });
    }
}

/// Whether every element has a name of its own.
fn are_named(list: &[Value]) -> bool {
    let names: Vec<String> = list
        .iter()
        .map(|item| item_name(item, ITEM_KEYS, usize::MAX))
        .collect();
    let unnamed = usize::MAX.to_string();
    let mut sorted = names.clone();
    sorted.sort();
    sorted.dedup();
    sorted.len() == names.len() && !names.contains(&unnamed)
}

/// Keys with dots or slashes stand in brackets.
fn below(path: &str, key: &str) -> String {
    if key.contains(['.', '/']) {
        format!("{path}[{key}]")
    } else if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
