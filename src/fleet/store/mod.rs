//! Where the local backend keeps releases: one folder per release below the state folder.
//!
//! ```text
//! <state>/<namespace>/releases/<name>/sh.helm.release.v1.<name>.v<revision>   Helm's own bytes
//! <state>/<namespace>/releases/<name>/intent.json                            stopped on purpose, by whom
//! <state>/<namespace>/locks/<name>                                           who works on it
//! <state>/<namespace>/claims/<claim>/                                        data of IOCs
//! <state>/<namespace>/pods/<name>/<pod>-<hash>/                              files that containers mount
//! ```
//!
//! Every file is written whole or not at all. What the states mean is decided in [`super::release`].

pub mod atomic;
pub mod lock;

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fleet::release::decide::Revision;
use crate::fleet::release::record::{self, Record, RecordError};
use crate::fleet::store::lock::{Holder, Lock};
use crate::ui::error::{CommandError, ErrorKind};

/// Why the state folder could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A name that cannot be a folder, nor a release of Helm.
    #[error("`{name}` cannot be the name of a release or namespace")]
    Name {
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: helm::release::ReleaseNameError,
    },
    /// Somebody works on the release.
    #[error("{holder} since {since} (process {pid}) {doing} `{release}`", holder = .0.user, since = .0.since, pid = .0.pid, doing = .0.doing, release = .0.release)]
    Locked(Box<Holder>),
    /// Reading or writing failed; the text of the cause names the path.
    #[error("failed to use the state folder")]
    System(#[from] io::Error),
    /// A record that cannot be read.
    #[error("the record `{}` is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: RecordError,
    },
    /// A record that cannot be written.
    #[error("revision {revision} cannot be recorded")]
    NotRecorded {
        /// Which.
        revision: u32,
        /// Why.
        #[source]
        source: RecordError,
    },
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Name { source, .. } => {
                Self::new(ErrorKind::Input, message).caused_by(source)
            }
            StoreError::Locked(holder) => Self::new(
                ErrorKind::Conflict,
                format!("`{}` is being worked on", holder.release),
            )
            .caused_by(message)
            .hint("wait until that command has ended; a command that was killed holds nothing"),
            StoreError::System(source) => {
                let full = source.kind() == io::ErrorKind::StorageFull;
                let error = Self::from(source);
                if full {
                    error.hint("free space on the disk of the state folder, or name another with `IOC_STATE_DIR`")
                } else {
                    error
                }
            }
            StoreError::Damaged { path, source } => Self::new(ErrorKind::System, message)
                .caused_by(source)
                .hint(format!(
                    "restore the file from a backup, or remove it to forget this revision: rm {}",
                    path.display()
                )),
            StoreError::NotRecorded { source, .. } => {
                Self::new(ErrorKind::Internal, message).caused_by(source)
            }
        }
    }
}

/// The state folder.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// What is meant to be, across revisions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Set while the instance is stopped on purpose.
    #[serde(default)]
    pub stopped: Option<Stopped>,
}

/// Who stopped an instance, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// `user@host`.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// One release of the store.
#[derive(Debug, Clone)]
pub struct Release {
    root: PathBuf,
    namespace: String,
    name: String,
}

