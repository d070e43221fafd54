//! Building a target: BuildKit over a session of Docker's API, or Podman's own builder.

use std::io::{self, Write};

use bollard::query_parameters::{BuildImageOptionsBuilder, BuilderVersion};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::log::BuildLog;
use super::{BuildFailure, BuildObserver, ImageEngine, podman};
use crate::image::prepare::Prepared;

/// Bytes of the context that are sent at once.
const CHUNK: usize = 256 * 1024;

impl ImageEngine {
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
        let mut context = prepared.context.clone();
        if self.engine.is_podman() {
            let target = prepared.target.as_str();
            let text = podman::containerfile(&prepared.containerfile, &prepared.image, target);
            context.text("Containerfile", text);
        }
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
