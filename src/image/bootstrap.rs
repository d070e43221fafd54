//! Making an operating-system base image from a package mirror, for machines that reach no container registry.
//!
//! [`Plan`] says what is made; `debootstrap` installs it into a folder, `rootfs` turns the folder into a layer
//! without what belongs to this machine, `load` hands the image to the engine. Neither a proxy nor a
//! certificate of the site gets into the image.

mod debootstrap;
mod load;
mod rootfs;

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::settings::Settings;
use crate::source::download::Downloader;
use crate::source::{FetchContext, SourceError, debian_mirrors, is_abandoned, mirror};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How long what a stopped installation leaves may take to vanish.
const CLEAN_UP: Duration = Duration::from_secs(10);
/// Largest index of a suite, in bytes.
const LARGEST_RELEASE: u64 = 8 << 20;

/// What is made, all of it checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Release of the distribution, such as `trixie`.
    pub suite: String,
    /// Package mirror as the machine reaches it, after mirror rules.
    pub mirror: String,
    /// Name of the image with its tag.
    pub image: String,
}

/// An image that was made or found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BaseImage {
    /// Its name.
    pub image: String,
    /// Its identifier, `sha256:…`.
    pub id: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether this command made it.
    pub created: bool,
}

impl Plan {
    /// Checks names and chooses the mirror: the given one, that of the settings, or apt's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a name that cannot be right; no mirror at all is a [`SourceError`].
    pub fn new(
        suite: &str,
        given_mirror: Option<&str>,
        image: Option<&str>,
        settings: &Settings,
        apt_folder: &Path,
    ) -> CommandResult<Self> {
        if !is_suite(suite) {
            return Err(CommandError::new(
                ErrorKind::Usage,
                format!("`{}` is not the name of a release", suite.escape_debug()),
            )
            .hint("releases have names such as `trixie` or `bookworm`"));
        }
        let image = image.map_or_else(|| format!("localhost/debian:{suite}"), str::to_owned);
        if !is_image(&image) {
            return Err(CommandError::new(
                ErrorKind::Usage,
                format!("`{}` is not the name of an image", image.escape_debug()),
            )
            .hint("write it as `localhost/debian:trixie`: lower case, with a tag"));
        }
        let configured = given_mirror.or(settings.fetch.debian_mirror.as_deref());
        let candidates = debian_mirrors(configured, apt_folder)?;
        let chosen = candidates
            .iter()
            .find(|mirror| mirror.suites.iter().any(|known| known == suite))
            .or_else(|| candidates.first())
            .ok_or_else(|| SourceError::NoDebianMirror {
                why: "apt's configuration of this machine names none".to_owned(),
            })?;
        let mirror = mirror::rewrite(&chosen.url, &settings.fetch.mirrors).url;
        if !is_mirror(&mirror) {
            return Err(CommandError::new(
                ErrorKind::Usage,
                format!(
                    "`{}` is not the URL of a package mirror",
                    mirror::without_credentials(&mirror).escape_debug()
                ),
            )
            .hint("write it as `http://packages.site/debian`"));
        }
        Ok(Self {
            suite: suite.to_owned(),
            mirror,
            image,
        })
    }
}

/// Names of releases: `trixie`, `sid`, `stable`.
fn is_suite(text: &str) -> bool {
    text.len() <= 40
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
}

fn is_mirror(text: &str) -> bool {
    let rest = ["http://", "https://", "file:///"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && text.len() <= 1024
            && rest
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "-._~:/@%+,=[]".contains(letter))
    })
}

/// `name[:port]/path:tag` in the grammar of image references, without a digest.
fn is_image(text: &str) -> bool {
    let Some((name, tag)) = text.rsplit_once(':') else {
        return false;
    };
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && part.ends_with(|last: char| last.is_ascii_lowercase() || last.is_ascii_digit())
            && part.chars().all(|letter| {
                letter.is_ascii_lowercase()
                    || letter.is_ascii_digit()
                    || matches!(letter, '.' | '_' | '-')
            })
    };
    let mut parts = name.split('/');
    let first = parts.next().unwrap_or_default();
    let host = match first.rsplit_once(':') {
        Some((host, port)) if name.contains('/') => {
            is_part(host) && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
        }
        Some(_) => false,
        None => is_part(first),
    };
    name.len() <= 200
        && host
        && parts.all(is_part)
        && !tag.is_empty()
        && tag.len() <= 128
        && !tag.starts_with(['.', '-'])
        && tag
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-'))
}

/// The image of that name, if the engine has it.
///
/// # Errors
///
/// An engine that does not answer.
pub async fn find(image: &str, engine: &Engine) -> CommandResult<Option<BaseImage>> {
    load::inspect(image, engine).await
}

