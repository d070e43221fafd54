//! The cluster backend: instances as Helm releases in a namespace of a Kubernetes cluster.
//!
//! This is the only module that knows the `kube` library. It connects, reads and writes; what a plan or a record
//! means is decided in [`super::release`] and [`super::plan`], and what people see is made in `commands::kubernetes`.
//!
//! A verb gets a [`Cluster`] for a [`ClusterChoice`], which `commands::target` decides from flags and `ioc.toml`.

pub mod cluster;
mod credentials;
pub mod error;
pub mod facility;
mod kubeconfig;
pub mod node_page;
pub mod permissions;
pub mod placement;
pub mod retry;
pub mod survey;

pub use self::cluster::{Cluster, ClusterChoice};
pub(crate) use self::kubeconfig::paths as kubeconfig_files;
