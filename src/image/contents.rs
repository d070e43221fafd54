//! What is inside a runtime image that an IOC reads when it starts: databases, definitions, protocols and the
//! environment. Read through the engine without running anything, once for each image.
//!
//! A container is made from the image, its `/epics` folder is downloaded as an archive and looked through as it
//! arrives, and the container is removed. What was found is kept in the cache under the image's digest.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder,
};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::engine::Engine;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// The folder of an image that is looked through.
const FOLDER: &str = "/epics";

/// Label of the containers that are made for looking; none of them ever runs.
const LABEL: &str = "ioc.look";

/// A container for looking that is older than this, in seconds, was left behind by a killed `ioc`.
const LEFT_BEHIND: i64 = 600;

/// Endings of the files that an IOC reads by name.
const ENDINGS: [&str; 12] = [
    "cmd",
    "db",
    "dbd",
    "iocsh",
    "proto",
    "protocol",
    "req",
    "sub",
    "subst",
    "substitutions",
    "template",
    "vdb",
];

/// Largest file that is kept, and most text of one image, in bytes.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;
const LARGEST_IMAGE: usize = 256 * 1024 * 1024;

/// Version of the cached form; another one is read again from the image.
const FORM: u32 = 1;

/// What an image brings along.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Contents {
    form: u32,
    /// The engine's identifier of the image, a digest.
    pub id: String,
    /// Its environment variables.
    pub environment: BTreeMap<String, String>,
    /// Text files by absolute path.
    files: BTreeMap<String, String>,
    /// Symbolic links by absolute path.
    links: BTreeMap<String, String>,
    /// Whether all of the image's text fitted.
    complete: bool,
}

/// What is known about a path inside an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside<'a> {
    /// A text file.
    Text(&'a str),
    /// There is no such file.
    Missing,
    /// It was not looked at: outside of the folder, or of a kind that is not kept.
    Unknown,
}

impl Contents {
    /// Looks up a normalised absolute path.
    pub fn read(&self, path: &str) -> Inside<'_> {
        let path = self.resolved(path);
        match self.files.get(&path) {
            Some(text) => Inside::Text(text),
            None if self.complete && path.starts_with("/epics/") && is_kept(Path::new(&path)) => {
                Inside::Missing
            }
            None => Inside::Unknown,
        }
    }

    /// Absolute paths of all text files.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The path with the symbolic links of the image followed.
    fn resolved(&self, path: &str) -> String {
        let mut path = path.to_owned();
        // As many as Linux follows; a loop ends here too.
        for _ in 0..40 {
            let link = self.links.iter().find_map(|(link, target)| {
                let rest = path.strip_prefix(link.as_str())?;
                (rest.is_empty() || rest.starts_with('/')).then_some((
                    link,
                    target,
                    rest.to_owned(),
                ))
            });
            let Some((link, target, rest)) = link else {
                break;
            };
            let folder = Path::new(link).parent().unwrap_or(Path::new("/"));
            path = normal(&format!("{}{rest}", folder.join(target).display()));
        }
        path
    }
}

/// Looks into the image `reference`, or into what the cache has of it; `None` when the engine has no such
/// image.
///
/// # Errors
///
/// The engine fails, or its archive cannot be read.
pub async fn look(
    engine: &Engine,
    reference: &str,
    cache: &Path,
) -> CommandResult<Option<Contents>> {
    let image = match engine.docker().inspect_image(reference).await {
        Ok(image) => image,
        Err(bollard::errors::Error::DockerResponseServerError {
            status_code: 404, ..
        }) => return Ok(None),
        Err(error) => return Err(failed("failed to look at", reference, error)),
    };
    let id = image.id.unwrap_or_default();
    let cached = cache.join("image-contents").join(format!(
        "{}.json",
        id.trim_start_matches("sha256:").replace(['/', ':'], "-")
    ));
    if let Some(contents) = from_cache(&cached, &id) {
        return Ok(Some(contents));
    }
    let environment = image
        .config
        .and_then(|config| config.env)
        .unwrap_or_default();
    let mut contents = Contents {
        form: FORM,
        id,
        environment: environment
            .iter()
            .filter_map(|entry| entry.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        files: BTreeMap::new(),
        links: BTreeMap::new(),
        complete: true,
    };
    remove_left_behind(engine).await;
    download(engine, reference, &mut contents).await?;
    keep(&cached, &contents)?;
    Ok(Some(contents))
}

fn from_cache(path: &Path, id: &str) -> Option<Contents> {
    let text = fs_err::read_to_string(path).ok()?;
    let contents: Contents = serde_json::from_str(&text).ok()?;
    (contents.form == FORM && contents.id == id).then_some(contents)
}

fn keep(path: &Path, contents: &Contents) -> CommandResult<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(folder)?;
    let text = serde_json::to_vec(contents).map_err(|error| {
        CommandError::new(ErrorKind::Internal, "failed to write the cache").caused_by(error)
    })?;
    // Two checks at once must not see half a file of each other.
    let new = tempfile::NamedTempFile::new_in(folder)?;
    fs_err::write(new.path(), text)?;
    new.persist(path).map_err(|error| error.error)?;
    Ok(())
}

async fn download(engine: &Engine, reference: &str, contents: &mut Contents) -> CommandResult<()> {
    let docker = engine.docker();
    let body = ContainerCreateBody {
        image: Some(reference.to_owned()),
        // never run; an image without a command of its own needs one to be accepted
        cmd: Some(vec!["/nothing".to_owned()]),
        labels: Some(HashMap::from([(LABEL.to_owned(), "files".to_owned())])),
        ..ContainerCreateBody::default()
    };
    let made = docker
        .create_container(None, body)
        .await
        .map_err(|error| failed("failed to look into", reference, error))?;
    let result = read_archive(engine, &made.id, reference, contents).await;
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
    let removed = docker
        .remove_container(&made.id, Some(options.build()))
        .await;
    result?;
    removed.map_err(|error| {
        failed(
            "failed to remove the container made for looking into",
            reference,
            error,
        )
    })
}

