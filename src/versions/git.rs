//! A git repository as a source of versions: where its objects are, and how they are read.
//!
//! One `git cat-file --batch` answers for any number of objects; what it reads is bounded, because the objects of a
//! repository are somebody else's.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;

use super::error::VersionsError;
use crate::source::git::plain;

/// Questions before the first answer: 4 kB at most, which any pipe holds.
const AHEAD: usize = 60;
/// Largest folder, tag or commit that is read, in bytes.
const LARGEST_OBJECT: u64 = 32 << 20;
/// Most bytes of git's complaints that are kept.
const KEPT_OUTPUT: usize = 4096;

/// Where the objects of a services repository are.
#[derive(Debug, Clone)]
pub struct Location {
    /// The git folder.
    git: PathBuf,
    /// Folder of the services repository below the root of the git repository, without slashes at its ends.
    pub(super) prefix: String,
    /// Folder or URL, for people; without passwords.
    pub(super) shown: String,
    /// Name of a services repository that is one chart.
    pub(super) name: String,
    /// History is left out.
    pub(super) is_shallow: bool,
}

impl Location {
    /// The git repository around a folder.
    ///
    /// # Errors
    ///
    /// No such folder, none around it, or one that git may not read.
    pub fn of_folder(folder: &Path) -> Result<Self, VersionsError> {
        if !folder.is_dir() {
            return Err(VersionsError::Missing {
                folder: folder.to_path_buf(),
            });
        }
        let mut command = plain();
        command.arg("-C").arg(folder).args([
            "rev-parse",
            "--is-shallow-repository",
            "--absolute-git-dir",
            "--show-prefix",
        ]);
        let output = run(command)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let folder = folder.to_path_buf();
            if said.contains("dubious ownership") {
                return Err(VersionsError::NotTrusted { folder });
            }
            return Err(VersionsError::NotGit { folder });
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = text.lines();
        let is_shallow = lines.next() == Some("true");
        let git = PathBuf::from(lines.next().unwrap_or_default());
        let prefix = lines
            .next()
            .unwrap_or_default()
            .trim_matches('/')
            .to_owned();
        let real = fs_err::canonicalize(folder)?;
        Ok(Self {
            git,
            prefix,
            shown: folder.display().to_string(),
            name: last_name(&real.display().to_string()),
            is_shallow,
        })
    }

    /// Whether history is left out, and so may be tags.
    pub fn is_shallow(&self) -> bool {
        self.is_shallow
    }

    /// Whether both are folders of one git repository.
    pub fn is_same_repository(&self, other: &Self) -> bool {
        self.git == other.git
    }

