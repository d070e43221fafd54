//! What happens to the pods of a node that fails: who moves by itself and when, who stays until somebody acts, and the
//! command for it.
//!
//! A node that is silent is given up after a while and tainted; its pods are told to end after the time that they
//! tolerate that, but nobody is there to end them. A Deployment makes another pod at once. A StatefulSet waits until
//! the old pod is gone for certain: two with one name would be two IOCs with the same PVs. Only a person who knows that
//! the node is off can say so. A node that is not ready but reports ends its pods itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, PodSpec, Taint};
use serde::Serialize;

use crate::fleet::kubernetes::placement::check::{self, Around};
use crate::fleet::kubernetes::placement::node::{self, Readiness};
use crate::fleet::kubernetes::placement::volume::Storage;
use crate::fleet::kubernetes::placement::workload::{self, Owner};
use crate::fleet::kubernetes::placement::{pin, scheduling};

/// Until a silent node is given up, in seconds: the usual `node-monitor-grace-period` of the controller manager. A site
/// may have set another.
pub const DETECTED_AFTER: u64 = 50;

/// Why forcing a pod away needs a person.
pub const TWO_AT_ONCE: &str = "only when the node is off or cut from the beamline's network for certain: if its IOC still runs, two IOCs with the same PVs drive the same hardware";

/// What is known of the cluster.
#[derive(Debug, Clone, Copy)]
pub struct Cluster<'a> {
    /// All nodes.
    pub nodes: &'a [Node],
    /// All pods that may be seen.
    pub pods: &'a [Pod],
    /// Pod templates by namespace and owner; a pod itself names the node that it was given.
    pub templates: &'a BTreeMap<(String, Owner), PodSpec>,
    /// Claims and volumes by namespace.
    pub storage: &'a BTreeMap<String, Storage>,
}

/// How it ends for a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ends {
    /// It stays away until somebody acts.
    NeedsYou,
    /// It is deleted and nobody makes it again.
    Lost,
    /// Another one starts on another node.
    Moves,
    /// It belongs to the node and comes back with it.
    BelongsToNode,
}

/// How far it has come on a node that has failed already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Progress {
    /// It is told to end at that time.
    Waiting {
        /// When; `None` when it tolerates a silent node forever.
        until: Option<Timestamp>,
    },
    /// It was told to end, and nobody is there to do it.
    StuckTerminating {
        /// Since when.
        since: Timestamp,
    },
}

/// What a failure of its node means for a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// Namespace.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Name of the instance, for an IOC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Who makes it again.
    pub owner: Owner,
    /// How it ends.
    pub ends: Ends,
    /// Seconds from the failure until another one starts, for one that moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_seconds: Option<u64>,
    /// Why, in words.
    pub because: String,
    /// Nodes that can take it as it is.
    pub can_go_to: Vec<String>,
    /// Nodes that could take it if it were held to them.
    pub could_move_to: Vec<String>,
    /// What to type, in order; empty when nothing has to be done or nothing helps.
    pub commands: Vec<String>,
    /// Whether the commands are safe only when the node is off.
    pub only_when_off: bool,
    /// On a node that has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// What becomes of every pod of `node`, those that need somebody first.
pub fn fates(node: &Node, cluster: &Cluster<'_>) -> Vec<Fate> {
    let name = node::name(node);
    let has_failed = node::readiness(node) != Readiness::Ready;
    let mut fates: Vec<Fate> = cluster
        .pods
        .iter()
        .filter(|pod| check::node_of(pod) == Some(name) && super::resource::is_live(pod))
        .map(|pod| {
            let mut fate = fate(pod, name, node::readiness(node), cluster);
            if has_failed && fate.ends != Ends::BelongsToNode {
                fate.progress = Some(progress(pod, node));
            }
            fate
        })
        .collect();
    fates.sort_by(|one, other| {
        (one.ends, &one.namespace, &one.pod).cmp(&(other.ends, &other.namespace, &other.pod))
    });
    fates
}

