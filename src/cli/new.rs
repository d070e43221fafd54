//! `ioc new beamline|instance|generic-ioc`.

use clap::{Args, Subcommand, ValueEnum};

/// Arguments of `ioc new`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  ioc new beamline t02
  ioc new --ci github             a pipeline that checks each push and releases each tag")]
pub struct NewArgs {
    /// What to write.
    #[command(subcommand)]
    pub what: Option<NewWhat>,

    /// Write the pipeline file of a forge
    #[arg(long, value_enum)]
    pub ci: Option<Ci>,

    /// Show what would be written and write nothing
    #[arg(long, requires = "ci")]
    pub dry_run: bool,
}

/// Forges that run pipelines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ci {
    /// GitHub, and forges that run its workflows
    Github,
    /// GitLab
    Gitlab,
}

/// What `ioc new` can write.
#[derive(Debug, Subcommand)]
pub enum NewWhat {
    /// A services repository for a beamline
    Beamline(NewBeamlineArgs),
    /// An IOC instance in the services repository of its beamline
    Instance(NewInstanceArgs),
    /// A generic IOC: image definition, example and development container
    GenericIoc(NewGenericIocArgs),
}

/// Arguments of `ioc new beamline`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ioc new beamline t02\n  ioc new beamline t02 --location hall-2 --uid 37002"
)]
pub struct NewBeamlineArgs {
    /// Name of the beamline: lower-case letters, digits and `-`
    pub name: String,

    /// Where it is, as the `location` of its instances [default: the name]
    #[arg(long)]
    pub location: Option<String>,

    /// User and group number that its IOCs run as [default: those of the images]
    #[arg(long, value_name = "NUMBER")]
    pub uid: Option<u32>,

    /// Show what would be written and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `ioc new instance`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ioc new instance t02-ea-ioc-01 --image ioc-sim")]
pub struct NewInstanceArgs {
    /// Name of the instance; its part before the first `-` is the beamline unless `--beamline` is given
    pub name: String,

    /// Image to run: one of this project, or a registry reference
    #[arg(long, add = clap_complete::ArgValueCompleter::new(crate::cli::complete::images))]
    pub image: String,

    /// Beamline to add it to
    #[arg(long, add = clap_complete::ArgValueCompleter::new(crate::cli::complete::beamlines))]
    pub beamline: Option<String>,

    /// Show what would be written and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `ioc new generic-ioc`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ioc new generic-ioc ioc-camera --base epics-areadetector --module adsimdetector"
)]
pub struct NewGenericIocArgs {
    /// Name of the image: lower-case letters, digits and `-`
    pub name: String,

    /// Image to build on
    #[arg(long, default_value = "epics-base", add = clap_complete::ArgValueCompleter::new(crate::cli::complete::images))]
    pub base: String,

    /// Support modules to add, by recipe name; may be repeated
    #[arg(long = "module", value_name = "MODULE")]
    pub modules: Vec<String>,

    /// Show what would be written and write nothing
    #[arg(long)]
    pub dry_run: bool,
}
