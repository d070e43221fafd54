//! Whether a registry has an image, as far as this machine can tell.

use tokio::time::Instant;

use super::error::RegistryError;
use super::reference::Reference;
use super::transport::Registry;

/// What a registry says to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Existence {
    /// It has it.
    There,
    /// It answered, and does not have it.
    Missing {
        /// What is missing: the repository, the tag or the digest.
        what: String,
        /// What would help, such as the tags that it has.
        hints: Vec<String>,
    },
    /// It could not be asked from here, or does not tell this login. A node may have a login of its own.
    Unknown {
        /// Why.
        why: String,
        /// What would help.
        hints: Vec<String>,
    },
}

/// Asks the registry of an image for it, until `deadline`. Moves no layers.
pub async fn of_image(registry: &Registry, reference: &str, deadline: Instant) -> Existence {
    match tokio::time::timeout_at(deadline, ask(registry, reference)).await {
        Ok(Ok(())) => Existence::There,
        Ok(Err(
            error @ (RegistryError::UnknownRepository { .. } | RegistryError::UnknownTag { .. }),
        )) => Existence::Missing {
            what: error.to_string(),
            hints: error.hints(),
        },
        Ok(Err(error)) => Existence::Unknown {
            why: error.to_string(),
            hints: error.hints(),
        },
        Err(_) => Existence::Unknown {
            why: "its registry did not answer in time".to_owned(),
            hints: Vec::new(),
        },
    }
}

async fn ask(registry: &Registry, reference: &str) -> Result<(), RegistryError> {
    let reference = Reference::parse(reference)?;
    if registry.digest(&reference).await?.is_none() {
        // the question for the manifest itself tells repository and tag apart, and which tags there are
        registry.manifest(&reference).await?;
    }
    Ok(())
}