    /// Files below a folder that differ from the commit or are not part of it, as git names them.
    ///
    /// # Errors
    ///
    /// Git fails.
    pub fn uncommitted(&self, folder: &Path) -> Result<Vec<String>, VersionsError> {
        let mut command = plain();
        command.arg("-C").arg(folder).args([
            "status",
            "--porcelain",
            "--untracked-files=all",
            "--ignore-submodules",
            "--",
            ".",
        ]);
        let output = run(command)?;
        if !output.status.success() {
            return Err(VersionsError::Git {
                what: format!("compare `{}` with its commit", folder.display()),
                output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text
            .lines()
            .filter_map(|line| line.get(3..))
            .map(str::to_owned)
            .collect())
    }

    /// A bare repository of the cache, and the URL that it was fetched from.
    pub(super) fn of_cache(git: PathBuf, url: &str, is_shallow: bool) -> Self {
        Self {
            git,
            prefix: String::new(),
            shown: crate::source::mirror::without_credentials(url),
            name: last_name(url.trim_end_matches('/').trim_end_matches(".git")),
            is_shallow,
        }
    }

    /// Names and objects of all tags, in the order of the names.
    pub(super) fn references(&self) -> Result<Vec<(String, Id)>, VersionsError> {
        let text = self.ask(
            "list the tags",
            &[
                "for-each-ref",
                "--format=%(objectname) %(refname:lstrip=2)",
                "refs/tags",
            ],
        )?;
        Ok(String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| {
                let (id, name) = line.split_once(' ')?;
                Some((name.to_owned(), Id::from_hexadecimal(id)?))
            })
            .collect())
    }

    /// The commits that tags reach, each after all that came out of it.
    pub(super) fn newest_first(&self) -> Result<Vec<Id>, VersionsError> {
        let text = self.ask("walk the history", &["rev-list", "--date-order", "--tags"])?;
        Ok(String::from_utf8_lossy(&text)
            .lines()
            .filter_map(Id::from_hexadecimal)
            .collect())
    }

    /// Begins to read objects.
    pub(super) fn objects(&self) -> Result<Objects, VersionsError> {
        let mut command = self.command(&["cat-file", "--batch"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(not_started)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(VersionsError::Git {
                what: "read objects".to_owned(),
                output: "it has no standard streams".to_owned(),
            });
        };
        Ok(Objects {
            child,
            input: Some(BufWriter::new(input)),
            output: BufReader::with_capacity(64 * 1024, output),
            trees: HashMap::new(),
        })
    }

    /// Runs git on the repository and gives what it prints.
    pub(super) fn ask(&self, what: &str, arguments: &[&str]) -> Result<Vec<u8>, VersionsError> {
        let output = run(self.command(arguments))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let kept = output.stderr.get(..KEPT_OUTPUT).unwrap_or(&output.stderr);
        Err(VersionsError::Git {
            what: format!("{what} of `{}`", self.shown),
            output: String::from_utf8_lossy(kept).trim().replace('\n', " "),
        })
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = plain();
        command.env("GIT_DIR", &self.git).args(arguments);
        command
    }
}

fn run(mut command: std::process::Command) -> Result<std::process::Output, VersionsError> {
    command.output().map_err(not_started)
}

fn not_started(error: std::io::Error) -> VersionsError {
    match error.kind() {
        std::io::ErrorKind::NotFound => VersionsError::GitMissing,
        _ => VersionsError::Io(error),
    }
}

/// What stands after the last `/` or `:`.
fn last_name(path: &str) -> String {
    path.rsplit(['/', ':'])
        .find(|name| !name.is_empty())
        .filter(|name| !matches!(*name, "." | "..") && !name.contains('\0'))
        .unwrap_or("repository")
        .to_owned()
}

/// The name of an object: SHA-1, or SHA-256 in repositories that use it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id {
    bytes: [u8; 32],
    length: u8,
}

impl Id {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut id = Self {
            bytes: [0; 32],
            length: u8::try_from(bytes.len()).ok()?,
        };
        id.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(id)
    }

    /// Reads the digits that git prints.
    pub(super) fn from_hexadecimal(text: &str) -> Option<Self> {
        if !matches!(text.len(), 40 | 64) || !text.is_ascii() {
            return None;
        }
        let bytes: Option<Vec<u8>> = (0..text.len())
            .step_by(2)
            .map(|start| u8::from_str_radix(text.get(start..start + 2)?, 16).ok())
            .collect();
        Self::from_bytes(&bytes?)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self
            .bytes
            .get(..usize::from(self.length))
            .unwrap_or_default();
        formatter.write_str(&crate::source::hexadecimal(bytes))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Mode {
    File,
    Executable,
    Link,
    Folder,
    /// A commit of another repository, whose files are not here.
    Submodule,
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) id: Id,
}

/// A commit as far as versions need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CommitInfo {
    pub(super) id: Id,
    pub(super) tree: Id,
    /// Seconds since 1970 of the committer.
    pub(super) seconds: i64,
}

/// The kinds of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ObjectKind {
    Commit,
    Tree,
    Blob,
    Tag,
}

/// Kind and content of an object.
type Object = (ObjectKind, Vec<u8>);

/// Reads objects, in the order of the questions.
pub(super) struct Objects {
    child: Child,
    input: Option<BufWriter<ChildStdin>>,
    output: BufReader<ChildStdout>,
    trees: HashMap<Id, Arc<Vec<Entry>>>,
}

