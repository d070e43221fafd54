//! The Java client's `client.properties` of Phoebus users (its setting `kafka_properties`), name by name, as settings of our
//! client library.
//!
//! A name that Java's client does not know is an error, where Java only warns: it is a mistyped one. A name that it knows and
//! that has no effect here is a [`Warning`]. Passwords and keys are in nothing that is printed: not in errors, which show
//! the line without its value, and not in `Debug`.

mod jaas;
mod names;
mod security;
mod stores;
mod syntax;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use names::{Kind, Meaning};
use syntax::{Entry, Place};

/// The largest file that is read, in bytes.
const SIZE_LIMIT: u64 = 1024 * 1024;

/// Settings for the client library.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties {
    entries: BTreeMap<&'static str, Value>,
    warnings: Vec<Warning>,
}

/// A value, and whether it may be shown.
#[derive(Clone, PartialEq, Eq)]
enum Value {
    Plain(String),
    Secret(String),
}

impl std::fmt::Debug for Value {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Plain(value) => value.fmt(formatter),
            Value::Secret(_) => formatter.write_str("…"),
        }
    }
}

impl std::fmt::Debug for Properties {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_map().entries(&self.entries).finish()
    }
}

/// A line that has no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` line {line}: `{name}` has no effect: {reason}", path.display())]
pub struct Warning {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", place(path, *line, *column))]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1; 0 if the file could not be read.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line itself; what may be a secret is left out.
    pub text: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub hint: Option<String>,
}

fn place(path: &Path, line: usize, column: usize) -> String {
    match line {
        0 => format!("`{}` ", path.display()),
        line => format!("`{}` line {line}, column {column}: ", path.display()),
    }
}

impl Error {
    fn new(path: &Path, text: &str, at: Place, problem: impl Into<String>) -> Error {
        Error {
            path: path.to_owned(),
            line: at.line,
            column: at.column,
            text: shown(text, at.line),
            problem: problem.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }
}

/// A line as it may be shown: without a value that may be a secret. A continued line belongs to the name at its begin.
fn shown(text: &str, line: usize) -> String {
    let lines: Vec<&str> = text
        .split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
        .collect();
    let Some(found) = line.checked_sub(1).and_then(|index| lines.get(index)) else {
        return String::new();
    };
    let continued = |line: &str| {
        line.chars()
            .rev()
            .take_while(|character| *character == '\\')
            .count()
            % 2
            == 1
    };
    let mut first = line - 1;
    while first > 0 && continued(lines[first - 1]) {
        first -= 1;
    }
    let name_end = |line: &str| {
        let begin = line.len() - line.trim_start().len();
        line[begin..]
            .find(|character: char| "=: \t\x0c".contains(character))
            .map_or(line.len(), |end| begin + end)
    };
    let name = lines[first][..name_end(lines[first])].trim();
    let whole: String = lines[first..line].concat();
    if !names::is_secret(name)
        && !whole.contains("PRIVATE KEY")
        && !whole.to_lowercase().contains("password")
    {
        return (*found).to_owned();
    }
    if first == line - 1 {
        format!("{}=…", &found[..name_end(found)])
    } else {
        "…".to_owned()
    }
}

impl Properties {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Properties, Error> {
        use std::io::Read as _;
        let unreadable = |problem: String| Error {
            path: path.to_owned(),
            line: 0,
            column: 0,
            text: String::new(),
            problem,
            hint: Some(format!("ls -l {}", path.display())),
        };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path)
            .map_err(|error| unreadable(format!("cannot be read: {error}")))?;
        file.take(SIZE_LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(format!("cannot be read: {error}")))?;
        if bytes.len() as u64 > SIZE_LIMIT {
            return Err(unreadable("is larger than 1 MiB".to_owned()));
        }
        Properties::parse(path, &bytes)
    }

