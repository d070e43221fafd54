//! Folders as values: listed in a fixed order, hashed, written as a tar stream that is the same each time.
//!
//! Only names, contents, the executable bit and symbolic links count; owners, times and the rest of the mode
//! are those of whoever unpacked the folder.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::cache::hexadecimal;

/// Time that every entry of a tar stream has: 2000-01-01, seconds since the epoch. Not 0, which `make` takes
/// for a file that does not exist.
pub const MTIME: u64 = 946_684_800;

/// What an entry of a folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A file and whether it may be executed.
    File {
        /// Somebody may execute it.
        executable: bool,
    },
    /// A symbolic link and what it points to.
    Link {
        /// Its text.
        target: PathBuf,
    },
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path below the folder.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
}

/// All entries below `folder`, without itself, sorted by the bytes of their paths.
///
/// # Errors
///
/// A folder that cannot be read, or something that is neither folder, file nor symbolic link.
pub fn entries(folder: &Path) -> io::Result<Vec<Entry>> {
    entries_without(folder, |_name| false)
}

/// As [`entries`], leaving out every entry with a name that `skip` says yes to, and what is below it.
///
/// # Errors
///
/// As [`entries`].
pub fn entries_without(folder: &Path, skip: impl Fn(&OsStr) -> bool) -> io::Result<Vec<Entry>> {
    let walk = walkdir::WalkDir::new(folder)
        .min_depth(1)
        .follow_links(false)
        .into_iter()
        .filter_entry(|entry| !skip(entry.file_name()));
    let mut entries = Vec::new();
    for entry in walk {
        let entry = entry.map_err(io::Error::from)?;
        let path = entry
            .path()
            .strip_prefix(folder)
            .map_err(io::Error::other)?
            .to_path_buf();
        let kind = entry.file_type();
        let kind = if kind.is_dir() {
            EntryKind::Folder
        } else if kind.is_file() {
            let mode = entry.metadata().map_err(io::Error::from)?.permissions();
            EntryKind::File {
                executable: mode.mode() & 0o111 != 0,
            }
        } else if kind.is_symlink() {
            EntryKind::Link {
                target: fs_err::read_link(entry.path())?,
            }
        } else {
            return Err(io::Error::other(format!(
                "`{}` is neither a file, a folder nor a symbolic link",
                entry.path().display()
            )));
        };
        entries.push(Entry { path, kind });
    }
    entries.sort_by(|left, right| left.path.as_os_str().cmp(right.path.as_os_str()));
    Ok(entries)
}

/// SHA-256 over all entries of a folder, in lower-case hexadecimal digits.
///
/// # Errors
///
/// As [`entries`], or a file that cannot be read.
pub fn hash(folder: &Path) -> io::Result<String> {
    hash_entries(folder, &entries(folder)?)
}

/// SHA-256 over the given entries of a folder. Each part is preceded by its length, so that no two different
/// folders are the same bytes.
///
/// # Errors
///
/// A file that cannot be read.
pub fn hash_entries(folder: &Path, entries: &[Entry]) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    for entry in entries {
        let path = entry.path.as_os_str().as_bytes();
        hash.update(length(path.len()));
        hash.update(path);
        match &entry.kind {
            EntryKind::Folder => hash.update(b"d"),
            EntryKind::Link { target } => {
                let target = target.as_os_str().as_bytes();
                hash.update(b"l");
                hash.update(length(target.len()));
                hash.update(target);
            }
            EntryKind::File { executable } => {
                hash.update(if *executable { b"x" } else { b"f" });
                let mut file = fs_err::File::open(folder.join(&entry.path))?;
                let mut contents = Sha256::new();
                loop {
                    let count = file.read(&mut buffer)?;
                    if count == 0 {
                        break;
                    }
                    contents.update(&buffer[..count]);
                }
                hash.update(contents.finalize());
            }
        }
    }
    Ok(hexadecimal(&hash.finalize()))
}

fn length(length: usize) -> [u8; 8] {
    (length as u64).to_be_bytes()
}

/// Writes a folder as a tar stream that depends on nothing but what [`hash`] sees.
///
/// # Errors
///
/// As [`entries`], or a file that cannot be read, or a writer that fails.
pub fn write_tar<W: Write>(folder: &Path, writer: W) -> io::Result<W> {
    let mut builder = tar::Builder::new(writer);
    append(&mut builder, folder, Path::new(""))?;
    builder.into_inner()
}

/// Appends a folder to a tar stream below `prefix`, which may be empty; the folders of `prefix` itself get
/// no entries.
///
/// # Errors
///
/// As [`write_tar`].
pub fn append<W: Write>(
    builder: &mut tar::Builder<W>,
    folder: &Path,
    prefix: &Path,
) -> io::Result<()> {
    for entry in entries(folder)? {
        append_entry(builder, folder, &entry, &prefix.join(&entry.path))?;
    }
    Ok(())
}

