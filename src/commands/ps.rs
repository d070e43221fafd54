//! `ioc ps`: all instances of this machine with state, health, version, image.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use bollard::query_parameters::EventsOptions;
use futures_util::StreamExt as _;
use jiff::Timestamp;

use crate::cli::global::OutputFormat;
use crate::cli::ps::PsArgs;
use crate::commands::target::Target;
use crate::commands::{Context, Outcome, acting, kubernetes};
use crate::fleet::containers;
use crate::fleet::overview::{self, Row};
use crate::fleet::session::Fleet;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::table::Table;

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
    context.printer.emit(&rows, |rows| table(rows))?;
    notes(&rows, context);
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

pub(crate) fn notes(rows: &[Row], context: &Context) {
    for row in rows {
        if let Some(note) = &row.note {
            context.printer.warning(format!("`{}`: {note}", row.name));
        }
    }
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
        let mut text = table(&rows).render();
        for row in &rows {
            if let Some(note) = &row.note {
                text.push_str(&format!("{}: {note}\n", row.name));
            }
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

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        "NAME",
        "STATE",
        "HEALTH",
        "RESTARTS",
        "VERSION",
        "REVISION",
        "IMAGE",
        "NODE",
        "UPTIME",
        "LAST EXIT",
    ])
    .align_right(3)
    .align_right(5)
    .align_right(8);
    for row in rows {
        table.row([
            row.name.clone(),
            row.state.name().to_owned(),
            row.health
                .map(|check| check.name().to_owned())
                .unwrap_or_default(),
            row.restarts.to_string(),
            row.version.clone(),
            row.revision
                .map(|revision| revision.to_string())
                .unwrap_or_default(),
            row.image.clone(),
            row.node.clone(),
            row.uptime_seconds.map(duration).unwrap_or_default(),
            row.last_exit.clone().unwrap_or_default(),
        ]);
    }
    table
}

/// A time span with its two largest units: `45s`, `12m30s`, `3h05m`, `4d02h`.
pub(crate) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_have_two_units() {
        let shown: Vec<String> = [0, 59, 60, 3661, 86400 * 4 + 7200].map(duration).to_vec();
        assert_eq!(shown, ["0s", "59s", "1m00s", "1h01m", "4d02h"]);
    }
}
