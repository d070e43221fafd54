//! Layered generic IOC images: what they are made of, in which order they are built, and building them.

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
