//! `ioc chart …`: what `helm lint|package|template|dependency|push|pull|show` do, with the same flags.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `ioc chart`.
#[derive(Debug, Args)]
pub struct ChartArgs {
    /// What to do with charts.
    #[command(subcommand)]
    pub verb: ChartVerb,
}

/// What can be done with charts.
#[derive(Debug, Subcommand)]
pub enum ChartVerb {
    /// Send a packaged chart to a registry
    Push(PushArgs),
    /// Receive a chart from a registry or chart repository
    Pull(PullArgs),
    /// Show what a chart says of itself
    Show(ShowArgs),
}

/// How registries are reached.
#[derive(Debug, Clone, Default, Args)]
pub struct RegistryArgs {
    /// Reach registries without TLS; `plain-http` in `[registry]` of `ioc.toml` says so for single ones
    #[arg(long)]
    pub plain_http: bool,
}

/// A chart that is named by path, reference or URL.
#[derive(Debug, Clone, Args)]
pub struct LocationArgs {
    /// Version or range of versions to take, such as `1.2.3` or `^1.2` [default: the newest release]
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,

    /// Take pre-releases too when `--version` is not given
    #[arg(long)]
    pub devel: bool,

    /// Chart repository (a folder of `index.yaml`) in which CHART is a name
    #[arg(long, value_name = "URL")]
    pub repo: Option<String>,

    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// Arguments of `ioc chart push`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc chart push t01-ea-ioc-01-2026.11.1.tgz oci://registry.example.org/t01

Logins come from `helm registry login`, `docker login` or `podman login`.")]
pub struct PushArgs {
    /// Packaged chart, as `ioc chart package` or `helm package` write it
    pub archive: PathBuf,

    /// Where it goes; name and version of the chart are added
    #[arg(value_name = "oci://HOST/PATH")]
    pub remote: String,

    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// Arguments of `ioc chart pull`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc chart pull oci://registry.example.org/charts/ioc-instance --version ^5.5
  ioc chart pull ioc-instance --repo https://charts.example.org --untar")]
pub struct PullArgs {
    /// Charts: `oci://HOST/PATH/NAME[:VERSION]`, a URL, `REPOSITORY/NAME`, or a name with `--repo`
    #[arg(required = true, value_name = "CHART")]
    pub charts: Vec<String>,

    /// Which version, and from where.
    #[command(flatten)]
    pub location: LocationArgs,

    /// Folder that the chart is written to
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    pub destination: PathBuf,

    /// Unpack the chart instead of writing its archive
    #[arg(long)]
    pub untar: bool,

    /// Folder below the destination that it is unpacked into
    #[arg(long, value_name = "FOLDER", default_value = ".", requires = "untar")]
    pub untardir: PathBuf,

    /// Write the signature too, without checking it
    #[arg(long)]
    pub prov: bool,
}

/// Arguments of `ioc chart show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc chart show values oci://registry.example.org/charts/ioc-instance
  ioc chart show all ./mychart")]
pub struct ShowArgs {
    /// What to show
    pub what: ShowWhat,

    /// Chart: a folder, an archive, `oci://HOST/PATH/NAME[:VERSION]`, a URL, or a name with `--repo`
    pub chart: String,

    /// Which version, and from where.
    #[command(flatten)]
    pub location: LocationArgs,
}

/// What of a chart to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ShowWhat {
    /// `Chart.yaml`
    Chart,
    /// `values.yaml`
    Values,
    /// The README
    Readme,
    /// Custom resource definitions
    Crds,
    /// All of them
    All,
}
