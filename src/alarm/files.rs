//! Files of alarm configurations: which format, reading with bounds, findings with their places, writing.

use std::ops::Range;
use std::path::{Path, PathBuf};

use alarm::files::{Finding, Level, Loss, Reading, Source, TreeFile, losses, table, xml};

use crate::alarm::document;
use crate::cli::alarm::FileFormat;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Largest file that is read, in bytes.
pub(crate) const LARGEST: u64 = 64 * 1024 * 1024;
/// So many files of a folder are looked at.
const MOST_FILES: usize = 10_000;

/// How an alarm configuration is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// XML of Phoebus.
    Xml,
    /// Table of NALMS.
    Csv,
    /// Our own.
    Yaml,
    /// Our own, as JSON.
    Json,
}

impl From<FileFormat> for Format {
    fn from(format: FileFormat) -> Self {
        match format {
            FileFormat::Xml => Self::Xml,
            FileFormat::Csv => Self::Csv,
            FileFormat::Yaml => Self::Yaml,
            FileFormat::Json => Self::Json,
        }
    }
}

impl Format {
    /// What the name of a file says.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        Some(match extension.to_ascii_lowercase().as_str() {
            "xml" => Self::Xml,
            "csv" => Self::Csv,
            "yaml" | "yml" => Self::Yaml,
            "json" => Self::Json,
            _ => return None,
        })
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Xml => "XML",
            Self::Csv => "CSV",
            Self::Yaml => "YAML",
            Self::Json => "JSON",
        }
    }
}

/// Reads a configuration and what it includes. `name` is that of the root of a table, which has none; without it the
/// file's own name is.
///
/// # Errors
///
/// No such file, or a name that says no format. What is wrong in it is in the reading.
pub fn read(path: &Path, name: Option<&str>) -> CommandResult<Reading> {
    let metadata = fs_err::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            CommandError::not_found(format!("there is no file `{}`", path.display()))
        }
        _ => CommandError::from(error),
    })?;
    if metadata.is_dir() {
        return Err(CommandError::new(
            ErrorKind::Input,
            format!(
                "`{}` is a folder, not an alarm configuration",
                path.display()
            ),
        )
        .hint(format!(
            "`ioc alarm config check {}` checks all in it",
            path.display()
        )));
    }
    let format = Format::of(path).ok_or_else(|| unknown_format(path))?;
    Ok(parse(path, format, name, &mut load))
}

/// As [`read`], from wherever `load` takes it.
pub fn parse(
    path: &Path,
    format: Format,
    name: Option<&str>,
    load: &mut alarm::files::Loader<'_>,
) -> Reading {
    match format {
        Format::Xml => xml::read(path, load),
        Format::Yaml | Format::Json => document::read(path, load),
        Format::Csv => {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            table::read(path, name.unwrap_or(&stem), load)
        }
    }
}

pub(crate) fn unknown_format(path: &Path) -> CommandError {
    let diagnostic = Diagnostic::error(format!(
        "the name of `{}` does not say what it is",
        path.display()
    ))
    .in_file(path)
    .expected("expected a file `….csv`, `….xml`, `….yaml` or `….json`");
    CommandError::from_diagnostic(ErrorKind::Input, diagnostic)
}

/// The bytes of a file, or why not.
fn load(path: &Path) -> Result<Vec<u8>, String> {
    let refused = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "reading it is not allowed".to_owned(),
        // the file has been named already
        _ => std::io::Error::from(error.kind()).to_string(),
    };
    let metadata = fs_err::metadata(path).map_err(refused)?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    if metadata.len() > LARGEST {
        return Err(format!("it has more than {LARGEST} bytes"));
    }
    fs_err::read(path).map_err(refused)
}

