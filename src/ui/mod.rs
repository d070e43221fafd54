//! The terminal: the only module that writes to it.
//!
//! Data goes to standard output in the format that was asked for, everything else to standard error.

pub mod confirm;
pub mod error;
pub mod log;
pub mod printer;
pub mod progress;
pub mod snippet;
pub mod table;
pub mod terminal;

use std::io::Write;
use std::process::ExitCode;

use crate::ui::error::ErrorKind;

/// Prints what clap has to say: help and version to standard output with success, a usage error to
/// standard error with the exit code for usage errors.
pub fn usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    if error.use_stderr() {
        return ErrorKind::Usage.exit_code();
    }
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(_closed) => ErrorKind::BrokenPipe.exit_code(),
    }
}

/// Writes to standard output and tells whether a reader is still there.
pub(crate) fn write_stdout(text: &str) -> std::io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// As [`write_stdout`], without a look at the text.
pub(crate) fn write_document(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes to standard error; a closed standard error leaves nobody to tell.
pub(crate) fn write_stderr(text: &str) {
    let mut stderr = anstream::stderr().lock();
    let _nobody_left_to_tell = stderr
        .write_all(text.as_bytes())
        .and_then(|()| stderr.flush());
}
