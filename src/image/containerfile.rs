//! The Containerfile of each target, rendered from a template with what the recipes say. Pure.
//!
//! Only what the frontend built into Docker 20.10 understands is used: cache mounts, bind mounts from the
//! context and from stages; no here-documents, linked copies, secrets or named contexts.
//!
//! A target is a Containerfile of its own: building the runtime target needs the developer image and no
//! sources, and each target has its own key.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use minijinja::{Environment, Value, context};

use crate::image::chain::{Layer, Placed};
use crate::image::definition::{Base, Target};

/// Where the EPICS tree is in every image.
pub const ROOT: &str = "/epics";

/// User that IOCs run as unless `runtime.uid` says another; above the users of a site, below 65534.
pub const DEFAULT_UID: u32 = 37630;

const APT: &str = "--mount=type=cache,target=/var/cache/apt,id=ioc-apt-archives,sharing=locked \\
    --mount=type=cache,target=/var/lib/apt,id=ioc-apt-lists,sharing=locked \\
    --mount=type=cache,target=/var/log,id=ioc-log,sharing=locked \\
    --mount=type=bind,source=tools/install.sh,target=/tools/install.sh \\
    --mount=type=bind,source=site,target=/site";
const CCACHE: &str = "--mount=type=cache,target=/root/.cache/ccache,id=ioc-ccache";
const SITE: &str = "--mount=type=bind,source=site,target=/site";
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a Containerfile is rendered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The image that the developer target is built on.
    pub developer_base: String,
    /// The image that the runtime target is built on.
    pub runtime_base: String,
    /// The developer target of the image itself.
    pub developer: String,
    /// EPICS name of the machine that it runs on, such as `linux-x86_64`.
    pub host_arch: String,
}

/// The Containerfile of a target of an image that has an `image.yaml`.
///
/// # Errors
///
/// The template does not fit what is passed to it: a defect.
pub fn render(
    layer: &Layer<'_>,
    target: Target,
    surroundings: &Surroundings,
) -> Result<String, minijinja::Error> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    templates.add_template("developer", include_str!("templates/developer.jinja"))?;
    templates.add_template("runtime", include_str!("templates/runtime.jinja"))?;
    let definition = layer.image.definition();
    let application = definition.is_some_and(|definition| definition.application.is_some());
    let shown = layer.image.file.shown.display().to_string();
    match target {
        Target::Developer => {
            let modules: Vec<Value> = layer.own.iter().map(module_step).collect();
            let packages = definition.map_or_else(String::new, |definition| {
                words(&definition.developer.packages)
            });
            let folder = if application { "/epics/ioc" } else { "/epics" };
            templates.get_template("developer")?.render(context! {
                image => layer.name(),
                definition => shown,
                base => surroundings.developer_base.clone(),
                first_environment => quoted(&first_environment(layer, &surroundings.host_arch)),
                modules,
                packages,
                application,
                environment => quoted(&added_environment(layer, target, &surroundings.host_arch)),
                folder,
                apt => APT,
                ccache => CCACHE,
                site => SITE,
            })
        }
        Target::Runtime => {
            let mut packages: Vec<&str> = layer
                .own
                .iter()
                .flat_map(|placed| &placed.module.recipe.packages.run)
                .chain(
                    definition
                        .iter()
                        .flat_map(|definition| &definition.runtime.packages),
                )
                .map(|package| package.value.as_str())
                .collect();
            packages.sort_unstable();
            packages.dedup();
            let environment = if layer.inherits() {
                added_environment(layer, target, &surroundings.host_arch)
            } else {
                environment(layer, target, &surroundings.host_arch)
            };
            templates.get_template("runtime")?.render(context! {
                image => layer.name(),
                definition => shown,
                base => surroundings.runtime_base.clone(),
                developer => surroundings.developer.clone(),
                packages => packages.join(" "),
                environment => quoted(&environment),
                application,
                uid => uid(layer),
                apt => APT,
            })
        }
    }
}

/// User that the runtime image runs as.
pub fn uid(layer: &Layer<'_>) -> u32 {
    layer
        .image
        .definition()
        .and_then(|definition| definition.runtime.uid.as_ref())
        .map_or(DEFAULT_UID, |uid| uid.value)
}

fn module_step(placed: &Placed<'_>) -> Value {
    let module = placed.module;
    let mut packages = words(&module.recipe.packages.build);
    if !module.recipe.patches.is_empty() {
        // not part of a small Debian
        packages.push_str(if packages.is_empty() {
            "patch"
        } else {
            " patch"
        });
    }
    context! {
        name => module.name.clone(),
        recipe => module.file.shown.display().to_string(),
        packages,
    }
}

fn words(words: &[crate::yaml::Spanned<String>]) -> String {
    let words: Vec<&str> = words.iter().map(|word| word.value.as_str()).collect();
    words.join(" ")
}

impl Layer<'_> {
    /// Whether the environment of the layout is already set by the image below.
    fn inherits(&self) -> bool {
        matches!(self.base, Base::Image(_))
    }
}

