//! The cluster backend: instances as Helm releases in a namespace of a Kubernetes cluster.
//!
//! This is the only module that knows the `kube` library. It connects, reads and writes; what a plan or a record
//! means is decided in [`super::release`] and [`super::plan`], and what people see is made in `commands::kubernetes`.
//!
//! A verb gets a [`Cluster`] for a [`ClusterChoice`], which `commands::target` decides from flags and `ioc.toml`, and opens
//! a [`ClusterRelease`] in it:
//!
//! ```text
//! open -> plan (dry runs) -> carry_out: pending record -> hooks -> apply -> prune -> wait -> hooks -> deployed
//! ```

mod alive;
pub mod answer;
pub mod apply;
pub mod autosave;
pub mod cluster;
pub mod console;
mod credentials;
pub mod debug;
pub mod error;
pub mod facility;
pub mod holder;
mod hooks;
pub mod immutable;
pub mod intent;
pub mod kinds;
mod kubeconfig;
pub mod logs;
pub mod look;
mod lookup;
pub mod lost;
mod managed_fields;
pub mod names;
pub mod node_page;
mod notices;
pub mod object;
pub mod permissions;
pub mod placement;
pub mod plan;
pub mod preflight;
mod readiness;
pub mod records;
pub mod release;
pub mod relocation;
pub mod retry;
pub mod stand_in;
pub mod survey;
pub mod uninstall;
mod wait;

pub use self::cluster::{Cluster, ClusterChoice};
pub(crate) use self::kubeconfig::paths as kubeconfig_files;
pub use self::release::ClusterRelease;
