//! What is different in a definition, field by field.

use crate::config::{Action, Enabled, LeafConfig, Notes, TitleDetail};
use crate::wire::config::write_date;

/// A field that is different, with its values as people read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// Its name in messages and in YAML.
    pub field: &'static str,
    /// What is on the bus; empty for nothing.
    pub before: String,
    /// What is wanted; empty for nothing.
    pub after: String,
}

pub(crate) fn of_leaf(before: &LeafConfig, after: &LeafConfig) -> Vec<FieldChange> {
    let one = [
        (
            "description",
            before.description.clone(),
            after.description.clone(),
        ),
        ("enabled", enabled(before.enabled), enabled(after.enabled)),
        (
            "latching",
            before.latching.to_string(),
            after.latching.to_string(),
        ),
        (
            "annunciating",
            before.annunciating.to_string(),
            after.annunciating.to_string(),
        ),
        ("delay", before.delay.to_string(), after.delay.to_string()),
        ("count", before.count.to_string(), after.count.to_string()),
        ("filter", before.filter.clone(), after.filter.clone()),
    ];
    let mut changes: Vec<FieldChange> = one
        .into_iter()
        .filter(|(_field, before, after)| before != after)
        .map(|(field, before, after)| FieldChange {
            field,
            before,
            after,
        })
        .collect();
    changes.extend(of_notes(&before.notes, &after.notes));
    changes
}

pub(crate) fn of_notes(before: &Notes, after: &Notes) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let lists = [
        ("guidance", &before.guidance, &after.guidance),
        ("displays", &before.displays, &after.displays),
        ("commands", &before.commands, &after.commands),
    ];
    for (field, before, after) in lists {
        if before != after {
            changes.push(FieldChange {
                field,
                before: titles(before),
                after: titles(after),
            });
        }
    }
    if before.actions != after.actions {
        changes.push(FieldChange {
            field: "actions",
            before: actions(&before.actions),
            after: actions(&after.actions),
        });
    }
    changes
}

fn enabled(enabled: Enabled) -> String {
    match enabled {
        Enabled::Yes => "true".to_owned(),
        Enabled::No => "false".to_owned(),
        Enabled::Until(date) => write_date(date),
    }
}

fn titles(items: &[TitleDetail]) -> String {
    let items = items.iter().map(|item| title(&item.title, &item.details));
    items.collect::<Vec<_>>().join("; ")
}

fn actions(items: &[Action]) -> String {
    let items = items.iter().map(|action| {
        let what = title(&action.title, &action.details);
        match action.delay {
            0 => what,
            delay => format!("{what} after {delay} s"),
        }
    });
    items.collect::<Vec<_>>().join("; ")
}

fn title(title: &str, details: &str) -> String {
    match (title.is_empty(), details.is_empty()) {
        (true, _) => details.to_owned(),
        (false, true) => title.to_owned(),
        (false, false) => format!("{title}: {details}"),
    }
}
