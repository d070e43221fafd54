//! What happens to the volumes of a pod when it goes to another node: they follow, they stay behind, or they hold it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    HostPathVolumeSource, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodSpec, Volume,
};

use crate::fleet::kubernetes::placement::{About, Finding, node, scheduling};

/// Claims of the namespace and the volumes that they are bound to, by name.
#[derive(Debug, Clone, Default)]
pub struct Storage {
    /// Claims.
    pub claims: BTreeMap<String, PersistentVolumeClaim>,
    /// Volumes; what this login may not read is missing.
    pub volumes: BTreeMap<String, PersistentVolume>,
    /// Whether volumes could be read at all.
    pub volumes_are_known: bool,
    /// Whether this login may not read claims: one that is missing here may be there.
    pub claims_are_hidden: bool,
}

/// A move of a pod.
#[derive(Debug, Clone, Copy)]
pub struct Journey<'a> {
    /// The node it is on; `None` when it runs nowhere.
    pub from: Option<&'a str>,
    /// The node it goes to.
    pub to: &'a Node,
    /// Other pods of the namespace, wherever they run.
    pub others: &'a [&'a Pod],
}

/// What the volumes of a pod mean for a move.
pub fn findings(spec: &PodSpec, storage: &Storage, journey: &Journey<'_>) -> Vec<Finding> {
    let names_node = spec.node_name.as_ref().is_some_and(|name| !name.is_empty());
    spec.volumes
        .iter()
        .flatten()
        .flat_map(|volume| of_volume(volume, storage, journey, names_node))
        .collect()
}

fn of_volume(
    volume: &Volume,
    storage: &Storage,
    journey: &Journey<'_>,
    names_node: bool,
) -> Vec<Finding> {
    let from = journey.from.unwrap_or("the old node");
    if let Some(path) = &volume.host_path {
        return vec![host_path(&volume.name, path, journey)];
    }
    if volume.empty_dir.is_some() {
        return vec![Finding::notes(
            About::Volume,
            format!(
                "`{}` begins empty: what the IOC put there is gone with its old pod",
                volume.name
            ),
        )];
    }
    if volume.ephemeral.is_some() {
        return vec![Finding::warns(
            About::Volume,
            format!(
                "`{}` belongs to the pod: it is deleted with it, and the new pod gets an empty one",
                volume.name
            ),
        )];
    }
    if let Some(claim) = &volume.persistent_volume_claim {
        return of_claim(&claim.claim_name, storage, journey, names_node);
    }
    if volume.csi.is_some() {
        return vec![Finding::warns(
            About::Volume,
            format!(
                "`{}` is made by a driver on each node: ask whoever runs it whether what is on `{from}` follows",
                volume.name
            ),
        )];
    }
    // configuration, secrets, and file servers that every node reaches
    Vec::new()
}

fn host_path(name: &str, path: &HostPathVolumeSource, journey: &Journey<'_>) -> Finding {
    let to = node::name(journey.to);
    let kind = path.type_.as_deref().unwrap_or_default();
    let at = &path.path;
    if at.starts_with("/dev/") || matches!(kind, "CharDevice" | "BlockDevice") {
        return Finding::warns(
            About::Device,
            format!("`{to}` must have the device `{at}`, and it must be the same one: the cluster does not know devices"),
        )
        .hint(format!("look on `{to}` itself (`ls -l {at}`) before you move it"));
    }
    match kind {
        "Socket" => Finding::warns(About::Volume, format!("`{to}` must have the socket `{at}` (`{name}`)")),
        "DirectoryOrCreate" | "FileOrCreate" | "" => Finding::warns(
            About::Volume,
            format!(
                "what is in `{at}` on {} stays there; on `{to}` the IOC sees what is in `{at}` there, or nothing",
                journey.from.map_or("its node".to_owned(), |from| format!("`{from}`"))
            ),
        )
        .hint(format!("copy it to `{to}` while the IOC is stopped, if it needs it")),
        _ => Finding::warns(
            About::Volume,
            format!(
                "what is in `{at}` on {} stays there; `{to}` must have `{at}` too, or the pod does not start",
                journey.from.map_or("its node".to_owned(), |from| format!("`{from}`"))
            ),
        )
        .hint(format!("copy it to `{to}` while the IOC is stopped, if it needs it")),
    }
}

