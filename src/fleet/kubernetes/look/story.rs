//! The story of an instance on a cluster: everything that the API server knows about it, asked side by side.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, ListParams};
use kube::runtime::reflector::Lookup as _;

use super::drift::{self, Difference};
use super::find::Found;
use super::list::{self, Scope, Seen};
use super::object::{self, Pod};
use super::release::{Release as Known, Releases, Revision};
use super::rows;
use super::state::{self, LostNodes};
use super::workload::{Instance, Workload};
use super::{record, resources};
use crate::fleet::health::State;
use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::logs::{self, Run};
use crate::fleet::kubernetes::retry::retrying;
use crate::fleet::logs::stream::Window;
use crate::fleet::manifest::Resource;
use crate::fleet::release::Record;
use crate::fleet::release::record as words;
use crate::fleet::story::{self, Configuration, Container, Event, Machine, Release, Story, Volume};
use crate::ui::error::CommandResult;

use futures_util::StreamExt as _;

/// Lines of a crashed container's log that are shown.
const LAST_LINES: usize = 10;
/// Events that are shown.
const MOST_EVENTS: usize = 20;

/// Tells the story.
///
/// # Errors
///
/// The cluster's refusal to show the instance itself; what else it refuses is named in the story.
pub async fn tell(cluster: &Cluster, found: &Found) -> CommandResult<Story> {
    let Found { instance, pods } = found;
    let workload = &instance.workload;
    let release_name = workload.release.as_deref().unwrap_or(&instance.name);
    let mut unseen = Vec::new();
    let pod = found.pod();
    let (revisions, events, full_pod, node) = tokio::join!(
        record::revisions(cluster, &workload.namespace, release_name),
        events(cluster, workload, pods),
        full_pod(cluster, pod),
        node(cluster, pod),
    );
    let revisions = seen_or(revisions, Vec::new(), &mut unseen);
    let events = seen_or(events, Vec::new(), &mut unseen);
    let full_pod = seen_or(full_pod, None, &mut unseen);
    let node = seen_or(node, None, &mut unseen);
    let deployed = revisions
        .iter()
        .rev()
        .find(|(_, status)| status == "deployed")
        .or(revisions.last());
    let record = match deployed {
        Some((revision, _)) => seen_or(
            record::record(cluster, &workload.namespace, release_name, *revision).await,
            None,
            &mut unseen,
        ),
        None => None,
    };
    let mut differences = Vec::new();
    for resource in record.iter().flat_map(resources) {
        match record::live(cluster, &workload.namespace, &resource).await {
            Ok(live) => differences.extend(drift::differences(
                &resource.id,
                &resource.body,
                live.as_ref(),
            )),
            Err(error) => unseen.push(list::in_full(&error)),
        }
    }
    let seen = Seen {
        releases: known_releases(
            &workload.namespace,
            release_name,
            &revisions,
            record.as_ref(),
        ),
        lost: LostNodes::of(&node.iter().map(lean_node).collect::<Vec<_>>()),
        ..Seen::default()
    };
    let release = seen.releases.get(&workload.namespace, release_name);
    let pod_references: Vec<&Pod> = pods.iter().collect();
    let mut row = rows::row(
        instance,
        &pod_references,
        release.as_ref(),
        &seen,
        Timestamp::now(),
    );
    row.drift = differences.iter().map(Difference::text).collect();
    if row.reason.is_none() || row.state == State::Pending {
        // what a controller could not do is only in its events
        row.reason = told_by_events(&events, row.state).or(row.reason);
    }
    let containers = containers(cluster, instance, pod, full_pod.as_ref(), &mut unseen).await;
    let volumes = volumes(cluster, full_pod.as_ref(), &mut unseen).await;
    let configuration = record
        .as_ref()
        .and_then(|record| configuration(workload, record, full_pod.as_ref()));
    let summary = story::summary(&row);
    let next = story::next(&row, configuration.as_ref());
    Ok(Story {
        summary,
        next,
        release: record
            .as_ref()
            .map(|record| released(record, release_name, &revisions)),
        containers,
        volumes,
        configuration,
        machine: node.map(|node| machine(&node, full_pod.as_ref())),
        events,
        unseen,
        row,
    })
}

