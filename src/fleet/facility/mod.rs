//! What a beamline needs on a cluster besides its IOCs: namespace, accounts, roles, quota, claims, admission policy.
//!
//! Pure: facts in, one commented file of objects out. It is written for people to read and edit; what is applied is the
//! file. Putting it on disk is [`crate::services::scaffold::write`]'s, applying it [`super::kubernetes`]'s.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, context};

use crate::fleet::access::role::{lines, rules};
use crate::fleet::access::{self, table};

/// Facts about a beamline on a cluster.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// User and group number of its IOCs; not pinned when there is none.
    pub ids: Option<(u32, u32)>,
    /// Group of people that use `ioc`.
    pub group: String,
    /// Nodes that pods may name.
    pub nodes: Vec<String>,
    /// Storage class of the claims; that of the cluster when there is none.
    pub storage_class: Option<String>,
    /// How the claims can be mounted.
    pub access_mode: String,
    /// Size of each.
    pub claim_size: String,
    /// Most pods.
    pub pods: u32,
}

/// The file of objects.
///
/// # Errors
///
/// A defect of the template.
pub fn file(facts: &Facts) -> Result<String, minijinja::Error> {
    let wanted = access::permissions(table::of_engineers());
    let (wide, narrow): (Vec<_>, Vec<_>) = wanted
        .iter()
        .partition(|permission| permission.cluster_wide);
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.keep_trailing_newline(true).trim_blocks(true);
    environment.set_syntax(syntax.build()?);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let node_list: Vec<String> = facts.nodes.iter().map(|node| format!("'{node}'")).collect();
    environment.render_str(
        include_str!("beamline.yaml"),
        context! {
            name => &facts.name,
            namespace => &facts.namespace,
            uid => facts.ids.map(|(uid, _)| uid),
            gid => facts.ids.map(|(_, gid)| gid),
            // names of groups are the site's own and may have any character
            group_quoted => serde_json::Value::from(facts.group.as_str()).to_string(),
            nodes => &facts.nodes,
            node_list => node_list.join(", "),
            storage_class => &facts.storage_class,
            access_mode => &facts.access_mode,
            claim_size => &facts.claim_size,
            pods => facts.pods,
            claims => facts.pods.saturating_mul(2).saturating_add(10),
            role_rules => lines(&rules(narrow)),
            cluster_rules => lines(&rules(wide)),
        },
    )
}

/// Label and taint that make a node one of the beamline.
pub const LABEL: &str = "beamline";
/// Key of the taint; its value is the beamline, its effect `NoSchedule`.
pub const TAINT: &str = "nodetype";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::manifest;

    fn facts() -> Facts {
        Facts {
            name: "t02".to_owned(),
            namespace: "t02-iocs".to_owned(),
            ids: Some((37002, 37003)),
            group: "t02: \"staff\"".to_owned(),
            nodes: vec!["bl-1".to_owned(), "bl-2".to_owned()],
            storage_class: Some("nfs".to_owned()),
            access_mode: "ReadWriteMany".to_owned(),
            claim_size: "1Gi".to_owned(),
            pods: 200,
        }
    }

    #[test]
    fn the_file_as_people_read_it() {
        insta::assert_snapshot!(file(&facts()).unwrap());
    }

    #[test]
    fn every_choice_gives_objects_each_explained() {
        for (ids, nodes, class) in [
            (None, Vec::new(), None),
            (Some((1, 2)), Vec::new(), None),
            (None, vec!["a".to_owned()], Some("x".to_owned())),
        ] {
            let text = file(&Facts {
                ids,
                nodes,
                storage_class: class,
                ..facts()
            })
            .unwrap();
            let objects =
                manifest::parse(&text).unwrap_or_else(|error| panic!("{error:?} in:\n{text}"));
            let kinds: Vec<&str> = objects
                .iter()
                .map(|object| object.id.kind.as_str())
                .collect();
            assert_eq!(
                kinds,
                [
                    "Namespace",
                    "ServiceAccount",
                    "Role",
                    "RoleBinding",
                    "ClusterRole",
                    "ClusterRoleBinding",
                    "ResourceQuota",
                    "PersistentVolumeClaim",
                    "PersistentVolumeClaim",
                    "PersistentVolumeClaim",
                    "ValidatingAdmissionPolicy",
                    "ValidatingAdmissionPolicyBinding"
                ]
            );
            let unexplained = text
                .split("---\n")
                .filter(|part| !part.trim_start().starts_with('#'))
                .count();
            assert_eq!(
                unexplained, 1,
                "the second binding belongs to the comment above it"
            );
        }
    }
}
