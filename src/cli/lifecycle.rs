//! `ioc start`, `stop`, `restart` and `delete`.

use clap::Args;

use crate::cli::cluster::ClusterArgs;
use crate::cli::deploy::ActArgs;
use crate::cli::render::BeamlineArgs;

/// Which instances a lifecycle verb means.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// Instances
    #[arg(required_unless_present = "all", add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instances: Vec<String>,

    /// Every instance of the beamline
    #[arg(long, conflicts_with = "instances")]
    pub all: bool,

    /// Which beamline.
    #[command(flatten)]
    pub beamline: BeamlineArgs,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Arguments of `ioc start`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ioc start t01-ea-ioc-01")]
pub struct StartArgs {
    /// Which instances.
    #[command(flatten)]
    pub selection: Selection,
    /// Confirming and waiting.
    #[command(flatten)]
    pub act: ActArgs,
}

/// Arguments of `ioc stop`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ioc stop t01-ea-ioc-01 --yes")]
pub struct StopArgs {
    /// Which instances.
    #[command(flatten)]
    pub selection: Selection,
    /// Confirming and waiting.
    #[command(flatten)]
    pub act: ActArgs,
}

/// Arguments of `ioc restart`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc restart t01-ea-ioc-01 --yes
  ioc restart t01-ea-ioc-01 --node-is-off      its node has failed: start it elsewhere (Kubernetes)")]
pub struct RestartArgs {
    /// Which instances.
    #[command(flatten)]
    pub selection: Selection,

    /// The node is switched off, or cut from the beamline's network: forget the pod there, so that it starts elsewhere
    #[arg(long)]
    pub node_is_off: bool,

    /// Confirming and waiting.
    #[command(flatten)]
    pub act: ActArgs,
}

/// Arguments of `ioc delete`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ioc delete t01-ea-ioc-01\n  ioc delete t01-ea-ioc-01 --volumes      its data as well"
)]
pub struct DeleteArgs {
    /// Which instances.
    #[command(flatten)]
    pub selection: Selection,

    /// Remove its own data folders as well; without this they are kept
    #[arg(long)]
    pub volumes: bool,

    /// Keep the release history, as `helm uninstall --keep-history` (Kubernetes)
    #[arg(long)]
    pub keep_history: bool,

    /// Confirming and waiting.
    #[command(flatten)]
    pub act: ActArgs,
}