/// A part of the story, or the reason why it is missing.
fn seen_or<T>(result: CommandResult<T>, otherwise: T, unseen: &mut Vec<String>) -> T {
    result.unwrap_or_else(|error| {
        unseen.push(list::in_full(&error));
        otherwise
    })
}

/// Revisions as a list of instances knows them.
fn known_releases(
    namespace: &str,
    name: &str,
    revisions: &[(u32, String)],
    record: Option<&Record>,
) -> Releases {
    let mut releases = Releases::default();
    for (number, status) in revisions {
        let status = serde_json::from_value(serde_json::Value::String(status.clone()))
            .unwrap_or(crate::fleet::release::Status::Unknown);
        let head = record
            .filter(|record| words::revision(record) == *number)
            .map(super::release::Head::of)
            .unwrap_or_default();
        releases.add(
            namespace,
            name,
            Revision {
                number: *number,
                status,
                head,
            },
        );
    }
    releases
}

fn released(record: &Record, name: &str, revisions: &[(u32, String)]) -> Release {
    Release {
        name: name.to_owned(),
        revision: words::revision(record),
        status: record.info.status.to_string(),
        chart: state::shortened(&record.chart_name_version()),
        version: state::shortened(words::app_version(record)),
        updated: record
            .info
            .last_deployed
            .as_ref()
            .map(|time| local(time.timestamp()))
            .unwrap_or_default(),
        by: words::annotation(record, words::DEPLOYED_BY).map(state::shortened),
        description: state::shortened(&record.info.description),
        revisions: revisions
            .iter()
            .map(|(number, status)| format!("{number} {status}"))
            .collect(),
    }
}

