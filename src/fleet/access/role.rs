//! Roles that allow what is wanted, as objects of the cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use crate::fleet::access::Permission;

/// One rule of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// API groups.
    pub api_groups: Vec<String>,
    /// Resources, with subresources.
    pub resources: Vec<String>,
    /// Verbs.
    pub verbs: Vec<String>,
}

/// The fewest rules that allow these permissions and nothing else: resources with the same verbs stand together.
pub fn rules<'a>(permissions: impl IntoIterator<Item = &'a Permission>) -> Vec<Rule> {
    let mut verbs: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for permission in permissions {
        verbs
            .entry((&permission.group, &permission.resource))
            .or_default()
            .insert(&permission.verb);
    }
    let mut together: BTreeMap<(&str, BTreeSet<&str>), Vec<&str>> = BTreeMap::new();
    for ((group, resource), verbs) in verbs {
        together.entry((group, verbs)).or_default().push(resource);
    }
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
    together
        .into_iter()
        .map(|((group, verbs), resources)| Rule {
            api_groups: vec![group.to_owned()],
            resources: owned(resources),
            verbs: owned(verbs.into_iter().collect()),
        })
        .collect()
}

/// Rules as the lines of a manifest, each on one line.
pub fn lines(rules: &[Rule]) -> String {
    let list = |texts: &[String]| {
        let quoted: Vec<String> = texts
            .iter()
            .map(|text| {
                if text.is_empty() {
                    "\"\"".to_owned()
                } else {
                    text.clone()
                }
            })
            .collect();
        format!("[{}]", quoted.join(", "))
    };
    let mut lines = String::new();
    for rule in rules {
        lines.push_str(&format!(
            "  - {{apiGroups: {}, resources: {}, verbs: {}}}\n",
            list(&rule.api_groups),
            list(&rule.resources),
            list(&rule.verbs)
        ));
    }
    lines
}

/// Who a role is given to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A person.
    User(String),
    /// A group.
    Group(String),
    /// An account of a namespace.
    ServiceAccount {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
    },
}

impl Subject {
    /// A user name as the cluster knows it.
    pub fn of_user(name: &str) -> Self {
        let account = name
            .strip_prefix("system:serviceaccount:")
            .and_then(|rest| rest.split_once(':'));
        match account {
            Some((namespace, name)) => Self::ServiceAccount {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
            None => Self::User(name.to_owned()),
        }
    }

    fn body(&self) -> Value {
        const GROUP: &str = "rbac.authorization.k8s.io";
        match self {
            Self::User(name) => json!({"kind": "User", "apiGroup": GROUP, "name": name}),
            Self::Group(name) => json!({"kind": "Group", "apiGroup": GROUP, "name": name}),
            Self::ServiceAccount { namespace, name } => {
                json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
            }
        }
    }
}

/// A role with its binding for the namespace, and one for the whole cluster where something needs it.
pub fn objects(
    name: &str,
    namespace: &str,
    permissions: &BTreeSet<Permission>,
    subject: &Subject,
) -> Vec<Value> {
    let mut objects = Vec::new();
    for cluster_wide in [false, true] {
        let rules = rules(
            permissions
                .iter()
                .filter(|it| it.cluster_wide == cluster_wide),
        );
        if rules.is_empty() {
            continue;
        }
        let (kind, binding, name) = if cluster_wide {
            (
                "ClusterRole",
                "ClusterRoleBinding",
                format!("{name}-{namespace}"),
            )
        } else {
            ("Role", "RoleBinding", name.to_owned())
        };
        let metadata = if cluster_wide {
            json!({"name": name})
        } else {
            json!({"name": name, "namespace": namespace})
        };
        let api = "rbac.authorization.k8s.io/v1";
        objects
            .push(json!({"apiVersion": api, "kind": kind, "metadata": metadata, "rules": rules}));
        objects.push(json!({
            "apiVersion": api,
            "kind": binding,
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [subject.body()],
        }));
    }
    objects
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::access;

    #[test]
    fn rules_are_few_and_exact() {
        let wanted = access::permissions(access::VERBS);
        let rules = rules(&wanted);
        let mut allowed = BTreeSet::new();
        for rule in &rules {
            for resource in &rule.resources {
                for verb in &rule.verbs {
                    allowed.insert((rule.api_groups[0].clone(), resource.clone(), verb.clone()));
                }
            }
        }
        let wanted: BTreeSet<_> = wanted
            .into_iter()
            .map(|it| (it.group, it.resource, it.verb))
            .collect();
        assert_eq!(allowed, wanted);
        insta::assert_snapshot!(lines(&super::rules(&access::permissions(["restart"]))), @r#"
          - {apiGroups: [""], resources: [pods], verbs: [delete, get, list, watch]}
          - {apiGroups: [""], resources: [configmaps, persistentvolumeclaims, pods/log], verbs: [get]}
          - {apiGroups: [""], resources: [secrets], verbs: [get, list]}
          - {apiGroups: [""], resources: [events], verbs: [list, watch]}
          - {apiGroups: [apps], resources: [deployments, statefulsets], verbs: [get, list, watch]}
        "#);
    }

    #[test]
    fn what_is_for_the_cluster_gets_a_role_of_the_cluster() {
        let subject = Subject::of_user("system:serviceaccount:t01:robot");
        let objects = objects("ioc", "t01", &access::permissions(["node"]), &subject);
        let kinds: Vec<&str> = objects
            .iter()
            .filter_map(|it| it["kind"].as_str())
            .collect();
        assert_eq!(
            kinds,
            ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"]
        );
        assert_eq!(objects[3]["metadata"]["name"], "ioc-t01");
        assert_eq!(
            objects[1]["subjects"][0],
            json!({"kind": "ServiceAccount", "namespace": "t01", "name": "robot"})
        );
        assert_eq!(Subject::of_user("ann"), Subject::User("ann".to_owned()));
    }
}
