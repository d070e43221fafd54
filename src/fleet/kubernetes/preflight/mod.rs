//! Whether an instance would run on a cluster, before it is deployed: its node or one of the nodes takes it, its claims
//! are there, its images can be had. Pure.

pub mod pull;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, PodSpec};

pub use self::pull::Pull;
use crate::diagnostic::{Diagnostic, Severity, nearest};
use crate::fleet::kubernetes::placement::check::{self, Around};
use crate::fleet::kubernetes::placement::node::{self, HOSTNAME};
use crate::fleet::kubernetes::placement::volume::Storage;
use crate::fleet::kubernetes::placement::{Finding, Weight, workload};
use crate::fleet::kubernetes::survey::Survey;
use crate::fleet::manifest::Resource;

/// Nodes that are told with their reason when none takes an instance.
const MOST_TOLD: usize = 3;

/// An instance that is meant to run, as its manifests say.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// Its name.
    pub instance: &'a str,
    namespace: &'a str,
    resources: &'a [Resource],
    spec: PodSpec,
    is_ioc: bool,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Preflight {
    /// What is wrong with it on this cluster.
    pub findings: Vec<Diagnostic>,
    /// Images that a node which takes it would have to pull.
    pub pulls: Vec<Pull>,
}

impl<'a> Subject<'a> {
    /// Out of the manifests of an instance; `None` when nothing of it runs.
    ///
    /// # Errors
    ///
    /// A pod template that Kubernetes does not know.
    pub fn of(
        instance: &'a str,
        namespace: &'a str,
        resources: &'a [Resource],
    ) -> Result<Option<Self>, Box<Diagnostic>> {
        let Some(main) = workload::main(resources, instance) else {
            return Ok(None);
        };
        let Some(spec) = workload::template(&main.body) else {
            return Err(Box::new(Diagnostic::error(format!(
                "{}: its pod template is not one that Kubernetes knows",
                main.id
            ))));
        };
        let labels: Option<BTreeMap<String, String>> = main
            .body
            .pointer("/spec/template/metadata/labels")
            .and_then(|labels| serde_json::from_value(labels.clone()).ok());
        Ok(Some(Self {
            instance,
            namespace,
            resources,
            spec,
            is_ioc: workload::is_ioc(labels.as_ref()),
        }))
    }

    /// The one node that it is held to.
    pub fn held_to(&self) -> Option<&str> {
        let selector = || self.spec.node_selector.as_ref()?.get(HOSTNAME);
        self.spec
            .node_name
            .as_ref()
            .filter(|name| !name.is_empty())
            .or_else(selector)
            .map(String::as_str)
    }

    /// The claims that it uses.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        let volumes = self.spec.volumes.iter().flatten();
        volumes
            .filter_map(|volume| volume.persistent_volume_claim.as_ref())
            .map(|claim| claim.claim_name.as_str())
    }

    /// Holds it against the nodes.
    pub fn look(&self, survey: &Survey) -> Preflight {
        let storage = with_own_claims(survey.storage.get(self.namespace), self.resources);
        let around = Around {
            instance: self.instance,
            namespace: self.namespace,
            is_ioc: self.is_ioc,
            from: None,
            pods: &survey.pods,
            storage: &storage,
        };
        if let Some(wanted) = self.held_to() {
            return self.on_its_node(wanted, survey, &around);
        }
        let all: Vec<(&Node, Vec<Finding>)> = survey
            .nodes
            .iter()
            .map(|node| (node, check::check(&self.spec, node, &around)))
            .collect();
        let possible = all
            .iter()
            .filter(|(_, findings)| check::is_possible(findings))
            .map(|(node, _)| *node)
            .collect::<Vec<_>>();
        let pulls = pull::of(&self.spec, &possible);
        let findings = if all.is_empty() || !possible.is_empty() {
            Vec::new()
        } else {
            vec![nowhere(self.instance, &all)]
        };
        Preflight { findings, pulls }
    }

    fn on_its_node(&self, wanted: &str, survey: &Survey, around: &Around<'_>) -> Preflight {
        let instance = self.instance;
        let Some(node) = survey.nodes.iter().find(|node| is_called(node, wanted)) else {
            let finding = Diagnostic::error(format!(
                "`{instance}` is held to node `{wanted}`, which the cluster does not have"
            ));
            let names = survey.nodes.iter().map(node::name);
            let finding = match nearest(wanted, names) {
                Some(near) => finding.hint(format!("did you mean `{near}`?")),
                None => finding.hint("`ioc node` lists them"),
            };
            return Preflight {
                findings: vec![finding],
                ..Preflight::default()
            };
        };
        let told = |finding: &Finding| {
            let message = format!("`{instance}`: {}", finding.message);
            let diagnostic = match finding.weight {
                Weight::Blocks => Diagnostic::error(message),
                Weight::Warns => Diagnostic::warning(message),
                Weight::Notes => return None,
            };
            Some(match &finding.hint {
                Some(hint) => diagnostic.hint(hint.clone()),
                None => diagnostic,
            })
        };
        Preflight {
            findings: check::check(&self.spec, node, around)
                .iter()
                .filter_map(told)
                .collect(),
            pulls: pull::of(&self.spec, &[node]),
        }
    }
}

