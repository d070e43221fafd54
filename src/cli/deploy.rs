//! `ioc deploy`, `ioc rollback` and `ioc history`.

use clap::Args;

use crate::cli::cluster::ClusterArgs;
use crate::cli::render::{BeamlineArgs, ValueArgs};
use crate::cli::versions::VersionArgs;

/// Waiting and confirming, shared by the verbs that change what runs.
#[derive(Debug, Clone, Args)]
pub struct ActArgs {
    /// Go on without asking
    #[arg(short, long)]
    pub yes: bool,

    /// Show what would be done and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not wait until the IOC answers
    #[arg(long)]
    pub no_wait: bool,

    /// Repair at once what another command left unfinished, even if that may still run (Kubernetes)
    #[arg(long)]
    pub repair: bool,

    /// How long to wait for each instance, as 90s or 2m
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = crate::cli::deploy::duration)]
    pub timeout: std::time::Duration,
}

/// Arguments of `ioc deploy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc deploy t01-ea-ioc-01
  ioc deploy t01-ea-ioc-01 --version 2026.11.1 -m 'new limits'
  ioc deploy --all -b t01 --version 2026.11.1 --yes
  ioc deploy t01-ea-ioc-01 --atomic --timeout 30s")]
pub struct DeployArgs {
    /// Instances to deploy
    #[arg(required_unless_present = "all", add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instances: Vec<String>,

    /// Every instance of the beamline
    #[arg(long, conflicts_with = "instances")]
    pub all: bool,

    /// Which version.
    #[command(flatten)]
    pub version: VersionArgs,

    /// How many instances are worked on at once
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub parallel: u16,

    /// Begin with the others although an instance has failed
    #[arg(long)]
    pub keep_going: bool,

    /// Roll back by itself if the IOC does not answer in time
    #[arg(long, conflicts_with = "no_wait")]
    pub atomic: bool,

    /// Take over objects that exist and do not belong to the release (Kubernetes)
    #[arg(long)]
    pub take_ownership: bool,

    /// Take over fields that others have set, such as with kubectl (Kubernetes)
    #[arg(long)]
    pub force_conflicts: bool,

    /// Why, kept in the history
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,

    /// Confirming and waiting.
    #[command(flatten)]
    pub act: ActArgs,

    /// Which beamline.
    #[command(flatten)]
    pub beamline: BeamlineArgs,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,

    /// More values.
    #[command(flatten)]
    pub values: ValueArgs,
}

/// Arguments of `ioc rollback`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc rollback t01-ea-ioc-01         to the revision before
  ioc rollback t01-ea-ioc-01 3")]
pub struct RollbackArgs {
    /// Instance to roll back
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instance: String,

    /// Revision to go back to [default: the last one before the current that was deployed]
    #[arg(value_parser = crate::cli::deploy::revision)]
    pub revision: Option<u32>,

    /// Take over fields that others have set, such as with kubectl (Kubernetes)
    #[arg(long)]
    pub force_conflicts: bool,

    /// Confirming and waiting.
    #[command(flatten)]
    pub act: ActArgs,

    /// Which beamline.
    #[command(flatten)]
    pub beamline: BeamlineArgs,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Arguments of `ioc history`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ioc history t01-ea-ioc-01")]
pub struct HistoryArgs {
    /// Instance whose revisions are listed
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instance: String,

    /// Which beamline.
    #[command(flatten)]
    pub beamline: BeamlineArgs,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Reads `90s`, `2m`, `1h30m` or a plain number of seconds.
pub(crate) fn duration(text: &str) -> Result<std::time::Duration, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(std::time::Duration::from_secs(seconds));
    }
    let parsed: jiff::SignedDuration = text
        .parse()
        .map_err(|_| format!("`{text}` is not a time; write it as 90s, 2m or 1h30m"))?;
    std::time::Duration::try_from(parsed).map_err(|_| format!("`{text}` is negative"))
}

/// Reads the number of a revision, from 1.
pub(crate) fn revision(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(revision) if revision > 0 => Ok(revision),
        _ => Err(format!(
            "`{text}` is not a revision; `ioc history INSTANCE` lists them: 1, 2, …"
        )),
    }
}
