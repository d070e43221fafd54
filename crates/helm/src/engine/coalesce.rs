//! Coalescing: the defaults of a chart and its subcharts below the values of the user, globals
//! copied down, nulls removing keys.
//!
//! Tables are shared between the results exactly where Helm shares them, since templates can change
//! a map with `set` and see the change elsewhere.

use std::collections::BTreeMap;

use super::RenderError;
use super::active::Active;
use crate::go::format::to_text;
use crate::go::text::Text;
use crate::go::value::{Map, Value};

pub(super) const GLOBAL: &str = "global";

type Warnings = Vec<String>;

fn prefixed(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        key.to_owned()
    } else {
        format!("{prefix}.{key}")
    }
}

/// The values of a chart with everything below it; nulls given by the user remove keys.
pub(super) fn coalesce_values(
    chart: &Active<'_>,
    values: &Map,
    warnings: &mut Warnings,
) -> Result<Map, RenderError> {
    start(chart, values, false, warnings)
}

/// As [`coalesce_values`], but nulls are kept.
pub(super) fn merge_values(
    chart: &Active<'_>,
    values: &Map,
    warnings: &mut Warnings,
) -> Result<Map, RenderError> {
    start(chart, values, true, warnings)
}

fn start(
    chart: &Active<'_>,
    values: &Map,
    merge: bool,
    warnings: &mut Warnings,
) -> Result<Map, RenderError> {
    let copy = deep_copy(values);
    coalesce(chart, &copy, "", merge, warnings)?;
    Ok(copy)
}

pub(super) fn deep_copy(map: &Map) -> Map {
    match Value::Map(map.clone()).deep_copy() {
        Value::Map(copy) => copy,
        _ => Map::new(BTreeMap::new()),
    }
}

fn coalesce(
    chart: &Active<'_>,
    target: &Map,
    prefix: &str,
    merge: bool,
    warnings: &mut Warnings,
) -> Result<(), RenderError> {
    coalesce_defaults(chart, target, prefix, merge, warnings);
    coalesce_subcharts(chart, target, prefix, merge, warnings)
}

fn coalesce_subcharts(
    chart: &Active<'_>,
    target: &Map,
    prefix: &str,
    merge: bool,
    warnings: &mut Warnings,
) -> Result<(), RenderError> {
    for child in &chart.children {
        let name = child.name();
        let below = match target.get(name) {
            None => {
                let below = Map::new(BTreeMap::new());
                target.insert(name, Value::Map(below.clone()));
                below
            }
            Some(Value::Map(below)) => below,
            Some(other) => {
                // Helm prints the value with a verb that only fits booleans.
                let shown = crate::go::format::sprintf(b"%t", &[other]);
                return Err(RenderError::message(format!(
                    "type mismatch on {name}: {}",
                    shown.lossy()
                )));
            }
        };
        let prefix = prefixed(prefix, chart.name());
        coalesce_globals(&below, target, &prefix, warnings);
        coalesce(child, &below, &prefix, merge, warnings)?;
    }
    Ok(())
}

fn coalesce_globals(target: &Map, source: &Map, prefix: &str, warnings: &mut Warnings) {
    let globals = |map: &Map| match map.get(GLOBAL) {
        None => Some(Map::new(BTreeMap::new())),
        Some(Value::Map(globals)) => Some(globals),
        Some(_) => None,
    };
    let Some(below) = globals(target) else {
        warnings.push(
            "warning: skipping globals because destination global is not a table.".to_owned(),
        );
        return;
    };
    let Some(above) = globals(source) else {
        warnings.push("warning: skipping globals because source global is not a table.".to_owned());
        return;
    };
    for (key, value) in above.snapshot() {
        let name = key.lossy().into_owned();
        let old = below.get(&name);
        match (value, old) {
            (Value::Map(table), None) => below.insert(key, Value::Map(shallow_copy(&table))),
            (Value::Map(table), Some(Value::Map(old))) => {
                let merged = shallow_copy(&table);
                coalesce_tables(&merged, &old, &prefixed(prefix, &name), true, warnings);
                below.insert(key, Value::Map(merged));
            }
            (Value::Map(_), Some(_)) => warnings.push(format!(
                "Conflict: cannot merge map onto non-map for \"{name}\". Skipping."
            )),
            (_, Some(Value::Map(_))) => warnings.push(format!("key {name} is table. Skipping")),
            (value, _) => below.insert(key, value),
        }
    }
    target.insert(GLOBAL, Value::Map(below));
}

