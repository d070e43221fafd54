//! `ioc logs`.

use clap::Args;

use crate::cli::cluster::ClusterArgs;
use crate::cli::render::BeamlineArgs;

/// Arguments of `ioc logs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc logs t01-ea-ioc-01 --tail 50
  ioc logs -f t01-ea-ioc-01 t01-mo-ioc-01
  ioc logs t01-ea-ioc-01 --since 10m --grep 'error|timeout'
  ioc logs t01-ea-ioc-01 --since 7d --until 6d    on a cluster also from the log store
  ioc logs t01-ea-ioc-01 --previous       what it said before its last restart")]
pub struct LogsArgs {
    /// Instances whose logs are printed; with more than one, each line starts with the instance
    #[arg(required = true, add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instances: Vec<String>,

    /// Go on printing until Ctrl-C, through restarts
    #[arg(short, long)]
    pub follow: bool,

    /// Only lines since a time ago (`10m`, `2h`, `7d`) or since a time (`2026-11-22T10:00:00Z`)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// Only lines before a time ago or a time, written as for --since
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    pub until: Option<String>,

    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    pub tail: Option<usize>,

    /// Start each line with its time
    #[arg(short, long)]
    pub timestamps: bool,

    /// Only lines that match this regular expression
    #[arg(long, value_name = "REGEX")]
    pub grep: Option<String>,

    /// What the IOC said before its last restart
    #[arg(short, long, conflicts_with = "follow")]
    pub previous: bool,

    /// Which container of the instance [default: the IOC]
    #[arg(short, long)]
    pub container: Option<String>,

    /// Which beamline.
    #[command(flatten)]
    pub beamline: BeamlineArgs,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}