/// Installs the distribution, makes the image and loads it. `step` is told what happens, in words.
///
/// # Errors
///
/// A mirror that cannot be used, missing rights or programs, a failing installation, an engine that refuses.
/// Nothing is left in the file system in any case.
pub async fn make(
    plan: &Plan,
    context: &FetchContext,
    engine: &Engine,
    step: &(dyn Fn(&str) + Send + Sync),
) -> CommandResult<BaseImage> {
    let debootstrap = debootstrap::Program::find()?;
    load::check_architecture(engine).await?;
    step(&format!(
        "asking {}",
        mirror::without_credentials(&plan.mirror)
    ));
    let parent = context.cache.join("bootstrap");
    fs_err::create_dir_all(&parent)?;
    sweep(&parent)?;
    let work = tempfile::Builder::new()
        .prefix("system-")
        .tempdir_in(&parent)?;
    let result = async {
        check_mirror(plan, context, &work.path().join("Release")).await?;
        let root = work.path().join("root");
        debootstrap.run(plan, context, &root, step).await?;
        step("packing");
        let archive = work.path().join("image.tar");
        pack(plan, &root, &archive, &context.cancel).await?;
        step("loading into the container engine");
        load::load(&plan.image, &archive, engine, &context.cancel).await
    }
    .await;
    let cleaned = clean_up(work).await;
    let made = result?;
    cleaned?;
    Ok(made)
}

/// Whether the mirror has the suite, with all that fetching knows about what stands in between.
async fn check_mirror(plan: &Plan, context: &FetchContext, file: &Path) -> CommandResult<()> {
    // mirror rules have been applied when the plan was made
    let url = format!("{}/dists/{}/InRelease", plan.mirror, plan.suite);
    let address = mirror::Address { url, rule: None };
    match Downloader::new(context)
        .receive(&address, file, LARGEST_RELEASE)
        .await
    {
        Ok(_received) => Ok(()),
        Err(SourceError::Status { url, status, .. }) => Err(CommandError::new(
            ErrorKind::Fetch,
            format!(
                "the package mirror `{}` has no release `{}`",
                mirror::without_credentials(&plan.mirror),
                plan.suite
            ),
        )
        .caused_by(format!("`{url}`: {status}"))
        .hint("`--suite` names another release, `--mirror` another mirror")),
        Err(other) => Err(other.into()),
    }
}

async fn pack(
    plan: &Plan,
    root: &Path,
    archive: &Path,
    cancel: &CancellationToken,
) -> CommandResult<()> {
    let (plan, root, archive) = (plan.clone(), root.to_path_buf(), archive.to_path_buf());
    let cancel = cancel.clone();
    let task = tokio::task::spawn_blocking(move || {
        let created = jiff::Timestamp::now();
        rootfs::pack(&plan, &root, &archive, created, &cancel)
    });
    match task.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => Err(stopped()),
        Ok(Err(error)) => Err(CommandError::system(error, "failed to pack the image")),
        Err(error) => {
            Err(CommandError::new(ErrorKind::Internal, "packing ended early").caused_by(error))
        }
    }
}

/// Removes what commands that were killed left behind a day ago, but never what is mounted in it.
fn sweep(parent: &Path) -> CommandResult<()> {
    let mounts = fs_err::read_to_string("/proc/self/mountinfo")?;
    for entry in fs_err::read_dir(parent)?.flatten() {
        let path = entry.path();
        if is_abandoned(&path) && mounted_below(&mounts, &path).is_none() {
            fs_err::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

/// Removes the folder, but never what is mounted in it. Programs of a stopped installation may need a moment
/// to die, and write until then.
async fn clean_up(work: tempfile::TempDir) -> CommandResult<()> {
    let path = work.path().to_path_buf();
    let mounts = fs_err::read_to_string("/proc/self/mountinfo")?;
    if let Some(mounted) = mounted_below(&mounts, &path) {
        let kept = work.keep();
        return Err(CommandError::new(
            ErrorKind::System,
            format!(
                "`{}` was not removed: `{mounted}` is mounted in it",
                kept.display()
            ),
        )
        .hint(format!(
            "`umount {mounted}`, then `rm -r {}`",
            kept.display()
        )));
    }
    let kept = work.keep();
    // ten thousand files take as long as they take; only failing has an end
    let mut failing_since = None;
    while let Err(error) = fs_err::tokio::remove_dir_all(&kept).await {
        if error.kind() == std::io::ErrorKind::NotFound {
            break;
        }
        let since = failing_since.get_or_insert_with(tokio::time::Instant::now);
        if since.elapsed() > CLEAN_UP {
            return Err(CommandError::new(
                ErrorKind::System,
                format!("failed to remove `{}`", kept.display()),
            )
            .caused_by(error)
            .hint(format!(
                "`rm -r {}` when nothing uses it any more",
                kept.display()
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// The first mount point below a folder, from the text of `/proc/self/mountinfo`.
fn mounted_below(mountinfo: &str, folder: &Path) -> Option<String> {
    mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .find(|point| Path::new(point).starts_with(folder))
        .map(str::to_owned)
}

/// The error of a command that the user stopped.
fn stopped() -> CommandError {
    CommandError::new(
        ErrorKind::Interrupted,
        "stopped, no image was made and nothing is left behind",
    )
}

#[cfg(test)]
mod tests;
