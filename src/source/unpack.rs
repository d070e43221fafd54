//! Unpacks tar archives of strangers: everything an entry could do to this machine is checked before it is done.
//!
//! While an archive is read only folders and regular files are made, so no name can lead through a symbolic
//! link. Links are made at the end, each resolved through all the others without asking the file system, and
//! only if the whole way stays inside the tree. Devices, sockets, owners, times and special modes are never
//! taken over.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt;
use tokio_util::sync::CancellationToken;

use super::SourceError;

/// Bounds of what an archive may hold. Far above every real support module, far below what fills a disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Entries of all kinds.
    pub(crate) entries: u64,
    /// Bytes of all files together, and of the tar stream.
    pub(crate) bytes: u64,
    /// How many times larger the tar stream may be than the compressed file; text of real sources stays
    /// below 20.
    pub(crate) ratio: u64,
    /// Bytes that the ratio does not count, for small files.
    pub(crate) ratio_floor: u64,
    /// Folders inside each other.
    pub(crate) depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 250_000,
            bytes: 4 << 30,
            ratio: 150,
            ratio_floor: 16 << 20,
            depth: 64,
        }
    }
}

/// Memory that the xz decoder may take, in bytes; `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;
/// Symbolic links followed in one name before it is taken for a circle, as the kernel does.
const LINKS_IN_A_ROW: usize = 40;

/// What to unpack and where.
#[derive(Debug)]
pub(crate) struct Unpack<'a> {
    /// The compressed or plain tar file.
    pub(crate) file: &'a Path,
    /// How messages name it.
    pub(crate) name: &'a str,
    /// The tree, an existing folder that nobody else writes to; links may point anywhere inside it.
    pub(crate) tree: &'a Path,
    /// Folder in the tree below which the archive goes; empty for the tree itself.
    pub(crate) below: &'a Path,
    /// Leading folders left out of every name.
    pub(crate) strip: u8,
    /// Bounds.
    pub(crate) limits: Limits,
    /// Stops it.
    pub(crate) cancel: &'a CancellationToken,
}

impl Unpack<'_> {
    /// Unpacks everything or fails; after a failure the tree holds something unfinished to be thrown away.
    pub(crate) fn run(&self) -> Result<(), SourceError> {
        let mut state = State {
            job: self,
            entries: 0,
            bytes: 0,
            links: BTreeMap::new(),
        };
        let standing = self.standing_links()?;
        state.make_folders(self.below)?;
        let file = fs_err::File::open(self.file).map_err(|cause| self.unreadable(cause))?;
        let compressed = file
            .metadata()
            .map_err(|cause| self.unreadable(cause))?
            .len();
        let bound = compressed
            .saturating_mul(self.limits.ratio)
            .max(self.limits.ratio_floor)
            .min(self.limits.bytes);
        let reader = decompress(BufReader::new(file)).map_err(|cause| self.unreadable(cause))?;
        let mut archive = tar::Archive::new(Bounded {
            inner: reader,
            left: bound,
            bound,
        });
        let entries = archive.entries().map_err(|cause| self.unreadable(cause))?;
        for entry in entries {
            if self.cancel.is_cancelled() {
                return Err(SourceError::Cancelled);
            }
            let mut entry = entry.map_err(|cause| self.unreadable(cause))?;
            state.take(&mut entry)?;
        }
        if state.entries == 0 {
            return Err(self.unreadable(io::Error::other("it holds no files")));
        }
        state.make_links(standing)
    }

    /// Links that an archive unpacked before this one has left in the tree.
    fn standing_links(&self) -> Result<BTreeMap<PathBuf, PathBuf>, SourceError> {
        if self.below.as_os_str().is_empty() {
            return Ok(BTreeMap::new());
        }
        let entries = super::tree::entries(self.tree).map_err(|cause| writing(self.tree, cause))?;
        Ok(entries
            .into_iter()
            .filter_map(|entry| match entry.kind {
                super::tree::EntryKind::Link { target } => Some((entry.path, target)),
                _ => None,
            })
            .collect())
    }

    fn hostile(&self, entry: &Path, why: impl Into<String>) -> SourceError {
        SourceError::Hostile {
            archive: self.name.to_owned(),
            entry: printable(entry.as_os_str()),
            why: why.into(),
        }
    }

    fn unreadable(&self, cause: io::Error) -> SourceError {
        if cause
            .get_ref()
            .is_some_and(<dyn std::error::Error + Send + Sync>::is::<TooManyBytes>)
        {
            return SourceError::Hostile {
                archive: self.name.to_owned(),
                entry: "(whole archive)".to_owned(),
                why: cause.to_string(),
            };
        }
        SourceError::Unpack {
            archive: self.name.to_owned(),
            cause: cause.into(),
        }
    }
}

