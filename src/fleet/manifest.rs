//! The manifests of a release as resources: what the chart rendered, split and parsed.
//!
//! This module knows kinds and names, nothing of what a resource means; that is [`super::workload`].

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Place};
use crate::yaml;

/// What a resource is called: unique within one namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ResourceId {
    /// `StatefulSet`, `ConfigMap`, …
    pub kind: String,
    /// `metadata.name`.
    pub name: String,
}

impl fmt::Display for ResourceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind, self.name)
    }
}

/// One resource of a release.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Kind and name.
    pub id: ResourceId,
    /// Template that it came from, as the chart names it; the release when it is not known.
    pub source: PathBuf,
    /// The resource itself, aliases resolved.
    pub body: Value,
}

/// Splits and parses the manifest text of a release.
///
/// Documents without content (a template that rendered to a comment) are left out. Resources keep the order of
/// the text, which is the order in which Helm installs them.
///
/// # Errors
///
/// A diagnostic for broken YAML, a document that is not a resource, or two resources of the same kind and name.
pub fn parse(text: &str) -> Result<Vec<Resource>, Box<Diagnostic>> {
    let resources = parse_any(text)?;
    let mut seen = BTreeSet::new();
    for resource in &resources {
        if !seen.insert(&resource.id) {
            return Err(Box::new(
                Diagnostic::error(format!("there are two resources `{}`", resource.id))
                    .at(Place::file(&resource.source))
                    .hint("give one of them another name"),
            ));
        }
    }
    Ok(resources)
}

/// As [`parse`], for a cluster: the same kind and name may be there in several namespaces or API groups.
///
/// # Errors
///
/// A diagnostic for broken YAML or a document that is not a resource.
pub fn parse_any(text: &str) -> Result<Vec<Resource>, Box<Diagnostic>> {
    let mut resources = Vec::new();
    for document in documents(text) {
        let body = yaml::document(&document.source, document.text)?;
        if body.is_null() {
            continue;
        }
        let kind = body.get("kind").and_then(Value::as_str).unwrap_or_default();
        match body.get("items").and_then(Value::as_array) {
            Some(items) if kind.ends_with("List") => {
                for item in items {
                    resources.push(resource(&document, item.clone())?);
                }
            }
            _ => resources.push(resource(&document, body)?),
        }
    }
    Ok(resources)
}

/// The text of a release with the body of one resource replaced; every other document keeps its bytes. `None` when the
/// text has no such resource.
///
/// The new body is written as Helm writes YAML, without the comments and anchors of the old one.
///
/// # Errors
///
/// As [`parse`].
pub fn with_body(
    text: &str,
    id: &ResourceId,
    body: &Value,
) -> Result<Option<String>, Box<Diagnostic>> {
    let mut start = 0;
    for document in documents(text) {
        let value = yaml::document(&document.source, document.text)?;
        if !value.is_null() && resource(&document, value)?.id == *id {
            let header: String = document
                .text
                .split_inclusive('\n')
                .take_while(|line| line.starts_with("# Source: ") || line.trim().is_empty())
                .collect();
            let written = helm::yaml::to_yaml(&helm::yaml::Value::from_json(body));
            let end = start + document.text.len();
            return Ok(Some(format!(
                "{}{header}{written}{}",
                &text[..start],
                &text[end..]
            )));
        }
        let after = &text[start + document.text.len()..];
        let line = after
            .split_once('\n')
            .map_or(after.len(), |(line, _)| line.len() + 1);
        start += document.text.len() + line;
    }
    Ok(None)
}

/// A document of the text with the template it came from.
struct Document<'a> {
    source: PathBuf,
    text: &'a str,
}

/// Splits at lines that begin with `---`, as Helm does; `# Source:` lines name the template.
fn documents(text: &str) -> impl Iterator<Item = Document<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = separator(rest);
        let (text, after) = rest.split_at(end);
        rest = after.split_once('\n').map_or("", |(_, rest)| rest);
        let source = text
            .lines()
            .find_map(|line| line.strip_prefix("# Source: "))
            .unwrap_or("manifest");
        Some(Document {
            source: Path::new(source.trim()).to_path_buf(),
            text,
        })
    })
}

