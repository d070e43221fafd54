//! What `ioc new beamline` and `ioc new instance` write. Pure: names in, files out; [`mod@write`] puts them on
//! disk.

pub mod ci;
pub mod write;

use std::path::PathBuf;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, context};

use crate::services::library;

/// One entry of a new folder, its path relative to that folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Relative path.
    pub path: PathBuf,
    /// What is put there.
    pub content: Content,
}

/// What a new entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symbolic link to this target.
    Link(PathBuf),
}

/// Facts about a new beamline.
#[derive(Debug, Clone)]
pub struct NewBeamline {
    /// Name of the beamline.
    pub name: String,
    /// Where it is.
    pub location: String,
    /// User and group number that its IOCs run as; those of the images when there is none.
    pub uid: Option<u32>,
    /// Group number, when it is not the user number.
    pub gid: Option<u32>,
    /// Whether it is on a cluster: IOCs then use the network of their node, and run on nodes of the beamline.
    pub on_cluster: bool,
}

/// Facts about a new instance.
#[derive(Debug, Clone)]
pub struct NewInstance {
    /// Name of the instance.
    pub name: String,
    /// Reference of the image, as it stands in values.
    pub image: String,
    /// Which start-up script it gets.
    pub kind: StartUp,
    /// What of the shared chart exists and is linked to: `Chart.yaml`, `templates`, `charts`.
    pub links: Vec<String>,
}

/// The start-up script of a new instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartUp {
    /// The simulated heated stage of the image `ioc-sim`.
    SimulatedStage,
    /// The simulated motor of the image `ioc-sim`.
    SimulatedMotor,
    /// Loads the database definitions and nothing else.
    Minimal,
}

/// What the shared chart of a services repository can consist of.
pub const SHARED_CHART: [&str; 3] = ["Chart.yaml", "templates", "charts"];

/// The files of a new services repository.
///
/// # Errors
///
/// A defect of the templates in the binary.
pub fn beamline(new: &NewBeamline) -> Result<Vec<NewFile>, minijinja::Error> {
    let library_version = library::chart_version(library::IOC_INSTANCE).unwrap_or_default();
    let facts = context! { beamline => new.name.clone(), location => new.location.clone(), uid => new.uid, gid => new.gid.or(new.uid), on_cluster => new.on_cluster, library_version };
    let render = |template| render(template, &facts);
    let mut files = vec![
        file("README.md", render(include_str!("files/README.md"))?),
        file(".gitignore", include_str!("files/gitignore").to_owned()),
        file(
            ".helm-shared/Chart.yaml",
            render(include_str!("files/Chart.yaml"))?,
        ),
        file(
            ".helm-shared/templates/ioc-instance.yaml",
            "{{ include \"ioc-instance\" . }}\n".to_owned(),
        ),
        file(
            ".helm-shared/values.schema.json",
            include_str!("files/values.schema.json").to_owned(),
        ),
        file(
            "services/values.yaml",
            render(include_str!("files/services-values.yaml"))?,
        ),
    ];
    let chart = library::chart_files(library::IOC_INSTANCE);
    files.extend(chart.into_iter().map(|(path, bytes)| NewFile {
        path: PathBuf::from(".helm-shared/charts/ioc-instance").join(path),
        content: Content::File(bytes),
    }));
    Ok(files)
}

/// The files of a new instance, relative to its own folder.
///
/// # Errors
///
/// A defect of the templates in the binary.
pub fn instance(new: &NewInstance) -> Result<Vec<NewFile>, minijinja::Error> {
    let start_up = match new.kind {
        StartUp::SimulatedStage => include_str!("files/stage.cmd"),
        StartUp::SimulatedMotor => include_str!("files/motor.cmd"),
        StartUp::Minimal => include_str!("files/minimal.cmd"),
    };
    let facts = context! {
        name => new.name.clone(),
        image => new.image.clone(),
        prefix => new.name.to_uppercase(),
    };
    let links = new.links.iter().map(|name| NewFile {
        path: PathBuf::from(name),
        content: Content::Link(PathBuf::from("../../.helm-shared").join(name)),
    });
    let mut files: Vec<NewFile> = links.collect();
    files.push(file(
        "values.yaml",
        render(include_str!("files/values.yaml"), &facts)?,
    ));
    files.push(file("config/st.cmd", render(start_up, &facts)?));
    if new.kind == StartUp::Minimal {
        let database = include_str!("files/minimal.db");
        files.push(file("config/ioc.db", database.to_owned()));
    }
    Ok(files)
}

fn file(path: &str, text: String) -> NewFile {
    NewFile {
        path: PathBuf::from(path),
        content: Content::File(text.into_bytes()),
    }
}

fn render(template: &str, facts: &minijinja::Value) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.keep_trailing_newline(true).trim_blocks(true);
    environment.set_syntax(syntax.build()?);
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.render_str(template, facts.clone())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn text(files: &[NewFile], path: &str) -> String {
        let file = files.iter().find(|file| file.path == Path::new(path));
        match &file.unwrap().content {
            Content::File(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            Content::Link(to) => to.display().to_string(),
        }
    }

    fn new_instance(kind: StartUp) -> Vec<NewFile> {
        instance(&NewInstance {
            name: "t02-ea-ioc-01".to_owned(),
            image: "localhost/ioc-sim-runtime:latest".to_owned(),
            kind,
            links: SHARED_CHART.map(str::to_owned).to_vec(),
        })
        .unwrap()
    }

    /// The shipped example is what a user gets, and its chart is the one that the binary carries.
    #[test]
    fn the_example_beamline_is_what_is_written() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("beamlines/t01");
        let new = NewBeamline {
            name: "t01".to_owned(),
            location: "t01".to_owned(),
            uid: Some(37001),
            gid: None,
            on_cluster: false,
        };
        for file in beamline(&new).unwrap() {
            let shipped = fs_err::read_to_string(folder.join(&file.path)).unwrap();
            assert_eq!(
                text(std::slice::from_ref(&file), &file.path.to_string_lossy()),
                shipped,
                "{}: write the example again with `ioc new beamline`",
                file.path.display()
            );
        }
    }

    #[test]
    fn an_instance_shares_the_chart_and_loads_the_databases_of_its_image() {
        let stage = new_instance(StartUp::SimulatedStage);
        assert_eq!(text(&stage, "charts"), "../../.helm-shared/charts");
        assert!(text(&stage, "config/st.cmd").contains("simplantStage.db"));
        let motor = new_instance(StartUp::SimulatedMotor);
        assert!(text(&motor, "config/st.cmd").contains("simplantMotor.db"));
    }

    #[test]
    fn an_instance_of_an_unknown_image_answers_with_what_base_has() {
        let files = new_instance(StartUp::Minimal);
        assert!(text(&files, "config/ioc.db").contains("record(calc, \"$(P)UPTIME\")"));
        assert!(
            text(&files, "config/st.cmd")
                .contains("\ndbLoadRecords(\"ioc.db\", \"P=$(IOC_PREFIX):\")\n")
        );
    }
}
