//! The main job on a real cluster: control plane and two nodes of the test bed, the built `ioc-sim` image, real `helm`
//! and `kubectl` beside ours, and values read through Channel Access from outside the nodes.
//!
//! Every test has a namespace and a services repository of its own; see [`site::Site`]. Faults of the cluster itself
//! happen to one beside the shared one; see [`cluster::PrivateCluster`].

mod alarm;
mod at_once;
mod autosave;
mod bed;
mod broken;
mod cluster;
mod connection;
mod deploy;
mod facility;
mod from_registry;
mod hooks;
mod killed;
mod log_store;
mod login;
mod look;
mod looking;
mod lookup;
mod nodes;
mod preflight;
mod proxy;
mod refused;
mod site;
mod versions;