/// Where the next separator line begins; the end of the text when there is none.
fn separator(text: &str) -> usize {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let is_separator = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if is_separator {
            return start;
        }
        start += line.len();
    }
    text.len()
}

fn resource(document: &Document<'_>, body: Value) -> Result<Resource, Box<Diagnostic>> {
    let text_at = |path: &[&str]| {
        path.iter()
            .try_fold(&body, |value, key| value.get(key))
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let missing = |field: &str| {
        Box::new(
            Diagnostic::error(format!("a resource without `{field}`"))
                .at(Place::file(&document.source))
                .expected("expected `apiVersion`, `kind` and `metadata.name`"),
        )
    };
    let kind = text_at(&["kind"]).ok_or_else(|| missing("kind"))?;
    let name = text_at(&["metadata", "name"]).ok_or_else(|| missing("metadata.name"))?;
    Ok(Resource {
        id: ResourceId { kind, name },
        source: document.source.clone(),
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_split_and_comments_left_out() {
        let resources = parse(
            "---\n# Source: a/templates/x.yaml\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  x: |\n    ---\n    text\n\
             ---\n# only a comment\n---\n# Source: a/templates/y.yaml\nkind: Pod\nmetadata: {name: p}\n",
        )
        .unwrap();
        let names: Vec<String> = resources.iter().map(|one| one.id.to_string()).collect();
        assert_eq!(names, ["ConfigMap c", "Pod p"]);
        assert_eq!(resources[0].body["data"]["x"], "---\ntext\n");
        assert_eq!(resources[1].source, Path::new("a/templates/y.yaml"));
    }

    #[test]
    fn one_body_is_replaced_and_the_rest_keeps_its_bytes() {
        let text = "---\n# Source: a/x.yaml\nkind: ConfigMap\nmetadata: {name: c} # ours\n---\n# Source: a/y.yaml\n# a comment\n\
                    kind: Pod\nmetadata: {name: p}\n---\n# Source: a/z.yaml\nkind: Pod\nmetadata: {name: q}\n";
        let id = ResourceId {
            kind: "Pod".to_owned(),
            name: "p".to_owned(),
        };
        let body =
            serde_json::json!({"kind": "Pod", "metadata": {"name": "p", "labels": {"on": "yes"}}});
        insta::assert_snapshot!(with_body(text, &id, &body).unwrap().unwrap(), @r#"
        ---
        # Source: a/x.yaml
        kind: ConfigMap
        metadata: {name: c} # ours
        ---
        # Source: a/y.yaml
        kind: Pod
        metadata:
          labels:
            "on": "yes"
          name: p
        ---
        # Source: a/z.yaml
        kind: Pod
        metadata: {name: q}
        "#);
        let missing = ResourceId {
            kind: "Pod".to_owned(),
            name: "r".to_owned(),
        };
        assert_eq!(with_body(text, &missing, &body).unwrap(), None);
    }

    #[test]
    fn aliases_merge_keys_and_octal_modes_are_read_as_kubernetes_reads_them() {
        let resources = parse(
            "kind: Pod\nmetadata: {name: p}\nbase: &base {a: 1, b: 2}\nagain: *base\nmerged: {<<: *base, b: 3}\n\
             mode: 0644\nflag: yes\n",
        )
        .unwrap();
        let body = &resources[0].body;
        assert_eq!(body["again"]["b"], 2);
        assert_eq!(body["merged"]["a"], 1);
        assert_eq!(body["merged"]["b"], 3);
        assert_eq!(body["mode"], 0o644);
        assert_eq!(body["flag"], true);
    }

    #[test]
    fn what_is_no_resource_is_refused_with_its_template() {
        let error = parse("# Source: c/templates/a.yaml\nmetadata: {name: x}\n").unwrap_err();
        assert_eq!(error.message, "a resource without `kind`");
        assert_eq!(error.place.unwrap().to_string(), "c/templates/a.yaml");
        let twice = "kind: Pod\nmetadata: {name: x}\n---\nkind: Pod\nmetadata: {name: x}\n";
        assert_eq!(
            parse(twice).unwrap_err().message,
            "there are two resources `Pod x`"
        );
    }
}
