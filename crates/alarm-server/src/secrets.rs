//! Files with secrets: only their owner may read them, and what is in them is never shown.

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Largest file with a secret, in bytes.
const LARGEST: u64 = 1 << 20;

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// It cannot be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others could read it too.
    #[error("`{}` holds secrets, but its mode {mode:03o} lets others read it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not hold what is needed.
    #[error("`{}`: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, without the secret.
        why: String,
    },
}

impl SecretError {
    /// What can be done about it, to be pasted.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Open { path, .. } => Some(format!("chmod 600 {}", path.display())),
            Self::Read { .. } | Self::Content { .. } => None,
        }
    }
}

/// Reads a file with a secret. The permissions are those of the file that is read, not of a name that could be changed
/// in between.
///
/// # Errors
///
/// A file that cannot be read, that others can read, or that is too large or no text.
pub fn read(path: &Path) -> Result<String, SecretError> {
    let failed = |source| SecretError::Read {
        path: path.to_owned(),
        source,
    };
    let file = fs_err::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    if metadata.size() > LARGEST {
        return Err(SecretError::Content {
            path: path.to_owned(),
            why: format!("has {} bytes, at most {LARGEST} are read", metadata.size()),
        });
    }
    let mut text = String::new();
    file.take(LARGEST)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_others_can_read_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs_err::write(&path, "word\n").unwrap();
        for mode in [0o644, 0o640, 0o604] {
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err();
            assert!(matches!(error, SecretError::Open { .. }), "{error}");
            assert_eq!(error.hint(), Some(format!("chmod 600 {}", path.display())));
            assert!(!error.to_string().contains("word"));
        }
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path).unwrap(), "word\n");
        assert!(matches!(
            read(&folder.path().join("none")),
            Err(SecretError::Read { .. })
        ));
    }
}
