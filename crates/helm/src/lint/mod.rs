//! What `helm lint` says about a chart: rules of good charts, in Helm's words and order.
//!
//! Pure but for reading the chart's folder. It judges charts of API version v2; one of v1 is told to move.

mod chart_file;
mod deprecated;
mod names;
mod templates;

use std::fmt;
use std::path::Path;

use jiff::Zoned;

use crate::capabilities::Capabilities;
use crate::chart::{Chart, ChartError, LoadOptions};
use crate::schema;
use crate::yaml::{self, Value, YamlError};

/// How bad a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LintSeverity {
    /// Worth knowing.
    Info,
    /// Should be changed.
    Warning,
    /// Does not work.
    Error,
}

impl fmt::Display for LintSeverity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        })
    }
}

/// One thing that is said about a chart.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LintMessage {
    /// How bad it is.
    pub severity: LintSeverity,
    /// File or folder of the chart; empty for the chart as a whole.
    pub path: String,
    /// What is wrong, in Helm's words.
    pub message: String,
}

impl fmt::Display for LintMessage {
    /// The line of `helm lint`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "[{}] {}: {}",
            self.severity, self.path, self.message
        )
    }
}

/// What a chart is linted for.
#[derive(Debug, Clone)]
pub struct LintOptions {
    /// Namespace of the release that its templates see.
    pub namespace: String,
    /// The cluster that its templates see.
    pub capabilities: Capabilities,
    /// Leave schemas alone.
    pub skip_schema: bool,
    /// The moment that `now` gives.
    pub now: Zoned,
}

/// Collects what is said.
struct Linter<'l> {
    folder: &'l Path,
    values: &'l Value,
    options: &'l LintOptions,
    messages: Vec<LintMessage>,
}

/// Lints the chart in a folder with the values given by the user.
///
/// # Errors
/// When the folder has no `Chart.yaml`, or a file cannot be read.
pub fn lint(
    folder: &Path,
    values: &Value,
    options: &LintOptions,
) -> Result<Vec<LintMessage>, ChartError> {
    if !folder.join("Chart.yaml").exists() {
        return Err(ChartError::NoChartFile(folder.to_owned()));
    }
    let mut linter = Linter {
        folder,
        values,
        options,
        messages: Vec::new(),
    };
    linter.all()?;
    Ok(linter.messages)
}