fn of_claim(
    name: &str,
    storage: &Storage,
    journey: &Journey<'_>,
    names_node: bool,
) -> Vec<Finding> {
    let to = node::name(journey.to);
    let Some(claim) = storage.claims.get(name) else {
        if storage.claims_are_hidden {
            let message = format!("whether there is a claim `{name}` is not known");
            return vec![Finding::warns(About::Volume, message)];
        }
        return vec![
            Finding::blocks(About::Volume, format!("there is no claim `{name}`"))
                .hint(format!("`kubectl get pvc {name}`; `ioc beamline init` makes those that the instances of a beamline share")),
        ];
    };
    let modes = claim
        .spec
        .as_ref()
        .and_then(|spec| spec.access_modes.clone())
        .unwrap_or_default();
    let bound_to = claim
        .spec
        .as_ref()
        .and_then(|spec| spec.volume_name.as_deref())
        .filter(|name| !name.is_empty());
    let Some(bound_to) = bound_to else {
        let message = format!("the claim `{name}` is not bound to a volume yet");
        return vec![if names_node {
            Finding::warns(
                About::Volume,
                format!(
                    "{message}, and a storage class that waits for the first pod never sees one that names its node"
                ),
            )
        } else {
            Finding::notes(
                About::Volume,
                format!("{message}: that happens when the pod starts"),
            )
        }];
    };
    let mut findings: Vec<Finding> = used_elsewhere(name, &modes, journey).into_iter().collect();
    let Some(volume) = storage.volumes.get(bound_to) else {
        if !storage.volumes_are_known {
            findings.push(Finding::warns(
                About::Volume,
                format!("whether the volume of `{name}` can be used on `{to}` is not known: this login may not read `persistentvolumes`"),
            ));
        }
        return findings;
    };
    let spec = volume.spec.as_ref();
    let required = spec
        .and_then(|spec| spec.node_affinity.as_ref())
        .and_then(|it| it.required.as_ref());
    let empty = BTreeMap::new();
    let labels = journey.to.metadata.labels.as_ref().unwrap_or(&empty);
    if let Some(required) = required
        && !scheduling::matches(required, labels, to)
    {
        let is_local = spec.is_some_and(|spec| spec.local.is_some() || spec.host_path.is_some());
        let where_it_is = journey
            .from
            .map_or("its node".to_owned(), |from| format!("`{from}`"));
        let what = if is_local {
            format!(
                "the volume of the claim `{name}` is a folder of {where_it_is} and cannot be used on `{to}`"
            )
        } else {
            format!("the volume of the claim `{name}` can only be used on other nodes than `{to}`")
        };
        findings.push(Finding::blocks(About::Volume, what).hint(format!(
            "back up what is in it, then delete the claim `{name}` and its volume, or give the instance a claim that every node reaches"
        )));
    } else if let Some(path) = spec.and_then(|spec| spec.host_path.as_ref()) {
        findings.push(Finding::warns(
            About::Volume,
            format!(
                "the volume of the claim `{name}` is the folder `{}` of whichever node the pod is on: what is there on {} stays there",
                path.path,
                journey.from.map_or("its node".to_owned(), |from| format!("`{from}`"))
            ),
        ));
    } else {
        findings.push(Finding::notes(
            About::Volume,
            format!("the claim `{name}` follows"),
        ));
    }
    findings
}

