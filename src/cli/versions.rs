//! `ioc versions`, and the option of the verbs that take a version.

use clap::Args;

use crate::cli::render::BeamlineArgs;

/// Arguments of `ioc versions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc versions t01-ea-ioc-01      the git tags at which it changed, releases first
  ioc versions                    the newest version of every instance
  ioc versions t01-ea-ioc-01 --repository https://git.example.org/t01-services.git")]
pub struct VersionsArgs {
    /// Instance whose versions are listed; without it the newest version of every instance
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instance: Option<String>,

    /// Services repository: a folder, the URL of a git repository, or `oci://HOST/PATH` with a chart per instance
    /// [default: that of the beamline]
    #[arg(short, long, value_name = "FOLDER|URL")]
    pub repository: Option<String>,

    /// Which beamline.
    #[command(flatten)]
    pub beamline: BeamlineArgs,
}

/// A version in place of the working copy.
#[derive(Debug, Clone, Default, Args)]
pub struct VersionArgs {
    /// Take this git tag of the services repository instead of the working copy, or this version of its charts in a
    /// registry [default there: the newest release]
    #[arg(long, value_name = "TAG", add = clap_complete::ArgValueCompleter::new(crate::cli::complete::tags))]
    pub version: Option<String>,
}