fn shallow_copy(map: &Map) -> Map {
    Map::new(map.borrow().clone())
}

fn coalesce_defaults(
    chart: &Active<'_>,
    target: &Map,
    prefix: &str,
    merge: bool,
    warnings: &mut Warnings,
) {
    let prefix = prefixed(prefix, chart.name());
    let Value::Map(defaults) = Value::from(chart.values.as_ref()) else {
        return;
    };
    for (key, value) in defaults.snapshot() {
        let name = key.lossy().into_owned();
        let given = target.borrow().get(key.as_bytes()).cloned();
        match given {
            Some(Value::Nil) if !merge => {
                target.borrow_mut().remove(key.as_bytes());
            }
            Some(Value::Map(given)) => match value {
                Value::Map(defaults) => {
                    let is_child = chart.children.iter().any(|child| child.name() == name);
                    let merge = merge || is_child;
                    if !merge {
                        remove_nulls(&defaults);
                    }
                    let path = prefixed(&prefix, &name);
                    coalesce_tables(&given, &defaults, &path, merge, warnings);
                }
                Value::Nil => {}
                _ => warnings.push(format!(
                    "warning: skipped value for {prefix}.{name}: Not a table."
                )),
            },
            Some(_) => {}
            None => {
                if !merge {
                    match &value {
                        Value::Nil => continue,
                        Value::Map(table) => remove_nulls(table),
                        _ => {}
                    }
                }
                target.insert(key, value);
            }
        }
    }
}

/// As [`coalesce_tables`] from outside, nulls kept.
pub(super) fn merge_tables(target: &Map, source: &Map, warnings: &mut Warnings) {
    coalesce_tables(target, source, "", true, warnings);
}

fn coalesce_tables(target: &Map, source: &Map, prefix: &str, merge: bool, warnings: &mut Warnings) {
    if target.is_same(source) {
        return;
    }
    let had_value: Vec<Text> = source
        .borrow()
        .iter()
        .filter(|(_, value)| !value.is_nil())
        .map(|(key, _)| key.clone())
        .collect();
    for (key, value) in target.snapshot() {
        if value.is_nil() {
            source.insert(key, Value::Nil);
        }
    }
    for (key, value) in source.snapshot() {
        let name = key.lossy().into_owned();
        let old = target.borrow().get(key.as_bytes()).cloned();
        let path = prefixed(prefix, &name);
        match (old, value) {
            (Some(Value::Nil), _) if !merge && had_value.binary_search(&key).is_ok() => {
                target.borrow_mut().remove(key.as_bytes());
            }
            (None, value) => target.insert(key, value),
            (Some(Value::Map(old)), Value::Map(new)) => {
                coalesce_tables(&old, &new, &path, merge, warnings);
            }
            (Some(_), new @ Value::Map(_)) => {
                let shown = to_text(&new);
                warnings.push(format!(
                    "warning: cannot overwrite table with non table for {path} ({})",
                    shown.lossy()
                ));
            }
            (Some(Value::Map(_)), new) if !new.is_nil() => {
                let shown = to_text(&new);
                warnings.push(format!(
                    "warning: destination for {path} is a table. Ignoring non-table value ({})",
                    shown.lossy()
                ));
            }
            (Some(_), _) => {}
        }
    }
}

fn remove_nulls(map: &Map) {
    for (key, value) in map.snapshot() {
        match value {
            Value::Nil => {
                map.borrow_mut().remove(key.as_bytes());
            }
            Value::Map(table) => remove_nulls(&table),
            _ => {}
        }
    }
}
