//! Labels and taints: whether a pod asks for a node, and whether the node lets it in.
//!
//! The rules are those of the scheduler: selector terms are alternatives, the expressions of a term hold all.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodSpec, Taint, Toleration,
};

use crate::fleet::kubernetes::placement::{About, Finding, node};

type Labels = BTreeMap<String, String>;

/// What labels and taints of `node` say to a pod.
pub fn findings(spec: &PodSpec, node: &Node) -> Vec<Finding> {
    let mut findings = labels(spec, node);
    findings.extend(taints(spec, node));
    findings
}

/// Selector and required affinity. The kubelet asks for them too, so naming the node does not go around them.
fn labels(spec: &PodSpec, node: &Node) -> Vec<Finding> {
    let name = node::name(node);
    let empty = Labels::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&empty);
    let mut findings = Vec::new();
    if let Some(wanted) = &spec.node_name
        && !wanted.is_empty()
        && wanted != name
    {
        findings.push(Finding::blocks(
            About::Label,
            format!("the instance names node `{wanted}`"),
        ));
    }
    for (key, value) in spec.node_selector.iter().flatten() {
        if labels.get(key) != Some(value) {
            findings.push(
                Finding::blocks(
                    About::Label,
                    format!(
                        "the instance runs on nodes with the label `{key}={value}`, and `{name}` has {}",
                        has(labels, key)
                    ),
                )
                .hint(format!(
                    "`kubectl label node {name} {key}={value}` if it belongs there"
                )),
            );
        }
    }
    let affinity = spec
        .affinity
        .as_ref()
        .and_then(|it| it.node_affinity.as_ref());
    if let Some(required) = affinity.and_then(|it| {
        it.required_during_scheduling_ignored_during_execution
            .as_ref()
    }) && !matches(required, labels, name)
    {
        findings.push(
            Finding::blocks(
                About::Label,
                format!(
                    "node `{name}` is not one that the instance's affinity asks for: {}",
                    words(required, labels)
                ),
            )
            .hint(format!("`ioc node {name}` lists its labels")),
        );
    }
    if spec
        .affinity
        .as_ref()
        .is_some_and(|it| it.pod_affinity.is_some() || it.pod_anti_affinity.is_some())
        || spec
            .topology_spread_constraints
            .as_ref()
            .is_some_and(|list| !list.is_empty())
    {
        findings.push(Finding::warns(
            About::Label,
            "the instance has rules about other pods (pod affinity or spreading), which are not checked here",
        ));
    }
    findings
}

fn has(labels: &Labels, key: &str) -> String {
    match labels.get(key) {
        Some(value) => format!("`{key}={value}`"),
        None => "no such label".to_owned(),
    }
}

/// What a selector asks for, and what the node has of it.
fn words(selector: &NodeSelector, labels: &Labels) -> String {
    let mut terms = Vec::new();
    for term in &selector.node_selector_terms {
        let expressions: Vec<String> = term
            .match_expressions
            .iter()
            .flatten()
            .chain(term.match_fields.iter().flatten())
            .map(|one| {
                let values = one.values.clone().unwrap_or_default().join(", ");
                let values = if values.is_empty() {
                    values
                } else {
                    format!(" ({values})")
                };
                format!("`{}` {}{values}", one.key, one.operator)
            })
            .collect();
        terms.push(expressions.join(" and "));
    }
    let keys: Vec<&str> = selector
        .node_selector_terms
        .iter()
        .flat_map(|term| term.match_expressions.iter().flatten())
        .map(|one| one.key.as_str())
        .collect();
    let it_has: Vec<String> = keys
        .iter()
        .filter(|key| labels.contains_key(**key))
        .map(|key| has(labels, key))
        .collect();
    let it_has = if it_has.is_empty() {
        "none of these".to_owned()
    } else {
        it_has.join(", ")
    };
    format!("{}; it has {it_has}", terms.join(", or "))
}

/// Whether a node is one that the selector asks for.
pub fn matches(selector: &NodeSelector, labels: &Labels, name: &str) -> bool {
    selector
        .node_selector_terms
        .iter()
        .any(|term| matches_term(term, labels, name))
}

