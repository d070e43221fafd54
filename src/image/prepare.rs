//! One target of one image, ready to be built: Containerfile, context, labels, key. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::image::assets::{Assets, Files};
use crate::image::catalog::Content;
use crate::image::chain::Layer;
use crate::image::containerfile::{self, Surroundings};
use crate::image::context::{Context, Item, sha256};
use crate::image::definition::Target;
use crate::image::key::Inputs;
use crate::image::script;
use crate::image::versions::Versions;
use crate::source::Identity;

/// A label that only `ioc` sets: the key.
pub const KEY_LABEL: &str = "ioc.key";
/// What the key was made of, as JSON.
pub const INPUTS_LABEL: &str = "ioc.inputs";
/// Name of the image in the project.
pub const IMAGE_LABEL: &str = "ioc.image";
/// `developer` or `runtime`.
pub const TARGET_LABEL: &str = "ioc.target";
/// The program in the image that joins the IOC's terminal, see `docs/inside-the-image.md`.
pub const CONSOLE_LABEL: &str = "ioc.console";
/// Begins one label per module.
pub const MODULE_LABEL: &str = "ioc.module.";

/// One target of one image, ready to be built.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Name of the image.
    pub image: String,
    /// Which target.
    pub target: Target,
    /// Reference that the result gets.
    pub reference: String,
    /// The text for the engine.
    pub containerfile: String,
    /// The files for the engine, without the sources where these are not on this machine yet.
    pub context: Context,
    /// Build arguments; only images with an own Dockerfile have any.
    pub arguments: BTreeMap<String, String>,
    /// Stage to build; empty for the last.
    pub stage: String,
    /// What it is made of.
    pub inputs: Inputs,
    /// Labels of the result, with the key.
    pub labels: BTreeMap<String, String>,
}

impl Prepared {
    /// Its key.
    pub fn key(&self) -> String {
        self.inputs.key()
    }
}

/// References of the images of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// Registry and path, without a slash at the end.
    pub registry: String,
    /// Tag.
    pub tag: String,
}

impl Naming {
    /// The reference of a target: `<registry>/<name>-<target>:<tag>`.
    pub fn reference(&self, image: &str, target: Target) -> String {
        format!("{}/{image}-{target}:{}", self.registry, self.tag)
    }
}

/// The image below a target: its reference, and what exactly it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseImage {
    /// What stands after `FROM`.
    pub reference: String,
    /// Key of an image of the project, digest or identifier of another.
    pub identity: String,
}

/// Everything that a target is prepared from.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The image.
    pub layer: &'a Layer<'a>,
    /// How images are named.
    pub naming: &'a Naming,
    /// Small files of the project.
    pub assets: &'a Assets,
    /// What the source of each module is, of the image and the ones below.
    pub identities: &'a BTreeMap<String, Identity>,
    /// Where the sources are on this machine; only needed to build.
    pub trees: &'a BTreeMap<String, PathBuf>,
    /// The images below, by target.
    pub bases: &'a BTreeMap<Target, BaseImage>,
    /// EPICS name of the machine that images are built for.
    pub host_arch: &'a str,
    /// Files for `/site`: certificates and proxy. Not part of a key.
    pub site: &'a Files,
}

/// Prepares a target. `developer_key` is the key of the developer target of the same image, for the runtime
/// target.
///
/// # Errors
///
/// A template does not fit: a defect.
pub fn prepare(
    parts: &Parts<'_>,
    target: Target,
    developer_key: &str,
) -> Result<Prepared, minijinja::Error> {
    match &parts.layer.image.content {
        Content::Definition(_) => from_definition(parts, target, developer_key),
        Content::Dockerfile(_) => Ok(from_dockerfile(parts, target)),
    }
}

fn from_definition(
    parts: &Parts<'_>,
    target: Target,
    developer_key: &str,
) -> Result<Prepared, minijinja::Error> {
    let layer = parts.layer;
    let name = layer.name();
    let base = |target: Target| {
        parts.bases.get(&target).cloned().unwrap_or(BaseImage {
            reference: String::new(),
            identity: String::new(),
        })
    };
    let surroundings = Surroundings {
        developer_base: base(Target::Developer).reference,
        runtime_base: base(Target::Runtime).reference,
        developer: parts.naming.reference(name, Target::Developer),
        host_arch: parts.host_arch.to_owned(),
    };
    let containerfile = containerfile::render(layer, target, &surroundings)?;
    let mut context = Context::default();
    let mut inputs = Inputs::default();
    // References hold registry and tag, which are not what an image is made of.
    let neutral = [
        (&surroundings.developer_base, "<developer base>"),
        (&surroundings.runtime_base, "<runtime base>"),
        (&surroundings.developer, "<developer>"),
    ]
    .into_iter()
    .filter(|(reference, _)| !reference.is_empty())
    .fold(containerfile.clone(), |text, (reference, word)| {
        text.replace(&format!("FROM {reference} AS"), &format!("FROM {word} AS"))
    });
    inputs.add("containerfile", sha256(&neutral));
    inputs.add(
        format!("base {}", layer.base.as_str()),
        base(target).identity,
    );
    context.text("tools/install.sh", include_str!("templates/install.sh"));
    match target {
        Target::Developer => add_developer_files(parts, &mut context, &mut inputs),
        Target::Runtime => {
            context.text("tools/collect.sh", include_str!("templates/collect.sh"));
            context.text("tools/finish.sh", include_str!("templates/finish.sh"));
            context.text(
                "collect",
                containerfile::collect_list(layer, parts.host_arch),
            );
            inputs.add("developer target", developer_key);
            inputs.add("list of runtime files", context.digest("collect"));
        }
    }
    inputs.add("build tools of ioc", context.digest("tools"));
    context.text("Containerfile", containerfile.clone());
    add_site(parts, &mut context);
    let labels = labels(parts, target, &inputs);
    Ok(Prepared {
        image: name.to_owned(),
        target,
        reference: parts.naming.reference(name, target),
        containerfile,
        context,
        arguments: BTreeMap::new(),
        stage: String::new(),
        inputs,
        labels,
    })
}

