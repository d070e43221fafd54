//! Dependencies of a chart: versions are chosen, received, put into `charts/` and pinned in `Chart.lock`.
//!
//! Everything is received before anything changes: a chart's folder is as it was until all dependencies are there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use helm::{Chart, Dependency, LoadOptions, Lock, dependency_digest};
use jiff::Zoned;

use super::error::cannot_load;
use super::locate::{Places, Wanted, choose, load};
use crate::diagnostic::{Diagnostic, Place};
use crate::registry::{Reference, RegistryError, chart as registry_chart};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::yaml::tree::Tree;

/// What vendoring did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Vendored {
    /// Files written into `charts/`.
    pub saved: Vec<String>,
    /// Dependencies without a repository, which have to be in `charts/` already.
    pub assumed: Vec<String>,
    /// Archives that nothing needs any more, which were removed.
    pub deleted: Vec<String>,
    /// Whether `Chart.lock` changed.
    pub locked: bool,
}

/// Chooses the newest versions that `Chart.yaml` allows and vendors them.
///
/// # Errors
///
/// A dependency that cannot be had, with its place in `Chart.yaml`; nothing has changed then.
pub async fn update(places: &Places, folder: &Path) -> CommandResult<Vendored> {
    let chart = load_folder(folder)?;
    let required = chart.metadata().dependencies.clone();
    if required.is_empty() {
        return Ok(Vendored::default());
    }
    let mut locked = Vec::new();
    for (index, dependency) in required.iter().enumerate() {
        let version = choose_version(places, folder, &chart, dependency)
            .await
            .map_err(|error| at_dependency(error, folder, index, dependency))?;
        locked.push(Dependency {
            name: dependency.name.clone(),
            version,
            repository: dependency.repository.clone(),
            ..Dependency::default()
        });
    }
    let mut done = vendor(places, folder, &required, &locked).await?;
    let digest = digest(&required, &locked)?;
    if chart.lock().is_none_or(|lock| lock.digest != digest) {
        write_lock(folder, locked, digest)?;
        done.locked = true;
    }
    Ok(done)
}

/// Vendors what `Chart.lock` pins; without one, as [`update`].
///
/// # Errors
///
/// The lock does not fit `Chart.yaml`, or a dependency cannot be had; nothing has changed then.
pub async fn build(places: &Places, folder: &Path) -> CommandResult<Vendored> {
    let chart = load_folder(folder)?;
    let required = &chart.metadata().dependencies;
    let Some(lock) = chart.lock() else {
        return update(places, folder).await;
    };
    if digest(required, &lock.dependencies)? != lock.digest {
        let path = folder.join("Chart.lock");
        let finding = Diagnostic::error(
            "`Chart.lock` does not fit `Chart.yaml`: a dependency was changed since it was written",
        )
        .in_file(&path)
        .hint(format!(
            "`ioc chart dependency update {}` chooses anew and writes it",
            folder.display()
        ));
        return Err(CommandError::from_diagnostic(ErrorKind::Input, finding));
    }
    vendor(places, folder, required, &lock.dependencies).await
}

fn load_folder(folder: &Path) -> CommandResult<Chart> {
    if !folder.exists() {
        return Err(CommandError::not_found(format!(
            "there is no folder `{}`",
            folder.display()
        )));
    }
    if !folder.is_dir() {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!(
                "`{}` is an archive: what it needs is inside",
                folder.display()
            ),
        ));
    }
    load(folder)
}

fn digest(required: &[Dependency], locked: &[Dependency]) -> CommandResult<String> {
    dependency_digest(required, locked).map_err(|error| {
        CommandError::new(ErrorKind::Internal, "the digest cannot be computed").caused_by(error)
    })
}

