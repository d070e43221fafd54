//! `ioc import recipe`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `ioc import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// What to import.
    #[command(subcommand)]
    pub what: ImportWhat,
}

/// What can be imported.
#[derive(Debug, Subcommand)]
pub enum ImportWhat {
    /// A support-module recipe of ibek-support (FILE.install.yml)
    Recipe(ImportRecipeArgs),
}

/// Arguments of `ioc import recipe`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ioc import recipe ../ibek-support/asyn/asyn.install.yml")]
pub struct ImportRecipeArgs {
    /// The file to read
    pub file: PathBuf,

    /// Where to write the recipe [default: the modules folder of the project]
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,

    /// Replace a recipe that exists
    #[arg(long)]
    pub force: bool,

    /// Print the recipe and write nothing
    #[arg(long)]
    pub dry_run: bool,
}