/// Seconds that a pod tolerates a silent node; `None` for ever.
pub fn tolerated_seconds(spec: &PodSpec) -> Option<u64> {
    let taint = unreachable();
    let matching: Vec<_> = spec
        .tolerations
        .iter()
        .flatten()
        .filter(|toleration| scheduling::is_for(toleration, &taint))
        .collect();
    if matching.is_empty() {
        return Some(0);
    }
    // the shortest counts; without a number it is for ever
    matching
        .iter()
        .filter_map(|toleration| toleration.toleration_seconds)
        .min()
        .map(|seconds| u64::try_from(seconds).unwrap_or(0))
}

fn unreachable() -> Taint {
    Taint {
        key: "node.kubernetes.io/unreachable".to_owned(),
        effect: "NoExecute".to_owned(),
        ..Taint::default()
    }
}

fn progress(pod: &Pod, node: &Node) -> Progress {
    if let Some(since) = &pod.metadata.deletion_timestamp {
        return Progress::StuckTerminating { since: since.0 };
    }
    let tainted = node
        .spec
        .iter()
        .flat_map(|spec| spec.taints.iter().flatten())
        .find(|taint| taint.effect == "NoExecute" && taint.key.starts_with("node.kubernetes.io/"))
        .and_then(|taint| taint.time_added.as_ref())
        .map(|time| time.0);
    let until = pod
        .spec
        .as_ref()
        .and_then(tolerated_seconds)
        .zip(tainted.or_else(|| node::since(node)))
        .and_then(|(seconds, since)| {
            let seconds = i64::try_from(seconds).ok()?;
            since
                .checked_add(jiff::SignedDuration::from_secs(seconds))
                .ok()
        });
    Progress::Waiting { until }
}

fn fate(pod: &Pod, node: &str, state: Readiness, cluster: &Cluster<'_>) -> Fate {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (namespace, name) = (text(&pod.metadata.namespace), text(&pod.metadata.name));
    let owner = workload::owner(pod);
    let tolerated = pod.spec.as_ref().map_or(Some(0), tolerated_seconds);
    let mut fate = Fate {
        instance: workload::instance(pod),
        ends: Ends::NeedsYou,
        after_seconds: None,
        because: String::new(),
        can_go_to: Vec::new(),
        could_move_to: Vec::new(),
        commands: Vec::new(),
        only_when_off: false,
        progress: None,
        namespace,
        pod: name,
        owner,
    };
    let is_mirror = pod
        .metadata
        .annotations
        .as_ref()
        .is_some_and(|annotations| annotations.contains_key("kubernetes.io/config.mirror"));
    match &fate.owner {
        Owner::DaemonSet(_) | Owner::Node(_) => {
            fate.ends = Ends::BelongsToNode;
            "it belongs to the node and comes back with it".clone_into(&mut fate.because);
            return fate;
        }
        Owner::Nobody if is_mirror => {
            fate.ends = Ends::BelongsToNode;
            "the node itself starts it".clone_into(&mut fate.because);
            return fate;
        }
        Owner::Nobody => {
            fate.ends = Ends::Lost;
            "nobody makes it again".clone_into(&mut fate.because);
            return fate;
        }
        _ => {}
    }
    places(&mut fate, pod, node, cluster);
    match &fate.owner {
        Owner::StatefulSet(_) if state == Readiness::NotReady => {
            is_ended_first(&mut fate, tolerated);
        }
        Owner::StatefulSet(_) => stays(&mut fate),
        Owner::Other(words) => {
            fate.because = format!("it depends on {words}, which is not known here");
        }
        _ => may_move(&mut fate, tolerated),
    }
    fate
}

