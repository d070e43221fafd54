//! Files into a chart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::unpack;
use super::cache::ChartCache;
use super::metadata::{Lock, Metadata};
use super::walk::{Walked, walk};
use super::{Chart, ChartError, File, Link, Template};
use crate::semantic_version::is_compatible;
use crate::values::read_values;
use crate::yaml::Value;

/// How charts are loaded.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Which symbolic links in a chart's folder are followed.
    pub links: LinkPolicy,
    /// How large a chart may be.
    pub limits: LoadLimits,
    /// Parsed parts of charts loaded before. Share one between the charts of a repository.
    pub cache: Arc<ChartCache>,
    /// Whether `file://` dependencies that are not in `charts/` are loaded from where they point.
    /// Helm needs them vendored; a working copy is easier to work with when they need not be.
    pub follow_file_dependencies: bool,
}

/// Which symbolic links are followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LinkPolicy {
    /// All, as Helm does.
    #[default]
    Anywhere,
    /// Those that stay inside a folder, for example that of the services repository.
    Within(PathBuf),
    /// None; a link is an error.
    Refuse,
}

/// How large a chart may be, its dependencies included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadLimits {
    /// Bytes of all files, unpacked; Helm's 100 MiB.
    pub total_bytes: u64,
    /// Number of files.
    pub entries: usize,
    /// Charts inside one another.
    pub depth: usize,
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self {
            total_bytes: 100 * 1024 * 1024,
            entries: 10_000,
            depth: 16,
        }
    }
}

pub(super) fn load(path: &Path, options: &LoadOptions) -> Result<Chart, ChartError> {
    load_at_depth(path, options, 0)
}

fn load_at_depth(path: &Path, options: &LoadOptions, depth: usize) -> Result<Chart, ChartError> {
    if !fs_err::metadata(path)?.is_dir() {
        let size = fs_err::metadata(path)?.len();
        if size > options.limits.total_bytes {
            return Err(ChartError::TooLarge(format!(
                "{} bytes",
                options.limits.total_bytes
            )));
        }
        return Loader {
            options,
            folder: None,
            depth,
        }
        .archive(&fs_err::read(path)?);
    }
    if !path.join("Chart.yaml").exists() {
        return Err(ChartError::NoChartFile(path.to_owned()));
    }
    let Walked { files, links } = walk(path, options)?;
    Loader {
        options,
        folder: Some(path),
        depth,
    }
    .chart(files, links)
}

pub(super) fn load_archive(bytes: &[u8], options: &LoadOptions) -> Result<Chart, ChartError> {
    Loader {
        options,
        folder: None,
        depth: 0,
    }
    .archive(bytes)
}

pub(super) fn load_files(files: Vec<File>, options: &LoadOptions) -> Result<Chart, ChartError> {
    let limits = &options.limits;
    let bytes: u64 = files.iter().map(|file| file.data.len() as u64).sum();
    if bytes > limits.total_bytes {
        let most = limits.total_bytes;
        return Err(ChartError::TooLarge(format!("{most} bytes")));
    }
    if files.len() > limits.entries {
        let most = limits.entries;
        return Err(ChartError::TooLarge(format!("{most} files")));
    }
    Loader {
        options,
        folder: None,
        depth: 0,
    }
    .chart(files, Vec::new())
}

struct Loader<'o> {
    options: &'o LoadOptions,
    /// Where the chart is, for `file://` dependencies.
    folder: Option<&'o Path>,
    depth: usize,
}

/// The files of `charts/` by the first part of their path there.
type Subcharts = BTreeMap<String, Vec<File>>;

