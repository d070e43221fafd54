//! `ioc new beamline`: a services repository with the chart vendored, and its stanza in `ioc.toml`.

use std::path::{Path, PathBuf};

use crate::cli::new::NewBeamlineArgs;
use crate::commands::new_instance::show;
use crate::commands::{Context, Outcome};
use crate::project::{self, Backend, FILE_NAME};
use crate::services::name::{problem_of_beamline, problem_of_location};
use crate::services::scaffold::{self, NewBeamline, NewFile, write};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Runs the command.
pub(crate) fn new_beamline(args: &NewBeamlineArgs, context: &Context) -> CommandResult<Outcome> {
    let name = &args.name;
    let stanza = Stanza::default();
    let new = NewBeamline {
        name: name.clone(),
        location: args.location.clone().unwrap_or_else(|| name.clone()),
        uid: args.uid,
        gid: None,
        on_cluster: false,
    };
    let skeleton = Skeleton::prepare(&new, &stanza, context)?;
    skeleton.show(context, args.dry_run)?;
    if args.dry_run {
        return Ok(Outcome::Success);
    }
    skeleton.write(context)?;
    context.printer.hint(format!(
        "`ioc new instance {name}-ea-ioc-01 --image IMAGE` adds an instance"
    ));
    Ok(Outcome::Success)
}

/// What `ioc.toml` says of a new beamline besides its repository.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stanza {
    /// Where its instances run.
    pub(crate) backend: Backend,
    /// Context of the kubeconfig.
    pub(crate) context: Option<String>,
    /// Namespace, when it is not the name.
    pub(crate) namespace: Option<String>,
}

/// A services repository that is about to be written, and its stanza in the project file.
pub(crate) struct Skeleton {
    name: String,
    /// Its folder, from the project.
    pub(crate) repository: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Its files.
    pub(crate) files: Vec<NewFile>,
    project_file: PathBuf,
    text: String,
}

impl Skeleton {
    /// Everything that can be wrong is found here.
    ///
    /// # Errors
    ///
    /// Names that cannot be; a beamline or a folder that exists.
    pub(crate) fn prepare(
        new: &NewBeamline,
        stanza: &Stanza,
        context: &Context,
    ) -> CommandResult<Self> {
        let NewBeamline { name, location, .. } = new;
        if let Some(problem) = problem_of_beamline(name) {
            return Err(CommandError::new(
                ErrorKind::Usage,
                format!("a beamline cannot be called `{name}`"),
            )
            .caused_by(problem));
        }
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
        let files = scaffold::beamline(new).map_err(|error| {
            CommandError::new(ErrorKind::Internal, "a template of ioc is broken").caused_by(error)
        })?;
        let root = match &context.settings.project {
            Some(project) => project.clone(),
            None => std::env::current_dir().map_err(|error| {
                CommandError::system(error, "failed to find the current folder")
            })?,
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
        let text = with_beamline(&project_file, name, &repository, stanza)?;
        Ok(Self {
            name: name.clone(),
            repository,
            folder,
            files,
            project_file,
            text,
        })
    }

    /// Lists what is written, or, in a dry run, would be.
    ///
    /// # Errors
    ///
    /// Output that cannot be written.
    pub(crate) fn show(&self, context: &Context, dry_run: bool) -> CommandResult<()> {
        show(context, Path::new(&self.repository), &self.files, dry_run)?;
        if dry_run {
            context.printer.info(format!(
                "`{FILE_NAME}` would get `[beamline.{}]`",
                self.name
            ));
        }
        Ok(())
    }

    /// Writes the folder, then the project file.
    ///
    /// # Errors
    ///
    /// What could not be written, and what was before it.
    pub(crate) fn write(&self, context: &Context) -> CommandResult<()> {
        let (name, repository) = (&self.name, &self.repository);
        write::folder(&self.folder, &self.files)?;
        write::replace(&self.project_file, &self.text).map_err(|error| {
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
        Ok(())
    }
}

/// The text of the project file with the new beamline at its end; everything else stays as it is written.
fn with_beamline(
    file: &Path,
    name: &str,
    repository: &str,
    stanza: &Stanza,
) -> CommandResult<String> {
    let mut text = if file.exists() {
        fs_err::read_to_string(file)?
    } else {
        "# Project file of `ioc`: beamlines, images, engine. Every key may be missing.\n".to_owned()
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let backend = match stanza.backend {
        Backend::Local => "local",
        Backend::Kubernetes => "kubernetes",
    };
    text.push_str(&format!(
        "\n[beamline.{name}]\nrepository = \"{repository}\"\n# where its instances run: \"local\" (this machine) or \"kubernetes\"\nbackend = \"{backend}\"\n"
    ));
    for (key, value) in [
        ("context", &stanza.context),
        ("namespace", &stanza.namespace),
    ] {
        if let Some(value) = value {
            // a context may have any character; a text of TOML is written as one of JSON
            let value = serde_json::Value::from(value.as_str());
            text.push_str(&format!("{key} = {value}\n"));
        }
    }
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