impl Objects {
    /// Reads folders that will be looked into, many questions before the first answer: each alone costs a change between
    /// two processes. What is no folder is passed over; whoever looks into it meets the same and tells it.
    pub(super) fn trees_ahead(&mut self, ids: &[Id]) -> Result<(), VersionsError> {
        let mut seen = HashSet::new();
        let new: Vec<Id> = ids
            .iter()
            .copied()
            .filter(|id| !self.trees.contains_key(id) && seen.insert(*id))
            .collect();
        for ids in new.chunks(AHEAD) {
            self.ask(ids)?;
            for id in ids {
                let Some((ObjectKind::Tree, content)) = self.answer(*id, LARGEST_OBJECT)? else {
                    continue;
                };
                if let Some(entries) = parse_tree(&content, usize::from(id.length)) {
                    self.trees.insert(*id, Arc::new(entries));
                }
            }
        }
        Ok(())
    }

    /// The entries of a folder that was read already.
    pub(super) fn known_tree(&self, id: Id) -> Option<&[Entry]> {
        self.trees.get(&id).map(|entries| entries.as_slice())
    }

    /// The commits that objects are or lead to, as [`Self::commit`] finds them, in the same order.
    pub(super) fn commits(&mut self, ids: &[Id]) -> Result<Vec<Option<CommitInfo>>, VersionsError> {
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(AHEAD) {
            self.ask(ids)?;
            let answers: Result<Vec<_>, _> = ids
                .iter()
                .map(|id| self.answer(*id, LARGEST_OBJECT))
                .collect();
            for (id, answer) in ids.iter().zip(answers?) {
                found.push(self.commit_of(*id, answer)?);
            }
        }
        Ok(found)
    }

    /// The entries of a folder; remembered.
    pub(super) fn tree(&mut self, id: Id) -> Result<Arc<Vec<Entry>>, VersionsError> {
        if let Some(entries) = self.trees.get(&id) {
            return Ok(Arc::clone(entries));
        }
        let entries = match self.read(id, LARGEST_OBJECT)? {
            Some((ObjectKind::Tree, content)) => parse_tree(&content, usize::from(id.length)),
            _ => return Err(damaged(id)),
        };
        let entries = Arc::new(entries.ok_or_else(|| damaged(id))?);
        self.trees.insert(id, Arc::clone(&entries));
        Ok(entries)
    }

    /// The contents of a file of at most `largest` bytes; `None` when it is larger or not there.
    pub(super) fn file(&mut self, id: Id, largest: u64) -> Result<Option<Vec<u8>>, VersionsError> {
        Ok(match self.read(id, largest)? {
            Some((ObjectKind::Blob, content)) => Some(content),
            _ => None,
        })
    }

    /// The commit that an object is or, as a tag of any depth, leads to.
    pub(super) fn commit(&mut self, id: Id) -> Result<Option<CommitInfo>, VersionsError> {
        let answer = self.read(id, LARGEST_OBJECT)?;
        self.commit_of(id, answer)
    }

    fn commit_of(
        &mut self,
        mut id: Id,
        mut answer: Option<Object>,
    ) -> Result<Option<CommitInfo>, VersionsError> {
        const DEEPEST: usize = 8;
        for _ in 0..DEEPEST {
            let Some((kind, content)) = answer else {
                return Err(damaged(id));
            };
            let text = String::from_utf8_lossy(&content);
            let field = |name: &str| {
                text.lines()
                    .take_while(|line| !line.is_empty())
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            };
            match kind {
                ObjectKind::Tag => {
                    let object = field("object").and_then(Id::from_hexadecimal);
                    id = object.ok_or_else(|| damaged(id))?;
                    answer = self.read(id, LARGEST_OBJECT)?;
                }
                ObjectKind::Commit => {
                    let tree = field("tree").and_then(Id::from_hexadecimal);
                    let seconds = field("committer").and_then(|line| {
                        let (_who, time) = line.rsplit_once('>')?;
                        time.split_whitespace().next()?.parse().ok()
                    });
                    return Ok(Some(CommitInfo {
                        id,
                        tree: tree.ok_or_else(|| damaged(id))?,
                        seconds: seconds.unwrap_or_default(),
                    }));
                }
                ObjectKind::Tree | ObjectKind::Blob => return Ok(None),
            }
        }
        Ok(None)
    }

