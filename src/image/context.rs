//! What is sent to the engine for a build: files by name, each small one in memory, each fetched source as a
//! folder with its identity. Pure but for [`Context::write`], which reads the folders while it writes.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Time that all files of a context have, so that the same context is the same bytes: make compares times
/// only within one build.
const FILE_TIME: u64 = 1;

/// The files of a build by their path in the context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    items: BTreeMap<String, Item>,
}

/// One file or folder of a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A file.
    File {
        /// What it holds.
        content: Vec<u8>,
        /// Whether it can be run.
        executable: bool,
    },
    /// A symbolic link.
    Link {
        /// Where it leads.
        target: PathBuf,
    },
    /// A folder of this machine whose contents are known by name.
    Folder {
        /// Where it is.
        path: PathBuf,
        /// What exactly it is, such as `commit:…`.
        identity: String,
    },
}

impl Context {
    /// Adds a text file.
    pub fn text(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.file(path, text.into().into_bytes(), false);
    }

    /// Adds a file.
    pub fn file(&mut self, path: impl Into<String>, content: Vec<u8>, executable: bool) {
        self.items.insert(
            path.into(),
            Item::File {
                content,
                executable,
            },
        );
    }

    /// Adds an item.
    pub fn insert(&mut self, path: impl Into<String>, item: Item) {
        self.items.insert(path.into(), item);
    }

    /// The items below `folder` and what they hold, as SHA-256 in hexadecimal digits.
    pub fn digest(&self, folder: &str) -> String {
        let mut hash = Sha256::new();
        for (path, item) in &self.items {
            let inside = path
                .strip_prefix(folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder.is_empty());
            if !inside {
                continue;
            }
            let (kind, content) = match item {
                Item::File {
                    content,
                    executable: false,
                } => ("file", content.as_slice()),
                Item::File { content, .. } => ("program", content.as_slice()),
                Item::Link { target } => ("link", target.as_os_str().as_encoded_bytes()),
                Item::Folder { identity, .. } => ("folder", identity.as_bytes()),
            };
            // Lengths first: no two different contexts give the same bytes.
            hash.update(format!("{} {path} {kind} {} ", path.len(), content.len()));
            hash.update(content);
        }
        hexadecimal(&hash.finalize())
    }

    /// Names of all items, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.items.keys().map(String::as_str)
    }

    /// The text of a file, if it is one.
    pub fn text_of(&self, path: &str) -> Option<&str> {
        match self.items.get(path)? {
            Item::File { content, .. } => std::str::from_utf8(content).ok(),
            Item::Link { .. } | Item::Folder { .. } => None,
        }
    }

    /// Writes the context as a tar archive.
    ///
    /// # Errors
    ///
    /// A folder cannot be read, or the other side does not take it.
    pub fn write(&self, output: impl Write) -> io::Result<()> {
        let mut archive = tar::Builder::new(output);
        archive.mode(tar::HeaderMode::Deterministic);
        archive.follow_symlinks(false);
        for (path, item) in &self.items {
            match item {
                Item::File {
                    content,
                    executable,
                } => {
                    let mut header = header(tar::EntryType::Regular);
                    header.set_mode(if *executable { 0o755 } else { 0o644 });
                    header.set_size(content.len() as u64);
                    archive.append_data(&mut header, path, content.as_slice())?;
                }
                Item::Link { target } => {
                    let mut header = header(tar::EntryType::Symlink);
                    archive.append_link(&mut header, path, target)?;
                }
                Item::Folder { path: folder, .. } => {
                    append_folder(&mut archive, Path::new(path), folder)?;
                }
            }
        }
        archive.into_inner()?.flush()
    }
}

fn header(kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_mtime(FILE_TIME);
    header.set_size(0);
    header
}

fn append_folder(
    archive: &mut tar::Builder<impl Write>,
    name: &Path,
    folder: &Path,
) -> io::Result<()> {
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry?;
        let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let name = if relative.as_os_str().is_empty() {
            name.to_path_buf()
        } else {
            name.join(relative)
        };
        let kind = entry.file_type();
        if kind.is_dir() {
            archive.append_data(&mut header(tar::EntryType::Directory), &name, io::empty())?;
        } else if kind.is_symlink() {
            let target = fs_err::read_link(entry.path())?;
            archive.append_link(&mut header(tar::EntryType::Symlink), &name, target)?;
        } else if kind.is_file() {
            let mut file = fs_err::File::open(entry.path())?;
            let metadata = file.metadata()?;
            let mut header = header(tar::EntryType::Regular);
            header.set_size(metadata.len());
            header.set_mode(if is_executable(&metadata) {
                0o755
            } else {
                0o644
            });
            archive.append_data(&mut header, &name, &mut file)?;
        }
    }
    Ok(())
}

/// Whether the owner may run a file.
pub fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

/// Bytes as lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

/// SHA-256 of a text in hexadecimal digits.
pub fn sha256(text: &str) -> String {
    hexadecimal(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_sees_name_content_and_kind_of_what_is_below_its_folder_only() {
        let mut context = Context::default();
        context.text("modules/a/build.sh", "one");
        let before = context.digest("modules/a");
        context.text("modules/ab/build.sh", "other");
        context.text("x", "other");
        assert_eq!(context.digest("modules/a"), before);
        let mut changed = Vec::new();
        for change in [
            (
                "modules/a/build.sh",
                Item::File {
                    content: b"two".to_vec(),
                    executable: false,
                },
            ),
            (
                "modules/a/build.sh",
                Item::File {
                    content: b"one".to_vec(),
                    executable: true,
                },
            ),
            (
                "modules/a/build.sh",
                Item::Link {
                    target: "one".into(),
                },
            ),
            (
                "modules/a/more",
                Item::File {
                    content: Vec::new(),
                    executable: false,
                },
            ),
            (
                "modules/a/source",
                Item::Folder {
                    path: "/1".into(),
                    identity: "commit:1".into(),
                },
            ),
        ] {
            let mut context = context.clone();
            context.insert(change.0, change.1);
            changed.push(context.digest("modules/a"));
        }
        changed.push(before);
        let all = changed.len();
        changed.sort();
        changed.dedup();
        assert_eq!(changed.len(), all);
    }

    #[test]
    fn an_archive_holds_files_links_and_folders() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("sub")).unwrap();
        fs_err::write(folder.path().join("sub/file.c"), "int x;").unwrap();
        std::os::unix::fs::symlink("sub/file.c", folder.path().join("link.c")).unwrap();
        let mut context = Context::default();
        context.text("Containerfile", "FROM x");
        context.insert(
            "modules/a/source",
            Item::Folder {
                path: folder.path().to_path_buf(),
                identity: "content:1".into(),
            },
        );
        let mut bytes = Vec::new();
        context.write(&mut bytes).unwrap();
        let mut again = Vec::new();
        context.write(&mut again).unwrap();
        assert_eq!(bytes, again);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(
            names,
            [
                "Containerfile",
                "modules/a/source",
                "modules/a/source/link.c",
                "modules/a/source/sub",
                "modules/a/source/sub/file.c"
            ]
        );
    }
}
