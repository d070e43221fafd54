//! What Kubernetes has said about an instance: events of its workload and of its pods.

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, ListParams};

use super::local;
use crate::fleet::health::State;
use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::look::object::Pod;
use crate::fleet::kubernetes::look::state;
use crate::fleet::kubernetes::look::workload::Workload;
use crate::fleet::kubernetes::retry::retrying;
use crate::fleet::story::Event;
use crate::ui::error::CommandResult;

/// Events that are shown.
const MOST_EVENTS: usize = 20;

/// What the controller or the scheduler could not do, when the pod itself does not tell.
pub(super) fn told(events: &[Event], state: State) -> Option<String> {
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
pub(super) async fn events(
    cluster: &Cluster,
    workload: &Workload,
    pods: &[Pod],
) -> CommandResult<Vec<Event>> {
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
