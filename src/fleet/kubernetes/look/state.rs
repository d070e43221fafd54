//! How an instance on a cluster is: its workload, its pods and their nodes in, a word and a reason out. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus};

use super::object::{Container, Node, Pod};
use super::workload::Workload;
use crate::fleet::health::{self, Check, Facts, Process, State};

/// A process that ran for less is taken as crashing when it has been started again and again.
const STEADY: SignedDuration = SignedDuration::from_secs(30);
/// Longest reason, in characters; the scheduler's may name every node of a cluster.
const LONGEST_REASON: usize = 160;

/// A state and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The state.
    pub state: State,
    /// Why, in the words of the cluster; not for a state that needs no reason.
    pub reason: Option<String>,
}

impl Verdict {
    fn new(state: State) -> Self {
        Self {
            state,
            reason: None,
        }
    }

    fn because(state: State, reason: impl AsRef<str>) -> Self {
        let reason = shortened(reason.as_ref());
        Self {
            state,
            reason: (!reason.is_empty()).then_some(reason),
        }
    }
}

/// Nodes that do not answer, and what is known about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LostNodes(BTreeMap<String, String>);

impl LostNodes {
    /// Out of the nodes of a cluster.
    pub fn of(nodes: &[Node]) -> Self {
        let lost = nodes.iter().filter_map(|node| {
            let name = node.metadata.name.clone()?;
            let ready = node
                .status
                .conditions
                .iter()
                .find(|condition| condition.type_ == "Ready");
            let why = match ready {
                Some(condition) if condition.status == "True" => return None,
                Some(condition) if condition.status == "Unknown" => {
                    let since = condition.last_transition_time.as_ref();
                    match since {
                        Some(since) => format!("has not answered since {}", time(since.0)),
                        None => "does not answer".to_owned(),
                    }
                }
                Some(condition) => format!(
                    "is not ready: {}",
                    condition.message.as_deref().unwrap_or_default()
                ),
                None => "has never been ready".to_owned(),
            };
            Some((name, why))
        });
        Self(lost.collect())
    }

    /// What is wrong with a node.
    pub fn why(&self, node: &str) -> Option<&str> {
        self.0.get(node).map(String::as_str)
    }

    /// Whether all nodes answer.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The state of an instance.
pub fn instance(workload: &Workload, pods: &[&Pod], lost: &LostNodes, now: Timestamp) -> Verdict {
    let Some(pod) = newest(pods) else {
        if workload.replicas == 0 {
            return Verdict::new(State::Stopped);
        }
        if let Some(failure) = &workload.failure {
            return Verdict::because(State::Pending, failure);
        }
        let reason = if workload.is_observed {
            "its pod has not been made"
        } else {
            "the cluster has not seen the change yet"
        };
        return Verdict::because(State::Pending, reason);
    };
    let verdict = self::pod(pod, lost, now);
    if workload.replicas == 0 && verdict.state != State::NodeLost {
        return Verdict::because(State::Stopping, "its pod is being ended");
    }
    verdict
}

/// The pod that counts: the newest that is not being ended, otherwise the newest.
pub fn newest<'a>(pods: &[&'a Pod]) -> Option<&'a Pod> {
    pods.iter().copied().max_by_key(|pod| {
        let metadata = &pod.metadata;
        (
            metadata.deletion_timestamp.is_none(),
            metadata.creation_timestamp.as_ref().map(|time| time.0),
        )
    })
}

