//! `ioc autosave show`: PVs and values of one file.

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::autosave::ShowArgs;
use crate::commands::{Context, Outcome};
use crate::fleet::autosave::saved_file::{SavedFile, SavedValue};
use crate::ui::error::CommandResult;
use crate::ui::table::Table;

/// A file as programs see it.
#[derive(Debug, Serialize)]
struct Shown {
    file: String,
    modified: Timestamp,
    complete: bool,
    not_connected: Vec<String>,
    values: Vec<SavedValue>,
}

/// Prints it. What an IOC would make of the file stands behind it as a warning.
///
/// # Errors
///
/// There is no such file, or it cannot be read.
pub(crate) async fn show(args: &ShowArgs, context: &Context) -> CommandResult<Outcome> {
    let entry = super::file(&args.instance, &args.file, &args.place, context).await?;
    let saved = SavedFile::of_bytes(super::bytes(&entry)?);
    let shown = Shown {
        file: entry.name,
        modified: entry.modified,
        complete: saved.is_complete,
        not_connected: saved.not_connected,
        values: saved.values,
    };
    context.printer.emit(&shown, |shown| {
        let mut table = Table::new(["PV", "VALUE"]);
        for one in &shown.values {
            table.row([printable(&one.pv), printable(&one.value.to_string())]);
        }
        table
    })?;
    if !shown.complete {
        context.printer.warning(format!(
            "`{}` was not written to its end: an IOC does not restore it",
            shown.file
        ));
    }
    if !shown.not_connected.is_empty() {
        context.printer.warning(format!(
            "not connected when it was written, so without a value: {}",
            shown.not_connected.join(", ")
        ));
    }
    Ok(Outcome::Success)
}

/// What an IOC wrote does not reach the terminal as a control sequence.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}
