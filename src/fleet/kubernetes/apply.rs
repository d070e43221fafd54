//! Carrying a plan out: pending record, hooks, apply, prune, wait, final record; and the way back.

use std::collections::BTreeMap;
use std::time::Duration;

use helm::HookEvent;
use helm::release::{ApplyMethod, HookRecord};
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::fleet::answer::Answer;
use crate::fleet::deploy::{Options, desired_again};
use crate::fleet::kubernetes::holder::Holder;
use crate::fleet::kubernetes::managed_fields;
use crate::fleet::kubernetes::object::Object;
use crate::fleet::kubernetes::plan::{Allowed, Plan, Planned, read};
use crate::fleet::kubernetes::release::{ClusterRelease, Unfinished};
use crate::fleet::kubernetes::retry::retrying;
use crate::fleet::kubernetes::uninstall::Removal;
use crate::fleet::progress::Progress;
use crate::fleet::release::decide::HISTORY_LIMIT;
use crate::fleet::release::record::{self, BEAMLINE, DEPLOYED_BY, annotate};
use crate::fleet::release::{self, Record, Status};
use crate::fleet::session::{failed_description, finished_description};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How long a definition of a custom resource may take to be known.
const DEFINITION: Duration = Duration::from_secs(30);

/// What came of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// The revision that is deployed now.
    pub revision: u32,
    /// Whether it was waited for, and is ready.
    pub is_ready: bool,
    /// What its IOC answered, where one was asked.
    pub answer: Option<Answer>,
}

