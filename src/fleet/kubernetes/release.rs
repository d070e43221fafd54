//! One release of a cluster: its revisions, which of them is in use, and what another command left unfinished.

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::holder::{AGE_OF_OTHERS, HOLDER, Holder, Life, RENEWAL, SILENCE};
use crate::fleet::kubernetes::intent;
use crate::fleet::kubernetes::records::{Records, Stored};
use crate::fleet::progress::Progress;
use crate::fleet::release::record::{self, Info, is_unfinished};
use crate::fleet::release::{self, Record, Status, decide::Revision};
use crate::fleet::session::{failed_description, finished_description};
use crate::fleet::store::Stopped;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How often, and in which interval, a removal looks whether a command that was about to deploy has given way.
const LOOKS: usize = 8;
const LOOK: std::time::Duration = std::time::Duration::from_millis(250);

/// One command at work on one release.
#[derive(Debug)]
pub struct ClusterRelease {
    /// Where it is.
    pub cluster: Cluster,
    /// Name of the instance and its release.
    pub name: String,
    pub(super) records: Records,
    pub(super) stored: Vec<Stored>,
}

/// A revision that a command left under way that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Which.
    pub revision: u32,
    /// How far it came, in Helm's words.
    pub status: Status,
    /// Who it was, as far as is known.
    pub who: String,
}

