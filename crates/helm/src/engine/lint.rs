//! Rendering for lint: every template's own output, `required` and `fail` forgiven.

use std::collections::BTreeMap;

use jiff::Zoned;

use super::{Active, ReleaseOptions, RenderError, coalesce, dependencies, dot, execute_all_with};
use crate::capabilities::Capabilities;
use crate::chart::Chart;
use crate::go::value::{Map, Value};
use crate::limits::Limits;
use crate::template::exec::Runtime;
use crate::yaml;

/// Renders a chart and gives path and output of each template.
///
/// Missing dependencies and the Kubernetes version of the chart do not matter; the schema does unless skipped.
pub(crate) fn render_for_lint(
    chart: &Chart,
    values: &yaml::Value,
    namespace: &str,
    capabilities: &Capabilities,
    limits: &Limits,
    now: Zoned,
    skip_schema: bool,
) -> Result<Vec<(String, String)>, RenderError> {
    super::with_large_stack(|| {
        let options = ReleaseOptions::install("test-release", namespace, now);
        render_here(chart, values, &options, capabilities, limits, skip_schema)
    })?
}

fn render_here(
    chart: &Chart,
    values: &yaml::Value,
    options: &ReleaseOptions,
    capabilities: &Capabilities,
    limits: &Limits,
    skip_schema: bool,
) -> Result<Vec<(String, String)>, RenderError> {
    let user_values = match Value::from(values) {
        Value::Map(map) => map,
        _ => Map::new(BTreeMap::new()),
    };
    let mut warnings = Vec::new();
    let mut active = Active::new(chart);
    dependencies::process(&mut active, &user_values, &mut warnings)?;
    let coalesced = coalesce::coalesce_values(&active, &user_values, &mut warnings)?;
    if !skip_schema {
        let merged = Value::Map(coalesced.clone()).to_plain();
        let violations = dot::check_schemas(&active, &merged);
        if !violations.is_empty() {
            return Err(RenderError::schema(violations));
        }
    }
    let runtime = Runtime::new(*limits, options.now.clone()).forgiving();
    let files = execute_all_with(&runtime, &active, &coalesced, options, capabilities)?;
    Ok(files
        .into_iter()
        .map(|(path, text)| (path.to_string(), text.lossy().into_owned()))
        .collect())
}
