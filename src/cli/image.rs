//! `ioc image ls|graph|show|sbom|bootstrap`.

use clap::{Args, Subcommand};

/// Arguments of `ioc image`.
#[derive(Debug, Args)]
pub struct ImageArgs {
    /// What to do with images.
    #[command(subcommand)]
    pub verb: ImageVerb,
}

/// What can be done with images besides building them.
#[derive(Debug, Subcommand)]
pub enum ImageVerb {
    /// List the images of the project and whether they are built and up to date
    Ls(ImageLsArgs),
    /// Show which image is built on which
    Graph(ImageGraphArgs),
    /// Show sizes, layers and the versions of all support modules inside
    Show(ImageShowArgs),
    /// List everything inside with its version: a bill of materials (CycloneDX with `-o json`)
    Sbom(ImageSbomArgs),
    /// Make an operating-system base image from the distribution's package mirror, without a registry
    Bootstrap(ImageBootstrapArgs),
}

/// Arguments of `ioc image ls`.
#[derive(Debug, Args)]
pub struct ImageLsArgs {}

/// Arguments of `ioc image graph`.
#[derive(Debug, Args)]
pub struct ImageGraphArgs {
    /// Only these images and what is below them
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::images))]
    pub images: Vec<String>,
}

/// Arguments of `ioc image show`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ioc image show ioc-sim\n  ioc image show localhost/ioc-sim-runtime:latest -o json"
)]
pub struct ImageShowArgs {
    /// An image of the project, or a reference that the engine knows
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::images))]
    pub image: String,
}

/// Arguments of `ioc image sbom`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc image sbom ioc-sim                        support modules and packages of the operating system, as a table
  ioc image sbom ioc-sim -o json > sbom.json    the same as CycloneDX 1.6, for scanners and records")]
pub struct ImageSbomArgs {
    /// An image of the project, or a reference that the engine knows
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::images))]
    pub image: String,
}

/// Arguments of `ioc image bootstrap`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ioc image bootstrap --suite trixie     makes localhost/debian:trixie"
)]
pub struct ImageBootstrapArgs {
    /// Release of the distribution
    #[arg(long, default_value = "trixie")]
    pub suite: String,

    /// Package mirror [default: the one in apt's configuration of this machine]
    #[arg(long)]
    pub mirror: Option<String>,

    /// Name of the image [default: localhost/debian:SUITE]
    #[arg(long)]
    pub tag: Option<String>,

    /// Make it again even if it exists
    #[arg(long)]
    pub force: bool,
}
