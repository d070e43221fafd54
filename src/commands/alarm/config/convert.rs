//! `ioc alarm config convert`: one format into another.

use std::path::Path;

use clap::ValueEnum;

use crate::alarm::files::Format;
use crate::cli::alarm::{ConvertArgs, FileFormat};
use crate::commands::alarm::config::output::{self, Destination};
use crate::commands::alarm::config::usable;
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Runs the command.
///
/// # Errors
///
/// A file with mistakes, a destination that is there, a format that cannot hold everything with `--lossless`.
pub(crate) fn convert(args: &ConvertArgs, context: &Context) -> CommandResult<Outcome> {
    let (format, file) = destination(&args.to)?;
    let wanted = args.config.as_deref();
    let tree = usable(&args.file, wanted, wanted, context)?;
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
