//! Why a source could not be had, and what would help.
//!
//! A variant is made where the cause is known; the hints are decided here, in one place.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::ui::error::{CommandError, ErrorKind};

/// Why a source could not be had. Nothing of it is kept in the cache then.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The network may not be used and the cache does not have it.
    #[error("`{wanted}` is not in the cache, and fetching is switched off")]
    Offline {
        /// What is missing, as a URL or source in words.
        wanted: String,
    },
    /// No connection: name not known, no route, refused, timed out.
    #[error("`{url}` cannot be reached")]
    Unreachable {
        /// The URL that was asked, after mirror rules.
        url: String,
        /// The prefix of the mirror rule that led there.
        rule: Option<String>,
        /// What the connection said.
        #[source]
        cause: Cause,
    },
    /// The certificate of the server is not trusted.
    #[error("the certificate of `{url}` is not trusted")]
    Tls {
        /// The URL that was asked.
        url: String,
        /// What the TLS library said.
        #[source]
        cause: Cause,
    },
    /// The proxy does not answer or refuses.
    #[error("the proxy {proxy} refuses to fetch `{url}`")]
    Proxy {
        /// The URL that was asked.
        url: String,
        /// The proxy in backticks without user and password, or which one.
        proxy: String,
        /// What it said.
        #[source]
        cause: Cause,
    },
    /// The server answered, but not with the file.
    #[error("the server does not give `{url}`: {status}")]
    Status {
        /// The URL that was asked.
        url: String,
        /// The prefix of the mirror rule that led there.
        rule: Option<String>,
        /// Status line, such as `404 Not Found`.
        status: String,
    },
    /// The repository wants credentials that `git` does not have.
    #[error("`{url}` refuses access")]
    Refused {
        /// Repository.
        url: String,
        /// What git said.
        #[source]
        cause: Cause,
    },
    /// The transfer broke off or made no sense.
    #[error("failed to receive `{url}`")]
    Transfer {
        /// The URL that was asked.
        url: String,
        /// What went wrong.
        #[source]
        cause: Cause,
    },
    /// More bytes than any source has.
    #[error("`{url}` has more than {limit} bytes")]
    TooLarge {
        /// The URL that was asked.
        url: String,
        /// The bound, in bytes.
        limit: u64,
    },
    /// The URL cannot be fetched with.
    #[error("`{url}` is not a URL that can be fetched: {why}")]
    Url {
        /// The URL.
        url: String,
        /// Why not.
        why: String,
    },
    /// What was received is not what the recipe promises.
    #[error("the checksum of `{url}` is wrong: the recipe says {expected}, the file has {found}")]
    Checksum {
        /// Where it came from.
        url: String,
        /// SHA-256 of the recipe.
        expected: String,
        /// SHA-256 of the file.
        found: String,
        /// The file is a web page, not an archive.
        page: bool,
    },
    /// A tag points to another commit than the recipe pins.
    #[error("tag `{tag}` of `{url}` points to commit {found}, the recipe pins {expected}")]
    MovedTag {
        /// Repository.
        url: String,
        /// Tag.
        tag: String,
        /// Commit of the recipe.
        expected: String,
        /// Commit of the repository.
        found: String,
    },
    /// The repository has no such tag.
    #[error("`{url}` has no tag `{tag}`")]
    NoSuchTag {
        /// Repository.
        url: String,
        /// Tag.
        tag: String,
        /// A tag with a similar name.
        near: Option<String>,
        /// There is a branch of that name.
        is_branch: bool,
    },
    /// The repository has no such branch, or has it no more.
    #[error("`{url}` has no branch `{branch}`")]
    NoSuchBranch {
        /// Repository.
        url: String,
        /// Branch.
        branch: String,
        /// A branch with a similar name.
        near: Option<String>,
    },
    /// The repository has no submodule in that folder.
    #[error("`{url}` has no submodule `{submodule}`")]
    NoSuchSubmodule {
        /// Repository.
        url: String,
        /// Folder named by the recipe.
        submodule: String,
        /// Folders that are submodules.
        known: Vec<String>,
    },
    /// There is no `git` program.
    #[error("the program `git` is needed to {what} and was not found")]
    GitMissing {
        /// What it is needed for.
        what: String,
    },
    /// `git` ended with an error that has no variant of its own.
    #[error("git failed to {what}")]
    Git {
        /// What it was asked to do, such as "fetch tag `R4-45` of `https://…`".
        what: String,
        /// The last lines of what it said.
        #[source]
        output: Cause,
    },
    /// An archive holds something that no source needs, and that would harm this machine.
    #[error("`{archive}` is refused because of its entry `{entry}`: {why}")]
    Hostile {
        /// Where the archive came from.
        archive: String,
        /// Name of the entry, made printable.
        entry: String,
        /// What is wrong with it.
        why: String,
    },
    /// An archive cannot be read.
    #[error("failed to unpack `{archive}`")]
    Unpack {
        /// Where the archive came from.
        archive: String,
        /// What is wrong with it.
        #[source]
        cause: Cause,
    },
    /// A Debian source package is not described completely.
    #[error(
        "the recipe must list the files of Debian source package `{package}` {version} with their SHA-256"
    )]
    DebianFiles {
        /// Source package.
        package: String,
        /// Version.
        version: String,
        /// What the mirror has, as YAML to be pasted.
        found: Option<String>,
        /// Other versions that the mirror has.
        versions: Vec<String>,
    },
    /// A file of a Debian source package is not one that can be unpacked.
    #[error("file `{file}` of Debian source package `{package}` cannot be used: {why}")]
    DebianFile {
        /// Source package.
        package: String,
        /// File.
        file: String,
        /// Why not.
        why: String,
    },
    /// The mirrors do not have that version, any more or yet.
    #[error("no package mirror has `{url}`: {status}")]
    DebianGone {
        /// The URL that was asked first.
        url: String,
        /// What it answered.
        status: String,
        /// Source package.
        package: String,
        /// Version.
        version: String,
    },
    /// No package mirror is known.
    #[error("no mirror of Debian packages is known: {why}")]
    NoDebianMirror {
        /// Where was looked.
        why: String,
    },
    /// A local folder cannot be a source.
    #[error("local source `{}` cannot be used: {why}", path.display())]
    Path {
        /// The folder or the file in it.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The certificates of the site cannot be read.
    #[error("failed to read the certificates of the site from `{}`", path.display())]
    CaBundle {
        /// File.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Cause,
    },
    /// Writing the cache failed.
    #[error("failed to {what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        cause: io::Error,
    },
    /// The user stopped it.
    #[error("fetching was stopped, nothing of it is kept")]
    Cancelled,
}

