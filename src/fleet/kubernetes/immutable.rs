//! Fields that a cluster never changes, told before anything is done: which, what would have to happen, what to do. Pure.

use kube::core::Status;

use crate::fleet::kubernetes::object::ObjectId;

/// A change that the cluster refuses for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Immutable {
    /// The fields, as far as the cluster names them.
    pub what: String,
    /// What can be done, and what comes of it.
    pub way_out: String,
}

/// Whether a refusal means that a field cannot be changed in place.
pub fn of_refusal(status: &Status, object: &ObjectId, namespace: &str) -> Option<Immutable> {
    const WORDS: [&str; 7] = [
        "field is immutable",
        "updates to statefulset spec for fields other than",
        "is immutable after creation",
        "may not change once set",
        "cannot be changed",
        "pod updates may not change fields other than",
        "is immutable when",
    ];
    let message = &status.message;
    if status.code != 422 || !WORDS.iter().any(|word| message.contains(word)) {
        return None;
    }
    let fields: Vec<&str> = status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        .map(|cause| cause.field.as_str())
        .filter(|field| !field.is_empty())
        .collect();
    let what = match object.kind.as_str() {
        // the API names only `spec`
        "StatefulSet" => {
            "its selector, service name, volume claim templates and pod management policy"
                .to_owned()
        }
        _ if fields.is_empty() => message.clone(),
        _ => fields
            .iter()
            .map(|field| format!("`{field}`"))
            .collect::<Vec<_>>()
            .join(", "),
    };
    Some(Immutable {
        what,
        way_out: way_out(object, namespace),
    })
}

fn way_out(object: &ObjectId, namespace: &str) -> String {
    let ObjectId { kind, name, .. } = object;
    match kind.as_str() {
        "StatefulSet" => format!(
            "`kubectl delete statefulset {name} -n {namespace} --cascade=orphan` removes it and leaves its pods running; deploy again then: the pods are taken over and replaced one by one, and claims stay"
        ),
        "PersistentVolumeClaim" => format!(
            "give the claim another name in the chart, which begins with an empty volume, or copy the data and `kubectl delete pvc {name} -n {namespace}`, which deletes it"
        ),
        "Job" => format!(
            "`kubectl delete job {name} -n {namespace}` and deploy again: it runs once more; a name with the version in it avoids this"
        ),
        "ConfigMap" | "Secret" => {
            "it has `immutable: true`: give it another name in the chart, such as one with a hash of its content".to_owned()
        }
        "Deployment" | "DaemonSet" | "ReplicaSet" => format!(
            "`kubectl delete {} {name} -n {namespace} --cascade=orphan` and deploy again: new pods are made beside the old ones, which must be deleted by hand",
            kind.to_lowercase()
        ),
        "Pod" => format!("`kubectl delete pod {name} -n {namespace}` and deploy again: it is started anew"),
        other => format!(
            "`kubectl delete {} {name} -n {namespace}` and deploy again, if it may be gone for a moment",
            other.to_lowercase()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_for_good_are_told_from_wrong_values() {
        let set = ObjectId {
            group: "apps".into(),
            kind: "StatefulSet".into(),
            namespace: Some("n".into()),
            name: "s".into(),
        };
        let message = "StatefulSet.apps \"s\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template' are forbidden";
        let status = Status::failure(message, "Invalid").with_code(422);
        let found = of_refusal(&status, &set, "n").unwrap();
        assert!(found.way_out.contains("--cascade=orphan"), "{found:?}");
        let status = Status::failure(
            "StatefulSet.apps \"s\" is invalid: spec.replicas: Invalid value: -1",
            "Invalid",
        )
        .with_code(422);
        assert_eq!(of_refusal(&status, &set, "n"), None);
    }
}
