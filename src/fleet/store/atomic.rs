//! Files that are there whole or not at all, also after a crash or a full disk.

use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Beginning of the names of files that are not complete yet.
const TEMPORARY: &str = ".incomplete-";

/// Puts `bytes` at `path`: written beside it, flushed to disk, then renamed over it.
///
/// # Errors
///
/// A full disk, permissions; nothing is left behind and the old file stays.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!("{TEMPORARY}{}-{name}", std::process::id()));
    let written = write_through(&temporary, bytes, mode)
        .and_then(|()| fs_err::rename(&temporary, path))
        .and_then(|()| sync_folder(folder));
    if written.is_err() {
        remove_if_there(&temporary)?;
    }
    written
}

/// A new file with its contents on disk.
///
/// # Errors
///
/// As any writing.
pub fn write_through(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    // the mode above is cut by the umask
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    file.sync_all()
}

/// Makes a rename survive a power cut.
///
/// # Errors
///
/// As any writing.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    fs_err::File::open(folder)?.sync_all()
}

/// Makes a folder and those above it, which get the same mode; one that is there stays as it is.
///
/// # Errors
///
/// As any writing, with the path.
pub fn create_folder(folder: &Path, mode: u32) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(folder)
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("failed to create folder `{}`: {error}", folder.display()),
            )
        })
}

/// Removes what a killed command did not complete; only for a folder that is locked.
///
/// # Errors
///
/// As any removing.
pub fn remove_leftovers(folder: &Path) -> io::Result<()> {
    let entries = match fs_err::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let leftovers: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(TEMPORARY))
        .map(|entry| entry.path())
        .collect();
    leftovers.iter().try_for_each(|path| remove_if_there(path))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        write(&path, b"old", 0o600).unwrap();
        // a folder in the way of the temporary file makes the write fail
        let blocked = folder
            .path()
            .join(format!("{TEMPORARY}{}-x", std::process::id()));
        fs_err::create_dir(&blocked).unwrap();
        assert!(write(&path, b"new", 0o600).is_err());
        assert_eq!(fs_err::read(&path).unwrap(), b"old");
        fs_err::remove_dir(&blocked).unwrap();
        write(&path, b"new", 0o600).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"new");
        fs_err::write(folder.path().join(".incomplete-1-x"), "").unwrap();
        remove_leftovers(folder.path()).unwrap();
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
    }
}
