//! Whether workloads are ready, by Helm's rules, and why not, in words. Pure but for [`last_lines`].

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::Api;
use kube::api::LogParams;

/// Why a StatefulSet is not ready; `None` when it is.
pub(super) fn stateful_set(set: &StatefulSet) -> Option<String> {
    let spec = set.spec.as_ref()?;
    let status = set.status.clone().unwrap_or_default();
    if status.observed_generation.unwrap_or(0) < set.metadata.generation.unwrap_or(0) {
        return Some("its controller has not seen the change yet".to_owned());
    }
    let strategy = spec.update_strategy.as_ref();
    if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete") {
        return None;
    }
    let replicas = spec.replicas.unwrap_or(1);
    let partition = strategy
        .and_then(|strategy| strategy.rolling_update.as_ref())
        .and_then(|rolling| rolling.partition)
        .unwrap_or(0);
    let updated = status.updated_replicas.unwrap_or(0);
    let ready = status.ready_replicas.unwrap_or(0);
    if replicas == 0 {
        let left = status.replicas;
        return (left > 0).then(|| format!("{left} pods are still there"));
    }
    if updated < replicas - partition {
        return Some(format!(
            "{updated} of {replicas} pods are of the new revision"
        ));
    }
    if ready != replicas {
        return Some(format!("{ready} of {replicas} pods are ready"));
    }
    if partition == 0 && status.current_revision != status.update_revision {
        return Some("the last pods are being replaced".to_owned());
    }
    None
}

/// Why a Deployment is not ready; `None` when it is.
pub(super) fn deployment(deployment: &Deployment) -> Option<String> {
    let spec = deployment.spec.as_ref()?;
    let status = deployment.status.clone().unwrap_or_default();
    if status.observed_generation.unwrap_or(0) < deployment.metadata.generation.unwrap_or(0) {
        return Some("its controller has not seen the change yet".to_owned());
    }
    let replicas = spec.replicas.unwrap_or(1);
    let updated = status.updated_replicas.unwrap_or(0);
    let available = status.available_replicas.unwrap_or(0);
    if updated < replicas {
        return Some(format!(
            "{updated} of {replicas} pods are of the new revision"
        ));
    }
    if status.replicas.unwrap_or(0) > updated {
        return Some("old pods are still there".to_owned());
    }
    (available < replicas).then(|| format!("{available} of {replicas} pods are available"))
}

/// Why a DaemonSet is not ready; `None` when it is.
pub(super) fn daemon_set(set: &DaemonSet) -> Option<String> {
    let status = set.status.clone().unwrap_or_default();
    if status.observed_generation.unwrap_or(0) < set.metadata.generation.unwrap_or(0) {
        return Some("its controller has not seen the change yet".to_owned());
    }
    let wanted = status.desired_number_scheduled;
    let updated = status.updated_number_scheduled.unwrap_or(0);
    if updated < wanted {
        return Some(format!(
            "{updated} of {wanted} pods are of the new revision"
        ));
    }
    let ready = status.number_ready;
    (ready < wanted).then(|| format!("{ready} of {wanted} pods are ready"))
}

/// What keeps a pod from being ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// In words.
    pub(super) why: String,
    /// The container whose last lines tell more, and whether those of its last run are meant.
    pub(super) log: Option<(String, bool)>,
    /// Whether it cannot get better by itself: the pod must be replaced to get a new template.
    pub(super) is_stuck: bool,
}

impl Trouble {
    fn plain(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            log: None,
            is_stuck: false,
        }
    }
}

