//! Looking into an image without running it: its layers, and files inside.

use std::io::Read;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptionsBuilder, RemoveContainerOptionsBuilder,
};
use futures_util::StreamExt;
use serde::Serialize;

use super::log::short_name;
use super::{ImageEngine, refused};
use crate::ui::error::CommandResult;

/// Most bytes of an archive that holds a single small file.
const LARGEST_FILE: usize = 4 * 1024 * 1024;

/// A layer that holds something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerSize {
    /// Bytes that it adds.
    pub size: u64,
    /// The step that made it, without the mounts that it had.
    pub step: String,
}

impl ImageEngine {
    /// The layers of an image that hold something, lowest first.
    ///
    /// # Errors
    ///
    /// There is no such image, or the engine does not answer.
    pub async fn layers(&self, reference: &str) -> CommandResult<Vec<LayerSize>> {
        let history = self
            .engine
            .docker()
            .image_history(reference)
            .await
            .map_err(|error| refused("show the layers", error))?;
        let layers = history.into_iter().rev().filter_map(|item| {
            let size = u64::try_from(item.size).ok().filter(|size| *size > 0)?;
            let step = item.created_by.replace("|0 ", "").replace("# buildkit", "");
            let step = step.replace("RUN /bin/sh -c", "RUN");
            // Podman names the shell of a step and says by a mark when none was used
            let step = step
                .replace("/bin/sh -c #(nop) ", "")
                .replacen("/bin/sh -c", "RUN", 1);
            let step = match step.trim() {
                "" => "operating system".to_owned(),
                step => short_name(step),
            };
            Some(LayerSize { size, step })
        });
        Ok(layers.collect())
    }

    /// The text of a small file inside an image; `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// There is no such image, or the engine does not answer.
    pub async fn file_of(&self, image: &str, path: &str) -> CommandResult<Option<String>> {
        let docker = self.engine.docker();
        // A container that is never started: the only way to a file of an image.
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: Some(vec!["true".to_owned()]),
            ..ContainerCreateBody::default()
        };
        let container = docker
            .create_container(None::<CreateContainerOptions>, body)
            .await
            .map_err(|error| refused("look into the image", error))?;
        let options = DownloadFromContainerOptionsBuilder::new()
            .path(path)
            .build();
        let mut stream = docker.download_from_container(&container.id, Some(options));
        let mut archive: Option<Vec<u8>> = Some(Vec::new());
        while let Some(chunk) = stream.next().await {
            match (chunk, archive.as_mut()) {
                (Ok(bytes), Some(archive)) if archive.len() + bytes.len() <= LARGEST_FILE => {
                    archive.extend_from_slice(&bytes);
                }
                // no such file, or none of a reasonable size
                _ => {
                    archive = None;
                    break;
                }
            }
        }
        drop(stream);
        let remove = RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        docker
            .remove_container(&container.id, Some(remove))
            .await
            .map_err(|error| refused("remove the container that showed a file", error))?;
        Ok(archive.and_then(|bytes| first_file(&bytes)))
    }
}

/// The text of the first file of an archive.
fn first_file(bytes: &[u8]) -> Option<String> {
    let mut archive = tar::Archive::new(bytes);
    let mut entry = archive.entries().ok()?.next()?.ok()?;
    let mut text = String::new();
    entry.read_to_string(&mut text).ok()?;
    Some(text)
}
