//! Submodules that a recipe asks for: the commit is in the tree of the repository above, the URL in its
//! `.gitmodules`, where a stranger may have written anything.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Repository, lock_of};
use crate::source::cache::Cache;
use crate::source::definition::{Commit, GitSource, GitUrl, RelativePath};
use crate::source::{FetchContext, SourceError, mirror};

/// Fetches one submodule and unpacks it at its place in `tree`.
pub(super) async fn add(
    source: &GitSource,
    above: &Repository<'_>,
    commit: &Commit,
    folder: &RelativePath,
    tree: &Path,
    context: &FetchContext,
) -> Result<(), SourceError> {
    let known = urls(above, commit).await?;
    let missing = || SourceError::NoSuchSubmodule {
        url: above.address.to_string(),
        submodule: folder.to_string(),
        known: known.keys().cloned().collect(),
    };
    let url = known.get(folder.as_str()).ok_or_else(missing)?;
    let url = resolve(source.url.as_str(), url)?;
    let wanted = linked_commit(above, commit, folder)
        .await?
        .ok_or_else(missing)?;
    let address = mirror::rewrite(url.as_str(), &context.mirrors);
    let cache = Cache::new(context);
    let repository = Repository {
        git: above.git.on(cache.repository(url.as_str())?),
        address: &address,
    };
    {
        let _lock = cache.lock(&lock_of(url.as_str()), context).await?;
        repository.prepare().await?;
        if repository.commit_of(wanted.as_str()).await?.is_none() {
            if context.offline && !address.is_local() {
                return Err(SourceError::Offline {
                    wanted: format!("{address} at {wanted}"),
                });
            }
            context.step(&format!("fetching submodule {folder} from {address}"));
            repository.fetch_commit(&wanted, folder).await?;
        }
    }
    repository
        .export(&wanted, tree, folder.as_str(), context)
        .await
}

impl Repository<'_> {
    /// Fetches a commit by its name; from servers that do not allow this, all that they have.
    async fn fetch_commit(
        &self,
        commit: &Commit,
        folder: &RelativePath,
    ) -> Result<(), SourceError> {
        let what = format!("fetch submodule `{folder}` of `{}`", self.address);
        // a reference of its own keeps the commit from being taken for rubbish
        let direct = format!("+{commit}:refs/ioc/commits/{commit}");
        match self.fetch_objects(&what, &direct).await {
            Err(SourceError::Git { .. }) => {}
            other => return other,
        }
        let url = self.address.url.as_str();
        let arguments = [
            "fetch",
            "--progress",
            "--force",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--",
            url,
            "+refs/heads/*:refs/ioc/heads/*",
            "+refs/tags/*:refs/ioc/all-tags/*",
        ];
        self.git.run(&what, Some(self.address), &arguments).await?;
        match self.commit_of(commit.as_str()).await? {
            Some(_) => Ok(()),
            None => Err(SourceError::Git {
                what,
                output: format!("the repository has no commit {commit}").into(),
            }),
        }
    }
}

/// URLs of submodules by their folders.
async fn urls(
    above: &Repository<'_>,
    commit: &Commit,
) -> Result<BTreeMap<String, String>, SourceError> {
    let blob = format!("--blob={commit}:.gitmodules");
    let listing = above
        .git
        .run(
            "read `.gitmodules`",
            None,
            &["config", "--null", &blob, "--list"],
        )
        .await;
    match listing {
        Ok(listing) => Ok(parse(&String::from_utf8_lossy(&listing))),
        // no such file
        Err(SourceError::Git { .. }) => Ok(BTreeMap::new()),
        Err(other) => Err(other),
    }
}

