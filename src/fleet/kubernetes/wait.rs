//! Waiting until what was applied is ready, with the reason of every second of it.
//!
//! A watch wakes the wait when a workload changes; what it then is, is asked for. So a watch that is cut, or not allowed,
//! costs nothing but time: without one the same is asked in short intervals. A StatefulSet never replaces a pod that is not ready by one of a newer template; where such a pod cannot
//! get better by itself, it is deleted here, which is what people would do by hand.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Preconditions};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fleet::answer::Answer;
use crate::fleet::kubernetes::alive::Alive;
use crate::fleet::kubernetes::apply::interrupted;
use crate::fleet::kubernetes::notices::Notices;
use crate::fleet::kubernetes::object::Object;
use crate::fleet::kubernetes::readiness::{self, Trouble};
use crate::fleet::kubernetes::release::ClusterRelease;
use crate::fleet::kubernetes::retry::retrying;
use crate::fleet::progress::Progress;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Between two looks where nothing wakes the wait.
const PAUSE: Duration = Duration::from_millis(300);
/// And where something does, or the wait is long: reasons are asked for in this interval.
const LATER_PAUSE: Duration = Duration::from_secs(1);

/// A workload as it is now.
pub(super) struct Workload {
    /// Why it is not ready.
    why: Option<String>,
    selector: LabelSelector,
    uid: String,
    /// The template that its pods are to have, for a StatefulSet.
    update_revision: Option<String>,
}

impl Workload {
    /// Its selector as the API takes it; `None` for one that selects nothing.
    pub(super) fn selector(&self) -> Option<String> {
        selector(&self.selector)
    }
}

/// Why a workload waits.
pub(super) struct Waiting {
    pub(super) why: String,
    pub(super) pod: Option<(String, Trouble)>,
}

impl ClusterRelease {
    /// Waits until all of `objects` are ready and go on; gives what the IOC among them answered.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unhealthy`] with the reason and the last lines of a container when the time is over;
    /// [`ErrorKind::Interrupted`].
    pub(super) async fn wait_until_ready<'o>(
        &self,
        objects: impl Iterator<Item = &'o Object>,
        timeout: Duration,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<Option<Answer>> {
        let all: Vec<&Object> = objects.filter(|object| is_awaited(object)).collect();
        let notices = Notices::of(&self.cluster, &all);
        let mut open = all.clone();
        let begin = Instant::now();
        let mut said = String::new();
        let mut replaced = BTreeSet::new();
        let mut reasons_from = begin + PAUSE;
        loop {
            let mut still = Vec::new();
            for object in open {
                let workload = self.workload(object).await?;
                if workload.is_none_or(|workload| workload.why.is_some()) {
                    still.push(object);
                }
            }
            open = still;
            let mut waiting = None;
            if open.is_empty() {
                match self
                    .all_alive(&all, begin + timeout, progress, cancel)
                    .await?
                {
                    (answer, None) => return Ok(answer),
                    (_, Some(restless)) => {
                        open.clone_from(&all);
                        waiting = Some(restless);
                    }
                }
            }
            let is_late = begin.elapsed() >= timeout;
            if waiting.is_none() && (is_late || Instant::now() >= reasons_from) {
                waiting = self.first_waiting(&open, &mut replaced, progress).await?;
                reasons_from = Instant::now() + LATER_PAUSE;
            }
            if let Some((first, waiting)) = waiting {
                if is_late {
                    return Err(self.not_ready(first, waiting, timeout).await);
                }
                if waiting.why != said {
                    progress.step(&format!("waiting: {}", waiting.why));
                    said = waiting.why;
                }
            }
            let pause = if notices.are_given() || begin.elapsed() >= Duration::from_secs(10) {
                LATER_PAUSE
            } else {
                PAUSE
            };
            tokio::select! {
                () = notices.next() => {}
                () = tokio::time::sleep(pause) => {}
                () = tokio::time::sleep_until(reasons_from) => {}
                () = cancel.cancelled() => interrupted(cancel)?,
            }
        }
    }

