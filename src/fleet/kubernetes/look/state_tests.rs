//! Shapes of pods as clusters report them, and what they mean.

use serde_json::{Value, json};

use super::*;
use crate::fleet::kubernetes::look::object::StatefulSet;

fn now() -> Timestamp {
    "2026-11-26T12:00:00Z".parse().unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "literals read better")]
fn pod_of(phase: &str, containers: Value) -> Value {
    json!({
        "metadata": {"name": "a-0", "namespace": "t01", "creationTimestamp": "2026-11-26T11:00:00Z"},
        "spec": {"nodeName": "node-1", "containers": [{"name": "a", "image": "x:1"}]},
        "status": {"phase": phase, "containerStatuses": containers},
    })
}

#[expect(clippy::needless_pass_by_value, reason = "literals read better")]
fn container_of(state: Value, restarts: i32) -> Value {
    json!([{"name": "a", "image": "x:1", "imageID": "x@sha256:1", "ready": false, "restartCount": restarts,
        "started": true, "state": state,
        "lastState": {"terminated": {"exitCode": 139, "reason": "Error", "finishedAt": "2026-11-26T11:59:00Z"}}}])
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"waiting": {"reason": reason, "message": message}})
}

fn running(since: &str) -> Value {
    json!({"running": {"startedAt": format!("2026-11-26T{since}Z")}})
}

fn with(mut pod: Value, path: &str, value: Value) -> Value {
    *pod.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
    pod
}

