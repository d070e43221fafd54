//! Starting, stopping, restarting and deleting what is deployed. Manifests and revisions stay as they are.

use std::path::PathBuf;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::fleet::answer::Answer;
use crate::fleet::deploy::Options;
use crate::fleet::local::act;
use crate::fleet::progress::Progress;
use crate::fleet::release::Status;
use crate::fleet::release::record;
use crate::fleet::session::{Manifests, Session};
use crate::fleet::store::{Intent, Stopped};
use crate::fleet::workload::Claim;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// What was removed with an instance, and what was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Data folders that were removed.
    pub removed: Vec<PathBuf>,
    /// Data folders that are still there.
    pub kept: Vec<PathBuf>,
}

impl Session<'_> {
    /// Repairs what was cut short, on the engine as well, and gives the words for it.
    ///
    /// # Errors
    ///
    /// What stands in the way.
    pub async fn repair_if_needed(
        &mut self,
        progress: &dyn Progress,
    ) -> CommandResult<Option<String>> {
        match self.needed_repair().await? {
            Some(repair) => Ok(Some(self.repair(repair, progress).await?)),
            None => Ok(None),
        }
    }

    /// Manifests, images and number of what is deployed.
    fn current(&self) -> CommandResult<(Manifests, crate::fleet::plan::ImageFact, u32)> {
        let name = &self.subject.instance;
        let record = self.deployed().ok_or_else(|| {
            CommandError::not_found(format!("no revision of `{name}` is deployed"))
                .hint(format!("`ioc deploy {name}` deploys it"))
        })?;
        Ok((
            self.manifests(&record.manifest)?,
            record::images(record),
            record::revision(record),
        ))
    }

    /// Starts it, and waits until it answers. The intent to keep it stopped ends.
    ///
    /// # Errors
    ///
    /// Nothing deployed, an image that has gone, and what [`Session::wait`] says.
    pub async fn start(
        &mut self,
        options: &Options,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<Option<Answer>> {
        let (manifests, images, revision) = self.current()?;
        if !manifests.workloads.pods.iter().any(|pod| pod.wanted) {
            let name = &self.subject.instance;
            return Err(CommandError::new(
                ErrorKind::Conflict,
                format!("the chart of `{name}` says that it does not run (`replicas: 0`)"),
            )
            .hint(format!(
                "set `global.enabled: true` in its values and `ioc deploy {name}`"
            )));
        }
        self.set_intent(Intent { stopped: None })?;
        self.converge(&manifests.workloads, &images, revision, false, progress)
            .await?;
        self.wait(&manifests, options, progress, cancel).await
    }

    /// Stops it for good: it stays stopped through deploys and reboots until it is started.
    ///
    /// # Errors
    ///
    /// Nothing deployed, or the engine's refusal.
    pub async fn stop(&mut self, progress: &dyn Progress) -> CommandResult<()> {
        let (manifests, _images, _revision) = self.current()?;
        if self.intent.stopped.is_none() {
            // first the intent: a command that is killed here leaves an instance that is going to be stopped
            self.set_intent(Intent {
                stopped: Some(Stopped {
                    by: self.fleet.user.clone(),
                    at: Timestamp::now(),
                }),
            })?;
        }
        self.stop_pods(&manifests, progress).await
    }

    async fn stop_pods(&self, manifests: &Manifests, progress: &dyn Progress) -> CommandResult<()> {
        let containers = self.containers().await?;
        let local = self.bare(progress);
        for pod in &manifests.workloads.pods {
            progress.step(&format!("stopping {}", pod.name));
            let own: Vec<_> = containers
                .iter()
                .filter(|container| container.pod == pod.name && !container.is_staged)
                .cloned()
                .collect();
            local.stop(&own, Some(pod)).await?;
        }
        Ok(())
    }

    /// Stops it and starts it again in the same containers.
    ///
    /// # Errors
    ///
    /// As [`Session::start`]; also when it is stopped on purpose.
    pub async fn restart(
        &mut self,
        options: &Options,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<Option<Answer>> {
        if let Some(stopped) = &self.intent.stopped {
            let name = &self.subject.instance;
            return Err(CommandError::new(
                ErrorKind::Conflict,
                format!(
                    "`{name}` is stopped, by {} on {}",
                    stopped.by,
                    stopped.at.strftime("%Y-%m-%d %H:%M:%S UTC")
                ),
            )
            .hint(format!("`ioc start {name}` starts it")));
        }
        let (manifests, images, revision) = self.current()?;
        self.stop_pods(&manifests, progress).await?;
        self.converge(&manifests.workloads, &images, revision, false, progress)
            .await?;
        self.wait(&manifests, options, progress, cancel).await
    }

    /// Removes it and its history. Data folders stay unless `volumes`: that is what
    /// `helm.sh/resource-policy: keep` in a manifest asks of a plain delete, too.
    ///
    /// # Errors
    ///
    /// Nothing there, or the engine's refusal; the next command finishes a deletion that was cut short.
    pub async fn delete(
        &mut self,
        volumes: bool,
        progress: &dyn Progress,
    ) -> CommandResult<Deleted> {
        let containers = self.containers().await?;
        let name = self.subject.instance.clone();
        if self.history.is_empty() && containers.is_empty() {
            return Err(CommandError::not_found(format!("`{name}` is not deployed")));
        }
        let claims = self.own_claims();
        let current = self.current().ok();
        if let Some(newest) = self.history.last_mut() {
            newest.info.status = Status::Uninstalling;
            "Deletion in progress (or silently failed)".clone_into(&mut newest.info.description);
            let newest = newest.clone();
            self.release.write(&newest)?;
        }
        progress.step(&format!("stopping {name}"));
        if let Some((manifests, ..)) = current {
            self.stop_pods(&manifests, progress).await?;
        }
        progress.step(&format!("removing {name}"));
        self.remove_containers(progress).await?;
        let mut deleted = Deleted::default();
        for claim in claims {
            let folder = self.release.claims_folder().join(&claim.name);
            if !folder.exists() {
                continue;
            }
            if volumes {
                fs_err::remove_dir_all(&folder)?;
                deleted.removed.push(folder);
            } else {
                deleted.kept.push(folder);
            }
        }
        self.release.delete()?;
        self.history.clear();
        Ok(deleted)
    }

    /// Claims that any of its revisions declares.
    pub fn own_claims(&self) -> Vec<Claim> {
        let mut claims: Vec<Claim> = Vec::new();
        for record in self.history.iter().rev() {
            let Ok(manifests) = self.manifests(&record.manifest) else {
                continue;
            };
            for claim in manifests.workloads.claims {
                if !claims.iter().any(|other| other.name == claim.name) {
                    claims.push(claim);
                }
            }
        }
        claims
    }

    fn set_intent(&mut self, intent: Intent) -> CommandResult<()> {
        self.release.set_intent(&intent)?;
        self.intent = intent;
        Ok(())
    }

    /// For stopping and removing, which need nothing but the engine.
    pub(super) fn bare<'b>(&'b self, progress: &'b dyn Progress) -> act::Local<'b> {
        act::Local::bare(
            &self.fleet.engine,
            &self.release,
            &self.subject.instance,
            &self.subject.namespace,
            progress,
        )
    }
}
