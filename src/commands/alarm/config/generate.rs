//! `ioc alarm config generate`: the records of IOCs that can go into alarm, as a tree to edit.

use std::collections::BTreeSet;
use std::path::Path;

use crate::alarm::generate::{self, Wishes};
use crate::check::{self, Question};
use crate::cli::alarm::GenerateArgs;
use crate::commands::alarm::config::output::{self, Destination};
use crate::commands::{Context, Outcome};
use crate::engine::Engine;
use crate::services::lookup::shown;
use crate::services::{self, Repository};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Runs the command.
///
/// # Errors
///
/// No such beamline or instance, an engine that fails, a destination that is there, no record that can go into alarm.
pub(crate) async fn generate(args: &GenerateArgs, context: &Context) -> CommandResult<Outcome> {
    let settings = &context.settings;
    let named = args.from.to_str();
    let beamline = named.and_then(|name| settings.beamlines.get(name));
    let (repository, name) = match beamline.filter(|_| !args.from.is_dir()) {
        Some(beamline) => (services::open(beamline)?, beamline.name.clone()),
        None if args.from.is_dir() => {
            let full = fs_err::canonicalize(&args.from)?;
            let name = full.file_name().unwrap_or_default();
            let opened = Repository::open(&shown(&args.from))?;
            (opened, name.to_string_lossy().into_owned())
        }
        // says which beamlines there are
        None => {
            let beamline = settings.beamline(named.unwrap_or_default())?;
            (services::open(beamline)?, beamline.name.clone())
        }
    };
    let mut only = BTreeSet::new();
    for instance in &args.instances {
        only.insert(repository.instance(instance)?.name().to_owned());
    }
    let engine = if args.no_engine {
        None
    } else {
        match Engine::connect(settings).await {
            Ok(engine) => Some(engine),
            Err(error) => {
                context
                    .printer
                    .warning(format!("databases in images are left out: {error}"));
                context.printer.hint("`--no-engine` goes on without them");
                None
            }
        }
    };
    let question = Question {
        repository: &repository,
        only: &only,
        namespace: &beamline.map_or_else(|| name.clone(), |beamline| beamline.namespace.clone()),
        backend: beamline.map_or_else(Default::default, |beamline| beamline.backend),
        engine: engine.as_ref(),
        settings,
    };
    let (records, unknown) = check::records(&question).await?;
    for line in &unknown {
        context.printer.info(format!("not looked at: {line}"));
    }
    let wishes = Wishes {
        by: args.by,
        severity: args.severity,
    };
    let root = args.config.as_deref().unwrap_or(&name);
    let tree = generate::tree(root, &records, wishes);
    if tree.pv_count() == 0 {
        let all: usize = records.iter().map(|instance| instance.records.len()).sum();
        let error = CommandError::new(
            ErrorKind::NotFound,
            format!("none of {all} records sets a severity, so none can go into alarm by itself"),
        );
        return Err(if unknown.is_empty() {
            error.hint("set `HHSV`, `ZSV` and so on in the databases")
        } else {
            error.hint("what was not looked at may have some: `ioc build` makes the images, `ioc check` tells more")
        });
    }
    let destination = Destination {
        format: output::format(args.format, args.to.as_deref(), context),
        file: args.to.as_deref().map(Path::new),
        force: args.force,
        lossless: false,
    };
    output::write(&tree, destination, context)?;
    Ok(Outcome::Success)
}