/// Which other nodes can take it.
fn places(fate: &mut Fate, pod: &Pod, node: &str, cluster: &Cluster<'_>) {
    let key = (fate.namespace.clone(), fate.owner.clone());
    let template = cluster.templates.get(&key).cloned().or_else(|| {
        // without its template: what the scheduler chose is not what it asked for
        let mut spec = pod.spec.clone()?;
        spec.node_name = None;
        Some(spec)
    });
    let Some(template) = template else { return };
    let nothing = Storage::default();
    let instance = fate.owner.name().unwrap_or(&fate.pod).to_owned();
    let around = Around {
        instance: &instance,
        namespace: &fate.namespace,
        is_ioc: fate.instance.is_some(),
        from: Some(node),
        pods: cluster.pods,
        storage: cluster.storage.get(&fate.namespace).unwrap_or(&nothing),
    };
    let mut can = Vec::new();
    let mut could = Vec::new();
    for other in cluster
        .nodes
        .iter()
        .filter(|other| node::name(other) != node)
    {
        let name = node::name(other).to_owned();
        if check::is_possible(&check::check(&template, other, &around)) {
            can.push(name);
        } else if pin::spec(&template, other)
            .is_some_and(|pinned| check::is_possible(&check::check(&pinned, other, &around)))
        {
            could.push(name);
        }
    }
    fate.can_go_to = can;
    fate.could_move_to = could;
}

/// A pod of a StatefulSet.
fn stays(fate: &mut Fate) {
    fate.only_when_off = true;
    let namespace = &fate.namespace;
    let why = "a StatefulSet makes no second pod while the first may still run";
    match (
        &fate.instance,
        fate.can_go_to.first(),
        fate.could_move_to.first(),
    ) {
        (Some(instance), Some(_), _) => {
            fate.because = format!("{why}; then it can go to {}", list(&fate.can_go_to));
            fate.commands.push(format!(
                "ioc restart {instance} -n {namespace} --node-is-off"
            ));
        }
        (Some(instance), None, Some(to)) => {
            fate.because = format!(
                "{why}, and it is held to its node; it could go to {}",
                list(&fate.could_move_to)
            );
            fate.commands.push(format!(
                "ioc move {instance} {to} -n {namespace} --node-is-off"
            ));
        }
        (None, Some(_), _) => {
            fate.because = format!("{why}; then it can go to {}", list(&fate.can_go_to));
            fate.commands.push(format!(
                "kubectl delete pod -n {namespace} {} --force --grace-period=0",
                fate.pod
            ));
        }
        _ => {
            fate.only_when_off = false;
            fate.because = format!("{why}, and no other node can take it: bring its node back");
        }
    }
}

/// A pod of a StatefulSet on a node that is not ready and whose kubelet reports: the kubelet ends it, if it still can.
fn is_ended_first(fate: &mut Fate, tolerated: Option<u64>) {
    let namespace = &fate.namespace;
    let why = "its node reports, so it is ended there before it starts elsewhere";
    match (
        &fate.instance,
        fate.can_go_to.is_empty(),
        fate.could_move_to.first(),
    ) {
        (_, false, _) => {
            fate.because = format!("{why}; then it can go to {}", list(&fate.can_go_to));
            if tolerated.is_some() {
                fate.ends = Ends::Moves;
                fate.after_seconds = tolerated;
            } else if let Some(instance) = &fate.instance {
                fate.commands
                    .push(format!("ioc restart {instance} -n {namespace}"));
            }
        }
        (Some(instance), true, Some(to)) => {
            fate.because = format!(
                "{why}, and it is held to its node; it could go to {}",
                list(&fate.could_move_to)
            );
            fate.commands
                .push(format!("ioc move {instance} {to} -n {namespace}"));
        }
        _ => "no other node can take it: mend its node".clone_into(&mut fate.because),
    }
}