impl ClusterRelease {
    /// Carries a plan out.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; the revision then counts as failed, and with `atomic` the one before is brought back.
    pub async fn carry_out(
        &mut self,
        plan: Plan,
        options: &Options,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<Deployed> {
        if let Some(unfinished) = &plan.unfinished {
            let accepted = self.set_right(unfinished, progress, cancel).await?;
            if accepted && plan.changes_nothing() {
                // that was just what is desired now
                return Ok(Deployed {
                    revision: unfinished.revision,
                    is_ready: true,
                    answer: None,
                });
            }
        }
        let before = self.base().cloned().filter(|_| self.exists());
        let holder = Holder::this(&self.cluster.user, "deploys");
        progress.step(&format!("recording revision {}", plan.revision));
        let pending = self.begin(&plan, &holder).await?;
        let heartbeat = self.heartbeat(plan.revision, &holder);
        let mut hooks = pending.hooks.clone();
        let result = self
            .try_out(&plan, &pending, &mut hooks, options, progress, cancel)
            .await;
        // an answer that is on its way would make our next write conflict
        drop(heartbeat);
        let result = match (result, self.still_ours(plan.revision, &holder).await) {
            (Ok(done), Ok(())) => Ok(done),
            (Err(error), Ok(())) => Err(error),
            (Ok(_), Err(error)) => return Err(error),
            (Err(first), Err(second)) => {
                return Err(first.hint(format!("that could not be recorded either: {second}")));
            }
        };
        self.set_hooks(plan.revision, hooks);
        match result {
            Ok(answer) => {
                let words = options.message.clone().unwrap_or_else(|| {
                    finished_description(&pending.info.description, pending.info.status)
                });
                progress.step(&format!(
                    "recording that revision {} is deployed",
                    plan.revision
                ));
                self.mark_deployed(plan.revision, &words).await?;
                Ok(Deployed {
                    revision: plan.revision,
                    is_ready: options.wait.is_some(),
                    answer,
                })
            }
            Err(error) => {
                let why = first_line(&error);
                let words = failed_description(&self.name, pending.info.status, &why);
                if let Err(second) = self
                    .write_status(plan.revision, Status::Failed, &words)
                    .await
                {
                    return Err(error.hint(format!(
                        "that could not be recorded either ({second}); the next command on `{}` repairs it",
                        self.name
                    )));
                }
                if options.atomic {
                    return Err(self.go_back(before, error, options, progress).await);
                }
                Err(match before {
                    Some(before) => error.hint(format!(
                        "`ioc rollback {} {}` goes back to what was before",
                        self.name, before.version
                    )),
                    None => error,
                })
            }
        }
    }

    /// Repairs what another command left without deploying something else: what of it is in place counts, otherwise the
    /// revision in use is brought back, as a new one where something of it has changed.
    ///
    /// # Errors
    ///
    /// As [`Self::plan`] and [`Self::carry_out`].
    pub async fn repair(
        &mut self,
        unfinished: &Unfinished,
        options: &Options,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<()> {
        if self.set_right(unfinished, progress, cancel).await? {
            return Ok(());
        }
        let Some(base) = self.deployed().cloned() else {
            return Ok(());
        };
        let allowed = Allowed {
            sets_intent: true,
            ..Allowed::default()
        };
        let mut plan = self.plan(desired_again(&base), allowed, None).await?;
        if plan.changes.is_empty() {
            return Ok(());
        }
        // its revision is not gone back to: it is in use
        plan.desired.rollback_to = None;
        plan.desired.record.info.rollback_revision = 0;
        let options = Options {
            message: Some(format!(
                "Revision {} again, after revision {} was interrupted",
                base.version, unfinished.revision
            )),
            ..options.clone()
        };
        Box::pin(self.carry_out(plan, &options, progress, cancel)).await?;
        Ok(())
    }

    /// Sets right what another command left, and says so; whether that counts as deployed now.
    async fn set_right(
        &mut self,
        unfinished: &Unfinished,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<bool> {
        let (told, accepted) = if unfinished.status == Status::Uninstalling {
            (self.finish_uninstall(progress, cancel).await?, false)
        } else {
            self.settle(unfinished).await?
        };
        progress.warning(&told);
        Ok(accepted)
    }

    /// Sets right what another command left; whether that counts as deployed now.
    async fn settle(&mut self, unfinished: &Unfinished) -> CommandResult<(String, bool)> {
        let complete = match self.record(unfinished.revision).cloned() {
            Some(record) => self.is_complete(&record).await?,
            None => false,
        };
        let told = if complete {
            self.accept(unfinished).await?
        } else {
            self.abandon(unfinished).await?
        };
        Ok((told, complete))
    }

    /// Writes the record that says that the revision is under way, which locks the release.
    async fn begin(&mut self, plan: &Plan, holder: &Holder) -> CommandResult<Record> {
        let now = record::time(Timestamp::now());
        let first = self
            .stored
            .last()
            .filter(|_| self.exists())
            .and_then(|stored| stored.record.info.first_deployed.clone());
        let mut record = plan.desired.record.clone();
        record.name.clone_from(&self.name);
        record.namespace.clone_from(&self.cluster.namespace);
        record.version = i64::from(plan.revision);
        record.apply_method = Some(ApplyMethod::ServerSide);
        record.info.first_deployed = Some(first.unwrap_or_else(|| now.clone()));
        record.info.last_deployed = Some(now);
        record.info.deleted = None;
        for hook in &mut record.hooks {
            hook.last_run = helm::release::HookRun::default();
        }
        match plan.desired.rollback_to {
            Some(to) => record.set_status(Status::PendingRollback, format!("Rollback to {to}")),
            None if self.exists() => record.set_status(Status::PendingUpgrade, "Preparing upgrade"),
            None => record.set_status(Status::PendingInstall, "Initial install underway"),
        }
        annotate(&mut record, DEPLOYED_BY, self.cluster.user.clone());
        if let Some(beamline) = &self.cluster.beamline {
            annotate(&mut record, BEAMLINE, beamline.clone());
        }
        let labels: BTreeMap<String, String> = self
            .stored
            .last()
            .map(|stored| stored.user_labels().clone())
            .unwrap_or_default();
        let before = self.stored.last().cloned();
        let stored = self.records.create(&record, holder, &labels).await?;
        // a deletion does not make a revision: it may have begun, or even ended, since the records were read
        if let Some(before) = before
            && let Some(error) = self.removed_meanwhile(&before).await?
        {
            self.records.delete(&stored).await?;
            return Err(error);
        }
        self.stored.push(stored);
        // only now: whoever loses the race for the new revision must not have removed old ones
        for revision in release::prune(&self.states(), HISTORY_LIMIT + 1) {
            if let Some(index) = self
                .stored
                .iter()
                .position(|stored| record::revision(&stored.record) == revision)
            {
                self.records.delete(&self.stored[index]).await?;
                self.stored.remove(index);
            }
        }
        Ok(record)
    }

    fn set_hooks(&mut self, revision: u32, hooks: Vec<HookRecord>) {
        let stored = self
            .stored
            .iter_mut()
            .find(|stored| record::revision(&stored.record) == revision);
        if let Some(stored) = stored {
            stored.record.hooks = hooks;
        }
    }

    /// Everything between the two records. Notes the runs of the hooks in `hooks`; gives what the IOC answered.
    async fn try_out(
        &self,
        plan: &Plan,
        pending: &Record,
        hooks: &mut [HookRecord],
        options: &Options,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<Option<Answer>> {
        let (pre, post) = match pending.info.status {
            Status::PendingInstall => (HookEvent::PreInstall, HookEvent::PostInstall),
            Status::PendingRollback => (HookEvent::PreRollback, HookEvent::PostRollback),
            _ => (HookEvent::PreUpgrade, HookEvent::PostUpgrade),
        };
        let patience = options.wait.unwrap_or(Duration::from_mins(5));
        if pending.info.status == Status::PendingInstall {
            self.define(&plan.desired.definitions, progress).await?;
        }
        self.run_hooks(hooks, pre, patience, progress, cancel)
            .await?;
        let mut done = Vec::new();
        for planned in &plan.objects {
            let name = planned.object.described(&self.cluster);
            interrupted(cancel).map_err(|error| told(error, &done))?;
            progress.step(&format!("applying {name}"));
            self.apply_one(planned)
                .await
                .map_err(|error| told(error, &done))?;
            done.push(name);
        }
        for object in &plan.removals {
            let name = object.described(&self.cluster);
            interrupted(cancel).map_err(|error| told(error, &done))?;
            progress.step(&format!("removing {name}"));
            object
                .delete(&self.cluster)
                .await
                .map_err(self.cluster.failed(format!("remove {name}")))?;
        }
        let mut answer = None;
        if let Some(timeout) = options.wait {
            let objects = plan.objects.iter().map(|planned| &planned.object);
            answer = self
                .wait_until_ready(objects, timeout, progress, cancel)
                .await?;
        }
        self.run_hooks(hooks, post, patience, progress, cancel)
            .await?;
        Ok(answer)
    }

    async fn apply_one(&self, planned: &Planned) -> CommandResult<()> {
        let located;
        let object = if planned.object.resource.version.is_empty() {
            // its kind came with this deploy
            located = self.locate_again(&planned.object).await?;
            &located
        } else {
            &planned.object
        };
        let name = object.described(&self.cluster);
        if planned.migrate {
            self.migrate(object).await?;
        }
        object
            .apply(&self.cluster, &self.name, false, planned.force)
            .await
            .map_err(self.cluster.failed(format!("apply {name}")))?;
        if object.id.kind == "CustomResourceDefinition" {
            self.established(object).await?;
        }
        Ok(())
    }

    async fn locate_again(&self, guess: &Object) -> CommandResult<Object> {
        let resource = crate::fleet::manifest::Resource {
            id: crate::fleet::manifest::ResourceId {
                kind: guess.id.kind.clone(),
                name: guess.id.name.clone(),
            },
            source: guess.source.clone(),
            body: guess.body.clone(),
        };
        let found = Object::locate(&self.cluster, &resource).await.map_err(
            self.cluster
                .failed(format!("find the kind {}", guess.id.kind)),
        )?;
        found.ok_or_else(|| {
            CommandError::new(
                ErrorKind::Input,
                format!(
                    "the cluster does not know the kind {} although its definition was applied",
                    guess.id.kind
                ),
            )
            .hint("does the definition serve the version that the manifest uses?")
        })
    }

    /// Makes the field ownership of client-side Helm that of a server-side apply.
    async fn migrate(&self, object: &Object) -> CommandResult<()> {
        let name = object.described(&self.cluster);
        let doing = format!("take over the fields of {name} from Helm's client-side apply");
        let api = object.api(&self.cluster);
        let live = object
            .live(&self.cluster)
            .await
            .map_err(self.cluster.failed(doing.clone()))?;
        let Some(patch) = live.and_then(|live| managed_fields::migration(&live.metadata)) else {
            return Ok(());
        };
        let parameters = PatchParams::default();
        let patch = Patch::Merge(&patch);
        retrying(|| api.patch(&object.id.name, &parameters, &patch))
            .await
            .map_err(self.cluster.failed(doing))?;
        Ok(())
    }

    /// Applies the definitions in `crds/` that are not there, as Helm does: it never changes those that are.
    async fn define(
        &self,
        definitions: &[(String, String)],
        progress: &dyn Progress,
    ) -> CommandResult<()> {
        for (_path, text) in definitions {
            for resource in read(text)? {
                let located = Object::locate(&self.cluster, &resource)
                    .await
                    .map_err(self.cluster.failed("find definitions of custom resources"))?;
                let Some(object) = located else { continue };
                let name = object.described(&self.cluster);
                let live = object
                    .live(&self.cluster)
                    .await
                    .map_err(self.cluster.failed(format!("look at {name}")))?;
                if live.is_some() {
                    continue;
                }
                progress.step(&format!("applying {name}"));
                let api = object.api(&self.cluster);
                let parameters = PatchParams::apply(super::object::MANAGER);
                let patch = Patch::Apply(&object.body);
                retrying(|| api.patch(&object.id.name, &parameters, &patch))
                    .await
                    .map_err(self.cluster.failed(format!("apply {name}")))?;
                self.established(&object).await?;
            }
        }
        Ok(())
    }

    /// Waits until the cluster serves a definition.
    async fn established(&self, object: &Object) -> CommandResult<()> {
        let name = object.described(&self.cluster);
        let begin = tokio::time::Instant::now();
        loop {
            let live = object
                .live(&self.cluster)
                .await
                .map_err(self.cluster.failed(format!("look at {name}")))?;
            let conditions = live
                .as_ref()
                .and_then(|live| live.data.pointer("/status/conditions"))
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            if conditions.iter().any(|condition| {
                condition["type"] == "Established" && condition["status"] == "True"
            }) {
                self.cluster.kinds.forget().await;
                return Ok(());
            }
            if begin.elapsed() > DEFINITION {
                return Err(CommandError::new(
                    ErrorKind::Cluster,
                    format!(
                        "{name} is not served after {} seconds",
                        DEFINITION.as_secs()
                    ),
                ));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What `--atomic` does after a failure: the revision before is brought back, or all is removed after an install.
    async fn go_back(
        &mut self,
        before: Option<Record>,
        error: CommandError,
        options: &Options,
        progress: &dyn Progress,
    ) -> CommandError {
        let name = self.name.clone();
        // the user may have stopped the deploy; the way back is gone to its end
        let cancel = CancellationToken::new();
        let Some(before) = before else {
            progress.step(&format!("removing {name} again"));
            let removed = Box::pin(self.uninstall(&Removal::default(), progress, &cancel)).await;
            return match removed {
                Ok(_) => error.hint("it was removed again (`--atomic`)"),
                Err(second) => error.hint(format!(
                    "it could not be removed again: {second}; `ioc delete {name}` does"
                )),
            };
        };
        progress.step(&format!("going back to revision {}", before.version));
        let options = Options {
            atomic: false,
            wait: options.wait,
            message: None,
        };
        let allowed = Allowed {
            sets_intent: true,
            ..Allowed::default()
        };
        let again = desired_again(&before);
        let result = match Box::pin(self.plan(again, allowed, None)).await {
            Ok(plan) => Box::pin(self.carry_out(plan, &options, progress, &cancel)).await,
            Err(second) => Err(second),
        };
        match result {
            Ok(deployed) => error.hint(format!(
                "revision {} is in use again, as revision {} (`--atomic`)",
                before.version, deployed.revision
            )),
            Err(second) => error.hint(format!(
                "going back to revision {} failed: {second}",
                before.version
            )),
        }
    }
}

pub(super) fn interrupted(cancel: &CancellationToken) -> CommandResult<()> {
    if cancel.is_cancelled() {
        return Err(CommandError::new(ErrorKind::Interrupted, "interrupted"));
    }
    Ok(())
}

/// Says what was applied before something went wrong.
fn told(error: CommandError, done: &[String]) -> CommandError {
    if done.is_empty() {
        return error.hint("nothing was applied before");
    }
    error.hint(format!("applied before: {}", done.join(", ")))
}

fn first_line(error: &CommandError) -> String {
    let message = error.to_string();
    let causes = error.causes();
    let cause = causes
        .first()
        .and_then(|cause| cause.lines().next())
        .unwrap_or_default();
    if cause.is_empty() {
        message
    } else {
        format!("{message}: {cause}")
    }
}
