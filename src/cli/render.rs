//! `ioc render` and `ioc diff`, and the value options that `ioc deploy` shares with them.

use std::path::PathBuf;

use clap::Args;

use crate::cli::cluster::ClusterArgs;
use crate::cli::versions::VersionArgs;

/// Values that are set one by one.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Values")]
pub struct SetArgs {
    /// Set a value, as in helm: `a.b=1,c[0]=x`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Set a value as a string
    #[arg(long, value_name = "KEY=VALUE")]
    pub set_string: Vec<String>,

    /// Set a value from JSON
    #[arg(long, value_name = "KEY=JSON")]
    pub set_json: Vec<String>,
}

/// Values that override those of the services repository.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Values")]
pub struct ValueArgs {
    /// More values, after those of the repository; may be repeated
    #[arg(short = 'f', long = "values", value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Single values.
    #[command(flatten)]
    pub sets: SetArgs,
}

/// Which beamline is meant when an instance name does not tell.
#[derive(Debug, Clone, Default, Args)]
pub struct BeamlineArgs {
    /// Beamline of the instances [default: the one that has them]
    #[arg(short, long, env = "IOC_BEAMLINE", add = clap_complete::ArgValueCompleter::new(crate::cli::complete::beamlines))]
    pub beamline: Option<String>,
}

/// Arguments of `ioc render`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc render t01-ea-ioc-01
  ioc render --all -b t01
  ioc render t01-ea-ioc-01 --version 2026.11.1")]
pub struct RenderArgs {
    /// Instances to render
    #[arg(required_unless_present = "all", add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instances: Vec<String>,

    /// Every instance of the beamline
    #[arg(long, conflicts_with = "instances")]
    pub all: bool,

    /// Which version.
    #[command(flatten)]
    pub version: VersionArgs,

    /// Which beamline.
    #[command(flatten)]
    pub beamline: BeamlineArgs,

    /// More values.
    #[command(flatten)]
    pub values: ValueArgs,
}

/// Arguments of `ioc diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc diff t01-ea-ioc-01
  ioc diff t01-ea-ioc-01 --version 2026.11.1
  ioc diff --all --exit-code      exit with 1 if anything differs, for pipelines")]
pub struct DiffArgs {
    /// Instances to compare with what is deployed
    #[arg(required_unless_present = "all", add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instances: Vec<String>,

    /// Every instance of the beamline
    #[arg(long, conflicts_with = "instances")]
    pub all: bool,

    /// Exit with 1 if there is a difference
    #[arg(long)]
    pub exit_code: bool,

    /// Compare with this revision of the release instead of the newest
    #[arg(long, value_name = "REVISION", value_parser = crate::cli::deploy::revision)]
    pub revision: Option<u32>,

    /// Which version.
    #[command(flatten)]
    pub version: VersionArgs,

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
