//! The layout of a services repository: which instances it has and where their files are.
//!
//! ```text
//! .helm-shared/Chart.yaml, templates/, charts/   what all instances share
//! services/values.yaml                           values of all instances
//! services/<instance>/Chart.yaml                 own file or symbolic link into .helm-shared
//! services/<instance>/values.yaml, config/       what is special about the instance
//! ```
//!
//! The layout is that of the services repositories of epics-containers (`services/`) and of their 2021
//! predecessors (`iocs/`, one plain chart per instance); a single chart folder is a repository of one. Folders
//! whose name begins with `.` are skeletons and skipped. Nothing but directory entries is read here.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use helm::ChartCache;

use crate::diagnostic::Diagnostic;
use crate::services::error::ServicesError;
use crate::services::version::Version;

/// Folders that hold the instances, the first that exists is taken.
const INSTANCE_FOLDERS: [&str; 2] = ["services", "iocs"];

/// A services repository on disk.
#[derive(Debug, Clone)]
pub struct Repository {
    shared: Arc<Shared>,
    instances: Vec<Instance>,
}

/// What all instances of a repository have in common.
#[derive(Debug)]
struct Shared {
    root: PathBuf,
    values: Option<PathBuf>,
    version: OnceLock<Version>,
    charts: Arc<ChartCache>,
    real_root: OnceLock<PathBuf>,
}

/// An IOC instance of a services repository: a folder with a chart.
#[derive(Debug, Clone)]
pub struct Instance {
    name: String,
    folder: PathBuf,
    shared: Arc<Shared>,
}

impl Repository {
    /// Opens the services repository in the folder `root`.
    ///
    /// # Errors
    ///
    /// [`ServicesError::Missing`], [`ServicesError::NotARepository`], or a folder that cannot be read.
    pub fn open(root: &Path) -> Result<Self, ServicesError> {
        if !root.is_dir() {
            return Err(ServicesError::Missing {
                path: root.to_path_buf(),
            });
        }
        // `services/x` reads better than `./services/x`.
        let base = if root == Path::new(".") {
            Path::new("")
        } else {
            root
        };
        let folder = INSTANCE_FOLDERS
            .iter()
            .map(|name| base.join(name))
            .find(|folder| folder.is_dir());
        let Some(folder) = folder else {
            return Self::open_chart(root);
        };
        let values = folder.join("values.yaml");
        let shared = Arc::new(Shared {
            root: root.to_path_buf(),
            values: values.is_file().then_some(values),
            version: OnceLock::new(),
            charts: Arc::default(),
            real_root: OnceLock::new(),
        });
        let mut instances = Vec::new();
        for entry in fs_err::read_dir(&folder)? {
            let path = entry?.path();
            if let Some(name) = instance_name(&path) {
                instances.push(Instance {
                    name,
                    folder: path,
                    shared: Arc::clone(&shared),
                });
            }
        }
        instances.sort_by(|a, b| (&a.name, &a.folder).cmp(&(&b.name, &b.folder)));
        Ok(Self { shared, instances })
    }

    /// One chart of a working copy under another name than that of its folder.
    pub fn of_chart(name: &str, folder: PathBuf) -> Self {
        let shared = Arc::new(Shared {
            root: folder.clone(),
            values: None,
            version: OnceLock::new(),
            charts: Arc::default(),
            real_root: OnceLock::new(),
        });
        let instance = Instance {
            name: name.to_owned(),
            shared: Arc::clone(&shared),
            folder,
        };
        Self {
            shared,
            instances: vec![instance],
        }
    }

    /// Charts that were received one by one: name, folder and version of each.
    pub fn of_charts(charts: impl Iterator<Item = (String, PathBuf, Version)>) -> Self {
        let mut instances: Vec<Instance> = charts
            .map(|(name, folder, version)| Instance {
                name,
                shared: Arc::new(Shared {
                    root: folder.clone(),
                    values: None,
                    version: OnceLock::from(version),
                    charts: Arc::default(),
                    real_root: OnceLock::new(),
                }),
                folder,
            })
            .collect();
        instances.sort_by(|one, other| one.name.cmp(&other.name));
        let shared = instances.first().map_or_else(
            || {
                Arc::new(Shared {
                    root: PathBuf::new(),
                    values: None,
                    version: OnceLock::new(),
                    charts: Arc::default(),
                    real_root: OnceLock::new(),
                })
            },
            |instance| Arc::clone(&instance.shared),
        );
        Self { shared, instances }
    }

