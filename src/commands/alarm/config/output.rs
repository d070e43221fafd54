//! Configurations as the result of a command: to standard output or into a file, with what the format loses.

use std::path::Path;

use alarm::files::{Loss, TreeFile};

use crate::alarm::files::{self, Format};
use crate::commands::Context;
use crate::commands::alarm::config::counted;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Where a configuration goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Destination<'a> {
    /// How it is written.
    pub(super) format: Format,
    /// The file; standard output without.
    pub(super) file: Option<&'a Path>,
    /// Whether a file that is there is replaced.
    pub(super) force: bool,
    /// Whether nothing is written that is not all there is.
    pub(super) lossless: bool,
}

/// So many items that lost something are told one by one.
const MOST_LOSSES: usize = 20;

/// Writes a configuration and says what the format could not keep.
pub(super) fn write(
    tree: &TreeFile,
    destination: Destination<'_>,
    context: &Context,
) -> CommandResult<()> {
    let written = files::write(tree, destination.format)?;
    let name = destination.format.name();
    if !written.losses.is_empty() {
        let message = format!(
            "{name} cannot hold everything: {} {} something",
            counted(written.losses.len(), "item"),
            if written.losses.len() == 1 {
                "loses"
            } else {
                "lose"
            }
        );
        if destination.lossless {
            let error = CommandError::new(ErrorKind::Unsupported, message);
            return Err(error.caused_by(lines(&written.losses).join("\n").trim_start().to_owned()));
        }
        context.printer.warning(message);
        for line in lines(&written.losses) {
            context.printer.info(line);
        }
    }
    let Some(path) = destination.file else {
        return context.printer.data(&written.text);
    };
    if path.exists() && !destination.force {
        return Err(CommandError::new(
            ErrorKind::Conflict,
            format!("`{}` is there already", path.display()),
        )
        .hint("`--force` replaces it"));
    }
    // a reader sees the old file or the new one
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".ioc-")
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(|error| {
            CommandError::system(error, format!("failed to write `{}`", path.display()))
        })?;
    std::io::Write::write_all(&mut file, written.text.as_bytes())?;
    file.persist(path).map_err(|error| {
        CommandError::system(error.error, format!("failed to write `{}`", path.display()))
    })?;
    context.printer.info(format!(
        "wrote `{}`: {}",
        path.display(),
        counted(tree.pv_count(), "PV")
    ));
    Ok(())
}

fn lines(losses: &[Loss]) -> Vec<String> {
    let mut lines: Vec<String> = losses
        .iter()
        .take(MOST_LOSSES)
        .map(|loss| {
            if loss.fields.is_empty() {
                return format!("  {}: the whole item", loss.path);
            }
            let fields: Vec<String> = loss
                .fields
                .iter()
                .map(|field| {
                    format!(
                        "{} (`{}` became `{}`)",
                        field.field, field.before, field.after
                    )
                })
                .collect();
            format!("  {}: {}", loss.path, fields.join(", "))
        })
        .collect();
    if losses.len() > MOST_LOSSES {
        lines.push(format!("  … and {} more items", losses.len() - MOST_LOSSES));
    }
    lines
}

/// The format that is asked for, or that the name of the file says, or YAML.
pub(super) fn format(
    asked: Option<crate::cli::alarm::FileFormat>,
    file: Option<&Path>,
    context: &Context,
) -> Format {
    let of_output = || match context.printer.format() {
        crate::cli::global::OutputFormat::Json => Format::Json,
        _ => Format::Yaml,
    };
    asked
        .map(Format::from)
        .or_else(|| file.and_then(Format::of))
        .unwrap_or_else(of_output)
}