/// A pod of something that makes another one as soon as this one is told to end.
fn may_move(fate: &mut Fate, tolerated: Option<u64>) {
    let namespace = &fate.namespace;
    match (tolerated, fate.can_go_to.is_empty()) {
        (Some(seconds), false) => {
            fate.ends = Ends::Moves;
            fate.after_seconds = Some(DETECTED_AFTER.saturating_add(seconds));
            fate.because = format!(
                "it tolerates a silent node for {seconds} s; then it can go to {}",
                list(&fate.can_go_to)
            );
            if fate.instance.is_some() {
                fate.because
                    .push_str(", even if the node is only cut off and its IOC still runs");
            }
        }
        (None, false) => {
            fate.because = format!(
                "it tolerates a silent node for ever; it can go to {}",
                list(&fate.can_go_to)
            );
            fate.commands.push(format!(
                "kubectl delete pod -n {namespace} {} --wait=false",
                fate.pod
            ));
            fate.only_when_off = true;
        }
        (_, true) => match (&fate.instance, fate.could_move_to.first()) {
            (Some(instance), Some(to)) => {
                fate.because = format!(
                    "it is held to its node; it could go to {}",
                    list(&fate.could_move_to)
                );
                fate.commands.push(format!(
                    "ioc move {instance} {to} -n {namespace} --node-is-off"
                ));
                fate.only_when_off = true;
            }
            _ => "no other node can take it: bring its node back".clone_into(&mut fate.because),
        },
    }
}

