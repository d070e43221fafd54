//! Sources of support modules: fetched on this machine, checked, cached, handed to the build.
//!
//! A recipe names a [`Source`]; [`fetch()`] gives back a [`Fetched`] folder with its [`Identity`]. What is in the
//! cache is complete and checked: entries are unpacked beside their place and renamed into it, under a lock, so
//! that two commands at once and a command that is killed both leave a good cache.
//!
//! This module does not patch, overlay or build anything, and runs no program that comes with a source.

pub mod apt;
mod archive;
mod cache;
pub mod context;
mod debian;
pub mod definition;
pub(crate) mod download;
pub mod error;
pub(crate) mod git;
mod local;
pub mod mirror;
pub mod tree;
mod unpack;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use self::cache::{Cache, digest, hexadecimal, is_abandoned};
pub use self::context::{FetchContext, FetchProgress};
pub(crate) use self::debian::debian_mirrors;
pub use self::definition::Source;
pub use self::error::SourceError;

/// A source that is on this machine, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The unpacked tree in the cache. It is shared with other commands: read it, never write to it.
    pub tree: PathBuf,
    /// What exactly it is.
    pub identity: Identity,
}

/// What exactly a source is: goes into the key of a build, `image.lock` and `/epics/versions.json`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// What kind of value it is.
    pub kind: IdentityKind,
    /// The commit or digest, lower-case hexadecimal without a prefix.
    pub value: String,
    /// The source in words for people, such as `asyn.git at R4-45`; not part of the identity.
    pub description: String,
}

/// What the value of an [`Identity`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityKind {
    /// A git commit, and nothing besides it.
    Commit,
    /// SHA-256 of the archive, or of the list of archives of a Debian source package.
    Sha256,
    /// SHA-256 over names, modes and contents of a local folder, see [`definition::Source::Path`].
    Content,
}

impl fmt::Display for Identity {
    /// `commit:…`, `sha256:…` or `content:…`, as it stands in `image.lock`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            IdentityKind::Commit => "commit",
            IdentityKind::Sha256 => "sha256",
            IdentityKind::Content => "content",
        };
        write!(formatter, "{kind}:{}", self.value)
    }
}

/// Makes a source available on this machine, from the cache if it is there.
///
/// # Errors
///
/// What could not be fetched or is not what the recipe promises; nothing of it is kept then.
pub async fn fetch(source: &Source, context: &FetchContext) -> Result<Fetched, SourceError> {
    if context.cancel.is_cancelled() {
        return Err(SourceError::Cancelled);
    }
    match source {
        Source::Git(git) => git::fetch(git, context).await,
        Source::Archive(archive) => archive::fetch(archive, context).await,
        Source::Debian(debian) => debian::fetch(debian, context).await,
        Source::Path(path) => local::fetch(path, context).await,
    }
}