/// The error below, whatever library it comes from.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl SourceError {
    /// A failed operation on files of this machine.
    pub(crate) fn io(what: impl Into<String>, cause: io::Error) -> Self {
        Self::Io {
            what: what.into(),
            cause,
        }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Cancelled => ErrorKind::Interrupted,
            Self::Io { .. } => ErrorKind::System,
            Self::Path { .. }
            | Self::DebianFiles { .. }
            | Self::DebianFile { .. }
            | Self::CaBundle { .. } => ErrorKind::Input,
            _ => ErrorKind::Fetch,
        }
    }

    /// What would help, most useful first.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Offline { .. } => vec![
                "run the same command once with the network (`IOC_OFFLINE=0`, `[fetch] offline` in `ioc.toml`), or copy the cache folder of a machine that has it and name it with `IOC_CACHE_DIR`".to_owned(),
            ],
            Self::Unreachable { url, rule: None, .. } if url.starts_with("file:") => {
                vec!["it must be on this machine: is the disk mounted, may you read it?".to_owned()]
            }
            Self::Unreachable { url, rule, .. } => vec![
                mirror_hint(url, rule.as_deref()),
                "behind a proxy, set `[fetch] proxy` in `ioc.toml` or `IOC_PROXY`".to_owned(),
            ],
            Self::Tls { .. } => vec![
                "if your site's own certificate authority stands between, name its PEM file in `ioc.toml`: `[fetch]` `ca-bundle = \"site-ca.pem\"`, or set `IOC_CA_BUNDLE`".to_owned(),
                "a machine without any certificates needs the package `ca-certificates`".to_owned(),
            ],
            Self::Proxy { .. } => vec![
                "`[fetch] proxy` in `ioc.toml`, `IOC_PROXY` or `https_proxy` names it; `no-proxy` lists hosts that are reached without it".to_owned(),
            ],
            Self::Status {
                rule: Some(rule), ..
            } => vec![format!(
                "the mirror rule for `{}` led there: does the mirror have it?",
                super::mirror::without_credentials(rule)
            )],
            Self::Status { status, .. } if status.starts_with('5') => {
                vec!["this is a failure of the server: try again later".to_owned()]
            }
            Self::Status { .. } => vec![
                "was it moved or renamed? the page of the project says where this version is now".to_owned(),
            ],
            Self::Refused { url, .. } => vec![format!(
                "git uses your own keys and credential helpers: `git ls-remote {url}` must work without asking for anything"
            )],
            Self::Checksum { page: true, .. } => vec![
                "a web page came instead of the file: a login page, or the answer of a proxy".to_owned(),
            ],
            Self::Checksum { page: false, .. } => vec![
                "nothing of it was kept; if the project replaced the file on purpose and you trust it, put the new sum into the recipe".to_owned(),
            ],
            Self::MovedTag { .. } => vec![
                "somebody moved the tag; if you trust the new commit, put it into the recipe, or take another tag".to_owned(),
            ],
            Self::NoSuchTag {
                tag,
                is_branch: true,
                ..
            } => vec![format!(
                "`{tag}` is a branch, which is not the same tomorrow: take a tag"
            )],
            Self::NoSuchTag { near: Some(near), .. } | Self::NoSuchBranch { near: Some(near), .. } => {
                vec![format!("did you mean `{near}`?")]
            }
            Self::NoSuchTag { url, .. } => vec![format!("`git ls-remote --tags {url}` lists them")],
            Self::NoSuchBranch { url, .. } => vec![format!("`git ls-remote --heads {url}` lists them")],
            Self::NoSuchSubmodule { known, .. } if known.is_empty() => {
                vec!["this repository has no submodules: remove `submodules` from the recipe".to_owned()]
            }
            Self::NoSuchSubmodule { known, .. } => vec![format!("it has {}", known.join(", "))],
            Self::GitMissing { .. } => {
                vec!["install it, on Debian with `apt-get install git`".to_owned()]
            }
            Self::DebianFiles {
                found: Some(found), ..
            } => vec![format!(
                "this is what the mirror has now; compare it with a source you trust, then paste it into the recipe:\n{found}"
            )],
            Self::DebianFiles {
                package, versions, ..
            } => {
                let mut hints = vec![format!(
                    "`apt-cache showsrc {package}` prints them under `Checksums-Sha256`"
                )];
                if !versions.is_empty() {
                    hints.insert(0, format!("the mirror has {}", versions.join(", ")));
                }
                hints
            }
            Self::DebianGone {
                package, version, ..
            } => vec![format!(
                "a mirror keeps only the newest revisions: leave `files` of `{package}` {version} empty once to see what there is, or name a snapshot of the archive as `[fetch]` `debian-mirror` in `ioc.toml`"
            )],
            Self::NoDebianMirror { .. } => vec![
                "name one in `ioc.toml`: `[fetch]` `debian-mirror = \"http://packages.site/debian\"`, or set `IOC_DEBIAN_MIRROR`".to_owned(),
            ],
            Self::CaBundle { .. } => vec![
                "it must hold certificates in PEM form (`-----BEGIN CERTIFICATE-----`)".to_owned(),
            ],
            Self::Io { cause, .. } if cause.kind() == io::ErrorKind::StorageFull => vec![
                "the disk is full: free some space, or put the cache elsewhere with `IOC_CACHE_DIR`".to_owned(),
            ],
            Self::Git { output, .. } if output.to_string().contains("dubious ownership") => vec![
                "the repository belongs to somebody else; if you trust it: `git config --global --add safe.directory FOLDER`".to_owned(),
            ],
            Self::Git { .. }
            | Self::Transfer { .. }
            | Self::TooLarge { .. }
            | Self::Url { .. }
            | Self::Hostile { .. }
            | Self::DebianFile { .. }
            | Self::Unpack { .. }
            | Self::Path { .. }
            | Self::Io { .. }
            | Self::Cancelled => Vec::new(),
        }
    }
}

