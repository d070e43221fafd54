//! `ioc alarm simulate`: values over time against a configuration, without any IOC.

use std::path::{Path, PathBuf};

use alarm::simulate::{self, Did, Event};
use serde::Serialize;

use crate::alarm::scenario::{self, Script};
use crate::cli::alarm::SimulateArgs;
use crate::cli::global::OutputFormat;
use crate::commands::alarm::config::{counted, show, usable};
use crate::commands::{Context, Outcome};
use crate::diagnostic::Diagnostic;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// What came of one scenario.
#[derive(Debug, Serialize)]
struct Played {
    scenario: PathBuf,
    configuration: PathBuf,
    /// How many items were looked at.
    expectations: usize,
    /// What was not as expected.
    differences: Vec<Diagnostic>,
    /// All that the alarm server did.
    events: Vec<Told>,
}

#[derive(Debug, Serialize)]
struct Told {
    /// Seconds since the start.
    at: f64,
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    text: String,
}

/// Runs the command.
///
/// # Errors
///
/// A scenario or a configuration with mistakes.
pub(crate) fn simulate(args: &SimulateArgs, context: &Context) -> CommandResult<Outcome> {
    let mut all = Vec::new();
    for path in &args.scenarios {
        all.push(play(path, context)?);
    }
    let is_as_expected = all.iter().all(|played| played.differences.is_empty());
    let printer = &context.printer;
    if printer.format() == OutputFormat::Table {
        for played in &all {
            for event in &played.events {
                let path = event.path.as_deref().unwrap_or_default();
                printer.detail(format!(
                    "{:>9.3} s  {:8} {path} {}",
                    event.at, event.what, event.text
                ));
            }
            show(&played.differences, context);
        }
    }
    printer.emit_text(&all, |all| all.iter().map(line).collect())?;
    Ok(if is_as_expected {
        Outcome::Success
    } else {
        Outcome::Negative
    })
}

fn play(path: &Path, context: &Context) -> CommandResult<Played> {
    let text = crate::text::read(path, scenario::LARGEST_FILE)?;
    let wrong = |finding: Diagnostic| CommandError::from_diagnostic(ErrorKind::Input, finding);
    let script = Script::parse(path, &text).map_err(|finding| wrong(*finding))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let configuration = folder.join(script.configuration());
    if !configuration.is_file() {
        let message = format!("there is no file `{}`", configuration.display());
        let finding = Diagnostic::error(message)
            .at(script.configuration_place())
            .hint("the path is relative to the folder of the scenario");
        return Err(wrong(finding));
    }
    let name = script.name().map(str::to_owned);
    let tree = usable(&configuration, name.as_deref(), None, context)?;
    let read = script.with(&tree).map_err(|mut findings| {
        if findings.len() == 1 {
            return wrong(findings.remove(0));
        }
        let message = format!("`{}` has {} mistakes", path.display(), findings.len());
        CommandError::from_diagnostics(ErrorKind::Input, message, findings)
    })?;
    let outcome = simulate::run(&read.scenario).map_err(|error| {
        CommandError::new(ErrorKind::Input, format!("the root is unusable: {error}"))
    })?;
    let differences = outcome.mismatches.iter().map(|mismatch| {
        let expectation = read.scenario.expectations.get(mismatch.expectation);
        let (at, item) = expectation.map_or_else(Default::default, |one| {
            (one.at.as_secs_f64(), one.path.to_string())
        });
        let finding = Diagnostic::error(format!(
            "at {at} s the {} of `{item}` is {}",
            mismatch.field, mismatch.found
        ))
        .expected(format!("expected {}", mismatch.expected));
        match read.places.get(mismatch.expectation) {
            Some(place) => finding.at(place.clone()),
            None => finding,
        }
    });
    Ok(Played {
        scenario: path.to_owned(),
        configuration,
        expectations: read.scenario.expectations.len(),
        differences: differences.collect(),
        events: outcome.events.iter().map(told).collect(),
    })
}

fn told(event: &Event) -> Told {
    let (what, path, text) = match &event.what {
        Did::Leaf(path, state) => {
            let text = format!(
                "{} {} (the PV: {} {})",
                state.alarm.severity.name(),
                state.alarm.message,
                state.current_severity.name(),
                state.current_message
            );
            ("state", Some(path), text)
        }
        Did::Group(path, severity) => ("group", Some(path), severity.name().to_owned()),
        Did::Talk(path, talk) => ("talk", Some(path), talk.words.clone()),
        Did::Config(path, _message) => ("config", Some(path), "written".to_owned()),
        Did::Act(act) => ("action", Some(&act.path), act.title.clone()),
        Did::Complained(text) => ("complaint", None, text.clone()),
        Did::Refused(refusal) => ("refused", None, refusal.to_string()),
    };
    Told {
        at: event.at.as_secs_f64(),
        what,
        path: path.map(ToString::to_string),
        text,
    }
}

fn line(played: &Played) -> String {
    let all = counted(played.expectations, "expectation");
    let result = match (played.expectations, played.differences.len()) {
        (0, _) => "nothing is expected".to_owned(),
        (1, 0) => format!("{all} holds"),
        (_, 0) => format!("{all} hold"),
        (_, different) => format!("{all}, {}", counted(different, "difference")),
    };
    format!("{}: {result}\n", played.scenario.display())
}
