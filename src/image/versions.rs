//! Which modules, versions and commits an image holds: `/epics/versions.json` and the labels. Pure.
//!
//! What is read here comes out of images and containers of anybody: texts may hold anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::image::chain::Layer;
use crate::source::{Identity, IdentityKind};

/// Where images keep what they are made of.
pub const VERSIONS_FILE: &str = "/epics/versions.json";

/// Contents of `/epics/versions.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Name of the image.
    pub image: String,
    /// What it is built on, as its definition says.
    pub base: String,
    /// All modules inside, in build order.
    pub modules: Vec<ModuleVersion>,
}

/// One module of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleVersion {
    /// Name of its recipe.
    pub name: String,
    /// Version for people; empty for a folder of the project.
    pub version: String,
    /// Where the source came from, in words.
    pub source: String,
    /// Git commit, if it came from git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// SHA-256 of the archives or, for a folder, of its contents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Versions {
    /// The versions of an image whose sources have these identities, by module.
    pub fn new(layer: &Layer<'_>, identities: &BTreeMap<String, Identity>) -> Self {
        let modules = layer.modules().map(|placed| {
            let module = placed.module;
            let identity = identities.get(&module.name);
            let value = |wanted: fn(IdentityKind) -> bool| {
                identity
                    .filter(|identity| wanted(identity.kind))
                    .map(|identity| identity.value.clone())
            };
            ModuleVersion {
                name: module.name.clone(),
                version: module.version(),
                source: module.recipe.source.value.to_string(),
                commit: value(|kind| kind == IdentityKind::Commit),
                sha256: value(|kind| kind != IdentityKind::Commit),
            }
        });
        Self {
            image: layer.name().to_owned(),
            base: layer.base.as_str().to_owned(),
            modules: modules.collect(),
        }
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        // strings and lists always are JSON
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

impl ModuleVersion {
    /// The modules that `value` lists: our own file, or a map from module to version as other builders write it.
    pub fn read(value: &serde_json::Value) -> Vec<Self> {
        let Some(object) = value.as_object() else {
            return Vec::new();
        };
        if let Some(modules) = object.get("modules").and_then(|modules| modules.as_array()) {
            return modules.iter().map(Self::read_one).collect();
        }
        let modules = object.iter().map(|(name, version)| Self {
            name: name.clone(),
            version: version
                .as_str()
                .map_or_else(|| version.to_string(), str::to_owned),
            source: String::new(),
            commit: None,
            sha256: None,
        });
        modules.collect()
    }

    /// The same from the text of the file.
    ///
    /// # Errors
    ///
    /// It is no JSON.
    pub fn parse(text: &str) -> serde_json::Result<Vec<Self>> {
        serde_json::from_str(text).map(|value| Self::read(&value))
    }

    fn read_one(module: &serde_json::Value) -> Self {
        let text = |key: &str| module.get(key)?.as_str().map(str::to_owned);
        Self {
            name: text("name").unwrap_or_default(),
            version: text("version").unwrap_or_default(),
            source: text("source").unwrap_or_default(),
            commit: text("commit"),
            sha256: text("sha256"),
        }
    }

    /// The commit or the sum in full; nothing when neither is known.
    pub fn exact(&self) -> Option<&str> {
        self.commit.as_deref().or(self.sha256.as_deref())
    }

    /// Version and the beginning of the commit or sum, as the labels have it.
    pub fn summary(&self) -> String {
        let short: String = self.exact().unwrap_or("").chars().take(12).collect();
        match (self.version.is_empty(), short.is_empty()) {
            (true, _) => short,
            (false, true) => self.version.clone(),
            (false, false) => format!("{} {short}", self.version),
        }
    }
}
