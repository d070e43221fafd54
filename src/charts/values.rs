//! Values given for the templates of a chart: files, then each kind of `--set` in the order of Helm.

use std::io::Read as _;
use std::path::Path;

use helm::yaml::Value;
use helm::{Values, ValuesError};

use crate::cli::chart::ChartValueArgs;
use crate::diagnostic::{Diagnostic, Place};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Largest values file that is read, in bytes.
const LARGEST: usize = 4 * 1024 * 1024;

/// Values, and what is odd about the files that they come from.
#[derive(Debug, Clone)]
pub struct Given {
    /// The merged values.
    pub value: Value,
    /// Keys that occur twice in a file, of which Helm silently takes the last.
    pub warnings: Vec<Diagnostic>,
}

/// One of the `--set` options.
type Set = fn(Values, &str) -> Result<Values, ValuesError>;

/// The values of a command line.
///
/// # Errors
///
/// A file that is not there or is no YAML, with its place; a `--set` that cannot be read.
pub fn given(args: &ChartValueArgs) -> CommandResult<Given> {
    let mut values = Values::new();
    let mut warnings = Vec::new();
    for path in &args.files {
        if path.as_os_str() == "-" {
            let name = Path::new("standard input");
            let text = standard_input()?;
            warnings.extend(twice(name, &text));
            values = values
                .file("-", &text)
                .map_err(|error| in_file(name, &text, error))?;
            continue;
        }
        if !path.exists() {
            return Err(
                CommandError::not_found(format!("there is no file `{}`", path.display()))
                    .hint("`--values` names a file of values, relative to the current folder"),
            );
        }
        let text = crate::text::read(path, LARGEST)?;
        warnings.extend(twice(path, &text));
        values = values
            .file(&path.display().to_string(), &text)
            .map_err(|error| in_file(path, &text, error))?;
    }
    let before: [(&[String], Set); 3] = [
        (&args.sets.set_json, Values::set_json),
        (&args.sets.set, Values::set),
        (&args.sets.set_string, Values::set_string),
    ];
    for (expressions, set) in before {
        for expression in expressions {
            values = set(values, expression).map_err(|error| in_option(&error, expression))?;
        }
    }
    for expression in &args.set_file {
        let read = |path: &str| fs_err::read_to_string(path).map_err(|error| error.to_string());
        values = values
            .set_file(expression, read)
            .map_err(|error| in_option(&error, expression))?;
    }
    for expression in &args.set_literal {
        values = values
            .set_literal(expression)
            .map_err(|error| in_option(&error, expression))?;
    }
    Ok(Given {
        value: values.into_value(),
        warnings,
    })
}

/// All of standard input; nothing the second time.
fn standard_input() -> CommandResult<String> {
    let mut text = String::new();
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX);
    let read = std::io::stdin()
        .lock()
        .take(most + 1)
        .read_to_string(&mut text);
    let why = match read {
        Ok(_) if text.len() <= LARGEST => return Ok(text),
        Ok(_) => format!("more than {LARGEST} bytes"),
        Err(error) => error.to_string(),
    };
    Err(CommandError::new(
        ErrorKind::Input,
        format!("the values on standard input cannot be read: {why}"),
    ))
}

/// A key that occurs twice in a file of values, with its second place.
pub fn twice(path: &Path, text: &str) -> Option<Diagnostic> {
    if helm::yaml::parse(text).is_err() {
        return None;
    }
    let error = helm::yaml::parse_strict(text).err()?;
    let place = match error.line {
        0 => Place::file(path),
        line => Place::in_text(path, text, line, error.column, 1),
    };
    Some(
        Diagnostic::warning("a key stands here a second time, and the last one counts")
            .at(place)
            .hint("keep one of the two"),
    )
}

fn in_file(path: &Path, text: &str, error: ValuesError) -> CommandError {
    let finding = match error {
        ValuesError::File { source, .. } => {
            let place = match source.line {
                0 => Place::file(path),
                line => Place::in_text(path, text, line, source.column, 1),
            };
            let is_tab = place
                .text
                .as_deref()
                .is_some_and(|line| line.trim_start_matches(' ').starts_with('\t'));
            let finding = Diagnostic::error(source.message).at(place);
            if is_tab {
                finding.hint("YAML is indented with blanks: replace the tabs")
            } else {
                finding
            }
        }
        other => Diagnostic::error(other.to_string()).in_file(path),
    };
    CommandError::from_diagnostic(ErrorKind::Input, finding)
}

fn in_option(error: &ValuesError, expression: &str) -> CommandError {
    let why =
        std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    let option = match error {
        ValuesError::Set { option, .. } => option,
        _ => "--set",
    };
    CommandError::new(
        ErrorKind::Usage,
        format!("`{option} {expression}` cannot be read: {why}"),
    )
    .hint("write it as `a.b=value`, several with commas; `\\,` is a comma inside a value")
}
