//! `image.lock`: which commit, checksum and base image each definition meant when it was last built. Pure.
//!
//! The file is written by `ioc build` and meant to be committed. An entry holds only for the source that it was
//! made for: a recipe that names another tag gets a new entry. Images that exist on this machine only (no
//! registry digest) and local folders are not pinned: the former cannot be had elsewhere, the latter are in
//! the same repository.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Place};

/// Name of the file in the folder of the images.
pub const FILE_NAME: &str = "image.lock";

const HEADER: &str = "# Written by `ioc build`: commit it. `ioc build --update` moves it, `--locked` refuses what differs from it.\n";
const VERSION: u32 = 1;

/// Contents of the lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    /// Images from a registry, by reference.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub base: BTreeMap<String, LockedBase>,
    /// Modules by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub module: BTreeMap<String, LockedModule>,
}

/// A base image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedBase {
    /// Its digest in the registry, `sha256:…`.
    pub digest: String,
}

/// The source of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedModule {
    /// The source as the recipe names it, in words.
    pub source: String,
    /// What it was: `commit:…` or `sha256:…`.
    pub identity: String,
}

impl Default for Lock {
    fn default() -> Self {
        Self {
            version: VERSION,
            base: BTreeMap::new(),
            module: BTreeMap::new(),
        }
    }
}

impl Lock {
    /// Reads the text of a lock file.
    ///
    /// # Errors
    ///
    /// A diagnostic with the place; also for a file of a newer version.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Box<Diagnostic>> {
        let lock: Self = toml::from_str(text).map_err(|error| {
            let place = error.span().map_or_else(
                || Place::file(path),
                |span| Place::in_range(path, text, span),
            );
            Box::new(
                Diagnostic::error(error.message().lines().next().unwrap_or_default())
                    .at(place)
                    .hint("restore the file from version control, or write it anew with `ioc build --update`"),
            )
        })?;
        if lock.version != VERSION {
            return Err(Box::new(
                Diagnostic::error(format!(
                    "`{}` has version {}, this ioc reads version {VERSION}",
                    path.display(),
                    lock.version
                ))
                .in_file(path)
                .hint("use the ioc that wrote it, or write it anew with `ioc build --update`"),
            ));
        }
        Ok(lock)
    }

    /// The text of the file.
    ///
    /// # Errors
    ///
    /// Never for what [`Self::parse`] gave.
    pub fn to_text(&self) -> Result<String, toml::ser::Error> {
        Ok(format!("{HEADER}{}", toml::to_string(self)?))
    }

    /// What is locked for a module, if its recipe still names the same source.
    pub fn identity_of(&self, module: &str, source: &str) -> Option<&str> {
        self.module
            .get(module)
            .filter(|locked| locked.source == source)
            .map(|locked| locked.identity.as_str())
    }
}

/// What differs between the lock and what would be built, in words; empty when nothing does.
///
/// Only what is built now is compared: entries of other images stay as they are.
pub fn drift(lock: &Lock, now: &Lock) -> Vec<String> {
    let mut told = Vec::new();
    for (name, module) in &now.module {
        match lock.module.get(name) {
            Some(locked) if locked == module => {}
            Some(locked) if locked.source != module.source => told.push(format!(
                "`{name}` comes from {}, the lock says {}",
                module.source, locked.source
            )),
            Some(locked) => told.push(format!(
                "`{name}` is {}, the lock says {}",
                module.identity, locked.identity
            )),
            None => told.push(format!("`{name}` is not in the lock")),
        }
    }
    for (reference, base) in &now.base {
        match lock.base.get(reference) {
            Some(locked) if locked == base => {}
            Some(locked) => told.push(format!(
                "base image `{reference}` is {}, the lock says {}",
                base.digest, locked.digest
            )),
            None => told.push(format!("base image `{reference}` is not in the lock")),
        }
    }
    told
}

/// The lock with the entries of a build put in.
pub fn merged(lock: &Lock, now: &Lock) -> Lock {
    let mut merged = lock.clone();
    merged.module.extend(now.module.clone());
    merged.base.extend(now.base.clone());
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(modules: &[(&str, &str, &str)], bases: &[(&str, &str)]) -> Lock {
        Lock {
            module: modules
                .iter()
                .map(|(name, source, identity)| {
                    let locked = LockedModule {
                        source: (*source).into(),
                        identity: (*identity).into(),
                    };
                    ((*name).to_owned(), locked)
                })
                .collect(),
            base: bases
                .iter()
                .map(|(name, digest)| {
                    (
                        (*name).to_owned(),
                        LockedBase {
                            digest: (*digest).into(),
                        },
                    )
                })
                .collect(),
            ..Lock::default()
        }
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let lock = lock(
            &[("asyn", "u at R4-45", "commit:1")],
            &[("debian:trixie", "sha256:2")],
        );
        let text = lock.to_text().unwrap();
        assert_eq!(Lock::parse(Path::new("image.lock"), &text).unwrap(), lock);
        insta::assert_snapshot!(text, @r#"
        # Written by `ioc build`: commit it. `ioc build --update` moves it, `--locked` refuses what differs from it.
        version = 1

        [base."debian:trixie"]
        digest = "sha256:2"

        [module.asyn]
        source = "u at R4-45"
        identity = "commit:1"
        "#);
    }

    #[test]
    fn a_file_of_another_version_or_shape_is_refused() {
        for text in [
            "version = 2\n",
            "version = 1\n[modul.x]\n",
            "version = 1\n[module.x]\nsource = 1\n",
            "x",
        ] {
            let finding = Lock::parse(Path::new("image.lock"), text).unwrap_err();
            assert!(finding.hint.is_some(), "{finding:?}");
        }
    }

    #[test]
    fn an_entry_holds_only_for_its_source() {
        let lock = lock(&[("asyn", "u at R4-45", "commit:1")], &[]);
        assert_eq!(lock.identity_of("asyn", "u at R4-45"), Some("commit:1"));
        assert_eq!(lock.identity_of("asyn", "u at R4-46"), None);
        assert_eq!(lock.identity_of("calc", "u at R4-45"), None);
    }

    #[test]
    fn drift_is_told_in_words_and_only_for_what_is_built() {
        let before = lock(
            &[("asyn", "a R1", "commit:1"), ("calc", "c R1", "commit:1")],
            &[("d:t", "sha256:1")],
        );
        for (now, told) in [
            (
                lock(&[("asyn", "a R1", "commit:1")], &[("d:t", "sha256:1")]),
                "",
            ),
            (
                lock(&[("asyn", "a R1", "commit:2")], &[]),
                "`asyn` is commit:2, the lock says commit:1",
            ),
            (
                lock(&[("asyn", "a R2", "commit:2")], &[]),
                "`asyn` comes from a R2, the lock says a R1",
            ),
            (
                lock(&[("motor", "m", "commit:1")], &[]),
                "`motor` is not in the lock",
            ),
            (
                lock(&[], &[("d:t", "sha256:2")]),
                "base image `d:t` is sha256:2, the lock says sha256:1",
            ),
        ] {
            assert_eq!(drift(&before, &now).join("; "), told);
            assert!(drift(&merged(&before, &now), &now).is_empty());
        }
    }
}
