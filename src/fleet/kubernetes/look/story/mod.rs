//! The story of an instance on a cluster: everything that the API server knows about it, asked side by side.

mod containers;
mod events;
mod machine;
mod modules;
mod volumes;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::core::v1 as core;
use kube::api::Api;

use super::drift::{self, Difference};
use super::find::Found;
use super::list::{self, Scope, Seen};
use super::object::Pod;
use super::release::{Release as Known, Releases, Revision};
use super::rows;
use super::state::{self, LostNodes};
use super::workload::Workload;
use super::{record, resources};
use crate::fleet::health::State;
use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::retry::retrying;
use crate::fleet::manifest::Resource;
use crate::fleet::release::Record;
use crate::fleet::release::record as words;
use crate::fleet::story::{self, Configuration, Release, Story};
use crate::ui::error::CommandResult;

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
    let (revisions, events, full_pod, node, modules) = tokio::join!(
        record::revisions(cluster, &workload.namespace, release_name),
        events::events(cluster, workload, pods),
        full_pod(cluster, pod),
        machine::node(cluster, pod),
        Box::pin(modules::modules(cluster, found)),
    );
    let revisions = seen_or(revisions, Vec::new(), &mut unseen);
    let events = seen_or(events, Vec::new(), &mut unseen);
    let full_pod = seen_or(full_pod, None, &mut unseen);
    let node = seen_or(node, None, &mut unseen);
    let modules = seen_or(modules, Vec::new(), &mut unseen);
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
        lost: LostNodes::of(&node.iter().map(machine::lean).collect::<Vec<_>>()),
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
        row.reason = events::told(&events, row.state).or(row.reason);
    }
    let containers =
        containers::containers(cluster, instance, pod, full_pod.as_ref(), &mut unseen).await;
    let volumes = volumes::volumes(cluster, full_pod.as_ref(), &mut unseen).await;
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
        modules,
        configuration,
        machine: node.map(|node| machine::machine(&node, full_pod.as_ref())),
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
        modules: Vec::new(),
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
