//! What was read of release records, kept in the cache folder: a record that has not changed is not asked for again.
//!
//! The key is the identity of the Secret and its resource version, which the server changes with every write. So what is
//! kept is never out of date; what cannot be read or written only costs time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::release::Head;
use crate::fleet::kubernetes::Cluster;
use crate::fleet::store::atomic;

/// More are not kept.
const MOST: usize = 50_000;
/// A larger file is not read, in bytes.
const LARGEST: u64 = 64 << 20;
/// Version of the file's form.
const FORM: u32 = 1;

/// The beginnings of records by identity of their Secrets.
#[derive(Debug, Default)]
pub(super) struct Heads {
    file: PathBuf,
    known: BTreeMap<String, Kept>,
    has_changed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    resource_version: String,
    head: Head,
}

impl Heads {
    /// What is kept of a cluster; nothing when there is no such file, or none that can be read.
    pub(super) fn load(cluster: &Cluster) -> Self {
        let name = crate::source::digest(&cluster.server);
        let file = cluster.cache.join("fleet").join(format!(
            "heads-{FORM}-{}.json",
            name.get(..16).unwrap_or(&name)
        ));
        let is_small = fs_err::metadata(&file).is_ok_and(|metadata| metadata.len() <= LARGEST);
        let known = is_small
            .then(|| fs_err::read(&file).ok())
            .flatten()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self {
            file,
            known,
            has_changed: false,
        }
    }

    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// That of a Secret as it is now.
    pub(super) fn get(&self, uid: &str, resource_version: &str) -> Option<&Head> {
        self.known
            .get(uid)
            .filter(|kept| kept.resource_version == resource_version)
            .map(|kept| &kept.head)
    }

    /// Keeps one.
    pub(super) fn insert(&mut self, uid: &str, resource_version: &str, head: Head) {
        if self.get(uid, resource_version) == Some(&head) {
            return;
        }
        self.has_changed = true;
        self.known.insert(
            uid.to_owned(),
            Kept {
                resource_version: resource_version.to_owned(),
                head,
            },
        );
    }

    /// Forgets all but these.
    pub(super) fn keep_only<'a>(&mut self, uids: impl Iterator<Item = &'a str>) {
        let uids: BTreeSet<&str> = uids.collect();
        let before = self.known.len();
        self.known.retain(|uid, _| uids.contains(uid.as_str()));
        self.has_changed |= before != self.known.len();
    }

    /// Writes them, if something is new.
    pub(super) fn save(&mut self) {
        while self.known.len() > MOST {
            self.known.pop_first();
        }
        if !std::mem::take(&mut self.has_changed) {
            return;
        }
        let folder = self.file.parent().map(std::path::Path::to_path_buf);
        let written = serde_json::to_vec(&self.known)
            .map_err(std::io::Error::from)
            .and_then(|bytes| {
                if let Some(folder) = folder {
                    atomic::create_folder(&folder, 0o700)?;
                }
                atomic::write(&self.file, &bytes, 0o600)
            });
        if let Err(error) = written {
            tracing::debug!(%error, "what was read of release records is not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_has_changed_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        let head = |version: &str| Head {
            app_version: version.to_owned(),
            ..Head::default()
        };
        let mut heads = Heads {
            file: folder.path().join("fleet/heads.json"),
            ..Heads::default()
        };
        heads.insert("u", "1", head("2026.1.1"));
        heads.insert("w", "1", head("2026.1.2"));
        heads.save();
        let bytes = fs_err::read(&heads.file).unwrap();
        let mut again = Heads {
            known: serde_json::from_slice(&bytes).unwrap(),
            ..Heads::default()
        };
        assert_eq!(again.get("u", "1"), Some(&head("2026.1.1")));
        assert_eq!(again.get("u", "2"), None);
        again.keep_only(["u"].into_iter());
        assert_eq!(again.get("w", "1"), None);
    }
}
