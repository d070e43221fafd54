//! What the local engine must run for a release: its manifests as pods of containers, configuration files and claims.
//!
//! Pure: manifests and the name of the node in, a [`Workloads`] out, together with what the local backend cannot
//! honour. Every field of a pod is decided in one table, [`support`]; nothing is dropped without a word.
//!
//! What it deliberately does not do: look at the engine, at images, or at folders of the node.

pub mod environment;
pub mod model;
pub mod node;
pub mod pod;
pub mod probe;
pub mod quantity;
pub mod read;
pub mod security;
pub mod support;
#[cfg(test)]
mod tests;
pub mod volume;

pub use model::{Claim, Container, Pod, Workloads};
pub use read::{Refused, Surroundings, read};
