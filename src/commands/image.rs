//! `ioc image ls|graph|show`: what the project defines, and what the engine has of it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::image::{ImageGraphArgs, ImageShowArgs};
use crate::commands::build::size;
use crate::commands::{Context, Outcome};
use crate::diagnostic::nearest;
use crate::engine::Engine;
use crate::image::chain::Layer;
use crate::image::definition::{Base, Target};
use crate::image::engine::{EngineImage, ImageEngine, LayerSize, Silent};
use crate::image::graph::children;
use crate::image::prepare::{MODULE_LABEL, Prepared};
use crate::image::survey::{self, LockUse, Survey};
use crate::image::versions::{ModuleVersion, VERSIONS_FILE};
use crate::settings::Settings;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::table::Table;

/// One target of an image of the project.
#[derive(Debug, Serialize)]
struct TargetState {
    target: Target,
    reference: String,
    /// Whether it is what a build would make now.
    up_to_date: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    /// Bytes with all layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// Bytes more than the operating-system image below.
    #[serde(skip_serializing_if = "Option::is_none")]
    over_base: Option<u64>,
}

/// One row of `ls`.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    description: String,
    base: String,
    modules: Vec<String>,
    targets: Vec<TargetState>,
    /// Why nothing can be said about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Lists all images of the project.
pub(crate) async fn ls(context: &Context) -> CommandResult<Outcome> {
    let catalog = survey::load_catalog(&context.settings)?;
    let engine = ImageEngine::new(Engine::connect(&context.settings).await?).await?;
    // A definition with mistakes does not hide the others.
    let (good, broken): (Vec<&str>, Vec<&str>) = catalog
        .image_names()
        .partition(|name| survey::resolve(&catalog, [*name]).is_ok());
    let layers = survey::resolve(&catalog, good.iter().copied())?;
    let survey = look(&context.settings, &engine, layers, context).await?;
    let mut rows: Vec<Listed> = survey
        .layers
        .iter()
        .map(|layer| Listed {
            name: layer.name().to_owned(),
            description: layer.image.description().to_owned(),
            base: layer.base.as_str().to_owned(),
            modules: layer
                .modules()
                .map(|placed| placed.module.name.clone())
                .collect(),
            targets: states(&survey, layer.name()),
            problem: None,
        })
        .collect();
    for name in &broken {
        rows.push(Listed {
            name: (*name).to_owned(),
            description: String::new(),
            base: String::new(),
            modules: Vec::new(),
            targets: Vec::new(),
            problem: Some(format!("has mistakes, `ioc build {name}` shows them")),
        });
    }
    let printer = &context.printer;
    printer.emit(&rows, |rows| {
        let mut table = Table::new([
            "IMAGE",
            "BASE",
            "DEVELOPER",
            "RUNTIME",
            "OVER OS",
            "MODULES",
            "STATE",
        ]);
        for column in 2..=5 {
            table = table.align_right(column);
        }
        for row in rows {
            let of = |target: Target, value: fn(&TargetState) -> Option<u64>| {
                let state = row.targets.iter().find(|state| state.target == target);
                state.and_then(value).map(size).unwrap_or_default()
            };
            table.row([
                row.name.clone(),
                row.base.clone(),
                of(Target::Developer, |state| state.size),
                of(Target::Runtime, |state| state.size),
                of(Target::Runtime, |state| state.over_base),
                row.modules.len().to_string(),
                state_in_words(row),
            ]);
        }
        table
    })?;
    Ok(Outcome::Success)
}

fn state_in_words(row: &Listed) -> String {
    if let Some(problem) = &row.problem {
        return problem.clone();
    }
    let mut reasons: Vec<&str> = Vec::new();
    for state in &row.targets {
        if let Some(reason) = &state.reason
            && !reasons.contains(&reason.as_str())
        {
            reasons.push(reason);
        }
    }
    if reasons.is_empty() {
        "up to date".to_owned()
    } else {
        reasons.join("; ")
    }
}

async fn look<'a>(
    settings: &Settings,
    engine: &ImageEngine,
    layers: Vec<Layer<'a>>,
    context: &Context,
) -> CommandResult<Survey<'a>> {
    survey::survey(
        settings,
        engine,
        layers,
        LockUse::OnlyKnown,
        &Silent,
        &context.cancel,
    )
    .await
}

fn states(survey: &Survey<'_>, image: &str) -> Vec<TargetState> {
    let reasons = survey.reasons(|_| true, false);
    let unknown: Vec<&String> = survey
        .layers
        .iter()
        .filter(|layer| layer.name() == image)
        .flat_map(Layer::modules)
        .map(|placed| &placed.module.name)
        .filter(|name| survey.unknown.contains(name))
        .collect();
    survey
        .targets
        .iter()
        .zip(&survey.present)
        .zip(reasons)
        .filter(|((prepared, _), _)| prepared.image == image)
        .map(|((prepared, present), reason)| {
            let reason = match (&reason, unknown.first()) {
                (Some(_), Some(module)) if present.is_some() => {
                    Some(format!("source of {module} is not locked yet"))
                }
                _ => reason.map(|reason| reason.to_string()),
            };
            TargetState {
                target: prepared.target,
                reference: prepared.reference.clone(),
                up_to_date: reason.is_none(),
                reason,
                id: present.as_ref().map(|image| image.id.clone()),
                created: present.as_ref().map(|image| image.created.clone()),
                size: present.as_ref().map(|image| image.size),
                over_base: present
                    .as_ref()
                    .and_then(|image| over_base(survey, prepared, image)),
            }
        })
        .collect()
}

