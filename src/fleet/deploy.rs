//! Deploying a revision: plan, act, wait, record. An upgrade, an install and a rollback are the same but for where
//! the manifests come from and what Helm calls them.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::diagnostic::Diagnostic;
use crate::fleet::answer::{self, Answer};
use crate::fleet::containers;
use crate::fleet::local::specification::Machine;
use crate::fleet::local::{Local, observe, preflight};
use crate::fleet::manifest::Resource;
use crate::fleet::plan::{self, Action, Change, ImageFact, Records};
use crate::fleet::progress::Progress;
use crate::fleet::release::decide::HISTORY_LIMIT;
use crate::fleet::release::record::{self, BEAMLINE, DEPLOYED_BY, IMAGES, annotate, images};
use crate::fleet::release::{self, Record, Repair, Status};
use crate::fleet::session::{Manifests, Session, finished_description, host_path_error};
use crate::fleet::store::states;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// What is to be deployed.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// The record that it becomes, but for revision, state and times.
    pub record: Record,
    /// Identifiers of images to use whatever the references mean now.
    pub images: ImageFact,
    /// The revision that it is a copy of, for a rollback.
    pub rollback_to: Option<u32>,
    /// Definitions of custom resources in `crds/` of the chart, with their paths; only a cluster knows them.
    pub definitions: Vec<(String, String)>,
}

/// A plan for one instance; nothing has been changed yet.
#[derive(Debug)]
pub struct Plan {
    desired: Desired,
    manifests: Manifests,
    images: preflight::Images,
    machine: Machine,
    /// The revision that this becomes.
    pub revision: u32,
    /// The revision that it is compared with.
    pub from: Option<u32>,
    /// Differences of the manifests.
    pub changes: Vec<Change>,
    /// Differences of the records of its IOC, where somebody has looked for them.
    pub records: Records,
    /// What is done on the engine.
    pub actions: Vec<Action>,
    /// Where the local backend differs from a cluster.
    pub notes: Vec<Diagnostic>,
    /// What a command that was cut short makes necessary before.
    pub repair: Option<Repair>,
}

/// How a plan is carried out.
#[derive(Debug, Clone)]
pub struct Options {
    /// Go back by itself when it does not get through.
    pub atomic: bool,
    /// How long to wait until the IOC answers; `None` does not wait.
    pub wait: Option<Duration>,
    /// Why, instead of Helm's description.
    pub message: Option<String>,
}

/// What came of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// The revision that is deployed now.
    pub revision: u32,
    /// Whether the IOC answered; `None` when it was not waited for.
    pub answer: Option<Answer>,
}

impl Plan {
    /// What it asks of the engine.
    pub fn resources(&self) -> &[Resource] {
        &self.manifests.resources
    }

    /// Identifiers of its images by reference.
    pub fn image_ids(&self) -> &ImageFact {
        &self.images.ids
    }

    /// Whether nothing has to be done.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self.repair.is_none()
            && self.desired.rollback_to.is_none()
            && !self.actions.iter().any(Action::changes_something)
    }

    /// Whether the release is right and only the engine differs from it: no new revision is made.
    pub fn is_only_drift(&self) -> bool {
        let other_image = self.actions.iter().any(|action| {
            matches!(
                action,
                Action::Replace {
                    because: plan::Reason::Image,
                    ..
                }
            )
        });
        self.changes.is_empty()
            && self.from.is_some()
            && self.desired.rollback_to.is_none()
            && !other_image
    }
}

