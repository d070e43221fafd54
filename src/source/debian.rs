//! `debian:` sources: the archives of a source package, from the package mirror that apt on this machine uses.
//!
//! The recipe lists each archive with its SHA-256, so no signature has to be trusted. Without a list the fetch
//! fails and says what the mirror has, ready to be pasted.

mod index;

use std::path::Path;

use sha2::{Digest, Sha256 as Hash};

use super::apt::{self, AptMirror};
use super::archive::{check, unpack};
use super::cache::{Cache, digest, hexadecimal};
use super::definition::{DebianFile, DebianSource};
use super::download::{Downloader, LARGEST_ARCHIVE};
use super::error::writing;
use super::{FetchContext, Fetched, Identity, IdentityKind, SourceError, mirror};

/// Fetches a source package into the cache.
pub(crate) async fn fetch(
    source: &DebianSource,
    context: &FetchContext,
) -> Result<Fetched, SourceError> {
    if source.files.is_empty() {
        return Err(index::missing_files(source, context).await);
    }
    let archives = sort(source)?;
    let cache = Cache::new(context);
    let value = identity(&source.files);
    let key = format!("debian-{}", digest(&format!("{} {value}", source.package)));
    if let Some(fetched) = cache.get(&key) {
        return Ok(fetched);
    }
    let _lock = cache.lock(&key, context).await?;
    if let Some(fetched) = cache.get(&key) {
        return Ok(fetched);
    }
    let work = cache.work()?;
    let tree = work.path().join("tree");
    let mirrors = mirrors(context)?;
    let mut downloader = Downloader::new(context);
    for archive in &archives {
        let name = archive.file.name.as_str();
        let path = work.path().join("archive");
        let url = receive(
            &mut downloader,
            source,
            archive.file,
            &mirrors,
            &path,
            context,
        )
        .await?;
        context.step(&format!("unpacking {name}"));
        unpack(&path, &url, &tree, archive.below, archive.strip, context).await?;
        fs_err::remove_file(&path).map_err(writing(&path))?;
    }
    let identity = Identity {
        kind: IdentityKind::Sha256,
        value,
        description: format!(
            "Debian source package {} {}",
            source.package, source.version
        ),
    };
    cache.put(&key, work, identity)
}

/// One archive and where it goes.
#[derive(Debug)]
struct Archive<'a> {
    file: &'a DebianFile,
    below: &'a str,
    strip: u8,
}

/// The archives in the order in which they are unpacked, the main one first.
fn sort(source: &DebianSource) -> Result<Vec<Archive<'_>>, SourceError> {
    let refused = |file: &DebianFile, why: &str| SourceError::DebianFile {
        package: source.package.to_string(),
        file: file.name.to_string(),
        why: why.to_owned(),
    };
    let mut archives: Vec<Archive<'_>> = Vec::new();
    for file in &source.files {
        let name = file.name.as_str();
        let Some(rest) = name
            .strip_prefix(source.package.as_str())
            .and_then(|rest| rest.strip_prefix('_'))
            .filter(|rest| !rest.contains('/'))
        else {
            return Err(refused(
                file,
                "its name must begin with the package and `_`",
            ));
        };
        let Some(tar) = rest.find(".tar.") else {
            return Err(refused(file, "it is not a tar archive; list only those"));
        };
        let stem = &rest[..tar];
        let archive = if let Some((_, component)) = stem.split_once(".orig-") {
            Archive {
                file,
                below: component,
                strip: 1,
            }
        } else if stem.ends_with(".debian") {
            // holds the folder `debian` itself
            Archive {
                file,
                below: "",
                strip: 0,
            }
        } else {
            let archive = Archive {
                file,
                below: "",
                strip: 1,
            };
            if archives.first().is_some_and(is_main) {
                return Err(refused(file, "there is a main archive already"));
            }
            archives.insert(0, archive);
            continue;
        };
        archives.push(archive);
    }
    match archives.first() {
        Some(first) if is_main(first) => Ok(archives),
        _ => Err(refused(
            &source.files[0],
            "the `.orig.tar.*` must be listed too",
        )),
    }
}

fn is_main(archive: &Archive<'_>) -> bool {
    archive.below.is_empty() && archive.strip == 1
}

/// The checksum of a single archive; of several, that of their list as `sha256sum` prints it.
fn identity(files: &[DebianFile]) -> String {
    if let [only] = files {
        return only.sha256.to_string();
    }
    let mut files: Vec<&DebianFile> = files.iter().collect();
    files.sort_by_key(|file| file.name.as_str());
    let list = files.iter().fold(String::new(), |list, file| {
        list + &format!("{}  {}\n", file.sha256, file.name)
    });
    hexadecimal(&Hash::digest(list.as_bytes()))
}

/// Receives one archive from the first mirror that has it; returns its URL.
async fn receive(
    downloader: &mut Downloader<'_>,
    source: &DebianSource,
    file: &DebianFile,
    mirrors: &[AptMirror],
    path: &Path,
    context: &FetchContext,
) -> Result<String, SourceError> {
    let mut first = None;
    for debian in mirrors {
        let url = format!("{}/{}", pool(source, debian), file.name);
        let address = mirror::rewrite(&url, &context.mirrors);
        context.step(&format!("receiving {address}"));
        match downloader.receive(&address, path, LARGEST_ARCHIVE).await {
            Ok(received) => {
                let url = address.to_string();
                check(&url, &file.sha256, &received)?;
                return Ok(url);
            }
            Err(
                error @ (SourceError::Status { .. }
                | SourceError::Unreachable { .. }
                | SourceError::Transfer { .. }
                | SourceError::Tls { .. }),
            ) => {
                // The next mirror may have it; what the first one said is told if none has.
                first.get_or_insert(error);
            }
            Err(other) => return Err(other),
        }
    }
    Err(first.map_or_else(
        || no_mirror("there is none"),
        |error| match error {
            SourceError::Status { url, status, .. } => SourceError::DebianGone {
                url,
                status,
                package: source.package.to_string(),
                version: source.version.to_string(),
            },
            other => other,
        },
    ))
}

/// The folder of a package in the pool of a mirror.
fn pool(source: &DebianSource, mirror: &AptMirror) -> String {
    let package = source.package.as_str();
    let letters = if package.starts_with("lib") { 4 } else { 1 };
    let letters: String = package.chars().take(letters).collect();
    format!(
        "{}/pool/{}/{letters}/{package}",
        mirror.url,
        source.component.folder()
    )
}

/// The mirrors to ask: the one of the settings, or those of apt.
fn mirrors(context: &FetchContext) -> Result<Vec<AptMirror>, SourceError> {
    let mirrors = debian_mirrors(context.debian_mirror.as_deref(), Path::new(apt::APT_FOLDER))?;
    if mirrors.is_empty() {
        return Err(no_mirror("apt's configuration of this machine names none"));
    }
    Ok(mirrors)
}

/// Mirrors of Debian: the one that the settings name, or those of apt's configuration in a folder.
///
/// # Errors
///
/// A configuration of apt that cannot be read. No mirrors at all are no error here.
pub(crate) fn debian_mirrors(
    configured: Option<&str>,
    apt_folder: &Path,
) -> Result<Vec<AptMirror>, SourceError> {
    if let Some(url) = configured {
        return Ok(vec![AptMirror {
            url: url.trim_end_matches('/').to_owned(),
            suites: Vec::new(),
        }]);
    }
    apt::mirrors(apt_folder).map_err(|cause| no_mirror(&cause.to_string()))
}

fn no_mirror(why: &str) -> SourceError {
    SourceError::NoDebianMirror {
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests;
