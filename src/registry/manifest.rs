//! Manifests: what a tag is made of.

use bytes::Bytes;
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE, OciImageManifest,
};
use reqwest::{Method, StatusCode};

use super::error::{Action, RegistryError};
use super::reference::{Digest, Reference};
use super::transport::{BodyError, Call, Registry, breaks_off};

/// Largest manifest, in bytes; the specification asks registries for no more.
const LARGEST: usize = 4 * 1024 * 1024;
/// How many tags are named when one is missing.
const SHOWN_TAGS: usize = 10;

/// A manifest as it came.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
}

impl Registry {
    /// The digest of what a reference names; `None` when there is no such tag, digest or repository.
    ///
    /// Moves no layers: it is one question, for images and charts alike.
    ///
    /// # Errors
    ///
    /// The registry cannot be asked or refuses.
    pub async fn digest(&self, reference: &Reference) -> Result<Option<Digest>, RegistryError> {
        let at = self.locate(reference, Action::Pull).await?;
        let selector = reference.selector().unwrap_or("latest");
        let call = accepting(Call::new(
            Method::HEAD,
            at.url(&format!("manifests/{selector}"))?,
            format!("look for `{reference}`"),
        ));
        let response = self.send(&at, Action::Pull, &call).await?;
        match response.status() {
            StatusCode::NOT_FOUND => return Ok(None),
            status if status.is_success() => {}
            _ => return Err(self.refusal(&at, Action::Pull, &call.what, response).await),
        }
        let header = response
            .headers()
            .get("docker-content-digest")
            .and_then(|value| value.to_str().ok())
            .and_then(Digest::parse);
        match header {
            Some(digest) => Ok(Some(digest)),
            // the header is not obligatory
            None => Ok(Some(self.manifest(reference).await?.digest)),
        }
    }

    /// The manifest of a reference, checked against its digest if the reference has one.
    pub(super) async fn manifest(&self, reference: &Reference) -> Result<Received, RegistryError> {
        let at = self.locate(reference, Action::Pull).await?;
        let selector = reference.selector().unwrap_or("latest");
        let call = accepting(Call::new(
            Method::GET,
            at.url(&format!("manifests/{selector}"))?,
            format!("give `{reference}`"),
        ));
        let mut attempt = 1;
        loop {
            let response = self.send(&at, Action::Pull, &call).await?;
            if response.status() == StatusCode::NOT_FOUND {
                return Err(self.missing(reference).await);
            }
            if !response.status().is_success() {
                return Err(self.refusal(&at, Action::Pull, &call.what, response).await);
            }
            match self.body(response, LARGEST).await {
                Ok(bytes) => {
                    let digest = Digest::of(&bytes);
                    return match reference.digest() {
                        Some(expected) if *expected != digest => Err(RegistryError::Digest {
                            registry: at.endpoint.registry,
                            what: "manifest".to_owned(),
                            expected: expected.clone(),
                            found: digest,
                        }),
                        _ => Ok(Received { bytes, digest }),
                    };
                }
                Err(BodyError::Broken(error))
                    if breaks_off(&error) && Self::may_try_after(attempt) =>
                {
                    self.pause(&at.endpoint, "the connection broke off", None, attempt)
                        .await?;
                    attempt += 1;
                }
                Err(error) => return Err(at.endpoint.body_failed(error, &call.what, LARGEST)),
            }
        }
    }

    /// Writes a manifest under a tag.
    pub(super) async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &OciImageManifest,
    ) -> Result<Digest, RegistryError> {
        let bytes = as_helm_writes(manifest).map_err(|error| RegistryError::Content {
            what: format!("the manifest of `{reference}`"),
            why: error.to_string(),
        })?;
        let digest = Digest::of(&bytes);
        let at = self.locate(reference, Action::Push).await?;
        let selector = reference.selector().unwrap_or(digest.as_str());
        let call = Call::new(
            Method::PUT,
            at.url(&format!("manifests/{selector}"))?,
            format!("take the manifest of `{reference}`"),
        )
        .header("content-type", OCI_IMAGE_MEDIA_TYPE)
        .body(Bytes::from(bytes));
        let response = self.send(&at, Action::Push, &call).await?;
        if response.status().is_success() {
            Ok(digest)
        } else {
            Err(self.refusal(&at, Action::Push, &call.what, response).await)
        }
    }

    /// What is missing: the repository or the tag. Names the tags that there are.
    async fn missing(&self, reference: &Reference) -> RegistryError {
        match self.tags(reference).await {
            Ok(mut known) => {
                known.reverse();
                known.truncate(SHOWN_TAGS);
                RegistryError::UnknownTag {
                    reference: reference.clone(),
                    known,
                }
            }
            Err(error @ (RegistryError::UnknownRepository { .. } | RegistryError::Cancelled)) => {
                error
            }
            // Some registries list no tags; what is missing is known nevertheless.
            Err(_) => RegistryError::UnknownTag {
                reference: reference.clone(),
                known: Vec::new(),
            },
        }
    }
}

/// JSON as Go writes it, to the byte: the same chart then has the same digest whoever pushes it.
pub(super) fn as_helm_writes(value: &impl serde::Serialize) -> serde_json::Result<Vec<u8>> {
    let text = serde_json::to_string(value)?;
    // These occur in strings only.
    let text = text
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029");
    Ok(text.into_bytes())
}

fn accepting(call: Call) -> Call {
    let kinds = [
        OCI_IMAGE_MEDIA_TYPE,
        OCI_IMAGE_INDEX_MEDIA_TYPE,
        IMAGE_MANIFEST_MEDIA_TYPE,
        IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    ];
    call.header("accept", &kinds.join(", "))
}
