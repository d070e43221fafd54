//! The connection to a container engine, Docker or Podman, shared by building and by the local backend.
//!
//! This module finds and reaches the engine and turns its refusals into words; what is asked of it is
//! decided in `image::engine` and `fleet::local`.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::StreamExt as _;

use crate::settings::Settings;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How long one request without a body may take; builds and log streams are not bound by it.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);
/// Most bytes of an archive that holds a single small file.
const LARGEST_FILE: usize = 4 * 1024 * 1024;

/// A reachable engine.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    host: String,
    version: EngineVersion,
}

/// What the engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct EngineVersion {
    /// `Docker` or `Podman`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Version of the API that was agreed on.
    pub api: String,
}

impl Engine {
    /// Connects to the engine of the settings, or to the first of the usual sockets that answers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Engine`], with what was tried and what would help: start it, join its group, or name it.
    pub async fn connect(settings: &Settings) -> CommandResult<Self> {
        if let Some(host) = &settings.engine {
            return Self::connect_to(host).await;
        }
        let mut tried = Vec::new();
        let mut refused = None;
        for socket in usual_sockets() {
            if !Path::new(&socket).exists() {
                tried.push(socket);
                continue;
            }
            match Self::connect_to(&format!("unix://{socket}")).await {
                Ok(engine) => return Ok(engine),
                Err(error) => {
                    refused.get_or_insert(error);
                }
            }
        }
        Err(refused.unwrap_or_else(|| {
            CommandError::new(ErrorKind::Engine, "no container engine was found")
                .caused_by(format!("none of these sockets exists: {}", tried.join(", ")))
                .hint("start Docker or Podman (`systemctl start docker`, `systemctl --user start podman.socket`), or name its socket with `--engine unix:///path` or in `ioc.toml`")
        }))
    }

    /// Connects to the engine at `host`, `unix:///path`, `tcp://host:port` or `http://host:port`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Engine`] when nothing answers there, permission is denied, or the URL is of another kind.
    pub async fn connect_to(host: &str) -> CommandResult<Self> {
        let timeout = REQUEST_TIMEOUT.as_secs();
        let docker = if let Some(path) = host.strip_prefix("unix://") {
            socket_is_usable(path)?;
            Docker::connect_with_unix(path, timeout, API_DEFAULT_VERSION)
        } else if host.starts_with("tcp://") || host.starts_with("http://") {
            Docker::connect_with_http(host, timeout, API_DEFAULT_VERSION)
        } else {
            return Err(CommandError::new(
                ErrorKind::Engine,
                format!("`{host}` is not the URL of a container engine"),
            )
            .hint("write it as `unix:///path/to.sock` or `tcp://host:port`"));
        };
        let unreachable = |error: bollard::errors::Error| {
            CommandError::new(
                ErrorKind::Engine,
                format!("the container engine at `{host}` does not answer"),
            )
            .caused_by(innermost(&error))
            .hint("is it running? `--engine`, `DOCKER_HOST` and `ioc.toml` say which one is used")
        };
        let docker = docker.map_err(unreachable)?;
        let docker = docker.negotiate_version().await.map_err(unreachable)?;
        let version = docker.version().await.map_err(unreachable)?;
        let is_podman = version
            .components
            .iter()
            .flatten()
            .any(|part| part.name.contains("Podman"));
        let version = EngineVersion {
            name: if is_podman { "Podman" } else { "Docker" }.to_owned(),
            version: version.version.unwrap_or_default(),
            api: docker.client_version().to_string(),
        };
        Ok(Self {
            docker,
            host: host.to_owned(),
            version,
        })
    }

    /// The client.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// The URL that was connected to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Name and version of the engine.
    pub fn version(&self) -> &EngineVersion {
        &self.version
    }

    /// The text of a small file in a container, running or not; `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// The file is larger than 4 MiB or no text; there is no such container, or the engine does not answer.
    pub async fn file_of_container(
        &self,
        container: &str,
        path: &str,
    ) -> CommandResult<Option<String>> {
        let failed = |cause: String| {
            CommandError::new(
                ErrorKind::Engine,
                format!("`{path}` cannot be read out of a container"),
            )
            .caused_by(cause)
        };
        let options = DownloadFromContainerOptionsBuilder::new()
            .path(path)
            .build();
        let mut stream = self
            .docker
            .download_from_container(container, Some(options));
        let mut archive = Vec::new();
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(bytes) => archive.extend_from_slice(&bytes),
                Err(bollard::errors::Error::DockerResponseServerError {
                    status_code: 404, ..
                }) => return Ok(None),
                Err(error) => return Err(failed(error.to_string())),
            }
            if archive.len() > LARGEST_FILE {
                return Err(failed("it is larger than 4 MiB".to_owned()));
            }
        }
        first_file(&archive).map_err(|error| failed(error.to_string()))
    }

    /// Whether it is Podman, which builds without BuildKit sessions.
    pub fn is_podman(&self) -> bool {
        self.version.name == "Podman"
    }

    /// Whether files of this machine can be mounted into its containers.
    pub fn is_on_this_machine(&self) -> bool {
        self.host.starts_with("unix://")
    }
}

/// The text of the first file of an archive.
fn first_file(archive: &[u8]) -> std::io::Result<Option<String>> {
    let mut archive = tar::Archive::new(archive);
    let Some(entry) = archive.entries()?.next() else {
        return Ok(None);
    };
    let mut text = String::new();
    entry?.read_to_string(&mut text)?;
    Ok(Some(text))
}

/// The first cause of an error, without the layers of the HTTP client above it.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// Says why a socket cannot be used before the HTTP client wraps it in its own words.
fn socket_is_usable(path: &str) -> CommandResult<()> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_stream) => Ok(()),
        Err(error) => {
            let hint = match error.kind() {
                std::io::ErrorKind::PermissionDenied => {
                    "you may not use this socket: join its group (`usermod -aG docker $USER`, then log in again), use sudo, or use your own rootless Podman"
                }
                std::io::ErrorKind::NotFound => {
                    "there is no such socket: start the engine, or name another with `--engine`"
                }
                _ => "start the engine (`systemctl start docker`), or name another with `--engine`",
            };
            Err(CommandError::new(
                ErrorKind::Engine,
                format!("the container engine at `unix://{path}` cannot be reached"),
            )
            .caused_by(error)
            .hint(hint))
        }
    }
}

/// Docker's socket, then Podman's of the machine and of the user.
fn usual_sockets() -> Vec<String> {
    let uid = rustix::process::getuid().as_raw();
    vec![
        "/var/run/docker.sock".to_owned(),
        format!("/run/user/{uid}/docker.sock"),
        "/run/podman/podman.sock".to_owned(),
        format!("/run/user/{uid}/podman/podman.sock"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_does_not_exist_is_named() {
        let error = Engine::connect_to("unix:///nowhere/docker.sock")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Engine);
        assert!(
            error.to_string().contains("unix:///nowhere/docker.sock"),
            "{error}"
        );
        assert!(
            error.hints()[0].contains("start the engine"),
            "{:?}",
            error.hints()
        );
    }

    #[tokio::test]
    async fn another_kind_of_url_is_refused() {
        let error = Engine::connect_to("ssh://host").await.unwrap_err();
        assert!(error.to_string().contains("is not the URL"), "{error}");
    }
}
