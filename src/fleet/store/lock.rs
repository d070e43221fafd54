//! One command at a time on a release: a file lock that ends with its process, and says who holds it.

use std::fs::TryLockError;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fleet::store::StoreError;

/// Who works on a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The release.
    pub release: String,
    /// `user@host`.
    pub user: String,
    /// Process.
    pub pid: u32,
    /// What it does: `deploys`, `rolls back`, …
    pub doing: String,
    /// Since when.
    pub since: Timestamp,
}

/// The right to change a release; ends when dropped.
#[derive(Debug)]
pub struct Lock {
    // the kernel gives the lock free when the file is closed, also when the process is killed
    _file: std::fs::File,
}

impl Lock {
    /// Takes the lock in the file `path`, which stays there for good.
    pub(super) fn take(path: &Path, holder: &Holder) -> Result<Self, StoreError> {
        let mut options = fs_err::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path)?.into_parts().0;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                file.read_to_string(&mut text)?;
                // the other command may be just about to write its name
                let holder = serde_json::from_str(&text).unwrap_or_else(|_| Holder {
                    user: "somebody".to_owned(),
                    pid: 0,
                    doing: "works on".to_owned(),
                    ..holder.clone()
                });
                return Err(StoreError::Locked(Box::new(holder)));
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let text = serde_json::to_string(holder).map_err(io::Error::other)?;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        Ok(Self { _file: file })
    }
}
