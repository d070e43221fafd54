//! Services repositories: the folders that say which IOC instances a beamline has.

use crate::settings::Settings;

/// Names of all instances of the project's beamlines, sorted; empty when there are none.
pub fn instance_names(settings: &Settings) -> Vec<String> {
    let mut names: Vec<String> = settings
        .beamlines
        .values()
        .filter_map(|beamline| fs_err::read_dir(beamline.repository.join("services")).ok())
        .flat_map(Iterator::flatten)
        .filter(|entry| entry.path().join("Chart.yaml").exists())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}