/// The state of a pod.
pub fn pod(pod: &Pod, lost: &LostNodes, now: Timestamp) -> Verdict {
    let status = &pod.status;
    let phase = status.phase.as_deref().unwrap_or_default();
    if let Some(node) = pod.spec.node_name.as_deref()
        && let Some(why) = lost.why(node)
        && !matches!(phase, "Succeeded" | "Failed")
    {
        return Verdict::because(State::NodeLost, format!("node {node} {why}"));
    }
    if status.reason.as_deref() == Some("NodeLost") || phase == "Unknown" {
        return Verdict::because(State::NodeLost, "its node does not answer");
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Verdict::because(State::Stopping, "its pod is being ended");
    }
    match phase {
        "Failed" => {
            let reason = status.reason.as_deref().unwrap_or_default();
            let message = status.message.as_deref().unwrap_or_default();
            return Verdict::because(State::Exited, joined(reason, message));
        }
        "Succeeded" => return Verdict::because(State::Exited, "it ended by itself"),
        _ => {}
    }
    if let Some(verdict) = unscheduled(pod) {
        return verdict;
    }
    let inits = status
        .init_container_statuses
        .as_deref()
        .unwrap_or_default();
    if let Some(verdict) = inits.iter().find_map(init) {
        return verdict;
    }
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    if containers.is_empty() {
        let why = if pod.spec.node_name.is_some() {
            "its node has not begun"
        } else {
            "no node has been chosen yet"
        };
        return Verdict::because(State::Pending, why);
    }
    let verdicts = containers.iter().map(|status| {
        let wanted = pod
            .spec
            .containers
            .iter()
            .find(|container| container.name == status.name);
        container(pod, status, wanted, now)
    });
    verdicts
        .max_by_key(|verdict| verdict.state)
        .unwrap_or_else(|| Verdict::new(State::Pending))
}

fn unscheduled(pod: &Pod) -> Option<Verdict> {
    let conditions = pod.status.conditions.as_deref().unwrap_or_default();
    let scheduled = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    let message = scheduled.message.as_deref().unwrap_or_default();
    Some(match scheduled.reason.as_deref() {
        Some("SchedulingGated") => Verdict::because(State::Pending, joined("held back", message)),
        _ => Verdict::because(State::Unschedulable, message),
    })
}

/// What an init container means for the pod; `None` when it has done its work.
fn init(status: &ContainerStatus) -> Option<Verdict> {
    let state = status.state.as_ref()?;
    let name = &status.name;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or_default();
        let message = waiting.message.as_deref().unwrap_or_default();
        return match reason {
            "" | "PodInitializing" | "ContainerCreating" => None,
            "CrashLoopBackOff" => Some(Verdict::because(
                State::CrashLooping,
                format!("init container {name} fails"),
            )),
            _ => Some(waiting_for(reason, message)),
        };
    }
    if let Some(ended) = &state.terminated
        && ended.exit_code != 0
    {
        let reason = format!("init container {name} ended with {}", exit(ended));
        return Some(Verdict::because(State::CrashLooping, reason));
    }
    // one that goes on beside the others is no hindrance once it has started
    if state.running.is_some() && status.started != Some(true) {
        return Some(Verdict::because(
            State::Pending,
            format!("init container {name} runs"),
        ));
    }
    None
}

fn container(
    pod: &Pod,
    status: &ContainerStatus,
    wanted: Option<&Container>,
    now: Timestamp,
) -> Verdict {
    let Some(state) = &status.state else {
        return Verdict::because(State::Pending, "its node has not begun");
    };
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or_default();
        if reason == "CrashLoopBackOff" {
            let last = last_ended(status).map(|ended| format!("ended with {}", exit(ended)));
            return Verdict::because(State::CrashLooping, last.unwrap_or_default());
        }
        return waiting_for(reason, waiting.message.as_deref().unwrap_or_default());
    }
    if let Some(ended) = &state.terminated {
        let again = pod.spec.restart_policy.as_deref() != Some("Never");
        let state = if again && (ended.exit_code != 0 || status.restart_count > 0) {
            State::CrashLooping
        } else {
            State::Exited
        };
        return Verdict::because(state, format!("ended with {}", exit(ended)));
    }
    let Some(running) = &state.running else {
        return Verdict::because(State::Pending, "its node has not begun");
    };
    let up = running
        .started_at
        .as_ref()
        .map(|started| now.duration_since(started.0));
    if status.restart_count >= 2 && up.is_none_or(|up| up < STEADY) {
        let last = last_ended(status).map(|ended| format!("ended with {}", exit(ended)));
        return Verdict::because(State::CrashLooping, last.unwrap_or_default());
    }
    if status.started == Some(false) {
        return Verdict::because(State::Starting, "its startup probe has not succeeded yet");
    }
    let readiness = wanted.and_then(|container| container.readiness_probe.as_ref());
    match readiness {
        Some(probe) if !status.ready => {
            if up.is_some_and(|up| up.as_secs() <= probe.patience()) {
                Verdict::because(State::Starting, "its readiness probe has not succeeded yet")
            } else {
                Verdict::because(State::Unhealthy, "its readiness probe fails")
            }
        }
        _ => Verdict::new(State::Running),
    }
}

