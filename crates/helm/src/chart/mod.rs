//! A chart as it is on disk or in an archive: metadata, values, templates, files, dependencies.
//!
//! A [`Chart`] is immutable, holds nothing of a particular release and can be rendered any number of
//! times and by several threads. What a release's values do to its dependencies (conditions, tags,
//! aliases, `import-values`) happens while rendering.

mod archive;
mod cache;
mod dependency_lock;
mod error;
mod identity;
mod ignore;
mod load;
mod metadata;
mod package;
mod typed;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

pub use self::cache::ChartCache;
pub use self::dependency_lock::{
    DependencyStatus, dependency_digest, dependency_status, lock_yaml,
};
pub use self::error::ChartError;
pub(crate) use self::error::conversion;
pub use self::identity::ChartIdentity;
pub use self::load::{LinkPolicy, LoadLimits, LoadOptions};
pub(crate) use self::metadata::read_metadata_as_helm;
pub use self::metadata::{Dependency, ImportValue, Lock, Maintainer, Metadata};
pub use self::package::{Package, chart_yaml};
pub(crate) use self::typed::text_of as typed_text;
use crate::schema::Schema;
use crate::template::ast::ParsedTemplate;
use crate::template::error::ParseError;
use crate::yaml::Value;

/// A loaded chart.
#[derive(Debug, Clone)]
pub struct Chart {
    pub(crate) metadata: Metadata,
    pub(crate) lock: Option<Lock>,
    pub(crate) templates: Vec<Template>,
    pub(crate) values: Arc<Value>,
    /// The text of `values.yaml` as it is.
    pub(crate) values_file: Option<File>,
    pub(crate) schema: Option<Arc<Schema>>,
    pub(crate) files: Vec<File>,
    pub(crate) dependencies: Vec<Arc<Chart>>,
    pub(crate) modified: Option<Timestamp>,
    pub(crate) schema_modified: Option<Timestamp>,
    links: Vec<Link>,
    warnings: Vec<String>,
}

/// A file of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path inside the chart, with slashes.
    pub name: Arc<str>,
    /// Content.
    pub data: Arc<[u8]>,
    /// When it was last changed, where that is known.
    pub modified: Option<Timestamp>,
}

/// A symbolic link that was followed while a chart was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The link.
    pub path: PathBuf,
    /// What it leads to, without further links.
    pub target: PathBuf,
}

#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) file: File,
    /// Shared between charts that have the same text.
    pub(crate) parsed: Arc<Result<ParsedTemplate, ParseError>>,
}

impl Chart {
    /// Loads a chart from a folder or from a `.tgz` file.
    ///
    /// # Errors
    /// When it is no chart, when it is beyond the limits, and when a link leads where the options do
    /// not allow it.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self, ChartError> {
        load::load(path, options)
    }

    /// Loads a chart from the bytes of a `.tgz` file.
    ///
    /// # Errors
    /// As [`Self::load`]; also when the archive holds paths that lead out of the chart.
    pub fn load_archive(bytes: &[u8], options: &LoadOptions) -> Result<Self, ChartError> {
        load::load_archive(bytes, options)
    }

    /// Loads a chart from files in memory, named by their paths inside the chart.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_files(files: Vec<File>, options: &LoadOptions) -> Result<Self, ChartError> {
        load::load_files(files, options)
    }

    /// What `Chart.yaml` says.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Name of the chart.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// What `Chart.lock` says.
    pub const fn lock(&self) -> Option<&Lock> {
        self.lock.as_ref()
    }

    /// The default values, without those of dependencies.
    pub fn values(&self) -> &Value {
        &self.values
    }

    /// The text of `values.schema.json`.
    pub fn schema(&self) -> Option<&[u8]> {
        self.schema.as_ref().map(|schema| schema.text())
    }

    /// The text of `values.yaml` as it is.
    pub fn values_text(&self) -> Option<&[u8]> {
        self.values_file.as_ref().map(|file| file.data.as_ref())
    }

    /// Files that are neither templates nor read by Helm itself.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The templates.
    pub fn templates(&self) -> impl Iterator<Item = &File> {
        self.templates.iter().map(|template| &template.file)
    }

    /// Charts below `charts/`, and those that `file://` dependencies lead to.
    pub fn dependencies(&self) -> &[Arc<Chart>] {
        &self.dependencies
    }

    /// Symbolic links that were followed, those of dependencies included.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// What is odd about the chart without being an error.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether the chart only gives templates to others.
    pub fn is_library(&self) -> bool {
        self.metadata.chart_type.eq_ignore_ascii_case("library")
    }

    /// Declared dependencies that are not there.
    pub fn missing_dependencies(&self) -> Vec<&str> {
        self.metadata
            .dependencies
            .iter()
            .filter(|declared| {
                self.dependencies
                    .iter()
                    .all(|chart| chart.name() != declared.name)
            })
            .map(|declared| declared.name.as_str())
            .collect()
    }

    /// Files of `crds/`, those of dependencies after the chart's own, with their full paths.
    pub fn crds(&self) -> Vec<(String, &File)> {
        self.crds_below(self.name())
    }

    pub(crate) fn crd_files(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| is_crd(&file.name))
    }

    fn crds_below(&self, path: &str) -> Vec<(String, &File)> {
        let mut all: Vec<_> = self
            .crd_files()
            .map(|file| (format!("{path}/{}", file.name), file))
            .collect();
        for chart in &self.dependencies {
            all.extend(chart.crds_below(&format!("{path}/charts/{}", chart.name())));
        }
        all
    }

    /// The same chart under another version.
    ///
    /// # Errors
    /// When it is no complete semantic version.
    pub fn with_version(mut self, version: &str) -> Result<Self, ChartError> {
        if !crate::semantic_version::is_exact_version(version) {
            return Err(ChartError::Package(format!(
                "`{version}` is not a semantic version"
            )));
        }
        version.clone_into(&mut self.metadata.version);
        Ok(self)
    }

    /// The same chart for another version of what it installs.
    #[must_use]
    pub fn with_app_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.metadata.app_version);
        self
    }

    /// The chart as the archive that `helm package` writes.
    ///
    /// # Errors
    /// When the schema is not JSON, or the name or version cannot be part of a file name.
    pub fn package(&self) -> Result<Package, ChartError> {
        package::package(self)
    }
}

/// The files of a chart's archive as they are: names inside the chart, and contents.
///
/// # Errors
/// When it is no archive of a chart, holds links or paths that lead out of it, or is beyond the limits.
pub fn archive_files(bytes: &[u8], limits: &LoadLimits) -> Result<Vec<File>, ChartError> {
    archive::unpack(bytes, limits)
}

fn is_crd(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    name.starts_with("crds/")
        && ["yaml", "yml", "json"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(extension))
}

#[cfg(test)]
mod tests;
