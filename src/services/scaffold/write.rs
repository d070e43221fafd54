//! Puts new files on disk: all of them or none, and never over something that exists.

use std::io;
use std::path::Path;

use fs_err::os::unix::fs::symlink;

use crate::services::scaffold::{Content, NewFile};

/// Makes the folder `target` with these files. The folder appears complete or not at all.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] when there is something at `target`; else what could not be written.
pub fn folder(target: &Path, files: &[NewFile]) -> io::Result<()> {
    if target.symlink_metadata().is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("`{}` exists already", target.display()),
        ));
    }
    let parent = target.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(parent)?;
    // Hidden, so that nothing takes it for an instance; removed when anything below fails.
    let unfinished = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(parent)?;
    let inside = unfinished.path().join("new");
    fs_err::create_dir(&inside)?;
    for NewFile { path, content } in files {
        let path = inside.join(path);
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        match content {
            Content::File(bytes) => fs_err::write(&path, bytes)?,
            Content::Link(to) => symlink(to, &path)?,
        }
    }
    fs_err::rename(&inside, target)
}

/// Replaces the text of a file in one step.
///
/// # Errors
///
/// What could not be written; the file is then as it was.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let new = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(parent)?;
    fs_err::write(new.path(), text)?;
    let permissions = match fs_err::metadata(path) {
        Ok(metadata) => metadata.permissions(),
        // what a new file gets from most people's umask
        Err(_) => std::os::unix::fs::PermissionsExt::from_mode(0o644),
    };
    fs_err::set_permissions(new.path(), permissions)?;
    new.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_folder_is_left_alone() {
        let folder_ = tempfile::tempdir().unwrap();
        let target = folder_.path().join("a/b");
        let files = [
            NewFile {
                path: "x/y".into(),
                content: Content::File(b"1".to_vec()),
            },
            NewFile {
                path: "l".into(),
                content: Content::Link("x/y".into()),
            },
        ];
        folder(&target, &files).unwrap();
        assert_eq!(fs_err::read_to_string(target.join("l")).unwrap(), "1");
        let error = folder(&target, &[]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        let left: Vec<_> = fs_err::read_dir(target.parent().unwrap())
            .unwrap()
            .collect();
        assert_eq!(left.len(), 1, "nothing unfinished stays behind: {left:?}");
    }
}