impl Loader<'_> {
    fn archive(&self, bytes: &[u8]) -> Result<Chart, ChartError> {
        self.chart(unpack(bytes, &self.options.limits)?, Vec::new())
    }

    fn chart(&self, files: Vec<File>, links: Vec<Link>) -> Result<Chart, ChartError> {
        if self.depth > self.options.limits.depth {
            let most = self.options.limits.depth;
            return Err(ChartError::TooLarge(format!(
                "{most} charts inside one another"
            )));
        }
        let Some(chart_file) = files.iter().find(|file| file.name.as_ref() == "Chart.yaml") else {
            return Err(ChartError::NoChartFile(
                self.folder.map(Path::to_owned).unwrap_or_default(),
            ));
        };
        let mut chart = Chart {
            metadata: Metadata::parse(&chart_file.data)?,
            lock: None,
            templates: Vec::new(),
            values: Arc::new(Value::empty_map()),
            values_file: None,
            schema: None,
            files: Vec::new(),
            dependencies: Vec::new(),
            modified: chart_file.modified,
            schema_modified: None,
            links,
            warnings: Vec::new(),
        };
        let mut subcharts = Subcharts::new();
        for file in files {
            self.sort_file(&mut chart, &mut subcharts, file)?;
        }
        self.vendored(&mut chart, subcharts)?;
        self.file_dependencies(&mut chart)?;
        check_versions(&mut chart);
        Ok(chart)
    }

    fn sort_file(
        &self,
        chart: &mut Chart,
        subcharts: &mut Subcharts,
        file: File,
    ) -> Result<(), ChartError> {
        let cache = &self.options.cache;
        let name = Arc::clone(&file.name);
        match name.as_ref() {
            "Chart.yaml" => {}
            "Chart.lock" => chart.lock = Some(Lock::parse(&file.data)?),
            "values.yaml" => {
                chart.values =
                    cache
                        .values(&file.data, read_values)
                        .map_err(|source| ChartError::Yaml {
                            file: name.to_string(),
                            source,
                        })?;
                chart.values_file = Some(file);
            }
            "values.schema.json" => {
                chart.schema = Some(cache.schema(&file.data));
                chart.schema_modified = file.modified;
            }
            "requirements.yaml" | "requirements.lock" => chart.warnings.push(format!(
                "`{name}` is not read: dependencies are in Chart.yaml since API version v2"
            )),
            path if path.starts_with("templates/") => {
                let parsed = cache.template(&file.data);
                chart.templates.push(Template { file, parsed });
            }
            path => match path.strip_prefix("charts/") {
                Some(inner) if !has_extension(path, "prov") => {
                    let first = inner.split('/').next().unwrap_or(inner).to_owned();
                    let file = File {
                        name: inner.into(),
                        ..file
                    };
                    subcharts.entry(first).or_default().push(file);
                }
                _ => chart.files.push(file),
            },
        }
        Ok(())
    }

    fn vendored(&self, chart: &mut Chart, subcharts: Subcharts) -> Result<(), ChartError> {
        for (name, files) in subcharts {
            if name.starts_with(['_', '.']) {
                continue;
            }
            let loaded = if has_extension(&name, "tgz") {
                self.vendored_archive(&name, &files)
            } else {
                self.vendored_folder(files)
            };
            match loaded {
                Ok(dependency) => chart.dependencies.push(dependency),
                Err(source) => {
                    let source = Box::new(source);
                    return Err(ChartError::Dependency {
                        name,
                        chart: chart.name().to_owned(),
                        source,
                    });
                }
            }
        }
        Ok(())
    }

    fn deeper(&self) -> Self {
        Self {
            options: self.options,
            folder: None,
            depth: self.depth + 1,
        }
    }

    fn vendored_archive(&self, name: &str, files: &[File]) -> Result<Arc<Chart>, ChartError> {
        let [file] = files else {
            return Err(ChartError::Archive(format!("`{name}` is a folder")));
        };
        let read = |data: &[u8]| self.deeper().archive(data);
        self.options.cache.archive(&file.data, read)
    }

    fn vendored_folder(&self, files: Vec<File>) -> Result<Arc<Chart>, ChartError> {
        let inner: Vec<File> = files
            .into_iter()
            .filter_map(|file| {
                let (_, name) = file.name.split_once('/')?;
                Some(File {
                    name: name.into(),
                    ..file.clone()
                })
            })
            .collect();
        let deeper = self.deeper();
        let make = |files| deeper.chart(files, Vec::new());
        self.options.cache.vendored(deeper.depth, inner, make)
    }

    /// `repository: file://../library`, where nothing is vendored.
    fn file_dependencies(&self, chart: &mut Chart) -> Result<(), ChartError> {
        let Some(folder) = self
            .folder
            .filter(|_| self.options.follow_file_dependencies)
        else {
            return Ok(());
        };
        for declared in chart.metadata.dependencies.clone() {
            let Some(path) = declared.repository.strip_prefix("file://") else {
                continue;
            };
            if chart
                .dependencies
                .iter()
                .any(|found| found.name() == declared.name)
            {
                continue;
            }
            let loaded = self
                .file_dependency(&folder.join(path))
                .and_then(|dependency| {
                    let found = &dependency.metadata.version;
                    if is_compatible(&declared.version, found) {
                        return Ok(dependency);
                    }
                    let wanted = &declared.version;
                    Err(ChartError::metadata(
                        "Chart.yaml",
                        format!("version is {found}, but {wanted} is wanted"),
                    ))
                });
            match loaded {
                Ok(dependency) => {
                    chart.links.extend(dependency.links.iter().cloned());
                    chart.dependencies.push(Arc::new(dependency));
                }
                Err(source) => {
                    return Err(ChartError::Dependency {
                        name: declared.name,
                        chart: chart.name().to_owned(),
                        source: Box::new(source),
                    });
                }
            }
        }
        Ok(())
    }

    fn file_dependency(&self, path: &Path) -> Result<Chart, ChartError> {
        let target = fs_err::canonicalize(path)?;
        if let LinkPolicy::Within(root) = &self.options.links {
            let root = fs_err::canonicalize(root)?;
            if !target.starts_with(&root) {
                let link = path.to_owned();
                return Err(ChartError::LinkOutside { link, target, root });
            }
        }
        load_at_depth(&target, self.options, self.depth + 1)
    }
}

fn has_extension(name: &str, extension: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, found)| found == extension)
}

/// What is vendored should be what `Chart.yaml` asks for and `Chart.lock` pins. Helm uses it anyway.
fn check_versions(chart: &mut Chart) {
    let mut warnings = Vec::new();
    let locked = chart
        .lock
        .iter()
        .flat_map(|lock| &lock.dependencies)
        .map(|locked| (locked, "Chart.lock"));
    let declared = chart
        .metadata
        .dependencies
        .iter()
        .map(|declared| (declared, "Chart.yaml"));
    for (wanted, file) in declared.chain(locked) {
        let mut versions = chart
            .dependencies
            .iter()
            .filter(|found| found.name() == wanted.name)
            .map(|found| found.metadata.version.as_str())
            .peekable();
        let Some(found) = versions.peek().copied() else {
            continue;
        };
        // A chart can be vendored in several versions under several aliases.
        if !versions.any(|found| is_compatible(&wanted.version, found)) {
            warnings.push(format!(
                "dependency `{}` is version {found} in `charts/`, but {file} asks for {}",
                wanted.name, wanted.version
            ));
        }
    }
    chart.warnings.extend(warnings);
}
