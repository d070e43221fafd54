//! `ioc auth`.

use clap::{Args, Subcommand};

use crate::cli::cluster::ClusterArgs;
use crate::cli::render::BeamlineArgs;

/// Arguments of `ioc auth`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ioc auth can-i deploy -n bl01t")]
pub struct AuthArgs {
    /// What to look at.
    #[command(subcommand)]
    pub what: AuthVerb,
}

/// What `ioc auth` can do.
#[derive(Debug, Subcommand)]
pub enum AuthVerb {
    /// Which verbs of ioc the cluster lets you use, and what is missing for the others
    CanI(CanIArgs),
}

/// Arguments of `ioc auth can-i`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc auth can-i                           all verbs
  ioc auth can-i deploy logs -n bl01t
  ioc auth can-i 'beamline init'
  ioc auth can-i deploy -n bl01t -o yaml   a role that allows it, for your administrators

The exit code is 1 if any of the verbs is not allowed.")]
pub struct CanIArgs {
    /// Verbs of ioc, as `deploy` or `'beamline init'` [default: all]
    pub verbs: Vec<String>,

    /// Which beamline.
    #[command(flatten)]
    pub beamline: BeamlineArgs,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}
