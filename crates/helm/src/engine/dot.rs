//! What templates are given: `.Values`, `.Chart`, `.Release`, `.Files` and so on, for each chart.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::active::Active;
use super::{ReleaseOptions, Renderable};
use crate::capabilities::Capabilities;
use crate::chart::{Dependency, ImportValue, Maintainer, Metadata};
use crate::go::objects::Object;
use crate::go::text::Text;
use crate::go::value::{Entries, Map, MapType, Value};
use crate::schema::SchemaViolation;
use crate::yaml;

/// What all charts of a release have in common.
pub(super) struct Shared {
    release: Value,
    capabilities: Value,
}

fn entry(key: &str, value: Value) -> (Text, Value) {
    (Text::from(key), value)
}

fn text(key: &str, value: &str) -> (Text, Value) {
    entry(key, Value::str(value))
}

impl Shared {
    pub(super) fn new(options: &ReleaseOptions, capabilities: Rc<Capabilities>) -> Self {
        let release = Value::map(Entries::from([
            text("Name", &options.name),
            text("Namespace", &options.namespace),
            entry("IsUpgrade", Value::Bool(options.is_upgrade)),
            entry("IsInstall", Value::Bool(!options.is_upgrade)),
            entry("Revision", Value::int(options.revision)),
            text("Service", "Helm"),
        ]));
        Self {
            release,
            capabilities: Object::Capabilities(capabilities).into(),
        }
    }
}

/// Collects the templates of a chart and of those below it; gives the chart's own dot.
pub(super) fn collect<'c>(
    chart: &Active<'c>,
    parent: Option<&str>,
    values: &Map,
    shared: &Shared,
    renderables: &mut BTreeMap<Arc<str>, Renderable<'c>>,
) -> Map {
    let path = match parent {
        None => chart.name().to_owned(),
        Some(parent) => format!("{parent}/charts/{}", chart.name()),
    };
    let files = chart
        .chart
        .files
        .iter()
        .map(|file| (Arc::clone(&file.name), Arc::clone(&file.data)))
        .collect();
    let subcharts = Map::new(Entries::new());
    let dot = Map::typed(
        Entries::from([
            entry("Chart", chart_map(&chart.metadata, parent.is_none())),
            entry("Files", Object::Files(Rc::new(files)).into()),
            entry("Release", shared.release.clone()),
            entry("Capabilities", shared.capabilities.clone()),
            entry("Values", Value::Map(values.as_type(MapType::Values))),
            entry("Subcharts", Value::Map(subcharts.clone())),
        ]),
        // Only the dot of the whole is of this type in Helm; none of the others is ever printed.
        MapType::Any,
    );
    for child in &chart.children {
        let below = match values.get(child.name()) {
            Some(Value::Map(below)) => below,
            _ => Map::new(Entries::new()),
        };
        let child_dot = collect(child, Some(&path), &below, shared, renderables);
        subcharts.insert(child.name(), Value::Map(child_dot));
    }
    for template in &chart.chart.templates {
        let file_name = template.file.name.rsplit('/').next().unwrap_or_default();
        if chart.chart.is_library() && !file_name.starts_with('_') {
            continue;
        }
        let name = crate::functions::clean_path(&format!("{path}/{}", template.file.name));
        renderables.insert(
            name.into(),
            Renderable {
                template,
                dot: dot.as_type(MapType::Values),
                base_path: format!("{path}/templates"),
            },
        );
    }
    dot
}

fn chart_map(metadata: &Metadata, is_root: bool) -> Value {
    let texts = |items: &[String]| {
        Value::list(items.iter().map(|item| Value::str(item.as_str())).collect())
    };
    let annotations = match &metadata.annotations {
        None => Map::typed(Entries::new(), MapType::NilStr),
        Some(annotations) => Map::typed(
            annotations
                .iter()
                .map(|(key, value)| text(key, value))
                .collect(),
            MapType::Str,
        ),
    };
    Value::map(Entries::from([
        text("Name", &metadata.name),
        text("Home", &metadata.home),
        entry("Sources", texts(&metadata.sources)),
        text("Version", &metadata.version),
        text("Description", &metadata.description),
        entry("Keywords", texts(&metadata.keywords)),
        entry(
            "Maintainers",
            Value::list(metadata.maintainers.iter().map(maintainer).collect()),
        ),
        text("Icon", &metadata.icon),
        text("APIVersion", &metadata.api_version),
        text("Condition", &metadata.condition),
        text("Tags", &metadata.tags),
        text("AppVersion", &metadata.app_version),
        entry("Deprecated", Value::Bool(metadata.deprecated)),
        entry("Annotations", Value::Map(annotations)),
        text("KubeVersion", &metadata.kube_version),
        entry(
            "Dependencies",
            Value::list(metadata.dependencies.iter().map(dependency).collect()),
        ),
        text("Type", &metadata.chart_type),
        entry("IsRoot", Value::Bool(is_root)),
    ]))
}

fn maintainer(maintainer: &Maintainer) -> Value {
    Value::map(Entries::from([
        text("Name", &maintainer.name),
        text("Email", &maintainer.email),
        text("URL", &maintainer.url),
    ]))
}

fn dependency(dependency: &Dependency) -> Value {
    let imports = dependency.import_values.iter().map(|import| match import {
        ImportValue::Exported(name) => Value::str(name.as_str()),
        ImportValue::Table { child, parent } => Value::Map(Map::typed(
            Entries::from([text("child", child), text("parent", parent)]),
            MapType::Str,
        )),
    });
    let tags = dependency.tags.iter().map(|tag| Value::str(tag.as_str()));
    Value::map(Entries::from([
        text("Name", &dependency.name),
        text("Version", &dependency.version),
        text("Repository", &dependency.repository),
        text("Condition", &dependency.condition),
        entry("Tags", Value::list(tags.collect())),
        entry("Enabled", Value::Bool(dependency.enabled)),
        entry("ImportValues", Value::list(imports.collect())),
        text("Alias", &dependency.alias),
    ]))
}

/// Checks the values of a chart and of those below it against their schemas.
pub(super) fn check_schemas(chart: &Active<'_>, values: &yaml::Value) -> Vec<SchemaViolation> {
    let mut violations = Vec::new();
    if let Some(schema) = &chart.chart.schema {
        violations.extend(schema.check(chart.name(), values));
    }
    for child in &chart.children {
        match values.get(child.name()) {
            None | Some(yaml::Value::Null) => {}
            Some(below @ yaml::Value::Map(_)) => violations.extend(check_schemas(child, below)),
            Some(_) => violations.push(SchemaViolation::new(
                child.name(),
                Vec::new(),
                "invalid type for values: expected object (map)",
            )),
        }
    }
    violations
}
