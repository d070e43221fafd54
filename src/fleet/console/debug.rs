//! A container beside that of an IOC, for images that have no shell: it sees the processes, the network and the volumes
//! of the IOC's container, and is gone when whoever asked for it leaves.

use std::pin::Pin;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptions, CreateContainerOptions, InspectContainerOptions,
    RemoveContainerOptionsBuilder, StartContainerOptions,
};
use tokio::io::AsyncWrite;

use crate::engine::Engine;
use crate::fleet::containers::{InstanceContainer, refused};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Label of such a container: the instance that it looks at.
const DEBUG: &str = "ioc.debug";
/// It waits until its input ends, which is when the connection to it does, however that happens.
pub const HOLD: &str = "cat";

/// The container, as long as this lives.
pub struct Beside {
    /// The engine's identifier.
    pub id: String,
    engine: Engine,
    /// Its end ends the container.
    _input: Pin<Box<dyn AsyncWrite + Send>>,
}

impl Beside {
    /// Starts a container of `image` beside a running one.
    ///
    /// # Errors
    ///
    /// The engine does not have the image, or refuses.
    pub async fn start(
        engine: &Engine,
        target: &InstanceContainer,
        image: &str,
    ) -> CommandResult<Self> {
        let docker = engine.docker();
        let inspected = docker
            .inspect_container(&target.id, None::<InspectContainerOptions>)
            .await
            .map_err(|error| refused(error, "failed to look at the container"))?;
        let user = inspected.config.and_then(|config| config.user);
        let joined = format!("container:{}", target.id);
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: Some(vec![HOLD.to_owned()]),
            // files of the IOC belong to its user
            user,
            open_stdin: Some(true),
            stdin_once: Some(true),
            attach_stdin: Some(true),
            labels: Some([(DEBUG.to_owned(), target.instance.clone())].into()),
            host_config: Some(HostConfig {
                pid_mode: Some(joined.clone()),
                network_mode: Some(joined),
                volumes_from: Some(vec![target.id.clone()]),
                auto_remove: Some(true),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let created = docker
            .create_container(None::<CreateContainerOptions>, body)
            .await
            .map_err(|error| no_container(error, image))?;
        match Self::hold(engine, &created.id).await {
            Ok(input) => Ok(Self {
                id: created.id,
                engine: engine.clone(),
                _input: input,
            }),
            Err(error) => {
                remove(engine, &created.id).await;
                Err(error.hint(format!(
                    "`{image}` must have `{HOLD}` and a shell; the developer target of the IOC's own image does"
                )))
            }
        }
    }

    /// Starts it with this process at its input.
    async fn hold(engine: &Engine, id: &str) -> CommandResult<Pin<Box<dyn AsyncWrite + Send>>> {
        let options = AttachContainerOptions {
            detach_keys: None,
            logs: false,
            stream: true,
            stdin: true,
            stdout: false,
            stderr: false,
        };
        let attached = engine
            .docker()
            .attach_container(id, Some(options))
            .await
            .map_err(|error| refused(error, "failed to attach to the container beside"))?;
        engine
            .docker()
            .start_container(id, None::<StartContainerOptions>)
            .await
            .map_err(|error| refused(error, "failed to start the container beside"))?;
        Ok(attached.input)
    }

    /// Removes it now instead of a moment after this process has ended.
    pub async fn end(self) {
        remove(&self.engine, &self.id).await;
    }
}

async fn remove(engine: &Engine, id: &str) {
    let options = RemoveContainerOptionsBuilder::new().force(true).build();
    if let Err(error) = engine.docker().remove_container(id, Some(options)).await {
        tracing::debug!(%error, "the container beside is being removed already");
    }
}

fn no_container(error: bollard::errors::Error, image: &str) -> CommandError {
    match error {
        bollard::errors::Error::DockerResponseServerError {
            status_code: 404, ..
        } => CommandError::new(
            ErrorKind::NotFound,
            format!("the engine does not have the image `{image}`"),
        )
        .hint("`ioc image ls` lists the images of the project; `ioc build` makes their developer targets"),
        other => refused(other, "failed to make the container beside"),
    }
}
