//! Which chart is meant: `PATH`, `oci://HOST/PATH/NAME[:VERSION]`, `https://…/NAME-VERSION.tgz`,
//! `REPOSITORY/NAME` of Helm's `repositories.yaml`, or a name in the repository of `--repo`.

use std::path::{Path, PathBuf};

use helm::{Chart, LoadOptions};

use super::error::cannot_load;
use super::repository::Repositories;
use crate::registry::{self, Digest, Reference, Registry};
use crate::settings::Settings;
use crate::source::FetchContext;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Where charts are looked for.
#[derive(Clone)]
pub struct Places {
    /// Registries.
    pub registry: Registry,
    /// Chart repositories.
    pub repositories: Repositories,
}

/// Which version of a chart is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// A version or a range; `None` takes the newest release.
    pub version: Option<String>,
    /// Pre-releases too, when no version is named.
    pub devel: bool,
    /// URL of the chart repository in which the chart is a name.
    pub repository: Option<String>,
}

/// A chart that was received.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where it is from, for messages.
    pub from: String,
    /// Name of the file that it would be, `NAME-VERSION.tgz`.
    pub file_name: String,
    /// The archive.
    pub archive: Vec<u8>,
    /// The signature.
    pub provenance: Option<Vec<u8>>,
    /// Digest of its manifest, in a registry.
    pub digest: Option<Digest>,
}

impl Places {
    /// The places of a command.
    pub fn new(settings: &Settings, fetch: FetchContext, plain_http: bool) -> Self {
        Self {
            repositories: Repositories::new(
                fetch.clone(),
                settings.registry.helm_repositories.clone(),
            ),
            registry: Registry::for_charts(fetch, &settings.registry, plain_http),
        }
    }

    /// Loads a chart from a path, or receives it first.
    ///
    /// # Errors
    ///
    /// It is not there, it is no chart, or the place where it is cannot be asked.
    pub async fn load(&self, chart: &str, wanted: &Wanted) -> CommandResult<(Chart, PathBuf)> {
        if wanted.repository.is_none() && Path::new(chart).exists() {
            return Ok((load(Path::new(chart))?, PathBuf::from(chart)));
        }
        if !is_remote(chart, wanted) {
            return Err(no_such_path(chart));
        }
        let found = self.receive(chart, wanted).await?;
        let from = PathBuf::from(&found.from);
        let chart = Chart::load_archive(&found.archive, &LoadOptions::default())
            .map_err(|error| cannot_load(&from, &error))?;
        Ok((chart, from))
    }

    /// Receives the archive of a chart.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub async fn receive(&self, chart: &str, wanted: &Wanted) -> CommandResult<Found> {
        if let Some(repository) = &wanted.repository {
            return self
                .repositories
                .receive(repository, chart, &wanted.range())
                .await;
        }
        if chart.starts_with("oci://") {
            return self.receive_from_registry(chart, wanted).await;
        }
        if chart.contains("://") {
            return self.repositories.receive_url(chart).await;
        }
        match chart.split_once('/') {
            Some((name, chart)) if !name.is_empty() && !name.starts_with('.') => {
                let url = self.repositories.named(name)?;
                self.repositories
                    .receive(&url, chart, &wanted.range())
                    .await
            }
            _ => Err(no_such_path(chart)),
        }
    }

    async fn receive_from_registry(&self, chart: &str, wanted: &Wanted) -> CommandResult<Found> {
        let reference = self.resolve(chart, wanted).await?;
        let pulled = registry::chart::pull(&self.registry, &reference).await?;
        let from = format!("oci://{reference}");
        let chart = Chart::load_archive(&pulled.archive, &LoadOptions::default())
            .map_err(|error| cannot_load(Path::new(&from), &error))?;
        let metadata = chart.metadata();
        Ok(Found {
            from,
            file_name: format!("{}-{}.tgz", metadata.name, metadata.version),
            archive: pulled.archive,
            provenance: pulled.provenance,
            digest: Some(pulled.digest),
        })
    }

    /// The tag of a chart in a registry that fits best.
    ///
    /// # Errors
    ///
    /// None fits, or the registry cannot be asked.
    pub async fn resolve(&self, chart: &str, wanted: &Wanted) -> CommandResult<Reference> {
        let reference = Reference::parse(chart).map_err(registry::RegistryError::from)?;
        match (&wanted.version, reference.tag(), reference.digest()) {
            (Some(version), Some(tag), _) if registry::chart::tag_of(version) != tag => {
                return Err(CommandError::new(
                    ErrorKind::Usage,
                    format!("`{chart}` and `--version {version}` name different versions"),
                )
                .hint("leave one of them out"));
            }
            (_, Some(_), _) | (_, _, Some(_)) => return Ok(reference),
            (Some(version), None, None) if helm::is_exact_version(version) => {
                return Ok(reference.with_tag(registry::chart::tag_of(version)));
            }
            _ => {}
        }
        let versions: Vec<String> = registry::chart::versions(&self.registry, &reference)
            .await?
            .iter()
            .map(ToString::to_string)
            .collect();
        let version = choose(chart, &wanted.range(), &versions)?;
        Ok(reference.with_tag(registry::chart::tag_of(version)))
    }
}

impl Wanted {
    /// The range of versions that will do.
    pub fn range(&self) -> String {
        match &self.version {
            Some(version) => version.clone(),
            None if self.devel => ">0.0.0-0".to_owned(),
            None => String::new(),
        }
    }
}

/// The newest of the versions of a chart that a range allows.
pub(super) fn choose<'v>(
    chart: &str,
    range: &str,
    versions: &'v [String],
) -> CommandResult<&'v str> {
    let found = helm::newest_matching(range, versions.iter().map(String::as_str));
    let found = found.map_err(|why| {
        CommandError::new(
            ErrorKind::Usage,
            format!("`{range}` is not a version or a range of versions: {why}"),
        )
        .hint("write it as `1.2.3`, `^1.2`, `~1.2.3` or `>=1.0.0 <2.0.0`")
    })?;
    if let Some(version) = found {
        return Ok(version);
    }
    let error = if range.is_empty() {
        CommandError::not_found(format!("`{chart}` has no release"))
    } else {
        CommandError::not_found(format!("`{chart}` has no version that fits `{range}`"))
    };
    let newest: Vec<&str> = versions.iter().take(10).map(String::as_str).collect();
    Err(match newest.as_slice() {
        [] => error,
        _ if range.is_empty() => error.hint(format!(
            "`--devel` takes pre-releases; there are {}",
            newest.join(", ")
        )),
        _ => error.hint(format!("there are {}", newest.join(", "))),
    })
}

/// Loads a chart from a folder or an archive.
///
/// # Errors
///
/// It is no chart.
pub fn load(path: &Path) -> CommandResult<Chart> {
    Chart::load(path, &LoadOptions::default()).map_err(|error| cannot_load(path, &error))
}

fn is_remote(chart: &str, wanted: &Wanted) -> bool {
    wanted.repository.is_some()
        || chart.contains("://")
        || chart.split_once('/').is_some_and(|(name, rest)| {
            !name.is_empty() && !name.starts_with('.') && !rest.contains('/')
        })
}

fn no_such_path(chart: &str) -> CommandError {
    CommandError::not_found(format!("there is no chart `{chart}`")).hint(
        "name a folder with `Chart.yaml`, a `.tgz`, `oci://HOST/PATH/NAME`, or a name with `--repo URL`",
    )
}
