//! What a node says of itself: whether it is there, whether it takes pods, where it is.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition};

use crate::fleet::kubernetes::placement::{About, Finding};

/// Label by which a node is known.
pub const HOSTNAME: &str = "kubernetes.io/hostname";

/// Whether the kubelet of a node tells that it is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// It takes and runs pods.
    Ready,
    /// The kubelet reports, but says that it is not ready.
    NotReady,
    /// The kubelet does not report: switched off, crashed, or cut from the control plane.
    Silent,
}

/// Name of a node.
pub fn name(node: &Node) -> &str {
    node.metadata.name.as_deref().unwrap_or_default()
}

/// A label of a node.
pub fn label<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

/// Its address inside the cluster.
pub fn address(node: &Node) -> Option<&str> {
    let addresses = node.status.as_ref()?.addresses.as_ref()?;
    addresses
        .iter()
        .find(|address| address.type_ == "InternalIP")
        .map(|address| address.address.as_str())
}

/// One of its conditions.
pub fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Whether it is well.
pub fn readiness(node: &Node) -> Readiness {
    match condition(node, "Ready").map(|condition| condition.status.as_str()) {
        Some("True") => Readiness::Ready,
        Some("False") => Readiness::NotReady,
        // `Unknown` is what the control plane writes when the kubelet is silent
        _ => Readiness::Silent,
    }
}

/// Since when it is as it is.
pub fn since(node: &Node) -> Option<Timestamp> {
    condition(node, "Ready")?
        .last_transition_time
        .as_ref()
        .map(|time| time.0)
}

/// Whether it was taken out of service with `kubectl cordon`.
pub fn is_cordoned(node: &Node) -> bool {
    node.spec
        .as_ref()
        .and_then(|spec| spec.unschedulable)
        .unwrap_or(false)
}

/// What its state means for a new pod. `bypasses_scheduler`: the pod names the node itself.
pub fn findings(node: &Node, bypasses_scheduler: bool) -> Vec<Finding> {
    let name = name(node);
    let mut findings = Vec::new();
    let why = condition(node, "Ready").and_then(|condition| condition.message.clone());
    let why = why
        .filter(|text| !text.is_empty())
        .map_or_else(String::new, |text| format!(": {text}"));
    match readiness(node) {
        Readiness::Ready => {}
        Readiness::NotReady => findings.push(Finding::blocks(
            About::Node,
            format!("node `{name}` is not ready{why}"),
        )),
        Readiness::Silent => findings.push(
            Finding::blocks(
                About::Node,
                format!("node `{name}` is silent: it is off, or cut from the control plane{why}"),
            )
            .hint(format!(
                "`ioc node {name}` tells what that means for its IOCs"
            )),
        ),
    }
    if is_cordoned(node) {
        let message = format!("node `{name}` takes no new pods (cordoned)");
        findings.push(if bypasses_scheduler {
            Finding::warns(
                About::Node,
                format!("{message}, but the instance names it itself"),
            )
        } else {
            Finding::blocks(About::Node, message)
                .hint(format!("`kubectl uncordon {name}` ends that"))
        });
    }
    for (kind, what) in [
        ("MemoryPressure", "is short of memory"),
        ("DiskPressure", "is short of disk space"),
        ("PIDPressure", "has too many processes"),
        ("NetworkUnavailable", "has no pod network"),
    ] {
        if condition(node, kind).is_some_and(|condition| condition.status == "True") {
            findings.push(Finding::warns(About::Node, format!("node `{name}` {what}")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::kubernetes::placement::Weight;
    use crate::fleet::kubernetes::placement::testing::{from_yaml, weights};

    #[test]
    fn only_a_node_that_reports_ready_takes_pods() {
        let node = |spec: &str, status: &str| -> Node {
            from_yaml(&format!(
                "metadata: {{name: a}}\nspec: {spec}\nstatus: {{conditions: [{status}]}}\n"
            ))
        };
        let ready = "{type: Ready, status: 'True'}";
        for (spec, conditions, bypasses, expected) in [
            ("{}", ready.to_owned(), false, vec![]),
            (
                "{}",
                "{type: Ready, status: 'False', message: no runtime}".to_owned(),
                false,
                vec![Weight::Blocks],
            ),
            (
                "{}",
                "{type: Ready, status: Unknown}".to_owned(),
                true,
                vec![Weight::Blocks],
            ),
            (
                "{}",
                "{type: MemoryPressure, status: 'True'}".to_owned(),
                false,
                vec![Weight::Blocks, Weight::Warns],
            ),
            (
                "{unschedulable: true}",
                ready.to_owned(),
                false,
                vec![Weight::Blocks],
            ),
            (
                "{unschedulable: true}",
                ready.to_owned(),
                true,
                vec![Weight::Warns],
            ),
        ] {
            let found = findings(&node(spec, &conditions), bypasses);
            assert_eq!(weights(&found), expected, "{spec} {conditions}: {found:?}");
        }
    }
}