/// A volume for one node or one pod at a time, which somebody else has.
fn used_elsewhere(name: &str, modes: &[String], journey: &Journey<'_>) -> Option<Finding> {
    let has = |mode: &str| modes.iter().any(|one| one == mode);
    if has("ReadWriteMany") || has("ReadOnlyMany") {
        return None;
    }
    let to = node::name(journey.to);
    let user = journey.others.iter().find(|pod| {
        let Some(spec) = &pod.spec else { return false };
        let uses = spec.volumes.iter().flatten().any(|volume| {
            volume
                .persistent_volume_claim
                .as_ref()
                .is_some_and(|claim| claim.claim_name == name)
        });
        let is_there = spec.node_name.as_deref() == Some(to);
        uses && super::resource::is_live(pod) && (has("ReadWriteOncePod") || !is_there)
    })?;
    let pod = user.metadata.name.as_deref().unwrap_or_default();
    Some(
        Finding::blocks(
            About::Volume,
            format!(
                "the claim `{name}` is for one {} at a time, and pod `{pod}` has it",
                if has("ReadWriteOncePod") {
                    "pod"
                } else {
                    "node"
                }
            ),
        )
        .hint(format!("stop or move `{pod}` first")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::kubernetes::placement::Weight::{Blocks, Notes, Warns};
    use crate::fleet::kubernetes::placement::testing::{from_yaml, weights};

    fn storage() -> Storage {
        let claim = |name: &str, mode: &str, volume: &str| -> (String, PersistentVolumeClaim) {
            let text = format!(
                "metadata: {{name: {name}}}\nspec: {{accessModes: [{mode}], volumeName: '{volume}'}}"
            );
            (name.to_owned(), from_yaml(&text))
        };
        let volume = |name: &str, spec: &str| -> (String, PersistentVolume) {
            (
                name.to_owned(),
                from_yaml(&format!("metadata: {{name: {name}}}\nspec: {spec}")),
            )
        };
        let pinned = |node: &str| {
            format!(
                "{{local: {{path: /d}}, nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: \
             [{{key: kubernetes.io/hostname, operator: In, values: [{node}]}}]}}]}}}}}}"
            )
        };
        Storage {
            claims: [
                claim("shared", "ReadWriteMany", "nfs"),
                claim("single", "ReadWriteOnce", "nfs"),
                claim("pod", "ReadWriteOncePod", "nfs"),
                claim("local-a", "ReadWriteOnce", "local-a"),
                claim("local-b", "ReadWriteOnce", "local-b"),
                claim("path", "ReadWriteMany", "path"),
                claim("waiting", "ReadWriteOnce", ""),
                claim("unknown", "ReadWriteMany", "gone"),
            ]
            .into(),
            volumes: [
                volume("nfs", "{nfs: {server: s, path: /}}"),
                volume("local-a", &pinned("a")),
                volume("local-b", &pinned("b")),
                volume("path", "{hostPath: {path: /d}}"),
            ]
            .into(),
            volumes_are_known: false,
            claims_are_hidden: false,
        }
    }

    #[test]
    fn volumes_follow_stay_or_hold() {
        let to: Node = from_yaml("metadata: {name: b, labels: {kubernetes.io/hostname: b}}");
        let user = |claim: &str, node: &str| -> Pod {
            from_yaml(&format!(
                "metadata: {{name: other}}\nspec: {{nodeName: {node}, containers: [], volumes: [{{name: v, persistentVolumeClaim: {{claimName: {claim}}}}}]}}"
            ))
        };
        let claim =
            |name: &str| format!("{{name: v, persistentVolumeClaim: {{claimName: {name}}}}}");
        let cases = [
            ("{name: v, configMap: {name: c}}".to_owned(), None, vec![]),
            (
                "{name: v, nfs: {server: s, path: /}}".to_owned(),
                None,
                vec![],
            ),
            ("{name: v, emptyDir: {}}".to_owned(), None, vec![Notes]),
            ("{name: v, ephemeral: {}}".to_owned(), None, vec![Warns]),
            (
                "{name: v, hostPath: {path: /data}}".to_owned(),
                None,
                vec![Warns],
            ),
            (
                "{name: v, hostPath: {path: /data, type: Directory}}".to_owned(),
                None,
                vec![Warns],
            ),
            (
                "{name: v, hostPath: {path: /dev/ttyS0, type: CharDevice}}".to_owned(),
                None,
                vec![Warns],
            ),
            (claim("missing"), None, vec![Blocks]),
            (claim("shared"), None, vec![Notes]),
            (claim("shared"), Some(("shared", "a")), vec![Notes]),
            (claim("single"), Some(("single", "a")), vec![Blocks, Notes]),
            (claim("single"), Some(("single", "b")), vec![Notes]),
            (claim("single"), Some(("shared", "a")), vec![Notes]),
            (claim("pod"), Some(("pod", "b")), vec![Blocks, Notes]),
            (claim("local-a"), None, vec![Blocks]),
            (claim("local-b"), None, vec![Notes]),
            (claim("path"), None, vec![Warns]),
            (claim("waiting"), None, vec![Notes]),
            (claim("unknown"), None, vec![Warns]),
            ("{name: v, csi: {driver: d}}".to_owned(), None, vec![Warns]),
        ];
        for (volume, other, expected) in cases {
            let spec: PodSpec = from_yaml(&format!("containers: []\nvolumes: [{volume}]"));
            let other = other.map(|(claim, node)| user(claim, node));
            let others: Vec<&Pod> = other.iter().collect();
            let journey = Journey {
                from: Some("a"),
                to: &to,
                others: &others,
            };
            let found = findings(&spec, &storage(), &journey);
            assert_eq!(weights(&found), expected, "{volume}: {found:?}");
        }
        let spec: PodSpec = from_yaml(&format!(
            "nodeName: b\ncontainers: []\nvolumes: [{}]",
            claim("waiting")
        ));
        let journey = Journey {
            from: None,
            to: &to,
            others: &[],
        };
        assert_eq!(weights(&findings(&spec, &storage(), &journey)), [Warns]);
    }
}
