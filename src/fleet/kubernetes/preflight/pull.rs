//! Images that nodes would have to pull, and what the registries say to that. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, PodSpec};

use crate::diagnostic::Diagnostic;
use crate::fleet::kubernetes::placement::{image, node};
use crate::registry::existence::Existence;

/// Nodes that are told when only some have an image.
const MOST_TOLD: usize = 3;

/// An image that some node would pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// In its full form: registry, path, tag or digest.
    pub image: String,
    /// Nodes that could run it without.
    on: Vec<String>,
}

/// The images of a pod that one of these nodes would pull.
pub(super) fn of(spec: &PodSpec, nodes: &[&Node]) -> Vec<Pull> {
    let mut pulls: Vec<Pull> = Vec::new();
    for container in spec
        .init_containers
        .iter()
        .flatten()
        .chain(&spec.containers)
    {
        let Some(reference) = &container.image else {
            continue;
        };
        let pull = Pull {
            image: image::full(reference),
            on: nodes
                .iter()
                .filter(|node| !image::has_to_pull(container, node))
                .map(|node| node::name(node).to_owned())
                .collect(),
        };
        if pull.on.len() < nodes.len() && !pulls.contains(&pull) {
            pulls.push(pull);
        }
    }
    pulls
}

/// What the answers of the registries mean for an instance.
pub fn findings(
    instance: &str,
    pulls: &[Pull],
    answers: &BTreeMap<String, Existence>,
) -> Vec<Diagnostic> {
    pulls
        .iter()
        .filter_map(|pull| finding(instance, pull, answers.get(&pull.image)?))
        .collect()
}

fn finding(instance: &str, pull: &Pull, answer: &Existence) -> Option<Diagnostic> {
    let (diagnostic, hints) = match answer {
        Existence::There => return None,
        Existence::Missing { what, hints } if pull.on.is_empty() => (
            Diagnostic::error(format!("`{instance}`: its image cannot be pulled: {what}")),
            hints,
        ),
        Existence::Missing { what, hints } => {
            let more = pull.on.len().saturating_sub(MOST_TOLD);
            let mut on: Vec<String> = pull.on.iter().map(|name| format!("`{name}`")).collect();
            on.truncate(MOST_TOLD);
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let on = on.join(", ");
            (
                Diagnostic::warning(format!(
                    "`{instance}`: its image cannot be pulled, and only {on}{more} could run it: {what}"
                )),
                hints,
            )
        }
        // the same for all instances of the image
        Existence::Unknown { why, hints } => (
            Diagnostic::warning(format!(
                "whether `{}` can be pulled is not known from here: {why}",
                pull.image
            )),
            hints,
        ),
    };
    Some(match hints.first() {
        Some(hint) => diagnostic.hint(hint.clone()),
        None => diagnostic,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Severity;
    use crate::fleet::kubernetes::placement::testing::from_yaml;

    fn nodes() -> Vec<Node> {
        ["a: ['site:5000/sim:1']", "b: []"]
            .iter()
            .map(|node| {
                let (name, images) = node.split_once(": ").unwrap();
                from_yaml(&format!(
                    "metadata: {{name: {name}}}\nstatus: {{images: [{{names: {images}}}]}}"
                ))
            })
            .collect()
    }

    #[test]
    fn what_a_node_has_or_may_not_pull_is_asked_of_no_registry() {
        for (container, on_a, on_both) in [
            ("image: 'site:5000/sim:1'", 0, 1),
            ("image: 'site:5000/sim:1', imagePullPolicy: Always", 1, 1),
            ("image: 'site:5000/sim:2'", 1, 1),
            ("image: 'site:5000/sim:2', imagePullPolicy: Never", 0, 0),
            ("image: 'localhost/sim:2'", 0, 0),
        ] {
            let spec: PodSpec = from_yaml(&format!(
                "initContainers: [{{name: i, {container}}}]\ncontainers: [{{name: c, {container}}}]"
            ));
            let nodes = nodes();
            assert_eq!(of(&spec, &[&nodes[0]]).len(), on_a, "{container}");
            assert_eq!(
                of(&spec, &nodes.iter().collect::<Vec<_>>()).len(),
                on_both,
                "{container}"
            );
        }
    }

    #[test]
    fn answers_of_registries() {
        let pull = |on: &[&str]| Pull {
            image: "site:5000/sim:2".to_owned(),
            on: on.iter().map(|&name| name.to_owned()).collect(),
        };
        let missing = Existence::Missing {
            what: "`site:5000/sim` has no tag `2`".to_owned(),
            hints: vec!["it has `1`".to_owned()],
        };
        let unknown = Existence::Unknown {
            why: "the registry `site:5000` cannot be reached".to_owned(),
            hints: Vec::new(),
        };
        for (on, answer, expected) in [
            (&[][..], &Existence::There, None),
            (
                &[],
                &missing,
                Some((
                    Severity::Error,
                    "`i`: its image cannot be pulled: `site:5000/sim` has no tag `2`",
                )),
            ),
            (
                &["a", "b", "c", "d"],
                &missing,
                Some((
                    Severity::Warning,
                    "`i`: its image cannot be pulled, and only `a`, `b`, `c` and 1 more could run it: `site:5000/sim` has no tag `2`",
                )),
            ),
            (
                &[],
                &unknown,
                Some((
                    Severity::Warning,
                    "whether `site:5000/sim:2` can be pulled is not known from here: the registry `site:5000` cannot be reached",
                )),
            ),
        ] {
            let answers = BTreeMap::from([("site:5000/sim:2".to_owned(), answer.clone())]);
            let found = findings("i", &[pull(on)], &answers);
            let found = found
                .first()
                .map(|finding| (finding.severity, finding.message.as_str()));
            assert_eq!(found, expected);
        }
    }
}