/// Shows every few seconds that this command lives; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Heartbeat(JoinHandle<()>);

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ClusterRelease {
    /// Reads the revisions of a release; there may be none.
    ///
    /// # Errors
    ///
    /// A name that Helm does not allow, the cluster's refusal, records that cannot be read.
    pub async fn open(cluster: &Cluster, name: &str) -> CommandResult<Self> {
        helm::release::validate_name(name).map_err(|source| {
            CommandError::new(
                ErrorKind::Input,
                format!("`{name}` cannot be the name of a release"),
            )
            .caused_by(source)
            .hint(
                "rename the folder of the instance: at most 53 small letters, digits, `-` and `.`",
            )
        })?;
        let records = Records::new(cluster);
        let stored = records.history(name).await?;
        Ok(Self {
            cluster: cluster.clone(),
            name: name.to_owned(),
            records,
            stored,
        })
    }

    /// All revisions in order.
    pub fn history(&self) -> Vec<Record> {
        self.stored
            .iter()
            .map(|stored| stored.record.clone())
            .collect()
    }

    /// Revisions and their states.
    pub fn states(&self) -> Vec<Revision> {
        self.stored
            .iter()
            .map(|stored| (record::revision(&stored.record), stored.record.info.status))
            .collect()
    }

    /// One revision.
    pub fn record(&self, revision: u32) -> Option<&Record> {
        self.stored
            .iter()
            .map(|stored| &stored.record)
            .find(|record| record::revision(record) == revision)
    }

    /// The revision in use.
    pub fn deployed(&self) -> Option<&Record> {
        release::deployed(&self.states()).and_then(|revision| self.record(revision))
    }

    /// What a new revision is compared with: what is in use, else what was last, as Helm does.
    pub fn base(&self) -> Option<&Record> {
        self.deployed().or_else(|| {
            let mut newest = self.stored.iter().rev().map(|stored| &stored.record);
            newest.find(|record| matches!(record.info.status, Status::Superseded | Status::Failed))
        })
    }

    /// The newest revision, where it is not what a new one is compared with: it did not get through.
    pub(super) fn newer_than_base(&self) -> Option<&Record> {
        let base = self.base().map_or(0, record::revision);
        let newest = &self.stored.last()?.record;
        (record::revision(newest) > base).then_some(newest)
    }

    /// Whether the release exists for `helm list`: its newest revision was not removed.
    pub fn exists(&self) -> bool {
        self.stored
            .last()
            .is_some_and(|stored| stored.record.info.status != Status::Uninstalled)
    }

    /// Who stopped it on purpose, and when.
    pub fn stopped(&self) -> Option<Stopped> {
        self.base().and_then(intent::stopped)
    }

    /// The error for a release that is not there.
    ///
    /// # Errors
    ///
    /// Not found, unless it exists; with the namespace as the reason when that is not there.
    pub async fn must_exist(&self) -> CommandResult<()> {
        if self.exists() {
            return Ok(());
        }
        if let Some(error) = self.cluster.missing_namespace().await {
            return Err(error);
        }
        let mut error = CommandError::not_found(format!(
            "`{}` is not deployed in namespace `{}`",
            self.name, self.cluster.namespace
        ));
        let all = self.records.all().await.unwrap_or_default();
        let names = all.iter().map(|stored| stored.record.name.as_str());
        if let Some(near) = crate::diagnostic::nearest(&self.name, names) {
            error = error.hint(format!("did you mean `{near}`?"));
        }
        Err(error.hint("`ioc ps` lists what is"))
    }

    /// What another command left unfinished, once it is certain that it has ended. Nothing is changed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] while a command works on the release, or may do so.
    pub async fn unfinished(
        &mut self,
        at_once: bool,
        progress: &dyn Progress,
    ) -> CommandResult<Option<Unfinished>> {
        let Some(newest) = self.stored.last() else {
            return Ok(None);
        };
        let (revision, status) = (newest.record.version, newest.record.info.status);
        if !is_unfinished(status) {
            return Ok(None);
        }
        let who = if let Some(holder) = newest.holder.clone() {
            match holder.life() {
                Life::Alive => return Err(self.busy(&holder.to_string(), &holder.doing)),
                // a silence means something only of one that speaks
                Life::Elsewhere if !holder.has_renewed() => {
                    self.others_have_ended(newest, at_once)?;
                }
                Life::Elsewhere if !at_once => {
                    progress.step(&format!(
                        "looking whether {holder} still works on {}",
                        self.name
                    ));
                    if !self.is_silent(revision, &holder).await? {
                        return self.unfinished_again(&holder).await;
                    }
                }
                Life::Dead | Life::Elsewhere => {}
            }
            holder.to_string()
        } else {
            self.others_have_ended(newest, at_once)?;
            "`helm` or another tool".to_owned()
        };
        Ok(Some(Unfinished {
            revision: u32::try_from(revision).unwrap_or(0),
            status,
            who,
        }))
    }

    /// A command that leaves no sign of life counts as dead after a while.
    fn others_have_ended(&self, newest: &Stored, at_once: bool) -> CommandResult<()> {
        let age = newest
            .written
            .map(|written| Timestamp::now().duration_since(written))
            .and_then(|age| std::time::Duration::try_from(age).ok())
            .unwrap_or_default();
        if at_once || age >= AGE_OF_OTHERS {
            return Ok(());
        }
        Err(CommandError::new(
            ErrorKind::Conflict,
            format!("`{}` is being worked on", self.name),
        )
        .caused_by(format!(
            "revision {} is {} since {} seconds, by `helm` or another tool that leaves no sign of life",
            newest.record.version,
            newest.record.info.status,
            age.as_secs()
        ))
        .hint(format!(
            "wait until it has ended; after {} minutes without an end it counts as interrupted, and with `--repair` at once",
            AGE_OF_OTHERS.as_secs() / 60
        )))
    }

    /// The holder lived, or has finished meanwhile.
    async fn unfinished_again(&mut self, holder: &Holder) -> CommandResult<Option<Unfinished>> {
        self.stored = self.records.history(&self.name).await?;
        let still = self
            .stored
            .last()
            .is_some_and(|stored| is_unfinished(stored.record.info.status));
        if still {
            return Err(self.busy(&holder.to_string(), &holder.doing));
        }
        Ok(None)
    }

    /// Whether the sign of life does not change for a while.
    async fn is_silent(&self, revision: i64, before: &Holder) -> CommandResult<bool> {
        let begin = Instant::now();
        while begin.elapsed() < SILENCE {
            tokio::time::sleep(RENEWAL / 2).await;
            match self.records.read(&self.name, revision).await {
                Ok(now) if now.holder.as_ref() == Some(before) => {}
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Whether somebody has begun to remove the release, or has removed it, since its newest revision was read.
    pub(super) async fn removed_meanwhile(
        &self,
        before: &Stored,
    ) -> CommandResult<Option<CommandError>> {
        let gone = |status| matches!(status, Status::Uninstalling | Status::Uninstalled);
        if gone(before.record.info.status) {
            return Ok(None);
        }
        let who = match self.records.read(&self.name, before.record.version).await {
            Ok(now) if gone(now.record.info.status) => now.holder,
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let who = who.map_or_else(|| "another command".to_owned(), |who| who.to_string());
        Ok(Some(self.busy(&who, "deletes")))
    }

    /// Who has begun a newer revision than `newest`; those that see in time that the release is being removed are gone
    /// after a moment.
    pub(super) async fn overtaken(&self, newest: u32) -> CommandResult<Option<CommandError>> {
        let mut looks = 0;
        loop {
            let history = self.records.history(&self.name).await?;
            let newer = history
                .into_iter()
                .find(|stored| record::revision(&stored.record) > newest);
            let Some(newer) = newer else { return Ok(None) };
            looks += 1;
            if looks == LOOKS {
                return Ok(Some(match newer.holder {
                    Some(holder) => self.busy(&holder.to_string(), &holder.doing),
                    None => self.busy("another command", "deploys"),
                }));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn busy(&self, who: &str, doing: &str) -> CommandError {
        CommandError::new(
            ErrorKind::Conflict,
            format!("`{}` is being worked on", self.name),
        )
        .caused_by(format!("{who} {doing} it"))
        .hint("wait until that command has ended; one that was killed is noticed")
    }

    /// Marks a revision that was cut short as failed, and says so.
    pub(super) async fn abandon(&mut self, unfinished: &Unfinished) -> CommandResult<String> {
        self.write_status(
            unfinished.revision,
            Status::Failed,
            &failed_description(&self.name, unfinished.status, "the command was interrupted"),
        )
        .await?;
        let now = self.base().map_or_else(
            || "nothing of it is in use".to_owned(),
            |record| format!("revision {} is what counts", record.version),
        );
        Ok(format!(
            "revision {} of `{}` was left {} by {}, which has ended: it counts as failed, and {now}",
            unfinished.revision, self.name, unfinished.status, unfinished.who
        ))
    }

    /// Marks a revision that was cut short after all of it was in place as deployed, and says so.
    pub(super) async fn accept(&mut self, unfinished: &Unfinished) -> CommandResult<String> {
        let words = self
            .record(unfinished.revision)
            .map(|record| finished_description(&record.info.description, record.info.status))
            .unwrap_or_default();
        self.mark_deployed(unfinished.revision, &words).await?;
        Ok(format!(
            "revision {} of `{}` was left {} by {} when all of it was in place: it now counts as deployed",
            unfinished.revision, self.name, unfinished.status, unfinished.who
        ))
    }

    /// Makes a revision the one in use, and the others superseded. The new one first: at no moment is there none.
    pub(super) async fn mark_deployed(&mut self, revision: u32, words: &str) -> CommandResult<()> {
        self.write_status(revision, Status::Deployed, words).await?;
        self.supersede_all_but(revision).await
    }

    /// A command that was killed at its very end leaves two revisions deployed; the newest is the one in use.
    ///
    /// # Errors
    ///
    /// A record that cannot be written.
    pub async fn tidy(&mut self) -> CommandResult<()> {
        match release::deployed(&self.states()) {
            Some(newest) => self.supersede_all_but(newest).await,
            None => Ok(()),
        }
    }

    async fn supersede_all_but(&mut self, revision: u32) -> CommandResult<()> {
        let others: Vec<u32> = self
            .states()
            .into_iter()
            .filter(|(other, status)| *other != revision && *status == Status::Deployed)
            .map(|(other, _)| other)
            .collect();
        for other in others {
            let words = self
                .record(other)
                .map(|record| record.info.description.clone())
                .unwrap_or_default();
            self.write_status(other, Status::Superseded, &words).await?;
        }
        Ok(())
    }

    /// Writes state and words of a revision.
    pub(super) async fn write_status(
        &mut self,
        revision: u32,
        status: Status,
        words: &str,
    ) -> CommandResult<()> {
        let mut info = match self.record(revision) {
            Some(record) => record.info.clone(),
            None => Info::default(),
        };
        info.status = status;
        words.clone_into(&mut info.description);
        self.write_info(revision, info).await
    }

    /// Writes times, state and words of a revision.
    pub(super) async fn write_info(&mut self, revision: u32, info: Info) -> CommandResult<()> {
        let name = self.name.clone();
        let Some(stored) = self
            .stored
            .iter_mut()
            .find(|stored| record::revision(&stored.record) == revision)
        else {
            return Err(CommandError::new(
                ErrorKind::Internal,
                format!("revision {revision} of `{name}` is not known"),
            ));
        };
        stored.record.info = info;
        self.records.update(stored, None).await
    }

    /// Begins to show that this command lives.
    pub(super) fn heartbeat(&self, revision: u32, holder: &Holder) -> Heartbeat {
        use k8s_openapi::api::core::v1::Secret;
        let secrets: kube::Api<Secret> = self.cluster.api();
        let name = record::storage_name(&self.name, i64::from(revision));
        let mut holder = holder.clone();
        Heartbeat(tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEWAL).await;
                holder.renewed = Timestamp::now();
                let patch =
                    serde_json::json!({"metadata": {"annotations": {HOLDER: holder.to_text()}}});
                let patch = kube::api::Patch::Merge(&patch);
                let parameters = kube::api::PatchParams::default();
                if let Err(error) = secrets.patch_metadata(&name, &parameters, &patch).await {
                    // the work itself meets the same trouble and tells it
                    tracing::debug!(%error, "no sign of life");
                }
            }
        }))
    }

    /// Reads the revision of this command again after its heartbeat has ended: the Secret is still ours, or somebody
    /// has repaired it in the belief that we had died.
    pub(super) async fn still_ours(&mut self, revision: u32, holder: &Holder) -> CommandResult<()> {
        let now = self.records.read(&self.name, i64::from(revision)).await?;
        let is_ours = now
            .holder
            .as_ref()
            .is_some_and(|other| other.is_same(holder))
            && is_unfinished(now.record.info.status);
        if !is_ours {
            return Err(CommandError::new(
                ErrorKind::Conflict,
                format!(
                    "another command has taken `{}` over in the meantime",
                    self.name
                ),
            )
            .caused_by(format!(
                "revision {revision} is {}: {}",
                now.record.info.status, now.record.info.description
            ))
            .hint(format!("`ioc history {}` shows what it is now", self.name)));
        }
        if let Some(stored) = self
            .stored
            .iter_mut()
            .find(|stored| record::revision(&stored.record) == revision)
        {
            *stored = now;
        }
        Ok(())
    }
}