    /// A chart folder by itself: a repository of one instance without shared values.
    fn open_chart(root: &Path) -> Result<Self, ServicesError> {
        let absolute = std::path::absolute(root)?;
        if let Some(repository) = Self::around(&absolute, root)? {
            return Ok(repository);
        }
        let Some(name) = instance_name(&absolute) else {
            return Err(ServicesError::NotARepository {
                path: root.to_path_buf(),
            });
        };
        let shared = Arc::new(Shared {
            root: root.to_path_buf(),
            values: None,
            version: OnceLock::new(),
            charts: Arc::default(),
            real_root: OnceLock::new(),
        });
        let instance = Instance {
            name,
            folder: root.to_path_buf(),
            shared: Arc::clone(&shared),
        };
        Ok(Self {
            shared,
            instances: vec![instance],
        })
    }

    /// The repository around the folder of one of its instances, with that instance only: its links lead to what
    /// the repository shares.
    fn around(absolute: &Path, root: &Path) -> Result<Option<Self>, ServicesError> {
        let parent = absolute.parent().filter(|parent| {
            let name = parent.file_name().and_then(std::ffi::OsStr::to_str);
            name.is_some_and(|name| INSTANCE_FOLDERS.contains(&name))
        });
        let Some(outer) = parent.and_then(Path::parent) else {
            return Ok(None);
        };
        if !root.join("Chart.yaml").exists() {
            return Ok(None);
        }
        let mut repository = Self::open(outer)?;
        repository
            .instances
            .retain(|instance| instance.folder == absolute);
        Ok(Some(repository))
    }

    /// The same, whose files are those of a version: git is not asked.
    #[must_use]
    pub fn at(self, version: Version) -> Self {
        let _known_already = self.shared.version.set(version);
        self
    }

    /// Findings with places as the user knows them: see [`Instance::as_the_user_knows`].
    pub fn as_the_user_knows(&self, findings: &mut [Diagnostic]) {
        self.shared.as_the_user_knows(findings);
    }

    /// The folder that was opened, as it was named.
    pub fn root(&self) -> &Path {
        &self.shared.root
    }

    /// Values of all instances, `services/values.yaml`, where there is one.
    pub fn shared_values(&self) -> Option<&Path> {
        self.shared.values.as_deref()
    }

    /// All instances, sorted by name.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// The instance of that name, in any mixture of case.
    ///
    /// # Errors
    ///
    /// [`ServicesError::UnknownInstance`] with the names that exist.
    pub fn instance(&self, name: &str) -> Result<&Instance, ServicesError> {
        let folder_name = |instance: &&Instance| instance.folder_name() == name;
        let lower = name.to_lowercase();
        self.instances
            .iter()
            .find(folder_name)
            .or_else(|| {
                self.instances
                    .iter()
                    .find(|instance| instance.name == lower)
            })
            .ok_or_else(|| ServicesError::UnknownInstance {
                name: name.to_owned(),
                repository: self.root().to_path_buf(),
                known: self.instances.iter().map(|i| i.name.clone()).collect(),
            })
    }

    /// Commit and state of the working copy; asks `git` the first time.
    pub fn version(&self) -> &Version {
        self.shared.version()
    }
}

impl Shared {
    fn version(&self) -> &Version {
        self.version
            .get_or_init(|| Version::of_working_copy(&self.root))
    }

    fn as_the_user_knows(&self, findings: &mut [Diagnostic]) {
        let tag = match self.version.get() {
            Some(Version::Tag { tag, .. }) => tag.clone(),
            Some(Version::Chart {
                version,
                repository,
                ..
            }) => format!("{repository}:{version}"),
            _ => return,
        };
        let root = self.root.display().to_string();
        for finding in findings {
            if let Some(place) = &mut finding.place
                && let Ok(inside) = place.path.strip_prefix(&self.root)
            {
                place.path = PathBuf::from(format!("{tag}:{}", inside.display()));
            }
            if let Some(expected) = &mut finding.expected {
                *expected = expected.replace(&root, "the services repository");
            }
            if let Some(hint) = &mut finding.hint {
                *hint = hint.replace(&format!("{root}/"), "");
            }
        }
    }
}

impl Instance {
    /// Name of the instance and of its release: the folder's name in lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name of the folder as it is written.
    pub fn folder_name(&self) -> &str {
        self.folder
            .file_name()
            .and_then(std::ffi::OsStr::to_str)
            .unwrap_or(&self.name)
    }

