//! Small files of the project that go into builds: patches, overlays, own sources of an application, start
//! scripts, the application's makefiles. Read into memory, so that planning after it is pure.
//!
//! A project that has no `application` or `scripts` folder gets those that came with `ioc`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use rust_embed::RustEmbed;

use crate::image::catalog::{Content, SCRIPTS};
use crate::image::chain::Layer;
use crate::image::context::{Item, is_executable};
use crate::image::script::patch_path;

/// Folder with the makefiles of the IOC application.
const APPLICATION: &str = "application";

/// Most bytes that the small files of one folder may have together.
const LARGEST_FOLDER: u64 = 64 << 20;
/// The same beside a Dockerfile, which may bring a program along.
const LARGEST_CONTEXT: u64 = 1 << 30;

#[derive(RustEmbed)]
#[folder = "generic-iocs/application"]
struct EmbeddedApplication;

#[derive(RustEmbed)]
#[folder = "generic-iocs/scripts"]
struct EmbeddedScripts;

/// Files by their path in a context.
pub type Files = BTreeMap<String, Item>;

/// The small files of one image.
#[derive(Debug, Clone, Default)]
pub struct Assets {
    /// Patches and overlay per module.
    pub modules: BTreeMap<String, Files>,
    /// Makefiles of the application, with its own sources below `sources/`.
    pub application: Files,
    /// Start scripts and the console program.
    pub scripts: Files,
    /// Files beside the Dockerfile of an image that brings one.
    pub dockerfile: Files,
}

/// Reads the small files of an image; `folder` is the folder of all images.
///
/// # Errors
///
/// A file cannot be read, a folder is too large, or a link leaves its folder.
pub fn read(layer: &Layer<'_>, folder: &Path) -> io::Result<Assets> {
    let mut assets = Assets::default();
    if let Content::Dockerfile(_) = layer.image.content {
        assets.dockerfile = read_folder(layer.image.file.folder(), "", LARGEST_CONTEXT)?;
        return Ok(assets);
    }
    for placed in &layer.own {
        let module = placed.module;
        let mut files = Files::new();
        for (index, patch) in module.recipe.patches.iter().enumerate() {
            let content = fs_err::read(module.file.folder().join(&patch.value))?;
            files.insert(
                patch_path("", index).trim_start_matches('/').to_owned(),
                Item::File {
                    content,
                    executable: false,
                },
            );
        }
        if let Some(overlay) = &module.recipe.overlay {
            files.extend(read_folder(
                &module.file.folder().join(&overlay.value),
                "overlay/",
                LARGEST_FOLDER,
            )?);
        }
        assets.modules.insert(module.name.clone(), files);
    }
    let Some(application) = layer
        .image
        .definition()
        .and_then(|definition| definition.application.as_ref())
    else {
        return Ok(assets);
    };
    assets.application = own_or_embedded::<EmbeddedApplication>(&folder.join(APPLICATION))?;
    if let Some(sources) = &application.sources {
        let sources = layer.image.file.folder().join(&sources.value);
        assets
            .application
            .extend(read_folder(&sources, "sources/", LARGEST_FOLDER)?);
    }
    assets.scripts = own_or_embedded::<EmbeddedScripts>(&folder.join(SCRIPTS))?;
    Ok(assets)
}

fn own_or_embedded<E: RustEmbed>(folder: &Path) -> io::Result<Files> {
    if folder.is_dir() {
        return read_folder(folder, "", LARGEST_FOLDER);
    }
    let files = E::iter().filter_map(|name| {
        let content = E::get(&name)?.data.into_owned();
        let executable = Path::new(&*name).extension().is_some_and(|end| end == "sh");
        Some((
            name.into_owned(),
            Item::File {
                content,
                executable,
            },
        ))
    });
    Ok(files.collect())
}

/// All files below a folder, without build products and version control; together they have at most `largest` bytes.
fn read_folder(folder: &Path, prefix: &str, largest: u64) -> io::Result<Files> {
    let mut files = Files::new();
    let mut size = 0;
    let walk = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| !is_build_product(entry.file_name().to_string_lossy().as_ref()));
    for entry in walk {
        let entry = entry?;
        let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let Some(name) = relative.to_str() else {
            return Err(io::Error::other(format!(
                "the name of `{}` is not UTF-8 text",
                entry.path().display()
            )));
        };
        let name = format!("{prefix}{name}");
        if entry.file_type().is_symlink() {
            let target = fs_err::read_link(entry.path())?;
            if leaves(relative, &target) {
                return Err(io::Error::other(format!(
                    "the link `{}` leads to `{}`, outside of its folder",
                    entry.path().display(),
                    target.display()
                )));
            }
            files.insert(name, Item::Link { target });
        } else if entry.file_type().is_file() {
            let metadata = entry.metadata()?;
            size += metadata.len();
            if size > largest {
                return Err(io::Error::other(format!(
                    "`{}` has more than {largest} bytes",
                    folder.display()
                )));
            }
            files.insert(
                name,
                Item::File {
                    content: fs_err::read(entry.path())?,
                    executable: is_executable(&metadata),
                },
            );
        }
    }
    Ok(files)
}

/// What an EPICS build in the working copy leaves behind.
fn is_build_product(name: &str) -> bool {
    name == ".git" || name == "RELEASE.local" || name.starts_with("O.")
}

/// Whether a link at `name` leads out of the folder that `name` is relative to.
fn leaves(name: &Path, target: &Path) -> bool {
    let mut depth = 0_i64;
    let parent: PathBuf = name.parent().map(Path::to_path_buf).unwrap_or_default();
    for component in parent.components().chain(target.components()) {
        match component {
            std::path::Component::Normal(_) => depth += 1,
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => depth -= 1,
            std::path::Component::RootDir | std::path::Component::Prefix(_) => return true,
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_may_not_leave_their_folder() {
        for (name, target, out) in [
            ("a", "b", false),
            ("sub/a", "../b", false),
            ("a", "../b", true),
            ("sub/a", "../../b", true),
            ("a", "/etc/passwd", true),
            ("a", "b/../../c", true),
        ] {
            assert_eq!(
                leaves(Path::new(name), Path::new(target)),
                out,
                "{name} -> {target}"
            );
        }
    }
}
