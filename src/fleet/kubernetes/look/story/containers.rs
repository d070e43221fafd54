//! The containers of an instance: what they do, how they ended, what their probes say.

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1 as core;

use super::local;
use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::logs::{self, Run};
use crate::fleet::kubernetes::look::object::Pod;
use crate::fleet::kubernetes::look::workload::Instance;
use crate::fleet::kubernetes::look::{list, rows, state};
use crate::fleet::logs::stream::Window;
use crate::fleet::story::Container;

/// Lines of a crashed container's log that are shown.
const LAST_LINES: usize = 10;

/// All of them; what may not be read goes to `unseen`.
pub(super) async fn containers(
    cluster: &Cluster,
    instance: &Instance,
    pod: Option<&Pod>,
    full: Option<&core::Pod>,
    unseen: &mut Vec<String>,
) -> Vec<Container> {
    let workload = &instance.workload;
    let main = workload.main_container().map(|main| main.name.clone());
    let mut told = Vec::new();
    for wanted in &workload.containers {
        let status = pod.and_then(|pod| logs::status(pod, &wanted.name));
        let specification = full.and_then(|pod| pod.spec.as_ref()).and_then(|spec| {
            spec.containers
                .iter()
                .find(|container| container.name == wanted.name)
        });
        let facts = status.map(state::facts);
        let ended = status.and_then(state::last_ended);
        let has_crashed = ended.is_some_and(|ended| ended.exit_code != 0);
        let last_lines = match pod {
            Some(pod) if has_crashed => last_lines(cluster, pod, &wanted.name, unseen).await,
            _ => Vec::new(),
        };
        let (is, since) = status.map_or_else(|| ("not made".to_owned(), None), now);
        told.push(Container {
            name: wanted.name.clone(),
            is_ioc: main.as_deref() == Some(&wanted.name),
            image: wanted.image.clone().unwrap_or_default(),
            image_digest: status.and_then(|status| rows::digest(&status.image_id)),
            state: is,
            since,
            restarts: facts.as_ref().map_or(0, |facts| facts.restarts),
            last_exit: ended.map(|ended| {
                let when = ended
                    .finished_at
                    .as_ref()
                    .map(|time| format!(" at {}", local(time.0)))
                    .unwrap_or_default();
                format!("{}{when}", state::exit(ended))
            }),
            last_lines,
            probes: specification
                .map(|specification| probes(specification, status))
                .unwrap_or_default(),
            ports: specification.map(ports).unwrap_or_default(),
        });
    }
    told
}

/// What a container does now, and since when.
fn now(status: &core::ContainerStatus) -> (String, Option<String>) {
    let Some(state) = &status.state else {
        return ("not made".to_owned(), None);
    };
    if let Some(running) = &state.running {
        let since = running.started_at.as_ref().map(|time| local(time.0));
        return ("running".to_owned(), since);
    }
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or("waiting");
        let message = waiting.message.as_deref().unwrap_or_default();
        return (
            state::shortened(&format!("waiting: {reason} {message}")),
            None,
        );
    }
    if let Some(ended) = &state.terminated {
        let since = ended.finished_at.as_ref().map(|time| local(time.0));
        return (format!("ended with {}", state::exit(ended)), since);
    }
    ("not made".to_owned(), None)
}

/// The last lines of the run that ended.
async fn last_lines(
    cluster: &Cluster,
    pod: &Pod,
    container: &str,
    unseen: &mut Vec<String>,
) -> Vec<String> {
    let window = Window {
        tail: Some(LAST_LINES),
        ..Window::default()
    };
    // while it waits or has just ended, its newest log is that of the run that ended
    let run = if logs::is_running(pod, container) {
        Run::Before
    } else {
        Run::Newest
    };
    let mut lines = logs::lines(cluster, pod, container, run, window, false);
    let mut last = Vec::new();
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => last.push(line.text),
            Err(error) => unseen.push(list::in_full(&error)),
        }
    }
    last
}

/// The probes of a container with what is known of their results.
fn probes(container: &core::Container, status: Option<&core::ContainerStatus>) -> Vec<String> {
    let runs = status
        .and_then(|status| status.state.as_ref())
        .is_some_and(|state| state.running.is_some());
    let started = status.and_then(|status| status.started);
    let ready = status.is_some_and(|status| status.ready);
    let said = |kind: &str| match kind {
        _ if !runs => "not asked: it does not run",
        "startup" if started == Some(true) => "has succeeded",
        "startup" => "has not succeeded yet",
        _ if started == Some(false) => "waits for the startup probe",
        "readiness" if ready => "succeeds",
        "readiness" => "fails",
        // a failing one restarts the container: while it runs it has not failed often enough
        _ => "has not failed often enough to restart it",
    };
    [
        ("startup", &container.startup_probe),
        ("readiness", &container.readiness_probe),
        ("liveness", &container.liveness_probe),
    ]
    .into_iter()
    .filter_map(|(kind, probe)| {
        let probe = probe.as_ref()?;
        Some(format!("{kind}: {}; {}", probe_text(probe), said(kind)))
    })
    .collect()
}

fn probe_text(probe: &core::Probe) -> String {
    let what = if let Some(exec) = &probe.exec {
        state::shortened(&exec.command.clone().unwrap_or_default().join(" "))
    } else if probe.tcp_socket.is_some() {
        "connects to a port".to_owned()
    } else if probe.http_get.is_some() {
        "asks over HTTP".to_owned()
    } else {
        "asks over gRPC".to_owned()
    };
    format!(
        "{what}, after {} s every {} s, {} failures count",
        probe.initial_delay_seconds.unwrap_or(0),
        probe.period_seconds.unwrap_or(10),
        probe.failure_threshold.unwrap_or(3)
    )
}

fn ports(container: &core::Container) -> Vec<String> {
    container
        .ports
        .iter()
        .flatten()
        .map(|port| {
            let protocol = port.protocol.as_deref().unwrap_or("TCP").to_lowercase();
            match port.host_port {
                Some(host) if host != port.container_port => {
                    format!("{protocol}/{} as {host} of the node", port.container_port)
                }
                _ => format!("{protocol}/{}", port.container_port),
            }
        })
        .collect()
}
