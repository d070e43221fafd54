//! The support modules in the image of an IOC: the API server knows nothing of what is inside an image, so its file is
//! read in the running container.

use std::time::Duration;

use futures_util::StreamExt as _;

use crate::fleet::console::connection::Piece;
use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::console::{self, PodProcess};
use crate::fleet::kubernetes::look::find::Found;
use crate::image::versions::{ModuleVersion, VERSIONS_FILE};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How long the container may take to print a small file.
const ANSWER: Duration = Duration::from_secs(5);
/// A larger file is not read.
const LARGEST_FILE: usize = 1024 * 1024;

/// What the image says; nothing when the IOC does not run or the image has no such file.
///
/// # Errors
///
/// The refusal to run a command in the container; a file that is too large or no JSON; no answer in time.
pub(super) async fn modules(cluster: &Cluster, found: &Found) -> CommandResult<Vec<ModuleVersion>> {
    let Ok(process) = PodProcess::of(found, None) else {
        return Ok(Vec::new());
    };
    let read = tokio::time::timeout(ANSWER, text(cluster, &process)).await;
    let Some(text) = read.map_err(|_elapsed| unread("the container does not answer"))?? else {
        return Ok(Vec::new());
    };
    ModuleVersion::parse(&text).map_err(|error| unread(&error.to_string()))
}

async fn text(cluster: &Cluster, process: &PodProcess) -> CommandResult<Option<String>> {
    let command = ["cat", VERSIONS_FILE].map(str::to_owned).to_vec();
    let mut connection = console::exec(cluster, process, command, false).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = connection.output.next().await {
        if let Piece::Output(piece) = piece? {
            bytes.extend_from_slice(&piece);
        }
        if bytes.len() > LARGEST_FILE {
            return Err(unread("it is larger than 1 MiB"));
        }
    }
    match connection.exit_code().await {
        Ok(Some(0)) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        // no such file
        Ok(_) => Ok(None),
        // no such command
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn unread(why: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Cluster,
        format!("support modules: {VERSIONS_FILE} of the container cannot be read: {why}"),
    )
}
