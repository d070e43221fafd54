//! `ioc attach` and `ioc exec`.

use clap::Args;

use crate::cli::cluster::ClusterArgs;
use crate::cli::render::BeamlineArgs;

/// Arguments of `ioc attach`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc attach t01-ea-ioc-01                 leave with Ctrl-] 
  ioc attach t01-ea-ioc-01 --read-only     look, type nothing
  ioc attach t01-ea-ioc-01 --transcript today.txt   keep what is shown, with times
  echo dbl | ioc attach t01-ea-ioc-01      type the lines of a file, print the answers")]
pub struct AttachArgs {
    /// Instance to attach to
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instance: String,

    /// Only look: nothing that is typed reaches the IOC
    #[arg(long)]
    pub read_only: bool,

    /// Pass Ctrl-C and Ctrl-D on to the IOC, which may end it
    #[arg(long, conflicts_with = "read_only")]
    pub allow_control: bool,

    /// Write what the console shows to the end of this file, each line with its time
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub transcript: Option<std::path::PathBuf>,

    /// How many earlier lines are shown first
    #[arg(long, default_value_t = 20, value_name = "LINES")]
    pub tail: usize,

    /// Which beamline.
    #[command(flatten)]
    pub beamline: BeamlineArgs,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Arguments of `ioc exec`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc exec t01-ea-ioc-01                       a shell in its container
  ioc exec t01-ea-ioc-01 -- caget T01:UPTIME
  ioc exec t01-ea-ioc-01 --debug-image localhost/ioc-sim-developer:latest   for an image without a shell")]
pub struct ExecArgs {
    /// Instance to run the command in
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instance: String,

    /// Command and its arguments [default: a shell]
    #[arg(last = true)]
    pub command: Vec<String>,

    /// Run it in a new container of this image beside the IOC's, with its processes, network and volumes
    #[arg(long, value_name = "IMAGE")]
    pub debug_image: Option<String>,

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
