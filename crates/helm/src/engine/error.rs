//! Why a chart cannot be rendered, with the place in the template and the way there.

use std::sync::Arc;

use crate::schema::{SchemaViolation, helm_text};
use crate::template::error::{ExecError, Location, ParseError};
use crate::yaml::YamlError;

/// A chart that cannot be rendered.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.0.text)]
pub struct RenderError(Box<Failure>);

#[derive(Debug, Clone, Default)]
struct Failure {
    text: String,
    message: String,
    chain: Vec<Arc<Location>>,
    violations: Vec<SchemaViolation>,
    manifest: Option<String>,
    after_rendering: bool,
}

impl RenderError {
    pub(super) fn message(text: impl Into<String>) -> Self {
        let text = text.into();
        Self(Box::new(Failure {
            message: text.clone(),
            text,
            ..Failure::default()
        }))
    }

    pub(super) fn thread(error: &std::io::Error) -> Self {
        Self::message(format!("no thread to render in: {error}"))
    }

    pub(super) fn crashed() -> Self {
        Self::message("the renderer ended without a result; this is a fault of the program")
    }

    pub(super) fn kube_version(text: String) -> Self {
        let mut error = Self::message(text);
        error.0.after_rendering = true;
        error
    }

    pub(super) fn missing_dependencies(names: &[&str]) -> Self {
        Self::message(format!(
            "an error occurred while checking for chart dependencies. You may need to run 'helm \
             dependency build' to fetch missing dependencies: found in Chart.yaml, but missing in \
             charts/ directory: {}",
            names.join(", ")
        ))
    }

    pub(super) fn schema(violations: Vec<SchemaViolation>) -> Self {
        let text = format!(
            "values don't meet the specifications of the schema(s) in the following chart(s):\n{}",
            helm_text(&violations)
        );
        let message = violations
            .first()
            .map(|first| first.message.clone())
            .unwrap_or_default();
        Self(Box::new(Failure {
            text,
            message,
            violations,
            ..Failure::default()
        }))
    }

    pub(super) fn parse(file: &Arc<str>, error: &ParseError, source: &str) -> Self {
        let whole = error.go_text(file);
        // Helm keeps the place and the last part of the message.
        let last = whole.rsplit(": ").next().unwrap_or(&whole);
        let location = whole.split(": ").nth(1).unwrap_or(file);
        let source_line = source
            .lines()
            .nth(error.line.saturating_sub(1))
            .unwrap_or_default();
        let place = Location {
            file: file.to_string(),
            line: error.line,
            column: 0,
            template: file.to_string(),
            expression: String::new(),
            source_line: source_line.to_owned(),
        };
        Self(Box::new(Failure {
            text: format!("parse error at ({location}): {last}"),
            message: error.message_for(file),
            chain: vec![Arc::new(place)],
            after_rendering: true,
            ..Failure::default()
        }))
    }

    pub(super) fn execution(error: &ExecError) -> Self {
        Self(Box::new(Failure {
            text: error.helm_text(),
            message: error
                .warning()
                .map_or_else(|| error.root_message(), str::to_owned),
            chain: error.locations(),
            after_rendering: true,
            ..Failure::default()
        }))
    }

    pub(super) fn yaml(file: &str, error: &YamlError, manifest: &str) -> Self {
        let why = error.helm_text();
        let source_line = manifest
            .lines()
            .nth(error.line.saturating_sub(1))
            .unwrap_or_default();
        let place = Location {
            file: file.to_owned(),
            line: error.line,
            column: error.column.saturating_sub(1),
            template: file.to_owned(),
            expression: String::new(),
            source_line: source_line.to_owned(),
        };
        Self(Box::new(Failure {
            text: format!("YAML parse error on {file}: error converting YAML to JSON: {why}"),
            message: error.message.clone(),
            chain: vec![Arc::new(place)],
            manifest: Some(manifest.to_owned()),
            after_rendering: true,
            ..Failure::default()
        }))
    }

    pub(super) fn manifest_type(file: &str, why: &str, manifest: &str) -> Self {
        let text = format!("YAML parse error on {file}: {why}");
        Self(Box::new(Failure {
            message: text.clone(),
            text,
            manifest: Some(manifest.to_owned()),
            after_rendering: true,
            ..Failure::default()
        }))
    }

    /// The innermost place: where it went wrong.
    pub fn location(&self) -> Option<&Location> {
        self.0.chain.last().map(AsRef::as_ref)
    }

    /// The places passed on the way, outermost first; the last is [`Self::location`].
    pub fn chain(&self) -> impl ExactSizeIterator<Item = &Location> {
        self.0.chain.iter().map(AsRef::as_ref)
    }

    /// Path of the template in which it went wrong.
    pub fn template(&self) -> Option<&str> {
        self.location().map(|location| location.file.as_str())
    }

    /// Line there, from 1; for a manifest that is not YAML, the line of the manifest.
    pub fn line(&self) -> Option<usize> {
        self.location()
            .map(|location| location.line)
            .filter(|&line| line > 0)
    }

    /// Column there, from 1; nothing when only the line is known.
    pub fn column(&self) -> Option<usize> {
        self.location()
            .filter(|location| !location.expression.is_empty() || self.0.manifest.is_some())
            .map(|location| location.column + 1)
    }

    /// The text of that line.
    pub fn source_line(&self) -> Option<&str> {
        self.location()
            .map(|location| location.source_line.as_str())
    }

    /// What went wrong, without places; for `required` and `fail`, the chart's own words.
    pub fn root_message(&self) -> &str {
        &self.0.message
    }

    /// What the chart's schemas forbid.
    pub fn violations(&self) -> &[SchemaViolation] {
        &self.0.violations
    }

    /// The output that is not YAML, when that is the reason.
    pub fn manifest(&self) -> Option<&str> {
        self.0.manifest.as_deref()
    }

    /// What `helm template` prints after `Error: `.
    pub fn helm_text(&self) -> String {
        if self.0.after_rendering {
            return format!(
                "{}\n\nUse --debug flag to render out invalid YAML",
                self.0.text
            );
        }
        self.0.text.clone()
    }
}
