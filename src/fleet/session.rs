//! One command at work on one release: its lock, its history, and the repair of what was cut short.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use crate::engine::Engine;
use crate::fleet::containers::InstanceContainer;
use crate::fleet::local::specification::Identity;
use crate::fleet::local::{Local, act, observe, preflight};
use crate::fleet::manifest::{self, Resource};
use crate::fleet::plan::{Action, ImageFact, actions};
use crate::fleet::progress::Progress;
use crate::fleet::release::record::{self, images, is_unfinished};
use crate::fleet::release::{self, Record, Repair, Status};
use crate::fleet::store::lock::Lock;
use crate::fleet::store::{Intent, Release, Store, states};
use crate::fleet::workload::{self, Surroundings, Workloads};
use crate::settings::{ImageSettings, Settings};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// The local backend of this machine: engine and state folder.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The engine.
    pub engine: Engine,
    /// The state folder.
    pub store: Store,
    /// Name of this machine.
    pub node: String,
    /// Who acts, `user@host`.
    pub user: String,
    /// How images are named.
    pub images: ImageSettings,
    /// `EPICS_CA_*` variables for searches.
    pub channel_access: BTreeMap<String, String>,
}

/// Which instance is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Name of the instance and its release.
    pub instance: String,
    /// Namespace of the release.
    pub namespace: String,
    /// Beamline in `ioc.toml`.
    pub beamline: String,
}

impl Fleet {
    /// Connects to the engine.
    ///
    /// # Errors
    ///
    /// No engine, or one on another machine: its containers could not mount folders of this one.
    pub async fn connect(settings: &Settings) -> CommandResult<Self> {
        let engine = Engine::connect(settings).await?;
        if !engine.is_on_this_machine() {
            return Err(CommandError::new(
                ErrorKind::Unsupported,
                format!(
                    "instances cannot be deployed through `{}`: configuration and data are folders of this machine",
                    engine.host()
                ),
            )
            .hint("run `ioc` on the machine of the engine, or name a socket `unix:///path`"));
        }
        Ok(Self {
            engine,
            store: Store::new(&settings.state),
            node: node_name(),
            user: settings.user.clone(),
            images: settings.images.clone(),
            channel_access: settings.channel_access.clone(),
        })
    }

    /// Opens a release. With `doing` (`deploys`, `stops`) it is locked; without, it is only looked at.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] while another command works on it; records that cannot be read.
    pub fn open(&self, subject: &Subject, doing: Option<&str>) -> CommandResult<Session<'_>> {
        let release = self.store.release(&subject.namespace, &subject.instance)?;
        let lock = doing
            .map(|doing| release.lock(&self.user, doing, Timestamp::now()))
            .transpose()?;
        let history = release.history()?;
        let intent = release.intent()?;
        Ok(Session {
            fleet: self,
            subject: subject.clone(),
            release,
            lock,
            history,
            intent,
        })
    }
}

/// Name of this machine.
pub fn node_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// One command at work on one release.
#[derive(Debug)]
pub struct Session<'a> {
    pub(super) fleet: &'a Fleet,
    /// Which instance.
    pub subject: Subject,
    pub(super) release: Release,
    lock: Option<Lock>,
    pub(super) history: Vec<Record>,
    /// What is meant to be.
    pub intent: Intent,
}

/// Manifests read for this machine.
#[derive(Debug, Clone)]
pub struct Manifests {
    /// Resources by kind and name.
    pub resources: Vec<Resource>,
    /// What the engine has to run.
    pub workloads: Workloads,
}

