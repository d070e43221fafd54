//! Why the versions of a services repository cannot be told or had.

use std::path::PathBuf;

use crate::diagnostic::nearest;
use crate::source::SourceError;
use crate::ui::error::{CommandError, ErrorKind};

/// Why the versions of a services repository cannot be told or had.
#[derive(Debug, thiserror::Error)]
pub enum VersionsError {
    /// The folder does not exist.
    #[error("there is no services repository `{}`", folder.display())]
    Missing {
        /// What was asked for.
        folder: PathBuf,
    },
    /// The folder is in no git repository.
    #[error("`{}` is not in a git repository, so it has no versions", folder.display())]
    NotGit {
        /// What was asked for.
        folder: PathBuf,
    },
    /// Git may not read the repository, because it belongs to somebody else.
    #[error("git does not trust the repository of `{}`: it belongs to somebody else", folder.display())]
    NotTrusted {
        /// What was asked for.
        folder: PathBuf,
    },
    /// There is no `git` program.
    #[error("the program `git` is needed to read versions and was not found")]
    GitMissing,
    /// The repository has no tags.
    #[error("`{repository}` has no tags")]
    NoTags {
        /// Folder or URL.
        repository: String,
        /// History is left out, and so may be tags.
        is_shallow: bool,
    },
    /// The repository has no such tag.
    #[error("`{repository}` has no tag `{tag}`")]
    NoSuchTag {
        /// Folder or URL.
        repository: String,
        /// What was asked for.
        tag: String,
        /// The tags that exist.
        known: Vec<String>,
        /// History is left out, and so may be tags.
        is_shallow: bool,
    },
    /// A tag does not lead to a commit.
    #[error("the tag `{tag}` of `{repository}` does not point to a commit")]
    NotACommit {
        /// Folder or URL.
        repository: String,
        /// The tag.
        tag: String,
    },
    /// No tag has the instance.
    #[error("no tag of `{repository}` has an IOC instance `{instance}`")]
    NoSuchInstance {
        /// Folder or URL.
        repository: String,
        /// What was asked for.
        instance: String,
        /// The instances that tags have.
        known: Vec<String>,
    },
    /// The folder of the services repository is not part of the tag.
    #[error("`{repository}` has no folder `{folder}` at `{tag}`")]
    NoFolder {
        /// Folder or URL.
        repository: String,
        /// Folder in it.
        folder: String,
        /// The tag.
        tag: String,
    },
    /// An object of the repository holds something that would harm this machine, or is larger than any services
    /// repository needs.
    #[error("`{entry}` of `{tag}` is refused: {why}")]
    Refused {
        /// The tag.
        tag: String,
        /// Path in the repository.
        entry: String,
        /// What is wrong with it.
        why: String,
    },
    /// `git` failed in a way that has no variant of its own.
    #[error("git failed to {what}")]
    Git {
        /// What it was asked to do.
        what: String,
        /// What it said.
        output: String,
    },
    /// The repository could not be fetched.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Writing the files of a tag failed; the text of the cause names the path.
    #[error("failed to write the files of a tag")]
    Io(#[from] std::io::Error),
}

impl From<VersionsError> for CommandError {
    fn from(error: VersionsError) -> Self {
        let message = error.to_string();
        let shallow = "this clone leaves history out, and so may tags: `git fetch --unshallow --tags` fetches the rest";
        match error {
            VersionsError::Missing { .. } => Self::not_found(message).hint(
                "`repository` of the beamline in `ioc.toml` names it: a folder, or the URL of a git repository",
            ),
            VersionsError::NotGit { .. } => Self::not_found(message)
                .hint("versions are git tags: use a clone of the services repository, or name its URL as `repository` of the beamline in `ioc.toml`"),
            VersionsError::NotTrusted { folder } => Self::new(ErrorKind::System, message).hint(format!(
                "if you trust it: `git config --global --add safe.directory {}`",
                folder.display()
            )),
            VersionsError::GitMissing => {
                Self::new(ErrorKind::System, message).hint("install it, on Debian with `apt-get install git`")
            }
            VersionsError::NoTags { is_shallow, .. } => Self::not_found(message).hint(if is_shallow {
                shallow
            } else {
                "`git tag 2026.11.1` makes one of the commit that is checked out; `git fetch --tags` fetches those of the server"
            }),
            VersionsError::NoSuchTag { tag, known, is_shallow, .. } => {
                let error = Self::not_found(message);
                match nearest(&tag, known.iter().map(String::as_str)) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None if is_shallow => error.hint(shallow),
                    None => error.hint("`ioc versions` lists them; `git fetch --tags` fetches those of the server"),
                }
            }
            VersionsError::NotACommit { .. } => {
                Self::new(ErrorKind::Input, message).hint("tag a commit: `git tag NAME`")
            }
            VersionsError::NoSuchInstance { instance, known, .. } => {
                let error = Self::not_found(message);
                match nearest(&instance, known.iter().map(String::as_str)) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint("`ioc versions` without a name lists the instances"),
                }
            }
            VersionsError::NoFolder { .. } => {
                Self::not_found(message).hint("the services repository came after that tag: take a newer one")
            }
            VersionsError::Refused { .. } => Self::new(ErrorKind::Input, message),
            VersionsError::Git { output, .. } => Self::new(ErrorKind::System, message).caused_by(output),
            VersionsError::Source(source) => source.into(),
            // the text of an fs_err error names the path and what was tried
            VersionsError::Io(source) => Self::new(ErrorKind::System, source.to_string()),
        }
    }
}
