//! `ioc new beamline`: a services repository with the chart vendored, and its stanza in `ioc.toml`.

use std::path::Path;

use crate::cli::new::NewBeamlineArgs;
use crate::commands::new_instance::show;
use crate::commands::{Context, Outcome};
use crate::project::{self, FILE_NAME};
use crate::services::name::{problem_of_beamline, problem_of_location};
use crate::services::scaffold::{self, NewBeamline, write};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Runs the command.
pub(crate) fn new_beamline(args: &NewBeamlineArgs, context: &Context) -> CommandResult<Outcome> {
    let name = &args.name;
    if let Some(problem) = problem_of_beamline(name) {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!("a beamline cannot be called `{name}`"),
        )
        .caused_by(problem));
    }
    let location = args.location.as_ref().unwrap_or(name);
    if let Some(problem) = problem_of_location(location) {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!("a location cannot be called `{location}`"),
        )
        .caused_by(problem));
    }
    if context.settings.beamlines.contains_key(name) {
        return Err(CommandError::new(
            ErrorKind::Conflict,
            format!("`{FILE_NAME}` has a beamline `{name}` already"),
        )
        .hint(format!(
            "`ioc new instance {name}-ea-ioc-01 --image IMAGE` adds an instance to it"
        )));
    }
    let new = NewBeamline {
        name: name.clone(),
        location: location.clone(),
        uid: args.uid,
    };
    let files = scaffold::beamline(&new).map_err(|error| {
        CommandError::new(ErrorKind::Internal, "a template of ioc is broken").caused_by(error)
    })?;
    let root = match &context.settings.project {
        Some(project) => project.clone(),
        None => std::env::current_dir()
            .map_err(|error| CommandError::system(error, "failed to find the current folder"))?,
    };
    let repository = format!("beamlines/{name}");
    let folder = root.join(&repository);
    if folder.symlink_metadata().is_ok() {
        return Err(CommandError::new(
            ErrorKind::Conflict,
            format!("`{repository}` exists already"),
        )
        .hint(format!(
            "if it is a services repository, put `[beamline.{name}]` with `repository = \"{repository}\"` into `{FILE_NAME}`"
        )));
    }
    let project_file = root.join(FILE_NAME);
    let text = with_beamline(&project_file, name, &repository)?;
    show(context, Path::new(&repository), &files, args.dry_run)?;
    if args.dry_run {
        context
            .printer
            .info(format!("`{FILE_NAME}` would get `[beamline.{name}]`"));
        return Ok(Outcome::Success);
    }
    write::folder(&folder, &files)?;
    write::replace(&project_file, &text).map_err(|error| {
        CommandError::system(
            error,
            format!("`{repository}` is written, but `{FILE_NAME}` is not changed"),
        )
        .hint(format!(
            "add `[beamline.{name}]` with `repository = \"{repository}\"` to it"
        ))
    })?;
    context.printer.info(format!(
        "beamline `{name}` is in `{repository}` and in `{FILE_NAME}`"
    ));
    context.printer.hint(format!(
        "`ioc new instance {name}-ea-ioc-01 --image IMAGE` adds an instance"
    ));
    Ok(Outcome::Success)
}

/// The text of the project file with the new beamline at its end; everything else stays as it is written.
fn with_beamline(file: &Path, name: &str, repository: &str) -> CommandResult<String> {
    let mut text = if file.exists() {
        fs_err::read_to_string(file)?
    } else {
        "# Project file of `ioc`: beamlines, images, engine. Every key may be missing.\n".to_owned()
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&format!(
        "\n[beamline.{name}]\nrepository = \"{repository}\"\n# where its instances run: \"local\" (this machine) or \"kubernetes\"\nbackend = \"local\"\n"
    ));
    // A table written in another way (`beamline = {{ … }}`) cannot be continued like this.
    match project::parse(Path::new(FILE_NAME), &text) {
        Ok(_) => Ok(text),
        Err(diagnostic) => Err(CommandError::new(
            ErrorKind::Conflict,
            format!(
                "`[beamline.{name}]` cannot be added to `{FILE_NAME}`: {}",
                diagnostic.message
            ),
        )
        .hint("write the beamlines as `[beamline.NAME]` tables")),
    }
}
