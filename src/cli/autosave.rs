//! `ioc autosave`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::cluster::ClusterArgs;
use crate::cli::deploy::ActArgs;
use crate::cli::render::BeamlineArgs;

/// Arguments of `ioc autosave`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc autosave ls t01-ea-ioc-01
  ioc autosave show t01-ea-ioc-01 auto_settings.sav
  ioc autosave copy t01-ea-ioc-01 backup/
  ioc autosave restore t01-ea-ioc-01 auto_settings.savB --restart")]
pub struct AutosaveArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: AutosaveVerb,
}

/// What `ioc autosave` can do.
#[derive(Debug, Subcommand)]
pub enum AutosaveVerb {
    /// List the files of saved settings, and whether an IOC would restore them
    Ls(LsArgs),
    /// Print the PVs and values of one file
    Show(ShowArgs),
    /// Copy files of saved settings to this machine
    Copy(CopyArgs),
    /// Put an older file, or one of this machine, in place for the next start
    Restore(RestoreArgs),
}

/// Whose saved settings, and where they are.
#[derive(Debug, Args)]
pub struct WhereArgs {
    /// Folder in the container [default: the mount that is named after autosave]
    #[arg(long, value_name = "PATH")]
    pub folder: Option<String>,

    /// Which beamline.
    #[command(flatten)]
    pub beamline: BeamlineArgs,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Arguments of `ioc autosave ls`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc autosave ls t01-ea-ioc-01
  ioc autosave ls t01-ea-ioc-01 -o json

A file that was not written to its end (COMPLETE no) is not restored by an IOC.")]
pub struct LsArgs {
    /// The instance
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instance: String,

    /// Where they are.
    #[command(flatten)]
    pub place: WhereArgs,
}

/// Arguments of `ioc autosave show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc autosave show t01-ea-ioc-01 auto_settings.sav
  ioc autosave show t01-ea-ioc-01 auto_settings.savB -o json")]
pub struct ShowArgs {
    /// The instance
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instance: String,

    /// Name of the file, as `ioc autosave ls` lists it
    pub file: String,

    /// Where they are.
    #[command(flatten)]
    pub place: WhereArgs,
}

/// Arguments of `ioc autosave copy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc autosave copy t01-ea-ioc-01 backup/                          all files
  ioc autosave copy t01-ea-ioc-01:auto_settings.sav .
  ioc autosave copy t01-ea-ioc-01:auto_settings.sav before.sav")]
pub struct CopyArgs {
    /// The instance, or one of its files as INSTANCE:FILE
    #[arg(value_name = "INSTANCE[:FILE]", add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub from: String,

    /// Folder on this machine, for one file also the name of a file
    pub to: PathBuf,

    /// Replace files that are there
    #[arg(long)]
    pub force: bool,

    /// Where they are.
    #[command(flatten)]
    pub place: WhereArgs,
}

/// Arguments of `ioc autosave restore`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc autosave restore t01-ea-ioc-01 auto_settings.savB      as auto_settings.sav
  ioc autosave restore t01-ea-ioc-01 auto_settings.sav_261127-101112 --restart
  ioc autosave restore t01-ea-ioc-01 --from backup/auto_settings.sav --dry-run

What was there is kept under a dated name. An IOC that runs would write over the file: stop it
before, or let `--restart` do that.
On a cluster a pod that stands in for the stopped one puts the file in place.")]
pub struct RestoreArgs {
    /// The instance
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::instances))]
    pub instance: String,

    /// The copy to restore, as `ioc autosave ls` lists it; with --from, the name that the file gets
    #[arg(required_unless_present = "from")]
    pub file: Option<String>,

    /// A file of this machine instead
    #[arg(long, value_name = "SAVED_FILE")]
    pub from: Option<PathBuf>,

    /// Stop the instance before and start it again
    #[arg(long)]
    pub restart: bool,

    /// Confirming and waiting.
    #[command(flatten)]
    pub act: ActArgs,

    /// Where they are.
    #[command(flatten)]
    pub place: WhereArgs,
}