impl Preflight {
    /// What is wrong enough that it will not run.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        let findings = self.findings.iter();
        findings.filter(|finding| finding.severity == Severity::Error)
    }
}

/// No node takes it: the reason of each, or the one that all have.
fn nowhere(instance: &str, all: &[(&Node, Vec<Finding>)]) -> Diagnostic {
    let first = |findings: &[Finding]| {
        findings
            .iter()
            .find(|finding| finding.weight == Weight::Blocks)
            .cloned()
    };
    let reasons: Vec<Finding> = all
        .iter()
        .filter_map(|(_, findings)| first(findings))
        .collect();
    let mut messages: Vec<&str> = reasons
        .iter()
        .map(|finding| finding.message.as_str())
        .collect();
    messages.dedup();
    let more = messages.len().saturating_sub(MOST_TOLD);
    messages.truncate(MOST_TOLD);
    let mut text = messages.join("; ");
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    let diagnostic = Diagnostic::error(format!("no node takes `{instance}`: {text}"));
    match reasons.iter().find_map(|finding| finding.hint.clone()) {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}

fn is_called(node: &Node, name: &str) -> bool {
    node::name(node) == name || node::label(node, HOSTNAME) == Some(name)
}

/// The claims of the namespace and those that the release brings along.
fn with_own_claims(storage: Option<&Storage>, resources: &[Resource]) -> Storage {
    let mut all = storage.cloned().unwrap_or_default();
    for resource in resources {
        if resource.id.kind != "PersistentVolumeClaim" || all.claims.contains_key(&resource.id.name)
        {
            continue;
        }
        if let Ok(claim) = serde_json::from_value::<PersistentVolumeClaim>(resource.body.clone()) {
            all.claims.insert(resource.id.name.clone(), claim);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::kubernetes::placement::testing::from_yaml;
    use crate::fleet::manifest;

    fn survey() -> Survey {
        let node = |name: &str, beamline: &str| {
            from_yaml(&format!(
                "metadata: {{name: {name}, labels: {{kubernetes.io/hostname: {name}, beamline: {beamline}}}}}\n\
                 status: {{conditions: [{{type: Ready, status: 'True'}}], images: [{{names: ['localhost/a:1']}}]}}"
            ))
        };
        Survey {
            nodes: vec![node("bl-1", "t01"), node("bl-2", "t02")],
            ..Survey::default()
        }
    }

    #[test]
    fn what_would_not_run_is_told_before() {
        for (spec, more, expected) in [
            ("", "", vec![]),
            ("nodeName: bl-1, ", "", vec![]),
            (
                "nodeName: bl-3, ",
                "",
                vec!["`i` is held to node `bl-3`, which the cluster does not have"],
            ),
            ("nodeSelector: {beamline: t02}, ", "", vec![]),
            (
                "nodeSelector: {beamline: t03}, ",
                "",
                vec![
                    "no node takes `i`: the instance runs on nodes with the label `beamline=t03`, and `bl-1` has `beamline=t01`; the instance runs on nodes with the label `beamline=t03`, and `bl-2` has `beamline=t02`",
                ],
            ),
            (
                "volumes: [{name: v, persistentVolumeClaim: {claimName: c}}], ",
                "",
                vec!["no node takes `i`: there is no claim `c`"],
            ),
            (
                "volumes: [{name: v, persistentVolumeClaim: {claimName: c}}], ",
                "---\nkind: PersistentVolumeClaim\nmetadata: {name: c}\nspec: {accessModes: [ReadWriteOnce]}\n",
                vec![],
            ),
        ] {
            let text = format!(
                "kind: StatefulSet\nmetadata: {{name: i}}\nspec: {{template: {{spec: {{{spec}containers: [{{name: i, image: 'localhost/a:1'}}]}}}}}}\n{more}"
            );
            let resources = manifest::parse(&text).unwrap();
            let subject = Subject::of("i", "t01", &resources).unwrap().unwrap();
            let found = subject.look(&survey()).findings;
            let messages: Vec<&str> = found.iter().map(|it| it.message.as_str()).collect();
            assert_eq!(messages, expected, "{spec}");
        }
    }
}
