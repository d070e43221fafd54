//! `ioc ps`: all instances of this machine with state, health, version, image.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use bollard::query_parameters::EventsOptions;
use futures_util::StreamExt as _;
use jiff::Timestamp;

use crate::cli::global::OutputFormat;
use crate::cli::ps::PsArgs;
use crate::commands::instance_table::{Digests, remarks, table};
use crate::commands::target::Target;
use crate::commands::{Context, Outcome, acting, kubernetes};
use crate::fleet::containers;
use crate::fleet::overview::{self, Row};
use crate::fleet::session::Fleet;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How long the list stays when nothing happens: uptimes grow.
const REFRESH: Duration = Duration::from_secs(2);
/// Events that come together are one refresh.
pub(crate) const SETTLE: Duration = Duration::from_millis(150);
/// Puts the cursor into the upper left corner and clears what is below.
pub(crate) const HOME: &str = "\u{1b}[H\u{1b}[J";

/// Lists instances.
///
/// # Errors
///
/// No engine, a state folder that cannot be read, or an instance that is not deployed.
pub(crate) async fn ps(args: &PsArgs, context: &Context) -> CommandResult<Outcome> {
    let targets = kubernetes::ps::targets(args, context)?;
    if targets.iter().any(|target| *target != Target::Local) {
        return kubernetes::ps::ps(args, &targets, context).await;
    }
    let fleet = Fleet::connect(&context.settings).await?;
    let namespace = acting::namespace(&args.beamline, context)?;
    if args.watch {
        require_table(context)?;
        return watch(&fleet, args, namespace.as_deref(), context).await;
    }
    let rows = rows(&fleet, args, namespace.as_deref(), context).await?;
    context
        .printer
        .emit(&rows, |rows| table(rows, Digests::Hidden))?;
    for line in remarks(&rows) {
        context.printer.warning(line);
    }
    if rows.is_empty() {
        context.printer.info("nothing is deployed on this machine");
    }
    Ok(Outcome::Success)
}

/// A list that changes on the screen has no form for programs.
pub(crate) fn require_table(context: &Context) -> CommandResult<()> {
    if context.printer.format() == OutputFormat::Table {
        return Ok(());
    }
    Err(CommandError::new(
        ErrorKind::Usage,
        "`--watch` is for people and prints no JSON or YAML",
    ))
}

pub(crate) async fn rows(
    fleet: &Fleet,
    args: &PsArgs,
    namespace: Option<&str>,
    context: &Context,
) -> CommandResult<Vec<Row>> {
    let names: Vec<String> = args
        .instances
        .iter()
        .map(|name| name.to_lowercase())
        .collect();
    let releases = overview::releases(&fleet.store, &names, namespace)?;
    if let Some(unknown) = names.iter().find(|name| {
        !releases
            .iter()
            .any(|release| release.name() == name.as_str())
    }) {
        // the finder has the words and the nearest name
        let one = [unknown.clone()];
        overview::find(
            &fleet.store,
            overview::Wanted {
                names: &one,
                all: false,
                namespace,
            },
        )?;
    }
    let (rows, warnings) = overview::rows(fleet, &releases, Timestamp::now()).await?;
    for warning in warnings {
        context.printer.warning(warning);
    }
    Ok(rows)
}

async fn watch(
    fleet: &Fleet,
    args: &PsArgs,
    namespace: Option<&str>,
    context: &Context,
) -> CommandResult<Outcome> {
    let options = EventsOptions {
        filters: Some(HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("label".to_owned(), vec![containers::INSTANCE.to_owned()]),
        ])),
        ..EventsOptions::default()
    };
    let mut events = fleet.engine.docker().events(Some(options));
    let clear = std::io::stdout().is_terminal();
    loop {
        let rows = rows(fleet, args, namespace, context).await?;
        let mut text = table(&rows, Digests::Hidden).render();
        for line in remarks(&rows) {
            text.push_str(&line);
            text.push('\n');
        }
        context
            .printer
            .data(&format!("{}{text}", if clear { HOME } else { "" }))?;
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(_)) => tokio::time::sleep(SETTLE).await,
                Some(Err(error)) => return Err(containers::refused(error, "the engine no longer tells what happens")),
                None => return Err(CommandError::new(ErrorKind::Engine, "the engine has closed the connection")),
            },
            () = tokio::time::sleep(REFRESH) => {}
            () = context.cancel.cancelled() => return Ok(Outcome::Success),
        }
    }
}
