//! Looking at instances on a cluster: which there are, how they are, and the whole story of one.
//!
//! What is asked of the API server is in [`list`], [`watch`], [`find`], [`record`] and [`story`]; the rest is pure. A list asks for what all instances
//! need; a closer look is taken only at those that somebody has changed past their release, or whose workload is gone.

pub mod drift;
pub mod find;
mod heads;
pub mod list;
pub mod object;
mod page;
pub mod protobuf;
pub mod record;
pub mod release;
pub mod releases;
pub mod rows;
pub mod state;
pub mod story;
pub mod watch;
pub mod workload;

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;

use self::list::{Scope, Seen};
use self::workload::Instance;
use crate::fleet::health::State;
use crate::fleet::kubernetes::Cluster;
use crate::fleet::manifest::{self, Resource};
use crate::fleet::overview::Row;
use crate::fleet::release::Record;
use crate::fleet::release::record as words;
use crate::ui::error::CommandResult;

/// Closer looks at the same time.
const CLOSER_LOOKS: usize = 16;

/// The rows of a scope, and what could not be seen.
///
/// # Errors
///
/// The cluster's refusal.
pub async fn rows(
    cluster: &Cluster,
    scope: Scope<'_>,
    known: &BTreeSet<String>,
    now: Timestamp,
) -> CommandResult<(Vec<Row>, Vec<String>)> {
    let seen = list::look(cluster, scope).await?;
    let (rows, warnings) = closer(cluster, &seen, known, now).await;
    Ok((rows, [seen.unseen, warnings].concat()))
}

/// Rows with drift, and with the instances whose workload is gone.
pub async fn closer(
    cluster: &Cluster,
    seen: &Seen,
    known: &BTreeSet<String>,
    now: Timestamp,
) -> (Vec<Row>, Vec<String>) {
    let instances = workload::instances(seen.workloads.clone(), known);
    let mut rows = rows::rows(&instances, seen, now);
    let mut warnings = Vec::new();
    let touched: Vec<(usize, Instance)> = instances
        .into_iter()
        .enumerate()
        .filter(|(_, instance)| instance.workload.touched_by.is_some())
        .collect();
    let drifts: Vec<_> = stream::iter(touched)
        .map(|(number, instance)| async move {
            let found = drift_of(cluster, seen, &instance).await;
            (number, instance, found)
        })
        .buffer_unordered(CLOSER_LOOKS)
        .collect()
        .await;
    for (number, instance, found) in drifts {
        match found {
            Ok(fields) => {
                let Some(row) = rows.get_mut(number) else {
                    continue;
                };
                if fields.is_empty() {
                    continue;
                }
                if row.state == State::Stopped
                    && let Some(by) = &instance.workload.touched_by
                    && fields.iter().any(|field| field.contains("spec.replicas"))
                {
                    row.note = Some(format!(
                        "scaled to nothing by {by}, which the release does not know: the next deploy starts it"
                    ));
                }
                row.drift = fields;
            }
            Err(error) => warnings.push(format!(
                "`{}`: not compared with its release: {}",
                instance.name,
                list::in_full(&error)
            )),
        }
    }
    for (namespace, name) in rows::without_workload(seen) {
        match missing(cluster, seen, &namespace, &name, known).await {
            Ok(Some(row)) => rows.push(row),
            Ok(None) => {}
            Err(error) => warnings.push(format!("release `{name}`: {}", list::in_full(&error))),
        }
    }
    rows.sort_by(|left, right| (&left.name, &left.namespace).cmp(&(&right.name, &right.namespace)));
    (rows, warnings)
}

/// What of a workload differs from its release.
async fn drift_of(
    cluster: &Cluster,
    seen: &Seen,
    instance: &Instance,
) -> CommandResult<Vec<String>> {
    let workload = &instance.workload;
    let release_name = workload.release.as_deref().unwrap_or(&instance.name);
    let Some(release) = seen.releases.get(&workload.namespace, release_name) else {
        return Ok(Vec::new());
    };
    let shown = release.shown().number;
    let record = record::record(cluster, &workload.namespace, release_name, shown).await?;
    let Some(resource) = record.as_ref().and_then(|record| {
        resources(record).into_iter().find(|resource| {
            resource.id.kind == workload.kind.name() && resource.id.name == workload.name
        })
    }) else {
        return Ok(Vec::new());
    };
    let live = record::live(cluster, &workload.namespace, &resource).await?;
    Ok(
        drift::differences(&resource.id, &resource.body, live.as_ref())
            .iter()
            .map(drift::Difference::text)
            .collect(),
    )
}

/// The row of a release whose workload is gone, when it should have an IOC.
async fn missing(
    cluster: &Cluster,
    seen: &Seen,
    namespace: &str,
    name: &str,
    known: &BTreeSet<String>,
) -> CommandResult<Option<Row>> {
    let Some(release) = seen.releases.get(namespace, name) else {
        return Ok(None);
    };
    let number = release.shown().number;
    let Some(record) = record::record(cluster, namespace, name, number).await? else {
        return Ok(None);
    };
    let workloads: Vec<workload::Workload> = resources(&record)
        .iter()
        .filter_map(workload::released)
        .collect();
    let Some(instance) = workload::instances(workloads, known).into_iter().next() else {
        return Ok(None);
    };
    let instance = Instance {
        name: name.to_owned(),
        ..instance
    };
    let mut row = rows::row(&instance, &[], Some(&release), seen, Timestamp::UNIX_EPOCH);
    namespace.clone_into(&mut row.namespace);
    row.state = State::Missing;
    row.reason = Some(format!(
        "{} {} is gone from the cluster",
        instance.workload.kind.name(),
        instance.workload.name
    ));
    row.note = Some(format!("`ioc deploy {name}` makes it again"));
    Ok(Some(row))
}

/// The resources of a record; none when its manifest cannot be read.
pub fn resources(record: &Record) -> Vec<Resource> {
    manifest::parse(&record.manifest).unwrap_or_else(|diagnostic| {
        tracing::debug!(
            release = record.name,
            revision = words::revision(record),
            ?diagnostic,
            "the manifest of a release cannot be read"
        );
        Vec::new()
    })
}