fn list(names: &[String]) -> String {
    match names {
        [one, two, three, _, ..] => {
            format!("`{one}`, `{two}`, `{three}` and {} more", names.len() - 3)
        }
        few => few
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::kubernetes::placement::testing::from_yaml;

    fn node(name: &str, ready: &str) -> Node {
        from_yaml(&format!(
            "metadata: {{name: {name}, labels: {{beamline: t01, kubernetes.io/hostname: {name}}}}}\n\
             spec: {{taints: [{{key: node.kubernetes.io/unreachable, effect: NoExecute, timeAdded: '2026-11-26T03:00:50Z'}}]}}\n\
             status: {{conditions: [{{type: Ready, status: '{ready}', lastTransitionTime: '2026-11-26T03:00:49Z'}}], images: [{{names: ['localhost/a:1']}}]}}\n"
        ))
    }

    /// A pod of instance `i` on node `a`: its owner, its labels, and more of its specification.
    fn pod(owner: &str, labels: &str, more: &str) -> Pod {
        let owner = match owner {
            "" => String::new(),
            kind => format!(
                "ownerReferences: [{{apiVersion: apps/v1, uid: u, kind: {kind}, name: i-5d, controller: true}}], "
            ),
        };
        from_yaml(&format!(
            "metadata: {{namespace: t01, {owner}name: i-0, labels: {{{labels}pod-template-hash: 5d}}}}\n\
             spec: {{nodeName: a, {more}containers: [{{name: i, image: 'localhost/a:1'}}]}}\n"
        ))
    }

    const DEFAULT: &str = "tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 300}], ";
    const HELD: &str = "nodeSelector: {kubernetes.io/hostname: a}, ";
    const IOC: &str = "ioc: 'true', ";

    fn one(pod: Pod, ready: &str) -> Fate {
        let nodes = [node("a", ready), node("b", "True")];
        let (templates, storage) = (BTreeMap::new(), BTreeMap::new());
        let pods = [pod];
        let cluster = Cluster {
            nodes: &nodes,
            pods: &pods,
            templates: &templates,
            storage: &storage,
        };
        fates(&nodes[0], &cluster).remove(0)
    }

    #[test]
    fn who_moves_who_stays_and_what_to_type() {
        let held = format!("{HELD}{DEFAULT}");
        for (owner, labels, more, ends, after, command) in [
            (
                "StatefulSet",
                IOC,
                DEFAULT,
                Ends::NeedsYou,
                None,
                "ioc restart i-5d -n t01 --node-is-off",
            ),
            (
                "StatefulSet",
                IOC,
                held.as_str(),
                Ends::NeedsYou,
                None,
                "ioc move i-5d b -n t01 --node-is-off",
            ),
            (
                "StatefulSet",
                "",
                DEFAULT,
                Ends::NeedsYou,
                None,
                "kubectl delete pod -n t01 i-0 --force --grace-period=0",
            ),
            ("StatefulSet", "", held.as_str(), Ends::NeedsYou, None, ""),
            ("ReplicaSet", IOC, DEFAULT, Ends::Moves, Some(350), ""),
            ("ReplicaSet", IOC, "", Ends::Moves, Some(50), ""),
            (
                "ReplicaSet",
                IOC,
                "tolerations: [{operator: Exists}], ",
                Ends::NeedsYou,
                None,
                "kubectl delete pod -n t01 i-0 --wait=false",
            ),
            (
                "ReplicaSet",
                IOC,
                held.as_str(),
                Ends::NeedsYou,
                None,
                "ioc move i b -n t01 --node-is-off",
            ),
            ("ReplicaSet", "", held.as_str(), Ends::NeedsYou, None, ""),
            ("DaemonSet", "", DEFAULT, Ends::BelongsToNode, None, ""),
            ("Node", "", DEFAULT, Ends::BelongsToNode, None, ""),
            ("Job", "", DEFAULT, Ends::Moves, Some(350), ""),
            ("", "", DEFAULT, Ends::Lost, None, ""),
            ("Rollout", "", DEFAULT, Ends::NeedsYou, None, ""),
        ] {
            let fate = one(pod(owner, labels, more), "True");
            let commands = fate.commands.join("; ");
            assert_eq!(
                (fate.ends, fate.after_seconds, commands.as_str()),
                (ends, after, command),
                "{owner} {labels} {more}: {fate:?}"
            );
            assert_eq!(fate.progress, None);
            assert_eq!(fate.only_when_off, !command.is_empty());
        }
    }

    #[test]
    fn a_node_that_is_not_ready_and_reports_ends_its_pods_itself() {
        let held = format!("{HELD}{DEFAULT}");
        for (more, ends, after, command) in [
            (DEFAULT, Ends::Moves, Some(300), ""),
            (
                held.as_str(),
                Ends::NeedsYou,
                None,
                "ioc move i-5d b -n t01",
            ),
        ] {
            let fate = one(pod("StatefulSet", IOC, more), "False");
            let commands = fate.commands.join("; ");
            assert_eq!(
                (fate.ends, fate.after_seconds, commands.as_str()),
                (ends, after, command),
                "{fate:?}"
            );
            assert!(!fate.only_when_off);
        }
    }

    #[test]
    fn on_a_node_that_has_failed_pods_wait_and_then_are_stuck() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let waiting = one(pod("StatefulSet", IOC, DEFAULT), "Unknown");
        assert_eq!(
            waiting.progress,
            Some(Progress::Waiting {
                until: Some(at("2026-11-26T03:05:50Z"))
            })
        );
        let forever = one(
            pod("StatefulSet", IOC, "tolerations: [{operator: Exists}], "),
            "Unknown",
        );
        assert_eq!(forever.progress, Some(Progress::Waiting { until: None }));
        let mut ending = pod("StatefulSet", IOC, DEFAULT);
        ending.metadata.deletion_timestamp = Some(at("2026-11-26T03:06:00Z").into());
        assert_eq!(
            one(ending, "Unknown").progress,
            Some(Progress::StuckTerminating {
                since: at("2026-11-26T03:06:00Z")
            })
        );
    }

    #[test]
    fn the_shortest_toleration_counts() {
        for (tolerations, expected) in [
            ("[]", Some(0)),
            ("[{operator: Exists}]", None),
            (
                "[{operator: Exists}, {key: node.kubernetes.io/unreachable, operator: Exists, tolerationSeconds: 30}]",
                Some(30),
            ),
            (
                "[{key: node.kubernetes.io/unreachable, operator: Exists, tolerationSeconds: -1}]",
                Some(0),
            ),
            (
                "[{key: node.kubernetes.io/not-ready, operator: Exists, tolerationSeconds: 30}]",
                Some(0),
            ),
        ] {
            let spec: PodSpec = from_yaml(&format!("containers: []\ntolerations: {tolerations}"));
            assert_eq!(tolerated_seconds(&spec), expected, "{tolerations}");
        }
    }
}