/// Reads `submodule.NAME.path` and `submodule.NAME.url` as `git config --null --list` prints them.
fn parse(listing: &str) -> BTreeMap<String, String> {
    let mut paths: BTreeMap<&str, &str> = BTreeMap::new();
    let mut urls: BTreeMap<&str, &str> = BTreeMap::new();
    for setting in listing.split('\0') {
        let Some((key, value)) = setting.split_once('\n') else {
            continue;
        };
        let Some(key) = key.strip_prefix("submodule.") else {
            continue;
        };
        if let Some(name) = key.strip_suffix(".path") {
            paths.insert(name, value);
        } else if let Some(name) = key.strip_suffix(".url") {
            urls.insert(name, value);
        }
    }
    paths
        .into_iter()
        .filter_map(|(name, path)| Some((path.to_owned(), (*urls.get(name)?).to_owned())))
        .collect()
}

/// The URL of a submodule, which may be relative to that of the repository above.
///
/// # Errors
///
/// A URL that would run a program, or that reaches from a server into this machine.
fn resolve(above: &str, url: &str) -> Result<GitUrl, SourceError> {
    let refused = |why: String| SourceError::Url {
        url: mirror::without_credentials(url),
        why,
    };
    let resolved = if url.starts_with("./") || url.starts_with("../") {
        let mut base = above.trim_end_matches('/').to_owned();
        let mut rest = url;
        loop {
            if let Some(after) = rest.strip_prefix("./") {
                rest = after;
            } else if let Some(after) = rest.strip_prefix("../") {
                let floor = mirror::host_prefix(&base).len();
                let cut = base.rfind('/').filter(|cut| *cut + 1 >= floor);
                let cut = cut.ok_or_else(|| {
                    refused("it leads above the host of the repository".to_owned())
                })?;
                base.truncate(cut);
                rest = after;
            } else {
                break format!("{base}/{rest}");
            }
        }
    } else {
        url.to_owned()
    };
    if resolved.starts_with("file://") && !above.starts_with("file://") {
        return Err(refused(
            "a submodule of another machine may not be on this one; a mirror rule may put it here"
                .to_owned(),
        ));
    }
    GitUrl::new(resolved).map_err(refused)
}

/// The commit that the tree above has at the place of the submodule.
async fn linked_commit(
    above: &Repository<'_>,
    commit: &Commit,
    folder: &RelativePath,
) -> Result<Option<Commit>, SourceError> {
    let listing = above
        .git
        .run(
            "read the tree of a commit",
            None,
            &["ls-tree", "-z", commit.as_str(), "--", folder.as_str()],
        )
        .await?;
    let listing = String::from_utf8_lossy(&listing);
    Ok(listing.split('\0').find_map(|line| {
        let (entry, path) = line.split_once('\t')?;
        let commit = entry.strip_prefix("160000 commit ")?;
        (path == folder.as_str())
            .then(|| Commit::new(commit).ok())
            .flatten()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_urls_follow_the_repository_above() {
        let above = "https://host/group/ad.git";
        for (url, expected) in [
            ("../ADCore.git", "https://host/group/ADCore.git"),
            ("../../other/x", "https://host/other/x"),
            ("./inside", "https://host/group/ad.git/inside"),
            ("https://b/c", "https://b/c"),
            ("git@b:c", "git@b:c"),
        ] {
            assert_eq!(resolve(above, url).unwrap().as_str(), expected);
        }
        for url in [
            "../../../../x",
            "file:///etc",
            "/etc/x",
            "ext::sh -c id",
            "-u",
            "ssh://-oProxyCommand=id",
        ] {
            resolve(above, url).expect_err(url);
        }
        assert_eq!(
            resolve("file:///srv/a.git", "../b.git").unwrap().as_str(),
            "file:///srv/b.git"
        );
    }

    #[test]
    fn settings_are_read_by_name() {
        let listing =
            "submodule.a.b.path\nx/y\0submodule.a.b.url\n../u\0submodule.c.path\nz\0core.x\ny\0";
        let found = parse(listing);
        assert_eq!(found.len(), 1);
        assert_eq!(found["x/y"], "../u");
    }
}
