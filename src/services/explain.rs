//! What the chart engine says, in places and words of the user: files as they lie in the services repository,
//! the way through the templates, the nearest known value.

use std::path::{Path, PathBuf};

use helm::yaml::Value;
use helm::{Chart, ChartError, Location, RenderError, ValuesError};

use crate::diagnostic::{Diagnostic, Place};
use crate::services::error::ServicesError;
use crate::services::links;
use crate::services::render::ValueOverrides;
use crate::services::repository::Instance;
use crate::services::schema;
use crate::text;
use crate::yaml::tree::Tree;

/// Longest chain of templates that is shown.
const LONGEST_CHAIN: usize = 8;

/// A chart that cannot be loaded.
pub(super) fn chart(error: &ChartError, instance: &Instance) -> ServicesError {
    let folder = instance.folder();
    let finding = match error {
        ChartError::NoChartFile(path) => {
            Diagnostic::error("a chart without `Chart.yaml`").in_file(path)
        }
        ChartError::Yaml { file, source } => {
            let path = nice(&folder.join(file), instance);
            let text = fs_err::read_to_string(&path).unwrap_or_default();
            let place = if source.line == 0 {
                Place::file(path)
            } else {
                Place::in_text(path, &text, source.line, source.column, 1)
            };
            Diagnostic::error(source.message.clone()).at(place)
        }
        ChartError::Metadata { file, problem } => {
            Diagnostic::error(problem.clone()).in_file(&nice(&folder.join(file), instance))
        }
        ChartError::LinkOutside { link, target, .. } => {
            return links::outside(link, target).into();
        }
        other => {
            let mut message = other.to_string();
            let mut cause = std::error::Error::source(other);
            while let Some(error) = cause {
                message.push_str(&format!(": {error}"));
                cause = error.source();
            }
            Diagnostic::error(message).in_file(folder)
        }
    };
    match error.hint() {
        Some(hint) => finding.hint(hint).into(),
        None => finding.into(),
    }
}

/// Dependencies that `Chart.yaml` names and nobody vendored.
pub(super) fn missing(names: &[&str], instance: &Instance) -> Diagnostic {
    let path = nice(&instance.folder().join("Chart.yaml"), instance);
    let text = fs_err::read_to_string(&path).unwrap_or_default();
    let place = Tree::parse(&path, &text).ok().and_then(|tree| {
        let entry = tree.get(["dependencies"])?.items().find(|entry| {
            entry.child("name").and_then(|name| name.text()) == names.first().copied()
        })?;
        Some(entry.child("name")?.place())
    });
    let charts = instance.folder().join("charts");
    let shared = instance.repository().join(".helm-shared/charts");
    let is_shared = names.first().is_some_and(|name| shared.join(name).is_dir());
    let hint = if !charts.exists() && is_shared {
        format!(
            "link the vendored charts: `ln -s ../../.helm-shared/charts {}`",
            charts.display()
        )
    } else {
        format!(
            "nothing is downloaded by itself: run `ioc chart dependency build {}` once, or put the chart into `{}`",
            instance.folder().display(),
            charts.display()
        )
    };
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    Diagnostic::error(format!(
        "the chart needs {}, which is not vendored",
        names.join(", ")
    ))
    .at(place.unwrap_or_else(|| Place::file(path)))
    .hint(hint)
}

/// A `--set` that cannot be read.
pub(super) fn set(error: &ValuesError, expression: &str) -> Diagnostic {
    let why =
        std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    let option = match error {
        ValuesError::Set { option, .. } => option,
        _ => "--set",
    };
    Diagnostic::error(format!("`{option} {expression}` cannot be read: {why}"))
        .hint("write it as `a.b=value`, several with commas; `\\,` is a comma inside a value")
}

