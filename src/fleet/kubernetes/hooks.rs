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
        for (place, index) in order.iter().enumerate() {
            interrupted(cancel)?;
            let hook = &mut hooks[*index];
            progress.step(&format!("running the hook {} {}", hook.kind, hook.name));
            hook.last_run.started_at = Some(record::time(Timestamp::now()));
            hook.last_run.phase = HookPhase::Running;
            let result = self.run_hook(hook, timeout, progress, cancel).await;
            hook.last_run.completed_at = Some(record::time(Timestamp::now()));
            if let Err(error) = result {
                hook.last_run.phase = HookPhase::Failed;
                let earlier = order[..place].iter().rev().map(|index| &hooks[*index]);
                return Err(self.clear_up(&hooks[*index], earlier, error).await);
            }
            hook.last_run.phase = HookPhase::Succeeded;
        }
        // as Helm: those that are to go when they succeeded go when all have, the last one first
        for index in order.into_iter().rev() {
            if has(&hooks[index], "hook-succeeded") {
                self.remove_hook(&hooks[index]).await?;
            }
        }
        Ok(())
    }

    /// Removes what is to go after a hook has failed: that one, and earlier ones that succeeded, as their policies say. Why
    /// it failed is told whatever comes of this.
    async fn clear_up<'h>(
        &self,
        failed: &'h HookRecord,
        earlier: impl Iterator<Item = &'h HookRecord>,
        mut error: CommandError,
    ) -> CommandError {
        let failed = has(failed, "hook-failed").then_some(failed);
        let succeeded = earlier.filter(|hook| has(hook, "hook-succeeded"));
        for hook in failed.into_iter().chain(succeeded) {
            if let Err(second) = self.remove_hook(hook).await {
                let (kind, name) = (&hook.kind, &hook.name);
                error = error.hint(format!(
                    "the hook {kind} {name} could not be removed: {second}"
                ));
            }
        }
        error
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
        let newest = if object.id.kind == "Pod" {
            Some(object.id.name.clone())
        } else {
            let selector = format!("job-name={}", object.id.name);
            let parameters = kube::api::ListParams::default().labels(&selector);
            let list = pods.list(&parameters).await;
            let made = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
            list.ok()
                .and_then(|list| list.items.into_iter().max_by_key(made))
                .and_then(|pod| pod.metadata.name)
        };
        let Some(newest) = newest else {
            return String::new();
        };
        super::readiness::last_lines(&pods, &newest, None, false).await
    }

    /// Deletes the objects of a hook and waits until they are gone. Not a definition of custom resources, as Helm: all
    /// objects of its kind would go with it.
    async fn remove_hook(&self, hook: &HookRecord) -> CommandResult<()> {
        if hook.kind == "CustomResourceDefinition" {
            return Ok(());
        }
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