/// Why a pod is not ready; `None` when it is.
pub(super) fn pod(pod: &Pod) -> Option<Trouble> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    if pod.metadata.deletion_timestamp.is_some() {
        return Some(Trouble::plain(format!("{name} is ending")));
    }
    let status = pod.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let condition = |kind: &str| conditions.iter().find(|condition| condition.type_ == kind);
    if let Some(ready) = condition("Ready")
        && ready.status == "True"
    {
        return None;
    }
    if let Some(scheduled) = condition("PodScheduled")
        && scheduled.status == "False"
    {
        let why = scheduled.message.clone().unwrap_or_default();
        return Some(Trouble {
            is_stuck: true,
            ..Trouble::plain(format!("{name} has no node: {}", scheduling(&why)))
        });
    }
    let init = status.init_container_statuses.unwrap_or_default();
    let main = status.container_statuses.unwrap_or_default();
    let statuses = init.iter().chain(&main);
    for status in statuses {
        if let Some(trouble) = container(name, status) {
            return Some(trouble);
        }
    }
    if let Some(message) = status.message.filter(|message| !message.is_empty()) {
        return Some(Trouble::plain(format!("{name}: {message}")));
    }
    Some(
        match main.iter().find(|status| {
            !status.ready
                && status
                    .state
                    .as_ref()
                    .is_some_and(|state| state.running.is_some())
        }) {
            Some(status) => Trouble {
                log: Some((status.name.clone(), false)),
                ..Trouble::plain(format!(
                    "{name}: the container {} runs and is not ready yet",
                    status.name
                ))
            },
            None => Trouble::plain(format!("{name} is being set up")),
        },
    )
}

fn container(pod: &str, status: &ContainerStatus) -> Option<Trouble> {
    let name = &status.name;
    let state = status.state.clone().unwrap_or_default();
    if let Some(waiting) = state.waiting {
        let reason = waiting.reason.unwrap_or_default();
        let message = waiting.message.unwrap_or_default();
        let image = &status.image;
        return Some(match reason.as_str() {
            "" | "ContainerCreating" | "PodInitializing" => return None,
            "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "InvalidImageName"
            | "RegistryUnavailable" => Trouble {
                is_stuck: true,
                ..Trouble::plain(format!(
                    "{pod}: the image {image} of the container {name} cannot be pulled: {}",
                    one_line(&message)
                ))
            },
            "CrashLoopBackOff" => Trouble {
                why: format!(
                    "{pod}: the container {name} crashes again and again ({} restarts), last {}",
                    status.restart_count,
                    ended(status)
                ),
                log: Some((name.clone(), true)),
                is_stuck: true,
            },
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                Trouble {
                    is_stuck: true,
                    ..Trouble::plain(format!(
                        "{pod}: the container {name} cannot be made: {}",
                        one_line(&message)
                    ))
                }
            }
            other => Trouble::plain(format!(
                "{pod}: the container {name} waits: {other} {}",
                one_line(&message)
            )),
        });
    }
    if let Some(terminated) = state.terminated
        && terminated.exit_code != 0
    {
        return Some(Trouble {
            why: format!(
                "{pod}: the container {name} ended with exit code {}",
                terminated.exit_code
            ),
            log: Some((name.clone(), false)),
            is_stuck: true,
        });
    }
    None
}

/// A container of a pod that counts as ready whose last run has ended: it was just started again, and tells its workload
/// nothing else.
pub(super) fn ended_before(pod: &Pod) -> Option<(String, Trouble)> {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let status = statuses.iter().find(|status| {
        let last = status.last_state.as_ref();
        last.is_some_and(|last| last.terminated.is_some())
    })?;
    let why = format!(
        "{name}: the container {} was started again after it had ended {}",
        status.name,
        ended(status)
    );
    let trouble = Trouble {
        log: Some((status.name.clone(), true)),
        ..Trouble::plain(why)
    };
    Some((name, trouble))
}

/// One run of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) pod: String,
    pub(super) container: String,
    id: String,
}

