//! Images: whether a node has them, and whether it could get them.

use k8s_openapi::api::core::v1::{Container, Node, PodSpec};

use crate::fleet::kubernetes::placement::{About, Finding, node};

/// The kubelet tells of so many images at most, so a node with this many may have others too.
const MOST_REPORTED: usize = 50;

/// What stands in place of a registry for images that none has; a registry on the node itself has a port.
const LOCAL: &str = "localhost";

/// An image reference in its full form: registry, path, tag or digest.
pub fn full(reference: &str) -> String {
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (reference, None),
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    let (name, tag) = match last.rsplit_once(':') {
        Some((_, tag)) => (&name[..name.len() - tag.len() - 1], Some(tag)),
        None => (name, None),
    };
    let first = name.split('/').next().unwrap_or(name);
    let has_registry = name.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    let name = if has_registry {
        name.to_owned()
    } else if name.contains('/') {
        format!("docker.io/{name}")
    } else {
        format!("docker.io/library/{name}")
    };
    match (digest, tag) {
        (Some(digest), _) => format!("{name}@{digest}"),
        (None, tag) => format!("{name}:{}", tag.unwrap_or("latest")),
    }
}

/// The registry of a reference.
pub fn registry(reference: &str) -> String {
    let full = full(reference);
    full.split('/').next().unwrap_or_default().to_owned()
}

/// Whether the node says that it has the image.
pub fn is_on(node: &Node, reference: &str) -> bool {
    let wanted = full(reference);
    names(node).any(|name| full(name) == wanted)
}

fn names(node: &Node) -> impl Iterator<Item = &str> {
    let images = node
        .status
        .as_ref()
        .and_then(|status| status.images.as_deref());
    images
        .unwrap_or_default()
        .iter()
        .flat_map(|image| image.names.iter().flatten())
        .map(String::as_str)
}

fn count(node: &Node) -> usize {
    node.status
        .as_ref()
        .and_then(|status| status.images.as_ref())
        .map_or(0, Vec::len)
}

/// When the node has to pull an image: `Always`, `IfNotPresent` or `Never`; what stands for nothing depends on the tag.
fn policy(container: &Container) -> &str {
    let image = container.image.as_deref().unwrap_or_default();
    match container.image_pull_policy.as_deref() {
        Some(policy) if !policy.is_empty() => policy,
        _ if full(image).ends_with(":latest") => "Always",
        _ => "IfNotPresent",
    }
}

/// Whether a node asks a registry for the image of a container before it can run it.
pub fn has_to_pull(container: &Container, node: &Node) -> bool {
    let image = container.image.as_deref().unwrap_or_default();
    match policy(container) {
        _ if registry(image) == LOCAL => false,
        "Never" => false,
        "Always" => true,
        _ => !is_on(node, image),
    }
}

/// What the images of a pod mean on `node`.
pub fn findings(spec: &PodSpec, node: &Node) -> Vec<Finding> {
    let name = node::name(node);
    let mut findings = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for container in spec
        .init_containers
        .iter()
        .flatten()
        .chain(&spec.containers)
    {
        let Some(image) = container
            .image
            .as_deref()
            .filter(|image| !seen.contains(image))
        else {
            continue;
        };
        seen.push(image);
        let policy = policy(container);
        let is_there = is_on(node, image);
        let registry = registry(image);
        let has_registry = registry != LOCAL;
        let may_be_there = count(node) >= MOST_REPORTED;
        let missing = format!("node `{name}` does not have the image `{image}`");
        let load = format!(
            "load it into the container engine of `{name}` (a node tells of a new image within a minute: if it was loaded just now, try again then), or push it to a registry that the nodes reach"
        );
        findings.extend(match (is_there, policy) {
            (true, "Always") => Some(Finding::notes(
                About::Image,
                format!("node `{name}` has `{image}`, and asks {registry} for it all the same (`imagePullPolicy: Always`)"),
            )),
            (true, _) => None,
            (false, "Never") if may_be_there => Some(Finding::warns(
                About::Image,
                format!("{missing} among those it tells of, and may not pull it (`imagePullPolicy: Never`)"),
            )),
            (false, "Never") => Some(
                Finding::blocks(About::Image, format!("{missing} and may not pull it (`imagePullPolicy: Never`)")).hint(load),
            ),
            (false, _) if has_registry => Some(Finding::notes(
                About::Image,
                format!("{missing} yet: it is pulled from {registry}, which takes a while the first time"),
            )),
            (false, _) if may_be_there => Some(Finding::warns(
                About::Image,
                format!("{missing} among those it tells of, and `localhost` is no registry to pull it from"),
            )),
            (false, _) => Some(
                Finding::blocks(About::Image, format!("{missing}, and `localhost` is no registry to pull it from")).hint(load),
            ),
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::kubernetes::placement::Weight::{Blocks, Notes};
    use crate::fleet::kubernetes::placement::testing::{from_yaml, weights};

    #[test]
    fn references_in_full() {
        for (reference, expected) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("a/b:1", "docker.io/a/b:1"),
            ("localhost/ioc:1", "localhost/ioc:1"),
            ("localhost:5000/ioc", "localhost:5000/ioc:latest"),
            ("ghcr.io/a/b:1@sha256:00", "ghcr.io/a/b@sha256:00"),
            ("host:5000/a", "host:5000/a:latest"),
        ] {
            assert_eq!(full(reference), expected, "{reference}");
        }
        assert_eq!(registry("localhost:5000/ioc"), "localhost:5000");
    }

    #[test]
    fn what_a_node_has_and_can_get() {
        let node: Node = from_yaml(
            "metadata: {name: bl}\nstatus: {images: [{names: ['localhost/sim:1', 'ghcr.io/a/b@sha256:00', 'ghcr.io/a/b:2']}]}",
        );
        for (image, policy, expected) in [
            ("localhost/sim:1", "IfNotPresent", vec![]),
            ("localhost/sim:1", "", vec![]),
            ("localhost/sim:1", "Always", vec![Notes]),
            ("localhost/other:1", "IfNotPresent", vec![Blocks]),
            ("ghcr.io/a/b:2", "IfNotPresent", vec![]),
            ("ghcr.io/a/b:9@sha256:00", "IfNotPresent", vec![]),
            ("ghcr.io/a/b:3", "IfNotPresent", vec![Notes]),
            ("ghcr.io/a/b:3", "Never", vec![Blocks]),
        ] {
            let policy = if policy.is_empty() {
                String::new()
            } else {
                format!(", imagePullPolicy: {policy}")
            };
            let spec: PodSpec = from_yaml(&format!(
                "containers: [{{name: c, image: '{image}'{policy}}}]"
            ));
            let found = findings(&spec, &node);
            assert_eq!(weights(&found), expected, "{image} {policy}: {found:?}");
        }
    }
}
