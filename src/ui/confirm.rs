//! Asking before acting.

use std::io::{BufRead, IsTerminal};

use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::printer::Printer;

/// Asks `question`, which ends without a question mark; only `y` or `yes` goes on.
///
/// # Errors
///
/// Without a terminal to ask on this is a usage error that names `--yes`; any other answer than yes ends
/// the command as interrupted with nothing done.
pub fn confirm(printer: &Printer, question: &str) -> CommandResult<()> {
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::new(
            ErrorKind::Usage,
            "this needs a confirmation and standard input is not a terminal",
        )
        .hint("add `--yes` to go on without asking"));
    }
    printer.prompt(&format!("{question}? [y/N] "));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(CommandError::new(
            ErrorKind::Interrupted,
            "not confirmed, nothing was changed",
        ))
    }
}
