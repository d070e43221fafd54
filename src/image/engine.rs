//! Building and looking at images through the container engine: the only part of `image` that knows it.
//!
//! Docker builds with BuildKit over a session of its API, Podman with its own builder over the classic API.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::sync::Arc;

use bollard::errors::Error as EngineError;
use bollard::models::{BuildInfo, BuildInfoAux, ImageInspect};
use bollard::query_parameters::{
    BuildImageOptionsBuilder, BuilderVersion, CreateImageOptionsBuilder,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::image::key::Inputs;
use crate::image::plan::Present;
use crate::image::prepare::{INPUTS_LABEL, KEY_LABEL, Prepared};
use crate::image::trace::Mark;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How many lines of a step are kept for the case that it fails.
const KEPT_LINES: usize = 400;

/// Bytes of the context that are sent at once.
const CHUNK: usize = 256 * 1024;

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
                .map(|time| time.to_string())
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
    pub fn registry_digest(&self) -> Option<&str> {
        self.digests
            .iter()
            .filter_map(|digest| digest.split_once('@'))
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
        let has_bridge = engine.is_podman()
            || engine
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

    /// Builds a target; the image then has its reference. Returns its identifier.
    ///
    /// # Errors
    ///
    /// See [`BuildFailure`]; no image has the reference then unless one had it before.
    pub async fn build(
        &self,
        prepared: &Prepared,
        no_cache: bool,
        observer: &dyn BuildObserver,
        cancel: &CancellationToken,
    ) -> Result<String, BuildFailure> {
        let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(8);
        let context = prepared.context.clone();
        let writing = tokio::task::spawn_blocking(move || {
            let mut output = ChunkWriter::new(sender);
            if let Err(error) = context.write(&mut output) {
                output.fail(error);
            }
        });
        let body = bollard::body_try_stream(tokio_stream(receiver));
        let mut options = BuildImageOptionsBuilder::new()
            .dockerfile("Containerfile")
            .t(&prepared.reference)
            .target(&prepared.stage)
            .nocache(no_cache)
            .rm(true)
            .forcerm(true)
            .labels(&prepared.labels.clone().into_iter().collect())
            .buildargs(&prepared.arguments.clone().into_iter().collect());
        if let Some(network) = self.network {
            options = options.networkmode(network);
        }
        if !self.engine.is_podman() {
            let session = format!("ioc-{}-{}-{}", prepared.image, prepared.target, unique());
            options = options
                .version(BuilderVersion::BuilderBuildKit)
                .session(&session);
        }
        let mut stream = self
            .engine
            .docker()
            .build_image(options.build(), None, Some(body));
        let mut log = BuildLog::default();
        let result = loop {
            let message = tokio::select! {
                message = stream.next() => message,
                () = cancel.cancelled() => break Err(BuildFailure::Cancelled),
            };
            match message {
                Some(Ok(info)) => {
                    if let Some(id) = log.take(info, observer) {
                        break Ok(id);
                    }
                }
                Some(Err(error)) => break Err(log.failure(error)),
                // Podman ends without an identifier of its own.
                None if log.failed() => {
                    break Err(log.failure_of_step("the build ended early".to_owned()));
                }
                None => break Ok(log.id.clone().unwrap_or_default()),
            }
        };
        // Dropping the request is what stops the engine.
        drop(stream);
        writing.abort();
        result
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

/// Different for each build of this process and between processes.
fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{number}", std::process::id())
}

fn tokio_stream(
    receiver: mpsc::Receiver<io::Result<Bytes>>,
) -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|item| (item, receiver))
    })
}

/// Hands what is written to an asynchronous reader, in chunks.
struct ChunkWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: BytesMut,
}

impl ChunkWriter {
    fn new(sender: mpsc::Sender<io::Result<Bytes>>) -> Self {
        Self {
            sender,
            buffer: BytesMut::with_capacity(CHUNK),
        }
    }

    /// Tells the reader why there is no more; nobody is told if it is gone.
    fn fail(&mut self, error: io::Error) {
        let _gone = self.sender.blocking_send(Err(error));
    }