/// An empty term matches nothing.
fn matches_term(term: &NodeSelectorTerm, labels: &Labels, name: &str) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    let of_field = |key: &str| (key == "metadata.name").then_some(name);
    expressions
        .iter()
        .all(|one| holds(one, labels.get(&one.key).map(String::as_str)))
        && fields.iter().all(|one| holds(one, of_field(&one.key)))
}

fn holds(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let among = || value.is_some_and(|value| values.iter().any(|other| other == value));
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let limit = number(values.first().map(String::as_str));
    match requirement.operator.as_str() {
        "In" => among(),
        "NotIn" => !among(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => matches!((number(value), limit), (Some(value), Some(limit)) if value > limit),
        "Lt" => matches!((number(value), limit), (Some(value), Some(limit)) if value < limit),
        _ => false,
    }
}

/// Taints that the pod does not tolerate. A pod that names its node goes around the scheduler, which alone looks at
/// `NoSchedule`.
fn taints(spec: &PodSpec, node: &Node) -> Vec<Finding> {
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let name = node::name(node);
    let bypasses = spec.node_name.as_ref().is_some_and(|name| !name.is_empty());
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref());
    let mut findings = Vec::new();
    for taint in taints.unwrap_or_default() {
        // what the control plane puts there by itself is told with the state of the node
        let by_state = taint.key.starts_with("node.kubernetes.io/");
        if by_state || taint.effect == "PreferNoSchedule" || tolerates(tolerations, taint) {
            continue;
        }
        let shown = taint_text(taint);
        let message =
            format!("node `{name}` has the taint `{shown}`, which the instance does not tolerate");
        findings.push(if bypasses && taint.effect == "NoSchedule" {
            Finding::warns(About::Taint, format!("{message}; it names the node itself and gets in all the same"))
        } else {
            Finding::blocks(About::Taint, message).hint(
                "the node is kept for others; if not, add the toleration to `tolerations` in the values of the instance",
            )
        });
    }
    findings
}

/// A taint as `kubectl taint` writes it.
pub fn taint_text(taint: &Taint) -> String {
    match taint.value.as_deref() {
        None | Some("") => format!("{}:{}", taint.key, taint.effect),
        Some(value) => format!("{}={value}:{}", taint.key, taint.effect),
    }
}

/// Whether any of the tolerations is for this taint.
pub fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations
        .iter()
        .any(|toleration| is_for(toleration, taint))
}

