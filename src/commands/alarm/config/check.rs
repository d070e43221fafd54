//! `ioc alarm config check`: what is wrong with alarm configurations.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alarm::config::Enabled;
use alarm::files::{Compatibility, Finding, Level, Origin, Reading, TreeFile};
use alarm::wire::config::write_date;
use jiff::civil::DateTime;
use serde::Serialize;

use crate::alarm::live::{self, Answer};
use crate::alarm::{annotations, files};
use crate::cli::alarm::{CheckArgs, ReportFormat, ServerKind};
use crate::cli::global::OutputFormat;
use crate::commands::alarm::config::{counted, show, wrong_root};
use crate::commands::{Context, Outcome};
use crate::diagnostic::{Diagnostic, Severity};
use crate::ui::error::{CommandError, CommandResult};

/// What one file came to.
#[derive(Debug, Serialize)]
struct Checked {
    file: PathBuf,
    configuration: Option<String>,
    groups: usize,
    /// One that stands in several groups counts as often.
    pvs: usize,
    findings: Vec<Diagnostic>,
    /// What the PVs themselves say, if they were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<Vec<Answer>>,
}

/// What all of them came to.
#[derive(Debug, Serialize)]
struct Report {
    files: Vec<Checked>,
    errors: usize,
    warnings: usize,
}

/// Runs the command.
///
/// # Errors
///
/// A file that does not exist or whose name says no format. What is wrong in a file is a finding.
pub(crate) async fn check(args: &CheckArgs, context: &Context) -> CommandResult<Outcome> {
    let now = jiff::Zoned::now().datetime();
    let mut read = Vec::new();
    for path in expanded(&args.files)? {
        let name = args
            .config
            .as_ref()
            .or(context.settings.alarm.config.as_ref());
        let reading = files::read(&path, name.map(String::as_str))?;
        read.push((path, reading));
    }
    leave_out_included(&mut read, &args.files);
    let mut checked = Vec::new();
    for (path, reading) in read {
        checked.push(look(&path, reading, args, now, context).await);
    }
    let count = |severity: Severity| {
        let findings = checked.iter().flat_map(|one| &one.findings);
        findings.filter(|one| one.severity == severity).count()
    };
    let report = Report {
        errors: count(Severity::Error),
        warnings: count(Severity::Warning),
        files: checked,
    };
    let limit = if args.strict {
        Severity::Warning
    } else {
        Severity::Error
    };
    tell(&report, args.format, limit, context)?;
    let is_clean = report
        .files
        .iter()
        .flat_map(|one| &one.findings)
        .all(|finding| finding.severity < limit);
    Ok(if is_clean {
        Outcome::Success
    } else {
        Outcome::Negative
    })
}

/// Files as they are, and those of folders.
fn expanded(named: &[PathBuf]) -> CommandResult<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for path in named {
        if !path.is_dir() {
            paths.push(path.clone());
            continue;
        }
        let inside = files::in_folder(path)?;
        if inside.is_empty() {
            return Err(CommandError::not_found(format!(
                "`{}` has no alarm configuration: no `.csv`, `.xml`, `.yaml` or `.json`",
                path.display()
            )));
        }
        paths.extend(inside);
    }
    Ok(paths)
}

/// Files of folders that others include are parts, and checked with them; scenarios are no configurations.
fn leave_out_included(read: &mut Vec<(PathBuf, Reading)>, named: &[PathBuf]) {
    let included: BTreeSet<PathBuf> = read
        .iter()
        .flat_map(|(_path, reading)| reading.sources.iter().skip(1))
        .map(|source| source.path.clone())
        .collect();
    let is_scenario = |reading: &Reading| {
        let text = reading.sources.first().map_or("", |source| &source.text);
        text.lines().any(|line| line.starts_with("steps:"))
    };
    read.retain(|(path, reading)| {
        named.contains(path) || !(included.contains(path) || is_scenario(reading))
    });
}

