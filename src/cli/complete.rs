//! `ioc completion`, and the completers that know instance and image names.

use std::ffi::OsStr;

use clap::{Args, ValueEnum};
use clap_complete::engine::CompletionCandidate;

use crate::settings::Settings;

/// Arguments of `ioc completion`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc completion bash > /etc/bash_completion.d/ioc
  source <(ioc completion zsh)")]
pub struct CompletionArgs {
    /// Which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Shells with dynamic completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
    /// elvish
    Elvish,
    /// PowerShell
    Powershell,
}

impl Shell {
    /// The name that the completion engine knows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::Elvish => "elvish",
            Self::Powershell => "powershell",
        }
    }
}

/// Instance names of all beamlines of the project, and those that run in the clusters of these.
pub(crate) fn instances(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |settings| {
        let mut names = crate::services::instance_names(settings);
        names.extend(crate::fleet::kubernetes::names::of_clusters(settings));
        names.sort();
        names.dedup();
        names
    })
}

/// Image names of the project.
pub(crate) fn images(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, crate::image::image_names)
}

/// Beamline names of the project.
pub(crate) fn beamlines(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |settings| {
        settings.beamlines.keys().cloned().collect()
    })
}

/// PVs, groups and paths of the alarm server that is meant.
pub(crate) fn alarms(current: &OsStr) -> Vec<CompletionCandidate> {
    let prefix = current.to_str().unwrap_or_default();
    candidates(current, |settings| {
        crate::alarm::client::names::beginning_with(prefix, settings)
    })
}

/// Git tags of the services repositories on this machine.
pub(crate) fn tags(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |settings| {
        let folders = settings
            .beamlines
            .values()
            .map(|beamline| &beamline.repository);
        let tags =
            folders.filter_map(|folder| crate::versions::selected::tags_of_folder(folder).ok());
        let tags: std::collections::BTreeSet<String> = tags.flatten().collect();
        tags.into_iter().collect()
    })
}

/// Completion must never print an error into a half-typed command line: no project, no candidates.
fn candidates(
    current: &OsStr,
    names: impl Fn(&Settings) -> Vec<String>,
) -> Vec<CompletionCandidate> {
    let Some(prefix) = current.to_str() else {
        return Vec::new();
    };
    let Ok(settings) = Settings::for_completion() else {
        return Vec::new();
    };
    names(&settings)
        .into_iter()
        .filter(|name| name.starts_with(prefix))
        .map(CompletionCandidate::new)
        .collect()
}
