//! Charts in a registry, as Helm keeps them: `HOST/PATH/NAME:VERSION`, the archive as one layer.
//!
//! Real `helm push` and `helm pull` read what is written here and the other way round. The `+` of a version is `_`
//! in its tag, because tags have no `+`.

use std::collections::BTreeMap;

use bytes::Bytes;
use helm::{Chart, LoadOptions, Metadata};
use jiff::Timestamp;
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use semver::Version;

use super::error::RegistryError;
use super::reference::{Digest, Reference};
use super::transport::Registry;

/// Media type of the metadata.
const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
/// Media type of the archive.
const ARCHIVE: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// Media type of the archive before Helm 3.8.
const LEGACY_ARCHIVE: &str = "application/tar+gzip";
/// Media type of the signature.
const PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";
/// Largest archive, in bytes; Helm unpacks no more.
const LARGEST_ARCHIVE: usize = 100 * 1024 * 1024;
/// Largest signature, in bytes.
const LARGEST_PROVENANCE: usize = 5 * 1024 * 1024;

/// A chart that was received.
#[derive(Debug, Clone)]
pub struct PulledChart {
    /// What was asked for, with the tag that was found.
    pub reference: Reference,
    /// Digest of the manifest.
    pub digest: Digest,
    /// The `.tgz` file.
    pub archive: Vec<u8>,
    /// The `.prov` file with the signature, if there is one.
    pub provenance: Option<Vec<u8>>,
}

/// A chart that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedChart {
    /// Where it is.
    pub reference: Reference,
    /// Digest of the manifest.
    pub digest: Digest,
    /// Whether the archive had to be sent; `false` when the registry had it.
    pub sent: bool,
}

/// The tag of a chart's version.
pub fn tag_of(version: &str) -> String {
    version.replace('+', "_")
}

/// The version of a tag, if it is the tag of a chart.
pub fn version_of(tag: &str) -> Option<Version> {
    Version::parse(&tag.replace('_', "+")).ok()
}

/// The versions of a chart, newest first; tags that are no version in the strict sense are left out.
///
/// # Errors
///
/// There is no such chart, or the registry cannot be asked or refuses.
pub async fn versions(
    registry: &Registry,
    chart: &Reference,
) -> Result<Vec<Version>, RegistryError> {
    let mut versions: Vec<Version> = registry
        .tags(chart)
        .await?
        .iter()
        .filter_map(|tag| version_of(tag))
        .collect();
    versions.sort();
    versions.reverse();
    Ok(versions)
}

/// Receives the chart of a reference with tag or digest.
///
/// # Errors
///
/// It is not there, is no chart, is not what its digest promises, or the registry cannot be asked or refuses.
pub async fn pull(
    registry: &Registry,
    reference: &Reference,
) -> Result<PulledChart, RegistryError> {
    let received = registry.manifest(reference).await?;
    let no_chart = |why: String| RegistryError::Content {
        what: format!("`{reference}` is no chart"),
        why,
    };
    let manifest: OciImageManifest = serde_json::from_slice(&received.bytes)
        .map_err(|_| no_chart("its manifest is that of an image index, or malformed".to_owned()))?;
    if manifest.config.media_type != CONFIG {
        return Err(no_chart(format!(
            "its configuration is of type `{}`, that of a chart is `{CONFIG}`",
            manifest.config.media_type
        )));
    }
    let layer = |kinds: &[&str]| {
        manifest
            .layers
            .iter()
            .find(|layer| kinds.contains(&layer.media_type.as_str()))
    };
    let content = layer(&[ARCHIVE, LEGACY_ARCHIVE])
        .ok_or_else(|| no_chart(format!("it has no layer of type `{ARCHIVE}`")))?;
    let archive = registry
        .pull_blob(reference, content, LARGEST_ARCHIVE, "chart archive")
        .await?;
    let provenance = match layer(&[PROVENANCE]) {
        Some(layer) => Some(
            registry
                .pull_blob(
                    reference,
                    layer,
                    LARGEST_PROVENANCE,
                    "signature of the chart",
                )
                .await?,
        ),
        None => None,
    };
    Ok(PulledChart {
        reference: reference.clone(),
        digest: received.digest,
        archive,
        provenance,
    })
}