/// Whether a toleration is for a taint: an empty key (with `Exists`) or effect means all.
pub fn is_for(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let key = toleration.key.as_deref().unwrap_or_default();
    if !effect.is_empty() && effect != taint.effect {
        return false;
    }
    match toleration.operator.as_deref() {
        Some("Exists") => key.is_empty() || key == taint.key,
        None | Some("" | "Equal") => {
            key == taint.key
                && toleration.value.as_deref().unwrap_or_default()
                    == taint.value.as_deref().unwrap_or_default()
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::kubernetes::placement::Weight::{Blocks, Warns};
    use crate::fleet::kubernetes::placement::testing::{from_yaml, weights};

    fn node() -> Node {
        from_yaml(
            "metadata: {name: bl-1, labels: {beamline: t01, kubernetes.io/hostname: bl-1, cores: '8'}}\n\
             spec: {taints: [{key: nodetype, value: t01, effect: NoSchedule}]}\n",
        )
    }

    /// The toleration of every beamline chart.
    const TOLERATED: &str =
        "tolerations: [{key: nodetype, operator: Equal, value: t01, effect: NoSchedule}]";

    #[test]
    fn labels_and_taints_as_the_scheduler_sees_them() {
        let affinity = |expression: &str| {
            format!(
                "{TOLERATED}\naffinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: \
                 {{nodeSelectorTerms: [{{matchExpressions: [{expression}]}}]}}}}}}"
            )
        };
        for (spec, expected) in [
            (TOLERATED.to_owned(), vec![]),
            ("{}".to_owned(), vec![Blocks]),
            ("nodeName: bl-1".to_owned(), vec![Warns]),
            ("tolerations: [{operator: Exists}]".to_owned(), vec![]),
            (
                "tolerations: [{key: nodetype, operator: Exists}]".to_owned(),
                vec![],
            ),
            (
                "tolerations: [{key: nodetype, value: t02}]".to_owned(),
                vec![Blocks],
            ),
            (
                "tolerations: [{key: nodetype, value: t01, effect: NoExecute}]".to_owned(),
                vec![Blocks],
            ),
            (format!("{TOLERATED}\nnodeName: other"), vec![Blocks]),
            (
                format!("{TOLERATED}\nnodeSelector: {{beamline: t01}}"),
                vec![],
            ),
            (
                format!("{TOLERATED}\nnodeSelector: {{beamline: t02}}"),
                vec![Blocks],
            ),
            (
                format!("{TOLERATED}\nnodeSelector: {{gpu: 'yes'}}"),
                vec![Blocks],
            ),
            (
                affinity("{key: beamline, operator: In, values: [t02, t01]}"),
                vec![],
            ),
            (
                affinity("{key: beamline, operator: In, values: [t02]}"),
                vec![Blocks],
            ),
            (
                affinity("{key: beamline, operator: NotIn, values: [t02]}"),
                vec![],
            ),
            (
                affinity("{key: other, operator: NotIn, values: [t02]}"),
                vec![],
            ),
            (affinity("{key: other, operator: Exists}"), vec![Blocks]),
            (affinity("{key: other, operator: DoesNotExist}"), vec![]),
            (
                affinity("{key: cores, operator: Gt, values: ['4']}"),
                vec![],
            ),
            (
                affinity("{key: cores, operator: Lt, values: ['4']}"),
                vec![Blocks],
            ),
            (
                affinity("{key: beamline, operator: Gt, values: ['4']}"),
                vec![Blocks],
            ),
            (
                affinity("{key: beamline, operator: Like, values: [t01]}"),
                vec![Blocks],
            ),
            (
                format!("{TOLERATED}\naffinity: {{podAntiAffinity: {{}}}}"),
                vec![Warns],
            ),
        ] {
            let found = findings(&from_yaml(&spec), &node());
            assert_eq!(weights(&found), expected, "{spec}: {found:?}");
        }
    }

    #[test]
    fn terms_are_alternatives_and_an_empty_one_matches_nothing() {
        let labels = Labels::from([("a".to_owned(), "1".to_owned())]);
        for (terms, expected) in [
            (
                "[{matchExpressions: [{key: b, operator: Exists}]}, {matchExpressions: [{key: a, operator: Exists}]}]",
                true,
            ),
            (
                "[{matchExpressions: [{key: a, operator: Exists}, {key: b, operator: Exists}]}]",
                false,
            ),
            ("[{}]", false),
            ("[]", false),
            (
                "[{matchFields: [{key: metadata.name, operator: In, values: [bl]}]}]",
                true,
            ),
            (
                "[{matchFields: [{key: metadata.name, operator: In, values: [other]}]}]",
                false,
            ),
        ] {
            let selector: NodeSelector = from_yaml(&format!("nodeSelectorTerms: {terms}"));
            assert_eq!(matches(&selector, &labels, "bl"), expected, "{terms}");
        }
    }

    #[test]
    fn a_refusal_says_what_is_asked_for_and_what_is_there() {
        let found = findings(
            &from_yaml(&format!("{TOLERATED}\nnodeSelector: {{beamline: t02}}")),
            &node(),
        );
        assert_eq!(
            found[0].message,
            "the instance runs on nodes with the label `beamline=t02`, and `bl-1` has `beamline=t01`"
        );
        let found = findings(&from_yaml("{}"), &node());
        assert_eq!(
            found[0].message,
            "node `bl-1` has the taint `nodetype=t01:NoSchedule`, which the instance does not tolerate"
        );
    }
}
