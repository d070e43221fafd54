//! Building and looking at images through the container engine: the only part of `image` that knows it.
//!
//! Docker builds with BuildKit over a session of its API, Podman with its own builder over the classic API.

mod build;
mod log;
mod look;
mod podman;
mod shell;

use std::collections::BTreeMap;
use std::sync::Arc;

use bollard::errors::Error as EngineError;
use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

pub use self::look::LayerSize;
pub use self::shell::ShellContainer;
use crate::engine::Engine;
use crate::image::key::Inputs;
use crate::image::plan::Present;
use crate::image::prepare::{INPUTS_LABEL, KEY_LABEL};
use crate::image::trace::Mark;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Whom a build tells what it does.
pub trait BuildObserver: Send + Sync {
    /// A step begins or goes on, in words.
    fn step(&self, step: &str);
    /// A step was found in the engine's cache.
    fn cached(&self, step: &str) {
        let _ = step;
    }
    /// A line of output.
    fn output(&self, line: &str);
}

/// How a build ended that did not succeed.
#[derive(Debug)]
pub enum BuildFailure {
    /// A step failed.
    Step {
        /// The part of the step that failed, if the step says its parts.
        mark: Option<Mark>,
        /// The step as the engine names it.
        step: String,
        /// Its last lines of output.
        output: Vec<String>,
        /// What the engine says.
        message: String,
    },
    /// The engine or the way to it failed.
    Engine(CommandError),
    /// The user stopped it.
    Cancelled,
}

/// An image as the engine has it.
#[derive(Debug, Clone, Default)]
pub struct EngineImage {
    /// Identifier, `sha256:…`.
    pub id: String,
    /// Digests in registries, `name@sha256:…`.
    pub digests: Vec<String>,
    /// Size in bytes with all layers.
    pub size: u64,
    /// Digests of the layers.
    pub layers: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, RFC 3339.
    pub created: String,
}

impl EngineImage {
    fn new(image: ImageInspect) -> Self {
        let labels = image
            .config
            .and_then(|config| config.labels)
            .unwrap_or_default();
        Self {
            id: image.id.unwrap_or_default(),
            digests: image.repo_digests.unwrap_or_default(),
            size: image
                .size
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or(0),
            layers: image
                .root_fs
                .and_then(|files| files.layers)
                .unwrap_or_default(),
            labels: labels.into_iter().collect(),
            created: image
                .created
                .map(|time| time.to_rfc3339())
                .unwrap_or_default(),
        }
    }

    /// What the plan compares.
    pub fn present(&self) -> Present {
        let label = |name: &str| self.labels.get(name).map_or("", String::as_str);
        Present {
            key: label(KEY_LABEL).to_owned(),
            inputs: Inputs::from_label(label(INPUTS_LABEL)),
        }
    }

    /// The digest in the registry, `sha256:…`, if it came from or went to one.
    ///
    /// Podman gives a digest to images that were never near a registry, too; these are named `localhost/`.
    pub fn registry_digest(&self) -> Option<&str> {
        self.digests
            .iter()
            .filter_map(|digest| digest.split_once('@'))
            .filter(|(name, _)| !name.starts_with("localhost/"))
            .map(|(_, digest)| digest)
            .next()
    }
}

/// Builds and looks at images.
#[derive(Debug, Clone)]
pub struct ImageEngine {
    engine: Engine,
    network: Option<&'static str>,
    host_arch: String,
}

impl ImageEngine {
    /// Asks the engine what it needs to be told for builds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Engine`] when it does not answer.
    pub async fn new(engine: Engine) -> CommandResult<Self> {
        let info = engine
            .docker()
            .info()
            .await
            .map_err(|error| refused("tell about itself", error))?;
        // Podman always tells of a network, also without the program that would make it.
        let has_bridge = !engine.is_podman()
            && engine
                .docker()
                .inspect_network(
                    "bridge",
                    None::<bollard::query_parameters::InspectNetworkOptions>,
                )
                .await
                .is_ok();
        let host_arch = match info.architecture.as_deref() {
            Some("aarch64" | "arm64") => "linux-aarch64",
            Some("armv7l" | "arm") => "linux-arm",
            _ => "linux-x86_64",
        };
        Ok(Self {
            engine,
            // An engine without a bridge gives build steps no network unless they share the machine's.
            network: (!has_bridge).then_some("host"),
            host_arch: host_arch.to_owned(),
        })
    }

    /// EPICS name of the machine that images are built for.
    pub fn host_arch(&self) -> &str {
        &self.host_arch
    }

    /// The connection.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// An image that the engine has.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Engine`] when it does not answer.
    pub async fn inspect(&self, reference: &str) -> CommandResult<Option<EngineImage>> {
        match self.engine.docker().inspect_image(reference).await {
            Ok(image) => Ok(Some(EngineImage::new(image))),
            Err(EngineError::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(None),
            Err(error) => Err(refused(&format!("show the image `{reference}`"), error)),
        }
    }

    /// An image that the engine has, fetched from its registry if need be.
    ///
    /// # Errors
    ///
    /// Not found, with what would make it, or [`ErrorKind::Engine`].
    pub async fn inspect_or_pull(
        &self,
        reference: &str,
        observer: &dyn BuildObserver,
    ) -> CommandResult<EngineImage> {
        if let Some(image) = self.inspect(reference).await? {
            return Ok(image);
        }
        if reference.starts_with("localhost/") {
            let missing = CommandError::not_found(format!("the engine has no image `{reference}`"));
            return Err(match reference.strip_prefix("localhost/debian:") {
                Some(suite) => missing.hint(format!(
                    "make it with `ioc image bootstrap --suite {suite}`"
                )),
                None => missing.hint("build it, or name another base image"),
            });
        }
        observer.step(&format!("fetching {reference}"));
        let options = CreateImageOptionsBuilder::new()
            .from_image(reference)
            .build();
        let mut stream = self.engine.docker().create_image(Some(options), None, None);
        while let Some(progress) = stream.next().await {
            progress.map_err(|error| {
                CommandError::new(ErrorKind::Fetch, format!("failed to fetch the image `{reference}`"))
                    .caused_by(error)
                    .hint("without a registry, `ioc image bootstrap` makes an operating-system image; `base` in `[images]` of `ioc.toml` names the one to use")
            })?;
        }
        self.inspect(reference).await?.ok_or_else(|| {
            CommandError::not_found(format!(
                "the engine fetched `{reference}` and does not have it"
            ))
        })
    }
}

/// A refusal of the engine as an error of the command.
fn refused(what: &str, error: EngineError) -> CommandError {
    CommandError::new(
        ErrorKind::Engine,
        format!("the container engine did not {what}"),
    )
    .caused_by(error)
}

/// An observer that tells nobody.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl BuildObserver for Silent {
    fn step(&self, _step: &str) {}
    fn output(&self, _line: &str) {}
}

/// Observers are shared between the tasks of a build.
pub type SharedObserver = Arc<dyn BuildObserver>;
