//! What `generic-iocs/<name>/image.yaml` says: the shape only. `docs/images.md` describes every field.
//!
//! Whether names exist, files are there and the order of modules is right is seen by [`super::catalog`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::yaml::Spanned;

/// An image as its `image.yaml` describes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageDefinition {
    /// What it is, one line; becomes the label `org.opencontainers.image.description`.
    pub description: String,
    /// `os`, an image of the project, or a registry reference in which `{target}` stands for the target.
    pub base: Spanned<String>,
    /// Modules that a base from a registry already has.
    #[serde(default)]
    pub provides: Vec<Spanned<String>>,
    /// Support modules to build, in this order.
    #[serde(default)]
    pub modules: Vec<Spanned<String>>,
    /// The IOC application; without it the image is a layer for other images.
    pub application: Option<Application>,
    /// Additions to the developer target.
    #[serde(default)]
    pub developer: Additions,
    /// Additions to the runtime target.
    #[serde(default)]
    pub runtime: RuntimeAdditions,
}

/// The IOC application: an EPICS application that `ioc` writes and builds at `/epics/ioc`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Application {
    /// Modules to link, with what they depend on; all modules of the image and its bases by default.
    pub modules: Option<Vec<Spanned<String>>>,
    /// Database definitions besides those of the modules.
    #[serde(default)]
    pub dbds: Vec<String>,
    /// Libraries besides those of the modules, most dependent first.
    #[serde(default)]
    pub libraries: Vec<String>,
    /// Libraries of the operating system.
    #[serde(default)]
    pub system_libraries: Vec<String>,
    /// Registrars that no dbd of a module names, such as those of SNL programs.
    #[serde(default)]
    pub registrars: Vec<String>,
    /// Folder beside `image.yaml` with own code, database definitions, databases, protocols.
    pub sources: Option<Spanned<PathBuf>>,
}

/// What a target gets besides what its modules need.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Additions {
    /// Debian packages.
    #[serde(default)]
    pub packages: Vec<Spanned<String>>,
    /// Environment variables.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// What the runtime target gets besides what its modules need.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RuntimeAdditions {
    /// Debian packages.
    #[serde(default)]
    pub packages: Vec<Spanned<String>>,
    /// Environment variables.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Files and folders of the developer image to take along, absolute.
    #[serde(default)]
    pub files: Vec<Spanned<String>>,
    /// Numeric user that the IOC runs as.
    pub uid: Option<Spanned<u32>>,
}

/// Where an image comes from: what its `base` says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// The operating-system image of the settings.
    OperatingSystem,
    /// An image of the project, by name.
    Image(String),
    /// A reference that the engine finds in its store or in a registry; `{target}` stands for the target.
    Reference(String),
}

impl Base {
    /// Reads the text of a `base` field: only a registry reference has a `/` or a `:`.
    pub fn parse(text: &str) -> Self {
        if text == "os" {
            Self::OperatingSystem
        } else if text.contains(['/', ':']) {
            Self::Reference(text.to_owned())
        } else {
            Self::Image(text.to_owned())
        }
    }

    /// As it stands in `image.yaml`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::OperatingSystem => "os",
            Self::Image(name) | Self::Reference(name) => name,
        }
    }
}

/// One of the two targets of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Compilers, sources, EPICS build system: everything to work on the code.
    Developer,
    /// What an IOC instance runs.
    Runtime,
}

impl Target {
    /// Both, in build order.
    pub const ALL: [Self; 2] = [Self::Developer, Self::Runtime];

    /// As it stands in image names and stages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Runtime => "runtime",
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_told_by_its_form() {
        for (text, base) in [
            ("os", Base::OperatingSystem),
            ("epics-base", Base::Image("epics-base".into())),
            ("debian:trixie", Base::Reference("debian:trixie".into())),
            (
                "ghcr.io/x/epics-base-{target}:7.0.9",
                Base::Reference("ghcr.io/x/epics-base-{target}:7.0.9".into()),
            ),
        ] {
            assert_eq!(Base::parse(text), base);
            assert_eq!(base.as_str(), text);
        }
    }
}
