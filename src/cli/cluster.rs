//! Options that name a cluster, shared by all verbs that reach what runs.

use std::path::PathBuf;

use clap::Args;

/// Which cluster. Any of these means Kubernetes, whatever `ioc.toml` says.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct ClusterArgs {
    /// Namespace on a Kubernetes cluster [default: that of the beamline, else of the context]
    #[arg(short, long)]
    pub namespace: Option<String>,

    /// Context of the kubeconfig [default: that of the beamline, else the current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// Kubeconfig file [default: KUBECONFIG, then ~/.kube/config, then the cluster around this pod]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

impl ClusterArgs {
    /// Whether any of them was given.
    pub fn is_given(&self) -> bool {
        self.namespace.is_some() || self.context.is_some() || self.kubeconfig.is_some()
    }
}
