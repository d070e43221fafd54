//! `ioc node` and `ioc move`.

use clap::Args;

use crate::cli::cluster::ClusterArgs;
use crate::cli::deploy::ActArgs;
use crate::cli::render::BeamlineArgs;

/// Arguments of `ioc node`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc node                    all nodes of the cluster
  ioc node bl01t-ioc-1        what runs there, and what happens if it fails
  ioc node bl01t-ioc-1 -o json")]
pub struct NodeArgs {
    /// Node to look at [default: all, one line each]
    pub node: Option<String>,

    /// Which beamline.
    #[command(flatten)]
    pub beamline: BeamlineArgs,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Arguments of `ioc move`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc move bl01t-ea-ioc-01 bl01t-ioc-2 --dry-run     what stands in the way, and what its volumes do
  ioc move bl01t-ea-ioc-01 bl01t-ioc-2
  ioc move bl01t-ea-ioc-01 bl01t-ioc-2 --node-is-off   away from a node that has failed")]
pub struct MoveArgs {
    /// Instance to move
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instance: String,

    /// Node to move it to
    pub node: String,

    /// The node that it is on is switched off, or cut from the beamline's network: do not wait for it
    #[arg(long)]
    pub node_is_off: bool,

    /// Go on although a check says that it will not run there
    #[arg(long)]
    pub in_spite_of_checks: bool,

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
}
