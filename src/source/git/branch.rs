//! The newest commit of a branch, without its history, and how the branch came there.
//!
//! Only when somebody asks whether a branch went forward or was rewritten is history read, in growing steps, until the
//! commit of before is found or there is no more.

use super::program::{Git, is_missing_tag};
use super::{Objects, Repository, lock_of};
use crate::source::cache::{Cache, digest};
use crate::source::definition::{Branch, Commit, GitUrl};
use crate::source::{FetchContext, SourceError, mirror};

/// How much history is read at a time, in commits.
const STEPS: [&str; 5] = [
    "--deepen=50",
    "--deepen=100",
    "--deepen=200",
    "--deepen=400",
    "--deepen=800",
];

/// How a branch came from one commit to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Movement {
    /// Nothing is known of before.
    First,
    /// It has not moved.
    Same,
    /// Commits were added.
    Forward,
    /// The commit of before is no longer part of it: somebody has pushed by force.
    Rewritten,
    /// The commit of before is not among those that were read.
    Unknown,
}

/// Where a branch is.
pub(crate) struct Tip {
    /// What was fetched; other commands wait while it lives.
    pub(crate) objects: Objects,
    /// The commit.
    pub(crate) commit: Commit,
    /// How it came there.
    pub(crate) movement: Movement,
}

/// Fetches the newest commit of a branch. `before` is the one that was seen last; without it, the one that is in the
/// cache.
///
/// # Errors
///
/// The server cannot be reached or refuses; it has no such branch; offline, nothing was fetched before.
pub(crate) async fn branch_tip(
    url: &GitUrl,
    branch: &Branch,
    before: Option<&Commit>,
    context: &FetchContext,
) -> Result<Tip, SourceError> {
    let cache = Cache::new(context);
    let work = cache.work()?;
    let address = mirror::rewrite(url.as_str(), &context.mirrors);
    let name = format!("branches of {url}");
    let lock = cache.lock(&lock_of(&name), context).await?;
    let repository = Repository {
        git: Git::new(context, cache.repository(&name)?, work.path())?,
        address: &address,
    };
    repository.prepare().await?;
    let reference = format!("refs/ioc/branches/{}", digest(branch.as_str()));
    let known = repository.commit_of(&reference).await?;
    let before = before.cloned().or_else(|| known.clone());
    let commit = if context.offline && !address.is_local() {
        known.ok_or_else(|| SourceError::Offline {
            wanted: format!("branch {branch} of {address}"),
        })?
    } else {
        context.step(&format!("fetching {branch} of {address}"));
        repository.fetch_branch(branch, &reference).await?;
        let fetched = repository.commit_of(&reference).await?;
        fetched.ok_or_else(|| repository.no_such_branch(branch, None))?
    };
    let movement = match &before {
        None => Movement::First,
        Some(before) if *before == commit => Movement::Same,
        Some(before) => {
            repository
                .movement(before, &commit, branch, &reference)
                .await
        }
    };
    Ok(Tip {
        objects: Objects::new(repository.git.folder().to_path_buf(), lock),
        commit,
        movement,
    })
}

impl Repository<'_> {
    async fn fetch_branch(&self, branch: &Branch, reference: &str) -> Result<(), SourceError> {
        let what = format!("fetch branch `{branch}` of `{}`", self.address);
        let specification = format!("+refs/heads/{branch}:{reference}");
        match self.fetch_objects(&what, &specification).await {
            Err(SourceError::Git { output, .. }) if is_missing_tag(&output.to_string()) => {
                Err(self.nearest_branch(branch).await?)
            }
            other => other,
        }
    }

    /// The error for a branch that is not there, with what was probably meant.
    async fn nearest_branch(&self, branch: &Branch) -> Result<SourceError, SourceError> {
        let listing = self
            .git
            .run(
                &format!("list the branches of `{}`", self.address),
                Some(self.address),
                &["ls-remote", "--heads", "--", self.address.url.as_str()],
            )
            .await?;
        let listing = String::from_utf8_lossy(&listing);
        let names = listing
            .lines()
            .filter_map(|line| line.split_once("\trefs/heads/"))
            .map(|(_, name)| name);
        let near = crate::diagnostic::nearest(branch.as_str(), names).map(str::to_owned);
        Ok(self.no_such_branch(branch, near))
    }

    fn no_such_branch(&self, branch: &Branch, near: Option<String>) -> SourceError {
        SourceError::NoSuchBranch {
            url: self.address.to_string(),
            branch: branch.to_string(),
            near,
        }
    }

    /// Whether `after` came out of `before`. What cannot be found out is no reason to fail.
    async fn movement(
        &self,
        before: &Commit,
        after: &Commit,
        branch: &Branch,
        reference: &str,
    ) -> Movement {
        let mut steps = STEPS.into_iter();
        loop {
            if self.is_ancestor(before, after).await {
                return Movement::Forward;
            }
            if self.is_complete(after).await {
                return Movement::Rewritten;
            }
            let Some(step) = steps.next() else {
                return Movement::Unknown;
            };
            let what = format!("fetch the history of `{branch}` of `{}`", self.address);
            let specification = format!("+refs/heads/{branch}:{reference}");
            let arguments = [
                "fetch",
                step,
                "--force",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
                "--no-auto-maintenance",
                "--",
                self.address.url.as_str(),
                specification.as_str(),
            ];
            let deeper = self.git.run(&what, Some(self.address), &arguments).await;
            if let Err(error) = deeper {
                tracing::debug!("{error}");
                return Movement::Unknown;
            }
        }
    }

    async fn is_ancestor(&self, before: &Commit, after: &Commit) -> bool {
        let arguments = [
            "merge-base",
            "--is-ancestor",
            before.as_str(),
            after.as_str(),
        ];
        self.git
            .run("compare two commits", None, &arguments)
            .await
            .is_ok()
    }

    /// Whether all commits that a commit came out of are here: none of the first ones is where history was cut.
    async fn is_complete(&self, commit: &Commit) -> bool {
        let arguments = ["rev-list", "--max-parents=0", commit.as_str()];
        let Ok(first) = self.git.run("walk the history", None, &arguments).await else {
            return false;
        };
        let cut = match fs_err::read_to_string(self.git.folder().join("shallow")) {
            Ok(cut) => cut,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return true,
            Err(_) => return false,
        };
        let first = String::from_utf8_lossy(&first);
        first
            .lines()
            .all(|first| cut.lines().all(|line| line.trim() != first))
    }
}
