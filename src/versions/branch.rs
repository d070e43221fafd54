//! The newest commit of a branch of a git repository on a server, and its files, read without a working copy.

use super::error::VersionsError;
use super::git::{Id, Location, Mode};
use super::reach::{Parts, Reader};
use crate::source::FetchContext;
use crate::source::definition::{Branch, Commit, GitUrl};
pub(crate) use crate::source::git::Movement;
use crate::source::git::{Objects, branch_tip};

/// A commit that a branch is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its name.
    pub commit: Commit,
    /// The first line of what its author wrote.
    pub subject: String,
    /// Its author's name.
    pub author: String,
    /// Seconds since 1970 of the committer.
    pub seconds: i64,
}

/// The files of a commit. Others wait for the repository while it lives.
pub(crate) struct Files {
    reader: Reader,
    tree: Id,
    _objects: Objects,
}

/// Why a file of a commit cannot be had, in words.
pub(crate) type Missing = String;

/// Fetches the newest commit of a branch: which it is, its files, and how it follows `before`.
///
/// # Errors
///
/// The server cannot be reached or refuses, it has no such branch, git fails.
pub(crate) async fn head(
    url: &GitUrl,
    branch: &Branch,
    before: Option<&Commit>,
    context: &FetchContext,
) -> Result<(Head, Movement, Files), VersionsError> {
    let tip = branch_tip(url, branch, before, context).await?;
    let location = Location::of_cache(tip.objects.folder.clone(), url.as_str(), true);
    let mut reader = Reader::new(&location)?;
    let no_commit = || VersionsError::Git {
        what: format!("read commit {}", tip.commit),
        output: "it is no commit".to_owned(),
    };
    let id = Id::from_hexadecimal(tip.commit.as_str()).ok_or_else(no_commit)?;
    let info = reader.objects.commit(id)?.ok_or_else(no_commit)?;
    let words = location.ask(
        "read the newest commit",
        &[
            "log",
            "-1",
            "--no-show-signature",
            "--format=%an%x00%s",
            "--end-of-options",
            tip.commit.as_str(),
        ],
    )?;
    let words = String::from_utf8_lossy(&words);
    let (author, subject) = words.trim_end().split_once('\0').unwrap_or_default();
    let head = Head {
        commit: tip.commit,
        subject: subject.to_owned(),
        author: author.to_owned(),
        seconds: info.seconds,
    };
    let files = Files {
        reader,
        tree: info.tree,
        _objects: tip.objects,
    };
    Ok((head, tip.movement, files))
}

impl Files {
    /// The bytes of a file of at most `largest` bytes. Symbolic links are followed inside of the repository.
    ///
    /// # Errors
    ///
    /// In words: there is none, it is too large, a link leaves the repository.
    pub(crate) fn read(&mut self, path: &str, largest: u64) -> Result<Vec<u8>, Missing> {
        let failed = |error: VersionsError| error.to_string();
        let found = self
            .reader
            .resolved(self.tree, path, &mut Parts::new())
            .map_err(failed)?;
        match found {
            None => Err("a symbolic link leads out of the repository, or in circles".to_owned()),
            Some((_, None)) => Err("there is no such file".to_owned()),
            Some((_, Some((Mode::File | Mode::Executable, id)))) => {
                let content = self.reader.objects.file(id, largest).map_err(failed)?;
                content.ok_or_else(|| format!("it has more than {largest} bytes"))
            }
            Some(_) => Err("it is no file".to_owned()),
        }
    }
}
