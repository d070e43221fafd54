//! OCI registries: charts and the manifests of images, read and written over the distribution API.
//!
//! [`Registry`] is what a command talks to; [`chart`] knows how Helm keeps charts there, [`image`] lets the engine
//! push what it has. Logins come from Docker, Helm and Podman, mirrors, certificates and proxy from the settings.
//! What is already there is not sent again, an interrupted upload goes on where it was, and everything that is
//! received is bounded and checked against its digest.
//!
//! What it deliberately does not do: log in (other programs keep logins), delete, and move layers of images, which
//! is the engine's work.

mod blob;
mod challenge;
pub mod chart;
mod credentials;
mod endpoint;
pub mod error;
pub mod existence;
mod helper;
pub mod image;
mod manifest;
pub mod reference;
mod refusal;
mod tags;
mod transport;

pub use self::error::RegistryError;
pub use self::reference::{Digest, Reference, ReferenceError};
pub use self::transport::Registry;
