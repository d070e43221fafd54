//! `ioc ps`.

use clap::Args;

use crate::cli::cluster::ClusterArgs;
use crate::cli::render::BeamlineArgs;

/// Arguments of `ioc ps`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc ps
  ioc ps -w                 keep the list on the screen and up to date
  ioc ps -n t01-beamline    a namespace of the cluster, whoever deployed its IOCs
  ioc ps -A                 all namespaces of the cluster
  ioc ps -o json | jq '.[] | select(.state != \"running\")'")]
pub struct PsArgs {
    /// Only these instances
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instances: Vec<String>,

    /// Keep the list on the screen and up to date until Ctrl-C
    #[arg(short, long)]
    pub watch: bool,

    /// IOCs of all namespaces of the cluster
    #[arg(short = 'A', long, conflicts_with_all = ["namespace", "beamline"])]
    pub all_namespaces: bool,

    /// Which beamline.
    #[command(flatten)]
    pub beamline: BeamlineArgs,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}
