//! The files of a services repository at a tag, in a folder of the cache: no working copy is touched.
//!
//! Symbolic links stay links. Whether one leaves the repository is checked where it is followed, as in a working copy
//! ([`crate::services::links`]); nothing is ever written through one here.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::VersionsError;
use super::git::{Id, Location, Mode};
use super::reach::Reader;
use crate::services::Version;
use crate::source::definition::{GitUrl, Tag};
use crate::source::{Cache, FetchContext, Identity, IdentityKind, SourceError, digest};

/// Largest file, in bytes.
const LARGEST_FILE: u64 = 64 << 20;
/// Most bytes in all.
const LARGEST_TREE: u64 = 512 << 20;
/// Most files, folders and links.
const MOST_ENTRIES: usize = 100_000;
/// Deepest folder.
const DEEPEST: usize = 64;
/// Beginning of the keys in the cache.
const KEY: &str = "services-";

/// A services repository at a tag.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// Its folder in the cache. It is shared with other commands: read it, never write to it.
    pub folder: PathBuf,
    /// Tag, commit and where they are from.
    pub version: Version,
}

/// The files of a tag of the git repository around a folder.
///
/// # Errors
///
/// No such tag, with what was probably meant; a services repository that is not part of it.
pub(super) async fn of_folder(
    folder: &Path,
    tag: &str,
    context: &FetchContext,
) -> Result<Checkout, VersionsError> {
    let location = Location::of_folder(folder)?;
    let references = location.references()?;
    let Some((_, id)) = references.iter().find(|(name, _)| name == tag) else {
        return Err(VersionsError::NoSuchTag {
            repository: location.shown,
            tag: tag.to_owned(),
            known: references.into_iter().map(|(name, _)| name).collect(),
            is_shallow: location.is_shallow,
        });
    };
    write(&location, *id, tag, context).await
}

/// The files of a tag of a git repository on a server.
///
/// # Errors
///
/// As [`of_folder`]; the server cannot be reached or refuses.
pub(super) async fn of_url(
    url: &GitUrl,
    tag: &str,
    context: &FetchContext,
) -> Result<Checkout, VersionsError> {
    let no_such = |known: Vec<String>| VersionsError::NoSuchTag {
        repository: crate::source::mirror::without_credentials(url.as_str()),
        tag: tag.to_owned(),
        known,
        is_shallow: false,
    };
    let name = Tag::new(tag).map_err(|_not_a_tag| no_such(Vec::new()))?;
    let (objects, commit) = match crate::source::git::one_tag(url, &name, context).await {
        // a name on the command line, not a recipe that is wrong
        Err(SourceError::NoSuchTag { near, .. }) => {
            return Err(no_such(near.into_iter().collect()));
        }
        other => other?,
    };
    let location = Location::of_cache(objects.folder.clone(), url.as_str(), false);
    let id = Id::from_hexadecimal(commit.as_str()).ok_or_else(|| no_such(Vec::new()))?;
    write(&location, id, tag, context).await
}

async fn write(
    location: &Location,
    id: Id,
    tag: &str,
    context: &FetchContext,
) -> Result<Checkout, VersionsError> {
    let mut reader = Reader::new(location)?;
    let commit = reader
        .objects
        .commit(id)?
        .ok_or_else(|| VersionsError::NotACommit {
            repository: location.shown.clone(),
            tag: tag.to_owned(),
        })?;
    let version = Version::Tag {
        tag: tag.to_owned(),
        commit: commit.id.to_string(),
        repository: location.shown.clone(),
    };
    // the last part of the folder's name is that of a services repository which is one chart
    let key = format!(
        "{KEY}{}-{}",
        commit.id,
        digest(&format!("{}\n{}", location.prefix, location.name))
    );
    let cache = Cache::new(context);
    let folder = |tree: PathBuf| tree.join(&location.name);
    cache.sweep_copies(KEY);
    let _lock = cache.lock(&key, context).await?;
    if let Some(fetched) = cache.get(&key) {
        cache.touch(&key)?;
        return Ok(Checkout {
            folder: folder(fetched.tree),
            version,
        });
    }
    let root = reader
        .folder(location, commit.tree)?
        .ok_or_else(|| VersionsError::NoFolder {
            repository: location.shown.clone(),
            folder: location.prefix.clone(),
            tag: tag.to_owned(),
        })?;
    let work = cache.work()?;
    let tree = work.path().join("tree");
    fs_err::create_dir(&tree)?;
    let seconds = u64::try_from(commit.seconds).unwrap_or_default();
    let mut writer = Writer {
        reader: &mut reader,
        modified: std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds),
        tag,
        entries: 0,
        bytes: 0,
    };
    writer.folder(root, &folder(tree), "", 0)?;
    let identity = Identity {
        kind: IdentityKind::Commit,
        value: commit.id.to_string(),
        description: format!("{} at {tag}", location.shown),
    };
    let fetched = cache.put(&key, work, identity)?;
    Ok(Checkout {
        folder: folder(fetched.tree),
        version,
    })
}