/// What the layout sets before anything is built; nothing on top of an image of the project.
fn first_environment(layer: &Layer<'_>, host_arch: &str) -> BTreeMap<String, String> {
    if layer.inherits() {
        BTreeMap::new()
    } else {
        layout(host_arch)
    }
}

fn layout(host_arch: &str) -> BTreeMap<String, String> {
    [
        ("EPICS_ROOT", ROOT),
        ("EPICS_HOST_ARCH", host_arch),
        ("SUPPORT", "/epics/support"),
        ("IOC", "/epics/ioc"),
        ("INPUTRC", "/epics/inputrc"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// All variables of a target.
pub fn environment(layer: &Layer<'_>, target: Target, host_arch: &str) -> BTreeMap<String, String> {
    let placed: Vec<&Placed<'_>> = layer.modules().collect();
    let mut variables = layout(host_arch);
    variables.extend(of_modules(&placed, host_arch));
    if let Some(definition) = layer.image.definition() {
        variables.extend(match target {
            Target::Developer => definition.developer.environment.clone(),
            Target::Runtime => definition.runtime.environment.clone(),
        });
    }
    variables
}

/// What a target sets beyond the image below it.
fn added_environment(
    layer: &Layer<'_>,
    target: Target,
    host_arch: &str,
) -> BTreeMap<String, String> {
    let below: Vec<&Placed<'_>> = layer.inherited.iter().collect();
    let mut set = layout(host_arch);
    if layer.inherits() {
        set.extend(of_modules(&below, host_arch));
    }
    environment(layer, target, host_arch)
        .into_iter()
        .filter(|(name, value)| set.get(name) != Some(value))
        .collect()
}

/// One variable per macro, search paths, and what the recipes ask for.
fn of_modules(modules: &[&Placed<'_>], host_arch: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut path = String::new();
    let mut databases = Vec::new();
    let mut protocols = Vec::new();
    for placed in modules {
        let module = placed.module;
        let folder = module.folder();
        for name in module.macros() {
            variables.insert(name, folder.clone());
        }
        if !module.recipe.programs.is_empty() {
            let _ = write!(path, "{folder}/bin/{host_arch}:");
        }
        databases.extend(
            module
                .databases()
                .iter()
                .map(|each| format!("{folder}/{each}")),
        );
        let folders = module.recipe.protocols.iter();
        protocols.extend(folders.map(|each| format!("{folder}/{}", each.value)));
        variables.extend(module.recipe.environment.clone());
    }
    if !path.is_empty() {
        variables.insert("PATH".to_owned(), format!("{path}{SYSTEM_PATH}"));
    }
    if !databases.is_empty() {
        variables.insert("EPICS_DB_INCLUDE_PATH".to_owned(), databases.join(":"));
    }
    if !protocols.is_empty() {
        variables.insert("STREAM_PROTOCOL_PATH".to_owned(), protocols.join(":"));
    }
    variables
}

/// Values as a Containerfile takes them, in double quotes and without expansion.
fn quoted(variables: &BTreeMap<String, String>) -> Vec<Value> {
    variables
        .iter()
        .map(|(name, value)| {
            let mut text = String::from("\"");
            for character in value.chars() {
                if matches!(character, '"' | '\\' | '$') {
                    text.push('\\');
                }
                text.push(character);
            }
            text.push('"');
            Value::from(vec![name.clone(), text])
        })
        .collect()
}

/// What the runtime image takes from the developer image, one line each, for `collect.sh`.
pub fn collect_list(layer: &Layer<'_>, host_arch: &str) -> String {
    let mut list = String::new();
    let mut take = |kind: &str, path: &str| {
        let _ = writeln!(list, "{kind} {path}");
    };
    for placed in &layer.own {
        let folder = placed.module.folder();
        for program in &placed.module.recipe.programs {
            take(
                "file",
                &format!("{folder}/bin/{host_arch}/{}", program.value),
            );
        }
    }
    let definition = layer.image.definition();
    if definition.is_some_and(|definition| definition.application.is_some()) {
        take("file", &format!("/epics/ioc/bin/{host_arch}/ioc"));
        for path in ["dbd/ioc.dbd", "start.sh", "stop.sh", "liveness.sh"] {
            take("file", &format!("/epics/ioc/{path}"));
        }
        take("maybe", "/epics/ioc/db");
        take("maybe", "/epics/ioc/iocsh");
        take("file", "/usr/local/bin/ioc-console");
        take("file", "/usr/local/bin/console");
        take("maybe", "/epics/inputrc");
        take("file", "/epics/support/configure/RELEASE.shell");
        for placed in layer.linked() {
            let module = placed.module;
            let folder = module.folder();
            for each in module.databases() {
                take("maybe", &format!("{folder}/{each}"));
            }
            take("maybe", &format!("{folder}/iocsh"));
            for each in &module.recipe.protocols {
                take("file", &format!("{folder}/{}", each.value));
            }
            for each in &module.recipe.runtime_files {
                take("file", &format!("{folder}/{}", each.value));
            }
        }
    }
    for path in definition
        .iter()
        .flat_map(|definition| &definition.runtime.files)
    {
        take("file", &path.value);
    }
    take("file", "/epics/versions.json");
    list
}

#[cfg(test)]
mod tests;
