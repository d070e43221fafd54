//! The one table of what the local backend does with each field of a pod, and with each kind of resource.
//!
//! `docs/local-backend.md` is generated from it. A field that stands in no row is refused: it is either misspelt
//! or newer than this program, and in both cases nobody would notice that it has no effect.

use serde_json::Value;

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

/// Fields of a pod's `spec`; a row decides all that is below it.
pub const POD: &[(&str, Decision)] = &[
    ("containers[].name", Honoured),
    (
        "containers[].image",
        Partly("must be on this machine already"),
    ),
    (
        "containers[].imagePullPolicy",
        NoEffect("a deploy never pulls images"),
    ),
    ("containers[].command", Honoured),
    ("containers[].args", Honoured),
    ("containers[].workingDir", Honoured),
    ("containers[].env[].name", Honoured),
    ("containers[].env[].value", Partly("`$(NAME)` included")),
    (
        "containers[].env[].valueFrom.fieldRef",
        Partly(
            "`metadata.name`, `.namespace`, `.labels['x']`, `.annotations['x']`, `spec.nodeName`, `spec.serviceAccountName`; others are refused",
        ),
    ),
    (
        "containers[].env[].valueFrom.configMapKeyRef",
        Partly("of ConfigMaps of the same release"),
    ),
    (
        "containers[].env[].valueFrom.secretKeyRef",
        Partly("of Secrets of the same release"),
    ),
    (
        "containers[].env[].valueFrom.resourceFieldRef",
        Refused(
            "limits are not passed as variables here",
            "write the value itself",
        ),
    ),
    (
        "containers[].env[].valueFrom.fileKeyRef",
        Refused(
            "variables are not read from files here",
            "write the value itself",
        ),
    ),
    (
        "containers[].envFrom",
        Partly("ConfigMaps and Secrets of the same release"),
    ),
    (
        "containers[].ports",
        Partly(
            "on the node's own network; compared with those of other instances and with what listens already",
        ),
    ),
    (
        "containers[].resources.limits",
        Partly("`cpu` and `memory`; others are refused"),
    ),
    (
        "containers[].resources.requests",
        Partly("`cpu` as share, `memory` as reservation; others have no effect"),
    ),
    (
        "containers[].resources.claims",
        Refused(
            "there is no device allocation here",
            "mount the device as a hostPath below /dev",
        ),
    ),
    ("containers[].volumeMounts[].name", Honoured),
    ("containers[].volumeMounts[].mountPath", Honoured),
    (
        "containers[].volumeMounts[].subPath",
        Partly("a missing folder is made with the user and group of the container"),
    ),
    ("containers[].volumeMounts[].subPathExpr", Honoured),
    ("containers[].volumeMounts[].readOnly", Honoured),
    ("containers[].volumeMounts[].mountPropagation", Honoured),
    (
        "containers[].volumeMounts[].recursiveReadOnly",
        Noted("file systems mounted below are not made read-only"),
    ),
    (
        "containers[].volumeDevices",
        Refused(
            "there are no block volumes here",
            "mount the device as a hostPath below /dev",
        ),
    ),
    (
        "containers[].livenessProbe",
        Partly(
            "`exec` becomes the engine's health check, which is shown; nothing restarts the container",
        ),
    ),
    (
        "containers[].readinessProbe",
        Partly("`exec` becomes the engine's health check when there is no liveness probe"),
    ),
    (
        "containers[].startupProbe",
        Partly("its time until failure is added to the start period of the health check"),
    ),
    (
        "containers[].lifecycle.preStop",
        Partly("`exec` and `sleep`; run by `ioc` itself, not when the engine stops the container"),
    ),
    (
        "containers[].lifecycle.postStart",
        Refused(
            "the engine starts containers again without it",
            "do it in the start script of the image",
        ),
    ),
    ("containers[].lifecycle.stopSignal", Honoured),
    ("containers[].securityContext.runAsUser", Honoured),
    ("containers[].securityContext.runAsGroup", Honoured),
    ("containers[].securityContext.runAsNonRoot", Honoured),
    ("containers[].securityContext.privileged", Honoured),
    (
        "containers[].securityContext.readOnlyRootFilesystem",
        Honoured,
    ),
    (
        "containers[].securityContext.allowPrivilegeEscalation",
        Honoured,
    ),
    ("containers[].securityContext.capabilities", Honoured),
    (
        "containers[].securityContext.seccompProfile",
        Partly("`RuntimeDefault` and `Unconfined`; `Localhost` is refused"),
    ),
    (
        "containers[].securityContext.appArmorProfile",
        Noted("the engine's own profile is used"),
    ),
    (
        "containers[].securityContext.seLinuxOptions",
        Noted("the engine's own label is used"),
    ),
    (
        "containers[].securityContext.procMount",
        Noted("the engine's own masks of /proc are used"),
    ),
    (
        "containers[].securityContext.windowsOptions",
        Refused("this is not Windows", "remove it"),
    ),
    ("containers[].stdin", Honoured),
    ("containers[].stdinOnce", Honoured),
    ("containers[].tty", Honoured),
    (
        "containers[].terminationMessagePath",
        NoEffect("the last lines of the log are shown instead"),
    ),
    (
        "containers[].terminationMessagePolicy",
        NoEffect("the last lines of the log are shown instead"),
    ),
    (
        "containers[].resizePolicy",
        NoEffect("a change of limits replaces the container"),
    ),
    (
        "containers[].restartPolicy",
        Refused(
            "containers of a pod share one restart policy here",
            "set the restartPolicy of the pod",
        ),
    ),
    (
        "containers[].restartPolicyRules",
        Refused(
            "containers of a pod share one restart policy here",
            "set the restartPolicy of the pod",
        ),
    ),
    (
        "initContainers",
        Refused(
            "there is nothing here that runs containers one after another",
            "do its work in the start script of the image, or make it an extra container",
        ),
    ),
    (
        "ephemeralContainers",
        Refused(
            "they belong to a running pod, not to a chart",
            "remove them; `ioc exec` runs a command in a container",
        ),
    ),
    ("volumes[].name", Honoured),
    (
        "volumes[].configMap",
        Partly(
            "of the same release; changes reach the files of a running container within the deploy",
        ),
    ),
    (
        "volumes[].secret",
        Partly("of the same release; on disk, readable by the owner of the state folder"),
    ),
    (
        "volumes[].persistentVolumeClaim",
        Partly("a folder of this machine per namespace and claim"),
    ),
    (
        "volumes[].hostPath",
        Partly("a device below /dev is passed as a device"),
    ),
    (
        "volumes[].emptyDir",
        Partly(
            "a folder that is emptied with each new pod; `medium: Memory` is a tmpfs per container",
        ),
    ),
    (
        "volumes[].nfs",
        Refused(
            "volumes are not mounted over the network here",
            "mount it on this machine and use a hostPath",
        ),
    ),
    (
        "volumes[].projected",
        Refused(
            "projected volumes are not made here",
            "use one volume for each source",
        ),
    ),
    (
        "volumes[].downwardAPI",
        Refused(
            "volumes from fields of the pod are not made here",
            "use a variable with a fieldRef",
        ),
    ),
    (
        "volumes[].csi",
        Refused(
            "there are no storage drivers here",
            "use a persistentVolumeClaim or a hostPath",
        ),
    ),
    (
        "volumes[].ephemeral",
        Refused(
            "there are no storage drivers here",
            "use an emptyDir or a persistentVolumeClaim",
        ),
    ),
    (
        "volumes[].image",
        Refused(
            "image volumes are not made here",
            "copy the files into the image of the container",
        ),
    ),
    (
        "hostNetwork",
        Partly("always on; without it the plan says that the pod uses the node's network"),
    ),
    ("hostPID", Honoured),
    ("hostIPC", Honoured),
    (
        "hostUsers",
        Noted("user namespaces are a setting of the engine"),
    ),
    ("hostAliases", Honoured),
    (
        "hostname",
        Noted("on the host network it is the name of the node"),
    ),
    (
        "hostnameOverride",
        Noted("on the host network it is the name of the node"),
    ),
    ("subdomain", NoEffect("there is no cluster DNS here")),
    (
        "setHostnameAsFQDN",
        NoEffect("on the host network the name is that of the node"),
    ),
    (
        "dnsPolicy",
        NoEffect("on the host network the name servers are those of the node"),
    ),
    (
        "dnsConfig",
        Noted("on the host network the name servers are those of the node"),
    ),
    ("nodeName", Partly("must be this machine")),
    (
        "nodeSelector",
        Partly(
            "`kubernetes.io/hostname` must be this machine; the plan names other labels, which are not checked",
        ),
    ),
    (
        "affinity",
        Partly(
            "required node affinity for `kubernetes.io/hostname` must allow this machine; the plan names other terms, which are not checked",
        ),
    ),
    ("tolerations", NoEffect("nothing is tainted here")),
    ("topologySpreadConstraints", NoEffect("there is one node")),
    ("schedulerName", NoEffect("there is one node")),
    (
        "schedulingGates",
        Refused("nothing here would open the gate", "remove it"),
    ),
    ("priorityClassName", NoEffect("nothing is evicted here")),
    ("priority", NoEffect("nothing is evicted here")),
    ("preemptionPolicy", NoEffect("nothing is evicted here")),
    (
        "runtimeClassName",
        Noted("the engine's default runtime is used"),
    ),
    ("overhead", NoEffect("there is no scheduler here")),
    ("os", NoEffect("containers are Linux here")),
    (
        "serviceAccountName",
        Noted("there is no Kubernetes API to use it with"),
    ),
    (
        "serviceAccount",
        Noted("there is no Kubernetes API to use it with"),
    ),
    (
        "automountServiceAccountToken",
        NoEffect("there is no Kubernetes API here"),
    ),
    ("enableServiceLinks", NoEffect("there are no Services here")),
    ("imagePullSecrets", NoEffect("a deploy never pulls images")),
    (
        "restartPolicy",
        Partly(
            "`Always` is the engine's `unless-stopped`, so that a reboot brings the container up again",
        ),
    ),
    ("terminationGracePeriodSeconds", Honoured),
    (
        "activeDeadlineSeconds",
        Refused("nothing here would stop it", "remove it"),
    ),
    (
        "shareProcessNamespace",
        Refused(
            "containers of a pod have their own process numbers here",
            "use hostPID",
        ),
    ),
    ("readinessGates", NoEffect("there are no Services here")),
    (
        "resourceClaims",
        Refused(
            "there is no device allocation here",
            "mount the device as a hostPath below /dev, for USB /dev/bus/usb",
        ),
    ),
    (
        "resources",
        Refused(
            "limits are per container here",
            "set them on the containers",
        ),
    ),
    ("securityContext.runAsUser", Honoured),
    ("securityContext.runAsGroup", Honoured),
    ("securityContext.runAsNonRoot", Honoured),
    ("securityContext.supplementalGroups", Honoured),
    (
        "securityContext.supplementalGroupsPolicy",
        NoEffect("groups of the image are merged, as the default does"),
    ),
    (
        "securityContext.fsGroup",
        Partly("owns claims and their subPath folders; files inside are left as they are"),
    ),
    (
        "securityContext.fsGroupChangePolicy",
        NoEffect("files inside volumes are left as they are"),
    ),
    (
        "securityContext.seccompProfile",
        Partly("`RuntimeDefault` and `Unconfined`; `Localhost` is refused"),
    ),
    (
        "securityContext.appArmorProfile",
        Noted("the engine's own profile is used"),
    ),
    (
        "securityContext.seLinuxOptions",
        Noted("the engine's own label is used"),
    ),
    (
        "securityContext.sysctls",
        Refused(
            "on the host network they would change this machine",
            "set them on this machine",
        ),
    ),
    (
        "securityContext.windowsOptions",
        Refused("this is not Windows", "remove it"),
    ),
];

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
