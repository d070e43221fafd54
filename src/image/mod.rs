//! Layered generic IOC images: what they are made of, in which order they are built, and building them.
//!
//! `definition` and `recipe` are the files as they stand; `catalog` reads them, `check` looks at each by
//! itself, `chain` puts them together; `containerfile`, `script`, `context` and `key` turn a chain into
//! something to build, `plan` says what has to be built and why. All of these are pure, except that
//! `catalog` and `assets` read files. `engine` builds, and is the only part that knows the container engine.

pub mod assets;
pub mod build;
pub mod catalog;
pub mod chain;
pub mod check;
pub mod containerfile;
pub mod context;
pub mod definition;
pub mod dockerfile;
pub mod engine;
pub mod graph;
pub mod import;
pub mod key;
pub mod lock;
pub mod name;
pub mod plan;
pub mod prepare;
pub mod recipe;
pub mod sbom;
pub mod scaffold;
pub mod script;
pub mod survey;
pub mod trace;
pub mod versions;

pub mod bootstrap;
pub mod contents;

use crate::settings::Settings;

/// Names of the images that the project defines, sorted; empty when there are none.
pub fn image_names(settings: &Settings) -> Vec<String> {
    let Ok(entries) = fs_err::read_dir(&settings.images.folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| {
            entry.path().join("image.yaml").is_file() || entry.path().join("Dockerfile").is_file()
        })
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}
