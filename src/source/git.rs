//! `git:` sources, fetched with the machine's own `git`: keys, credential helpers, proxies and protocols of the
//! site come with it.
//!
//! Only the tag is fetched, without history, into a bare repository that the cache keeps per URL. The files are
//! exported from there as an archive and unpacked like one of a stranger; hooks, filters and substitutions that
//! a repository asks for never run.

mod branch;
mod history;
mod program;
mod submodule;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub(crate) use self::branch::{Movement, branch_tip};
pub(crate) use self::history::{Objects, all_tags, one_tag};
pub(crate) use self::program::plain;
use self::program::{Git, is_missing_tag, lacks_shallow};
use super::cache::{Cache, digest};
use super::definition::{Commit, GitSource, RelativePath, Tag};
use super::error::writing;
use super::mirror::{Address, without_credentials};
use super::{FetchContext, Fetched, Identity, IdentityKind, SourceError, archive, mirror};

/// Switches off every attribute that changes what a file holds. It goes into `info/attributes`, which wins over
/// the `.gitattributes` of the repository.
const NO_CONVERSIONS: &str =
    "* -text -eol -ident -filter -working-tree-encoding -export-ignore -export-subst\n";

/// Fetches a tag into the cache.
pub(crate) async fn fetch(
    source: &GitSource,
    context: &FetchContext,
) -> Result<Fetched, SourceError> {
    let cache = Cache::new(context);
    if let Some(commit) = &source.commit
        && let Some(fetched) = cache.get(&key(commit, source))
    {
        return Ok(fetched);
    }
    let work = cache.work()?;
    let address = mirror::rewrite(source.url.as_str(), &context.mirrors);
    let repository = Repository {
        git: Git::new(context, cache.repository(source.url.as_str())?, work.path())?,
        address: &address,
    };
    let commit = {
        let _lock = cache.lock(&lock_of(source.url.as_str()), context).await?;
        repository.prepare().await?;
        repository.tag(source, context).await?
    };
    let key = key(&commit, source);
    let _lock = cache.lock(&key, context).await?;
    if let Some(fetched) = cache.get(&key) {
        return Ok(fetched);
    }
    let tree = work.path().join("tree");
    repository.export(&commit, &tree, "", context).await?;
    for folder in &source.submodules {
        submodule::add(source, &repository, &commit, folder, &tree, context).await?;
    }
    for leftover in ["export.tar", "certificates.pem"] {
        let path = work.path().join(leftover);
        if path.exists() {
            fs_err::remove_file(&path).map_err(writing(&path))?;
        }
    }
    let identity = Identity {
        kind: IdentityKind::Commit,
        value: commit.to_string(),
        description: format!(
            "{} at {}",
            without_credentials(source.url.as_str()),
            source.tag
        ),
    };
    cache.put(&key, work, identity)
}

/// The name of a tree in the cache: the commit says everything but which submodules are filled.
fn key(commit: &Commit, source: &GitSource) -> String {
    if source.submodules.is_empty() {
        return format!("git-{commit}");
    }
    let mut folders: Vec<&str> = source.submodules.iter().map(RelativePath::as_str).collect();
    folders.sort_unstable();
    format!("git-{commit}-{}", digest(&folders.join("\n")))
}

fn lock_of(url: &str) -> String {
    format!("git-{}", digest(url))
}

/// A bare repository in the cache and where its objects come from.
struct Repository<'a> {
    git: Git<'a>,
    address: &'a Address,
}

