//! `archive:` sources: received, checked against the recipe, and only then opened.

use std::path::Path;

use super::cache::Cache;
use super::definition::{ArchiveSource, Sha256};
use super::download::{Downloader, LARGEST_ARCHIVE, Received};
use super::unpack::{Limits, Unpack};
use super::{FetchContext, Fetched, Identity, IdentityKind, SourceError, mirror};

/// Fetches an archive into the cache.
pub(crate) async fn fetch(
    source: &ArchiveSource,
    context: &FetchContext,
) -> Result<Fetched, SourceError> {
    let cache = Cache::new(context);
    let key = format!("archive-{}-{}", source.sha256, source.strip);
    if let Some(fetched) = cache.get(&key) {
        return Ok(fetched);
    }
    let _lock = cache.lock(&key, context).await?;
    if let Some(fetched) = cache.get(&key) {
        return Ok(fetched);
    }
    let work = cache.work()?;
    let address = mirror::rewrite(&source.url, &context.mirrors);
    context.step(&format!("receiving {address}"));
    let received = Downloader::new(context)
        .receive(&address, &work.path().join("archive"), LARGEST_ARCHIVE)
        .await?;
    check(&address.to_string(), &source.sha256, &received)?;
    context.step("unpacking");
    let tree = work.path().join("tree");
    unpack(
        &received.path,
        &address.to_string(),
        &tree,
        "",
        source.strip,
        context,
    )
    .await?;
    fs_err::remove_file(&received.path).map_err(super::error::writing(&received.path))?;
    let identity = Identity {
        kind: IdentityKind::Sha256,
        value: source.sha256.to_string(),
        description: mirror::without_credentials(&source.url),
    };
    cache.put(&key, work, identity)
}

/// Whether a file is what the recipe promises.
pub(crate) fn check(url: &str, expected: &Sha256, received: &Received) -> Result<(), SourceError> {
    if received.sha256 == expected.as_str() {
        return Ok(());
    }
    Err(SourceError::Checksum {
        url: url.to_owned(),
        expected: expected.to_string(),
        found: received.sha256.clone(),
        page: received.page,
    })
}

/// Unpacks an archive below `tree` without blocking the other tasks.
pub(crate) async fn unpack(
    file: &Path,
    name: &str,
    tree: &Path,
    below: &str,
    strip: u8,
    context: &FetchContext,
) -> Result<(), SourceError> {
    fs_err::create_dir_all(tree).map_err(super::error::writing(tree))?;
    let (file, name, tree) = (file.to_path_buf(), name.to_owned(), tree.to_path_buf());
    let (below, cancel) = (below.to_owned(), context.cancel.clone());
    let job = tokio::task::spawn_blocking(move || {
        Unpack {
            file: &file,
            name: &name,
            tree: &tree,
            below: Path::new(&below),
            strip,
            limits: Limits::default(),
            cancel: &cancel,
        }
        .run()
    });
    job.await
        .map_err(|cause| SourceError::io("unpack an archive", cause.into()))?
}

#[cfg(test)]
mod tests;