    /// Reads a file's bytes; the path is for messages. Stores that it names are looked at.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Properties, Error> {
        let text = syntax::decode(bytes);
        let mut file = File {
            path,
            text: &text,
            entries: BTreeMap::new(),
            properties: Properties::default(),
        };
        for entry in syntax::parse(path, &text)? {
            file.enter(entry)?;
        }
        file.map_same()?;
        security::map(&mut file)?;
        file.properties.warnings.sort_by_key(|warning| warning.line);
        Ok(file.properties)
    }

    /// What has no effect, in the order of the file.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// For the client library only: secrets are in it.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| match value {
            Value::Plain(value) | Value::Secret(value) => (*name, value.as_str()),
        })
    }
}

/// A file that is being mapped.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
    /// What counts of each name: the last.
    entries: BTreeMap<String, Entry>,
    properties: Properties,
}

impl File<'_> {
    fn error(&self, at: Place, problem: impl Into<String>) -> Error {
        Error::new(self.path, self.text, at, problem)
    }

    fn warn(&mut self, at: Place, name: &str, reason: impl Into<String>) {
        let (path, name, reason) = (self.path.to_owned(), name.to_owned(), reason.into());
        self.properties.warnings.push(Warning {
            path,
            line: at.line,
            name,
            reason,
        });
    }

    fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.properties
            .entries
            .insert(name, Value::Plain(value.into()));
    }

    fn set_secret(&mut self, name: &'static str, value: impl Into<String>) {
        self.properties
            .entries
            .insert(name, Value::Secret(value.into()));
    }

    fn enter(&mut self, entry: Entry) -> Result<(), Error> {
        let Some(meaning) = names::meaning(&entry.name) else {
            let shown: String = entry.name.chars().take(80).collect();
            let error = self.error(
                entry.name_at,
                format!("Kafka's client has no setting `{shown}`"),
            );
            return Err(match names::nearest(&entry.name) {
                Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
                None => error,
            });
        };
        match meaning {
            Meaning::Refused(problem, hint) => {
                return Err(self
                    .error(entry.name_at, format!("`{}`: {problem}", entry.name))
                    .hint(hint));
            }
            Meaning::Ignored(reason) => {
                let name = entry.name.clone();
                self.warn(entry.name_at, &name, reason);
                return Ok(());
            }
            Meaning::Same(..) | Meaning::Security => {}
        }
        if let Some(before) = self.entries.insert(entry.name.clone(), entry) {
            let name = before.name.clone();
            self.warn(before.name_at, &name, "it is set again further down");
        }
        Ok(())
    }

    /// What means the same under another name.
    fn map_same(&mut self) -> Result<(), Error> {
        for entry in self.entries.values().cloned().collect::<Vec<_>>() {
            let Some(Meaning::Same(name, kind)) = names::meaning(&entry.name) else {
                continue;
            };
            let text = entry.text();
            let wrong = |expected: String| {
                Err(self.error(
                    entry.value_at,
                    format!("`{}` must be {expected}, not `{text}`", entry.name),
                ))
            };
            let value = match (kind, text.parse::<i64>()) {
                (Kind::Text, _) => text,
                (Kind::Number(least, most), Ok(number)) if (least..=most).contains(&number) => {
                    number.to_string()
                }
                (Kind::Number(least, most), _) => {
                    return wrong(format!("a whole number from {least} to {most}"));
                }
                (Kind::Buffer, Ok(number)) if (-1..=100_000_000).contains(&number) => {
                    number.max(0).to_string()
                }
                (Kind::Buffer, _) => {
                    return wrong("a whole number from -1 to 100000000".to_owned());
                }
                (Kind::OneOf(values), _) if values.contains(&text.as_str()) => text,
                (Kind::OneOf(values), _) => return wrong(format!("one of {}", values.join(", "))),
            };
            self.set(name, value);
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Option<Entry> {
        self.entries.get(name).cloned()
    }
}

#[cfg(test)]
mod tests;
