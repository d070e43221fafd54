//! Handing a finished image to the container engine.

use std::path::Path;

use bollard::body_try_stream;
use bollard::errors::Error;
use bollard::query_parameters::ImportImageOptions;
use futures_util::StreamExt;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use super::rootfs::architecture;
use super::{BaseImage, stopped};
use crate::engine::Engine;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// The image of that name, if the engine has it.
pub(super) async fn inspect(image: &str, engine: &Engine) -> CommandResult<Option<BaseImage>> {
    match engine.docker().inspect_image(image).await {
        Ok(found) => Ok(Some(BaseImage {
            image: image.to_owned(),
            id: found.id.unwrap_or_default(),
            size: found
                .size
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or_default(),
            created: false,
        })),
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(None),
        Err(error) => Err(refused(
            format!("failed to look for image `{image}`"),
            error,
        )),
    }
}

/// What is installed here must run there.
pub(super) async fn check_architecture(engine: &Engine) -> CommandResult<()> {
    let version = engine
        .docker()
        .version()
        .await
        .map_err(|error| refused("failed to ask the engine what it is".to_owned(), error))?;
    let there = version.arch.unwrap_or_default();
    if there.is_empty() || there == architecture() {
        return Ok(());
    }
    Err(CommandError::new(
        ErrorKind::Unsupported,
        format!(
            "this machine is `{}`, the container engine's is `{there}`",
            architecture()
        ),
    )
    .hint("run it on the machine of the engine"))
}

/// Loads an archive and returns the image that it holds.
pub(super) async fn load(
    image: &str,
    archive: &Path,
    engine: &Engine,
    cancel: &CancellationToken,
) -> CommandResult<BaseImage> {
    let file = fs_err::tokio::File::open(archive).await?;
    let body = body_try_stream(ReaderStream::with_capacity(file, 256 * 1024));
    let options = ImportImageOptions {
        quiet: true,
        platform: None,
    };
    let mut answers = engine.docker().import_image(options, body, None);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Err(stopped()),
            answer = answers.next() => match answer {
                Some(Ok(_progress)) => {}
                Some(Err(error)) => {
                    return Err(refused(format!("the engine failed to load `{image}`"), error));
                }
                None => break,
            }
        }
    }
    match inspect(image, engine).await? {
        Some(found) => Ok(BaseImage {
            created: true,
            ..found
        }),
        None => Err(CommandError::new(
            ErrorKind::Engine,
            format!("the engine took the image, but has no `{image}`"),
        )),
    }
}

fn refused(message: String, error: Error) -> CommandError {
    CommandError::new(ErrorKind::Engine, message).caused_by(error)
}
