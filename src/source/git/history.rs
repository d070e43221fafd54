//! Objects of a repository on a server, in a bare repository of the cache: all tags with their history but without large
//! files, or everything of one tag without its history. What is made of them is not decided here.

use std::path::PathBuf;

use super::program::{Git, lacks_shallow};
use super::{Repository, lock_of};
use crate::source::cache::{Cache, EntryLock};
use crate::source::definition::{Commit, GitSource, GitUrl, Tag};
use crate::source::{FetchContext, SourceError, mirror};

/// Objects that were fetched; other commands wait while it lives.
pub(crate) struct Objects {
    /// The bare repository.
    pub(crate) folder: PathBuf,
    _lock: EntryLock,
}

impl Objects {
    pub(super) fn new(folder: PathBuf, lock: EntryLock) -> Self {
        Self {
            folder,
            _lock: lock,
        }
    }
}

/// Fetches every tag with its commits, folders and small files (symbolic links are small files): what the versions of
/// instances are told from. Servers that cannot leave large files out send them too.
///
/// # Errors
///
/// The server cannot be reached or refuses; offline, nothing was fetched before.
pub(crate) async fn all_tags(url: &GitUrl, context: &FetchContext) -> Result<Objects, SourceError> {
    let cache = Cache::new(context);
    let work = cache.work()?;
    let address = mirror::rewrite(url.as_str(), &context.mirrors);
    let name = format!("history of {url}");
    let lock = cache.lock(&lock_of(&name), context).await?;
    let repository = Repository {
        git: Git::new(context, cache.repository(&name)?, work.path())?,
        address: &address,
    };
    let folder = repository.git.folder().to_path_buf();
    let is_known = folder.join("HEAD").is_file();
    repository.prepare().await?;
    if context.offline && !address.is_local() {
        if !is_known {
            return Err(SourceError::Offline {
                wanted: format!("the tags of {address}"),
            });
        }
    } else {
        context.step(&format!("fetching the tags of {address}"));
        repository.fetch_tags().await?;
    }
    Ok(Objects {
        folder,
        _lock: lock,
    })
}

/// Fetches what one tag points to, without history.
///
/// # Errors
///
/// As [`all_tags`], and a tag that does not exist.
pub(crate) async fn one_tag(
    url: &GitUrl,
    tag: &Tag,
    context: &FetchContext,
) -> Result<(Objects, Commit), SourceError> {
    let cache = Cache::new(context);
    let work = cache.work()?;
    let address = mirror::rewrite(url.as_str(), &context.mirrors);
    let lock = cache.lock(&lock_of(url.as_str()), context).await?;
    let repository = Repository {
        git: Git::new(context, cache.repository(url.as_str())?, work.path())?,
        address: &address,
    };
    repository.prepare().await?;
    let source = GitSource {
        url: url.clone(),
        tag: tag.clone(),
        commit: None,
        submodules: Vec::new(),
    };
    let commit = repository.tag(&source, context).await?;
    let objects = Objects {
        folder: repository.git.folder().to_path_buf(),
        _lock: lock,
    };
    Ok((objects, commit))
}

impl Repository<'_> {
    async fn fetch_tags(&self) -> Result<(), SourceError> {
        let what = format!("fetch the tags of `{}`", self.address);
        let fetch = |filter: &'static [&'static str]| {
            let mut arguments = vec![
                "fetch",
                "--progress",
                "--force",
                "--prune",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
                "--no-auto-maintenance",
            ];
            arguments.extend(filter);
            arguments.extend(["--", self.address.url.as_str(), "+refs/tags/*:refs/tags/*"]);
            arguments
        };
        let partial = self
            .git
            .run(
                &what,
                Some(self.address),
                &fetch(&["--filter=blob:limit=4k"]),
            )
            .await;
        match partial {
            Err(SourceError::Git { output, .. }) if lacks_filter(&output.to_string()) => self
                .git
                .run(&what, Some(self.address), &fetch(&[]))
                .await
                .map(|_output| ()),
            other => other.map(|_output| ()),
        }
    }
}

/// Whether git says that the server cannot leave files out.
fn lacks_filter(said: &str) -> bool {
    said.contains("filter") || lacks_shallow(said)
}