/// A time for people.
fn local(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// What the controller or the scheduler could not do, when the pod itself does not tell.
fn told_by_events(events: &[Event], state: State) -> Option<String> {
    if !matches!(state, State::Pending | State::Unhealthy) {
        return None;
    }
    let wanted = [
        "FailedCreate",
        "FailedMount",
        "FailedAttachVolume",
        "FailedCreatePodSandBox",
        "Unhealthy",
    ];
    events
        .iter()
        .rev()
        .find(|event| event.is_warning && wanted.contains(&event.reason.as_str()))
        .map(|event| format!("{}: {}", event.reason, event.message))
}

/// Events of the workload and of its pods.
async fn events(cluster: &Cluster, workload: &Workload, pods: &[Pod]) -> CommandResult<Vec<Event>> {
    let api: Api<core::Event> = Api::namespaced(cluster.client.clone(), &workload.namespace);
    let objects = std::iter::once(workload.name.clone())
        .chain(pods.iter().filter_map(|pod| pod.metadata.name.clone()));
    let mut found: Vec<(Option<Timestamp>, Event)> = Vec::new();
    for name in objects {
        let parameters = ListParams::default().fields(&format!("involvedObject.name={name}"));
        let list = retrying(|| api.list(&parameters))
            .await
            .map_err(cluster.failed(format!("list the events of `{name}`")))?;
        found.extend(list.items.into_iter().map(event));
    }
    found.sort_by_key(|(time, _)| *time);
    found.dedup_by(|left, right| left.1 == right.1);
    let skipped = found.len().saturating_sub(MOST_EVENTS);
    Ok(found
        .into_iter()
        .skip(skipped)
        .map(|(_, event)| event)
        .collect())
}

fn event(event: core::Event) -> (Option<Timestamp>, Event) {
    let series = event.series.as_ref();
    let time = series
        .and_then(|series| series.last_observed_time.as_ref())
        .map(|time| time.0)
        .or(event.last_timestamp.as_ref().map(|time| time.0))
        .or(event.event_time.as_ref().map(|time| time.0))
        .or(event
            .metadata
            .creation_timestamp
            .as_ref()
            .map(|time| time.0));
    let count = series
        .and_then(|series| series.count)
        .or(event.count)
        .unwrap_or(1);
    let told = Event {
        time: time.map(local).unwrap_or_default(),
        is_warning: event.type_.as_deref() == Some("Warning"),
        reason: event.reason.unwrap_or_default(),
        message: state::shortened(&event.message.unwrap_or_default()),
        count: u32::try_from(count).unwrap_or(1),
        object: format!(
            "{} {}",
            event.involved_object.kind.unwrap_or_default(),
            event.involved_object.name.unwrap_or_default()
        ),
    };
    (time, told)
}

/// The pod with all its fields.
async fn full_pod(cluster: &Cluster, pod: Option<&Pod>) -> CommandResult<Option<core::Pod>> {
    let Some(pod) = pod else { return Ok(None) };
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let api: Api<core::Pod> = Api::namespaced(cluster.client.clone(), namespace);
    retrying(|| api.get_opt(name))
        .await
        .map_err(cluster.failed(format!("read pod `{name}`")))
}

async fn node(cluster: &Cluster, pod: Option<&Pod>) -> CommandResult<Option<core::Node>> {
    let Some(name) = pod.and_then(|pod| pod.spec.node_name.as_deref()) else {
        return Ok(None);
    };
    let api: Api<core::Node> = cluster.cluster_api();
    retrying(|| api.get_opt(name))
        .await
        .map_err(cluster.failed(format!("read node `{name}`")))
}

fn lean_node(node: &core::Node) -> object::Node {
    object::Node {
        metadata: node.metadata.clone(),
        status: object::NodeStatus {
            conditions: node
                .status
                .as_ref()
                .and_then(|status| status.conditions.clone())
                .unwrap_or_default(),
        },
    }
}

fn machine(node: &core::Node, pod: Option<&core::Pod>) -> Machine {
    let conditions = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let is_ready = conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let mut unusual: Vec<String> = conditions
        .iter()
        .filter(|condition| (condition.type_ == "Ready") != (condition.status == "True"))
        .map(|condition| {
            state::shortened(&format!(
                "{} is {}: {}",
                condition.type_,
                condition.status,
                condition.message.as_deref().unwrap_or_default()
            ))
        })
        .collect();
    let spec = node.spec.as_ref();
    if spec.and_then(|spec| spec.unschedulable) == Some(true) {
        unusual.push("takes no new pods (cordoned)".to_owned());
    }
    for taint in spec
        .and_then(|spec| spec.taints.as_deref())
        .unwrap_or_default()
    {
        unusual.push(format!(
            "taint {}={}:{}",
            taint.key,
            taint.value.as_deref().unwrap_or_default(),
            taint.effect
        ));
    }
    let status = pod.and_then(|pod| pod.status.as_ref());
    Machine {
        name: node.name().map(|name| name.to_string()).unwrap_or_default(),
        is_ready,
        conditions: unusual,
        host_network: pod
            .and_then(|pod| pod.spec.as_ref()?.host_network)
            .unwrap_or(false),
        addresses: status
            .and_then(|status| status.pod_ips.as_deref())
            .unwrap_or_default()
            .iter()
            .map(|address| address.ip.clone())
            .collect(),
    }
}

async fn containers(
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

async fn volumes(
    cluster: &Cluster,
    pod: Option<&core::Pod>,
    unseen: &mut Vec<String>,
) -> Vec<Volume> {
    let Some(spec) = pod.and_then(|pod| pod.spec.as_ref()) else {
        return Vec::new();
    };
    let namespace = pod
        .and_then(|pod| pod.metadata.namespace.as_deref())
        .unwrap_or_default();
    let claims: Api<core::PersistentVolumeClaim> =
        Api::namespaced(cluster.client.clone(), namespace);
    let mut told = Vec::new();
    for volume in spec.volumes.iter().flatten() {
        // what every pod has of the cluster itself
        if volume.name.starts_with("kube-api-access-") {
            continue;
        }
        // containers of one pod mostly have it at the same place
        let mounted_at: BTreeSet<String> = spec
            .containers
            .iter()
            .flat_map(|container| container.volume_mounts.iter().flatten())
            .filter(|mount| mount.name == volume.name)
            .map(|mount| mount.mount_path.clone())
            .collect();
        let (source, state) = match &volume.persistent_volume_claim {
            Some(claim) => {
                let name = &claim.claim_name;
                let found = retrying(|| claims.get_opt(name))
                    .await
                    .map_err(cluster.failed(format!("read claim `{name}`")));
                let state = match found {
                    Ok(Some(claim)) => claim_state(&claim),
                    Ok(None) => "missing".to_owned(),
                    Err(error) => {
                        unseen.push(list::in_full(&error));
                        String::new()
                    }
                };
                (format!("claim {name}"), state)
            }
            None => (volume_source(volume), String::new()),
        };
        told.push(Volume {
            name: volume.name.clone(),
            source,
            state,
            mounted_at: mounted_at.into_iter().collect(),
        });
    }
    told
}

fn claim_state(claim: &core::PersistentVolumeClaim) -> String {
    let phase = claim
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .unwrap_or("unknown")
        .to_lowercase();
    let volume = claim
        .spec
        .as_ref()
        .and_then(|spec| spec.volume_name.as_deref());
    match volume {
        Some(volume) => format!("{phase} to {volume}"),
        None => phase,
    }
}

fn volume_source(volume: &core::Volume) -> String {
    if let Some(map) = &volume.config_map {
        format!("configuration {}", map.name)
    } else if let Some(secret) = &volume.secret {
        format!(
            "secret {}",
            secret.secret_name.as_deref().unwrap_or_default()
        )
    } else if let Some(path) = &volume.host_path {
        format!("folder {} of the node", path.path)
    } else if volume.empty_dir.is_some() {
        "empty folder that goes with the pod".to_owned()
    } else if let Some(nfs) = &volume.nfs {
        format!("{}:{} over NFS", nfs.server, nfs.path)
    } else {
        "other".to_owned()
    }
}

/// Whether the pod was started with the configuration of the release: charts put a hash of it into the pod.
fn configuration(
    workload: &Workload,
    record: &Record,
    pod: Option<&core::Pod>,
) -> Option<Configuration> {
    let resource: Resource = resources(record).into_iter().find(|resource| {
        resource.id.kind == workload.kind.name() && resource.id.name == workload.name
    })?;
    let template = resource.body.pointer("/spec/template/metadata")?;
    let is_hash = |key: &str| {
        let key = key.to_lowercase();
        key == "confighash" || key.starts_with("checksum/") || key.ends_with("config-hash")
    };
    let (part, key, released) = ["labels", "annotations"].into_iter().find_map(|part| {
        let map = template.get(part)?.as_object()?;
        let (key, value) = map.iter().find(|(key, _)| is_hash(key))?;
        Some((part, key.clone(), value.as_str()?.to_owned()))
    })?;
    let metadata = pod.map(|pod| &pod.metadata);
    let running = metadata.and_then(|metadata| {
        let map = if part == "labels" {
            metadata.labels.as_ref()
        } else {
            metadata.annotations.as_ref()
        };
        map?.get(&key).cloned()
    });
    Some(Configuration {
        is_current: running.as_ref().is_none_or(|running| *running == released),
        released,
        running,
    })
}

/// An instance whose workload is gone but whose release is there.
///
/// # Errors
///
/// The cluster's refusal.
pub async fn tell_of_release(
    cluster: &Cluster,
    name: &str,
    seen: &Seen,
) -> CommandResult<Option<Story>> {
    let known = std::collections::BTreeSet::from([name.to_owned()]);
    let Some(row) = super::missing(cluster, seen, &cluster.namespace, name, &known).await? else {
        return Ok(None);
    };
    let revisions = record::revisions(cluster, &cluster.namespace, name).await?;
    let number = seen
        .releases
        .get(&cluster.namespace, name)
        .map_or(0, |release: Known| release.shown().number);
    let record = record::record(cluster, &cluster.namespace, name, number).await?;
    Ok(Some(Story {
        summary: story::summary(&row),
        next: story::next(&row, None),
        release: record.map(|record| released(&record, name, &revisions)),
        containers: Vec::new(),
        volumes: Vec::new(),
        configuration: None,
        machine: None,
        events: Vec::new(),
        unseen: Vec::new(),
        row,
    }))
}

/// What a list of the namespace says, for instances whose workload is gone.
///
/// # Errors
///
/// The cluster's refusal.
pub async fn surroundings(cluster: &Cluster) -> CommandResult<Seen> {
    list::look(cluster, Scope::Namespace(&cluster.namespace)).await
}
