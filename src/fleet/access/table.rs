//! The table: verb of `ioc`, and what it asks of the cluster.
//!
//! `tests/it/kubernetes` runs verbs as a user who may do exactly what stands here.

use crate::fleet::access::Permission;

/// Something that a verb needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    cluster_wide: bool,
    /// What does not work without it; `None` when nothing does.
    pub without: Option<&'static str>,
}

impl Need {
    const fn new(
        group: &'static str,
        resources: &'static [&'static str],
        verbs: &'static [&'static str],
    ) -> Self {
        Self {
            group,
            resources,
            verbs,
            cluster_wide: false,
            without: None,
        }
    }

    const fn cluster_wide(self) -> Self {
        Self {
            cluster_wide: true,
            ..self
        }
    }

    const fn or(self, without: &'static str) -> Self {
        Self {
            without: Some(without),
            ..self
        }
    }

    /// Each single permission of it.
    pub fn permissions(&self) -> Vec<Permission> {
        let one = |resource: &str, verb: &str| Permission {
            group: self.group.to_owned(),
            resource: resource.to_owned(),
            verb: verb.to_owned(),
            cluster_wide: self.cluster_wide,
        };
        self.resources
            .iter()
            .flat_map(|resource| self.verbs.iter().map(move |verb| one(resource, verb)))
            .collect()
    }
}

/// Verbs that reach a cluster, as they are typed.
pub const VERBS: [&str; 18] = [
    "ps",
    "status",
    "history",
    "logs",
    "attach",
    "exec",
    "autosave",
    "diff",
    "deploy",
    "rollback",
    "start",
    "stop",
    "restart",
    "move",
    "delete",
    "node",
    "check",
    "beamline init",
];

/// Helm keeps releases in Secrets.
const READ_RELEASES: Need = Need::new("", &["secrets"], &["get", "list"]);
const WRITE_RELEASES: Need = Need::new("", &["secrets"], &["create", "update", "patch", "delete"]);
const READ_PODS: Need = Need::new("", &["pods"], &["get", "list", "watch"]);
const READ_WORKLOADS: Need = Need::new("apps", &["statefulsets"], &["get", "list", "watch"]);
const READ_DEPLOYMENTS: Need = Need::new("apps", &["deployments"], &["get", "list", "watch"])
    .or("instances whose chart makes a Deployment do not work");
const READ_EVENTS: Need = Need::new("", &["events"], &["list", "watch"])
    .or("the reasons that Kubernetes gives (images, ports, volumes) are not shown");
const READ_LOGS: Need = Need::new("", &["pods/log"], &["get"]);
const LAST_LINES: Need =
    READ_LOGS.or("the last lines of an IOC that does not come up are not shown");
/// What charts of IOC instances consist of. A chart with other kinds needs the same for those.
const READ_OBJECTS: Need = Need::new("", &["configmaps", "persistentvolumeclaims"], &["get"]);
const APPLY_OBJECTS: Need = Need::new(
    "",
    &["configmaps", "persistentvolumeclaims"],
    &["create", "patch"],
);
const DELETE_OBJECTS: Need = Need::new("", &["configmaps"], &["delete"]);
const LIST_CLAIMS: Need = Need::new("", &["persistentvolumeclaims"], &["list"]);
const DELETE_CLAIMS: Need = Need::new("", &["persistentvolumeclaims"], &["delete"])
    .or("claims cannot be deleted with their instance (`--volumes`)");
const SERVICES: Need = Need::new("", &["services"], &["get", "create", "patch", "delete"])
    .or("instances whose chart makes a Service (`hostNetwork: false`) do not work");
const APPLY_WORKLOADS: Need = Need::new("apps", &["statefulsets"], &["create", "patch", "delete"]);
const APPLY_DEPLOYMENTS: Need = Need::new("apps", &["deployments"], &["create", "patch", "delete"])
    .or("instances whose chart makes a Deployment do not work");
const DELETE_PODS: Need = Need::new("", &["pods"], &["delete"]);
const REPLACE_PODS: Need = DELETE_PODS
    .or("a pod that is stuck in an older template, or on a node that has failed, is not replaced");
const READ_NODES: Need = Need::new("", &["nodes"], &["get", "list"]).cluster_wide();
const LIST_NODES: Need = Need::new("", &["nodes"], &["list"]).cluster_wide();
const ALL_PODS: Need = Need::new("", &["pods"], &["list"])
    .cluster_wide()
    .or("pods of other namespaces on the node, and the ports that they have, are not seen");