/// What has been unpacked so far.
struct State<'a> {
    job: &'a Unpack<'a>,
    entries: u64,
    bytes: u64,
    /// Links to be made, by their path in the tree.
    links: BTreeMap<PathBuf, PathBuf>,
}

impl State<'_> {
    fn take<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<(), SourceError> {
        let raw = path_of(&entry.path_bytes());
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        self.entries += 1;
        if self.entries > self.job.limits.entries {
            let why = format!(
                "it is entry {} of the archive, which is too many",
                self.entries
            );
            return Err(self.job.hostile(&raw, why));
        }
        let Some(path) = self.place(&raw)? else {
            return self.nothing_left(&raw, kind);
        };
        match kind {
            tar::EntryType::Directory => self.make_folders(&path),
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
                self.make_file(&raw, &path, executable, entry)
            }
            tar::EntryType::Symlink => {
                let target = link_target(entry).ok_or_else(|| {
                    self.job
                        .hostile(&raw, "it is a symbolic link without a target")
                })?;
                self.claim_for_link(&raw, &path)?;
                self.links.insert(path, target);
                Ok(())
            }
            tar::EntryType::Link => {
                let target = link_target(entry)
                    .ok_or_else(|| self.job.hostile(&raw, "it is a hard link without a target"))?;
                self.make_hard_link(&raw, &path, &target)
            }
            other => {
                let why = format!("it is {}, which no source needs", name_of(other));
                Err(self.job.hostile(&raw, why))
            }
        }
    }

    /// The leading folder itself is meant to go; a file beside it would be lost without a word.
    fn nothing_left(&self, raw: &Path, kind: tar::EntryType) -> Result<(), SourceError> {
        if kind.is_dir() {
            return Ok(());
        }
        let cause = format!(
            "its file `{}` lies in no folder that could be left out: `strip: 0` keeps everything",
            printable(raw.as_os_str())
        );
        Err(self.job.unreadable(io::Error::other(cause)))
    }

    /// Where an entry goes in the tree; `None` when nothing of its name is left.
    fn place(&self, raw: &Path) -> Result<Option<PathBuf>, SourceError> {
        let inner = match sanitise(raw, self.job.strip, self.job.limits.depth) {
            Ok(inner) => inner,
            Err(why) => return Err(self.job.hostile(raw, why)),
        };
        Ok(inner.map(|inner| self.job.below.join(inner)))
    }

    /// Makes a folder and those above it; a folder that is there already is fine.
    fn make_folders(&self, path: &Path) -> Result<(), SourceError> {
        let mut so_far = self.job.tree.to_path_buf();
        let mut inner = PathBuf::new();
        for component in path.components() {
            so_far.push(component);
            inner.push(component);
            if self.links.contains_key(&inner) {
                let why = format!(
                    "it lies below the symbolic link `{}`",
                    printable(inner.as_os_str())
                );
                return Err(self.job.hostile(path, why));
            }
            match fs_err::create_dir(&so_far) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !fs_err::symlink_metadata(&so_far).is_ok_and(|found| found.is_dir()) {
                        let why = "a file of the same name stands in the archive before it";
                        return Err(self.job.hostile(path, why));
                    }
                }
                Err(error) => return Err(writing(&so_far, error)),
            }
        }
        Ok(())
    }

    fn make_file(
        &mut self,
        raw: &Path,
        path: &Path,
        executable: bool,
        contents: &mut impl Read,
    ) -> Result<(), SourceError> {
        if let Some(parent) = path.parent() {
            self.make_folders(parent)?;
        }
        let place = self.job.tree.join(path);
        self.make_room_for_file(raw, path, &place)?;
        let mut file = fs_err::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&place)
            .map_err(|cause| writing(&place, cause))?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = contents
                .read(&mut buffer)
                .map_err(|cause| self.job.unreadable(cause))?;
            if count == 0 {
                break;
            }
            self.bytes += count as u64;
            if self.bytes > self.job.limits.bytes {
                let why = format!("the files have more than {} bytes", self.job.limits.bytes);
                return Err(self.job.hostile(raw, why));
            }
            file.write_all(&buffer[..count])
                .map_err(|cause| writing(&place, cause))?;
        }
        set_mode(&place, executable)
    }

    /// An archive may hold the same file twice, the later one counts; anything else in the way is refused.
    fn make_room_for_file(
        &mut self,
        raw: &Path,
        path: &Path,
        place: &Path,
    ) -> Result<(), SourceError> {
        self.links.remove(path);
        match fs_err::symlink_metadata(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(writing(place, error)),
            Ok(found) if found.is_file() => {
                fs_err::remove_file(place).map_err(|cause| writing(place, cause))
            }
            Ok(_) => Err(self.job.hostile(
                raw,
                "a folder of the same name stands in the archive before it",
            )),
        }
    }

    fn claim_for_link(&mut self, raw: &Path, path: &Path) -> Result<(), SourceError> {
        if let Some(parent) = path.parent() {
            self.make_folders(parent)?;
        }
        let place = self.job.tree.join(path);
        self.make_room_for_file(raw, path, &place)
    }

    /// A hard link becomes a copy of the file that stands in the archive before it.
    fn make_hard_link(
        &mut self,
        raw: &Path,
        path: &Path,
        target: &Path,
    ) -> Result<(), SourceError> {
        let missing = || {
            let why = format!(
                "it is a hard link to `{}`, which is not a file of the archive before it",
                printable(target.as_os_str())
            );
            self.job.hostile(raw, why)
        };
        let inner = match sanitise(target, self.job.strip, self.job.limits.depth) {
            Ok(Some(inner)) => self.job.below.join(inner),
            Ok(None) => return Err(missing()),
            Err(why) => {
                let why = format!(
                    "it is a hard link to `{}`: {why}",
                    printable(target.as_os_str())
                );
                return Err(self.job.hostile(raw, why));
            }
        };
        if let Some(link_target) = self.links.get(&inner).cloned() {
            // A hard link to a symbolic link is a symbolic link of its own.
            self.claim_for_link(raw, path)?;
            self.links.insert(path.to_path_buf(), link_target);
            return Ok(());
        }
        let from = self.job.tree.join(&inner);
        let found = fs_err::symlink_metadata(&from).map_err(|_none| missing())?;
        if !found.is_file() {
            return Err(missing());
        }
        if inner == path {
            return Ok(());
        }
        let executable = found.permissions().mode() & 0o111 != 0;
        let mut contents = fs_err::File::open(&from).map_err(|cause| writing(&from, cause))?;
        self.make_file(raw, path, executable, &mut contents)
    }

    /// Makes the links, each checked in the company of all others and of those that stand in the tree.
    fn make_links(&self, mut all: BTreeMap<PathBuf, PathBuf>) -> Result<(), SourceError> {
        all.extend(self.links.clone());
        for (path, target) in &self.links {
            if let Err(why) = resolve(path, target, &all) {
                let why = format!(
                    "it is a symbolic link to `{}`, {why}",
                    printable(target.as_os_str())
                );
                return Err(self.job.hostile(path, why));
            }
        }
        for (path, target) in &self.links {
            let place = self.job.tree.join(path);
            fs_err::os::unix::fs::symlink(target, &place)
                .map_err(|cause| writing(&place, cause))?;
        }
        Ok(())
    }
}

