//! Which services repository is meant: a folder, a git server or a registry of charts, and one version of it in place of
//! the working copy.

use std::path::{Path, PathBuf};

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
        context: &FetchContext,
    ) -> CommandResult<History> {
        match self {
            Self::Folder(folder) => Ok(history(&Location::of_folder(folder)?, only)?),
            Self::Git(url) => {
                let objects = crate::source::git::all_tags(url, context).await?;
                let location = Location::of_cache(objects.folder.clone(), url.as_str(), false);
                Ok(history(&location, only)?)
            }
            Self::Charts(charts) => Err(not_yet(charts)),
        }
    }

    /// Its files at a tag.
    ///
    /// # Errors
    ///
    /// No such tag, with what was probably meant.
    pub async fn checkout(&self, tag: &str, context: &FetchContext) -> CommandResult<Checkout> {
        match self {
            Self::Folder(folder) => Ok(checkout::of_folder(folder, tag, context).await?),
            Self::Git(url) => Ok(checkout::of_url(url, tag, context).await?),
            Self::Charts(charts) => Err(not_yet(charts)),
        }
    }
}

fn not_yet(charts: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Unsupported,
        format!("versions of the charts in `{charts}` do not work yet"),
    )
    .hint("name the git repository that they were made from")
}

/// The same settings, with the files of a tag in place of the working copies of the beamlines. `beamline` is the only one
/// that is meant; without it those that have no such tag are left out, unless `all` of them are meant.
///
/// # Errors
///
/// An unknown beamline; no beamline has the tag.
pub async fn settings_at(
    settings: &Settings,
    tag: &str,
    beamline: Option<&str>,
    all: bool,
    context: &FetchContext,
) -> CommandResult<Settings> {
    let mut settings = settings.clone();
    if let Some(name) = beamline {
        let only = settings.beamline(name)?.clone();
        settings.beamlines = [(name.to_owned(), only)].into();
    }
    let mut found = std::collections::BTreeMap::new();
    let mut first_error: Option<CommandError> = None;
    for (name, mut beamline) in std::mem::take(&mut settings.beamlines) {
        let checkout = match Repository::of_beamline(&beamline) {
            Ok(repository) => repository.checkout(tag, context).await,
            Err(error) => Err(error),
        };
        match checkout {
            Ok(checkout) => {
                beamline.repository = checkout.folder;
                beamline.version = Some(checkout.version);
                found.insert(name, beamline);
            }
            Err(error) if all || error.kind() == ErrorKind::Interrupted => return Err(error),
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

/// The tags of the git repository around a folder, for completion.
pub(crate) fn tags_of_folder(folder: &Path) -> Result<Vec<String>, VersionsError> {
    let references = Location::of_folder(folder)?.references()?;
    Ok(references.into_iter().map(|(name, _)| name).collect())
}
