//! Where output goes: data to standard output in the chosen format, everything else to standard error.

use std::io::IsTerminal;

use serde::Serialize;

use crate::cli::global::{ColorChoice, GlobalArgs, OutputFormat};
use crate::diagnostic::Diagnostic;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::progress::Progress;
use crate::ui::table::Table;
use crate::ui::{snippet, write_document, write_stderr, write_stdout};

/// The one way to the terminal.
#[derive(Debug, Clone)]
pub struct Printer {
    format: OutputFormat,
    quiet: bool,
    verbose: u8,
    progress: Progress,
}

impl Printer {
    /// Decides format, colour and verbosity once for the whole command.
    pub fn new(global: &GlobalArgs) -> Self {
        match global.color {
            // anstream looks at NO_COLOR, CLICOLOR_FORCE, TERM and whether a terminal is there
            ColorChoice::Auto => {}
            ColorChoice::Always => anstream::ColorChoice::Always.write_global(),
            ColorChoice::Never => anstream::ColorChoice::Never.write_global(),
        }
        let quiet = global.quiet;
        Self {
            format: global.output,
            quiet,
            verbose: global.verbose,
            progress: Progress::new(!quiet && std::io::stderr().is_terminal()),
        }
    }

    /// The format that was asked for.
    pub fn format(&self) -> OutputFormat {
        self.format
    }

    /// Whether `-q` was given.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// How often `-v` was given.
    pub fn verbosity(&self) -> u8 {
        self.verbose
    }

    /// Progress lines of this command.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Text to standard output as it is.
    pub fn data(&self, text: &str) -> CommandResult<()> {
        let mut result = Ok(());
        self.progress.suspend(|| result = write_stdout(text));
        Ok(result?)
    }

    /// A document to standard output, byte by byte: what looks like a colour in it stays.
    pub fn document(&self, text: &str) -> CommandResult<()> {
        let mut result = Ok(());
        self.progress.suspend(|| result = write_document(text));
        Ok(result?)
    }

    /// A value in the chosen format: `table` draws it for people, JSON and YAML come from the value itself.
    pub fn emit<T: Serialize + ?Sized>(
        &self,
        value: &T,
        table: impl FnOnce(&T) -> Table,
    ) -> CommandResult<()> {
        self.emit_text(value, |value| table(value).render())
    }

    /// Like [`Self::emit`] for values that people see as text other than a table.
    pub fn emit_text<T: Serialize + ?Sized>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> CommandResult<()> {
        let text = match self.format {
            OutputFormat::Table => text(value),
            OutputFormat::Json => {
                let mut text = serde_json::to_string_pretty(value).map_err(not_written)?;
                text.push('\n');
                text
            }
            OutputFormat::Yaml => crate::yaml::to_string(value).map_err(not_written)?,
        };
        self.data(&text)
    }

    /// One of many values, as they come: `text` for people, one line of JSON, or one entry of a YAML list.
    pub fn emit_one<T: Serialize + ?Sized>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> CommandResult<()> {
        let line = match self.format {
            OutputFormat::Table => text(value),
            OutputFormat::Json => {
                let json = serde_json::to_string(value).map_err(not_written)?;
                format!("{json}\n")
            }
            OutputFormat::Yaml => {
                let json = serde_json::to_string(value).map_err(not_written)?;
                format!("- {json}\n")
            }
        };
        self.data(&line)
    }

    /// What was done, one line; not shown with `--quiet`.
    pub fn info(&self, message: impl AsRef<str>) {
        if !self.quiet {
            self.stderr(&format!("{}\n", message.as_ref()));
        }
    }

    /// Details, only with `-v`.
    pub fn detail(&self, message: impl AsRef<str>) {
        if self.verbose > 0 && !self.quiet {
            self.stderr(&format!("{}\n", message.as_ref()));
        }
    }

    /// Something is probably not as meant.
    pub fn warning(&self, message: impl Into<String>) {
        self.diagnostic(&Diagnostic::warning(message));
    }

    /// One thing to do next.
    pub fn hint(&self, message: impl AsRef<str>) {
        if !self.quiet {
            self.stderr(&format!("hint: {}\n", message.as_ref()));
        }
    }

    /// A finding with its source line.
    pub fn diagnostic(&self, diagnostic: &Diagnostic) {
        self.stderr(&snippet::render(diagnostic));
    }

    /// The end of a program's output, set apart from our own words; shown before an error even with `--quiet`.
    pub fn excerpt(&self, title: &str, lines: &[String]) {
        let mut text = format!("{}:\n", snippet::printable(title));
        for line in lines {
            text.push_str(&format!("  | {}\n", snippet::printable(line)));
        }
        self.stderr(&text);
    }

    /// A question; the cursor stays behind it.
    pub fn prompt(&self, question: &str) {
        self.stderr(question);
    }

    /// Why the command failed.
    pub fn error(&self, error: &CommandError) {
        if error.kind() == ErrorKind::BrokenPipe {
            return;
        }
        if self.format == OutputFormat::Json && error.kind() != ErrorKind::Negative {
            self.error_as_json(error);
            return;
        }
        for diagnostic in error.diagnostics() {
            self.diagnostic(diagnostic);
        }
        let only_a_diagnostic =
            matches!(error.diagnostics(), [only] if only.message == error.to_string());
        let mut text = String::new();
        if !only_a_diagnostic {
            text = snippet::render(&Diagnostic::error(error.to_string()));
        }
        for cause in error.causes() {
            // a cause of several lines stays one block
            let cause = cause.trim_end().replace('\n', "\n         ");
            text.push_str(&format!("  cause: {cause}\n"));
        }
        for hint in error.hints() {
            text.push_str(&format!("hint: {hint}\n"));
        }
        self.stderr(&text);
    }

    /// The same for programs that read our output: one JSON object on standard error.
    fn error_as_json(&self, error: &CommandError) {
        let value = serde_json::json!({
            "error": {
                "kind": error.kind(),
                "exit_code": error.kind().code(),
                "message": error.to_string(),
                "causes": error.causes(),
                "diagnostics": error.diagnostics(),
                "hints": error.hints(),
            }
        });
        self.stderr(&format!("{value:#}\n"));
    }

    fn stderr(&self, text: &str) {
        self.progress.suspend(|| write_stderr(text));
    }
}

fn not_written(error: impl std::error::Error + Send + Sync + 'static) -> CommandError {
    CommandError::new(ErrorKind::Internal, "failed to write the result").caused_by(error)
}
