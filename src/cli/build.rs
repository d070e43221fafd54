//! `ioc build`.

use clap::{Args, ValueEnum};

/// Arguments of `ioc build`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc build ioc-sim                  build it and the images below it, both targets
  ioc build --all                    build every image of the project
  ioc build ioc-sim --dry-run        say what would be built and why
  ioc build --all --push             build what changed, then push all images, base first
  ioc build --shell ioc-sim          open the developer image with the working copy mounted")]
pub struct BuildArgs {
    /// Images to build, with the images below them
    #[arg(required_unless_present_any = ["all", "shell"], add = clap_complete::ArgValueCompleter::new(crate::cli::complete::images))]
    pub images: Vec<String>,

    /// Build every image of the project
    #[arg(long, conflicts_with = "images")]
    pub all: bool,

    /// Which target to build
    #[arg(long, value_enum, default_value_t)]
    pub target: TargetChoice,

    /// Open a shell in the developer image of IMAGE with the working copy mounted
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["images", "all"], add = clap_complete::ArgValueCompleter::new(crate::cli::complete::images))]
    pub shell: Option<String>,

    /// Say what would be built and why, and build nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Build even what did not change, without the engine's cache
    #[arg(long)]
    pub no_cache: bool,

    /// Refuse to build if a source or base image differs from `image.lock`
    #[arg(long, conflicts_with = "update")]
    pub locked: bool,

    /// Move `image.lock` to what the sources and base images are now
    #[arg(long)]
    pub update: bool,

    /// Push the runtime and developer images afterwards, base first, to the registry in their names
    #[arg(long, conflicts_with_all = ["shell", "dry_run"])]
    pub push: bool,

    /// Images built at the same time [default: number of processors, at most 4]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<usize>,
}

/// Which targets of an image to build.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum TargetChoice {
    /// Developer and runtime
    #[default]
    All,
    /// Compilers, sources, EPICS build system
    Developer,
    /// What an IOC instance runs
    Runtime,
}