    fn send(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = self.buffer.split().freeze();
        self.buffer.reserve(CHUNK);
        self.sender
            .blocking_send(Ok(chunk))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// What a build has said so far.
#[derive(Debug, Default)]
struct BuildLog {
    /// Steps by digest.
    steps: BTreeMap<String, StepLog>,
    /// Digest of the step that failed, or that spoke last.
    current: String,
    failed: Option<String>,
    id: Option<String>,
}

#[derive(Debug, Default)]
struct StepLog {
    name: String,
    mark: Option<Mark>,
    lines: VecDeque<String>,
    partial: String,
    told: bool,
}

impl BuildLog {
    /// Takes a message; the identifier of the image when this was the last.
    fn take(&mut self, info: BuildInfo, observer: &dyn BuildObserver) -> Option<String> {
        if let Some(text) = info.stream {
            self.classic(&text, observer);
        }
        match info.aux {
            Some(BuildInfoAux::BuildKit(status)) => {
                for vertex in status.vertexes {
                    let step = self.steps.entry(vertex.digest.clone()).or_default();
                    step.name = short_name(&vertex.name);
                    if !vertex.error.is_empty() {
                        self.failed = Some(vertex.digest);
                    } else if vertex.cached {
                        observer.cached(&step.name);
                    } else if vertex.started.is_some() && vertex.completed.is_none() && !step.told {
                        step.told = true;
                        observer.step(&step.name);
                    }
                }
                for log in status.logs {
                    let text = String::from_utf8_lossy(&log.msg).into_owned();
                    self.current.clone_from(&log.vertex);
                    self.steps
                        .entry(log.vertex)
                        .or_default()
                        .add(&text, observer);
                }
                None
            }
            Some(BuildInfoAux::Default(image)) => {
                self.id = image.id;
                // BuildKit names the image last.
                self.id
                    .clone()
                    .filter(|_| !self.steps.contains_key(CLASSIC))
            }
            None => None,
        }
    }

    /// Output of a builder that writes one text.
    fn classic(&mut self, text: &str, observer: &dyn BuildObserver) {
        CLASSIC.clone_into(&mut self.current);
        let step = self.steps.entry(CLASSIC.to_owned()).or_default();
        if text.starts_with("STEP ") || text.starts_with("Step ") {
            step.lines.clear();
            step.mark = None;
            step.name = short_name(text.trim_end());
            observer.step(&step.name);
        } else {
            step.add(text, observer);
        }
        if let Some(id) = text.trim().strip_prefix("Successfully built ") {
            self.id = Some(id.to_owned());
        }
    }

    fn failed(&self) -> bool {
        self.failed.is_some()
    }

    fn failure(&mut self, error: EngineError) -> BuildFailure {
        match error {
            EngineError::DockerStreamError { error } => self.failure_of_step(error),
            other => BuildFailure::Engine(refused("build", other)),
        }
    }

    fn failure_of_step(&mut self, message: String) -> BuildFailure {
        let digest = self.failed.clone().unwrap_or_else(|| self.current.clone());
        let step = self.steps.remove(&digest).unwrap_or_default();
        let mut output: Vec<String> = step.lines.into();
        if !step.partial.is_empty() {
            output.push(step.partial);
        }
        BuildFailure::Step {
            mark: step.mark,
            step: step.name,
            output,
            message,
        }
    }
}

/// Where the output of a builder without steps is kept.
const CLASSIC: &str = "classic";

impl StepLog {
    fn add(&mut self, text: &str, observer: &dyn BuildObserver) {
        self.partial.push_str(text);
        while let Some(end) = self.partial.find('\n') {
            let line: String = self.partial.drain(..=end).collect();
            let line = line.trim_end();
            // A progress bar writes over itself.
            let line = line.rsplit('\r').next().unwrap_or(line);
            if let Some(mark) = Mark::parse(line) {
                observer.step(&mark.to_string());
                self.mark = Some(mark);
                continue;
            }
            observer.output(line);
            if self.lines.len() == KEPT_LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(line.to_owned());
        }
        // A line without end cannot fill the memory.
        if self.partial.len() > 64 * 1024 {
            self.partial.clear();
        }
    }
}

/// The name of a step without the mounts that every step has.
fn short_name(name: &str) -> String {
    let kept = name
        .split_whitespace()
        .filter(|word| !word.starts_with("--mount=") && *word != "\\");
    let text = kept.collect::<Vec<_>>().join(" ");
    let mut short: String = text.chars().take(120).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<String>>);

    impl BuildObserver for Recorder {
        fn step(&self, step: &str) {
            self.0.lock().unwrap().push(format!("step {step}"));
        }
        fn output(&self, line: &str) {
            self.0.lock().unwrap().push(format!("line {line}"));
        }
    }

    fn message(text: &str) -> BuildInfo {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_classic_builder_is_understood() {
        let mut log = BuildLog::default();
        let recorder = Recorder::default();
        for text in [
            r#"{"stream":"STEP 2/5: RUN --mount=type=bind,source=a,target=/b bash /build/build.sh\n"}"#,
            r#"{"stream":"::ioc asyn make 0\n"}"#,
            r#"{"stream":"x.c:1: error: half"}"#,
            r#"{"stream":" a line\n"}"#,
        ] {
            assert_eq!(log.take(message(text), &recorder), None);
        }
        assert_eq!(
            *recorder.0.lock().unwrap(),
            [
                "step STEP 2/5: RUN bash /build/build.sh",
                "step asyn: make",
                "line x.c:1: error: half a line"
            ]
        );
        let failure = log.failure(EngineError::DockerStreamError {
            error: "exit 2".into(),
        });
        let BuildFailure::Step { mark, output, .. } = failure else {
            panic!("{failure:?}");
        };
        assert_eq!(mark.unwrap().owner, "asyn");
        assert_eq!(output, ["x.c:1: error: half a line"]);
    }

    #[test]
    fn names_of_steps_are_shown_without_their_mounts() {
        assert_eq!(
            short_name(
                "[developer 3/9] RUN --mount=type=cache,target=/a --mount=type=bind,source=b bash /build/build.sh"
            ),
            "[developer 3/9] RUN bash /build/build.sh"
        );
    }
}