/// A mirror rule for the host of a URL, ready to be pasted into `ioc.toml`; or the rule that did not help.
fn mirror_hint(url: &str, rule: Option<&str>) -> String {
    if let Some(rule) = rule.map(super::mirror::without_credentials) {
        return format!(
            "the mirror rule for `{rule}` in `ioc.toml` led there: is the mirror running?"
        );
    }
    let prefix = super::mirror::host_prefix(url);
    format!(
        "if your site keeps a copy, add to `ioc.toml`:\n[[mirror]]\nprefix = \"{prefix}\"\nreplace = \"https://mirror.example.org/\""
    )
}

impl From<SourceError> for CommandError {
    fn from(error: SourceError) -> Self {
        let hints = error.hints();
        let command = Self::new(error.kind(), error.to_string());
        let command = match std::error::Error::source(&error) {
            Some(_) => command.caused_by(BelowMessage(error)),
            None => command,
        };
        hints.into_iter().fold(command, Self::hint)
    }
}

/// The chain below an error whose own message is already shown.
#[derive(Debug)]
struct BelowMessage(SourceError);

impl std::fmt::Display for BelowMessage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match std::error::Error::source(&self.0) {
            Some(below) => std::fmt::Display::fmt(below, formatter),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BelowMessage {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0).and_then(std::error::Error::source)
    }
}

/// Names the file in the words of an error of the cache.
pub(crate) fn writing(path: &Path) -> impl FnOnce(io::Error) -> SourceError {
    let what = format!("write `{}`", path.display());
    move |cause| SourceError::Io { what, cause }
}
