//! Which dependencies take part, under which names, and which of their values the parent imports.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::RenderError;
use super::active::Active;
use super::coalesce::{coalesce_values, deep_copy, merge_tables, merge_values};
use crate::chart::{Dependency, ImportValue};
use crate::go::value::{Map, Value};
use crate::semantic_version::is_compatible;

type Warnings = Vec<String>;

pub(super) fn process(
    chart: &mut Active<'_>,
    values: &Map,
    warnings: &mut Warnings,
) -> Result<(), RenderError> {
    let failed = |error: RenderError| {
        RenderError::message(format!("chart dependencies processing failed: {error}"))
    };
    enable(chart, values, "", warnings).map_err(failed)?;
    import(chart, warnings).map_err(failed)
}

/// Applies aliases, tags and conditions, here and below.
fn enable(
    chart: &mut Active<'_>,
    values: &Map,
    path: &str,
    warnings: &mut Warnings,
) -> Result<(), RenderError> {
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    let children = std::mem::take(&mut chart.children);
    let fits = |child: &Active<'_>, declared: &Dependency| {
        child.name() == declared.name && is_compatible(&declared.version, &child.metadata.version)
    };
    // Undeclared charts first, then the declared ones in the order of Chart.yaml.
    let mut taking_part: Vec<Active<'_>> = children
        .iter()
        .filter(|child| {
            !chart
                .metadata
                .dependencies
                .iter()
                .any(|declared| fits(child, declared))
        })
        .cloned()
        .collect();
    for declared in &mut chart.metadata.dependencies {
        if let Some(child) = children.iter().find(|child| fits(child, declared)) {
            let mut child = child.clone();
            if !declared.alias.is_empty() {
                child.metadata.name.clone_from(&declared.alias);
            }
            taking_part.push(child);
        }
        if !declared.alias.is_empty() {
            declared.name.clone_from(&declared.alias);
        }
        declared.enabled = true;
    }
    chart.children = taking_part;
    let coalesced = coalesce_values(chart, values, warnings)?;
    for declared in &mut chart.metadata.dependencies {
        apply_tags(declared, &coalesced, warnings);
    }
    for declared in &mut chart.metadata.dependencies {
        apply_conditions(declared, &coalesced, path, warnings);
    }
    let off: Vec<String> = chart
        .metadata
        .dependencies
        .iter()
        .filter(|declared| !declared.enabled)
        .map(|declared| declared.name.clone())
        .collect();
    chart
        .children
        .retain(|child| !off.iter().any(|name| name == child.name()));
    chart
        .metadata
        .dependencies
        .retain(|declared| !off.contains(&declared.name));
    for child in &mut chart.children {
        let path = format!("{path}{}.", child.name());
        enable(child, &coalesced, &path, warnings)?;
    }
    Ok(())
}

fn apply_tags(declared: &mut Dependency, values: &Map, warnings: &mut Warnings) {
    let Some(Value::Map(tags)) = values.get("tags") else {
        return;
    };
    let (mut on, mut off) = (false, false);
    for tag in &declared.tags {
        match tags.get(tag) {
            None => {}
            Some(Value::Bool(true)) => on = true,
            Some(Value::Bool(false)) => off = true,
            Some(_) => {
                let name = &declared.name;
                warnings.push(format!("tag `{tag}` of chart `{name}` is not a boolean"));
            }
        }
    }
    declared.enabled = on || !off;
}

fn apply_conditions(declared: &mut Dependency, values: &Map, path: &str, warnings: &mut Warnings) {
    for condition in declared
        .condition
        .trim()
        .split(',')
        .filter(|part| !part.is_empty())
    {
        match value_at(values, &format!("{path}{condition}")) {
            Some(Value::Bool(enabled)) => {
                declared.enabled = enabled;
                return;
            }
            Some(_) => {
                let name = &declared.name;
                warnings.push(format!(
                    "condition `{condition}` of chart `{name}` is not a boolean"
                ));
            }
            None => {}
        }
    }
}

/// A value that is no table.
fn value_at(values: &Map, path: &str) -> Option<Value> {
    let (table, key) = match path.rsplit_once('.') {
        Some((tables, key)) => (table_at(values, tables)?, key),
        None => (values.clone(), path),
    };
    table
        .get(key)
        .filter(|value| !matches!(value, Value::Map(_)))
}

fn table_at(values: &Map, path: &str) -> Option<Map> {
    path.split('.')
        .try_fold(values.clone(), |table, key| match table.get(key) {
            Some(Value::Map(below)) => Some(below),
            _ => None,
        })
}

fn import(chart: &mut Active<'_>, warnings: &mut Warnings) -> Result<(), RenderError> {
    for child in &mut chart.children {
        import(child, warnings)?;
    }
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    let values = merge_values(chart, &Map::new(BTreeMap::new()), warnings)?;
    let imported = Map::new(BTreeMap::new());
    for declared in &mut chart.metadata.dependencies {
        let name = declared.name.clone();
        for import in &mut declared.import_values {
            let (child, parent) = match import {
                ImportValue::Exported(name) => (format!("exports.{name}"), ".".to_owned()),
                ImportValue::Table { child, parent } => (child.clone(), parent.clone()),
            };
            *import = ImportValue::Table {
                child: child.clone(),
                parent: parent.clone(),
            };
            match table_at(&values, &format!("{name}.{child}")) {
                Some(table) => merge_tables(&imported, &at_path(&parent, table), warnings),
                None => warnings.push(format!(
                    "import-values: chart `{name}` has no table `{child}`"
                )),
            }
        }
    }
    // What the parent says itself wins over what it imports.
    let values = deep_copy(&values);
    merge_tables(&values, &imported, warnings);
    chart.values = Arc::new(Value::Map(values).to_plain());
    Ok(())
}

fn at_path(path: &str, table: Map) -> Map {
    if path == "." {
        return table;
    }
    path.split('.').rev().fold(table, |below, key| {
        Map::new(BTreeMap::from([(key.into(), Value::Map(below))]))
    })
}
