//! `ioc beamline`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `ioc beamline`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ioc beamline ls\n  ioc beamline init bl01t --uid 37001")]
pub struct BeamlineVerbArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: BeamlineVerb,
}

/// What `ioc beamline` can do.
#[derive(Debug, Subcommand)]
pub enum BeamlineVerb {
    /// List the beamlines of the project and where their instances run
    Ls(LsArgs),
    /// Write, and with --apply make, what a beamline needs on a Kubernetes cluster
    Init(Box<InitArgs>),
}

/// Arguments of `ioc beamline ls`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ioc beamline ls")]
pub struct LsArgs {}

/// Arguments of `ioc beamline init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc beamline init bl01t --uid 37001 --group bl01t-engineers    write the file, to be read
  ioc beamline init bl01t --node bl01t-ioc-1 --apply --dry-run   what the cluster would get
  ioc beamline init bl01t --node bl01t-ioc-1 --apply

Without a beamline of that name in ioc.toml, its services repository is written as well, as
`ioc new beamline` does. A file that is there already is used as it is, so that it can be
edited; --rewrite replaces it.")]
pub struct InitArgs {
    /// Name of the beamline: lower-case letters, digits and `-`
    pub name: String,

    /// Where it is, as the `location` of its instances [default: the name]
    #[arg(long)]
    pub location: Option<String>,

    /// User number that its IOCs run as, and no other
    #[arg(long, value_name = "NUMBER")]
    pub uid: Option<u32>,

    /// Group number [default: the user number]
    #[arg(long, value_name = "NUMBER", requires = "uid")]
    pub gid: Option<u32>,

    /// Group of people, as the cluster knows it, that may use ioc in the namespace [default: the name]
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,

    /// Node to label and taint for the beamline; may be repeated
    #[arg(long = "node", value_name = "NODE")]
    pub nodes: Vec<String>,

    /// Storage class of the shared claims [default: that of the cluster]
    #[arg(long, value_name = "NAME")]
    pub storage_class: Option<String>,

    /// How the shared claims can be mounted
    #[arg(long, value_name = "MODE", default_value = "ReadWriteMany")]
    pub access_mode: String,

    /// Size of each shared claim
    #[arg(long, value_name = "SIZE", default_value = "1Gi")]
    pub claim_size: String,

    /// Most pods in the namespace
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    pub pods: u32,

    /// Write into this folder instead of `cluster/` of the services repository
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,

    /// Replace a file that is there already
    #[arg(long)]
    pub rewrite: bool,

    /// Make it on the cluster
    #[arg(long)]
    pub apply: bool,

    /// Show what would be written and changed, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Go on without asking
    #[arg(short, long)]
    pub yes: bool,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: crate::cli::cluster::ClusterArgs,
}