/// The containers of a pod that run and that nothing but running makes ready.
pub(super) fn unchecked_runs(pod: &Pod) -> Vec<Run> {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let checked: Vec<&str> = containers
        .filter(|container| {
            container.readiness_probe.is_some() || container.startup_probe.is_some()
        })
        .map(|container| container.name.as_str())
        .collect();
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses
        .filter(|status| !checked.contains(&status.name.as_str()))
        .filter(|status| {
            status
                .state
                .as_ref()
                .is_some_and(|state| state.running.is_some())
        })
        .map(|status| Run {
            pod: name.clone(),
            container: status.name.clone(),
            id: status.container_id.clone().unwrap_or_default(),
        })
        .collect()
}

/// How the last run of a container ended.
fn ended(status: &ContainerStatus) -> String {
    let last = status
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    match last {
        Some(last) => match (last.reason.as_deref(), last.signal) {
            (Some("OOMKilled"), _) => {
                "killed because it used more memory than its limit".to_owned()
            }
            (_, Some(signal)) if signal != 0 => format!("by signal {signal}"),
            _ => format!("with exit code {}", last.exit_code),
        },
        None => "for an unknown reason".to_owned(),
    }
}

/// The scheduler's sentence without the advice for its developers.
fn scheduling(message: &str) -> String {
    let message = message.split(" preemption: ").next().unwrap_or(message);
    one_line(message.trim_end_matches(['.', ' ']))
}

fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().count() > LONGEST {
        let cut: String = text.chars().take(LONGEST).collect();
        return format!("{cut}…");
    }
    text
}

/// What warnings about an object say, newest first: probes that fail, claims that wait, quota.
pub(super) fn warnings(events: &[Event]) -> Vec<String> {
    let mut warnings: Vec<(i64, String)> = events
        .iter()
        .filter(|event| event.type_.as_deref() == Some("Warning"))
        .map(|event| {
            let time = event
                .last_timestamp
                .as_ref()
                .map(|time| time.0)
                .or_else(|| event.event_time.as_ref().map(|time| time.0))
                .map_or(0, jiff::Timestamp::as_second);
            let message = one_line(event.message.as_deref().unwrap_or_default());
            let reason = event.reason.as_deref().unwrap_or_default();
            let text = match reason {
                // the message says it all
                "Unhealthy" | "FailedCreate" | "FailedScheduling" | "FailedMount" => message,
                other => format!("{other}: {message}"),
            };
            (time, text)
        })
        .collect();
    warnings.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    warnings.into_iter().map(|(_, text)| text).collect()
}

