//! Which services repository is meant: a folder, a git server or a registry of charts, and one version of it in place of
//! the working copy.

use std::path::{Path, PathBuf};

use super::charts;
use super::checkout::{self, Checkout};
use super::error::VersionsError;
use super::git::Location;
use super::history::{History, history};
use crate::settings::{Beamline, Settings};
use crate::source::FetchContext;
use crate::source::definition::GitUrl;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Where versions come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repository {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A git repository on a server.
    Git(GitUrl),
    /// Charts in a registry: `oci://host/path`, one below it per instance.
    Charts(String),
}

impl Repository {
    /// What a text means: a URL, or a folder.
    ///
    /// # Errors
    ///
    /// A URL of a kind that git or a registry does not have.
    pub fn new(text: &str) -> CommandResult<Self> {
        if text.starts_with("oci://") {
            return Ok(Self::Charts(text.trim_end_matches('/').to_owned()));
        }
        match GitUrl::new(text) {
            Ok(url) => Ok(Self::Git(url)),
            Err(problem) if text.contains("://") => {
                Err(CommandError::new(ErrorKind::Input, problem)
                    .hint("charts in a registry are named with `oci://HOST/PATH`"))
            }
            Err(_not_a_url) => Ok(Self::Folder(PathBuf::from(text))),
        }
    }

    /// That of a beamline.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn of_beamline(beamline: &Beamline) -> CommandResult<Self> {
        match &beamline.remote {
            Some(remote) => Self::new(remote),
            None => Ok(Self::Folder(crate::services::lookup::shown(
                &beamline.repository,
            ))),
        }
    }

    /// What its tags say; see [`history`].
    ///
    /// # Errors
    ///
    /// The server cannot be reached, git fails, no tag has the instance.
    pub async fn history(
        &self,
        only: Option<&str>,
        settings: &Settings,
        context: &FetchContext,
    ) -> CommandResult<History> {
        match self {
            Self::Folder(folder) => Ok(history(&Location::of_folder(folder)?, only)?),
            Self::Git(url) => {
                let objects = crate::source::git::all_tags(url, context).await?;
                let location = Location::of_cache(objects.folder.clone(), url.as_str(), false);
                Ok(history(&location, only)?)
            }
            Self::Charts(charts) => {
                let only = only.ok_or_else(|| charts::names_are_needed(charts))?;
                let versions = charts::versions(charts, only, settings, context).await?;
                Ok(History {
                    charts: [(only.to_owned(), versions)].into(),
                    ..History::default()
                })
            }
        }
    }

    /// Its files at a tag.
    ///
    /// # Errors
    ///
    /// No such tag, with what was probably meant; charts in a registry, which have no tag together.
    pub async fn checkout(&self, tag: &str, context: &FetchContext) -> CommandResult<Checkout> {
        match self {
            Self::Folder(folder) => Ok(checkout::of_folder(folder, tag, context).await?),
            Self::Git(url) => Ok(checkout::of_url(url, tag, context).await?),
            Self::Charts(charts) => Err(charts::names_are_needed(charts)),
        }
    }
}

/// What a command means with its arguments.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The version; without one the working copy, and of charts in a registry the newest release.
    pub tag: Option<&'a str>,
    /// Instances.
    pub names: &'a [String],
    /// The only beamline that is meant.
    pub beamline: Option<&'a str>,
    /// Every instance.
    pub all: bool,
}

impl Wanted<'_> {
    /// Whether something else than working copies is meant.
    pub fn is_elsewhere(&self, settings: &Settings) -> bool {
        let mut beamlines = settings
            .beamlines
            .values()
            .filter(|beamline| self.beamline.is_none_or(|name| name == beamline.name));
        self.tag.is_some() || beamlines.any(is_of_charts)
    }
}

fn is_of_charts(beamline: &Beamline) -> bool {
    let remote = beamline.remote.as_deref();
    remote.is_some_and(|remote| remote.starts_with("oci://"))
}

/// The same settings, with the files of a version in place of the working copies of the beamlines. Without a beamline those
/// that have no such version are left out, unless `all` of them are meant.
///
/// # Errors
///
/// An unknown beamline; no beamline has the version.
pub async fn settings_at(
    settings: &Settings,
    wanted: Wanted<'_>,
    context: &FetchContext,
) -> CommandResult<Settings> {
    let of_user = settings;
    let mut settings = settings.clone();
    if let Some(name) = wanted.beamline {
        let only = settings.beamline(name)?.clone();
        settings.beamlines = [(name.to_owned(), only)].into();
    }
    let folders: Vec<&Path> = settings
        .beamlines
        .values()
        .filter(|beamline| wanted.tag.is_none() && beamline.remote.is_none())
        .map(|beamline| beamline.repository.as_path())
        .collect();
    let of_charts = charts::without_a_working_copy(wanted.names, &folders);
    let mut found = std::collections::BTreeMap::new();
    let mut first_error: Option<CommandError> = None;
    for (name, beamline) in std::mem::take(&mut settings.beamlines) {
        let beamline = at(beamline, wanted, &of_charts, of_user, context).await;
        match beamline {
            Ok(beamline) => {
                found.insert(name, beamline);
            }
            Err(error) if wanted.all || error.kind() == ErrorKind::Interrupted => {
                return Err(error);
            }
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    if let (true, Some(error)) = (found.is_empty(), first_error) {
        return Err(error);
    }
    settings.beamlines = found;
    Ok(settings)
}

/// A beamline with the files of a version.
async fn at(
    mut beamline: Beamline,
    wanted: Wanted<'_>,
    of_charts: &[String],
    settings: &Settings,
    context: &FetchContext,
) -> CommandResult<Beamline> {
    match (Repository::of_beamline(&beamline)?, wanted.tag) {
        (Repository::Charts(charts), tag) => {
            if wanted.all || wanted.names.is_empty() {
                return Err(charts::names_are_needed(&charts));
            }
            let mut first_error = None;
            for name in of_charts {
                match charts::receive(&charts, name, tag, settings, context).await {
                    Ok(chart) => beamline.charts.push(chart),
                    // another beamline may have it
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        first_error.get_or_insert(error);
                    }
                    Err(error) => return Err(error),
                }
            }
            match first_error {
                Some(error) if beamline.charts.is_empty() => return Err(error),
                _ => {}
            }
        }
        (repository, Some(tag)) => {
            let checkout = repository.checkout(tag, context).await?;
            beamline.repository = checkout.folder;
            beamline.version = Some(checkout.version);
        }
        (_, None) => {}
    }
    Ok(beamline)
}

/// The tags of the git repository around a folder, for completion.
pub(crate) fn tags_of_folder(folder: &Path) -> Result<Vec<String>, VersionsError> {
    let references = Location::of_folder(folder)?.references()?;
    Ok(references.into_iter().map(|(name, _)| name).collect())
}
