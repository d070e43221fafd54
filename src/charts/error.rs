//! Why a chart could not be had, with the place where that can be said.

use std::path::{Path, PathBuf};

use helm::ChartError;

use crate::diagnostic::{Diagnostic, Place};
use crate::ui::error::{CommandError, ErrorKind};

/// A chart that cannot be loaded, as an error of the command. `path` is where it was asked for; `folder` says that
/// its files can be shown.
pub fn cannot_load(path: &Path, error: &ChartError) -> CommandError {
    let kind = match error {
        ChartError::Io(cause) if cause.kind() != std::io::ErrorKind::InvalidData => {
            ErrorKind::System
        }
        _ => ErrorKind::Input,
    };
    let finding = finding(path, error);
    CommandError::from_diagnostic(kind, finding)
}

fn finding(path: &Path, error: &ChartError) -> Diagnostic {
    let finding = match error {
        ChartError::NoChartFile(_) => Diagnostic::error(format!(
            "`{}` is not a chart: it has no `Chart.yaml`",
            path.display()
        ))
        .in_file(path)
        .hint("name the folder that holds `Chart.yaml`, or a `.tgz` of one"),
        ChartError::Yaml { file, source } => {
            let inside = path.join(file);
            let text = fs_err::read_to_string(&inside).unwrap_or_default();
            let place = match source.line {
                0 => Place::file(&inside),
                line => Place::in_text(&inside, &text, line, source.column, 1),
            };
            Diagnostic::error(source.message.clone()).at(place)
        }
        ChartError::Metadata { file, problem } => {
            Diagnostic::error(problem.clone()).in_file(&path.join(file))
        }
        ChartError::Dependency { name, source, .. } => {
            let below = finding_below(path, name);
            finding_in_words(&format!("dependency `{name}`: {}", chain(source))).in_file(&below)
        }
        ChartError::ArchivePath(entry) => Diagnostic::error(format!(
            "the archive has an entry that leads out of the chart: `{}`",
            printable(entry)
        ))
        .in_file(path)
        .hint("nothing was unpacked; do not use this archive"),
        ChartError::Archive(why) => {
            Diagnostic::error(format!("it is not the archive of a chart: {why}"))
                .in_file(path)
                .hint("`ioc chart package` makes one of a folder")
        }
        ChartError::TooLarge(limit) => Diagnostic::error(format!(
            "the chart is larger than allowed: more than {limit}"
        ))
        .in_file(path)
        .hint("nothing was unpacked; `.helmignore` keeps files of a folder out of the chart"),
        other => finding_in_words(&chain(other)).in_file(path),
    };
    match error.hint() {
        Some(hint) if finding.hint.is_none() => finding.hint(hint),
        _ => finding,
    }
}

fn finding_in_words(message: &str) -> Diagnostic {
    Diagnostic::error(message)
}

/// A vendored chart is a file that can be named; one inside an archive is not.
fn finding_below(path: &Path, name: &str) -> PathBuf {
    let below = path.join("charts").join(name);
    if below.exists() {
        below
    } else {
        path.to_owned()
    }
}

/// An error with what is below it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(below) = next {
        let words = below.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = below.source();
    }
    text
}

fn printable(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(200)
        .collect()
}