/// Sends a chart archive to `folder/NAME:VERSION`, name and version as the archive says.
///
/// `created` becomes an annotation: with the same archive and the same time the digest is the same.
///
/// # Errors
///
/// The archive is no chart, or the registry cannot be asked or refuses.
pub async fn push(
    registry: &Registry,
    folder: &Reference,
    archive: Vec<u8>,
    provenance: Option<Vec<u8>>,
    created: Timestamp,
) -> Result<PushedChart, RegistryError> {
    let chart = Chart::load_archive(&archive, &LoadOptions::default()).map_err(|error| {
        RegistryError::Content {
            what: "the archive is no chart".to_owned(),
            why: error.to_string(),
        }
    })?;
    let metadata = chart.metadata();
    let reference = folder
        .join(&metadata.name)?
        .with_tag(tag_of(&metadata.version));
    let config =
        super::manifest::as_helm_writes(metadata).map_err(|error| RegistryError::Content {
            what: format!("the metadata of `{}`", metadata.name),
            why: error.to_string(),
        })?;
    let config = Bytes::from(config);
    let archive = Bytes::from(archive);
    let provenance = provenance.map(Bytes::from);
    let mut layers = vec![descriptor(ARCHIVE, &archive)];
    layers.extend(provenance.as_ref().map(|data| descriptor(PROVENANCE, data)));
    layers.sort_by(|one, other| one.digest.cmp(&other.digest));
    let manifest = OciImageManifest {
        schema_version: 2,
        // Helm leaves it out, and the digest should be the one that Helm would give.
        media_type: None,
        config: descriptor(CONFIG, &config),
        layers,
        annotations: Some(annotations(metadata, created)),
        ..OciImageManifest::default()
    };
    let sent = registry
        .push_blob(&reference, &archive, "chart archive")
        .await?;
    if let Some(provenance) = &provenance {
        registry
            .push_blob(&reference, provenance, "signature of the chart")
            .await?;
    }
    registry
        .push_blob(&reference, &config, "metadata of the chart")
        .await?;
    let digest = registry.put_manifest(&reference, &manifest).await?;
    Ok(PushedChart {
        reference,
        digest,
        sent,
    })
}

fn descriptor(media_type: &str, data: &Bytes) -> OciDescriptor {
    OciDescriptor {
        media_type: media_type.to_owned(),
        digest: Digest::of(data).as_str().to_owned(),
        size: i64::try_from(data.len()).unwrap_or(i64::MAX),
        ..OciDescriptor::default()
    }
}

/// The annotations that Helm writes; those of the chart cannot change its title and version.
fn annotations(metadata: &Metadata, created: Timestamp) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::new();
    let mut set = |key: &str, value: String| {
        if !value.trim().is_empty() {
            annotations.insert(format!("org.opencontainers.image.{key}"), value);
        }
    };
    set("description", metadata.description.clone());
    set("title", metadata.name.clone());
    set("version", metadata.version.clone());
    set("url", metadata.home.clone());
    set(
        "created",
        created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    );
    set(
        "source",
        metadata.sources.first().cloned().unwrap_or_default(),
    );
    let authors: Vec<String> = metadata
        .maintainers
        .iter()
        .filter(|person| !person.name.is_empty())
        .map(|person| match person.email.as_str() {
            "" => person.name.clone(),
            email => format!("{} ({email})", person.name),
        })
        .collect();
    set("authors", authors.join(", "));
    for (key, value) in metadata.annotations.iter().flatten() {
        let fixed = [
            "org.opencontainers.image.title",
            "org.opencontainers.image.version",
        ];
        if !fixed.contains(&key.as_str()) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    annotations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_tags_without_plus() {
        assert_eq!(tag_of("1.0.0-rc.1+abc"), "1.0.0-rc.1_abc");
        assert_eq!(version_of("1.0.0_abc").unwrap().to_string(), "1.0.0+abc");
        for tag in ["latest", "v1.0.0", "1.0", "2026.01.1"] {
            assert_eq!(version_of(tag), None, "{tag}");
        }
    }
}
