//! Rules for templates and for what they write.

use super::{Linter, convert_error, deprecated, names};
use crate::chart::{Chart, ChartError};
use crate::engine::render_for_lint;
use crate::go::quote::quote;
use crate::go::text::Text;
use crate::limits::Limits;
use crate::yaml::{self, Value};

impl Linter<'_> {
    pub(super) fn templates(&mut self, chart: &Chart) -> Result<(), ChartError> {
        const FOLDER: &str = "templates/";
        if !self.has_templates()? {
            return Ok(());
        }
        let rendered = render_for_lint(
            chart,
            self.values,
            &self.options.namespace,
            &self.options.capabilities,
            &Limits::default(),
            self.options.now.clone(),
            self.options.skip_schema,
        );
        let rendered = match rendered {
            Ok(rendered) => rendered,
            Err(error) => {
                self.error(FOLDER, error.to_string());
                return Ok(());
            }
        };
        for file in chart.templates() {
            let name = file.name.as_ref();
            let extension = name
                .rsplit('/')
                .next()
                .and_then(|file| file.rsplit_once('.'))
                .map_or(String::new(), |(_, extension)| format!(".{extension}"));
            if !matches!(extension.as_str(), ".yaml" | ".yml" | ".tpl" | ".txt") {
                self.error(
                    name,
                    format!(
                        "file extension '{extension}' not valid. Valid extensions are .yaml, .yml, \
                         .tpl, or .txt"
                    ),
                );
            }
            if extension != ".yaml" {
                continue;
            }
            let path = format!("{}/{name}", chart.name());
            if let Some((_, output)) = rendered.iter().find(|(found, _)| *found == path) {
                self.output(name, output);
            }
        }
        Ok(())
    }

    /// Judges what a template wrote.
    fn output(&mut self, path: &str, output: &str) {
        if output.trim().is_empty() {
            return;
        }
        if let Some(line) = output.lines().find(|line| !line.is_empty())
            && line.starts_with([' ', '\t'])
        {
            let line = quote(&Text::from(line));
            self.warning(
                path,
                format!(
                    "document starts with an illegal indent: {line}, which may cause parsing problems"
                ),
            );
        }
        for (index, document) in documents(output).into_iter().enumerate() {
            match yaml::parse(document) {
                Ok(Value::Null) => {}
                Ok(value) => self.object(path, &value, output, index == 0),
                Err(error) => {
                    let why = convert_error(&error);
                    self.error(path, format!("unable to parse YAML: {why}"));
                    return;
                }
            }
        }
    }

    fn object(&mut self, path: &str, object: &Value, output: &str, is_first: bool) {
        let text =
            |value: Option<&Value>| value.and_then(crate::chart::typed_text).unwrap_or_default();
        let kind = text(object.get("kind"));
        let api_version = text(object.get("apiVersion"));
        let name = text(object.at(["metadata", "name"]));
        let quoted = quote(&Text::from(name.as_str()));
        if let Some(problem) = names::problem(&kind, &name) {
            self.warning(
                path,
                format!(
                    "object name does not conform to Kubernetes naming requirements: {quoted}: \
                     metadata.name: Invalid value: {quoted}: {problem}"
                ),
            );
        }
        let cluster = self.options.capabilities.kube_version.numbers();
        if let Some(problem) = deprecated::problem(&api_version, &kind, cluster) {
            self.warning(path, problem);
        }
        let selects = matches!(
            kind.as_str(),
            "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet"
        );
        if selects && !output.contains("matchLabels") && !output.contains("matchExpressions") {
            self.error(
                path,
                format!(
                    "a {kind} must contain matchLabels or matchExpressions, and {quoted} does not"
                ),
            );
        }
        if kind == "List" && is_first {
            let items = object.get("items").and_then(Value::as_list);
            let keeps = items.into_iter().flatten().any(|item| {
                item.at(["metadata", "annotations", "helm.sh/resource-policy"])
                    .is_some()
            });
            if keeps {
                self.error(
                    path,
                    "annotation 'helm.sh/resource-policy' within List objects are ignored",
                );
            }
        }
    }
}

/// The documents of a text: separated by lines that begin with three hyphens.
pub(super) fn documents(text: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with("---") {
            documents.push(&text[start..at]);
            start = at + line.len();
        }
        at += line.len();
    }
    documents.push(&text[start..]);
    documents.retain(|document| !document.trim().is_empty());
    documents
}
