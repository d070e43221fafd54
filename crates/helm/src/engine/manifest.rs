//! What templates wrote, split into documents, hooks apart, in the order in which Kubernetes
//! should get them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::RenderError;
use super::active::Active;
use crate::chart::Metadata;
use crate::go::text::Text;
use crate::yaml::{self, Value};

/// A rendered chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// Documents in the order of installation, hooks after the others.
    pub manifests: Vec<Manifest>,
    /// What `NOTES.txt` of the chart says.
    pub notes: Option<String>,
    /// The values that the templates were given, before any template changed them.
    pub values: Value,
    /// The chart's default values after its dependencies were processed, as Helm records them.
    pub chart_values: Value,
    /// The chart's metadata likewise: which dependencies are enabled, under which names.
    pub chart_metadata: Metadata,
    /// Files of `crds/` with their paths.
    pub crds: Vec<(String, String)>,
    /// What Helm would have warned of.
    pub warnings: Vec<String>,
}

/// One document.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Path of the template that wrote it.
    pub source_template: String,
    /// `apiVersion`; empty for a document without one, such as a comment.
    pub api_version: String,
    /// `kind`; empty likewise.
    pub kind: String,
    /// `metadata.name`; empty likewise.
    pub name: String,
    /// The document as it was written.
    pub text: String,
    /// When it is run, for a hook.
    pub hook: Option<Hook>,
}

/// What the annotations of a hook say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// When it is run.
    pub events: Vec<HookEvent>,
    /// Lower ones are run first.
    pub weight: i32,
    /// When it is deleted, in Helm's words.
    pub delete_policies: Vec<String>,
    /// When its log is shown, in Helm's words.
    pub output_log_policies: Vec<String>,
}

/// When a hook is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookEvent {
    /// Before resources are created.
    PreInstall,
    /// After resources were created.
    PostInstall,
    /// Before resources are deleted.
    PreDelete,
    /// After resources were deleted.
    PostDelete,
    /// Before resources are changed.
    PreUpgrade,
    /// After resources were changed.
    PostUpgrade,
    /// Before going back to an older revision.
    PreRollback,
    /// After going back to an older revision.
    PostRollback,
    /// When the release is tested.
    Test,
}

impl HookEvent {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "pre-install" => Self::PreInstall,
            "post-install" => Self::PostInstall,
            "pre-delete" => Self::PreDelete,
            "post-delete" => Self::PostDelete,
            "pre-upgrade" => Self::PreUpgrade,
            "post-upgrade" => Self::PostUpgrade,
            "pre-rollback" => Self::PreRollback,
            "post-rollback" => Self::PostRollback,
            "test" | "test-success" => Self::Test,
            _ => return None,
        })
    }
}

/// The order of installation; kinds that are not here come last, by name.
const INSTALL_ORDER: [&str; 38] = [
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

fn install_rank(kind: &str) -> (usize, &str) {
    INSTALL_ORDER
        .iter()
        .position(|known| *known == kind)
        .map_or((INSTALL_ORDER.len(), kind), |rank| (rank, ""))
}

const NOTES: &str = "NOTES.txt";

/// Files of `crds/`, those of the dependencies that take part after the chart's own.
fn collect_crds(active: &Active<'_>, path: &str, crds: &mut Vec<(String, String)>) {
    for file in active.chart.crd_files() {
        let text = String::from_utf8_lossy(&file.data).into_owned();
        crds.push((format!("{path}/{}", file.name), text));
    }
    for child in &active.children {
        collect_crds(child, &format!("{path}/charts/{}", child.name()), crds);
    }
}

pub(super) fn assemble(
    active: &Active<'_>,
    files: Vec<(Arc<str>, Text)>,
    values: Value,
    warnings: Vec<String>,
) -> Result<Rendered, RenderError> {
    let notes_path = format!("{}/templates/{NOTES}", active.name());
    let mut notes = None;
    let mut documents = Vec::with_capacity(files.len());
    for (path, text) in files {
        if path.ends_with(NOTES) {
            if path.as_ref() == notes_path {
                notes = Some(text.lossy().into_owned());
            }
        } else {
            documents.push((path, text));
        }
    }
    documents.sort_by(|one, other| one.0.cmp(&other.0));
    let mut manifests = Vec::new();
    for (path, text) in documents {
        for document in split(&readable(&path, &text)?) {
            if let Some(manifest) = read_head(&path, document)? {
                manifests.push(manifest);
            }
        }
    }
    manifests.sort_by(|one, other| {
        one.hook
            .is_some()
            .cmp(&other.hook.is_some())
            .then_with(|| install_rank(&one.kind).cmp(&install_rank(&other.kind)))
    });
    let mut crds = Vec::new();
    collect_crds(active, active.name(), &mut crds);
    Ok(Rendered {
        manifests,
        notes,
        values,
        chart_values: active.values.as_ref().clone(),
        chart_metadata: active.metadata.clone(),
        crds,
        warnings,
    })
}

fn readable(path: &str, text: &Text) -> Result<Arc<str>, RenderError> {
    match text {
        Text::Utf8(text) => Ok(Arc::clone(text)),
        Text::Raw(bytes) => {
            let error = yaml::YamlError::not_utf8(bytes)
                .unwrap_or_else(|| yaml::YamlError::new("invalid leading UTF-8 octet"));
            Err(RenderError::yaml(path, &error, &text.lossy()))
        }
    }
}

/// The documents of a template's output: separated by lines that begin with three hyphens, blanks
/// before each removed, empty ones left out.
pub(super) fn split(text: &str) -> Vec<&str> {
    let text = text.trim_start();
    let mut documents = Vec::new();
    let mut start = 0;
    let mut line_start = 0;
    for line in text.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix("---") {
            documents.push(&text[start..line_start]);
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            start = line_start + 3 + blanks;
        }
        line_start += line.len();
    }
    documents.push(&text[start..]);
    documents
        .into_iter()
        .map(str::trim_start)
        .filter(|text| !text.trim().is_empty())
        .collect()
}

