//! Which version of a services repository an instance is taken from: a git tag, a chart of a registry, or the working
//! copy with its commit and whether files differ from it, as the `git` program tells it.
//!
//! A missing `git` or a folder outside of any repository is a fact that is shown, never an error: a beamline
//! must be deployable from a copied folder on a machine without git.

use std::fmt;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// Annotation of the chart in a release record: the version.
const VERSION: &str = "ioc/version";
/// Annotation: the commit of a tag.
const COMMIT: &str = "ioc/commit";
/// Annotation: the digest of a chart from a registry.
const DIGEST: &str = "ioc/digest";
/// Annotation: where tag or chart are from.
const REPOSITORY: &str = "ioc/repository";

/// The version that an instance is taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Version {
    /// A git working copy.
    Commit {
        /// Abbreviated commit.
        commit: String,
        /// Files below the repository differ from the commit, or are not part of it.
        dirty: bool,
    },
    /// A git tag.
    Tag {
        /// The tag.
        tag: String,
        /// The commit that it points to, in full.
        commit: String,
        /// Folder or URL of the repository, without passwords.
        repository: String,
    },
    /// A chart of a registry.
    Chart {
        /// The version of the chart.
        version: String,
        /// The digest of its manifest, `sha256:…`.
        digest: String,
        /// Where it was pulled from, without the version.
        repository: String,
    },
    /// A git repository before its first commit.
    Unborn,
    /// No commit is known, and why.
    Unknown {
        /// Why: lower case, without a full stop.
        reason: String,
    },
}

impl Version {
    /// Asks `git` about the folder `root`; only what lies below it counts as changed.
    pub fn of_working_copy(root: &Path) -> Self {
        let commit = match git(
            root,
            &["rev-parse", "--short=10", "--verify", "--quiet", "HEAD"],
        ) {
            Ok(Some(commit)) => commit,
            Ok(None) => return Self::without_commit(root),
            Err(reason) => return Self::Unknown { reason },
        };
        match git(
            root,
            &["status", "--porcelain", "--ignore-submodules", "--", "."],
        ) {
            Ok(Some(changes)) => Self::Commit {
                commit,
                dirty: !changes.is_empty(),
            },
            Ok(None) => Self::Unknown {
                reason: format!("`git status` fails in `{}`", root.display()),
            },
            Err(reason) => Self::Unknown { reason },
        }
    }

    fn without_commit(root: &Path) -> Self {
        match git(root, &["rev-parse", "--git-dir"]) {
            Ok(Some(_)) => Self::Unborn,
            Ok(None) => Self::Unknown {
                reason: format!(
                    "`{}` is not in a git repository that git may read",
                    root.display()
                ),
            },
            Err(reason) => Self::Unknown { reason },
        }
    }

    /// What is put beside a deployed instance so that it can be told where it came from.
    pub fn annotations(&self) -> Vec<(&'static str, String)> {
        let mut annotations = vec![(VERSION, self.to_string())];
        match self {
            Self::Commit { .. } | Self::Unborn | Self::Unknown { .. } => {}
            Self::Tag {
                commit, repository, ..
            } => {
                annotations.push((COMMIT, commit.clone()));
                annotations.push((REPOSITORY, repository.clone()));
            }
            Self::Chart {
                digest, repository, ..
            } => {
                annotations.push((DIGEST, digest.clone()));
                annotations.push((REPOSITORY, repository.clone()));
            }
        }
        annotations
    }

    /// What happened to the tag or chart since a revision with these annotations was deployed from it: it names something
    /// else now.
    pub fn moved<'a>(
        &self,
        annotation: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Option<String> {
        if annotation(VERSION) != Some(self.to_string().as_str()) {
            return None;
        }
        let (key, now) = match self {
            Self::Tag { commit, .. } => (COMMIT, commit),
            Self::Chart { digest, .. } => (DIGEST, digest),
            Self::Commit { .. } | Self::Unborn | Self::Unknown { .. } => return None,
        };
        let before = annotation(key).filter(|before| before != now)?;
        Some(format!(
            "`{self}` has moved since it was deployed: it was {}, now it is {}",
            shortened(before),
            shortened(now)
        ))
    }
}

impl fmt::Display for Version {
    /// `3f2a1b0c9d`, `3f2a1b0c9d-dirty`, `no-commit` or `unknown`: fits a label and an app version.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit { commit, dirty } => {
                write!(formatter, "{commit}{}", if *dirty { "-dirty" } else { "" })
            }
            Self::Tag { tag: version, .. } | Self::Chart { version, .. } => {
                formatter.write_str(version)
            }
            Self::Unborn => formatter.write_str("no-commit"),
            Self::Unknown { .. } => formatter.write_str("unknown"),
        }
    }
}

/// The beginning of a commit or digest.
fn shortened(text: &str) -> &str {
    let length = if text.starts_with("sha256:") { 19 } else { 10 };
    text.get(..length).unwrap_or(text)
}

/// Output of `git` without its line end, `None` when it ended with an error, or why it did not start.
fn git(folder: &Path, arguments: &[&str]) -> Result<Option<String>, String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        // No lock is taken for refreshing the index: reading must not disturb a person's own git.
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C")
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "the program `git` is not installed".to_owned(),
            _ => format!("`git` does not start: {error}"),
        })?;
    let text = String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned();
    Ok(output.status.success().then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(folder: &Path, arguments: &[&str]) {
        let done = git(folder, arguments).unwrap();
        assert!(done.is_some(), "git {arguments:?} failed");
    }

    #[test]
    fn commit_and_changes_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("beamlines/t01");
        fs_err::create_dir_all(&root).unwrap();
        assert!(matches!(
            Version::of_working_copy(&root),
            Version::Unknown { .. }
        ));
        run(folder.path(), &["init", "-q"]);
        assert_eq!(Version::of_working_copy(&root), Version::Unborn);
        fs_err::write(root.join("values.yaml"), "a: 1\n").unwrap();
        run(folder.path(), &["add", "."]);
        let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
        run(folder.path(), &[&who[..], &["commit", "-qm", "a"]].concat());
        let clean = Version::of_working_copy(&root);
        assert!(matches!(&clean, Version::Commit { dirty: false, .. }));
        assert_eq!(clean.to_string().len(), 10);
        // a change outside of the services repository is none of it
        fs_err::write(folder.path().join("other"), "").unwrap();
        assert_eq!(Version::of_working_copy(&root), clean);
        fs_err::write(root.join("new"), "").unwrap();
        assert_eq!(
            Version::of_working_copy(&root).to_string(),
            format!("{clean}-dirty")
        );
    }
}