fn merged(mut pod: Value, part: &Value) -> Value {
    fn merge(into: &mut Value, part: &Value) {
        match (into, part) {
            (Value::Object(into), Value::Object(part)) => {
                for (key, value) in part {
                    merge(into.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
            (into, part) => *into = part.clone(),
        }
    }
    merge(&mut pod, part);
    pod
}

fn said(pod: Value, lost: &LostNodes) -> (State, String) {
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let verdict = super::pod(&pod, lost, now());
    (verdict.state, verdict.reason.unwrap_or_default())
}

#[test]
fn a_pod_is_what_its_cluster_reports() {
    let readiness = json!({"spec": {"containers": [{"name": "a", "readinessProbe":
        {"initialDelaySeconds": 20, "periodSeconds": 30, "failureThreshold": 3}}]}});
    let unready = |since: &str| {
        merged(
            pod_of("Running", container_of(running(since), 0)),
            &readiness,
        )
    };
    let condition = |reason: &str, message: &str| {
        merged(
            with(pod_of("Pending", json!([])), "/spec/nodeName", Value::Null),
            &json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False",
                "reason": reason, "message": message}]}}),
        )
    };
    let init = |state: Value| {
        merged(
            pod_of("Pending", container_of(waiting("PodInitializing", ""), 0)),
            &json!({"status": {"initContainerStatuses": [{"name": "wait", "image": "", "imageID": "",
                "ready": false, "restartCount": 3, "state": state}]}}),
        )
    };
    let cases: Vec<(&str, Value, State, &str)> = vec![
        (
            "runs",
            pod_of("Running", container_of(running("11:00:00"), 0)),
            State::Running,
            "",
        ),
        (
            "restarted long ago",
            pod_of("Running", container_of(running("11:00:00"), 9)),
            State::Running,
            "",
        ),
        (
            "runs between two crashes",
            pod_of("Running", container_of(running("11:59:50"), 4)),
            State::CrashLooping,
            "ended with 139 (SIGSEGV)",
        ),
        (
            "back-off",
            pod_of(
                "Running",
                container_of(waiting("CrashLoopBackOff", "back-off 5m0s restarting"), 7),
            ),
            State::CrashLooping,
            "ended with 139 (SIGSEGV)",
        ),
        (
            "just ended",
            pod_of(
                "Running",
                container_of(json!({"terminated": {"exitCode": 1, "reason": "Error"}}), 0),
            ),
            State::CrashLooping,
            "ended with 1",
        ),
        (
            "out of memory",
            pod_of(
                "Running",
                container_of(
                    json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
                    1,
                ),
            ),
            State::CrashLooping,
            "ended with out of memory",
        ),
        (
            "ended well and is started again",
            pod_of(
                "Running",
                container_of(json!({"terminated": {"exitCode": 0}}), 0),
            ),
            State::Exited,
            "ended with 0",
        ),
        (
            "no entry point",
            pod_of(
                "Running",
                container_of(
                    json!({"terminated": {"exitCode": 128, "reason": "StartError",
            "message": "exec: \"bash\": executable file not found in $PATH"}}),
                    1,
                ),
            ),
            State::CrashLooping,
            "not started: exec: \"bash\"",
        ),
        (
            "no such image",
            pod_of(
                "Pending",
                container_of(waiting("ErrImagePull", "not found"), 0),
            ),
            State::ImagePull,
            "ErrImagePull: not found",
        ),
        (
            "no such image, later",
            pod_of(
                "Pending",
                container_of(waiting("ImagePullBackOff", "Back-off pulling image"), 0),
            ),
            State::ImagePull,
            "ImagePullBackOff: Back-off",
        ),
        (
            "image not on the node",
            pod_of("Pending", container_of(waiting("ErrImageNeverPull", ""), 0)),
            State::ImagePull,
            "ErrImageNeverPull",
        ),
        (
            "config map missing",
            pod_of(
                "Pending",
                container_of(
                    waiting(
                        "CreateContainerConfigError",
                        "configmap \"a-config\" not found",
                    ),
                    0,
                ),
            ),
            State::Pending,
            "CreateContainerConfigError: configmap \"a-config\" not found",
        ),
        (
            "volumes",
            pod_of("Pending", container_of(waiting("ContainerCreating", ""), 0)),
            State::Pending,
            "volumes and network",
        ),
        (
            "no node fits",
            condition(
                "Unschedulable",
                "0/3 nodes are available: 3 node(s) had untolerated taint {nodetype: t01}.",
            ),
            State::Unschedulable,
            "untolerated taint",
        ),
        (
            "held back",
            condition("SchedulingGated", "Scheduling is blocked"),
            State::Pending,
            "held back",
        ),
        (
            "not begun",
            pod_of("Pending", json!([])),
            State::Pending,
            "its node has not begun",
        ),
        (
            "init fails",
            init(waiting("CrashLoopBackOff", "")),
            State::CrashLooping,
            "init container wait fails",
        ),
        (
            "init failed",
            init(json!({"terminated": {"exitCode": 2}})),
            State::CrashLooping,
            "init container wait ended with 2",
        ),
        (
            "init runs",
            init(running("11:59:00")),
            State::Pending,
            "init container wait runs",
        ),
        (
            "init without image",
            init(waiting("ImagePullBackOff", "x")),
            State::ImagePull,
            "ImagePullBackOff",
        ),
        (
            "startup probe",
            with(
                pod_of("Running", container_of(running("11:59:00"), 0)),
                "/status/containerStatuses/0/started",
                json!(false),
            ),
            State::Starting,
            "startup probe",
        ),
        (
            "not ready yet",
            unready("11:59:00"),
            State::Starting,
            "has not succeeded yet",
        ),
        (
            "not ready",
            unready("11:00:00"),
            State::Unhealthy,
            "readiness probe fails",
        ),
        (
            "evicted",
            merged(
                pod_of("Failed", json!([])),
                &json!({"status": {"reason": "Evicted", "message": "The node was low on resource: memory."}}),
            ),
            State::Exited,
            "Evicted: The node was low",
        ),
        (
            "done",
            pod_of("Succeeded", json!([])),
            State::Exited,
            "by itself",
        ),
        (
            "unknown",
            pod_of("Unknown", json!([])),
            State::NodeLost,
            "does not answer",
        ),
        (
            "old cluster",
            merged(
                pod_of("Running", container_of(running("11:00:00"), 0)),
                &json!({"status": {"reason": "NodeLost"}}),
            ),
            State::NodeLost,
            "does not answer",
        ),
        (
            "being ended",
            merged(
                pod_of("Running", container_of(running("11:00:00"), 0)),
                &json!({"metadata": {"deletionTimestamp": "2026-11-26T11:59:59Z"}}),
            ),
            State::Stopping,
            "being ended",
        ),
    ];
    for (name, pod, state, reason) in cases {
        let (found, why) = said(pod, &LostNodes::default());
        assert_eq!(found, state, "{name}: {why}");
        assert!(
            why.contains(reason) && why.is_empty() == reason.is_empty(),
            "{name}: {why}"
        );
    }
}