/// The name of an entry below the tree, without the leading `strip` folders; `None` when nothing is left.
///
/// # Errors
///
/// Why the name is refused: absolute, leading upwards, too deep, too long.
fn sanitise(raw: &Path, strip: u8, depth: usize) -> Result<Option<PathBuf>, String> {
    let mut parts: Vec<&OsStr> = Vec::new();
    for component in raw.components() {
        match component {
            Component::Normal(part) => {
                if part.len() > 255 {
                    return Err("a part of its name has more than 255 bytes".to_owned());
                }
                if part.as_bytes().contains(&0) {
                    return Err("its name holds a NUL byte".to_owned());
                }
                parts.push(part);
            }
            Component::CurDir => {}
            Component::ParentDir => {
                return Err("its name leads out of the archive with `..`".to_owned());
            }
            Component::RootDir | Component::Prefix(_) => {
                return Err("its name is absolute".to_owned());
            }
        }
    }
    if parts.len() > depth {
        return Err(format!("it lies more than {depth} folders deep"));
    }
    let kept: PathBuf = parts.iter().skip(usize::from(strip)).collect();
    Ok((!kept.as_os_str().is_empty()).then_some(kept))
}

/// Follows a symbolic link at `path` (below the tree) to the end through `links`, without the file system.
///
/// # Errors
///
/// Why it is refused: absolute, leaving the tree on the way, or a circle.
fn resolve(
    path: &Path,
    target: &Path,
    links: &BTreeMap<PathBuf, PathBuf>,
) -> Result<(), &'static str> {
    const OUTSIDE: &str = "which leaves the archive";
    let mut current: PathBuf = path.parent().map(Path::to_path_buf).unwrap_or_default();
    // Parts still to go, the next one last.
    let mut left: Vec<OsString> = Vec::new();
    let push = |left: &mut Vec<OsString>, target: &Path| -> Result<(), &'static str> {
        if target.as_os_str().is_empty() || target.as_os_str().len() > 4096 {
            return Err("which is no name");
        }
        if target.is_absolute() {
            return Err("an absolute name");
        }
        left.extend(
            target
                .components()
                .rev()
                .map(|component| component.as_os_str().to_owned()),
        );
        Ok(())
    };
    push(&mut left, target)?;
    let mut followed = 0;
    while let Some(part) = left.pop() {
        if part == "." {
            continue;
        }
        if part == ".." {
            if !current.pop() {
                return Err(OUTSIDE);
            }
            continue;
        }
        let next = current.join(&part);
        let Some(target) = links.get(&next) else {
            current = next;
            continue;
        };
        followed += 1;
        if followed > LINKS_IN_A_ROW {
            return Err("which leads in a circle");
        }
        push(&mut left, target)?;
    }
    Ok(())
}