/// Writes folders that nobody else writes to: whatever exists already was made twice by a hostile repository.
struct Writer<'a> {
    reader: &'a mut Reader,
    /// Time of every file: that of the commit, so that a chart packaged from them has the same bytes on every machine.
    modified: std::time::SystemTime,
    tag: &'a str,
    entries: usize,
    bytes: u64,
}

impl Writer<'_> {
    fn folder(
        &mut self,
        id: Id,
        to: &Path,
        shown: &str,
        depth: usize,
    ) -> Result<(), VersionsError> {
        if depth > DEEPEST {
            return Err(self.refused(
                shown,
                &format!("more than {DEEPEST} folders inside each other"),
            ));
        }
        fs_err::create_dir(to)?;
        let entries = self.reader.objects.tree(id)?;
        for entry in entries.iter() {
            let name = entry.name.as_str();
            let shown = if shown.is_empty() {
                name.to_owned()
            } else {
                format!("{shown}/{name}")
            };
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                return Err(self.refused(&shown, &format!("more than {MOST_ENTRIES} files")));
            }
            if matches!(name, "" | "." | "..")
                || name.contains(['/', '\0'])
                || name.eq_ignore_ascii_case(".git")
            {
                return Err(
                    self.refused(&shown.escape_debug().to_string(), "no file has such a name")
                );
            }
            let path = to.join(name);
            match entry.mode {
                Mode::Folder => self.folder(entry.id, &path, &shown, depth + 1)?,
                // its files are in another repository: the folder stays empty, as after `git clone`
                Mode::Submodule => fs_err::create_dir(&path)?,
                Mode::Link => {
                    let target = self.content(entry.id, &shown, 4096)?;
                    let target = String::from_utf8_lossy(&target).into_owned();
                    if target.is_empty() || target.contains('\0') {
                        return Err(self.refused(&shown, "the symbolic link has no target"));
                    }
                    fs_err::os::unix::fs::symlink(&target, &path)?;
                }
                Mode::File | Mode::Executable => {
                    let content = self.content(entry.id, &shown, LARGEST_FILE)?;
                    let mode = if entry.mode == Mode::Executable {
                        0o755
                    } else {
                        0o644
                    };
                    let mut file = std::fs::OpenOptions::new()
                        .write(true)
                        .create_new(true)
                        .mode(mode)
                        .open(&path)
                        .and_then(|mut file| file.write_all(&content).map(|()| file))
                        .map_err(|error| {
                            std::io::Error::new(
                                error.kind(),
                                format!("failed to write `{}`: {error}", path.display()),
                            )
                        })?;
                    file.flush()?;
                    file.set_modified(self.modified)?;
                }
            }
        }
        Ok(())
    }

    fn content(&mut self, id: Id, shown: &str, largest: u64) -> Result<Vec<u8>, VersionsError> {
        let Some(content) = self.reader.objects.file(id, largest)? else {
            return Err(self.refused(
                shown,
                &format!("it is larger than {largest} bytes, or missing"),
            ));
        };
        self.bytes += content.len() as u64;
        if self.bytes > LARGEST_TREE {
            return Err(self.refused(shown, &format!("more than {LARGEST_TREE} bytes in all")));
        }
        Ok(content)
    }

    fn refused(&self, entry: &str, why: &str) -> VersionsError {
        VersionsError::Refused {
            tag: self.tag.to_owned(),
            entry: entry.to_owned(),
            why: why.to_owned(),
        }
    }
}
