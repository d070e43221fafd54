//! `ioc status`.

use clap::Args;

use crate::cli::cluster::ClusterArgs;
use crate::cli::render::BeamlineArgs;

/// Arguments of `ioc status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc status t01-ea-ioc-01
  ioc status t01-ea-ioc-01 -n t01-beamline
  ioc status t01-ea-ioc-01 -o json | jq '.events'")]
pub struct StatusArgs {
    /// Instance to tell about
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instance: String,

    /// Which beamline.
    #[command(flatten)]
    pub beamline: BeamlineArgs,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}
