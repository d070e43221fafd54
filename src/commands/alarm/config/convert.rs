//! `ioc alarm config convert`: one format into another.

use std::path::Path;

use clap::ValueEnum;

use crate::alarm::files::Format;
use crate::cli::alarm::{ConvertArgs, FileFormat};
use crate::commands::alarm::config::output::{self, Destination};
use crate::commands::alarm::config::{usable, wrong_root};
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Runs the command.
///
/// # Errors
///
/// A file with mistakes, a destination that is there, a format that cannot hold everything with `--lossless`.
pub(crate) fn convert(args: &ConvertArgs, context: &Context) -> CommandResult<Outcome> {
    let (format, file) = destination(&args.to)?;
    let tree = usable(&args.file, args.config.as_deref(), context)?;
    if let Some(wanted) = args.config.as_ref().filter(|wanted| **wanted != tree.name) {
        let finding = wrong_root(&tree.name, wanted, None).in_file(&args.file);
        return Err(CommandError::from_diagnostic(ErrorKind::Input, finding));
    }
    let destination = Destination {
        format,
        file,
        force: args.force,
        lossless: args.lossless,
    };
    output::write(&tree, destination, context)?;
    Ok(Outcome::Success)
}

/// A format, or a file whose name says one.
fn destination(to: &str) -> CommandResult<(Format, Option<&Path>)> {
    if let Ok(format) = FileFormat::from_str(to, true) {
        return Ok((format.into(), None));
    }
    let path = Path::new(to);
    let format = Format::of(path).ok_or_else(|| {
        CommandError::new(
            ErrorKind::Usage,
            format!("`{to}` is neither a format nor a file whose name says one"),
        )
        .hint(
            "`--to xml`, `--to csv`, `--to yaml`, `--to json`, or a file such as `--to alarms.xml`",
        )
    })?;
    Ok((format, Some(path)))
}
