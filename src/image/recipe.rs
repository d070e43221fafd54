//! What `generic-iocs/modules/<module>.yaml` says: how a support module is had, built and used. The shape
//! only; `docs/images.md` describes every field.
//!
//! Whether names exist and files are there is seen by [`super::catalog`]; what is done with a recipe by
//! [`super::script`] and [`super::containerfile`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::source::Source;
use crate::yaml::Spanned;

/// A support module as its recipe describes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// What it is, one line.
    pub description: String,
    /// Version for people; the tag or package version of the source by default.
    pub version: Option<String>,
    /// Where its source comes from.
    pub source: Spanned<Source>,
    /// Where it is built in the image; `/epics/support/<module>` by default.
    pub folder: Option<Spanned<String>>,
    /// Macros that `RELEASE` files and start-up scripts know it by; the name in upper case by default.
    pub macros: Option<Vec<Spanned<String>>>,
    /// Modules that it needs.
    #[serde(default)]
    pub depends: Vec<Spanned<String>>,
    /// Modules that it uses when they stand before it in the image.
    #[serde(default)]
    pub uses: Vec<Spanned<String>>,
    /// Debian packages.
    #[serde(default)]
    pub packages: Packages,
    /// Further macros of its `configure/RELEASE`.
    #[serde(default)]
    pub release: BTreeMap<String, String>,
    /// Settings of its `configure/CONFIG_SITE.local`.
    #[serde(default)]
    pub config_site: BTreeMap<String, String>,
    /// Settings for itself and for every module and application that depends on it.
    #[serde(default)]
    pub shared_config_site: BTreeMap<String, String>,
    /// Files and folders that are removed from the source first; `*` matches within one name.
    #[serde(default)]
    pub remove: Vec<Spanned<String>>,
    /// Patches, applied with `patch -p1`.
    #[serde(default)]
    pub patches: Vec<Spanned<PathBuf>>,
    /// Folder that is copied over the source.
    pub overlay: Option<Spanned<PathBuf>>,
    /// Changes of single lines.
    #[serde(default)]
    pub edits: Vec<Spanned<Edit>>,
    /// Shell commands before `make`.
    #[serde(default)]
    pub prepare: Vec<Spanned<String>>,
    /// Shell commands in place of `make`.
    pub build: Option<Vec<Spanned<String>>>,
    /// Arguments of `make`.
    #[serde(default)]
    pub make_options: Vec<Spanned<String>>,
    /// How many jobs `make` may run; one per processor by default.
    pub jobs: Option<Spanned<u16>>,
    /// Shell commands after `make`.
    #[serde(default)]
    pub finish: Vec<Spanned<String>>,
    /// Database definitions for an IOC that uses it.
    #[serde(default)]
    pub dbds: Vec<String>,
    /// Its libraries, most dependent first.
    #[serde(default)]
    pub libraries: Vec<String>,
    /// Libraries of the operating system that an IOC must name itself.
    #[serde(default)]
    pub system_libraries: Vec<String>,
    /// Folders with databases, templates and autosave request files; `[db]` by default.
    pub databases: Option<Vec<Spanned<String>>>,
    /// Folders with StreamDevice protocols.
    #[serde(default)]
    pub protocols: Vec<Spanned<String>>,
    /// Programs of its `bin` that the runtime image has.
    #[serde(default)]
    pub programs: Vec<Spanned<String>>,
    /// Files and folders of it that the runtime image has besides: scripts, schemas, libraries that are
    /// loaded by name.
    #[serde(default)]
    pub runtime_files: Vec<Spanned<String>>,
    /// Environment variables of both targets.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// Debian packages of a module.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Packages {
    /// In the developer image.
    #[serde(default)]
    pub build: Vec<Spanned<String>>,
    /// In the runtime image.
    #[serde(default)]
    pub run: Vec<Spanned<String>>,
}

/// A change of the lines of one file; exactly one of the actions. A change that finds nothing to do fails
/// the build, so that it does not outlive its reason.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Edit {
    /// The file, relative to the module; `*` matches within one name.
    pub file: String,
    /// Extended regular expression: matching lines are removed.
    pub delete: Option<String>,
    /// Extended regular expression: matching lines become comments (`#`).
    pub comment: Option<String>,
    /// Extended regular expression: what matches is replaced by `with`.
    pub replace: Option<String>,
    /// The replacement, as `sed` understands it.
    pub with: Option<String>,
    /// Text that is added at the end.
    pub append: Option<String>,
}

impl Edit {
    /// Why this is not exactly one change.
    pub fn problem(&self) -> Option<&'static str> {
        let actions = [&self.delete, &self.comment, &self.replace, &self.append];
        match actions.iter().filter(|action| action.is_some()).count() {
            0 => Some(
                "says nothing to do: one of `delete`, `comment`, `replace`, `append` belongs here",
            ),
            1 if self.replace.is_some() != self.with.is_some() => {
                Some("needs `replace` and `with` together")
            }
            1 => None,
            _ => Some("says more than one thing to do: write one entry per change"),
        }
    }
}
