//! Images: pushed by the engine that has them, with the logins that `ioc` found.

use std::collections::BTreeMap;

use bollard::auth::DockerCredentials;
use bollard::query_parameters::PushImageOptionsBuilder;
use futures_util::StreamExt;
use oci_client::manifest::OciImageManifest;

use super::credentials::Secret;
use super::error::RegistryError;
use super::reference::{Digest, Reference};
use super::transport::Registry;
use crate::engine::Engine;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedImage {
    /// The image with its digest in the registry.
    pub digest: Digest,
    /// Whether the registry had exactly this image under this tag before.
    pub was_there: bool,
}

/// Pushes an image of the engine to the registry that its name begins with; layers that are there stay there.
///
/// `step` is told what the engine does. Mirror rules do not hold for what is written.
///
/// # Errors
///
/// The name has no registry, the engine does not have the image, or the registry does not take it.
pub async fn push(
    engine: &Engine,
    registry: &Registry,
    reference: &str,
    step: impl Fn(&str),
) -> CommandResult<PushedImage> {
    let parsed = pushable(reference)?;
    let before = registry.digest(&parsed).await?;
    let credentials = engine_login(registry, &parsed).await?;
    let name = parsed.repository_name();
    let options = PushImageOptionsBuilder::new()
        .tag(parsed.tag().unwrap_or("latest"))
        .build();
    let failed = |cause: bollard::errors::Error| {
        let message = format!("the engine failed to push `{reference}`");
        let text = cause.to_string();
        let error = CommandError::new(ErrorKind::Fetch, message).caused_by(cause);
        if text.contains("HTTP response to HTTPS") {
            return error.hint(format!(
                "the engine wants TLS: add `{}` to its `insecure-registries` if the registry is meant to speak plain HTTP",
                parsed.registry()
            ));
        }
        error.hint("what the registry has got already is not sent again")
    };
    let mut digest = None;
    let mut stream = engine
        .docker()
        .push_image(&name, Some(options), credentials);
    while let Some(progress) = stream.next().await {
        let progress = progress.map_err(failed)?;
        if let Some(status) = &progress.status {
            step(status);
            digest = digest_in(status).or(digest);
        }
    }
    drop(stream);
    let digest = match digest {
        Some(digest) => digest,
        // Podman's API does not say it.
        None => registry.digest(&parsed).await?.ok_or_else(|| {
            CommandError::new(
                ErrorKind::Fetch,
                format!("the engine pushed `{reference}`, and the registry does not have it"),
            )
        })?,
    };
    Ok(PushedImage {
        was_there: before.as_ref() == Some(&digest),
        digest,
    })
}

/// The labels of an image in a registry, without its layers.
///
/// # Errors
///
/// It is not there, is no single image, or the registry cannot be asked or refuses.
pub async fn labels(
    registry: &Registry,
    reference: &Reference,
) -> Result<BTreeMap<String, String>, RegistryError> {
    const LARGEST_CONFIGURATION: usize = 8 << 20;
    let received = registry.manifest(reference).await?;
    let no_image = |why: &str| RegistryError::Content {
        what: format!("`{reference}` is no image"),
        why: why.to_owned(),
    };
    let manifest: OciImageManifest = serde_json::from_slice(&received.bytes)
        .map_err(|_| no_image("its manifest is that of an image index, or malformed"))?;
    let configuration = registry
        .pull_blob(
            reference,
            &manifest.config,
            LARGEST_CONFIGURATION,
            "configuration of the image",
        )
        .await?;
    let configuration: serde_json::Value = serde_json::from_slice(&configuration)
        .map_err(|_| no_image("its configuration is malformed"))?;
    let labels = configuration.pointer("/config/Labels");
    Ok(labels
        .and_then(|labels| serde_json::from_value(labels.clone()).ok())
        .unwrap_or_default())
}

/// The reference of an image that can be pushed.
///
/// # Errors
///
/// It is malformed, or stays on this machine: `localhost/…`.
pub fn pushable(reference: &str) -> CommandResult<Reference> {
    let parsed = Reference::parse(reference).map_err(|error| {
        CommandError::from_diagnostic(ErrorKind::Input, error.diagnostic("the name of the image"))
    })?;
    if parsed.registry() == "localhost" {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!("`{reference}` has no registry to be pushed to: `localhost` stands for this machine"),
        )
        .hint("name one in `ioc.toml`: `[images]` `registry = \"registry.example.org/epics\"`, or set `IOC_IMAGE_REGISTRY`, and build again"));
    }
    Ok(parsed)
}

/// The login in the form in which the engine takes it.
async fn engine_login(
    registry: &Registry,
    reference: &Reference,
) -> Result<Option<DockerCredentials>, RegistryError> {
    let login = registry
        .login(reference.registry(), reference.repository())
        .await?;
    let server = Some(reference.registry().to_owned());
    Ok(match login.secret().clone() {
        Secret::None => None,
        Secret::Password { user, password } => Some(DockerCredentials {
            username: Some(user),
            password: Some(password),
            serveraddress: server,
            ..DockerCredentials::default()
        }),
        Secret::Identity(token) => Some(DockerCredentials {
            identitytoken: Some(token),
            serveraddress: server,
            ..DockerCredentials::default()
        }),
    })
}

/// The digest in `latest: digest: sha256:… size: 123`.
fn digest_in(status: &str) -> Option<Digest> {
    let (_, rest) = status.split_once("digest: ")?;
    Digest::parse(rest.split_whitespace().next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_tells_the_digest() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let status = format!("1.0: digest: {digest} size: 527");
        assert_eq!(digest_in(&status).unwrap().as_str(), digest);
        assert_eq!(digest_in("Pushed"), None);
    }

    #[test]
    fn an_image_of_this_machine_is_not_pushed() {
        let error = pushable("localhost/ioc-sim-runtime:latest").unwrap_err();
        assert!(error.to_string().contains("has no registry"), "{error}");
        assert!(pushable("localhost:5000/ioc-sim-runtime:latest").is_ok());
    }
}