/// A chart that cannot be rendered.
pub(super) fn render(
    error: &RenderError,
    instance: &Instance,
    chart: &Chart,
    values: &Value,
    overrides: &ValueOverrides,
) -> ServicesError {
    if !error.violations().is_empty() {
        return violations(error, instance, chart, values, overrides);
    }
    let message = error.root_message();
    let Some(location) = error.location() else {
        return Diagnostic::error(message).in_file(instance.folder()).into();
    };
    if let Some(manifest) = error.manifest() {
        let path = PathBuf::from(format!("{} as rendered", location.file));
        let place = match error.line() {
            Some(line) => Place::in_text(path, manifest, line, error.column().unwrap_or(1), 1),
            None => Place::file(path),
        };
        return Diagnostic::error(format!("a template wrote what is not YAML: {message}"))
            .at(place)
            .hint(format!(
                "the template is `{}`",
                template_path(&location.file, instance).display()
            ))
            .into();
    }
    let mut message = message.to_owned();
    let chain: Vec<&Location> = error.chain().collect();
    if let Some((_, callers)) = chain.split_last()
        && !callers.is_empty()
    {
        message.push_str(&format!(" (called from {})", way(callers, instance)));
    }
    let column = error.column().unwrap_or(0);
    let length = location.expression.chars().count().max(1);
    let mut place = Place::file(template_path(&location.file, instance));
    place.line = location.line;
    place.column = column;
    place.length = length;
    place.text = Some(location.source_line.clone()).filter(|_| location.line > 0);
    let finding = Diagnostic::error(message).at(place);
    if error.root_message().starts_with("nil pointer evaluating") {
        let expression = &location.expression;
        return finding
            .hint(format!(
                "in `{expression}` something before the last name is not set: set it in the values, or give it a default in the chart"
            ))
            .into();
    }
    finding.into()
}

/// `a.yaml:1, b.tpl:7`, from the caller nearest to the failure outwards, each place once.
fn way(callers: &[&Location], instance: &Instance) -> String {
    let mut places: Vec<String> = Vec::new();
    for caller in callers.iter().rev() {
        let path = template_path(&caller.file, instance);
        let place = format!("{}:{}", path.display(), caller.line);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let more = places.len().saturating_sub(LONGEST_CHAIN);
    places.truncate(LONGEST_CHAIN);
    if more > 0 {
        places.push(format!("{more} more"));
    }
    places.join(", ")
}

/// What the schemas forbid: our own words with places, or those of the engine where ours have nothing to say.
fn violations(
    error: &RenderError,
    instance: &Instance,
    chart: &Chart,
    values: &Value,
    overrides: &ValueOverrides,
) -> ServicesError {
    let trees = trees(instance, overrides);
    let sections = schema::sections(chart);
    let sets = [&overrides.set, &overrides.set_string, &overrides.set_json];
    let origin = schema::Origin {
        trees: &trees,
        command_line: sets.iter().any(|set| !set.is_empty()),
    };
    let findings = schema::check(values, &sections, &origin);
    if !findings.is_empty() {
        return ServicesError::Findings(findings);
    }
    let own = error.violations().iter().map(|violation| {
        let mut path = Vec::new();
        if violation.chart != chart.name() {
            path.push(violation.chart.clone());
        }
        path.extend(violation.path.iter().cloned());
        Diagnostic::error(format!(
            "`{}`: {}",
            schema::dotted(&path),
            violation.message
        ))
        .at(schema::place(&path, &origin))
    });
    ServicesError::Findings(own.collect())
}

/// The value files with places, strongest first. One that cannot be read has been reported before.
fn trees(instance: &Instance, overrides: &ValueOverrides) -> Vec<Tree> {
    let own = instance.value_files();
    let files = overrides.files.iter().rev().chain(own.iter().rev());
    files
        .filter_map(|path| {
            let source = text::read(path, crate::yaml::LARGEST_FILE).ok()?;
            Tree::parse(path, &source).ok()
        })
        .collect()
}

/// Where a template of the chart lies: its name begins with that of the chart.
pub fn template_path(name: &str, instance: &Instance) -> PathBuf {
    let inner = name.split_once('/').map_or(name, |(_, inner)| inner);
    nice(&instance.folder().join(inner), instance)
}

/// A path without the links of the instance: `.helm-shared/templates/x.yaml` is the file to edit.
fn nice(path: &Path, instance: &Instance) -> PathBuf {
    let real = |path: &Path| fs_err::canonicalize(path).ok();
    let (Some(target), Ok(root)) = (real(path), links::root(instance)) else {
        return path.to_path_buf();
    };
    match target.strip_prefix(&root) {
        Ok(inside) => instance.repository().join(inside),
        Err(_) => path.to_path_buf(),
    }
}