async fn look(
    path: &Path,
    reading: Reading,
    args: &CheckArgs,
    now: DateTime,
    context: &Context,
) -> Checked {
    let compatibility = match args.server_compat {
        ServerKind::Ioc => Compatibility::Ours,
        ServerKind::Phoebus => Compatibility::Phoebus,
    };
    let mut findings = reading.findings;
    let mut checked = Checked {
        file: path.to_owned(),
        configuration: None,
        groups: 0,
        pvs: 0,
        findings: Vec::new(),
        live: None,
    };
    let mut root = None;
    if let Some(tree) = &reading.tree {
        findings.extend(tree.check(compatibility));
        findings.extend(dates_that_have_passed(tree, now));
        let items = tree.items().len().saturating_sub(1);
        checked.configuration = Some(tree.name.clone());
        checked.pvs = tree.pv_count();
        checked.groups = items.saturating_sub(checked.pvs);
        if args.live {
            let _task = context
                .printer
                .progress()
                .task(&format!("asking the PVs of {}", path.display()));
            let time = Duration::from_secs(args.timeout);
            let variables = &context.settings.channel_access;
            let configuration = ca::Configuration::from_environment(variables);
            let answers = live::ask(tree, configuration, time).await;
            findings.extend(live::findings(tree, &answers, time));
            checked.live = Some(answers.into_values().collect());
        }
        if checked.pvs == 0 && findings.iter().all(|finding| finding.level < Level::Error) {
            let finding = Finding::warning(tree.origin.clone(), "there is no PV in it");
            findings.push(finding);
        }
        if args.config.as_ref().is_some_and(|name| *name != tree.name) {
            root = Some((tree.name.clone(), tree.origin.clone()));
        }
    }
    findings.sort_by_key(|finding| (finding.origin.file, finding.origin.span.start));
    checked.findings = files::diagnostics(&reading.sources, &findings);
    if let (Some((name, origin)), Some(wanted)) = (root, &args.config) {
        let place = place_of(&reading.sources, origin);
        checked.findings.push(wrong_root(&name, wanted, place));
    }
    checked
}

fn place_of(sources: &[alarm::files::Source], origin: Origin) -> Option<crate::diagnostic::Place> {
    let finding = Finding::error(origin, "");
    files::diagnostics(sources, &[finding]).pop()?.place
}

fn dates_that_have_passed(tree: &TreeFile, now: DateTime) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, origin, config) in tree.pvs() {
        if let Enabled::Until(date) = config.enabled
            && date <= now
        {
            findings.push(
                Finding::warning(
                    origin.clone(),
                    format!(
                        "`{}` is enabled: {}, until which it was not, has passed",
                        path.name(),
                        write_date(date)
                    ),
                )
                .hint("take the date out"),
            );
        }
    }
    findings
}

fn tell(
    report: &Report,
    format: ReportFormat,
    limit: Severity,
    context: &Context,
) -> CommandResult<()> {
    let printer = &context.printer;
    let findings: Vec<&Diagnostic> = report.files.iter().flat_map(|one| &one.findings).collect();
    match format {
        ReportFormat::Text => {}
        ReportFormat::Github => return printer.data(&annotations::github(&findings)),
        ReportFormat::Gitlab => {
            return printer.data(&format!("{:#}\n", annotations::gitlab(&findings)));
        }
        ReportFormat::Junit => {
            let cases = report.files.iter().map(|one| annotations::Case {
                name: one.file.display().to_string(),
                findings: &one.findings,
            });
            let cases: Vec<_> = cases.collect();
            return printer.data(&annotations::junit(&cases, limit));
        }
    }
    if printer.format() == OutputFormat::Table {
        for one in &report.files {
            show(&one.findings, context);
        }
    }
    printer.emit_text(report, |report| report.files.iter().map(line).collect())
}

fn line(checked: &Checked) -> String {
    let count = |severity: Severity| {
        let findings = checked.findings.iter();
        findings.filter(|one| one.severity == severity).count()
    };
    let found: Vec<String> = [(Severity::Error, "error"), (Severity::Warning, "warning")]
        .into_iter()
        .map(|(severity, what)| (count(severity), what))
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| counted(count, what))
        .collect();
    let found = if found.is_empty() {
        "no findings".to_owned()
    } else {
        found.join(", ")
    };
    let what = match &checked.configuration {
        Some(name) => format!(
            "`{name}`, {}, {}",
            counted(checked.groups, "group"),
            counted(checked.pvs, "PV")
        ),
        None => "no configuration".to_owned(),
    };
    let live = checked.live.as_ref().map_or_else(String::new, |answers| {
        let there = answers.iter().filter(|answer| answer.server.is_some());
        format!(
            ", {} of {} answered",
            there.count(),
            counted(answers.len(), "channel")
        )
    });
    format!("{}: {what}{live}: {found}\n", checked.file.display())
}
