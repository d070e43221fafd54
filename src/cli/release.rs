//! `ioc release`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::render::BeamlineArgs;

/// Arguments of `ioc release`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc release --dry-run                      what the tag that is checked out would release
  ioc release 2026.11.1 --notes notes.md     all of it; after a failure it goes on where it was
  ioc release 2026.11.1 --no-images --charts oci://registry.example.org/t01/charts")]
pub struct ReleaseArgs {
    /// Git tag to release [default: the tag of the commit that is checked out]
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::tags))]
    pub tag: Option<String>,

    /// Where charts are pushed to [default: `charts` of `[release]` in `ioc.toml`]
    #[arg(long, value_name = "oci://HOST/PATH", env = "IOC_RELEASE_CHARTS")]
    pub charts: Option<String>,

    /// Neither build nor push images
    #[arg(long)]
    pub no_images: bool,

    /// Write the notes to this file too
    #[arg(long, value_name = "FILE")]
    pub notes: Option<PathBuf>,

    /// Do everything that changes nothing: verify, render, package, compare with the registry
    #[arg(long)]
    pub dry_run: bool,

    /// Reach the registry without TLS
    #[arg(long)]
    pub plain_http: bool,

    /// Which beamline.
    #[command(flatten)]
    pub beamline: BeamlineArgs,
}
