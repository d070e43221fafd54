//! `ioc autosave ls`: the files of saved settings of an instance.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::cli::autosave::LsArgs;
use crate::commands::{Context, Outcome};
use crate::fleet::autosave::{Entry, restored_name};
use crate::ui::error::CommandResult;
use crate::ui::table::Table;

/// A file as it is listed.
#[derive(Debug, Serialize)]
struct Listed {
    file: String,
    /// Bytes.
    size: u64,
    modified: Timestamp,
    /// How many PVs it has a value of; `None` for a file that is not one of saved settings.
    pvs: Option<usize>,
    /// Whether it was written to its end.
    complete: Option<bool>,
    /// PVs that were not connected when it was written.
    not_connected: Vec<String>,
    /// The file that an IOC restores, where this one is a copy of it or it itself.
    restored_as: Option<String>,
}

/// Lists them.
///
/// # Errors
///
/// The instance is not deployed, or its folder cannot be read.
pub(crate) async fn ls(args: &LsArgs, context: &Context) -> CommandResult<Outcome> {
    let files = super::files(&args.instance, None, &args.place, context).await?;
    let listed: Vec<Listed> = files.into_iter().map(listed).collect();
    context.printer.emit(&listed, |listed| table(listed))?;
    if listed.is_empty() {
        context
            .printer
            .info(format!("`{}` has no saved settings yet", args.instance));
    }
    Ok(Outcome::Success)
}

fn listed(entry: Entry) -> Listed {
    let restored_as = restored_name(&entry.name);
    let saved = restored_as.as_ref().and_then(|_| entry.saved());
    Listed {
        pvs: saved.as_ref().map(|file| file.values.len()),
        complete: saved.as_ref().map(|file| file.is_complete),
        not_connected: saved.map(|file| file.not_connected).unwrap_or_default(),
        restored_as,
        file: entry.name,
        size: entry.size,
        modified: entry.modified,
    }
}

fn table(listed: &[Listed]) -> Table {
    let header = ["FILE", "SIZE", "MODIFIED", "PVS", "COMPLETE"];
    let mut table = Table::new(header).align_right(1).align_right(3);
    for file in listed {
        let modified = file.modified.to_zoned(TimeZone::system());
        let complete = match file.complete {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        table.row([
            file.file.clone(),
            file.size.to_string(),
            modified.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            file.pvs.map(|count| count.to_string()).unwrap_or_default(),
            complete.to_owned(),
        ]);
    }
    table
}