fn waiting_for(reason: &str, message: &str) -> Verdict {
    match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "InvalidImageName"
        | "RegistryUnavailable"
        | "ImageInspectError"
        | "SignatureValidationFailed" => {
            Verdict::because(State::ImagePull, joined(reason, message))
        }
        "" | "ContainerCreating" => {
            Verdict::because(State::Pending, "volumes and network are being made ready")
        }
        "PodInitializing" => Verdict::because(State::Pending, "init containers run"),
        _ => Verdict::because(State::Pending, joined(reason, message)),
    }
}

/// Result of the probes of a container; `None` when it has none, or does not run.
pub fn check(status: &ContainerStatus, wanted: Option<&Container>, state: State) -> Option<Check> {
    let wanted = wanted?;
    let probes = [
        &wanted.startup_probe,
        &wanted.readiness_probe,
        &wanted.liveness_probe,
    ];
    if probes.iter().all(|probe| probe.is_none()) {
        return None;
    }
    status.state.as_ref()?.running.as_ref()?;
    Some(match state {
        State::Unhealthy => Check::Unhealthy,
        State::Starting => Check::Starting,
        _ if status.ready => Check::Healthy,
        _ => Check::Starting,
    })
}

/// The facts of a container as the engine would give them.
pub fn facts(status: &ContainerStatus) -> Facts {
    let ended = last_ended(status);
    let state = status.state.as_ref();
    let running = state.and_then(|state| state.running.as_ref());
    Facts {
        process: match running {
            Some(_) => Process::Running,
            None if ended.is_some() => Process::Exited,
            None => Process::Created,
        },
        check: None,
        restarts: u32::try_from(status.restart_count).unwrap_or(0),
        started: running
            .and_then(|running| running.started_at.as_ref())
            .map(|time| time.0),
        finished: ended
            .and_then(|ended| ended.finished_at.as_ref())
            .map(|time| time.0)
            .or_else(|| ended.map(|_| Timestamp::UNIX_EPOCH)),
        // the code that a kubelet makes up for a container that it lost sight of is not that of the process
        exit_code: ended.filter(|ended| !is_lost(ended)).map(|ended| {
            ended
                .signal
                .filter(|signal| *signal > 0)
                .map_or(i64::from(ended.exit_code), |signal| 128 + i64::from(signal))
        }),
        out_of_memory: ended.is_some_and(|ended| ended.reason.as_deref() == Some("OOMKilled")),
        error: ended
            .filter(|ended| {
                matches!(
                    ended.reason.as_deref(),
                    Some("ContainerCannotRun" | "StartError")
                )
            })
            .map(|ended| ended.message.as_deref().map(shortened).unwrap_or_default()),
    }
}

/// Whether nobody knows how it ended: its node was away.
fn is_lost(ended: &ContainerStateTerminated) -> bool {
    ended.reason.as_deref() == Some("ContainerStatusUnknown")
}

/// How the process of a container ended last.
pub fn last_ended(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let of = |state: Option<&'_ k8s_openapi::api::core::v1::ContainerState>| {
        state.is_some_and(|state| state.terminated.is_some())
    };
    let state = if of(status.state.as_ref()) {
        status.state.as_ref()
    } else {
        status.last_state.as_ref()
    };
    state?.terminated.as_ref()
}

/// How a process ended, in words.
pub fn exit(ended: &ContainerStateTerminated) -> String {
    let facts = facts(&ContainerStatus {
        state: Some(k8s_openapi::api::core::v1::ContainerState {
            terminated: Some(ended.clone()),
            ..Default::default()
        }),
        ..ContainerStatus::default()
    });
    health::last_exit(&facts).unwrap_or_default()
}

fn time(time: Timestamp) -> String {
    time.to_zoned(jiff::tz::TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

fn joined(reason: &str, message: &str) -> String {
    match (reason.is_empty(), message.is_empty()) {
        (_, true) => reason.to_owned(),
        (true, false) => message.to_owned(),
        (false, false) => format!("{reason}: {message}"),
    }
}

/// One line of bounded length that cannot move a cursor: it comes from the cluster.
pub fn shortened(text: &str) -> String {
    let line: String = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|character| !character.is_control())
        .collect();
    match line.char_indices().nth(LONGEST_REASON) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
