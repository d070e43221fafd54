//! The one table of what the local backend does with each field of a pod, and with each kind of resource.
//!
//! `docs/local-backend.md` is generated from it. A field that stands in no row is refused: it is either misspelt
//! or newer than this program, and in both cases nobody would notice that it has no effect.

mod pod_fields;

use serde_json::Value;

pub use self::pod_fields::POD;

use crate::fleet::workload::node::item_name;

/// What the local backend does with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Works as on a cluster.
    Honoured,
    /// Works, with the difference or condition that is named.
    Partly(&'static str),
    /// Has no effect here and needs no mention at plan time; why.
    NoEffect(&'static str),
    /// Has no effect here and the plan says so.
    Noted(&'static str),
    /// Refused: why, and what to do.
    Refused(&'static str, &'static str),
}

use Decision::{Honoured, NoEffect, Noted, Partly, Refused};

/// Keys by which the elements of the lists of a pod are told apart.
pub const ITEM_KEYS: &[&str] = &["name", "mountPath", "containerPort", "key", "ip"];

/// Fields of the `spec` of a Deployment, StatefulSet or DaemonSet, its template left out.
pub const CONTROLLER: &[(&str, Decision)] = &[
    (
        "template.metadata",
        Partly("labels and annotations; a change replaces the pod"),
    ),
    (
        "replicas",
        Partly(
            "0 means stopped; more than 1 is refused, since replicas on one host network would serve the same PVs twice",
        ),
    ),
    (
        "selector",
        NoEffect("containers are found by the labels of `ioc`"),
    ),
    ("serviceName", NoEffect("there are no Services here")),
    ("podManagementPolicy", NoEffect("there is one pod")),
    (
        "updateStrategy",
        NoEffect("a changed pod is always replaced"),
    ),
    (
        "strategy",
        NoEffect(
            "a changed pod is always replaced: the new one starts after the old one has ended",
        ),
    ),
    (
        "minReadySeconds",
        NoEffect("`deploy` waits until the IOC answers"),
    ),
    (
        "progressDeadlineSeconds",
        NoEffect("`--timeout` says how long is waited"),
    ),
    (
        "revisionHistoryLimit",
        NoEffect("the history is that of the release"),
    ),
    (
        "paused",
        Refused(
            "a paused rollout would leave the old version running",
            "remove it",
        ),
    ),
    (
        "volumeClaimTemplates",
        Partly("a folder per claim, named as on a cluster"),
    ),
    (
        "persistentVolumeClaimRetentionPolicy",
        NoEffect("data folders are only removed by `ioc delete --volumes`"),
    ),
    (
        "ordinals",
        Refused("there is one pod, with number 0", "remove it"),
    ),
];

/// Kinds of resources.
pub const KINDS: &[(&str, Decision)] = &[
    ("StatefulSet", Partly("one pod")),
    ("Deployment", Partly("one pod")),
    ("DaemonSet", Partly("one pod, on this machine")),
    ("Pod", Honoured),
    ("ConfigMap", Honoured),
    (
        "Secret",
        Partly("kept in the release record and, when mounted, in the state folder"),
    ),
    (
        "PersistentVolumeClaim",
        Partly("a folder of this machine; class and size have no effect"),
    ),
    (
        "Service",
        Partly(
            "no effect for pods on the host network; refused for others, which would expect its address",
        ),
    ),
    (
        "ServiceAccount",
        Noted("there is no Kubernetes API to use it with"),
    ),
    ("Role", Noted("there is no Kubernetes API to use it with")),
    (
        "RoleBinding",
        Noted("there is no Kubernetes API to use it with"),
    ),
    (
        "ClusterRole",
        Noted("there is no Kubernetes API to use it with"),
    ),
    (
        "ClusterRoleBinding",
        Noted("there is no Kubernetes API to use it with"),
    ),
    ("NetworkPolicy", Noted("the host network has no policies")),
    ("PodDisruptionBudget", Noted("there is one node")),
    ("PriorityClass", Noted("nothing is evicted here")),
    (
        "Ingress",
        Refused(
            "there is no ingress controller here",
            "deploy it to a cluster, or publish the port on this machine",
        ),
    ),
    (
        "Job",
        Refused(
            "jobs are not run here",
            "run it by hand with `ioc exec`, or deploy it to a cluster",
        ),
    ),
    (
        "CronJob",
        Refused(
            "jobs are not run here",
            "use a timer of this machine, or deploy it to a cluster",
        ),
    ),
    (
        "ReplicaSet",
        Refused(
            "only a controller makes these",
            "use a StatefulSet or a Deployment",
        ),
    ),
    (
        "ResourceClaim",
        Refused(
            "there is no device allocation here",
            "mount the device as a hostPath below /dev",
        ),
    ),
    (
        "ResourceClaimTemplate",
        Refused(
            "there is no device allocation here",
            "mount the device as a hostPath below /dev, for USB /dev/bus/usb",
        ),
    ),
    (
        "PersistentVolume",
        Refused(
            "volumes are folders of this machine",
            "remove it, the claim is enough",
        ),
    ),
    (
        "StorageClass",
        Refused("volumes are folders of this machine", "remove it"),
    ),
    ("Namespace", Noted("a namespace is a folder here")),
];

/// Looks a kind up.
pub fn kind(name: &str) -> Option<Decision> {
    KINDS
        .iter()
        .find(|(kind, _)| *kind == name)
        .map(|(_, decision)| *decision)
}

/// A field that is set, with its decision; `None` when no row knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// The field, elements of lists by name.
    pub path: String,
    /// What happens with it.
    pub decision: Option<Decision>,
}

/// Finds every field of `value` that has a row in `table`, and every one that has none.
///
/// Fields that are null, false, empty or an empty list or mapping count as not set. `prefix` begins the paths.
pub fn fields(value: &Value, prefix: &str, table: &[(&str, Decision)]) -> Vec<Used> {
    let mut used = Vec::new();
    walk(value, prefix, "", table, &mut used);
    used
}

fn walk(
    value: &Value,
    shown: &str,
    pattern: &str,
    table: &[(&str, Decision)],
    used: &mut Vec<Used>,
) {
    if is_unset(value) {
        return;
    }
    if let Some((_, decision)) = table.iter().find(|(row, _)| *row == pattern) {
        used.push(Used {
            path: shown.to_owned(),
            decision: Some(*decision),
        });
        return;
    }
    let is_inside = pattern.is_empty()
        || table.iter().any(|(row, _)| {
            row.strip_prefix(pattern)
                .is_some_and(|rest| rest.starts_with(['.', '[']))
        });
    match value {
        Value::Object(map) if is_inside => {
            for (key, field) in map {
                let separator = if pattern.is_empty() { "" } else { "." };
                walk(
                    field,
                    &format!("{shown}.{key}"),
                    &format!("{pattern}{separator}{key}"),
                    table,
                    used,
                );
            }
        }
        Value::Array(list) if is_inside => {
            for (index, item) in list.iter().enumerate() {
                let name = item_name(item, ITEM_KEYS, index);
                walk(
                    item,
                    &format!("{shown}[{name}]"),
                    &format!("{pattern}[]"),
                    table,
                    used,
                );
            }
        }
        _ => used.push(Used {
            path: shown.to_owned(),
            decision: None,
        }),
    }
}

/// Whether a field is as good as not written.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(_) | Value::Bool(true) => false,
    }
}

