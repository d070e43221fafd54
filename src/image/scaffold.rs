//! What `ioc new generic-ioc` writes. Pure: names in, files out.

use std::fmt::Write as _;

use crate::services::scaffold::{Content, NewFile};

/// Facts about a new generic IOC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGenericIoc {
    /// Name of the image.
    pub name: String,
    /// Image to build on.
    pub base: String,
    /// Modules to add, in build order.
    pub modules: Vec<String>,
    /// Reference of its developer target, for the development container.
    pub developer: String,
}

/// The files of its folder.
pub fn generic_ioc(new: &NewGenericIoc) -> Vec<NewFile> {
    let file = |path: &str, text: String| NewFile {
        path: path.into(),
        content: Content::File(text.into_bytes()),
    };
    vec![
        file("image.yaml", image_yaml(new)),
        file("README.md", readme(new)),
        file("sources/README.md", SOURCES.to_owned()),
        file("example/st.cmd", START_UP.to_owned()),
        file("example/ioc.db", DATABASE.to_owned()),
        file(".devcontainer/devcontainer.json", devcontainer(new)),
    ]
}

fn image_yaml(new: &NewGenericIoc) -> String {
    let NewGenericIoc { name, base, .. } = new;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "# A generic IOC; docs/images.md describes every field. Build it: ioc build {name}"
    );
    let _ = writeln!(text, "description: generic IOC {name}");
    let _ = writeln!(text, "base: {base}");
    if new.modules.is_empty() {
        text.push_str(
            "# support modules to add, in build order (recipes are in ../modules)\nmodules: []\n",
        );
    } else {
        let _ = writeln!(text, "modules: [{}]", new.modules.join(", "));
    }
    text.push_str("application:\n  # own code, dbd files, databases and protocols, beside this file\n  sources: sources\n");
    text
}

fn readme(new: &NewGenericIoc) -> String {
    let name = &new.name;
    format!(
        "# {name}\n\n\
         A generic IOC on `{}`.\n\n\
         | what | how |\n|---|---|\n\
         | build it | `ioc build {name}` |\n\
         | work on it | `ioc build --shell {name}`; after an edit in `sources`: `make -s -C /epics/ioc` |\n\
         | what is inside | `ioc image show {name}` |\n\
         | an instance of it | `ioc new instance BEAMLINE-ea-ioc-01 --image {name}` |\n\n\
         `example/` is the configuration of a first instance: its folder is mounted at `/epics/ioc/config`.\n\
         `.devcontainer/` opens the developer image in an editor; build it first.\n",
        new.base
    )
}

const SOURCES: &str = "\
# Own code of this IOC

C, C++ and SNL files here are linked into the IOC, `.dbd` files join its database definition; `.db`,
`.template`, `.substitutions`, `.req` and `.proto` files are installed to `/epics/ioc/db`.
";

const START_UP: &str = "\
dbLoadDatabase(\"/epics/ioc/dbd/ioc.dbd\")
ioc_registerRecordDeviceDriver(pdbbase)
dbLoadRecords(\"$(CONFIG_DIR)/ioc.db\", \"P=$(IOC_PREFIX)\")
iocInit()
";

const DATABASE: &str = "\
# Seconds since the start: the liveness probe reads it.
record(calc, \"$(P):UPTIME\") {
  field(DESC, \"seconds since the IOC started\")
  field(SCAN, \"1 second\")
  field(CALC, \"VAL+1\")
  field(EGU, \"s\")
}
";

fn devcontainer(new: &NewGenericIoc) -> String {
    let value = serde_json::json!({
        "name": new.name,
        "image": new.developer,
        "remoteUser": "root",
        "runArgs": ["--network=host"],
        "workspaceFolder": "/epics/ioc",
        // over the place where the image has them: make works there
        "workspaceMount": "source=${localWorkspaceFolder}/sources,target=/epics/ioc/sources,type=bind",
        "customizations": {"vscode": {"extensions": ["ms-vscode.cpptools"]}},
    });
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::image::definition::ImageDefinition;

    fn text(files: &[NewFile], path: &str) -> String {
        let file = files
            .iter()
            .find(|file| file.path == Path::new(path))
            .unwrap();
        match &file.content {
            Content::File(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            Content::Link(_) => panic!("{path} is a link"),
        }
    }

    #[test]
    fn what_is_written_is_read_without_a_finding() {
        for modules in [vec![], vec!["asyn".to_owned(), "motor".to_owned()]] {
            let files = generic_ioc(&NewGenericIoc {
                name: "ioc-camera".into(),
                base: "epics-base".into(),
                modules: modules.clone(),
                developer: "localhost/ioc-camera-developer:latest".into(),
            });
            let image = text(&files, "image.yaml");
            let definition: ImageDefinition =
                crate::yaml::from_str(Path::new("image.yaml"), &image).unwrap();
            let written: Vec<String> = definition
                .modules
                .into_iter()
                .map(|module| module.value)
                .collect();
            assert_eq!(written, modules);
            let json: serde_json::Value =
                serde_json::from_str(&text(&files, ".devcontainer/devcontainer.json")).unwrap();
            assert_eq!(json["image"], "localhost/ioc-camera-developer:latest");
        }
    }
}