/// Appends one entry of a folder to a tar stream under another name.
///
/// # Errors
///
/// As [`write_tar`].
pub fn append_entry<W: Write>(
    builder: &mut tar::Builder<W>,
    folder: &Path,
    entry: &Entry,
    name: &Path,
) -> io::Result<()> {
    match &entry.kind {
        EntryKind::Folder => {
            let mut header = header(tar::EntryType::Directory, 0o755, 0);
            // a name that ends with a slash, as every tar writes folders
            let mut name = name.as_os_str().to_owned();
            name.push("/");
            builder.append_data(&mut header, Path::new(&name), io::empty())
        }
        EntryKind::Link { target } => {
            let mut header = header(tar::EntryType::Symlink, 0o777, 0);
            builder.append_link(&mut header, name, target)
        }
        EntryKind::File { executable } => {
            let file = fs_err::File::open(folder.join(&entry.path))?;
            let size = file.metadata()?.len();
            let mode = if *executable { 0o755 } else { 0o644 };
            let mut header = header(tar::EntryType::Regular, mode, size);
            builder.append_data(&mut header, name, ExactSize::new(file, size))
        }
    }
}

/// Appends a file that exists only in memory.
///
/// # Errors
///
/// A writer that fails.
pub fn append_bytes<W: Write>(
    builder: &mut tar::Builder<W>,
    name: &Path,
    executable: bool,
    contents: &[u8],
) -> io::Result<()> {
    let mode = if executable { 0o755 } else { 0o644 };
    let mut header = header(tar::EntryType::Regular, mode, contents.len() as u64);
    builder.append_data(&mut header, name, contents)
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MTIME);
    header.set_size(size);
    header
}

/// A file that changes while it is read would break the stream behind it: this is an error instead.
struct ExactSize<R> {
    inner: R,
    left: u64,
}

impl<R> ExactSize<R> {
    fn new(inner: R, size: u64) -> Self {
        Self { inner, left: size }
    }
}

impl<R: Read> Read for ExactSize<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        let counted = count as u64;
        if counted > self.left || (count == 0 && self.left > 0) {
            return Err(io::Error::other(
                "a file changed while it was read: run the command again",
            ));
        }
        self.left -= counted;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Something done to a folder.
    type Change = fn(&Path);

    fn sample() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs_err::create_dir_all(path.join("b/empty")).unwrap();
        fs_err::write(path.join("b/x"), "contents").unwrap();
        fs_err::write(path.join("b.c"), "").unwrap();
        fs_err::write(path.join("a"), "#!/bin/sh\n").unwrap();
        symlink("b/x", path.join("link")).unwrap();
        folder
    }

    fn set_executable(path: &Path) {
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn the_same_folder_elsewhere_has_the_same_hash_and_tar() {
        let (left, right) = (sample(), sample());
        assert_eq!(hash(left.path()).unwrap(), hash(right.path()).unwrap());
        let tar = |folder: &Path| write_tar(folder, Vec::new()).unwrap();
        assert_eq!(tar(left.path()), tar(right.path()));
    }

    #[test]
    fn each_change_that_counts_changes_the_hash() {
        let before = hash(sample().path()).unwrap();
        let changes: [(&str, Change); 6] = [
            ("contents", |path| {
                fs_err::write(path.join("a"), "x").unwrap();
            }),
            ("executable", |path| set_executable(&path.join("a"))),
            ("name", |path| {
                fs_err::rename(path.join("a"), path.join("aa")).unwrap();
            }),
            ("moved", |path| {
                fs_err::rename(path.join("a"), path.join("b/a")).unwrap();
            }),
            ("empty folder", |path| {
                fs_err::remove_dir(path.join("b/empty")).unwrap();
            }),
            ("link", |path| {
                fs_err::remove_file(path.join("link")).unwrap();
                symlink("b.c", path.join("link")).unwrap();
            }),
        ];
        for (name, change) in changes {
            let folder = sample();
            change(folder.path());
            assert_ne!(hash(folder.path()).unwrap(), before, "{name}");
        }
    }

    #[test]
    fn a_tar_unpacks_to_the_same_folder() {
        let folder = sample();
        set_executable(&folder.path().join("a"));
        let long = "d".repeat(120);
        fs_err::create_dir_all(folder.path().join(&long).join(&long)).unwrap();
        fs_err::write(folder.path().join(&long).join(&long).join("f"), "x").unwrap();
        let bytes = write_tar(folder.path(), Vec::new()).unwrap();
        let again = tempfile::tempdir().unwrap();
        tar::Archive::new(&bytes[..]).unpack(again.path()).unwrap();
        assert_eq!(hash(folder.path()).unwrap(), hash(again.path()).unwrap());
    }

    #[test]
    fn a_socket_is_not_part_of_a_source() {
        let folder = sample();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        let error = hash(folder.path()).unwrap_err().to_string();
        assert!(error.contains("socket` is neither"), "{error}");
    }

    #[test]
    fn a_file_that_grows_while_it_is_read_is_an_error() {
        let mut reader = ExactSize::new(&b"abcd"[..], 3);
        assert!(io::copy(&mut reader, &mut io::sink()).is_err());
        let mut reader = ExactSize::new(&b"ab"[..], 3);
        assert!(io::copy(&mut reader, &mut io::sink()).is_err());
    }
}
