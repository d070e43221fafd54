//! Rows of `ioc ps` out of what a cluster says. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::list::Seen;
use super::object::Pod;
use super::release::Release;
use super::state;
use super::workload::{Instance, Kind, Workload, owner};
use crate::fleet::health::{self, State};
use crate::fleet::overview::Row;
use crate::fleet::release::Status;
use crate::fleet::release::record;

/// Pods by the workload that owns them.
pub struct Owned<'a> {
    of: BTreeMap<(String, Kind, String), Vec<&'a Pod>>,
}

impl<'a> Owned<'a> {
    /// Sorts pods to their workloads.
    pub fn new(pods: impl IntoIterator<Item = &'a Pod>) -> Self {
        let mut of: BTreeMap<(String, Kind, String), Vec<&Pod>> = BTreeMap::new();
        for pod in pods {
            let namespace = pod.metadata.namespace.clone().unwrap_or_default();
            let (kind, name) = match owner(pod) {
                Some((kind, name)) => (kind, name.to_owned()),
                None => (Kind::Pod, pod.metadata.name.clone().unwrap_or_default()),
            };
            of.entry((namespace, kind, name)).or_default().push(pod);
        }
        Self { of }
    }

    /// Those of one workload.
    pub fn by(&self, workload: &Workload) -> &[&'a Pod] {
        let key = (
            workload.namespace.clone(),
            workload.kind,
            workload.name.clone(),
        );
        self.of.get(&key).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The row of one instance.
pub fn row(
    instance: &Instance,
    pods: &[&Pod],
    release: Option<&Release>,
    seen: &Seen,
    now: Timestamp,
) -> Row {
    let workload = &instance.workload;
    let mut verdict = state::instance(workload, pods, &seen.lost, now);
    let newest = release.map(|release| &release.newest);
    if verdict.state == State::Running
        && newest.is_some_and(|revision| record::is_unfinished(revision.status))
    {
        verdict.state = State::Starting;
    }
    let pod = state::newest(pods);
    let main = workload.main_container();
    let status = pod.and_then(|pod| {
        let statuses = pod.status.container_statuses.as_deref().unwrap_or_default();
        statuses
            .iter()
            .find(|status| main.is_some_and(|main| main.name == status.name))
            .or_else(|| statuses.first())
    });
    let facts = status.map(state::facts);
    let runs = matches!(
        verdict.state,
        State::Running | State::Starting | State::Stopping | State::Unhealthy | State::NodeLost
    );
    let shown = release.map(Release::shown);
    let version = shown
        .map(|revision| revision.head.app_version.clone())
        .filter(|version| !version.is_empty())
        .or_else(|| workload.version_label.clone());
    Row {
        name: instance.name.clone(),
        beamline: shown
            .and_then(|revision| revision.head.beamline.clone())
            .unwrap_or_default(),
        namespace: workload.namespace.clone(),
        state: verdict.state,
        health: status.and_then(|status| state::check(status, main, verdict.state)),
        restarts: pod.map_or(0, |pod| {
            let statuses = pod.status.container_statuses.iter().flatten();
            statuses
                .map(|status| u32::try_from(status.restart_count).unwrap_or(0))
                .sum()
        }),
        version: version.unwrap_or_default(),
        revision: release
            .and_then(|release| release.deployed.as_ref())
            .map(|revision| revision.number),
        release_status: newest.map_or(Status::Unknown, |revision| revision.status),
        image: workload.image().to_owned(),
        image_digest: status.and_then(|status| digest(&status.image_id)),
        node: pod
            .and_then(|pod| pod.spec.node_name.clone())
            .unwrap_or_default(),
        uptime_seconds: facts
            .as_ref()
            .filter(|_| runs)
            .and_then(|facts| health::uptime(facts, now))
            .map(|time| time.as_secs()),
        last_exit: facts
            .as_ref()
            .and_then(health::last_exit)
            .or_else(|| beside(pod?)),
        stopped_by: shown
            .and_then(|revision| revision.head.stopped_by.clone())
            .filter(|_| workload.replicas == 0),
        reason: verdict.reason,
        drift: Vec::new(),
        note: newest.and_then(note),
    }
}

/// How a container beside the IOC ended last, with its name: it counts among the restarts, and one that prepares the IOC
/// holds it up when it fails.
fn beside(pod: &Pod) -> Option<String> {
    let sidecars = pod.status.container_statuses.iter().flatten();
    let prepare = pod.status.init_container_statuses.iter().flatten();
    // one that has done its work is not worth a word
    let prepare = prepare
        .filter(|status| state::last_ended(status).is_some_and(|ended| ended.exit_code != 0));
    let (status, ended) = sidecars
        .chain(prepare)
        .filter_map(|status| Some((status, state::last_ended(status)?)))
        .max_by_key(|(_, ended)| ended.finished_at.as_ref().map(|time| time.0))?;
    Some(format!("{}: {}", status.name, state::exit(ended)))
}

/// What a newest revision that is not deployed means.
fn note(newest: &super::release::Revision) -> Option<String> {
    let number = newest.number;
    match newest.status {
        Status::Failed => Some(format!(
            "revision {number} failed: {}",
            state::shortened(&newest.head.description)
        )),
        status if record::is_unfinished(status) => Some(format!(
            "revision {number} is {status}: a command works on it, or was interrupted; the next one repairs it"
        )),
        _ => None,
    }
}

/// The digest in what a node calls its image: `registry/name@sha256:…` or `sha256:…`.
pub fn digest(image_id: &str) -> Option<String> {
    image_id
        .find("sha256:")
        .map(|begin| image_id[begin..].to_owned())
}

/// The rows of all instances.
pub fn rows(instances: &[Instance], seen: &Seen, now: Timestamp) -> Vec<Row> {
    let owned = Owned::new(&seen.pods);
    instances
        .iter()
        .map(|instance| {
            let workload = &instance.workload;
            let release = workload.release.as_deref().unwrap_or(&instance.name);
            let release = seen.releases.get(&workload.namespace, release);
            row(instance, owned.by(workload), release.as_ref(), seen, now)
        })
        .collect()
}

/// Releases that no workload belongs to: of these it has to be asked what they should run.
pub fn without_workload(seen: &Seen) -> Vec<(String, String)> {
    let with: BTreeSet<(&str, &str)> = seen
        .workloads
        .iter()
        .filter_map(|workload| Some((workload.namespace.as_str(), workload.release.as_deref()?)))
        .collect();
    // before Helm 3 objects had no such mark: their name is that of the release
    let by_name: BTreeSet<(&str, &str)> = seen
        .workloads
        .iter()
        .map(|workload| (workload.namespace.as_str(), workload.name.as_str()))
        .collect();
    seen.releases
        .iter()
        .filter(|(_, _, release)| release.deployed.is_some())
        .filter(|(namespace, name, _)| {
            !with.contains(&(*namespace, *name)) && !by_name.contains(&(*namespace, *name))
        })
        .map(|(namespace, name, _)| (namespace.to_owned(), name.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What `LAST EXIT` says of a pod with these container statuses and those of its init containers.
    fn last_exit(containers: &Value, inits: &Value) -> Option<String> {
        let workload: super::super::object::StatefulSet = serde_json::from_value(json!({
            "metadata": {"name": "a", "namespace": "t01"},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "a"}, {"name": "log"}]}}},
        }))
        .unwrap();
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "a-0", "namespace": "t01"},
            "spec": {"containers": [{"name": "a"}, {"name": "log"}]},
            "status": {"phase": "Running", "containerStatuses": containers, "initContainerStatuses": inits},
        }))
        .unwrap();
        let instance = Instance {
            name: "a".to_owned(),
            workload: workload.into(),
        };
        let now = "2026-11-26T12:00:00Z".parse().unwrap();
        row(&instance, &[&pod], None, &Seen::default(), now).last_exit
    }

    fn status(name: &str, state: &Value, last: &Value) -> Value {
        json!({"name": name, "image": "x:1", "imageID": "", "ready": true, "restartCount": 1, "state": state, "lastState": last})
    }

    #[test]
    fn the_last_exit_is_that_of_the_ioc_or_names_the_container() {
        let runs = json!({"running": {"startedAt": "2026-11-26T11:00:00Z"}});
        let ended = |code: i32, minute: u32, reason: &str| json!({"terminated": {"exitCode": code, "reason": reason, "finishedAt": format!("2026-11-26T10:{minute}:00Z")}});
        let never = json!({});
        let init = |code| json!([status("prepare", &ended(code, 50, "Error"), &never)]);
        for (containers, inits, expected) in [
            (json!([status("a", &runs, &never)]), init(0), None),
            (
                json!([
                    status("a", &runs, &ended(139, 10, "Error")),
                    status("log", &runs, &ended(1, 20, "Error"))
                ]),
                init(0),
                Some("139 (SIGSEGV)"),
            ),
            (
                json!([
                    status("a", &runs, &never),
                    status("log", &runs, &ended(1, 20, "Error"))
                ]),
                init(0),
                Some("log: 1"),
            ),
            (
                json!([status(
                    "a",
                    &json!({"waiting": {"reason": "PodInitializing"}}),
                    &never
                )]),
                init(3),
                Some("prepare: 3"),
            ),
            // the kubelet makes the code up
            (
                json!([status(
                    "a",
                    &runs,
                    &ended(137, 10, "ContainerStatusUnknown")
                )]),
                json!([]),
                Some("unknown"),
            ),
        ] {
            assert_eq!(
                last_exit(&containers, &inits).as_deref(),
                expected,
                "{containers}"
            );
        }
    }
}
