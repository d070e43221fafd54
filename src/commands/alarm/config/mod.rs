//! `ioc alarm config`: one file per verb, and what several of them need.

pub(super) mod apply;
pub(super) mod check;
pub(super) mod convert;
pub(super) mod diff;
mod difference;
pub(super) mod export;
pub(super) mod follow;
pub(super) mod generate;
mod output;
mod publish;

use std::path::Path;

use alarm::files::{Compatibility, Level, Reading, TreeFile};

use crate::alarm::files;
use crate::commands::Context;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// So many findings of one file are shown to people; after that only how many more there are.
const MOST_SHOWN: usize = 100;

/// Reads a configuration that has to be without errors; warnings are shown. `name` is that of the root of a table,
/// `wanted` the one that any root must have.
pub(super) fn usable(
    path: &Path,
    name: Option<&str>,
    wanted: Option<&str>,
    context: &Context,
) -> CommandResult<TreeFile> {
    let (tree, warnings) = judge(path, files::read(path, name)?, wanted)?;
    show(&warnings, context);
    Ok(tree)
}

/// The configuration that was read, if it is without errors, and its warnings.
pub(super) fn judge(
    path: &Path,
    reading: Reading,
    wanted: Option<&str>,
) -> CommandResult<(TreeFile, Vec<Diagnostic>)> {
    let mut findings = reading.findings.clone();
    if let Some(tree) = &reading.tree {
        findings.extend(tree.check(Compatibility::Ours));
    }
    let is_wrong = findings.iter().any(|finding| finding.level >= Level::Error);
    let mut diagnostics = files::diagnostics(&reading.sources, &findings);
    match reading.tree {
        Some(tree) if !is_wrong => {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != tree.name) {
                let root = alarm::files::Finding::error(tree.origin.clone(), "");
                let place = files::diagnostics(&reading.sources, &[root]).pop();
                let place = place.and_then(|root| root.place);
                let finding = wrong_root(&tree.name, wanted, place);
                return Err(CommandError::from_diagnostic(ErrorKind::Input, finding));
            }
            Ok((tree, diagnostics))
        }
        _ => {
            diagnostics.retain(|one| one.severity == Severity::Error);
            let count = diagnostics.len();
            if count == 1 {
                return Err(CommandError::from_diagnostic(
                    ErrorKind::Input,
                    diagnostics.remove(0),
                ));
            }
            diagnostics.truncate(MOST_SHOWN);
            Err(CommandError::from_diagnostics(
                ErrorKind::Input,
                format!("`{}` has {count} mistakes", path.display()),
                diagnostics,
            ))
        }
    }
}

/// Shows findings, as many as anybody reads.
pub(super) fn show(findings: &[Diagnostic], context: &Context) {
    for finding in findings.iter().take(MOST_SHOWN) {
        context.printer.diagnostic(finding);
    }
    if let Some(more) = findings
        .len()
        .checked_sub(MOST_SHOWN)
        .filter(|more| *more > 0)
    {
        context.printer.info(format!("… and {more} more findings"));
    }
}

/// The finding that the root of a file has another name than the one that was asked for.
fn wrong_root(name: &str, wanted: &str, place: Option<Place>) -> Diagnostic {
    let finding = Diagnostic::error(format!(
        "the root is `{name}`, not `{wanted}`, which `--config` asks for"
    ))
    .hint("is this the right file? without `--config` the name in the file counts");
    match place {
        Some(place) => finding.at(place),
        None => finding,
    }
}

pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