impl Linter<'_> {
    fn say(&mut self, severity: LintSeverity, path: &str, message: impl Into<String>) {
        self.messages.push(LintMessage {
            severity,
            path: path.to_owned(),
            message: message.into(),
        });
    }

    fn error(&mut self, path: &str, message: impl Into<String>) {
        self.say(LintSeverity::Error, path, message);
    }

    fn warning(&mut self, path: &str, message: impl Into<String>) {
        self.say(LintSeverity::Warning, path, message);
    }

    fn info(&mut self, path: &str, message: impl Into<String>) {
        self.say(LintSeverity::Info, path, message);
    }

    fn all(&mut self) -> Result<(), ChartError> {
        let known_format = self.chart_file()?;
        self.values_file()?;
        // Charts of another format are not judged further: their files mean something else.
        if !known_format {
            return Ok(());
        }
        let loaded = Chart::load(self.folder, &LoadOptions::default());
        match &loaded {
            Ok(chart) => {
                self.templates(chart)?;
                self.dependencies(chart);
            }
            Err(error) => {
                let text = self.load_text(error);
                if self.has_templates()? {
                    self.error("templates/", text.clone());
                }
                self.error("", format!("unable to load chart\n\t{text}"));
            }
        }
        self.crds()
    }

    /// Whether there is a folder of templates; says so when not.
    fn has_templates(&mut self) -> Result<bool, ChartError> {
        match fs_err::metadata(self.folder.join("templates")) {
            Ok(metadata) if metadata.is_dir() => Ok(true),
            Ok(_) => {
                self.error("templates/", "not a directory");
                Ok(false)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.warning("templates/", "directory does not exist");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn values_file(&mut self) -> Result<(), ChartError> {
        const FILE: &str = "values.yaml";
        let path = self.folder.join(FILE);
        if !path.exists() {
            self.info(FILE, "file does not exist");
            return Ok(());
        }
        let text = String::from_utf8_lossy(&fs_err::read(path)?).into_owned();
        let value = match yaml::parse(&text) {
            Ok(value) => value,
            Err(error) => {
                self.error(
                    FILE,
                    format!("unable to parse YAML: {}", convert_error(&error)),
                );
                return Ok(());
            }
        };
        if !matches!(value, Value::Map(_) | Value::Null) {
            let found = value.json_type();
            self.error(
                FILE,
                format!(
                    "unable to parse YAML: error unmarshaling JSON: while decoding JSON: json: cannot \
                     unmarshal {found} into Go value of type common.Values"
                ),
            );
            return Ok(());
        }
        let schema = self.folder.join("values.schema.json");
        if self.options.skip_schema || !schema.exists() {
            return Ok(());
        }
        let merged = crate::values::Values::new()
            .value(value)
            .value(self.values.clone())
            .into_value();
        let schema = schema::Schema::new(fs_err::read(schema)?.into());
        let violations = schema.check("", &merged);
        if !violations.is_empty() {
            let text = schema::helm_text(&violations);
            let text = text.split_once('\n').map_or("", |(_chart, rest)| rest);
            self.error(FILE, text);
        }
        Ok(())
    }

    fn dependencies(&mut self, chart: &Chart) {
        let folder = std::path::absolute(self.folder).unwrap_or_else(|_| self.folder.to_owned());
        let folder = folder.display().to_string();
        let declared = &chart.metadata().dependencies;
        let undeclared: Vec<&str> = chart
            .dependencies()
            .iter()
            .map(|found| found.name())
            .filter(|name| declared.iter().all(|wanted| wanted.name != *name))
            .collect();
        if !undeclared.is_empty() {
            self.error(
                &folder,
                format!(
                    "chart metadata is missing these dependencies: {}",
                    undeclared.join(",")
                ),
            );
        }
        let missing = chart.missing_dependencies();
        if !missing.is_empty() {
            self.warning(
                &folder,
                format!(
                    "chart directory is missing these dependencies: {}",
                    missing.join(",")
                ),
            );
        }
    }

    fn crds(&mut self) -> Result<(), ChartError> {
        let folder = self.folder.join("crds");
        if !folder.is_dir() {
            return Ok(());
        }
        let mut names: Vec<String> = fs_err::read_dir(&folder)?
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .filter(|name| {
                let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
                matches!(extension, "yaml" | "yml" | "json")
            })
            .collect();
        names.sort();
        for name in names {
            let path = format!("crds/{name}");
            let text = String::from_utf8_lossy(&fs_err::read(folder.join(&name))?).into_owned();
            for document in templates::documents(&text) {
                let value = match yaml::parse(document) {
                    Ok(value) => value,
                    Err(error) => {
                        let why = convert_error(&error);
                        self.error(&path, format!("unable to parse YAML: {why}"));
                        break;
                    }
                };
                if matches!(value, Value::Null) {
                    continue;
                }
                let field = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
                if !field("apiVersion").starts_with("apiextensions.k8s.io") {
                    self.error(&path, "apiVersion is not in 'apiextensions.k8s.io'");
                }
                if field("kind") != "CustomResourceDefinition" {
                    self.error(&path, "object kind is not 'CustomResourceDefinition'");
                }
            }
        }
        Ok(())
    }
}

/// A YAML error as Helm words it after it tried to make JSON of it.
fn convert_error(error: &YamlError) -> String {
    let text = error.helm_text();
    if text.starts_with("json: ") {
        format!("error unmarshaling JSON: while decoding JSON: {text}")
    } else {
        format!("error converting YAML to JSON: {text}")
    }
}

#[cfg(test)]
mod tests;