/// Bytes more than the image from outside the project at the bottom of the chain.
fn over_base(survey: &Survey<'_>, prepared: &Prepared, image: &EngineImage) -> Option<u64> {
    let mut name = prepared.image.clone();
    while let Some(base) = survey.base_of(&name) {
        name = base;
    }
    let bottom = survey.layers.iter().find(|layer| layer.name() == name)?;
    let outside = match &bottom.base {
        Base::OperatingSystem => survey.outside.values().find(|outside| {
            !outside.layers.is_empty() && outside.layers.first() == image.layers.first()
        }),
        Base::Reference(text) => survey
            .outside
            .get(&text.replace("{target}", prepared.target.as_str())),
        Base::Image(_) => None,
    }?;
    image.size.checked_sub(outside.size)
}

/// One image of the graph.
#[derive(Debug, Serialize)]
struct Node {
    name: String,
    base: String,
    modules: Vec<String>,
    /// Whether instances can run it.
    is_ioc: bool,
}

/// Shows which image is built on which; needs no engine.
pub(crate) fn graph(args: &ImageGraphArgs, context: &Context) -> CommandResult<Outcome> {
    let catalog = survey::load_catalog(&context.settings)?;
    let wanted: Vec<&str> = if args.images.is_empty() {
        catalog.image_names().collect()
    } else {
        args.images.iter().map(String::as_str).collect()
    };
    let layers = survey::resolve(&catalog, wanted.iter().copied())?;
    let nodes: Vec<Node> = layers
        .iter()
        .map(|layer| Node {
            name: layer.name().to_owned(),
            base: match &layer.base {
                Base::OperatingSystem => context.settings.images.base.clone(),
                other => other.as_str().to_owned(),
            },
            modules: layer
                .own
                .iter()
                .map(|placed| placed.module.name.clone())
                .collect(),
            is_ioc: layer.image.is_ioc(),
        })
        .collect();
    context.printer.emit_text(&nodes, |nodes| tree(nodes))?;
    Ok(Outcome::Success)
}

/// The images as a tree, each with the modules that it adds.
fn tree(nodes: &[Node]) -> String {
    let bases: BTreeMap<String, Option<String>> = nodes
        .iter()
        .map(|node| (node.name.clone(), Some(node.base.clone())))
        .collect();
    let mut roots: Vec<&str> = nodes
        .iter()
        .map(|node| node.base.as_str())
        .filter(|base| !bases.contains_key(*base))
        .collect();
    roots.sort_unstable();
    roots.dedup();
    let mut text = String::new();
    for root in roots {
        text.push_str(root);
        text.push('\n');
        branch(root, "", nodes, &bases, &mut text);
    }
    text
}

fn branch(
    base: &str,
    indent: &str,
    nodes: &[Node],
    bases: &BTreeMap<String, Option<String>>,
    text: &mut String,
) {
    let below: Vec<&str> = children(base, bases).collect();
    for (index, name) in below.iter().enumerate() {
        let is_last = index + 1 == below.len();
        let (mark, more) = if is_last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        let modules = nodes
            .iter()
            .find(|node| node.name == *name)
            .map(|node| node.modules.join(", "))
            .filter(|modules| !modules.is_empty())
            .map(|modules| format!("  ({modules})"))
            .unwrap_or_default();
        text.push_str(&format!("{indent}{mark}{name}{modules}\n"));
        branch(name, &format!("{indent}{more}"), nodes, bases, text);
    }
}

/// What `show` tells.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    base: String,
    targets: Vec<TargetState>,
    /// Contents of `/epics/versions.json`, or what the labels say.
    versions: serde_json::Value,
    layers: Vec<LayerSize>,
    labels: BTreeMap<String, String>,
}

/// An image that is there.
pub(super) struct Found {
    /// What it is built on, for one of the project.
    base: String,
    targets: Vec<TargetState>,
    /// How the engine is asked for it.
    pub(super) reference: String,
    /// What the engine says of it.
    pub(super) image: EngineImage,
}

