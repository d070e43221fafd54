//! `ioc new instance`: a folder in the services repository of a beamline that works as it is written.

use std::path::Path;

use crate::cli::global::OutputFormat;
use crate::cli::new::NewInstanceArgs;
use crate::commands::{Context, Outcome};
use crate::diagnostic::nearest;
use crate::image::image_names;
use crate::services::Repository;
use crate::services::name::problem_of_instance;
use crate::services::scaffold::{
    self, Content, NewFile, NewInstance, SHARED_CHART, StartUp, write,
};
use crate::settings::{Beamline, Settings};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// The image of this project that has the simulated devices.
const SIMULATION: &str = "ioc-sim";

/// Runs the command.
pub(crate) fn new_instance(args: &NewInstanceArgs, context: &Context) -> CommandResult<Outcome> {
    let name = &args.name;
    if let Some(problem) = problem_of_instance(name) {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!("an instance cannot be called `{name}`"),
        )
        .caused_by(problem));
    }
    let settings = &context.settings;
    let beamline = beamline_of(settings, name, args.beamline.as_deref())?;
    taken(settings, name)?;
    let shared = beamline.repository.join(".helm-shared");
    let links: Vec<String> = SHARED_CHART
        .iter()
        .filter(|part| shared.join(part).exists())
        .map(|part| (*part).to_owned())
        .collect();
    if !links.iter().any(|part| part == "Chart.yaml") {
        return Err(CommandError::not_found(format!(
            "`{}` has no shared chart `.helm-shared/Chart.yaml`",
            beamline.repository.display()
        ))
        .hint("copy the folder of an instance that works, or write a new beamline with `ioc new beamline`"));
    }
    let new = NewInstance {
        name: name.clone(),
        image: reference(settings, &args.image)?,
        kind: start_up(&args.image, name),
        links,
    };
    let files = scaffold::instance(&new).map_err(|error| {
        CommandError::new(ErrorKind::Internal, "a template of ioc is broken").caused_by(error)
    })?;
    let folder = beamline.repository.join("services").join(name);
    let shown = match &settings.project {
        Some(project) => folder.strip_prefix(project).unwrap_or(&folder),
        None => &folder,
    };
    show(context, shown, &files, args.dry_run)?;
    if args.dry_run {
        return Ok(Outcome::Success);
    }
    write::folder(&folder, &files)?;
    let printer = &context.printer;
    printer.info(format!("instance `{name}` is in `{}`", shown.display()));
    if image_names(settings).contains(&args.image) {
        printer.hint(format!(
            "`ioc build {}` builds its image, unless it is there",
            args.image
        ));
    }
    printer.hint(format!(
        "edit `{}`, then `ioc check {} {name}` and `ioc deploy {name}`",
        shown.join("config/st.cmd").display(),
        beamline.name
    ));
    Ok(Outcome::Success)
}

/// The beamline that was named, or the one that the name of the instance begins with.
fn beamline_of<'a>(
    settings: &'a Settings,
    instance: &str,
    named: Option<&str>,
) -> CommandResult<&'a Beamline> {
    if let Some(name) = named {
        return settings.beamline(name);
    }
    // Names of beamlines may have a `-` of their own: the longest that fits is meant.
    let fits = |name: &&String| {
        instance
            .strip_prefix(name.as_str())
            .is_some_and(|rest| rest.starts_with('-'))
    };
    let longest = settings
        .beamlines
        .keys()
        .filter(fits)
        .max_by_key(|name| name.len());
    if let Some(beamline) = longest.and_then(|name| settings.beamlines.get(name)) {
        return Ok(beamline);
    }
    let first = instance.split('-').next().unwrap_or(instance);
    settings.beamline(first).map_err(|error| {
        error.hint(
            "the name of an instance begins with that of its beamline, unless `--beamline` says which",
        )
    })
}

/// Refuses a name that any beamline has: instances are found by name alone.
fn taken(settings: &Settings, name: &str) -> CommandResult<()> {
    for beamline in settings.beamlines.values() {
        let Ok(repository) = Repository::open(&beamline.repository) else {
            continue;
        };
        if let Ok(instance) = repository.instance(name) {
            return Err(CommandError::new(
                ErrorKind::Conflict,
                format!(
                    "beamline `{}` has an instance `{name}` already",
                    beamline.name
                ),
            )
            .hint(format!("it is in `{}`", instance.folder().display())));
        }
    }
    Ok(())
}

/// The reference under which an image is found: that of the project's image, or what was given.
fn reference(settings: &Settings, image: &str) -> CommandResult<String> {
    let known = image_names(settings);
    if known.iter().any(|name| name == image) {
        let images = &settings.images;
        return Ok(format!(
            "{}/{image}-runtime:{}",
            images.registry, images.tag
        ));
    }
    let is_reference = image.contains(['/', ':']) && !image.contains(char::is_whitespace);
    if is_reference {
        return Ok(image.to_owned());
    }
    let error = CommandError::not_found(format!("the project has no image `{image}`"));
    Err(match nearest(image, known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(
            "name an image of `generic-iocs`, or a reference such as `registry.example.org/ioc-motor-runtime:2026.11`",
        ),
    })
}

fn start_up(image: &str, name: &str) -> StartUp {
    let last = image.rsplit('/').next().unwrap_or(image);
    let last = last.split([':', '@']).next().unwrap_or(last);
    if last.trim_end_matches("-runtime") != SIMULATION {
        StartUp::Minimal
    } else if name.split('-').any(|part| part == "mo") {
        StartUp::SimulatedMotor
    } else {
        StartUp::SimulatedStage
    }
}

/// Lists what is written, or, in a dry run, would be.
pub(crate) fn show(
    context: &Context,
    folder: &Path,
    files: &[NewFile],
    dry_run: bool,
) -> CommandResult<()> {
    let rows: Vec<Written> = files
        .iter()
        .map(|file| Written {
            path: folder.join(&file.path).display().to_string(),
            link: match &file.content {
                Content::File(_) => None,
                Content::Link(to) => Some(to.display().to_string()),
            },
        })
        .collect();
    if !dry_run
        && context.printer.format() == OutputFormat::Table
        && context.printer.verbosity() == 0
    {
        return Ok(());
    }
    context.printer.emit_text(&rows, |rows| {
        let lines = rows.iter().map(|row| match &row.link {
            Some(to) => format!("{} -> {to}\n", row.path),
            None => format!("{}\n", row.path),
        });
        lines.collect()
    })
}

/// One line of the list of what is written.
#[derive(Debug, serde::Serialize)]
struct Written {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}
