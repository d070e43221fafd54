//! The cache of sources: finished trees, bare git repositories, one lock per entry.
//!
//! ```text
//! trees/KEY/        a finished source: `identity.json` and `tree/`; appears by one rename, never changes
//! git/KEY.git       objects fetched so far, per repository URL
//! locks/KEY.lock    held while an entry is made; the kernel frees it when its holder dies
//! work/             unfinished things; what a killed command left is swept after a day
//! ```

use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::error::writing;
use super::{FetchContext, Fetched, Identity, SourceError};

/// How often a lock that somebody else holds is tried again; the kernel offers no way to be told.
const LOCK_RETRY: Duration = Duration::from_millis(50);
/// Age after which unfinished things belong to nobody.
const ABANDONED: Duration = Duration::from_hours(24);

/// The folders of the cache.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// Holds an entry against other processes and tasks until dropped.
#[derive(Debug)]
pub(crate) struct EntryLock {
    _file: fs_err::File,
}

impl Cache {
    pub(crate) fn new(context: &FetchContext) -> Self {
        Self {
            root: context.cache.clone(),
        }
    }

    /// A finished source.
    pub(crate) fn get(&self, key: &str) -> Option<Fetched> {
        let entry = self.entry(key);
        let text = fs_err::read_to_string(entry.join("identity.json")).ok()?;
        let identity: Identity = serde_json::from_str(&text).ok()?;
        let tree = entry.join("tree");
        tree.is_dir().then_some(Fetched { tree, identity })
    }

    /// Puts `work`, which holds the finished `tree/`, in place. The caller holds the lock of `key`.
    pub(crate) fn put(
        &self,
        key: &str,
        work: tempfile::TempDir,
        identity: Identity,
    ) -> Result<Fetched, SourceError> {
        let path = work.path().join("identity.json");
        let text = serde_json::to_string(&identity)
            .map_err(|cause| SourceError::io("describe a source", cause.into()))?;
        fs_err::write(&path, text).map_err(writing(&path))?;
        let entry = self.entry(key);
        let parent = self.folder("trees")?;
        if entry.exists() {
            // An entry that `get` refuses is damaged: somebody removed part of it.
            fs_err::remove_dir_all(&entry).map_err(writing(&entry))?;
        }
        sync_contents(work.path());
        fs_err::rename(work.path(), &entry).map_err(writing(&entry))?;
        sync_folder(&parent);
        // The folder has moved away: there is nothing left to remove.
        let _moved = work.keep();
        Ok(Fetched {
            tree: entry.join("tree"),
            identity,
        })
    }

    /// Says that a finished entry is in use, for [`Self::sweep_copies`].
    pub(crate) fn touch(&self, key: &str) -> Result<(), SourceError> {
        let entry = self.entry(key);
        fs_err::File::open(&entry)
            .and_then(|folder| folder.file().set_modified(std::time::SystemTime::now()))
            .map_err(writing(&entry))
    }

    /// Removes finished entries whose key begins with `prefix` and that nobody has used for a day. Only for
    /// those that can be made again without the network: each edit of a local source leaves one.
    pub(crate) fn sweep_copies(&self, prefix: &str) {
        let Ok(entries) = fs_err::read_dir(self.root.join("trees")) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(key) = name.to_str().filter(|key| key.starts_with(prefix)) else {
                continue;
            };
            let lock = self.root.join("locks").join(format!("{key}.lock"));
            let Ok(lock) = fs_err::File::create(&lock) else {
                continue;
            };
            if lock.file().try_lock().is_ok() && is_abandoned(&entry.path()) {
                let _tried_again_next_time = fs_err::remove_dir_all(entry.path());
            }
        }
    }

    /// A folder for unfinished work, removed when dropped, on the same file system as the cache.
    pub(crate) fn work(&self) -> Result<tempfile::TempDir, SourceError> {
        let folder = self.folder("work")?;
        sweep(&folder);
        tempfile::Builder::new()
            .prefix("fetch-")
            .tempdir_in(&folder)
            .map_err(writing(&folder))
    }

    /// Where the objects of a git repository are kept.
    pub(crate) fn repository(&self, url: &str) -> Result<PathBuf, SourceError> {
        Ok(self.folder("git")?.join(format!("{}.git", digest(url))))
    }

    /// Waits until nobody else works on `key`.
    pub(crate) async fn lock(
        &self,
        key: &str,
        context: &FetchContext,
    ) -> Result<EntryLock, SourceError> {
        let path = self.folder("locks")?.join(format!("{key}.lock"));
        let file = fs_err::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(writing(&path))?;
        let mut told = false;
        loop {
            match file.file().try_lock() {
                Ok(()) => return Ok(EntryLock { _file: file }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(cause)) => return Err(writing(&path)(cause)),
            }
            if !told {
                context.step("waiting for another command that fetches the same");
                told = true;
            }
            tokio::select! {
                () = context.cancel.cancelled() => return Err(SourceError::Cancelled),
                () = tokio::time::sleep(LOCK_RETRY) => {}
            }
        }
    }

    fn entry(&self, key: &str) -> PathBuf {
        self.root.join("trees").join(key)
    }

    fn folder(&self, name: &str) -> Result<PathBuf, SourceError> {
        let path = self.root.join(name);
        fs_err::create_dir_all(&path).map_err(writing(&path))?;
        Ok(path)
    }
}

/// A file name for anything: SHA-256, shortened to 128 bits.
pub(crate) fn digest(text: &str) -> String {
    let mut digest = hexadecimal(&Sha256::digest(text.as_bytes()));
    digest.truncate(32);
    digest
}

/// Lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
        text
    })
}

/// Puts everything written so far on the disk, so that after a power cut no entry is there without its
/// contents.
fn sync_contents(path: &Path) {
    if let Ok(folder) = fs_err::File::open(path) {
        let _some_file_systems_refuse = rustix::fs::syncfs(folder.file());
    }
}

/// Makes a rename durable where the file system can.
fn sync_folder(path: &Path) {
    if let Ok(folder) = fs_err::File::open(path) {
        let _some_file_systems_refuse = folder.sync_all();
    }
}

/// Whether nothing has changed a folder for long.
pub(crate) fn is_abandoned(path: &Path) -> bool {
    fs_err::symlink_metadata(path)
        .and_then(|metadata| metadata.modified())
        .and_then(|time| time.elapsed().map_err(io::Error::other))
        .is_ok_and(|age| age > ABANDONED)
}

/// Removes what commands that were killed left behind; failing to is no reason to stop.
fn sweep(folder: &Path) {
    let Ok(entries) = fs_err::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if is_abandoned(&entry.path()) {
            let _tried_again_next_time = fs_err::remove_dir_all(entry.path());
        }
    }
}
