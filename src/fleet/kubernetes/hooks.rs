//! Hooks of a chart: objects that are made at moments of a release, in the order of their weights, and awaited.

use std::time::Duration;

use helm::HookEvent;
use helm::release::{HookPhase, HookRecord};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::DynamicObject;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fleet::kubernetes::apply::interrupted;
use crate::fleet::kubernetes::object::Object;
use crate::fleet::kubernetes::plan::read;
use crate::fleet::kubernetes::release::ClusterRelease;
use crate::fleet::progress::Progress;
use crate::fleet::release::record;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

const PAUSE: Duration = Duration::from_millis(300);

/// How far a hook has come.
enum State {
    Running(String),
    Succeeded,
    Failed(String),
}

impl ClusterRelease {
    /// Runs the hooks of an event one after the other.
    ///
    /// # Errors
    ///
    /// The first hook that fails or takes too long, with its last lines.
    pub(super) async fn run_hooks(
        &self,
        hooks: &mut [HookRecord],
        event: HookEvent,
        timeout: Duration,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<()> {
        let mut order: Vec<usize> = (0..hooks.len())
            .filter(|index| hooks[*index].events.contains(&event))
            .collect();
        order.sort_by(|one, other| {
            let (one, other) = (&hooks[*one], &hooks[*other]);
            (one.weight, &one.name).cmp(&(other.weight, &other.name))
        });
        for index in &order {
            interrupted(cancel)?;
            let hook = &mut hooks[*index];
            progress.step(&format!("running the hook {} {}", hook.kind, hook.name));
            hook.last_run.started_at = Some(record::time(Timestamp::now()));
            hook.last_run.phase = HookPhase::Running;
            let result = self.run_hook(hook, timeout, progress, cancel).await;
            hook.last_run.completed_at = Some(record::time(Timestamp::now()));
            if let Err(error) = result {
                hook.last_run.phase = HookPhase::Failed;
                if has(hook, "hook-failed") {
                    self.remove_hook(hook).await?;
                }
                return Err(error);
            }
            hook.last_run.phase = HookPhase::Succeeded;
        }
        // as Helm: those that are to go when they succeeded go when all have
        for index in order {
            if has(&hooks[index], "hook-succeeded") {
                self.remove_hook(&hooks[index]).await?;
            }
        }
        Ok(())
    }

    async fn run_hook(
        &self,
        hook: &HookRecord,
        timeout: Duration,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<()> {
        if hook.delete_policies.is_empty() || has(hook, "before-hook-creation") {
            self.remove_hook(hook).await?;
        }
        for object in self.hook_objects(hook).await? {
            let name = object.described(&self.cluster);
            object
                .apply(&self.cluster, &self.name, false, false)
                .await
                .map_err(self.cluster.failed(format!("make the hook {name}")))?;
            self.await_hook(&object, timeout, progress, cancel).await?;
        }
        Ok(())
    }

    async fn await_hook(
        &self,
        object: &Object,
        timeout: Duration,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<()> {
        let name = object.described(&self.cluster);
        let begin = Instant::now();
        let mut said = String::new();
        loop {
            let live = object
                .live(&self.cluster)
                .await
                .map_err(self.cluster.failed(format!("look at the hook {name}")))?;
            let state = live
                .as_ref()
                .map_or(State::Failed("it was deleted".to_owned()), state);
            let why = match state {
                State::Succeeded => return Ok(()),
                State::Failed(why) => {
                    let error =
                        CommandError::new(ErrorKind::Unhealthy, format!("the hook {name} failed"));
                    let lines = self.hook_lines(object).await;
                    return Err(error.caused_by(format!("{why}{lines}")));
                }
                State::Running(why) => why,
            };
            if begin.elapsed() > timeout {
                let lines = self.hook_lines(object).await;
                return Err(CommandError::new(
                    ErrorKind::Unhealthy,
                    format!(
                        "the hook {name} has not ended after {} seconds",
                        timeout.as_secs()
                    ),
                )
                .caused_by(format!("{why}{lines}"))
                .hint("`--timeout` gives it longer"));
            }
            if why != said {
                progress.step(&format!("waiting for the hook {name}: {why}"));
                said = why;
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = cancel.cancelled() => return interrupted(cancel),
            }
        }
    }

    /// The last lines of a hook's pods, each on its own line; empty when there are none.
    async fn hook_lines(&self, object: &Object) -> String {
        let namespace = object
            .id
            .namespace
            .as_deref()
            .unwrap_or(&self.cluster.namespace);
        let pods: kube::Api<Pod> = kube::Api::namespaced(self.cluster.client.clone(), namespace);
        let names: Vec<String> = if object.id.kind == "Pod" {
            vec![object.id.name.clone()]
        } else {
            let selector = format!("job-name={}", object.id.name);
            let parameters = kube::api::ListParams::default().labels(&selector);
            let list = pods
                .list(&parameters)
                .await
                .map(|list| list.items)
                .unwrap_or_default();
            list.into_iter()
                .filter_map(|pod| pod.metadata.name)
                .collect()
        };
        let Some(newest) = names.last() else {
            return String::new();
        };
        super::readiness::last_lines(&pods, newest, None, false).await
    }

    /// Deletes the objects of a hook and waits until they are gone.
    async fn remove_hook(&self, hook: &HookRecord) -> CommandResult<()> {
        for object in self.hook_objects(hook).await? {
            let name = object.described(&self.cluster);
            let was_there = object
                .delete(&self.cluster)
                .await
                .map_err(self.cluster.failed(format!("remove the hook {name}")))?;
            if was_there {
                self.gone(&object, Duration::from_mins(1)).await?;
            }
        }
        Ok(())
    }

    /// Waits until an object that was deleted is gone.
    pub(super) async fn gone(&self, object: &Object, timeout: Duration) -> CommandResult<()> {
        let name = object.described(&self.cluster);
        let begin = Instant::now();
        loop {
            let live = object
                .live(&self.cluster)
                .await
                .map_err(self.cluster.failed(format!("look at {name}")))?;
            let Some(live) = live else { return Ok(()) };
            if begin.elapsed() > timeout {
                let finalizers = live.metadata.finalizers.unwrap_or_default().join(", ");
                let error = CommandError::new(
                    ErrorKind::Unhealthy,
                    format!(
                        "{name} is still there {} seconds after it was deleted",
                        timeout.as_secs()
                    ),
                );
                return Err(if finalizers.is_empty() {
                    error
                } else {
                    error.caused_by(format!("it waits for its finalizers: {finalizers}"))
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn hook_objects(&self, hook: &HookRecord) -> CommandResult<Vec<Object>> {
        let mut objects = Vec::new();
        for resource in read(&hook.manifest)? {
            let found = Object::locate(&self.cluster, &resource).await.map_err(
                self.cluster
                    .failed(format!("find the kind {}", resource.id.kind)),
            )?;
            objects.push(found.ok_or_else(|| {
                CommandError::new(
                    ErrorKind::Input,
                    format!(
                        "the cluster does not know the kind {} of a hook",
                        resource.id.kind
                    ),
                )
            })?);
        }
        Ok(objects)
    }
}

fn has(hook: &HookRecord, policy: &str) -> bool {
    hook.delete_policies.iter().any(|one| one == policy)
}

/// How far a hook has come: jobs and pods run to their end, everything else is done when it is there.
fn state(object: &DynamicObject) -> State {
    let kind = object
        .types
        .as_ref()
        .map_or("", |types| types.kind.as_str());
    let text = |pointer: &str| object.data.pointer(pointer).and_then(Value::as_str);
    match kind {
        "Job" => {
            let conditions = object
                .data
                .pointer("/status/conditions")
                .and_then(Value::as_array);
            for condition in conditions.into_iter().flatten() {
                if condition["status"] != "True" {
                    continue;
                }
                match condition["type"].as_str() {
                    Some("Complete") => return State::Succeeded,
                    Some("Failed") => {
                        let why = condition["message"].as_str().unwrap_or("the job failed");
                        return State::Failed(why.to_owned());
                    }
                    _ => {}
                }
            }
            let count = |key: &str| {
                let pointer = format!("/status/{key}");
                object
                    .data
                    .pointer(&pointer)
                    .and_then(Value::as_i64)
                    .unwrap_or(0)
            };
            State::Running(format!(
                "{} running, {} failed",
                count("active"),
                count("failed")
            ))
        }
        "Pod" => match text("/status/phase") {
            Some("Succeeded") => State::Succeeded,
            Some("Failed") => State::Failed(
                text("/status/message")
                    .unwrap_or("the pod failed")
                    .to_owned(),
            ),
            phase => State::Running(phase.unwrap_or("not started").to_lowercase()),
        },
        _ => State::Succeeded,
    }
}
