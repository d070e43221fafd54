//! `ioc chart dependency build|update|list`.

use serde::Serialize;

use crate::charts::dependency::{self, Vendored};
use crate::charts::error::cannot_load;
use crate::charts::locate;
use crate::cli::chart::{DependencyListArgs, VendorArgs};
use crate::commands::{Context, Outcome};
use crate::ui::error::CommandResult;

pub(super) async fn build(args: &VendorArgs, context: &Context) -> CommandResult<Outcome> {
    let (places, task) = places(args, context);
    let done = dependency::build(&places, &args.chart).await;
    task.finish();
    report(&done?, context)
}

pub(super) async fn update(args: &VendorArgs, context: &Context) -> CommandResult<Outcome> {
    let (places, task) = places(args, context);
    let done = dependency::update(&places, &args.chart).await;
    task.finish();
    report(&done?, context)
}

fn places(args: &VendorArgs, context: &Context) -> (locate::Places, crate::ui::progress::Task) {
    super::places(
        context,
        args.registry.plain_http,
        &args.chart.display().to_string(),
    )
}

fn report(done: &Vendored, context: &Context) -> CommandResult<Outcome> {
    tell(done, context);
    context.printer.emit_text(done, |done| {
        done.saved
            .iter()
            .fold(String::new(), |text, name| text + "charts/" + name + "\n")
    })?;
    Ok(Outcome::Success)
}

/// Says what vendoring did besides writing archives.
pub(super) fn tell(done: &Vendored, context: &Context) {
    let printer = &context.printer;
    for name in &done.assumed {
        printer.info(format!(
            "`{name}` has no repository: it is taken from `charts/`"
        ));
    }
    for name in &done.deleted {
        printer.info(format!(
            "removed `charts/{name}`, which nothing needs any more"
        ));
    }
    if done.locked {
        printer.info("wrote `Chart.lock`");
    }
}

#[derive(Serialize)]
struct Row {
    name: String,
    version: String,
    repository: String,
    status: String,
}

pub(super) fn list(args: &DependencyListArgs, context: &Context) -> CommandResult<Outcome> {
    let path = &args.chart;
    if !path.exists() {
        return Err(crate::ui::error::CommandError::not_found(format!(
            "there is no chart `{}`",
            path.display()
        )));
    }
    let chart = locate::load(path)?;
    let declared = &chart.metadata().dependencies;
    let mut rows = Vec::new();
    for dependency in declared {
        let status = helm::dependency_status(path, &chart, dependency)
            .map_err(|error| cannot_load(path, &error))?;
        rows.push(Row {
            name: dependency.name.clone(),
            version: dependency.version.clone(),
            repository: dependency.repository.clone(),
            status: status.to_string(),
        });
    }
    if rows.is_empty() {
        context
            .printer
            .info(format!("no dependencies in `{}`", path.display()));
    }
    context.printer.emit_text(&rows, |rows| table(rows))?;
    for found in chart.dependencies() {
        if declared.iter().all(|wanted| wanted.name != found.name()) {
            context.printer.warning(format!(
                "`charts/{}` is not among the dependencies of `Chart.yaml`",
                found.name()
            ));
        }
    }
    Ok(Outcome::Success)
}

/// The table of `helm dependency list`, to the byte: columns padded, a tab between them.
fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let heading = ["NAME", "VERSION", "REPOSITORY", "STATUS"].map(str::to_owned);
    let lines: Vec<[String; 4]> = std::iter::once(heading)
        .chain(rows.iter().map(|row| {
            [&row.name, &row.version, &row.repository, &row.status].map(|text| shortened(text))
        }))
        .collect();
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line.get(column).map_or(0, |text| text.chars().count()))
            .max()
            .unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2), width(3)];
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(&cells.join("\t"));
        text.push('\n');
    }
    text.push('\n');
    text
}

/// Helm shows 80 characters of a cell.
fn shortened(text: &str) -> String {
    const WIDEST: usize = 80;
    if text.chars().count() <= WIDEST {
        return text.to_owned();
    }
    let kept: String = text.chars().take(WIDEST - 3).collect();
    format!("{kept}...")
}
