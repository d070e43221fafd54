//! A developer image opened for work: a container with the working copies mounted, for as long as a shell is
//! open in it.

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{
    CreateContainerOptions, RemoveContainerOptionsBuilder, StartContainerOptions,
};

use super::{ImageEngine, refused};
use crate::ui::error::CommandResult;

/// A running container of a developer image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellContainer {
    /// The engine's identifier.
    pub id: String,
}

impl ImageEngine {
    /// Starts a container of `image` that waits, with folders of this machine (first) over folders of the image
    /// (second), as the given user.
    ///
    /// # Errors
    ///
    /// There is no such image, or the engine refuses.
    pub async fn open(
        &self,
        image: &str,
        folders: &[(String, String)],
        user: &str,
    ) -> CommandResult<ShellContainer> {
        let mounts = folders
            .iter()
            .map(|(source, target)| Mount {
                typ: Some(MountType::BIND),
                source: Some(source.clone()),
                target: Some(target.clone()),
                ..Mount::default()
            })
            .collect();
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: Some(vec!["/bin/sh".to_owned(), "-c".to_owned()]),
            // Ends by itself if `ioc` is killed before it can remove it.
            cmd: Some(vec!["sleep 604800".to_owned()]),
            user: Some(user.to_owned()),
            env: Some(vec![
                "HOME=/tmp".to_owned(),
                "CCACHE_DIR=/tmp/ccache".to_owned(),
            ]),
            host_config: Some(HostConfig {
                mounts: Some(mounts),
                network_mode: Some("host".to_owned()),
                auto_remove: Some(true),
                // reaps what the shell leaves behind; Podman would need a program for it
                init: Some(!self.engine.is_podman()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let docker = self.engine.docker();
        let created = docker
            .create_container(None::<CreateContainerOptions>, body)
            .await
            .map_err(|error| refused("make a container of the developer image", error))?;
        let container = ShellContainer { id: created.id };
        let started = docker
            .start_container(&container.id, None::<StartContainerOptions>)
            .await;
        if let Err(error) = started {
            self.close(&container).await?;
            return Err(refused("start the developer image", error));
        }
        Ok(container)
    }

    /// Removes the container.
    ///
    /// # Errors
    ///
    /// The engine refuses.
    pub async fn close(&self, container: &ShellContainer) -> CommandResult<()> {
        let remove = RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        self.engine
            .docker()
            .remove_container(&container.id, Some(remove))
            .await
            .map_err(|error| refused("remove the container of the shell", error))
    }
}