/// The version that is taken.
async fn choose_version(
    places: &Places,
    folder: &Path,
    chart: &Chart,
    dependency: &Dependency,
) -> CommandResult<String> {
    let name = &dependency.name;
    let range = &dependency.version;
    let repository = dependency.repository.as_str();
    if repository.is_empty() {
        let vendored = chart
            .dependencies()
            .iter()
            .find(|found| found.name() == name);
        let Some(vendored) = vendored else {
            return Err(CommandError::not_found(format!(
                "`{name}` has no `repository` and is not in `charts/`"
            )));
        };
        fits(name, range, &vendored.metadata().version)?;
        return Ok(range.clone());
    }
    if let Some(path) = repository.strip_prefix("file://") {
        let found = load_local(folder, path)?;
        let version = found.metadata().version.clone();
        fits(name, range, &version)?;
        return Ok(version);
    }
    let versions = if repository.starts_with("oci://") {
        if helm::is_exact_version(range) {
            return Ok(range.clone());
        }
        let reference = Reference::parse(&format!("{}/{name}", repository.trim_end_matches('/')))
            .map_err(RegistryError::from)?;
        registry_chart::versions(&places.registry, &reference)
            .await?
            .iter()
            .map(ToString::to_string)
            .collect()
    } else {
        let url = url_of(places, repository)?;
        places.repositories.versions(&url, name).await?
    };
    choose(name, range, &versions).map(str::to_owned)
}

/// The URL of a chart repository, which may be given by the name that `helm repo add` gave it.
fn url_of(places: &Places, repository: &str) -> CommandResult<String> {
    let name = repository
        .strip_prefix('@')
        .or_else(|| repository.strip_prefix("alias:"));
    match name {
        Some(name) => places.repositories.named(name),
        None => Ok(repository.to_owned()),
    }
}

fn fits(name: &str, range: &str, version: &str) -> CommandResult<()> {
    if range == version || helm::allows(range, version) {
        return Ok(());
    }
    Err(CommandError::not_found(format!(
        "`{name}` is there in version {version}, and `{range}` is wanted"
    )))
}

fn load_local(folder: &Path, path: &str) -> CommandResult<Chart> {
    let path = folder.join(path);
    if !path.exists() {
        return Err(CommandError::not_found(format!(
            "there is no chart in `{}`",
            path.display()
        )));
    }
    load(&path)
}

/// Receives all dependencies, then puts them into `charts/`.
async fn vendor(
    places: &Places,
    folder: &Path,
    required: &[Dependency],
    locked: &[Dependency],
) -> CommandResult<Vendored> {
    let mut done = Vendored::default();
    let mut archives: Vec<(String, Vec<u8>)> = Vec::new();
    for (index, dependency) in locked.iter().enumerate() {
        if dependency.repository.is_empty() {
            done.assumed.push(dependency.name.clone());
            continue;
        }
        let received = receive(places, folder, dependency).await.map_err(|error| {
            let declared = required.get(index).unwrap_or(dependency);
            at_dependency(error, folder, index, declared)
        })?;
        archives.push(received);
    }
    let charts = folder.join("charts");
    fs_err::create_dir_all(&charts)?;
    let names: BTreeSet<&str> = archives.iter().map(|(name, _)| name.as_str()).collect();
    for (name, archive) in &archives {
        write(&charts.join(name), archive)?;
    }
    done.saved = names.iter().map(|name| (*name).to_owned()).collect();
    for outdated in outdated(&charts, &names, &done.assumed)? {
        fs_err::remove_file(charts.join(&outdated))?;
        done.deleted.push(outdated);
    }
    Ok(done)
}

