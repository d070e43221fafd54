//! Services repositories: the folders that say which IOC instances a beamline has, and what each of them
//! becomes when its chart is rendered.
//!
//! This module reads files and renders charts. It does not know where instances run (that is `fleet`) and
//! asks neither a container engine nor a registry; only [`version`] starts a program, `git`.

pub mod error;
mod explain;
pub mod library;
pub mod links;
pub mod lookup;
pub mod name;
pub mod render;
pub mod repository;
pub mod scaffold;
pub mod schema;
pub mod version;

use crate::settings::Settings;

pub use self::error::ServicesError;
pub use self::explain::template_path;
pub use self::lookup::{Selection, open, select};
pub use self::render::{
    ReleaseFacts, RenderedInstance, ValueOverrides, load_chart, render_all, render_chart,
    render_instance,
};
pub use self::repository::{Instance, Repository};
pub use self::version::Version;

/// Names of all instances of the project's beamlines, sorted; empty when there are none.
pub fn instance_names(settings: &Settings) -> Vec<String> {
    let mut names: Vec<String> = settings
        .beamlines
        .values()
        .filter_map(|beamline| Repository::open(&beamline.repository).ok())
        .flat_map(|repository| {
            let names = repository.instances().iter();
            names
                .map(|instance| instance.name().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    names.sort();
    names
}