#[test]
fn the_worst_container_counts() {
    let mut pod = pod_of("Running", container_of(running("11:00:00"), 0));
    let mut proxy = container_of(waiting("CrashLoopBackOff", ""), 5)[0].clone();
    proxy["name"] = json!("proxy");
    pod["status"]["containerStatuses"]
        .as_array_mut()
        .unwrap()
        .push(proxy);
    assert_eq!(said(pod, &LostNodes::default()).0, State::CrashLooping);
}

#[test]
fn a_node_that_is_silent_loses_its_pods() {
    let node = |name: &str, status: &str| -> Node {
        serde_json::from_value(
            json!({"metadata": {"name": name}, "status": {"conditions": [
            {"type": "Ready", "status": status, "message": "kubelet stopped",
             "lastTransitionTime": "2026-11-26T11:50:00Z"}]}}),
        )
        .unwrap()
    };
    let running_pod = || pod_of("Running", container_of(running("11:00:00"), 0));
    for (status, expected) in [
        ("True", State::Running),
        ("Unknown", State::NodeLost),
        ("False", State::NodeLost),
    ] {
        let lost = LostNodes::of(&[node("node-1", status), node("node-2", "Unknown")]);
        let (state, why) = said(running_pod(), &lost);
        assert_eq!(state, expected, "{status}: {why}");
    }
    // its pod stays, marked for deletion, until the node is back or someone acts
    let ending = merged(
        running_pod(),
        &json!({"metadata": {"deletionTimestamp": "2026-11-26T11:55:00Z"}}),
    );
    let lost = LostNodes::of(&[node("node-1", "Unknown")]);
    assert!(
        said(ending, &lost)
            .1
            .starts_with("node node-1 has not answered since")
    );
}

#[test]
fn an_instance_without_pods_is_stopped_or_waits() {
    let workload = |replicas: i32, observed: i64| -> Workload {
        serde_json::from_value::<StatefulSet>(json!({
            "metadata": {"name": "a", "namespace": "t01", "generation": 2},
            "spec": {"replicas": replicas}, "status": {"observedGeneration": observed}}))
        .unwrap()
        .into()
    };
    let none = LostNodes::default();
    let state = |workload: &Workload, pods: &[&Pod]| instance(workload, pods, &none, now());
    assert_eq!(state(&workload(0, 2), &[]), Verdict::new(State::Stopped));
    assert_eq!(
        state(&workload(1, 2), &[]).reason.unwrap(),
        "its pod has not been made"
    );
    assert!(
        state(&workload(1, 1), &[])
            .reason
            .unwrap()
            .contains("has not seen")
    );
    let quota = Workload {
        failure: Some("exceeded quota".into()),
        ..workload(1, 2)
    };
    assert_eq!(state(&quota, &[]).reason.unwrap(), "exceeded quota");
    let pod: Pod =
        serde_json::from_value(pod_of("Running", container_of(running("11:00:00"), 0))).unwrap();
    assert_eq!(state(&workload(0, 2), &[&pod]).state, State::Stopping);
    assert_eq!(state(&workload(1, 2), &[&pod]).state, State::Running);
}

#[test]
fn the_newest_pod_that_stays_counts() {
    let pod = |name: &str, minute: u32, ending: bool| -> Pod {
        let mut pod = pod_of("Running", container_of(running("11:00:00"), 0));
        pod["metadata"]["name"] = json!(name);
        pod["metadata"]["creationTimestamp"] = json!(format!("2026-11-26T11:{minute:02}:00Z"));
        if ending {
            pod["metadata"]["deletionTimestamp"] = json!("2026-11-26T11:59:00Z");
        }
        serde_json::from_value(pod).unwrap()
    };
    let (old, new, ending) = (
        pod("old", 1, false),
        pod("new", 5, false),
        pod("ending", 9, true),
    );
    let name = |pods: &[&Pod]| newest(pods).unwrap().metadata.name.clone().unwrap();
    assert_eq!(name(&[&old, &new, &ending]), "new");
    assert_eq!(name(&[&ending]), "ending");
}

#[test]
fn reasons_are_one_bounded_line_without_control_characters() {
    let long = format!("a\n\u{1b}[2Jb {}", "x".repeat(1000));
    let short = shortened(&long);
    assert!(short.starts_with("a [2Jb") && short.chars().count() <= LONGEST_REASON + 1);
}
