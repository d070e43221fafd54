//! Files of a ConfigMap or Secret in a folder that changes atomically, in the way of the kubelet.
//!
//! ```text
//! ..<hash>/st.cmd          what is there now
//! ..data -> ..<hash>       replaced by a rename: all files change at once
//! st.cmd -> ..data/st.cmd
//! ```
//!
//! The layout is that of Kubernetes' `AtomicWriter` (`pkg/volume/util/atomic_writer.go`), so that programs which
//! watch `..data` work here as well.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::fleet::store::atomic::{create_folder, sync_folder, write_through};
use crate::fleet::workload::model::File;

const CURRENT: &str = "..data";
const NEXT: &str = "..data_next";

/// Makes `folder` have exactly `files`; says whether anything changed. `group` may read them all.
///
/// # Errors
///
/// A full disk and the like; readers then still see all of the old files.
pub fn publish(folder: &Path, files: &[File], group: Option<u32>) -> io::Result<bool> {
    let wanted = format!("..{}", hash(files));
    create_folder(folder, 0o755)?;
    let current = fs_err::read_link(folder.join(CURRENT)).ok();
    if current.as_deref() == Some(Path::new(&wanted)) {
        return Ok(false);
    }
    let target = folder.join(&wanted);
    // what a killed command left may be incomplete
    remove_tree(&target)?;
    create_folder(&target, 0o755)?;
    for file in files {
        let path = target.join(&file.path);
        create_folder(path.parent().unwrap_or(&target), 0o755)?;
        let mode = if group.is_some() {
            file.mode | 0o040
        } else {
            file.mode
        };
        write_through(&path, &file.contents, mode)?;
        if group.is_some() {
            // without the right to give it away the mode has to do
            let _not_root = std::os::unix::fs::chown(&path, None, group);
        }
    }
    sync_folder(&target)?;
    let next = folder.join(NEXT);
    remove_file(&next)?;
    symlink(&wanted, &next)?;
    fs_err::rename(&next, folder.join(CURRENT))?;
    link_names(folder, files)?;
    sync_folder(folder)?;
    remove_old(folder, &wanted)?;
    Ok(true)
}

fn hash(files: &[File]) -> String {
    let mut hasher = Sha256::new();
    for file in files {
        hasher.update(file.path.len().to_be_bytes());
        hasher.update(&file.path);
        hasher.update(file.mode.to_be_bytes());
        hasher.update(file.contents.len().to_be_bytes());
        hasher.update(&file.contents);
    }
    let digest = hasher.finalize();
    let mut text = String::new();
    for byte in &digest[..8] {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// The names that users see: one link for each first part of a path; those of files that have gone are removed.
fn link_names(folder: &Path, files: &[File]) -> io::Result<()> {
    let names: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.path.split('/').next())
        .collect();
    for name in &names {
        let link = folder.join(name);
        let target = Path::new(CURRENT).join(name);
        if fs_err::read_link(&link).ok().as_deref() != Some(&target) {
            let next = folder.join(format!("..link_{name}"));
            remove_file(&next)?;
            symlink(&target, &next)?;
            fs_err::rename(&next, &link)?;
        }
    }
    for path in entries(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("..") && !names.contains(name.as_ref()) {
            remove_file(&path)?;
        }
    }
    Ok(())
}

fn remove_old(folder: &Path, current: &str) -> io::Result<()> {
    for path in entries(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("..") && name != CURRENT && name != current {
            if fs_err::symlink_metadata(&path)?.is_dir() {
                remove_tree(&path)?;
            } else {
                remove_file(&path)?;
            }
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs_err::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect()
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match fs_err::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(path: &str, contents: &str) -> File {
        File {
            path: path.into(),
            mode: 0o444,
            contents: contents.into(),
        }
    }

    fn seen(folder: &Path) -> Vec<(String, String)> {
        let mut seen: Vec<(String, String)> = walkdir::WalkDir::new(folder)
            .follow_links(true)
            .into_iter()
            .filter_entry(|entry| !entry.file_name().to_string_lossy().starts_with(".."))
            .flatten()
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| {
                let name = entry
                    .path()
                    .strip_prefix(folder)
                    .unwrap()
                    .display()
                    .to_string();
                (name, fs_err::read_to_string(entry.path()).unwrap())
            })
            .collect();
        seen.sort();
        seen
    }

    #[test]
    fn files_appear_change_and_go_all_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("config");
        let first = [
            file("ioc.db", "1"),
            file("st.cmd", "a"),
            file("proto/x.proto", "p"),
        ];
        assert!(publish(&folder, &first, None).unwrap());
        assert!(!publish(&folder, &first, None).unwrap());
        let mode = fs_err::metadata(folder.join("st.cmd"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o444);
        // a reader that opened the folder before sees all of the old files or all of the new ones
        let before = fs_err::read_link(folder.join("..data")).unwrap();
        let second = [file("ioc.db", "2"), file("st.cmd", "b")];
        assert!(publish(&folder, &second, None).unwrap());
        assert_ne!(fs_err::read_link(folder.join("..data")).unwrap(), before);
        assert_eq!(
            seen(&folder),
            [("ioc.db".into(), "2".into()), ("st.cmd".into(), "b".into())]
        );
        let left: Vec<_> = entries(&folder).unwrap();
        assert_eq!(left.len(), 4, "{left:?}");
    }

    #[test]
    fn what_a_killed_command_left_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let files = [file("a", "1")];
        let incomplete = folder.path().join(format!("..{}", hash(&files)));
        fs_err::create_dir(&incomplete).unwrap();
        fs_err::write(incomplete.join("b"), "half").unwrap();
        symlink("..nowhere", folder.path().join(NEXT)).unwrap();
        publish(folder.path(), &files, None).unwrap();
        assert_eq!(seen(folder.path()), [("a".into(), "1".into())]);
    }
}
