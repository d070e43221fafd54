//! Names of releases.

use std::sync::LazyLock;

use regex::Regex;

/// Longest name of a release: what remains of a DNS label for the names of its objects.
const MAX_LENGTH: usize = 53;

static VALID: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$").ok()
});

/// A name that Helm refuses for a release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseNameError {
    /// No name at all.
    #[error("a release needs a name")]
    Empty,
    /// More than 53 characters.
    #[error("release name `{name}` has {length} characters, at most {MAX_LENGTH} are allowed")]
    TooLong {
        /// The name.
        name: String,
        /// Its length.
        length: usize,
    },
    /// Forbidden characters.
    #[error(
        "release name `{0}` may have lower-case letters, digits, hyphens and dots only, and each \
         part between dots must begin and end with a letter or digit"
    )]
    Characters(String),
}

/// Checks a name for a release.
///
/// # Errors
/// When Helm would refuse it.
pub fn validate_name(name: &str) -> Result<(), ReleaseNameError> {
    if name.is_empty() {
        return Err(ReleaseNameError::Empty);
    }
    if name.len() > MAX_LENGTH {
        let length = name.chars().count();
        return Err(ReleaseNameError::TooLong {
            name: name.to_owned(),
            length,
        });
    }
    if !VALID.as_ref().is_some_and(|valid| valid.is_match(name)) {
        return Err(ReleaseNameError::Characters(name.to_owned()));
    }
    Ok(())
}
