//! Renders a chart: dependencies decided, values coalesced, templates executed, manifests sorted.

mod active;
mod coalesce;
mod dependencies;
mod dot;
mod error;
mod lint;
mod manifest;
mod name;
mod options;
mod output;
mod stack;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use self::active::Active;
pub use self::error::RenderError;
pub(crate) use self::lint::render_for_lint;
pub use self::manifest::{Hook, HookEvent, Manifest, Rendered};
pub use self::name::release_name;
pub use self::options::{Release, ReleaseOptions, RenderOptions};
pub use self::output::TemplateOptions;
pub use self::stack::with_large_stack;
use crate::capabilities::Capabilities;
use crate::chart::{Chart, Template};
use crate::go::text::Text;
use crate::go::value::{Map, MapType, Value};
use crate::limits::Limits;
use crate::semantic_version::is_compatible;
use crate::template::exec::{Evaluated, Runtime, execute};
use crate::template::nested::without_no_value;
use crate::template::set::TemplateSet;
use crate::yaml;

/// Renders a chart for a release with the values given by the user.
///
/// # Errors
/// When the chart cannot be installed, a dependency is missing, the values do not fit the schema, a
/// template fails, or what a template wrote is not YAML.
pub fn render(
    chart: &Chart,
    values: &yaml::Value,
    options: &ReleaseOptions,
    capabilities: &Capabilities,
    limits: &Limits,
) -> Result<Rendered, RenderError> {
    let how = RenderOptions {
        limits: *limits,
        ..RenderOptions::default()
    };
    render_with(chart, values, options, capabilities, &how)
}

/// As [`render`], with everything that can be chosen.
///
/// # Errors
/// As [`render`].
pub fn render_with(
    chart: &Chart,
    values: &yaml::Value,
    options: &ReleaseOptions,
    capabilities: &Capabilities,
    how: &RenderOptions,
) -> Result<Rendered, RenderError> {
    stack::with_large_stack(|| {
        // One chart that brings the renderer down does not take those after it along.
        let here = || render_here(chart, values, options, capabilities, how);
        catch_unwind(AssertUnwindSafe(here)).unwrap_or_else(|_| Err(RenderError::crashed()))
    })?
}

fn render_here(
    chart: &Chart,
    values: &yaml::Value,
    options: &ReleaseOptions,
    capabilities: &Capabilities,
    how: &RenderOptions,
) -> Result<Rendered, RenderError> {
    check_installable(chart)?;
    let user_values = match Value::from(values) {
        Value::Map(map) => map,
        _ => Map::new(BTreeMap::new()),
    };
    let mut warnings = chart.warnings().to_vec();
    let mut active = Active::new(chart);
    dependencies::process(&mut active, &user_values, &mut warnings)?;
    let active = active;
    let coalesced = coalesce::coalesce_values(&active, &user_values, &mut warnings)?;
    // The merged values as they are before templates change them.
    let merged = Value::Map(coalesced.clone()).to_plain();
    let violations = if how.skip_schema_validation {
        Vec::new()
    } else {
        dot::check_schemas(&active, &merged)
    };
    if !violations.is_empty() {
        return Err(RenderError::schema(violations));
    }
    let kube_version = &chart.metadata.kube_version;
    let current = &capabilities.kube_version;
    if !kube_version.is_empty() && !is_compatible(kube_version, &current.normalized) {
        return Err(RenderError::kube_version(format!(
            "chart requires kubeVersion: {kube_version} which is incompatible with Kubernetes {}",
            current.version
        )));
    }
    let files = execute_all(&active, &coalesced, options, capabilities, how)?;
    manifest::assemble(&active, files, merged, warnings)
}

fn check_installable(chart: &Chart) -> Result<(), RenderError> {
    let kind = &chart.metadata.chart_type;
    if !matches!(kind.as_str(), "" | "application") {
        return Err(RenderError::message(format!(
            "{kind} charts are not installable"
        )));
    }
    let missing = chart.missing_dependencies();
    if !missing.is_empty() {
        return Err(RenderError::missing_dependencies(&missing));
    }
    Ok(())
}

/// A template with what it is given.
struct Renderable<'c> {
    template: &'c Template,
    dot: Map,
    base_path: String,
}

fn execute_all(
    active: &Active<'_>,
    values: &Map,
    options: &ReleaseOptions,
    capabilities: &Capabilities,
    how: &RenderOptions,
) -> Result<Vec<(Arc<str>, Text)>, RenderError> {
    let runtime = Runtime::new(how.limits, options.now.clone()).looking_up(how.lookup.clone());
    execute_all_with(&runtime, active, values, options, capabilities)
}

fn execute_all_with(
    runtime: &Runtime,
    active: &Active<'_>,
    values: &Map,
    options: &ReleaseOptions,
    capabilities: &Capabilities,
) -> Result<Vec<(Arc<str>, Text)>, RenderError> {
    let mut renderables = BTreeMap::new();
    let shared = dot::Shared::new(options, Rc::new(capabilities.clone()));
    dot::collect(active, None, values, &shared, &mut renderables);
    let mut names: Vec<&Arc<str>> = renderables.keys().collect();
    // Deep paths first, so that what is defined nearer to the root comes later and wins.
    names.sort_by(|one, other| {
        let depth = |name: &str| name.matches('/').count();
        (depth(other), other).cmp(&(depth(one), one))
    });
    let mut set = TemplateSet::default();
    for &name in &names {
        if let Some(renderable) = renderables.get(name) {
            match renderable.template.parsed.as_ref() {
                Ok(parsed) => set.add(name, parsed),
                Err(error) => {
                    let source = String::from_utf8_lossy(&renderable.template.file.data);
                    return Err(RenderError::parse(name, error, &source));
                }
            }
        }
    }
    let mut rendered = Vec::with_capacity(names.len());
    for name in names {
        let is_partial = name
            .rsplit('/')
            .next()
            .is_some_and(|file| file.starts_with('_'));
        let Some(renderable) = renderables.get(name).filter(|_| !is_partial) else {
            continue;
        };
        let about = Map::typed(
            BTreeMap::from([
                (Text::from("Name"), Value::str(Arc::clone(name))),
                (
                    Text::from("BasePath"),
                    Value::str(renderable.base_path.as_str()),
                ),
            ]),
            MapType::Values,
        );
        renderable.dot.insert("Template", Value::Map(about));
        let data = Evaluated::bare(Value::Map(renderable.dot.clone()));
        let output = execute(runtime, &set, &Text::Utf8(Arc::clone(name)), &data)
            .map_err(|error| RenderError::execution(&error))?;
        rendered.push((Arc::clone(name), without_no_value(Text::from_bytes(output))));
    }
    Ok(rendered)
}

#[cfg(test)]
mod tests;
