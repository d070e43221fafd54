//! The `ioc` command-line tool as a library, so that the tests reach its parts.
//!
//! Three flows, each one direction: *build* (`image`, `source`), *deploy* (`services`, `fleet`) and, later,
//! *alarm*. `cli` holds clap types only, `settings` resolves flags, environment and files once, `commands`
//! does the work of one verb per file, and `ui` is the only writer to the terminal.
//!
//! **Architecture invariant:** only `commands` and `ui` reach the terminal. The modules below them take
//! values and return values; what they have to tell goes through [`diagnostic::Diagnostic`], an error, or a
//! progress trait that the caller implements.

pub mod alarm;
pub mod charts;
pub mod check;
pub mod cli;
pub mod commands;
pub mod diagnostic;
pub mod engine;
pub mod fleet;
pub mod image;
pub mod project;
pub mod registry;
pub mod release;
pub mod services;
pub mod settings;
pub mod source;
pub mod text;
pub mod ui;
pub mod versions;
pub mod yaml;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::Cli;
use crate::ui::printer::Printer;

/// Runs one command line and returns the exit code of the process.
///
/// `args` is the whole command line, program name first. Exit codes are those of
/// [`ui::error::ErrorKind::exit_code`].
pub fn run<I>(args: I) -> ExitCode
where
    I: IntoIterator<Item = OsString>,
{
    // the one TLS provider, for every client that this process makes
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    // With COMPLETE set in the environment the shell asks for completions; this prints them and ends.
    clap_complete::CompleteEnv::with_factory(Cli::command).complete();
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return ui::usage(&error),
    };
    let printer = Printer::new(&cli.global);
    match commands::dispatch(cli, &printer) {
        Ok(outcome) => outcome.exit_code(),
        Err(error) => {
            printer.error(&error);
            error.kind().exit_code()
        }
    }
}