impl Session<'_> {
    /// Compares what is desired with what is deployed and with what is on the engine, after all checks that can be
    /// made before anything changes.
    ///
    /// # Errors
    ///
    /// What the local backend cannot honour, images, devices or ports that are not to be had.
    pub async fn plan(&mut self, desired: Desired) -> CommandResult<Plan> {
        let engine = &self.fleet.engine;
        let manifests = self.manifests(&desired.record.manifest)?;
        let workloads = &manifests.workloads;
        let repair = self.needed_repair().await?;
        if let Some(repair) = repair {
            // for planning; the store is set right when the plan is carried out
            self.repair_records(repair, false)?;
        }
        let images =
            preflight::images(engine, workloads, &desired.images, &self.fleet.images).await?;
        let devices = preflight::host_paths(workloads).map_err(host_path_error)?;
        let machine = preflight::machine(engine, devices).await?;
        let all = containers::list_with_staged(engine).await?;
        let (present, _others): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|container| {
            container.instance == self.subject.instance
                && container.namespace == self.subject.namespace
        });
        preflight::names(
            engine,
            &self.subject.namespace,
            &self.subject.instance,
            self.state_folder(),
            &present,
            workloads,
        )
        .await?;
        let taken = preflight::taken_ports(
            workloads,
            &self.subject.instance,
            &all,
            &preflight::listening(),
        );
        if !taken.is_empty() {
            let message = format!("`{}` wants a port that is taken", self.subject.instance);
            return Err(CommandError::from_diagnostics(
                ErrorKind::Conflict,
                message,
                taken,
            ));
        }
        let base = self.base();
        let before = match base {
            Some(record) => {
                crate::fleet::manifest::parse(&record.manifest).map_err(|diagnostic| {
                    CommandError::from_diagnostic(ErrorKind::Input, *diagnostic)
                })?
            }
            None => Vec::new(),
        };
        let changes = plan::changes(&before, &manifests.resources);
        let existing = observe::pods(&present);
        let actions = plan::actions(workloads, &existing, &images.ids, self.is_stopped());
        let mut notes = workloads.notes.clone();
        if engine.is_podman() && workloads.pods.iter().any(|pod| pod.wanted) {
            notes.push(Diagnostic::note(format!(
                "Podman does not start `{}` again when the machine has restarted; `ioc start` does",
                self.subject.instance
            )));
        }
        Ok(Plan {
            revision: self.next_revision(),
            from: base.map(record::revision),
            changes,
            records: Records::default(),
            actions,
            notes,
            repair,
            desired,
            images,
            machine,
            manifests,
        })
    }

    /// What a new revision is compared with: what is deployed, else what was last.
    pub fn base(&self) -> Option<&Record> {
        self.deployed().or_else(|| {
            self.history
                .iter()
                .rev()
                .find(|record| record.info.status == Status::Superseded)
        })
    }

    /// Carries a plan out: pending record, engine, waiting, final record.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; the revision then counts as failed, and with `atomic` the one before runs again.
    pub async fn carry_out(
        &mut self,
        mut plan: Plan,
        options: &Options,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<Deployed> {
        if !self.is_locked() {
            return Err(CommandError::new(
                ErrorKind::Internal,
                "a release is changed without its lock",
            ));
        }
        if let Some(repair) = plan.repair {
            self.write_repair(repair, progress).await?;
            if let Repair::Delete { .. } = repair {
                // nothing of it is left on the engine
                let workloads = &plan.manifests.workloads;
                plan.actions = plan::actions(workloads, &[], &plan.images.ids, false);
            }
        }
        if plan.is_only_drift() {
            let revision = plan.from.unwrap_or(plan.revision);
            self.apply(&plan, revision, progress).await?;
            let answer = self
                .wait(&plan.manifests, options, progress, cancel)
                .await?;
            return Ok(Deployed { revision, answer });
        }
        let before = self.base().cloned();
        let pending = self.begin(&plan)?;
        let result = self.try_out(&plan, options, progress, cancel).await;
        match result {
            Ok(answer) => {
                let description = options.message.clone().unwrap_or_else(|| {
                    finished_description(&pending.info.description, pending.info.status)
                });
                self.mark_deployed(plan.revision, &description, true)?;
                Ok(Deployed {
                    revision: plan.revision,
                    answer,
                })
            }
            Err(error) => {
                if let Err(second) = self.mark_failed(plan.revision, &first_line(&error), true) {
                    // a full disk, most likely: what went wrong first is what counts
                    return Err(error.hint(format!(
                        "that could not be recorded either ({second}); the next command on `{}` repairs it",
                        self.subject.instance
                    )));
                }
                if options.atomic {
                    self.go_back(before, error, progress).await
                } else {
                    Err(with_way_out(error, &self.subject.instance, before.as_ref()))
                }
            }
        }
    }

    /// Sets right what a command left that was cut short. The engine is left alone where the plan deals with it.
    async fn write_repair(&mut self, repair: Repair, progress: &dyn Progress) -> CommandResult<()> {
        if let Repair::Delete { .. } = repair {
            self.remove_everything(progress).await?;
            return Ok(());
        }
        // the plan was made with these states; here they reach the disk
        for record in &self.history {
            let on_disk = self.release.read(record::revision(record))?;
            if on_disk.info != record.info {
                self.release.write(record)?;
            }
        }
        Ok(())
    }

    /// Writes the record that says that the revision is under way, after making room for it.
    fn begin(&mut self, plan: &Plan) -> CommandResult<Record> {
        for revision in release::prune(&states(&self.history), HISTORY_LIMIT) {
            self.release.forget(revision)?;
            self.history
                .retain(|record| record::revision(record) != revision);
        }
        let now = record::time(Timestamp::now());
        let first = self
            .history
            .last()
            .and_then(|record| record.info.first_deployed.clone());
        let mut record = plan.desired.record.clone();
        record.name.clone_from(&self.subject.instance);
        record.namespace.clone_from(&self.subject.namespace);
        record.version = i64::from(plan.revision);
        record.info.first_deployed = Some(first.unwrap_or_else(|| now.clone()));
        record.info.last_deployed = Some(now);
        match plan.desired.rollback_to {
            Some(to) => record.set_status(Status::PendingRollback, format!("Rollback to {to}")),
            None if self.history.is_empty() => {
                record.set_status(Status::PendingInstall, "Initial install underway");
            }
            None => record.set_status(Status::PendingUpgrade, "Preparing upgrade"),
        }
        annotate(&mut record, DEPLOYED_BY, self.fleet.user.clone());
        annotate(&mut record, BEAMLINE, self.subject.beamline.clone());
        let images = serde_json::to_string(&plan.images.ids).map_err(std::io::Error::other)?;
        annotate(&mut record, IMAGES, images);
        self.release.write(&record)?;
        self.history.push(record.clone());
        Ok(record)
    }

    async fn try_out(
        &self,
        plan: &Plan,
        options: &Options,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<Option<Answer>> {
        self.apply(plan, plan.revision, progress).await?;
        self.wait(&plan.manifests, options, progress, cancel).await
    }

    async fn apply(
        &self,
        plan: &Plan,
        revision: u32,
        progress: &dyn Progress,
    ) -> CommandResult<()> {
        let workloads = &plan.manifests.workloads;
        let local = Local {
            engine: &self.fleet.engine,
            release: &self.release,
            identity: self.identity(workloads, revision),
            images: &plan.images,
            machine: &plan.machine,
            progress,
        };
        local.act(workloads, &plan.actions, self.is_stopped()).await
    }

    /// Waits until the IOC answers; `None` when it is not waited for or not meant to run.
    pub(super) async fn wait(
        &self,
        manifests: &Manifests,
        options: &Options,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<Option<Answer>> {
        let Some(timeout) = options.wait else {
            return Ok(None);
        };
        let Some((pod, container)) = manifests.workloads.main(&self.subject.instance) else {
            return Ok(None);
        };
        if self.is_stopped() || !pod.wanted {
            return Ok(None);
        }
        let question = answer::question(pod, container, &self.fleet.channel_access);
        let containers = self.containers().await?;
        let Some(main) = containers.iter().find(|one| one.is_ioc && !one.is_staged) else {
            return Err(CommandError::new(
                ErrorKind::Unhealthy,
                format!("`{}` has no container to wait for", self.subject.instance),
            ));
        };
        answer::wait(
            &self.fleet.engine,
            main,
            question.as_ref(),
            timeout,
            progress,
            cancel,
        )
        .await
        .map(Some)
    }

    /// What `--atomic` does after a failure: the revision before runs again, or nothing after a first deploy.
    async fn go_back(
        &mut self,
        before: Option<Record>,
        error: CommandError,
        progress: &dyn Progress,
    ) -> CommandResult<Deployed> {
        let name = self.subject.instance.clone();
        let Some(before) = before else {
            progress.step(&format!("removing {name} again"));
            self.remove_everything(progress).await.map_err(|second| {
                CommandError::new(
                    second.kind(),
                    format!(
                        "`{name}` did not get through and could not be removed again: {second}"
                    ),
                )
                .caused_by(error.to_string())
            })?;
            return Err(error.hint("it was removed again (`--atomic`)"));
        };
        progress.step(&format!("going back to revision {}", before.version));
        let gone_back = self.restore(&before, progress).await;
        match gone_back {
            Ok(revision) => Err(error.hint(format!(
                "revision {} runs again, as revision {revision} (`--atomic`)",
                before.version
            ))),
            Err(second) => Err(CommandError::new(
                second.kind(),
                format!(
                    "`{name}` did not get through, and going back to revision {} failed: {second}",
                    before.version
                ),
            )
            .caused_by(error.to_string())),
        }
    }

    /// Deploys the manifests of an earlier revision as a new one, without waiting.
    async fn restore(&mut self, before: &Record, progress: &dyn Progress) -> CommandResult<u32> {
        let plan = self.plan(desired_again(before)).await?;
        let revision = plan.revision;
        self.begin(&plan)?;
        if let Err(error) = self.apply(&plan, revision, progress).await {
            self.mark_failed(revision, &first_line(&error), true)?;
            return Err(error);
        }
        let description = format!("Rollback to {}", before.version);
        self.mark_deployed(revision, &description, true)?;
        Ok(revision)
    }
}

/// A revision once more: its stored manifests and images, nothing rendered again.
pub fn desired_again(record: &Record) -> Desired {
    let mut again = record.clone();
    again.info.rollback_revision = record.version;
    Desired {
        images: images(record),
        rollback_to: Some(record::revision(record)),
        record: again,
        definitions: Vec::new(),
    }
}

fn first_line(error: &CommandError) -> String {
    let message = error.to_string();
    let cause = error.causes().into_iter().next().unwrap_or_default();
    let cause = cause.lines().next().unwrap_or_default().to_owned();
    if cause.is_empty() || error.kind() == ErrorKind::Unhealthy {
        message
    } else {
        format!("{message}: {cause}")
    }
}

fn with_way_out(error: CommandError, name: &str, before: Option<&Record>) -> CommandError {
    match before {
        Some(before) => error.hint(format!(
            "`ioc rollback {name} {}` goes back to what ran before",
            before.version
        )),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::session::failed_description;

    #[test]
    fn descriptions_are_those_of_helm() {
        assert_eq!(
            finished_description("Initial install underway", Status::PendingInstall),
            "Install complete"
        );
        assert_eq!(
            finished_description("Preparing upgrade", Status::PendingUpgrade),
            "Upgrade complete"
        );
        assert_eq!(
            finished_description("Rollback to 1", Status::PendingRollback),
            "Rollback to 1"
        );
        assert_eq!(
            failed_description("x", Status::PendingInstall, "why"),
            "Release \"x\" failed: why"
        );
        assert_eq!(
            failed_description("x", Status::PendingUpgrade, "why"),
            "Upgrade \"x\" failed: why"
        );
    }
}