const ALL_WORKLOADS: Need = Need::new("apps", &["statefulsets", "deployments"], &["list"])
    .cluster_wide()
    .or("how pods of other namespaces are held to their node is only guessed");
const READ_CLAIMS: Need = Need::new("", &["persistentvolumeclaims"], &["list"])
    .or("what volumes hold pods to their node is not known");
const READ_VOLUMES: Need = Need::new("", &["persistentvolumes"], &["list"])
    .cluster_wide()
    .or("whether a volume can follow to another node is not known");
const READ_NODES_IF_ALLOWED: Need =
    READ_NODES.or("whether a node takes it is not known before, and why not only from events");
// a WebSocket begins with a GET, and newer API servers ask for `create` all the same
const EXEC: Need = Need::new("", &["pods/exec"], &["get", "create"]);
const DEBUG: Need = Need::new("", &["pods/ephemeralcontainers"], &["patch"])
    .or("a container beside one that has no shell (`--debug-image`) cannot be added");
const ATTACH: Need = Need::new("", &["pods/attach"], &["get", "create"]);

const LIST_WORKLOADS: Need = Need::new("apps", &["statefulsets", "deployments"], &["list"]);
const LIST_PODS: Need = Need::new("", &["pods"], &["list"]);
const WATCH: Need = Need::new("apps", &["statefulsets", "deployments"], &["watch"])
    .or("what is followed (`-w`) is not kept up to date");
const WATCH_PODS: Need =
    Need::new("", &["pods"], &["watch"]).or("what is followed (`-w`, `-f`) is not kept up to date");
const LIST_INSTANCES: [Need; 7] = [
    LIST_PODS,
    LIST_WORKLOADS,
    READ_RELEASES.or("versions and revisions are not shown"),
    Need::new("apps", &["statefulsets", "deployments"], &["get"])
        .or("fields that somebody has changed since the release (drift) are not named"),
    Need::new("", &["nodes"], &["list"])
        .cluster_wide()
        .or("a node that does not answer is told by its pods alone"),
    WATCH,
    WATCH_PODS,
];
/// One instance, by the name of its workload.
const FIND: [Need; 4] = [
    Need::new("apps", &["statefulsets"], &["get"]),
    Need::new("apps", &["deployments"], &["get"])
        .or("instances whose chart makes a Deployment do not work"),
    LIST_PODS,
    LIST_WORKLOADS.or("an instance is only found where its workload has its name"),
];
const CHANGE: [Need; 14] = [
    READ_RELEASES,
    WRITE_RELEASES,
    READ_PODS,
    READ_WORKLOADS,
    READ_DEPLOYMENTS,
    READ_OBJECTS,
    LIST_CLAIMS,
    APPLY_OBJECTS,
    DELETE_OBJECTS,
    DELETE_CLAIMS,
    SERVICES,
    APPLY_WORKLOADS,
    APPLY_DEPLOYMENTS,
    READ_EVENTS,
];