/// The files of a folder, and of those in it, that can be alarm configurations, in the order of their names.
///
/// # Errors
///
/// A folder that cannot be read, or one with more files than anybody has.
pub fn in_folder(folder: &Path) -> CommandResult<Vec<PathBuf>> {
    let mut found = Vec::new();
    let walk = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| {
            entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.')
        });
    for entry in walk {
        let entry = entry
            .map_err(|error| CommandError::system(error.into(), "failed to list the folder"))?;
        if entry.file_type().is_file() && Format::of(entry.path()).is_some() {
            found.push(entry.into_path());
        }
        if found.len() > MOST_FILES {
            return Err(CommandError::new(
                ErrorKind::Input,
                format!("`{}` has more than {MOST_FILES} files", folder.display()),
            ));
        }
    }
    Ok(found)
}

/// Findings as they are shown, with their lines.
pub fn diagnostics(sources: &[Source], findings: &[Finding]) -> Vec<Diagnostic> {
    let mut lines: Vec<Option<Lines<'_>>> = sources.iter().map(|_| None).collect();
    findings
        .iter()
        .map(|finding| {
            let file = finding.origin.file;
            let place = sources
                .get(file)
                .zip(lines.get_mut(file))
                .map(|(source, lines)| {
                    let lines = lines.get_or_insert_with(|| Lines::of(&source.text));
                    lines.place(&source.path, &finding.origin.span)
                });
            Diagnostic {
                severity: match finding.level {
                    Level::Warning => Severity::Warning,
                    Level::Error => Severity::Error,
                },
                message: finding.message.clone(),
                place,
                expected: finding.expected.as_ref().map(|expected| {
                    if expected.starts_with("expected ") {
                        expected.clone()
                    } else {
                        format!("expected {expected}")
                    }
                }),
                hint: finding.hint.clone(),
            }
        })
        .collect()
}

/// Where the lines of a text begin, so that many places are found fast.
struct Lines<'a> {
    text: &'a str,
    begins: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            begins: std::iter::once(0).chain(ends).collect(),
        }
    }

    fn place(&self, path: &Path, span: &Range<usize>) -> Place {
        if self.text.is_empty() {
            return Place::file(path);
        }
        let line = self
            .begins
            .partition_point(|begin| *begin <= span.start)
            .saturating_sub(1);
        let begin = self.begins.get(line).copied().unwrap_or(0);
        let rest = self.text.get(begin..).unwrap_or_default();
        let text = rest.lines().next().unwrap_or_default();
        let before = self.text.get(begin..span.start).unwrap_or_default();
        let meant = self.text.get(span.clone()).unwrap_or_default();
        Place {
            path: path.to_owned(),
            line: line + 1,
            column: before.chars().count() + 1,
            length: meant
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .count()
                .max(1),
            text: Some(text.to_owned()),
        }
    }
}

/// A configuration as text, and what the format did not keep of it.
#[derive(Debug)]
pub struct Written {
    /// The text.
    pub text: String,
    /// What reading it again does not give back.
    pub losses: Vec<Loss>,
}

/// Writes a configuration.
///
/// # Errors
///
/// None that is known: what a library refuses to write.
pub fn write(tree: &TreeFile, format: Format) -> CommandResult<Written> {
    let text = match format {
        Format::Xml => Ok(xml::write(tree)),
        Format::Csv => Ok(table::write(tree)),
        Format::Yaml => document::to_yaml(tree),
        Format::Json => document::to_json(tree),
    }
    .map_err(|why| {
        CommandError::new(
            ErrorKind::Internal,
            format!("failed to write {}", format.name()),
        )
        .caused_by(why)
    })?;
    let path = Path::new("written");
    let again = parse(path, format, Some(&tree.name), &mut |_path| {
        Ok(text.clone().into_bytes())
    });
    let Some(read) = &again.tree else {
        let why = again
            .findings
            .first()
            .map_or("", |first| first.message.as_str());
        return Err(CommandError::new(
            ErrorKind::Internal,
            format!(
                "what was written as {} cannot be read: {why}",
                format.name()
            ),
        ));
    };
    let losses = losses(tree, read);
    Ok(Written { text, losses })
}