    /// The first of several that is not ready, and why; `None` when they have become ready meanwhile.
    async fn first_waiting<'o>(
        &self,
        objects: &[&'o Object],
        replaced: &mut BTreeSet<String>,
        progress: &dyn Progress,
    ) -> CommandResult<Option<(&'o Object, Waiting)>> {
        for object in objects {
            if let Some(waiting) = self.waiting(object, replaced, progress).await? {
                return Ok(Some((object, waiting)));
            }
        }
        Ok(None)
    }

    /// Whether all that is ready goes on, or which does not; with the answer of the IOC.
    async fn all_alive<'o>(
        &self,
        objects: &[&'o Object],
        deadline: Instant,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<(Option<Answer>, Option<(&'o Object, Waiting)>)> {
        let mut answer = None;
        for object in objects {
            match self.alive(object, deadline, progress, cancel).await? {
                Alive::Yes(heard) => answer = answer.or(heard),
                Alive::No(waiting) => return Ok((None, Some((object, waiting)))),
            }
        }
        Ok((answer, None))
    }

    /// Whether an object is ready; those that are not waited for are.
    pub(super) async fn is_ready(&self, object: &Object) -> CommandResult<bool> {
        if !is_awaited(object) {
            return Ok(true);
        }
        let workload = self.workload(object).await?;
        Ok(workload.is_some_and(|workload| workload.why.is_none()))
    }

    async fn not_ready(
        &self,
        object: &Object,
        waiting: Waiting,
        timeout: Duration,
    ) -> CommandError {
        let mut cause = waiting.why;
        if let Some((pod, trouble)) = &waiting.pod
            && let Some((container, previous)) = &trouble.log
        {
            let pods = self.pods(object);
            let lines =
                |previous| readiness::last_lines(&pods, pod, Some(container.as_str()), previous);
            let mut said = String::new();
            // it may have been started again, or not yet, since it was looked at, and what it said comes a moment later
            for is_other in [false, true, false, true] {
                said = lines(*previous != is_other).await;
                if !said.is_empty() {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
            cause.push_str(&said);
        }
        CommandError::new(
            ErrorKind::Unhealthy,
            format!("`{}` is not ready after {} seconds", self.name, timeout.as_secs()),
        )
        .caused_by(cause)
        .hint(format!("`ioc status {0}` tells more, `ioc logs {0}` what the IOC says; `--timeout` waits longer", self.name))
    }

    pub(super) fn pods(&self, object: &Object) -> Api<Pod> {
        let namespace = object
            .id
            .namespace
            .as_deref()
            .unwrap_or(&self.cluster.namespace);
        Api::namespaced(self.cluster.client.clone(), namespace)
    }

    /// Why an object is not ready; `None` when it is.
    async fn waiting(
        &self,
        object: &Object,
        replaced: &mut BTreeSet<String>,
        progress: &dyn Progress,
    ) -> CommandResult<Option<Waiting>> {
        let Some(workload) = self.workload(object).await? else {
            let why = format!("{} is gone", object.described(&self.cluster));
            return Ok(Some(Waiting { why, pod: None }));
        };
        let Some(general) = &workload.why else {
            return Ok(None);
        };
        let pods = self.pods(object);
        let found: Vec<Pod> = match workload.selector() {
            Some(selector) => {
                let parameters = ListParams::default().labels(&selector);
                let doing = format!("look at the pods of {}", object.id);
                let list = retrying(|| pods.list(&parameters))
                    .await
                    .map_err(self.cluster.failed(doing))?;
                list.items
            }
            None => Vec::new(),
        };
        for pod in &found {
            let Some(trouble) = readiness::pod(pod) else {
                continue;
            };
            let name = pod.metadata.name.clone().unwrap_or_default();
            let is_old = workload.update_revision.as_ref().is_some_and(|wanted| {
                let labels = pod.metadata.labels.as_ref();
                labels.and_then(|labels| labels.get("controller-revision-hash")) != Some(wanted)
            });
            let uid = pod.metadata.uid.clone().unwrap_or_default();
            if is_old
                && trouble.is_stuck
                && pod.metadata.deletion_timestamp.is_none()
                && replaced.insert(uid.clone())
            {
                self.replace(&pods, &name, uid, &trouble.why, progress)
                    .await?;
            }
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            let events = self.warnings(&pods, uid).await;
            let is_vague = !trouble.is_stuck;
            let why = match events.first() {
                Some(event) if is_vague => format!("{}: {event}", trouble.why),
                _ => trouble.why.clone(),
            };
            return Ok(Some(Waiting {
                why,
                pod: Some((name, trouble)),
            }));
        }
        if let Some((name, trouble)) = found.iter().find_map(readiness::ended_before) {
            return Ok(Some(Waiting {
                why: trouble.why.clone(),
                pod: Some((name, trouble)),
            }));
        }
        // no pod is to blame: it may be that none can be made, for quota or pod security
        let events = self.warnings(&pods, &workload.uid).await;
        let why = match events.first() {
            Some(event) if found.is_empty() => format!("{}: {event}", object.id),
            _ => format!("{}: {general}", object.id),
        };
        Ok(Some(Waiting { why, pod: None }))
    }

    /// Deletes a pod of an older template that will never be ready, so that one of the new template takes its place.
    async fn replace(
        &self,
        pods: &Api<Pod>,
        name: &str,
        uid: String,
        why: &str,
        progress: &dyn Progress,
    ) -> CommandResult<()> {
        progress.warning(&format!(
            "the pod {name} of an earlier revision is replaced: it would never be ready, and its StatefulSet waits for it ({why})"
        ));
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match retrying(|| pods.delete(name, &parameters)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(self.cluster.failed(format!("replace the pod {name}"))(
                error,
            )),
        }
    }

    /// Warnings about an object, newest first. They only explain: without permission to read them there are none.
    async fn warnings(&self, pods: &Api<Pod>, uid: &str) -> Vec<String> {
        let namespace = pods.namespace().unwrap_or(&self.cluster.namespace);
        let events: Api<Event> = Api::namespaced(self.cluster.client.clone(), namespace);
        let parameters = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
        match events.list(&parameters).await {
            Ok(list) => readiness::warnings(&list.items),
            Err(error) => {
                tracing::debug!(%error, "no events");
                Vec::new()
            }
        }
    }

    pub(super) async fn workload(&self, object: &Object) -> CommandResult<Option<Workload>> {
        let client = self.cluster.client.clone();
        let namespace = object
            .id
            .namespace
            .as_deref()
            .unwrap_or(&self.cluster.namespace);
        let name = &object.id.name;
        let failed = self.cluster.failed(format!("look at {}", object.id));
        let uid = |metadata: &kube::core::ObjectMeta| metadata.uid.clone().unwrap_or_default();
        let found = match object.id.kind.as_str() {
            "StatefulSet" => {
                let api: Api<StatefulSet> = Api::namespaced(client, namespace);
                let set = retrying(|| api.get_opt(name)).await.map_err(failed)?;
                set.map(|set| Workload {
                    why: readiness::stateful_set(&set),
                    uid: uid(&set.metadata),
                    update_revision: set.status.and_then(|status| status.update_revision),
                    selector: set.spec.map(|spec| spec.selector).unwrap_or_default(),
                })
            }
            "Deployment" => {
                let api: Api<Deployment> = Api::namespaced(client, namespace);
                let deployment = retrying(|| api.get_opt(name)).await.map_err(failed)?;
                deployment.map(|deployment| Workload {
                    why: readiness::deployment(&deployment),
                    uid: uid(&deployment.metadata),
                    update_revision: None,
                    selector: deployment
                        .spec
                        .map(|spec| spec.selector)
                        .unwrap_or_default(),
                })
            }
            _ => {
                let api: Api<DaemonSet> = Api::namespaced(client, namespace);
                let set = retrying(|| api.get_opt(name)).await.map_err(failed)?;
                set.map(|set| Workload {
                    why: readiness::daemon_set(&set),
                    uid: uid(&set.metadata),
                    update_revision: None,
                    selector: set.spec.map(|spec| spec.selector).unwrap_or_default(),
                })
            }
        };
        Ok(found)
    }

    /// Deletes the pods of workloads, which makes them anew from the same templates. Gives how many there were, and what
    /// the IOC answered.
    ///
    /// # Errors
    ///
    /// The cluster's refusal, and what [`Self::wait_until_ready`] says.
    pub async fn restart(
        &self,
        wait: Option<Duration>,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<(usize, Option<Answer>)> {
        let objects = self.made_objects().await?;
        let workloads: Vec<&Object> = objects.iter().filter(|object| is_awaited(object)).collect();
        let mut count = 0;
        let mut restarted = Vec::new();
        for object in &workloads {
            let Some(workload) = self.workload(object).await? else {
                continue;
            };
            let Some(selector) = workload.selector() else {
                continue;
            };
            let pods = self.pods(object);
            let parameters = ListParams::default().labels(&selector);
            let list = retrying(|| pods.list(&parameters)).await.map_err(
                self.cluster
                    .failed(format!("look at the pods of {}", object.id)),
            )?;
            if !list.items.is_empty() {
                restarted.push(*object);
            }
            for pod in list.items {
                let name = pod.metadata.name.clone().unwrap_or_default();
                progress.step(&format!("restarting {name}"));
                let parameters = DeleteParams {
                    preconditions: Some(Preconditions {
                        uid: pod.metadata.uid.clone(),
                        resource_version: None,
                    }),
                    ..DeleteParams::default()
                };
                match retrying(|| pods.delete(&name, &parameters)).await {
                    Ok(_) => count += 1,
                    Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                    Err(error) => {
                        return Err(self.cluster.failed(format!("restart the pod {name}"))(
                            error,
                        ));
                    }
                }
                self.pod_gone(&pods, &name, pod.metadata.uid.as_deref(), wait, cancel)
                    .await?;
            }
        }
        let Some(timeout) = wait else {
            return Ok((count, None));
        };
        let begin = Instant::now();
        loop {
            let left = timeout.saturating_sub(begin.elapsed());
            let answer = self
                .wait_until_ready(workloads.iter().copied(), left, progress, cancel)
                .await?;
            // while the controllers are away a workload still counts the pods that it had
            if self.has_ready_pods(&restarted).await? {
                return Ok((count, answer));
            }
            if begin.elapsed() >= timeout {
                let after = timeout.as_secs();
                return Err(CommandError::new(
                    ErrorKind::Unhealthy,
                    format!(
                        "`{}` has no ready pod again after {after} seconds",
                        self.name
                    ),
                )
                .hint("does the cluster's controller manager run? `ioc status` tells more"));
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = cancel.cancelled() => interrupted(cancel)?,
            }
        }
    }

    /// Whether each of these workloads has pods, and all of them say themselves that they are ready.
    async fn has_ready_pods(&self, workloads: &[&Object]) -> CommandResult<bool> {
        for object in workloads {
            let pods = self.pods_of(object).await?;
            if pods.is_empty() || pods.iter().any(|pod| readiness::pod(pod).is_some()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits until a pod that was deleted is not there any more, or is another of the same name.
    async fn pod_gone(
        &self,
        pods: &Api<Pod>,
        name: &str,
        uid: Option<&str>,
        wait: Option<Duration>,
        cancel: &CancellationToken,
    ) -> CommandResult<()> {
        let Some(timeout) = wait else { return Ok(()) };
        let begin = Instant::now();
        loop {
            let pod = retrying(|| pods.get_metadata_opt(name))
                .await
                .map_err(self.cluster.failed(format!("look at the pod {name}")))?;
            if pod.is_none_or(|pod| pod.metadata.uid.as_deref() != uid) {
                return Ok(());
            }
            if begin.elapsed() > timeout {
                return Err(CommandError::new(
                    ErrorKind::Unhealthy,
                    format!(
                        "the pod {name} has not ended after {} seconds",
                        timeout.as_secs()
                    ),
                )
                .hint("does its node answer? `ioc node` tells; `--timeout` waits longer"));
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = cancel.cancelled() => return interrupted(cancel),
            }
        }
    }
}

fn is_awaited(object: &Object) -> bool {
    object.id.group == "apps"
        && matches!(
            object.id.kind.as_str(),
            "StatefulSet" | "Deployment" | "DaemonSet"
        )
}

/// A selector as the API takes it; `None` for one that selects nothing.
fn selector(selector: &LabelSelector) -> Option<String> {
    let mut terms: Vec<String> = selector
        .match_labels
        .iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    for expression in selector.match_expressions.iter().flatten() {
        let key = &expression.key;
        let values = expression.values.clone().unwrap_or_default().join(",");
        terms.push(match expression.operator.as_str() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.clone(),
            _ => format!("!{key}"),
        });
    }
    (!terms.is_empty()).then(|| terms.join(","))
}
