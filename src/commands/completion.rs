//! `ioc completion SHELL`: the script that makes a shell ask us for completions.

use clap_complete::env::Shells;

use crate::cli::complete::CompletionArgs;
use crate::commands::Outcome;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::printer::Printer;

/// Prints the registration script; the shell then calls `ioc` itself, which knows instance and image names.
///
/// # Errors
///
/// Only when the script cannot be written.
pub(crate) fn completion(args: &CompletionArgs, printer: &Printer) -> CommandResult<Outcome> {
    let shells = Shells::builtins();
    let shell = shells.completer(args.shell.name()).ok_or_else(|| {
        CommandError::new(
            ErrorKind::Internal,
            format!("no completion for `{}`", args.shell.name()),
        )
    })?;
    let mut script = Vec::new();
    shell.write_registration("COMPLETE", "ioc", "ioc", "ioc", &mut script)?;
    printer.data(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Success)
}