impl Session<'_> {
    /// All revisions in order.
    pub fn history(&self) -> &[Record] {
        &self.history
    }

    /// Whether changes are allowed.
    pub fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    /// The revision that runs.
    pub fn deployed(&self) -> Option<&Record> {
        let revision = release::deployed(&states(&self.history))?;
        self.record(revision)
    }

    /// One revision.
    pub fn record(&self, revision: u32) -> Option<&Record> {
        self.history
            .iter()
            .find(|record| record::revision(record) == revision)
    }

    /// The revision that a new one gets.
    pub fn next_revision(&self) -> u32 {
        release::next_revision(&states(&self.history))
    }

    /// Whether it is stopped on purpose.
    pub fn is_stopped(&self) -> bool {
        self.intent.stopped.is_some()
    }

    /// Its containers on the engine.
    ///
    /// # Errors
    ///
    /// The engine's refusal.
    pub async fn containers(&self) -> CommandResult<Vec<InstanceContainer>> {
        act::present(
            &self.fleet.engine,
            &self.subject.namespace,
            &self.subject.instance,
        )
        .await
    }

    /// Reads manifests for this machine.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] for text that is no manifest, [`ErrorKind::Unsupported`] for what the local backend
    /// cannot honour, all of it.
    pub fn manifests(&self, text: &str) -> CommandResult<Manifests> {
        let resources = manifest::parse(text)
            .map_err(|diagnostic| CommandError::from_diagnostic(ErrorKind::Input, *diagnostic))?;
        let surroundings = Surroundings {
            namespace: &self.subject.namespace,
            node: &self.fleet.node,
        };
        let workloads = workload::read(&self.subject.instance, &resources, &surroundings).map_err(
            |refused| {
                let message = refused.to_string();
                CommandError::from_diagnostics(ErrorKind::Unsupported, message, refused.diagnostics)
            },
        )?;
        Ok(Manifests {
            resources,
            workloads,
        })
    }

    /// Takes the engine to what `workloads` ask for.
    ///
    /// # Errors
    ///
    /// Images or devices that are not there (nothing is changed then), and the engine's refusals.
    pub(super) async fn converge(
        &self,
        workloads: &Workloads,
        recorded: &ImageFact,
        revision: u32,
        stopped: bool,
        progress: &dyn Progress,
    ) -> CommandResult<Vec<Action>> {
        let images =
            preflight::images(&self.fleet.engine, workloads, recorded, &self.fleet.images).await?;
        let devices = preflight::host_paths(workloads).map_err(host_path_error)?;
        let machine = preflight::machine(&self.fleet.engine, devices).await?;
        let local = Local {
            engine: &self.fleet.engine,
            release: &self.release,
            identity: self.identity(workloads, revision),
            images: &images,
            machine: &machine,
            progress,
        };
        let existing = observe::pods(&local.present().await?);
        let actions = actions(workloads, &existing, &images.ids, stopped);
        local.act(workloads, &actions, stopped).await?;
        Ok(actions)
    }

    pub(super) fn identity<'b>(&'b self, workloads: &'b Workloads, revision: u32) -> Identity<'b> {
        Identity {
            instance: &self.subject.instance,
            beamline: &self.subject.beamline,
            namespace: &self.subject.namespace,
            revision,
            state: self.state_folder(),
            main: workloads
                .main(&self.subject.instance)
                .map(|(pod, container)| (pod.name.as_str(), container.name.as_str())),
        }
    }

    pub(super) fn state_folder(&self) -> &Path {
        self.fleet.store.root()
    }

    /// What a command that was cut short makes necessary, if one was. Nothing is changed.
    ///
    /// # Errors
    ///
    /// The engine's refusal.
    pub async fn needed_repair(&self) -> CommandResult<Option<Repair>> {
        let states = states(&self.history);
        let Some(newest) = self.history.last() else {
            return Ok(None);
        };
        if !is_unfinished(newest.info.status) {
            return Ok(None);
        }
        let complete = match self.manifests(&newest.manifest) {
            Ok(manifests) => {
                let existing = observe::pods(&self.containers().await?);
                actions(
                    &manifests.workloads,
                    &existing,
                    &images(newest),
                    self.is_stopped(),
                )
                .iter()
                .all(|action| {
                    matches!(
                        action,
                        Action::Keep { .. } | Action::Start { .. } | Action::Stop { .. }
                    )
                })
            }
            Err(_not_readable_here) => false,
        };
        Ok(release::repair(&states, complete))
    }

    /// Repairs the engine and the records, and says what was found and done.
    ///
    /// # Errors
    ///
    /// What stands in the way; the release is then as it was, and the next command tries again.
    pub async fn repair(
        &mut self,
        repair: Repair,
        progress: &dyn Progress,
    ) -> CommandResult<String> {
        let told = self.explain(repair);
        let stopped = self.is_stopped();
        match repair {
            Repair::Finish { revision } => {
                if let Some(record) = self.record(revision) {
                    let manifests = self.manifests(&record.manifest)?;
                    let images = images(record);
                    self.converge(&manifests.workloads, &images, revision, stopped, progress)
                        .await?;
                }
            }
            Repair::Restore { to, .. } => {
                if let Some(record) = self.record(to) {
                    let manifests = self.manifests(&record.manifest)?;
                    let images = images(record);
                    self.converge(&manifests.workloads, &images, to, stopped, progress)
                        .await?;
                }
            }
            Repair::Withdraw { .. } => {
                self.remove_containers(progress).await?;
            }
            Repair::Delete { .. } => {
                self.remove_everything(progress).await?;
                return Ok(told);
            }
        }
        self.repair_records(repair, true)?;
        Ok(told)
    }

    /// Sets the records right, in memory and, with `write`, in the store. A restored revision counts as deployed.
    ///
    /// # Errors
    ///
    /// A record that cannot be written.
    pub(super) fn repair_records(&mut self, repair: Repair, write: bool) -> CommandResult<()> {
        match repair {
            Repair::Finish { revision } => {
                let description = self
                    .record(revision)
                    .map(|record| {
                        finished_description(&record.info.description, record.info.status)
                    })
                    .unwrap_or_default();
                self.mark_deployed(revision, &description, write)
            }
            Repair::Restore { revision, to } => {
                self.mark_failed(revision, "the command was interrupted", write)?;
                let description = self
                    .record(to)
                    .map(|record| record.info.description.clone())
                    .unwrap_or_default();
                self.mark_deployed(to, &description, write)
            }
            Repair::Withdraw { revision } => {
                self.mark_failed(revision, "the command was interrupted", write)
            }
            Repair::Delete { .. } => {
                self.history.clear();
                Ok(())
            }
        }
    }

    /// What a repair means, in words.
    pub fn explain(&self, repair: Repair) -> String {
        let name = &self.subject.instance;
        match repair {
            Repair::Finish { revision } => format!(
                "a command on `{name}` was interrupted when all of revision {revision} was in place: it now counts as deployed"
            ),
            Repair::Restore { revision, to } => format!(
                "a command on `{name}` was interrupted before revision {revision} was in place: it counts as failed, and revision {to} is what is deployed"
            ),
            Repair::Withdraw { revision } => format!(
                "the first deploy of `{name}` was interrupted: revision {revision} counts as failed, and what there was of it is removed"
            ),
            Repair::Delete { .. } => {
                format!("deleting `{name}` was interrupted: the deletion is finished")
            }
        }
    }

    /// Makes a revision the one that is deployed and all others superseded.
    pub(super) fn mark_deployed(
        &mut self,
        revision: u32,
        description: &str,
        write: bool,
    ) -> CommandResult<()> {
        // first the new one: at no moment is none deployed
        for newer in [true, false] {
            for record in &mut self.history {
                let is_it = record::revision(record) == revision;
                if is_it != newer {
                    continue;
                }
                if is_it {
                    record.info.status = Status::Deployed;
                    description.clone_into(&mut record.info.description);
                } else if record.info.status == Status::Deployed {
                    record.info.status = Status::Superseded;
                } else {
                    continue;
                }
                if write {
                    self.release.write(record)?;
                }
            }
        }
        Ok(())
    }

    /// Makes a revision count as failed.
    pub(super) fn mark_failed(
        &mut self,
        revision: u32,
        why: &str,
        write: bool,
    ) -> CommandResult<()> {
        for record in &mut self.history {
            if record::revision(record) == revision {
                record.info.description = failed_description(&record.name, record.info.status, why);
                record.info.status = Status::Failed;
                if write {
                    self.release.write(record)?;
                }
            }
        }
        Ok(())
    }

    /// Stops and removes all containers of the instance.
    pub(super) async fn remove_containers(&self, progress: &dyn Progress) -> CommandResult<()> {
        let containers = self.containers().await?;
        let local = self.bare(progress);
        local.stop(&containers, None).await?;
        local.remove(&containers).await
    }

    /// Removes containers, records and mounted files; data folders stay.
    pub(super) async fn remove_everything(&mut self, progress: &dyn Progress) -> CommandResult<()> {
        self.remove_containers(progress).await?;
        self.release.delete()?;
        self.history.clear();
        self.intent = Intent::default();
        Ok(())
    }
}

/// Helm's words for a revision that got through.
pub(crate) fn finished_description(pending: &str, status: Status) -> String {
    match status {
        Status::PendingInstall => "Install complete".to_owned(),
        Status::PendingUpgrade => "Upgrade complete".to_owned(),
        _ => pending.to_owned(),
    }
}

/// Helm's words for a revision that did not.
pub(crate) fn failed_description(name: &str, status: Status, why: &str) -> String {
    let what = match status {
        Status::PendingInstall => "Release",
        Status::PendingRollback => "Rollback",
        _ => "Upgrade",
    };
    format!("{what} \"{name}\" failed: {why}")
}

pub(super) fn host_path_error(diagnostics: Vec<crate::diagnostic::Diagnostic>) -> CommandError {
    CommandError::from_diagnostics(
        ErrorKind::NotFound,
        "this machine does not have what the instance needs",
        diagnostics,
    )
}