fn add_developer_files(parts: &Parts<'_>, context: &mut Context, inputs: &mut Inputs) {
    let layer = parts.layer;
    for placed in &layer.own {
        let module = placed.module;
        let folder = format!("modules/{}", module.name);
        context.file(
            format!("{folder}/build.sh"),
            script::module(layer, placed).into_bytes(),
            true,
        );
        if let Some(text) = script::release(layer, placed) {
            context.text(format!("{folder}/RELEASE"), text);
        }
        if let Some(text) = script::config_site(layer, placed) {
            context.text(format!("{folder}/CONFIG_SITE.local"), text);
        }
        for (path, item) in parts.assets.modules.get(&module.name).into_iter().flatten() {
            context.insert(format!("{folder}/{path}"), item.clone());
        }
        let identity = parts.identities.get(&module.name).map(ToString::to_string);
        context.insert(
            format!("{folder}/source"),
            Item::Folder {
                path: parts.trees.get(&module.name).cloned().unwrap_or_default(),
                identity: identity.unwrap_or_default(),
            },
        );
        inputs.add(format!("module {}", module.name), context.digest(&folder));
    }
    if !parts.assets.application.is_empty() {
        context.file(
            "application/build.sh",
            script::application().into_bytes(),
            true,
        );
        context.text("application/RELEASE", script::shared_release(layer));
        context.text(
            "application/CONFIG_SITE.local",
            script::application_settings(layer),
        );
        let variables = containerfile::environment(layer, Target::Developer, parts.host_arch);
        let of_modules = variables
            .into_iter()
            .filter(|(name, _)| name != "PATH")
            .collect();
        context.text(
            "application/RELEASE.shell",
            script::release_shell(&of_modules),
        );
        for (path, item) in &parts.assets.application {
            context.insert(format!("application/source/{path}"), item.clone());
        }
        inputs.add("application", context.digest("application"));
    }
    if !parts.assets.scripts.is_empty() {
        context.file("scripts/build.sh", script::scripts().into_bytes(), true);
        for (path, item) in &parts.assets.scripts {
            context.insert(format!("scripts/{path}"), item.clone());
        }
        inputs.add("start scripts", context.digest("scripts"));
    }
    context.text(
        "versions.json",
        Versions::new(layer, parts.identities).to_json(),
    );
    inputs.add("versions", context.digest("versions.json"));
}

fn add_site(parts: &Parts<'_>, context: &mut Context) {
    // The folder is mounted, so there has to be something in it.
    context.text(
        "site/README",
        "certificates and proxy of the site, if any, while a step runs\n",
    );
    for (path, item) in parts.site {
        context.insert(format!("site/{path}"), item.clone());
    }
}

fn from_dockerfile(parts: &Parts<'_>, target: Target) -> Prepared {
    let layer = parts.layer;
    let mut context = Context::default();
    for (path, item) in &parts.assets.dockerfile {
        context.insert(path.clone(), item.clone());
    }
    let mut inputs = Inputs::default();
    inputs.add("files", context.digest(""));
    let mut arguments = BTreeMap::new();
    for (each, base) in parts.bases {
        arguments.insert(each.as_str().to_ascii_uppercase(), base.reference.clone());
        inputs.add(
            format!("{each} base {}", layer.base.as_str()),
            base.identity.clone(),
        );
    }
    let containerfile = context.text_of("Dockerfile").unwrap_or_default().to_owned();
    // The name under which the engine is told to look, as for the others.
    context.text("Containerfile", containerfile.clone());
    let name = layer.name();
    Prepared {
        image: name.to_owned(),
        target,
        reference: parts.naming.reference(name, target),
        containerfile,
        context,
        arguments,
        stage: target.as_str().to_owned(),
        labels: labels(parts, target, &inputs),
        inputs,
    }
}

fn labels(parts: &Parts<'_>, target: Target, inputs: &Inputs) -> BTreeMap<String, String> {
    let layer = parts.layer;
    let name = layer.name();
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: &str, value: String| labels.insert(name.to_owned(), value);
    set("org.opencontainers.image.title", format!("{name}-{target}"));
    set(
        "org.opencontainers.image.description",
        layer.image.description().to_owned(),
    );
    set("org.opencontainers.image.version", parts.naming.tag.clone());
    if let Some(base) = parts.bases.get(&target) {
        set("org.opencontainers.image.base.name", base.reference.clone());
    }
    set(IMAGE_LABEL, name.to_owned());
    set(TARGET_LABEL, target.to_string());
    set(KEY_LABEL, inputs.key());
    set(INPUTS_LABEL, inputs.to_label());
    if layer
        .image
        .definition()
        .is_some_and(|definition| definition.application.is_some())
    {
        // `ioc attach` shows earlier lines and holds keys back itself, with or without a console program
        set(CONSOLE_LABEL, "console --plain".to_owned());
    }
    for module in Versions::new(layer, parts.identities).modules {
        set(&format!("{MODULE_LABEL}{}", module.name), module.summary());
    }
    labels
}