/// The last lines of a container, each after a line end; empty when they cannot be had.
pub(super) async fn last_lines(
    pods: &Api<Pod>,
    pod: &str,
    container: Option<&str>,
    previous: bool,
) -> String {
    let parameters = LogParams {
        container: container.map(str::to_owned),
        previous,
        tail_lines: Some(10),
        limit_bytes: Some(16 * 1024),
        ..LogParams::default()
    };
    let Ok(text) = pods.logs(pod, &parameters).await else {
        return String::new();
    };
    let lines: Vec<String> = text
        .lines()
        .map(|line| format!("\n{}", one_line(line)))
        .collect();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(spec: serde_json::Value, status: serde_json::Value) -> StatefulSet {
        let mut value = json!({"metadata": {"generation": 2}});
        value["spec"] = spec;
        value["status"] = status;
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_stateful_set_is_ready_by_the_rules_of_helm() {
        let spec = json!({"replicas": 1, "selector": {}, "serviceName": "s", "template": {}});
        let ready = json!({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "currentRevision": "b", "updateRevision": "b"});
        assert_eq!(stateful_set(&set(spec.clone(), ready.clone())), None);
        for (key, value, expected) in [
            ("observedGeneration", json!(1), "has not seen"),
            (
                "updatedReplicas",
                json!(0),
                "0 of 1 pods are of the new revision",
            ),
            ("readyReplicas", json!(0), "0 of 1 pods are ready"),
            ("currentRevision", json!("a"), "being replaced"),
        ] {
            let mut status = ready.clone();
            status[key] = value;
            let why = stateful_set(&set(spec.clone(), status)).unwrap();
            assert!(why.contains(expected), "{why}");
        }
        let mut stopped = spec;
        stopped["replicas"] = json!(0);
        assert_eq!(
            stateful_set(&set(stopped.clone(), ready)),
            Some("1 pods are still there".to_owned())
        );
        assert_eq!(
            stateful_set(&set(
                stopped,
                json!({"observedGeneration": 2, "replicas": 0})
            )),
            None
        );
    }

    fn why(status: serde_json::Value) -> (String, bool) {
        let mut value = json!({"metadata": {"name": "x-0"}});
        value["status"] = status;
        let pod: Pod = serde_json::from_value(value).unwrap();
        let trouble = super::pod(&pod).unwrap();
        (trouble.why, trouble.is_stuck)
    }

    #[test]
    fn a_container_that_was_just_started_again_tells_how_it_had_ended() {
        let pod = |last: serde_json::Value| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": "x-0"},
                "status": {"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [{
                    "name": "ioc", "image": "", "imageID": "", "ready": true, "restartCount": 1,
                    "state": {"running": {}}, "lastState": last,
                }]},
            }))
            .unwrap()
        };
        let (name, trouble) = ended_before(&pod(json!({"terminated": {"exitCode": 3}}))).unwrap();
        assert_eq!(name, "x-0");
        assert_eq!(
            trouble.why,
            "x-0: the container ioc was started again after it had ended with exit code 3"
        );
        assert_eq!(trouble.log, Some(("ioc".to_owned(), true)));
        assert_eq!(ended_before(&pod(json!({}))), None);
    }

    #[test]
    fn only_containers_without_a_check_are_looked_at_again() {
        let container =
            |name: &str, probe: &str| json!({"name": name, probe: {"exec": {"command": ["true"]}}});
        let status = |name: &str| json!({"name": name, "image": "", "imageID": "", "ready": true, "restartCount": 0, "containerID": "x", "state": {"running": {}}});
        let pod = json!({
            "metadata": {"name": "p-0"},
            "spec": {"containers": [container("a", "livenessProbe"), container("b", "readinessProbe"), container("c", "startupProbe")]},
            "status": {"containerStatuses": [status("a"), status("b"), status("c")]},
        });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let names: Vec<String> = unchecked_runs(&pod)
            .into_iter()
            .map(|run| run.container)
            .collect();
        assert_eq!(names, ["a"]);
    }

    #[test]
    fn what_keeps_a_pod_is_told() {
        let (text, stuck) = why(
            json!({"conditions": [{"type": "PodScheduled", "status": "False", "message":
            "0/2 nodes are available: 1 node(s) had untolerated taint {beamline: t01}, 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."}]}),
        );
        assert_eq!(
            text,
            "x-0 has no node: 0/2 nodes are available: 1 node(s) had untolerated taint {beamline: t01}, 1 node(s) didn't match Pod's node affinity/selector"
        );
        assert!(stuck);
        let container = |state: serde_json::Value| json!({"containerStatuses": [{"name": "ioc", "image": "a:1", "imageID": "", "ready": false, "restartCount": 3, "state": state, "lastState": {"terminated": {"exitCode": 139, "signal": 11}}}]});
        let (text, _) = why(container(
            json!({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}),
        ));
        assert_eq!(
            text,
            "x-0: the image a:1 of the container ioc cannot be pulled: not found"
        );
        let (text, _) = why(container(
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}),
        ));
        assert_eq!(
            text,
            "x-0: the container ioc crashes again and again (3 restarts), last by signal 11"
        );
        let (text, stuck) = why(container(json!({"running": {}})));
        assert_eq!(text, "x-0: the container ioc runs and is not ready yet");
        assert!(!stuck);
        let (text, _) = why(container(
            json!({"waiting": {"reason": "ContainerCreating"}}),
        ));
        assert_eq!(text, "x-0 is being set up");
    }
}
