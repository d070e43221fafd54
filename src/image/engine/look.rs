//! Looking into an image without running it: its layers, and files inside.

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptionsBuilder};
use serde::Serialize;

use super::log::short_name;
use super::{ImageEngine, refused};
use crate::ui::error::CommandResult;

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
        let text = self.engine.file_of_container(&container.id, path).await;
        let remove = RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        docker
            .remove_container(&container.id, Some(remove))
            .await
            .map_err(|error| refused("remove the container that showed a file", error))?;
        text
    }
}
