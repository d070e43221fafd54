//! Whether an instance would run on a cluster, before it is deployed: its node or one of the nodes takes it, its claims
//! are there. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, PodSpec};

use crate::diagnostic::{Diagnostic, Severity, nearest};
use crate::fleet::kubernetes::placement::check::{self, Around};
use crate::fleet::kubernetes::placement::node::{self, HOSTNAME};
use crate::fleet::kubernetes::placement::volume::Storage;
use crate::fleet::kubernetes::placement::{Finding, Weight, workload};
use crate::fleet::kubernetes::survey::Survey;
use crate::fleet::manifest::Resource;

/// Nodes that are told with their reason when none takes an instance.
const MOST_TOLD: usize = 3;

/// What is wrong with an instance on this cluster.
pub fn findings(
    instance: &str,
    namespace: &str,
    resources: &[Resource],
    survey: &Survey,
) -> Vec<Diagnostic> {
    let Some(main) = workload::main(resources, instance) else {
        return Vec::new();
    };
    let Some(spec) = workload::template(&main.body) else {
        return vec![Diagnostic::error(format!(
            "{}: its pod template is not one that Kubernetes knows",
            main.id
        ))];
    };
    let labels: Option<BTreeMap<String, String>> = main
        .body
        .pointer("/spec/template/metadata/labels")
        .and_then(|labels| serde_json::from_value(labels.clone()).ok());
    let storage = with_own_claims(survey.storage.get(namespace), resources);
    let around = Around {
        instance,
        namespace,
        is_ioc: workload::is_ioc(labels.as_ref()),
        from: None,
        pods: &survey.pods,
        storage: &storage,
    };
    let told = |finding: &Finding, severity: Severity| {
        let message = format!("`{instance}`: {}", finding.message);
        let diagnostic = match severity {
            Severity::Error => Diagnostic::error(message),
            _ => Diagnostic::warning(message),
        };
        match &finding.hint {
            Some(hint) => diagnostic.hint(hint.clone()),
            None => diagnostic,
        }
    };
    if let Some(wanted) = held_to(&spec) {
        let Some(node) = survey.nodes.iter().find(|node| is_called(node, wanted)) else {
            let message =
                format!("`{instance}` is held to node `{wanted}`, which the cluster does not have");
            let names = survey.nodes.iter().map(node::name);
            return vec![match nearest(wanted, names) {
                Some(near) => Diagnostic::error(message).hint(format!("did you mean `{near}`?")),
                None => Diagnostic::error(message).hint("`ioc node` lists them"),
            }];
        };
        return check::check(&spec, node, &around)
            .iter()
            .filter_map(|finding| match finding.weight {
                Weight::Blocks => Some(told(finding, Severity::Error)),
                Weight::Warns => Some(told(finding, Severity::Warning)),
                Weight::Notes => None,
            })
            .collect();
    }
    let all: Vec<(&Node, Vec<Finding>)> = survey
        .nodes
        .iter()
        .map(|node| (node, check::check(&spec, node, &around)))
        .collect();
    if all.is_empty() || all.iter().any(|(_, findings)| check::is_possible(findings)) {
        return Vec::new();
    }
    vec![nowhere(instance, &all)]
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

/// The one node that a pod is held to.
fn held_to(spec: &PodSpec) -> Option<&str> {
    let selector = || spec.node_selector.as_ref()?.get(HOSTNAME);
    spec.node_name
        .as_ref()
        .filter(|name| !name.is_empty())
        .or_else(selector)
        .map(String::as_str)
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
            let found = findings("i", "t01", &resources, &survey());
            let messages: Vec<&str> = found.iter().map(|it| it.message.as_str()).collect();
            assert_eq!(messages, expected, "{spec}");
        }
    }
}