/// The field of `table` that `path` was probably meant to be; lists by `[]`.
pub fn nearest_field<'a>(path: &str, table: &'a [(&str, Decision)]) -> Option<&'a str> {
    let last = path.rsplit('.').next()?;
    let names = table
        .iter()
        .flat_map(|(row, _)| row.split('.'))
        .map(|part| part.trim_end_matches("[]"));
    crate::diagnostic::nearest(last, names)
}

/// The tables as Markdown, for `docs/local-backend.md`.
pub fn markdown() -> String {
    let mut text = String::new();
    for (title, table) in [
        ("Kinds of resources", KINDS),
        ("Fields of a pod (`spec.template.spec`)", POD),
        ("Fields of its controller (`spec`)", CONTROLLER),
    ] {
        text.push_str(&format!(
            "### {title}\n\n| field | what the local backend does |\n|---|---|\n"
        ));
        for (row, decision) in table {
            text.push_str(&format!("| `{row}` | {} |\n", describe(*decision)));
        }
        text.push('\n');
    }
    text
}

fn describe(decision: Decision) -> String {
    match decision {
        Honoured => "as on a cluster".to_owned(),
        Partly(how) => how.to_owned(),
        NoEffect(why) => format!("no effect: {why}"),
        Noted(why) => format!("no effect, said at plan time: {why}"),
        Refused(why, instead) => format!("**refused**: {why}; {instead}"),
    }
}