async fn read_archive(
    engine: &Engine,
    container: &str,
    reference: &str,
    contents: &mut Contents,
) -> CommandResult<()> {
    let options = DownloadFromContainerOptionsBuilder::new()
        .path(FOLDER)
        .build();
    let mut stream = Box::pin(
        engine
            .docker()
            .download_from_container(container, Some(options)),
    );
    // The first piece tells whether there is such a folder; an image that was not made for EPICS has none.
    let first = match stream.try_next().await {
        Ok(first) => first.unwrap_or_default(),
        Err(bollard::errors::Error::DockerResponseServerError {
            status_code: 404, ..
        }) => return Ok(()),
        Err(error) => return Err(failed("failed to read", reference, error)),
    };
    let first = futures_util::stream::once(async move { Ok(first) });
    let pieces = futures_util::StreamExt::chain(first, stream).map_err(std::io::Error::other);
    let reader = SyncIoBridge::new(StreamReader::new(Box::pin(pieces)));
    let (files, links, complete) = tokio::task::block_in_place(|| sort_out(reader))
        .map_err(|error| failed("failed to read the archive of", reference, error))?;
    contents.files = files;
    contents.links = links;
    contents.complete = complete;
    Ok(())
}

type Sorted = (BTreeMap<String, String>, BTreeMap<String, String>, bool);

/// Takes the text files and links out of the archive of [`FOLDER`].
fn sort_out(archive: impl Read) -> std::io::Result<Sorted> {
    let (mut files, mut links) = (BTreeMap::new(), BTreeMap::new());
    let (mut size, mut complete) = (0, true);
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        // Names are relative to the parent of the folder: `epics/…`.
        let path = PathBuf::from("/").join(entry.path()?);
        let Some(name) = path.to_str().map(normal) else {
            continue;
        };
        let kind = entry.header().entry_type();
        if kind.is_symlink() {
            if let Some(target) = entry.link_name()?.as_deref().and_then(Path::to_str) {
                links.insert(name, target.to_owned());
            }
        } else if kind.is_hard_link() {
            // The engine writes the first name of a file as the file and the others as links to it.
            if let Some(target) = entry.link_name()?.as_deref().and_then(Path::to_str) {
                links.insert(name, normal(&format!("/{target}")));
            }
        } else if kind.is_file() && is_kept(&path) {
            if entry.size() > LARGEST_FILE || size > LARGEST_IMAGE {
                complete = false;
                continue;
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            size += bytes.len();
            files.insert(name, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok((files, links, complete))
}

fn is_kept(path: &Path) -> bool {
    let ending = path.extension().and_then(std::ffi::OsStr::to_str);
    ending.is_some_and(|ending| ENDINGS.contains(&ending)) || path.ends_with("RELEASE.shell")
}

/// `.` and `..` resolved without looking at any disk.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Containers for looking that a killed `ioc` could not remove. That this fails is no reason not to look.
async fn remove_left_behind(engine: &Engine) {
    let filters = HashMap::from([("label".to_owned(), vec![LABEL.to_owned()])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters);
    let listed = engine.docker().list_containers(Some(options.build())).await;
    let now = jiff::Timestamp::now().as_second();
    for container in listed.unwrap_or_default() {
        let (Some(id), Some(created)) = (container.id, container.created) else {
            continue;
        };
        if now - created > LEFT_BEHIND {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
            let removed = engine.docker().remove_container(&id, Some(options.build()));
            if let Err(error) = removed.await {
                tracing::debug!(%error, id, "a container made for looking was not removed");
            }
        }
    }
}

fn failed(
    what: &str,
    reference: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> CommandError {
    CommandError::new(ErrorKind::Engine, format!("{what} image `{reference}`")).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, Option<&str>, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, link, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            if let Some(target) = link {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, name, target).unwrap();
            } else {
                header.set_size(u64::try_from(text.len()).unwrap());
                builder
                    .append_data(&mut header, name, text.as_bytes())
                    .unwrap();
            }
        }
        builder.into_inner().unwrap()
    }

    fn contents(entries: &[(&str, Option<&str>, &str)]) -> Contents {
        let (files, links, complete) = sort_out(archive(entries).as_slice()).unwrap();
        Contents {
            form: FORM,
            id: String::new(),
            environment: BTreeMap::new(),
            files,
            links,
            complete,
        }
    }

    #[test]
    fn texts_are_kept_and_links_followed() {
        let contents = contents(&[
            ("epics/ioc", Some("generic-source/ioc"), ""),
            ("epics/generic-source/ioc/dbd/ioc.dbd", None, "menu(a) {}"),
            ("epics/generic-source/ioc/bin/ioc", None, "ELF"),
            ("epics/loop", Some("loop"), ""),
        ]);
        assert_eq!(
            contents.read("/epics/ioc/dbd/ioc.dbd"),
            Inside::Text("menu(a) {}")
        );
        assert_eq!(contents.read("/epics/ioc/dbd/x.dbd"), Inside::Missing);
        assert_eq!(contents.read("/epics/ioc/bin/ioc"), Inside::Unknown);
        assert_eq!(contents.read("/usr/lib/x.dbd"), Inside::Unknown);
        assert_eq!(contents.read("/epics/loop/x.txt"), Inside::Unknown);
    }

    #[test]
    fn names_cannot_leave_the_root() {
        let contents = contents(&[("epics/l", Some("../../../etc"), "")]);
        assert_eq!(contents.resolved("/epics/l/x.db"), "/etc/x.db");
    }
}
