//! `ioc chart package`: charts as the archives that `helm package` writes.

use std::path::Path;

use serde::Serialize;

use crate::charts::error::cannot_load;
use crate::charts::{dependency, locate};
use crate::cli::chart::PackageArgs;
use crate::commands::{Context, Outcome};
use crate::diagnostic::Diagnostic;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

#[derive(Serialize)]
struct Packaged {
    chart: String,
    version: String,
    path: String,
}

pub(super) async fn package(args: &PackageArgs, context: &Context) -> CommandResult<Outcome> {
    if let Some(version) = &args.version
        && !helm::is_exact_version(version)
    {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!("`--version {version}` is not a semantic version"),
        )
        .hint("a chart needs three numbers without leading zeros, such as `2026.11.1` or `1.0.0-rc.1`"));
    }
    let mut packaged = Vec::new();
    for path in &args.paths {
        let one = one(path, args, context).await.map_err(|error| {
            if packaged.is_empty() {
                return error;
            }
            let done: Vec<&str> = packaged
                .iter()
                .map(|chart: &Packaged| chart.path.as_str())
                .collect();
            error.hint(format!("written before: {}", done.join(", ")))
        })?;
        packaged.push(one);
    }
    context.printer.emit_text(&packaged, |packaged| {
        packaged.iter().fold(String::new(), |text, chart| {
            text + "Successfully packaged chart and saved it to: " + &chart.path + "\n"
        })
    })?;
    Ok(Outcome::Success)
}

async fn one(path: &Path, args: &PackageArgs, context: &Context) -> CommandResult<Packaged> {
    if !path.is_dir() {
        return Err(
            CommandError::not_found(format!("there is no folder `{}`", path.display()))
                .hint("name the folder that holds `Chart.yaml`"),
        );
    }
    if args.dependency_update {
        let (places, task) = super::places(
            context,
            args.registry.plain_http,
            &path.display().to_string(),
        );
        let done = dependency::update(&places, path).await;
        task.finish();
        super::dependency::tell(&done?, context);
    }
    let mut chart = locate::load(path)?;
    for warning in chart.warnings() {
        context.printer.warning(warning.as_str());
    }
    let missing = chart.missing_dependencies();
    if !missing.is_empty() {
        return Err(not_vendored(path, &missing));
    }
    if let Some(version) = &args.version {
        chart = chart
            .with_version(version)
            .map_err(|error| cannot_load(path, &error))?;
    }
    if let Some(version) = &args.app_version {
        chart = chart.with_app_version(version);
    }
    let package = chart.package().map_err(|error| cannot_load(path, &error))?;
    fs_err::create_dir_all(&args.destination)?;
    let target = args.destination.join(&package.file_name);
    dependency::write(&target, &package.bytes)?;
    Ok(Packaged {
        chart: chart.name().to_owned(),
        version: chart.metadata().version.clone(),
        // as helm prints it: absolute when no folder was named
        path: if args.destination == Path::new(".") {
            std::path::absolute(&package.file_name).map_or(target, |absolute| absolute)
        } else {
            target
        }
        .display()
        .to_string(),
    })
}

/// Dependencies that `Chart.yaml` names and nobody vendored.
pub(super) fn not_vendored(path: &Path, missing: &[&str]) -> CommandError {
    let file = path.join("Chart.yaml");
    let text = fs_err::read_to_string(&file).unwrap_or_default();
    let place = crate::yaml::tree::Tree::parse(&file, &text)
        .ok()
        .and_then(|tree| {
            let entry = tree.get(["dependencies"])?.items().find(|entry| {
                entry.child("name").and_then(|name| name.text()) == missing.first().copied()
            })?;
            Some(entry.child("name")?.place())
        });
    let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    let finding = Diagnostic::error(format!(
        "the chart needs {}, which is not in `charts/`",
        names.join(", ")
    ))
    .at(place.unwrap_or_else(|| crate::diagnostic::Place::file(&file)))
    .hint(format!(
        "vendor it first: `ioc chart dependency build {}`",
        path.display()
    ));
    CommandError::from_diagnostic(ErrorKind::Input, finding)
}