    fn read(&mut self, id: Id, largest: u64) -> Result<Option<Object>, VersionsError> {
        self.ask(&[id])?;
        self.answer(id, largest)
    }

    /// Asks for objects, at most [`AHEAD`] of them: so many questions fit into a pipe while nobody reads it.
    fn ask(&mut self, ids: &[Id]) -> Result<(), VersionsError> {
        let (Some(input), Some(first)) = (self.input.as_mut(), ids.first()) else {
            return Ok(());
        };
        let asked = ids
            .iter()
            .try_for_each(|id| writeln!(input, "{id}"))
            .and_then(|()| input.flush());
        asked.map_err(|error| ended(*first, &error))
    }

    /// The answer to the question that is next.
    fn answer(&mut self, id: Id, largest: u64) -> Result<Option<Object>, VersionsError> {
        let mut header = String::new();
        // an answer is some sixty characters long
        let mut line = (&mut self.output).take(256);
        if let Err(error) = line.read_line(&mut header) {
            return Err(ended(id, &error));
        }
        let mut fields = header.split_whitespace().skip(1);
        let kind = match fields.next() {
            Some("commit") => ObjectKind::Commit,
            Some("tree") => ObjectKind::Tree,
            Some("blob") => ObjectKind::Blob,
            Some("tag") => ObjectKind::Tag,
            Some("missing") => return Ok(None),
            _ => return Err(ended(id, &std::io::ErrorKind::UnexpectedEof.into())),
        };
        let size: u64 = fields
            .next()
            .and_then(|size| size.parse().ok())
            .ok_or_else(|| damaged(id))?;
        if size > largest {
            let mut skipped = (&mut self.output).take(size + 1);
            std::io::copy(&mut skipped, &mut std::io::sink()).map_err(|error| ended(id, &error))?;
            return Ok(None);
        }
        let mut content = Vec::new();
        let mut rest = (&mut self.output).take(size + 1);
        if let Err(error) = rest.read_to_end(&mut content) {
            return Err(ended(id, &error));
        }
        if content.pop() != Some(b'\n') || u64::try_from(content.len()).ok() != Some(size) {
            return Err(damaged(id));
        }
        Ok(Some((kind, content)))
    }
}

/// What it means that git stopped in the middle.
fn ended(id: Id, error: &std::io::Error) -> VersionsError {
    VersionsError::Git {
        what: format!("read object {id}"),
        output: error.to_string(),
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // git ends when its input does
        drop(self.input.take());
        let _ended = self.child.wait();
    }
}

fn damaged(id: Id) -> VersionsError {
    VersionsError::Git {
        what: format!("read object {id}"),
        output: "the repository does not have it, or it is damaged: `git fsck` tells more"
            .to_owned(),
    }
}

/// `MODE NAME\0ID`, again and again. `None` when it is something else.
fn parse_tree(content: &[u8], id_length: usize) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == 0)?;
        let (head, after) = rest.split_at(end);
        let space = head.iter().position(|byte| *byte == b' ')?;
        let (mode, name) = head.split_at(space);
        let id = Id::from_bytes(after.get(1..=id_length)?)?;
        rest = after.get(1 + id_length..)?;
        let mode = match mode {
            b"40000" => Mode::Folder,
            b"120000" => Mode::Link,
            b"160000" => Mode::Submodule,
            b"100755" => Mode::Executable,
            _ => Mode::File,
        };
        entries.push(Entry {
            // a name that is no text cannot be meant by a chart
            name: String::from_utf8_lossy(name.get(1..)?).into_owned(),
            mode,
            id,
        });
    }
    Some(entries)
}