/// Sees from the first bytes what a file is compressed with.
fn decompress(mut reader: BufReader<fs_err::File>) -> io::Result<Box<dyn Read>> {
    let start = reader.fill_buf()?;
    if start.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(flate2::bufread::MultiGzDecoder::new(reader)));
    }
    if start.starts_with(b"BZh") {
        return Ok(Box::new(bzip2::bufread::MultiBzDecoder::new(reader)));
    }
    if start.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        let stream =
            liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)
                .map_err(io::Error::other)?;
        return Ok(Box::new(liblzma::bufread::XzDecoder::new_stream(
            reader, stream,
        )));
    }
    let other = if start.starts_with(b"PK\x03\x04") {
        "it is a zip archive; only tar archives are read"
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        "it is compressed with zstd; gzip, bzip2 and xz are read"
    } else if start.first() == Some(&b'<') {
        "it is a web page, not an archive"
    } else if start.get(257..262) == Some(b"ustar") {
        return Ok(Box::new(reader));
    } else {
        "it is not a tar archive, nor one compressed with gzip, bzip2 or xz"
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, other))
}

/// A stream that expands beyond its bound.
#[derive(Debug, thiserror::Error)]
#[error("it expands to more than {0} bytes, far more than an archive of its size holds")]
struct TooManyBytes(u64);

/// Ends a stream that expands beyond its bound with an error.
struct Bounded<R> {
    inner: R,
    left: u64,
    bound: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other(TooManyBytes(self.bound)))?;
        Ok(count)
    }
}

fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

fn link_target<R: Read>(entry: &tar::Entry<'_, R>) -> Option<PathBuf> {
    entry.link_name_bytes().map(|bytes| path_of(&bytes))
}

fn name_of(kind: tar::EntryType) -> &'static str {
    match kind {
        tar::EntryType::Char | tar::EntryType::Block => "a device file",
        tar::EntryType::Fifo => "a named pipe",
        tar::EntryType::GNUSparse => "a sparse file",
        _ => "of an unknown kind",
    }
}

/// Files of the cache may be read and executed, not written.
pub(crate) fn set_mode(place: &Path, executable: bool) -> Result<(), SourceError> {
    let mode = if executable { 0o555 } else { 0o444 };
    fs_err::set_permissions(place, std::fs::Permissions::from_mode(mode))
        .map_err(|cause| writing(place, cause))
}

fn writing(path: &Path, cause: io::Error) -> SourceError {
    super::error::writing(path)(cause)
}

/// A name of a stranger that is fit for a terminal.
fn printable(name: &OsStr) -> String {
    let text: String = name.to_string_lossy().chars().take(200).collect();
    text.escape_debug().collect()
}

#[cfg(test)]
mod tests;
