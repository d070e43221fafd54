//! Field ownership of releases that Helm 3 applied on the client's side: it stands under `helm` as an update, which a
//! server-side apply by `helm` would meet as somebody else's. Helm 4 turns it into its own apply; so do we. Pure.

use kube::core::ObjectMeta;
use serde_json::{Map, Value};

use crate::fleet::kubernetes::object::MANAGER;

fn is_by_client(entry: &Value) -> bool {
    entry["manager"] == MANAGER
        && entry["operation"] == "Update"
        && entry
            .get("subresource")
            .is_none_or(|sub| sub == "" || sub.is_null())
}

fn is_by_server(entry: &Value) -> bool {
    entry["manager"] == MANAGER && entry["operation"] == "Apply"
}

fn entries(metadata: &ObjectMeta) -> Vec<Value> {
    metadata
        .managed_fields
        .iter()
        .flatten()
        .filter_map(|entry| serde_json::to_value(entry).ok())
        .collect()
}

/// Whether Helm 3, or Helm 4 with `--server-side=false`, has applied the object.
pub(super) fn is_client_side(metadata: &ObjectMeta) -> bool {
    entries(metadata).iter().any(is_by_client)
}

/// A merge patch that makes the fields of client-side Helm those of a server-side apply; `None` when there are none.
pub(super) fn migration(metadata: &ObjectMeta) -> Option<Value> {
    let entries = entries(metadata);
    if !entries.iter().any(is_by_client) {
        return None;
    }
    let mut fields = Value::Object(Map::new());
    let mut applied: Option<Value> = None;
    let mut rest = Vec::new();
    for entry in entries {
        if is_by_client(&entry) || is_by_server(&entry) {
            merge(&mut fields, &entry["fieldsV1"]);
            if applied.is_none() || is_by_server(&entry) {
                applied = Some(entry);
            }
        } else {
            rest.push(entry);
        }
    }
    let mut applied = applied?;
    applied["operation"] = "Apply".into();
    applied["fieldsV1"] = fields;
    rest.push(applied);
    Some(serde_json::json!({
        "metadata": {
            // refused when somebody changes the object in between
            "resourceVersion": metadata.resource_version,
            "managedFields": rest,
        }
    }))
}

/// Union of two field sets.
fn merge(into: &mut Value, from: &Value) {
    let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) else {
        return;
    };
    for (key, value) in from {
        match into.get_mut(key) {
            Some(there) => merge(there, value),
            None => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_by_helm_become_its_apply_and_others_stay() {
        let metadata: ObjectMeta = serde_json::from_value(serde_json::json!({
            "resourceVersion": "7",
            "managedFields": [
                {"manager": "helm", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:data": {"f:a": {}, ".": {}}}},
                {"manager": "helm", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:data": {"f:b": {}}}},
                {"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:data": {"f:c": {}}}},
            ]
        }))
        .unwrap();
        assert!(is_client_side(&metadata));
        let patch = migration(&metadata).unwrap();
        let fields = patch["metadata"]["managedFields"].as_array().unwrap();
        assert_eq!(fields.len(), 2);
        assert_eq!(fields[0]["manager"], "kubectl");
        assert_eq!(fields[1]["operation"], "Apply");
        assert_eq!(
            fields[1]["fieldsV1"],
            serde_json::json!({"f:data": {"f:a": {}, ".": {}, "f:b": {}}})
        );
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert!(migration(&ObjectMeta::default()).is_none());
    }
}