impl Store {
    /// The store in the folder `root`, which need not exist yet.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The release of that name, which need not exist yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Name`].
    pub fn release(&self, namespace: &str, name: &str) -> Result<Release, StoreError> {
        for part in [namespace, name] {
            helm::release::validate_name(part).map_err(|source| StoreError::Name {
                name: part.to_owned(),
                source,
            })?;
        }
        Ok(Release {
            root: self.root.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// All releases with at least one record, sorted by name.
    ///
    /// # Errors
    ///
    /// A folder that cannot be read.
    pub fn releases(&self) -> Result<Vec<Release>, StoreError> {
        let mut releases = Vec::new();
        for namespace in names_in(&self.root)? {
            for name in names_in(&self.root.join(&namespace).join("releases"))? {
                if let Ok(release) = self.release(&namespace, &name)
                    && !release.revisions()?.is_empty()
                {
                    releases.push(release);
                }
            }
        }
        releases.sort_by(|a, b| (&a.name, &a.namespace).cmp(&(&b.name, &b.namespace)));
        Ok(releases)
    }
}

/// Names of the entries of a folder; none when it does not exist, or when somebody else's file lies about there.
fn names_in(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs_err::read_dir(folder) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error.into()),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

impl Release {
    /// Name of the release, which is the name of the instance.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    fn folder(&self) -> PathBuf {
        self.root
            .join(&self.namespace)
            .join("releases")
            .join(&self.name)
    }

    /// Folder of the claims of its namespace.
    pub fn claims_folder(&self) -> PathBuf {
        self.root.join(&self.namespace).join("claims")
    }

    /// Folder of what its containers mount.
    pub fn pods_folder(&self) -> PathBuf {
        self.root
            .join(&self.namespace)
            .join("pods")
            .join(&self.name)
    }

    fn record_path(&self, revision: u32) -> PathBuf {
        self.folder()
            .join(record::storage_name(&self.name, i64::from(revision)))
    }

    /// Takes the release for `doing`; nobody else can until the lock is dropped, also by the end of this process.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] with who holds it.
    pub fn lock(&self, user: &str, doing: &str, now: Timestamp) -> Result<Lock, StoreError> {
        let folder = self.root.join(&self.namespace).join("locks");
        atomic::create_folder(&folder, 0o700)?;
        let lock = Lock::take(
            &folder.join(&self.name),
            &Holder {
                release: self.name.clone(),
                user: user.to_owned(),
                pid: std::process::id(),
                doing: doing.to_owned(),
                since: now,
            },
        )?;
        atomic::remove_leftovers(&self.folder())?;
        Ok(lock)
    }

    /// Revisions that are recorded, in order.
    ///
    /// # Errors
    ///
    /// A folder that cannot be read.
    pub fn revisions(&self) -> Result<Vec<u32>, StoreError> {
        let mut revisions: Vec<u32> = names_in(&self.folder())?
            .iter()
            .filter_map(|file| helm::release::parse_storage_name(file))
            .filter(|(name, _)| *name == self.name)
            .filter_map(|(_, revision)| u32::try_from(revision).ok())
            .collect();
        revisions.sort_unstable();
        Ok(revisions)
    }

    /// One revision.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is damaged.
    pub fn read(&self, revision: u32) -> Result<Record, StoreError> {
        let path = self.record_path(revision);
        let text = fs_err::read_to_string(&path)?;
        record::decode(&text).map_err(|source| StoreError::Damaged { path, source })
    }

    /// All revisions in order.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is damaged.
    pub fn history(&self) -> Result<Vec<Record>, StoreError> {
        self.revisions()?
            .into_iter()
            .map(|revision| self.read(revision))
            .collect()
    }

    /// The newest revision and the one that is deployed, reading as few records as that takes.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is damaged.
    pub fn newest_and_deployed(&self) -> Result<Option<(Record, Option<Record>)>, StoreError> {
        use crate::fleet::release::Status;
        let mut revisions = self.revisions()?.into_iter().rev();
        let Some(newest) = revisions.next() else {
            return Ok(None);
        };
        let newest = self.read(newest)?;
        if newest.info.status == Status::Deployed {
            return Ok(Some((newest.clone(), Some(newest))));
        }
        for revision in revisions {
            let record = self.read(revision)?;
            if record.info.status == Status::Deployed {
                return Ok(Some((newest, Some(record))));
            }
        }
        Ok(Some((newest, None)))
    }

    /// Writes a revision, new or changed.
    ///
    /// # Errors
    ///
    /// A full disk and the like; the file then is as it was before.
    pub fn write(&self, record: &Record) -> Result<(), StoreError> {
        let revision = record::revision(record);
        let text = record::encode(record)
            .map_err(|source| StoreError::NotRecorded { revision, source })?;
        atomic::create_folder(&self.folder(), 0o700)?;
        Ok(atomic::write(
            &self.record_path(revision),
            text.as_bytes(),
            0o600,
        )?)
    }

    /// Forgets a revision.
    ///
    /// # Errors
    ///
    /// When the file cannot be removed.
    pub fn forget(&self, revision: u32) -> Result<(), StoreError> {
        Ok(fs_err::remove_file(self.record_path(revision))?)
    }

    /// What is meant to be.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is not JSON.
    pub fn intent(&self) -> Result<Intent, StoreError> {
        let path = self.folder().join("intent.json");
        match fs_err::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| StoreError::Damaged {
                path,
                source: error.into(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Intent::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps what is meant to be.
    ///
    /// # Errors
    ///
    /// A full disk and the like.
    pub fn set_intent(&self, intent: &Intent) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(intent).map_err(io::Error::other)?;
        Ok(atomic::write(
            &self.folder().join("intent.json"),
            &bytes,
            0o600,
        )?)
    }

    /// Removes all records, and what its containers mounted; claims stay.
    ///
    /// # Errors
    ///
    /// When a folder cannot be removed.
    pub fn delete(&self) -> Result<(), StoreError> {
        // the records go last: as long as one is there, the deletion can be finished by the next command
        for folder in [self.pods_folder(), self.folder()] {
            match fs_err::remove_dir_all(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// States of a history, for the decisions in [`super::release`].
pub fn states(history: &[Record]) -> Vec<Revision> {
    history
        .iter()
        .map(|record| (record::revision(record), record.info.status))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::release::Status;

    fn record(version: u32, status: Status) -> Record {
        let mut record = Record {
            name: "t01-ea-ioc-01".into(),
            version: version.into(),
            namespace: "t01".into(),
            manifest: "x".repeat(100_000),
            ..Record::default()
        };
        record.set_status(status, "");
        record
    }

    #[test]
    fn revisions_are_kept_in_order_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        assert!(store.releases().unwrap().is_empty());
        let release = store.release("t01", "t01-ea-ioc-01").unwrap();
        for revision in 1..=11 {
            release
                .write(&record(revision, Status::Superseded))
                .unwrap();
        }
        release.write(&record(9, Status::Deployed)).unwrap();
        release.forget(1).unwrap();
        assert_eq!(release.revisions().unwrap(), (2..=11).collect::<Vec<_>>());
        let (newest, deployed) = release.newest_and_deployed().unwrap().unwrap();
        assert_eq!((newest.version, deployed.unwrap().version), (11, 9));
        let names: Vec<_> = store
            .releases()
            .unwrap()
            .iter()
            .map(|release| release.name().to_owned())
            .collect();
        assert_eq!(names, ["t01-ea-ioc-01"]);
        release.delete().unwrap();
        assert!(store.releases().unwrap().is_empty());
    }

    #[test]
    fn names_cannot_leave_the_state_folder() {
        let store = Store::new(Path::new("/nowhere"));
        for name in [
            "..",
            "a/b",
            "",
            "A",
            ".a",
            "a..b",
            "-a",
            "a-",
            &"a".repeat(54),
        ] {
            assert!(store.release("t01", name).is_err(), "{name}");
            assert!(store.release(name, "a").is_err(), "{name}");
        }
        assert!(store.release("t01", "a.b-c.1").is_ok());
    }

    #[test]
    fn a_damaged_record_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let release = Store::new(folder.path()).release("t01", "a").unwrap();
        release
            .write(&Record {
                name: "a".into(),
                ..record(1, Status::Deployed)
            })
            .unwrap();
        fs_err::write(release.record_path(1), "H4sIAAAA").unwrap();
        let error = CommandError::from(release.read(1).unwrap_err());
        assert!(
            error
                .to_string()
                .contains("sh.helm.release.v1.a.v1` is damaged"),
            "{error}"
        );
    }

    #[test]
    fn the_second_command_learns_who_holds_the_release() {
        let folder = tempfile::tempdir().unwrap();
        let release = Store::new(folder.path()).release("t01", "a").unwrap();
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let lock = release.lock("anna@node1", "deploys", now).unwrap();
        let error = CommandError::from(release.lock("ben@node1", "deploys", now).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let cause = error.causes().join("");
        assert_eq!(
            cause,
            format!(
                "anna@node1 since 2026-11-22T10:00:00Z (process {}) deploys `a`",
                std::process::id()
            )
        );
        drop(lock);
        assert!(release.lock("ben@node1", "deploys", now).is_ok());
    }

    #[test]
    fn what_is_meant_to_be_survives() {
        let folder = tempfile::tempdir().unwrap();
        let release = Store::new(folder.path()).release("t01", "a").unwrap();
        assert_eq!(release.intent().unwrap(), Intent::default());
        release.write(&record(1, Status::Deployed)).unwrap();
        let stopped = Intent {
            stopped: Some(Stopped {
                by: "anna@node1".into(),
                at: "2026-11-22T10:00:00Z".parse().unwrap(),
            }),
        };
        release.set_intent(&stopped).unwrap();
        assert_eq!(release.intent().unwrap(), stopped);
    }
}