/// A field of the head that is of a type which Helm cannot read.
fn wrong_head(value: &Value) -> Option<(String, &Value, &'static str)> {
    let wrong_text = |value: Option<&'_ Value>| {
        value.is_some_and(|found| matches!(found, Value::List(_) | Value::Map(_)))
    };
    let wrong_map = |value: Option<&'_ Value>| {
        value.is_some_and(|found| !matches!(found, Value::Map(_) | Value::Null))
    };
    for (key, field) in [("apiVersion", ".apiVersion"), ("kind", ".kind")] {
        if wrong_text(value.get(key)) {
            return value
                .get(key)
                .map(|found| (field.to_owned(), found, "string"));
        }
    }
    let metadata = value.get("metadata");
    if wrong_map(metadata) {
        let wanted = "struct { Name string \"json:\\\"name\\\"\"; Annotations \
                      map[string]string \"json:\\\"annotations\\\"\" }";
        return metadata.map(|found| (".metadata".to_owned(), found, wanted));
    }
    let name = metadata.and_then(|metadata| metadata.get("name"));
    if wrong_text(name) {
        return name.map(|found| (".metadata.name".to_owned(), found, "string"));
    }
    let annotations = metadata.and_then(|metadata| metadata.get("annotations"));
    if wrong_map(annotations) {
        let wanted = "map[string]string";
        return annotations.map(|found| (".metadata.annotations".to_owned(), found, wanted));
    }
    annotations
        .and_then(Value::as_map)
        .and_then(|entries| entries.iter().find(|(_, entry)| wrong_text(Some(entry))))
        .map(|(key, found)| (format!(".metadata.annotations.{key}"), found, "string"))
}

fn read_head(path: &str, document: &str) -> Result<Option<Manifest>, RenderError> {
    let value = yaml::parse(document).map_err(|error| RenderError::yaml(path, &error, document))?;
    if !matches!(value, Value::Map(_) | Value::Null) {
        let found = value.json_type();
        let why = format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go \
             value of type util.SimpleHead"
        );
        return Err(RenderError::manifest_type(path, &why, document));
    }
    let text = |value: Option<&Value>| value.and_then(crate::chart::typed_text).unwrap_or_default();
    if let Some((field, found, wanted)) = wrong_head(&value) {
        let found = found.json_type();
        let why = format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go \
             struct field {field} of type {wanted}"
        );
        return Err(RenderError::manifest_type(path, &why, document));
    }
    let metadata = value.get("metadata");
    let annotations = metadata.and_then(|metadata| metadata.get("annotations"));
    let annotation = |name: &str| {
        annotations
            .and_then(|found| found.get(name))
            .map(|found| text(Some(found)))
    };
    let hook = match annotation("helm.sh/hook") {
        None => None,
        Some(events) => {
            let events: Option<Vec<HookEvent>> = events
                .split(',')
                .map(|event| HookEvent::parse(&event.trim().to_lowercase()))
                .collect();
            // A document with an event that Helm does not know is left out.
            let Some(events) = events else {
                return Ok(None);
            };
            let policies = |name: &str| -> Vec<String> {
                annotation(name).map_or_else(Vec::new, |list| {
                    list.split(',')
                        .map(|policy| policy.trim().to_lowercase())
                        .collect()
                })
            };
            let weight = annotation("helm.sh/hook-weight").and_then(|text| text.parse().ok());
            Some(Hook {
                events,
                weight: weight.unwrap_or(0),
                delete_policies: policies("helm.sh/hook-delete-policy"),
                output_log_policies: policies("helm.sh/hook-output-log-policy"),
            })
        }
    };
    Ok(Some(Manifest {
        source_template: path.to_owned(),
        api_version: text(value.get("apiVersion")),
        kind: text(value.get("kind")),
        name: text(metadata.and_then(|metadata| metadata.get("name"))),
        text: document.to_owned(),
        hook,
    }))
}