    /// The chart folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Findings with places as the user knows them: that of a file which a tag has is written as git does,
    /// `TAG:services/…`, and not as the place in the cache.
    pub fn as_the_user_knows(&self, findings: &mut [Diagnostic]) {
        self.shared.as_the_user_knows(findings);
    }

    /// Root of the services repository.
    pub fn repository(&self) -> &Path {
        &self.shared.root
    }

    /// Value files that apply to this instance, weakest first: those of all instances, then its own.
    ///
    /// The chart's own `values.yaml` stands here too, as with `helm template NAME DIR --values
    /// services/values.yaml --values DIR/values.yaml`, so that it wins over the shared values.
    pub fn value_files(&self) -> Vec<PathBuf> {
        let own = self.folder.join("values.yaml");
        let own = own.is_file().then_some(own);
        self.shared.values.clone().into_iter().chain(own).collect()
    }

    /// The repository's root without links, looked up once.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub(super) fn real_root(&self) -> Result<PathBuf, ServicesError> {
        if let Some(known) = self.shared.real_root.get() {
            return Ok(known.clone());
        }
        let root = match self.repository() {
            here if here.as_os_str().is_empty() => Path::new("."),
            root => root,
        };
        let real = fs_err::canonicalize(root)?;
        Ok(self.shared.real_root.get_or_init(|| real).clone())
    }

    /// What the charts of the repository have in common, parsed once.
    pub(super) fn chart_cache(&self) -> Arc<ChartCache> {
        Arc::clone(&self.shared.charts)
    }

    /// Commit and state of the working copy that it is taken from; asks `git` the first time.
    pub fn version(&self) -> &Version {
        self.shared.version()
    }
}

/// The name of the instance in a folder, if there is one.
fn instance_name(folder: &Path) -> Option<String> {
    let name = folder.file_name()?.to_str()?;
    // A dangling link counts, so that its mistake is shown and not passed over.
    let chart = folder.join("Chart.yaml");
    let is_chart = chart.is_file() || chart.is_symlink();
    (!name.starts_with('.') && is_chart).then(|| name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, files: &[&str]) {
        for file in files {
            let path = folder.join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
    }

    fn names(repository: &Repository) -> Vec<&str> {
        repository.instances().iter().map(Instance::name).collect()
    }

    #[test]
    fn instances_are_the_visible_folders_with_a_chart() {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            &[
                "services/t01-mo-ioc-01/Chart.yaml",
                "services/t01-EA-ioc-01/Chart.yaml",
                "services/.ioc_template/Chart.yaml",
                "services/notes/README.md",
                "services/values.yaml",
            ],
        );
        let repository = Repository::open(folder.path()).unwrap();
        assert_eq!(names(&repository), ["t01-ea-ioc-01", "t01-mo-ioc-01"]);
        assert!(repository.shared_values().is_some());
        let instance = repository.instance("T01-EA-IOC-01").unwrap();
        assert_eq!(instance.folder_name(), "t01-EA-ioc-01");
    }

    #[test]
    fn a_chart_that_is_a_dangling_link_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["services/a/values.yaml"]);
        std::os::unix::fs::symlink("../nowhere", folder.path().join("services/a/Chart.yaml"))
            .unwrap();
        assert_eq!(names(&Repository::open(folder.path()).unwrap()), ["a"]);
    }

    #[test]
    fn plain_charts_and_the_older_folder_name_are_read_too() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["iocs/bl45p-mo-ioc-01/Chart.yaml"]);
        assert_eq!(
            names(&Repository::open(folder.path()).unwrap()),
            ["bl45p-mo-ioc-01"]
        );
        let chart = folder.path().join("iocs/bl45p-mo-ioc-01");
        let repository = Repository::open(&chart).unwrap();
        assert_eq!(names(&repository), ["bl45p-mo-ioc-01"]);
        assert_eq!(repository.shared_values(), None);
    }

    #[test]
    fn an_unknown_instance_names_those_that_exist() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["services/t01-ea-ioc-01/Chart.yaml"]);
        let repository = Repository::open(folder.path()).unwrap();
        let error = repository.instance("t01-ae-ioc-01").unwrap_err();
        let error = crate::ui::error::CommandError::from(error);
        assert_eq!(error.hints(), ["did you mean `t01-ea-ioc-01`?"]);
    }

    #[test]
    fn a_folder_without_instances_is_told_from_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            Repository::open(folder.path()),
            Err(ServicesError::NotARepository { .. })
        ));
        assert!(matches!(
            Repository::open(&folder.path().join("x")),
            Err(ServicesError::Missing { .. })
        ));
    }
}