async fn receive(
    places: &Places,
    folder: &Path,
    dependency: &Dependency,
) -> CommandResult<(String, Vec<u8>)> {
    let name = &dependency.name;
    let repository = dependency.repository.as_str();
    let (archive, from) = if let Some(path) = repository.strip_prefix("file://") {
        let found = load_local(folder, path)?;
        fits(name, &dependency.version, &found.metadata().version)?;
        let package = found
            .package()
            .map_err(|error| cannot_load(&folder.join(path), &error))?;
        (package.bytes, repository.to_owned())
    } else if repository.starts_with("oci://") {
        let wanted = Wanted {
            version: Some(dependency.version.clone()),
            ..Wanted::default()
        };
        let chart = format!("{}/{name}", repository.trim_end_matches('/'));
        let found = places.receive(&chart, &wanted).await?;
        (found.archive, found.from)
    } else {
        let url = url_of(places, repository)?;
        let found = places
            .repositories
            .receive(&url, name, &dependency.version)
            .await?;
        (found.archive, found.from)
    };
    let chart = Chart::load_archive(&archive, &LoadOptions::default())
        .map_err(|error| cannot_load(Path::new(&from), &error))?;
    let metadata = chart.metadata();
    if metadata.name != *name {
        return Err(CommandError::new(
            ErrorKind::Fetch,
            format!("`{from}` holds the chart `{}`, not `{name}`", metadata.name),
        ));
    }
    Ok((
        format!("{}-{}.tgz", metadata.name, metadata.version),
        archive,
    ))
}

/// Archives of charts that nothing needs any more. What is no chart stays.
fn outdated(
    charts: &Path,
    names: &BTreeSet<&str>,
    assumed: &[String],
) -> CommandResult<Vec<String>> {
    let mut outdated = Vec::new();
    for entry in fs_err::read_dir(charts)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_archive = Path::new(&name)
            .extension()
            .is_some_and(|extension| extension == "tgz");
        if !is_archive || names.contains(name.as_str()) || entry.path().is_dir() {
            continue;
        }
        match Chart::load(&entry.path(), &LoadOptions::default()) {
            Ok(chart) if !assumed.iter().any(|name| name == chart.name()) => outdated.push(name),
            _ => {}
        }
    }
    outdated.sort();
    Ok(outdated)
}

fn write_lock(folder: &Path, dependencies: Vec<Dependency>, digest: String) -> CommandResult<()> {
    let lock = Lock {
        generated: Zoned::now()
            .strftime("%Y-%m-%dT%H:%M:%S.%9f%:z")
            .to_string()
            .replace("+00:00", "Z"),
        digest,
        dependencies,
    };
    let text = helm::lock_yaml(&lock).map_err(|error| {
        CommandError::new(
            ErrorKind::Internal,
            "`Chart.lock` cannot be written as YAML",
        )
        .caused_by(error)
    })?;
    write(&folder.join("Chart.lock"), text.as_bytes())
}

/// Beside its place and renamed into it: a reader never sees half a file.
pub fn write(path: &Path, bytes: &[u8]) -> CommandResult<()> {
    use std::io::Write;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(|error| {
        CommandError::system(
            error,
            format!("failed to write into `{}`", folder.display()),
        )
    })?;
    file.write_all(bytes)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs_err::set_permissions(file.path(), mode)?;
    file.persist(path).map_err(|error| {
        CommandError::system(error.error, format!("failed to write `{}`", path.display()))
    })?;
    Ok(())
}

/// An error about a dependency, with its place in `Chart.yaml`.
fn at_dependency(
    error: CommandError,
    folder: &Path,
    index: usize,
    dependency: &Dependency,
) -> CommandError {
    if error.kind() == ErrorKind::Interrupted {
        return error;
    }
    let path = folder.join("Chart.yaml");
    let text = fs_err::read_to_string(&path).unwrap_or_default();
    let place = Tree::parse(&path, &text).ok().and_then(|tree| {
        let entry = tree.get(["dependencies"])?.items().nth(index)?;
        Some(entry.child("name")?.place())
    });
    let finding = Diagnostic::error(format!(
        "the dependency `{}` cannot be had",
        dependency.name
    ))
    .at(place.unwrap_or_else(|| Place::file(path)));
    let hints = error.hints().to_vec();
    let causes = error.causes();
    let mut reason = error.to_string();
    for cause in causes {
        reason.push_str(": ");
        reason.push_str(&cause);
    }
    let command = CommandError::from_diagnostic(error.kind(), finding).caused_by(reason);
    hints
        .into_iter()
        .fold(command, CommandError::hint)
        .hint("nothing was changed")
}