impl Repository<'_> {
    /// Makes the bare repository, or clears away what a killed git left in it. The caller holds its lock.
    async fn prepare(&self) -> Result<(), SourceError> {
        let folder = self.git.folder();
        if !folder.join("HEAD").is_file() {
            fs_err::create_dir_all(folder).map_err(writing(folder))?;
            self.git
                .run(
                    "make a repository in the cache",
                    None,
                    &["init", "--bare", "--quiet", "--template="],
                )
                .await?;
        }
        for stale in [
            "shallow.lock",
            "packed-refs.lock",
            "HEAD.lock",
            "config.lock",
        ] {
            let path = folder.join(stale);
            if path.exists() {
                fs_err::remove_file(&path).map_err(writing(&path))?;
            }
        }
        let info = folder.join("info");
        fs_err::create_dir_all(&info).map_err(writing(&info))?;
        let attributes = info.join("attributes");
        fs_err::write(&attributes, NO_CONVERSIONS).map_err(writing(&attributes))
    }

    /// The commit of the tag: asked for again each time unless the recipe pins it, since a tag can move.
    async fn tag(&self, source: &GitSource, context: &FetchContext) -> Result<Commit, SourceError> {
        let reference = format!("refs/ioc/tags/{}", digest(source.tag.as_str()));
        let known = self.commit_of(&reference).await?;
        if let (Some(known), Some(pinned)) = (&known, &source.commit)
            && known == pinned
        {
            return Ok(known.clone());
        }
        let found = if context.offline && !self.address.is_local() {
            known.ok_or_else(|| SourceError::Offline {
                wanted: format!("{} at {}", self.address, source.tag),
            })?
        } else {
            context.step(&format!("fetching {} from {}", source.tag, self.address));
            self.fetch_tag(&source.tag, &reference).await?;
            self.commit_of(&reference)
                .await?
                .ok_or_else(|| self.no_such_tag(&source.tag, None, false))?
        };
        match &source.commit {
            Some(pinned) if *pinned != found => Err(SourceError::MovedTag {
                url: self.address.to_string(),
                tag: source.tag.to_string(),
                expected: pinned.to_string(),
                found: found.to_string(),
            }),
            _ => Ok(found),
        }
    }

    async fn fetch_tag(&self, tag: &Tag, reference: &str) -> Result<(), SourceError> {
        let what = format!("fetch tag `{tag}` of `{}`", self.address);
        let specification = format!("+refs/tags/{tag}:{reference}");
        match self.fetch_objects(&what, &specification).await {
            Err(SourceError::Git { output, .. }) if is_missing_tag(&output.to_string()) => {
                Err(self.nearest_tag(tag).await?)
            }
            other => other,
        }
    }

    /// Fetches without history, or with it from servers that know no other way.
    async fn fetch_objects(&self, what: &str, specification: &str) -> Result<(), SourceError> {
        let fetch = |depth: &'static [&'static str]| {
            let mut arguments = vec![
                "fetch",
                "--progress",
                "--force",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
                "--no-auto-maintenance",
            ];
            arguments.extend(depth);
            arguments.extend(["--", self.address.url.as_str(), specification]);
            arguments
        };
        let shallow = self
            .git
            .run(what, Some(self.address), &fetch(&["--depth=1"]))
            .await;
        match shallow {
            Err(SourceError::Git { output, .. }) if lacks_shallow(&output.to_string()) => self
                .git
                .run(what, Some(self.address), &fetch(&[]))
                .await
                .map(|_output| ()),
            other => other.map(|_output| ()),
        }
    }

    /// The error for a tag that is not there, with what was probably meant.
    async fn nearest_tag(&self, tag: &Tag) -> Result<SourceError, SourceError> {
        let listing = self
            .git
            .run(
                &format!("list the tags of `{}`", self.address),
                Some(self.address),
                &["ls-remote", "--refs", "--", self.address.url.as_str()],
            )
            .await?;
        let listing = String::from_utf8_lossy(&listing);
        let references: Vec<&str> = listing
            .lines()
            .filter_map(|line| line.split_once('\t').map(|(_, reference)| reference))
            .collect();
        let tags = references
            .iter()
            .filter_map(|reference| reference.strip_prefix("refs/tags/"));
        let near = crate::diagnostic::nearest(tag.as_str(), tags).map(str::to_owned);
        let is_branch = references.contains(&format!("refs/heads/{tag}").as_str());
        Ok(self.no_such_tag(tag, near, is_branch))
    }

    fn no_such_tag(&self, tag: &Tag, near: Option<String>, is_branch: bool) -> SourceError {
        SourceError::NoSuchTag {
            url: self.address.to_string(),
            tag: tag.to_string(),
            near,
            is_branch,
        }
    }

    /// The commit that something names in the bare repository, if it is there.
    async fn commit_of(&self, name: &str) -> Result<Option<Commit>, SourceError> {
        let wanted = format!("{name}^{{commit}}");
        let result = self
            .git
            .run(
                "look into the cache",
                None,
                &[
                    "rev-parse",
                    "--verify",
                    "--quiet",
                    "--end-of-options",
                    &wanted,
                ],
            )
            .await;
        match result {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output);
                Ok(Commit::new(text.trim()).ok())
            }
            Err(SourceError::Git { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Unpacks the files of a commit at `below` in `tree`.
    async fn export(
        &self,
        commit: &Commit,
        tree: &Path,
        below: &str,
        context: &FetchContext,
    ) -> Result<(), SourceError> {
        let name = format!("{} at {commit}", self.address);
        let file: PathBuf = self.git.work().join("export.tar");
        let output = format!("--output={}", file.display());
        self.git
            .run(
                &format!("export {name}"),
                None,
                &["archive", "--format=tar", &output, commit.as_str()],
            )
            .await?;
        context.step("unpacking");
        archive::unpack(&file, &name, tree, below, 0, context).await
    }
}
