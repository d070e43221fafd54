//! `ioc check`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::versions::VersionArgs;

/// Arguments of `ioc check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc check beamlines/t01
  ioc check t01-ea-ioc-01
  ioc check beamlines/t01 t01-ea-ioc-01 --no-engine
  ioc check t01 --version 2026.11.1
  ioc check t01 --cluster")]
pub struct CheckArgs {
    /// Folder of a services repository, or the name of a beamline or of an instance
    pub repository: Option<PathBuf>,

    /// Only these instances
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instances: Vec<String>,

    /// Which version.
    #[command(flatten)]
    pub version: VersionArgs,

    /// Do not ask the container engine: images and their dbd files are not checked, and that is said
    #[arg(long)]
    pub no_engine: bool,

    /// Ask the cluster as well: does a node take each instance, are its ports free, its claims there
    #[arg(long = "cluster")]
    pub on_cluster: bool,

    /// Count warnings as errors
    #[arg(long)]
    pub strict: bool,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: crate::cli::cluster::ClusterArgs,
}
