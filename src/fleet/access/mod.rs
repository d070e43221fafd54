//! What each verb of `ioc` needs to be allowed on a cluster, and roles that allow it.
//!
//! Pure: a table, and answers of the cluster in, findings and roles out. Asking the cluster is in
//! [`super::kubernetes`].

pub mod role;
pub mod table;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use self::table::{Need, VERBS, needs};

/// One thing that the cluster allows or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Permission {
    /// API group, empty for the core.
    pub group: String,
    /// `pods`, `pods/log`, `statefulsets`, …
    pub resource: String,
    /// `get`, `list`, `create`, …
    pub verb: String,
    /// For the whole cluster rather than one namespace.
    pub cluster_wide: bool,
}

impl std::fmt::Display for Permission {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(formatter, ".{}", self.group)?;
        }
        Ok(())
    }
}

impl Permission {
    /// Resource and subresource apart.
    pub fn parts(&self) -> (&str, Option<&str>) {
        match self.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource)),
            None => (&self.resource, None),
        }
    }
}

/// What the cluster says to one verb.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The verb of `ioc`.
    pub verb: &'static str,
    /// Whether it works.
    pub allowed: bool,
    /// What it lacks.
    pub missing: Vec<Permission>,
    /// What works less well, and why.
    pub limited: Vec<Limit>,
}

/// Something that a verb can do without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// What is missing.
    pub permission: Permission,
    /// What does not work without it.
    pub without: &'static str,
}

/// Everything that these verbs need, each once.
pub fn permissions<'a>(verbs: impl IntoIterator<Item = &'a str>) -> BTreeSet<Permission> {
    verbs
        .into_iter()
        .flat_map(needs)
        .flat_map(|need| need.permissions())
        .collect()
}

/// What the answers of the cluster mean for a verb. What was not asked counts as refused.
pub fn answer(verb: &'static str, allowed: &BTreeMap<Permission, bool>) -> Answer {
    let mut missing = Vec::new();
    let mut limited = Vec::new();
    for need in needs(verb) {
        for permission in need.permissions() {
            if allowed.get(&permission).copied().unwrap_or(false) {
                continue;
            }
            match need.without {
                None if !missing.contains(&permission) => missing.push(permission),
                None => {}
                Some(without) => limited.push(Limit {
                    permission,
                    without,
                }),
            }
        }
    }
    Answer {
        verb,
        allowed: missing.is_empty(),
        missing,
        limited,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_works_when_nothing_that_it_needs_is_refused() {
        let all = permissions(["logs"]);
        let mut allowed: BTreeMap<Permission, bool> = all
            .iter()
            .cloned()
            .map(|permission| (permission, true))
            .collect();
        assert_eq!(answer("logs", &allowed).missing, []);
        let log = all.iter().find(|it| it.resource == "pods/log").unwrap();
        allowed.insert(log.clone(), false);
        let refused = answer("logs", &allowed);
        assert!(!refused.allowed);
        assert_eq!(refused.missing, std::slice::from_ref(log));
        assert_eq!(log.to_string(), "get pods/log");
        assert_eq!(log.parts(), ("pods", Some("log")));
    }

    #[test]
    fn what_a_verb_can_do_without_only_limits_it() {
        let allowed = permissions(["node"])
            .into_iter()
            .map(|permission| {
                let yes = permission.resource == "nodes" || permission.resource == "pods";
                (permission, yes)
            })
            .collect();
        let answer = answer("node", &allowed);
        assert!(answer.allowed && !answer.limited.is_empty(), "{answer:?}");
    }
}