/// What a verb needs; nothing for a word that is no verb of [`VERBS`].
pub fn needs(verb: &str) -> Vec<Need> {
    let mut needs: Vec<Need> = match verb {
        "ps" => LIST_INSTANCES.to_vec(),
        "status" | "logs" | "attach" | "exec" | "autosave" => FIND.to_vec(),
        "history" => vec![READ_RELEASES],
        "diff" => vec![READ_RELEASES, READ_PODS, READ_WORKLOADS, READ_DEPLOYMENTS],
        "deploy" | "rollback" | "delete" | "move" | "start" | "stop" => CHANGE.to_vec(),
        "restart" => vec![
            READ_RELEASES,
            READ_OBJECTS,
            READ_PODS,
            READ_WORKLOADS,
            READ_DEPLOYMENTS,
            DELETE_PODS,
            READ_EVENTS,
        ],
        "node" => vec![
            READ_NODES,
            READ_PODS,
            ALL_PODS,
            ALL_WORKLOADS,
            READ_CLAIMS,
            READ_VOLUMES,
        ],
        "check" => vec![
            LIST_NODES,
            LIST_PODS.or("which ports the instances of the namespace have taken is not known"),
            LIST_WORKLOADS.or("how pods are held to their node is only guessed"),
            READ_CLAIMS,
            ALL_PODS,
            ALL_WORKLOADS,
            READ_VOLUMES,
        ],
        "beamline init" => return beamline(),
        _ => return Vec::new(),
    };
    needs.extend(match verb {
        "status" => vec![
            READ_RELEASES.or("versions and revisions are not shown"),
            READ_OBJECTS.or("the objects of its release are not compared with it"),
            Need::new("", &["pods"], &["get"]).or("probes, ports and volumes are not shown"),
            Need::new("", &["nodes"], &["get"])
                .cluster_wide()
                .or("its node is not shown"),
            READ_EVENTS,
            LAST_LINES,
            EXEC.or("the support modules in the image are not shown"),
        ],
        "logs" => vec![READ_LOGS, WATCH_PODS],
        "attach" => vec![
            ATTACH,
            EXEC.or("the console program of the image is not used"),
            READ_LOGS.or("the lines before are not shown"),
        ],
        "exec" => vec![
            EXEC,
            DEBUG,
            Need::new("", &["pods"], &["get"]).or("`--debug-image` does not work"),
        ],
        "autosave" => vec![
            EXEC,
            READ_RELEASES.or("the folder of saved settings has to be named (`--folder`)"),
            Need::new("", &["pods"], &["get", "create", "delete"])
                .or("`restore` cannot reach the claim of an instance that is stopped"),
        ],
        "diff" => vec![
            READ_OBJECTS,
            // what the cluster would make of it is asked with a dry run of the apply
            APPLY_OBJECTS,
            Need::new("apps", &["statefulsets"], &["create", "patch"]),
            SERVICES,
            APPLY_DEPLOYMENTS,
        ],
        "deploy" | "rollback" | "start" => vec![LAST_LINES, REPLACE_PODS, READ_NODES_IF_ALLOWED],
        "restart" => vec![LAST_LINES],
        "move" => vec![
            LAST_LINES,
            REPLACE_PODS,
            READ_NODES,
            ALL_PODS,
            READ_CLAIMS,
            READ_VOLUMES,
        ],
        _ => Vec::new(),
    });
    needs
}

/// Making a beamline is for administrators of the cluster.
fn beamline() -> Vec<Need> {
    const APPLY: &[&str] = &["get", "create", "patch"];
    vec![
        Need::new("", &["namespaces", "nodes"], &["get", "create", "patch"]).cluster_wide(),
        Need::new(
            "",
            &[
                "serviceaccounts",
                "resourcequotas",
                "persistentvolumeclaims",
            ],
            APPLY,
        ),
        Need::new(
            "rbac.authorization.k8s.io",
            &["roles", "rolebindings"],
            APPLY,
        ),
        Need::new(
            "rbac.authorization.k8s.io",
            &["clusterroles", "clusterrolebindings"],
            APPLY,
        )
        .cluster_wide(),
        Need::new(
            "admissionregistration.k8s.io",
            &[
                "validatingadmissionpolicies",
                "validatingadmissionpolicybindings",
            ],
            APPLY,
        )
        .cluster_wide(),
    ]
}

/// Verbs that the group of a beamline uses in its namespace.
pub fn of_engineers() -> impl Iterator<Item = &'static str> {
    VERBS.into_iter().filter(|verb| *verb != "beamline init")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_needs_and_no_other_word_has() {
        for verb in VERBS {
            assert!(!needs(verb).is_empty(), "{verb}");
        }
        for word in ["", "build", "deploys"] {
            assert!(needs(word).is_empty(), "{word}");
        }
    }

    /// Who may only list pods and workloads sees the list.
    #[test]
    fn a_list_needs_no_more_than_lists() {
        let needed: Vec<String> = needs("ps")
            .iter()
            .filter(|need| need.without.is_none())
            .flat_map(Need::permissions)
            .map(|permission| permission.to_string())
            .collect();
        assert_eq!(
            needed,
            [
                "list pods",
                "list statefulsets.apps",
                "list deployments.apps"
            ]
        );
    }

    #[test]
    fn looking_changes_nothing() {
        for verb in ["ps", "status", "history", "logs", "node", "check"] {
            // a file of an image can only be read by a command in its container; `status` does without
            let needs = needs(verb);
            let looked = needs
                .iter()
                .filter(|need| need.resources != ["pods/exec"] || need.without.is_none());
            for permission in looked.flat_map(Need::permissions) {
                assert!(
                    ["get", "list", "watch"].contains(&permission.verb.as_str()),
                    "{verb}: {permission}"
                );
            }
        }
    }

    #[test]
    fn engineers_do_not_change_the_cluster() {
        for permission in of_engineers()
            .flat_map(needs)
            .flat_map(|need| need.permissions())
        {
            let reads = ["get", "list", "watch"].contains(&permission.verb.as_str());
            assert!(reads || !permission.cluster_wide, "{permission}");
        }
    }
}
