//! `ioc chart lint`: what `helm lint` says, in its words; and keys that stand in a file twice, of which it says nothing.

use std::path::{Path, PathBuf};

use helm::{ChartError, LintMessage, LintOptions, LintSeverity};
use jiff::Zoned;
use serde::Serialize;

use crate::charts::error::cannot_load;
use crate::charts::unpack::unpack;
use crate::charts::values::{given, twice};
use crate::cli::chart::LintArgs;
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult};

#[derive(Serialize)]
struct Linted {
    path: String,
    failed: bool,
    messages: Vec<LintMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn lint(args: &LintArgs, context: &Context) -> CommandResult<Outcome> {
    let given = given(&args.values)?;
    for warning in &given.warnings {
        context.printer.diagnostic(warning);
    }
    let options = LintOptions {
        namespace: args.namespace.clone(),
        capabilities: super::capabilities(&args.capabilities, &[])?,
        skip_schema: args.skip_schema_validation,
        now: Zoned::now(),
    };
    let mut paths = args.paths.clone();
    if args.with_subcharts {
        for path in &args.paths {
            paths.extend(subcharts(path));
        }
    }
    let tolerated = if args.strict {
        LintSeverity::Info
    } else {
        LintSeverity::Warning
    };
    let mut linted = Vec::new();
    for path in &paths {
        let (messages, error) = match one(path, &given.value, &options, context) {
            Ok(messages) => (messages, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let failed = error.is_some() || messages.iter().any(|message| message.severity > tolerated);
        linted.push(Linted {
            path: path.display().to_string(),
            failed,
            messages,
            error,
        });
    }
    let quiet = context.printer.is_quiet();
    context
        .printer
        .emit_text(&linted, |linted| to_text(linted, quiet))?;
    if linted.iter().any(|chart| chart.failed) {
        return Ok(Outcome::Negative);
    }
    Ok(Outcome::Success)
}

/// The messages of one chart, or why there is none.
fn one(
    path: &Path,
    values: &helm::yaml::Value,
    options: &LintOptions,
    context: &Context,
) -> Result<Vec<LintMessage>, String> {
    let words = |error: &CommandError| match error.diagnostics() {
        [only] => only.message.clone(),
        _ => error.to_string(),
    };
    if !path.exists() {
        return Err(format!("there is no chart `{}`", path.display()));
    }
    let work;
    let folder: PathBuf = if path.is_dir() {
        path.to_owned()
    } else {
        let bytes = fs_err::read(path).map_err(|error| error.to_string())?;
        work = tempfile::tempdir().map_err(|error| error.to_string())?;
        unpack(&path.display().to_string(), &bytes, work.path()).map_err(|error| words(&error))?
    };
    for name in ["Chart.yaml", "values.yaml"] {
        let file = folder.join(name);
        if let Ok(text) = fs_err::read_to_string(&file)
            && let Some(finding) = twice(&path.join(name), &text)
        {
            context.printer.diagnostic(&finding);
        }
    }
    helm::lint(&folder, values, options).map_err(|error| match error {
        ChartError::NoChartFile(_) => format!(
            "unable to check Chart.yaml file in chart: there is no `{}`",
            path.join("Chart.yaml").display()
        ),
        other => words(&cannot_load(path, &other)),
    })
}

/// The text of `helm lint`.
fn to_text(linted: &[Linted], quiet: bool) -> String {
    let mut text = String::new();
    for chart in linted {
        let shown: Vec<&LintMessage> = chart
            .messages
            .iter()
            .filter(|message| !quiet || message.severity > LintSeverity::Info)
            .collect();
        if quiet && shown.is_empty() && chart.error.is_none() {
            continue;
        }
        text.push_str(&format!("==> Linting {}\n", chart.path));
        if let Some(error) = &chart.error {
            text.push_str(&format!("Error {error}\n"));
        }
        for message in shown {
            text.push_str(&format!("{message}\n"));
        }
        text.push('\n');
    }
    let failed = linted.iter().filter(|chart| chart.failed).count();
    if !quiet || !text.is_empty() {
        text.push_str(&format!(
            "{} chart(s) linted, {failed} chart(s) failed\n",
            linted.len()
        ));
    }
    text
}

/// The charts below `charts/` that are folders.
fn subcharts(path: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(path.join("charts"))
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name() == "Chart.yaml")
        .filter_map(|entry| entry.path().parent().map(Path::to_owned))
        .collect()
}
