//! The folder of saved settings on this machine: listing, reading, and putting a file in place.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::fleet::autosave::{Entry, LARGEST_FILE, dated};
use crate::fleet::store::atomic;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Reads all files of the folder itself, by name. What is in folders below it is passed over.
///
/// # Errors
///
/// The folder cannot be read, or one of its files.
pub fn list(folder: &Path) -> CommandResult<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        // a link may lead out of the volume: what a container has put there is not followed
        if !entry.file_type()?.is_file() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        match read(folder, &name) {
            Ok(entry) => entries.push(entry),
            // the IOC renames its files at any time
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

/// Reads one file of the folder.
///
/// # Errors
///
/// [`ErrorKind::NotFound`] when there is no such file; it cannot be read.
pub fn read(folder: &Path, name: &str) -> CommandResult<Entry> {
    let path = folder.join(name);
    let metadata = match fs_err::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() => metadata,
        Ok(_) => {
            return Err(CommandError::not_found(format!(
                "`{}` is not a file",
                path.display()
            )));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(CommandError::not_found(format!(
                "there is no file `{name}` in `{}`",
                folder.display()
            )));
        }
        Err(error) => return Err(error.into()),
    };
    let modified = metadata
        .modified()
        .ok()
        .and_then(|time| Timestamp::try_from(time).ok());
    let bytes = if metadata.len() > LARGEST_FILE {
        None
    } else {
        Some(fs_err::read(&path)?)
    };
    Ok(Entry {
        name: name.to_owned(),
        size: metadata.len(),
        modified: modified.unwrap_or_default(),
        bytes,
    })
}

/// Puts a file in place of `name`, all at once, with the owner and the rights of what was there, or of the folder. What
/// was there is kept under a dated name, which is returned.
///
/// # Errors
///
/// The folder cannot be written; the file that was there is then still there.
pub fn put(
    folder: &Path,
    name: &str,
    bytes: &[u8],
    now: Timestamp,
) -> CommandResult<Option<String>> {
    let path = folder.join(name);
    let old = match fs_err::symlink_metadata(&path) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(CommandError::new(
                ErrorKind::Conflict,
                format!("`{}` is not a file", path.display()),
            ));
        }
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let like = match &old {
        Some(metadata) => metadata.clone(),
        None => fs_err::metadata(folder)?,
    };
    let kept = match &old {
        Some(_) => Some(keep(folder, name, now)?),
        None => None,
    };
    let mode = old
        .as_ref()
        .map_or(0o644, |old| old.permissions().mode() & 0o777);
    atomic::write(&path, bytes, mode)?;
    own(&path, &like);
    Ok(kept)
}

/// Copies a file to its dated name; a second copy within one second gets a number more.
fn keep(folder: &Path, name: &str, now: Timestamp) -> CommandResult<String> {
    let wanted = dated(name, now);
    let mut kept = wanted.clone();
    let mut count = 1_u32;
    while fs_err::symlink_metadata(folder.join(&kept)).is_ok() {
        count += 1;
        kept = format!("{wanted}-{count}");
    }
    let path = folder.join(&kept);
    let source: PathBuf = folder.join(name);
    let metadata = fs_err::metadata(&source)?;
    let mode = metadata.permissions().mode() & 0o777;
    atomic::write(&path, &fs_err::read(&source)?, mode)?;
    own(&path, &metadata);
    Ok(kept)
}

/// Gives a file to the owner that the IOC runs as. Who may not give files away leaves it readable, which is enough to
/// restore it; autosave replaces files rather than writing into them.
fn own(path: &Path, like: &std::fs::Metadata) {
    if let Err(error) = std::os::unix::fs::chown(path, Some(like.uid()), Some(like.gid())) {
        tracing::debug!(%error, path = %path.display(), "the owner of a restored file was not changed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_is_kept_with_its_date_and_its_rights() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let now: Timestamp = "2026-11-27T10:11:12Z".parse().unwrap();
        assert_eq!(put(folder, "a.sav", b"A 1\n<END>\n", now).unwrap(), None);
        let path = folder.join("a.sav");
        fs_err::set_permissions(&path, PermissionsExt::from_mode(0o664)).unwrap();
        let kept = put(folder, "a.sav", b"A 2\n<END>\n", now).unwrap().unwrap();
        let again = put(folder, "a.sav", b"A 3\n<END>\n", now).unwrap().unwrap();
        assert_ne!(kept, again);
        let texts: Vec<(String, Vec<u8>, u32)> = list(folder)
            .unwrap()
            .into_iter()
            .map(|entry| {
                let mode = fs_err::metadata(folder.join(&entry.name))
                    .unwrap()
                    .permissions()
                    .mode();
                (entry.name, entry.bytes.unwrap(), mode & 0o777)
            })
            .collect();
        let text = |value: u8| format!("A {value}\n<END>\n").into_bytes();
        assert_eq!(
            texts,
            [
                ("a.sav".to_owned(), text(3), 0o664),
                (kept, text(1), 0o664),
                (again, text(2), 0o664)
            ]
        );
    }

    #[test]
    fn links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        fs_err::write(&outside, "secret").unwrap();
        let inside = folder.path().join("claim");
        fs_err::create_dir(&inside).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("a.sav")).unwrap();
        assert_eq!(list(&inside).unwrap(), []);
        assert_eq!(
            read(&inside, "a.sav").unwrap_err().kind(),
            ErrorKind::NotFound
        );
        let refused = put(&inside, "a.sav", b"x", Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert_eq!(fs_err::read_to_string(&outside).unwrap(), "secret");
    }
}