/// Finds an image of the project, its runtime target before the developer target, or any image that the engine has.
pub(super) async fn find(
    name: &str,
    engine: &ImageEngine,
    context: &Context,
) -> CommandResult<Found> {
    let of_project = if context.settings.images.folder.is_dir() {
        let catalog = survey::load_catalog(&context.settings)?;
        if catalog.has_image(name) {
            let layers = survey::resolve(&catalog, [name])?;
            let survey = look(&context.settings, engine, layers, context).await?;
            let base = survey
                .layers
                .last()
                .map(|layer| layer.base.as_str().to_owned())
                .unwrap_or_default();
            Some((base, states(&survey, name)))
        } else {
            None
        }
    } else {
        None
    };
    let (base, targets) = of_project.unwrap_or_default();
    let built = targets.iter().rev().find(|state| state.id.is_some());
    let reference = built.map_or(name, |state| state.reference.as_str());
    let Some(image) = engine.inspect(reference).await? else {
        return Err(not_there(name, &targets, context));
    };
    Ok(Found {
        reference: reference.to_owned(),
        base,
        targets,
        image,
    })
}

/// Shows an image of the project, or any image that the engine has.
pub(crate) async fn show(args: &ImageShowArgs, context: &Context) -> CommandResult<Outcome> {
    let name = args.image.as_str();
    let engine = ImageEngine::new(Engine::connect(&context.settings).await?).await?;
    let Found {
        base,
        targets,
        reference,
        image,
    } = find(name, &engine, context).await?;
    let shown = Shown {
        name: name.to_owned(),
        description: image
            .labels
            .get("org.opencontainers.image.description")
            .cloned()
            .unwrap_or_default(),
        base,
        versions: versions(&engine, &reference, &image).await?,
        layers: engine.layers(&reference).await?,
        targets: if targets.is_empty() {
            vec![foreign(&reference, &image)]
        } else {
            targets
        },
        labels: image.labels.clone(),
    };
    context.printer.emit_text(&shown, page)?;
    Ok(Outcome::Success)
}

fn not_there(name: &str, targets: &[TargetState], context: &Context) -> CommandError {
    if targets.is_empty() {
        let names = crate::image::image_names(&context.settings);
        let error = CommandError::new(
            ErrorKind::NotFound,
            format!("neither the project nor the engine has an image `{name}`"),
        );
        return match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("`ioc image ls` lists the images of the project"),
        };
    }
    CommandError::not_found(format!("the image `{name}` is not built yet"))
        .hint(format!("`ioc build {name}` builds it"))
}

/// An image that the project does not define.
fn foreign(reference: &str, image: &EngineImage) -> TargetState {
    let target = image.labels.get("ioc.target").map(String::as_str);
    TargetState {
        target: if target == Some("developer") {
            Target::Developer
        } else {
            Target::Runtime
        },
        reference: reference.to_owned(),
        up_to_date: true,
        reason: None,
        id: Some(image.id.clone()),
        created: Some(image.created.clone()),
        size: Some(image.size),
        over_base: None,
    }
}

/// The file inside the image; without one, what the labels say.
pub(super) async fn versions(
    engine: &ImageEngine,
    reference: &str,
    image: &EngineImage,
) -> CommandResult<serde_json::Value> {
    let file = engine.file_of(reference, VERSIONS_FILE).await?;
    if let Some(value) = file.and_then(|text| serde_json::from_str(&text).ok()) {
        return Ok(value);
    }
    let labels: BTreeMap<&str, &String> = image
        .labels
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(MODULE_LABEL)?, value)))
        .collect();
    Ok(serde_json::json!(labels))
}

/// The page for people.
fn page(shown: &Shown) -> String {
    let mut text = format!("{}\n", shown.name);
    if !shown.description.is_empty() {
        text.push_str(&format!("{}\n", shown.description));
    }
    if !shown.base.is_empty() {
        text.push_str(&format!("built on {}\n", shown.base));
    }
    let mut targets = Table::new(["TARGET", "SIZE", "OVER OS", "STATE", "IMAGE"])
        .align_right(1)
        .align_right(2);
    for state in &shown.targets {
        targets.row([
            state.target.to_string(),
            state.size.map(size).unwrap_or_default(),
            state.over_base.map(size).unwrap_or_default(),
            state
                .reason
                .clone()
                .unwrap_or_else(|| "up to date".to_owned()),
            state.reference.clone(),
        ]);
    }
    text.push_str(&format!("\n{}", targets.render()));
    text.push_str(&format!("\n{}", modules_table(&shown.versions)));
    let mut layers = Table::new(["LAYER", "MADE BY"]).align_right(0);
    for layer in &shown.layers {
        layers.row([size(layer.size), layer.step.clone()]);
    }
    text.push_str(&format!("\n{}", layers.render()));
    text
}

fn modules_table(versions: &serde_json::Value) -> String {
    let mut table = Table::new(["MODULE", "VERSION", "COMMIT OR SHA256", "SOURCE"]);
    for module in ModuleVersion::read(versions) {
        let exact = module.exact().unwrap_or_default().chars().take(12);
        table.row([
            module.name.clone(),
            module.version.clone(),
            exact.collect(),
            module.source.clone(),
        ]);
    }
    if table.is_empty() {
        return "nothing in it says which modules it holds\n".to_owned();
    }
    table.render()
}
