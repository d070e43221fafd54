//! A plan as text for people.

use anstyle::{AnsiColor, Style};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::fleet::plan::actions::{Action, Reason};
use crate::fleet::plan::changes::{Change, FieldChange, Nature};
use crate::fleet::plan::records::{FieldValue, RecordChange, Records};

const ADDED: Style = AnsiColor::Green.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();
const CHANGED: Style = AnsiColor::Yellow.on_default();

/// Most lines of one text field that are shown.
const MOST_LINES: usize = 60;

/// Most records, and most fields of one record, that are shown.
const MOST_RECORDS: usize = 40;
const MOST_FIELDS: usize = 8;

/// Resources and fields, two blanks before each line; empty without changes.
pub fn changes(changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes {
        let (style, sign) = mark(change.nature);
        text.push_str(&format!("  {style}{sign} {}{style:#}\n", change.resource));
        for field in &change.fields {
            text.push_str(&field_change(field));
        }
    }
    text
}

fn mark(nature: Nature) -> (Style, char) {
    match nature {
        Nature::Added => (ADDED, '+'),
        Nature::Removed => (REMOVED, '-'),
        Nature::Changed => (CHANGED, '~'),
    }
}

fn field_change(field: &FieldChange) -> String {
    let path = &field.path;
    match (&field.before, &field.after) {
        (Some(Value::String(before)), Some(Value::String(after)))
            if before.contains('\n') || after.contains('\n') =>
        {
            format!("      {path}:\n{}", lines(before, after))
        }
        (Some(before), Some(after)) => format!(
            "      {path}: {REMOVED}{}{REMOVED:#} -> {ADDED}{}{ADDED:#}\n",
            short(before),
            short(after)
        ),
        (None, Some(after)) => whole(path, after, ADDED, '+'),
        (Some(before), None) => whole(path, before, REMOVED, '-'),
        (None, None) => String::new(),
    }
}

fn whole(path: &str, value: &Value, style: Style, sign: char) -> String {
    match value {
        Value::String(text) if text.contains('\n') => {
            let lines = text.lines().count();
            format!("      {style}{sign} {path}: {lines} lines{style:#}\n")
        }
        other => format!("      {style}{sign} {path}: {}{style:#}\n", short(other)),
    }
}

/// The lines that differ, with two lines around them.
fn lines(before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let mut shown = Vec::new();
    for group in diff.grouped_ops(2) {
        if !shown.is_empty() {
            shown.push("          …\n".to_owned());
        }
        for change in group
            .iter()
            .flat_map(|operation| diff.iter_changes(operation))
        {
            let text = printable(change.value().trim_end_matches(['\n', '\r']));
            shown.push(match change.tag() {
                ChangeTag::Equal => format!("          {text}\n"),
                ChangeTag::Delete => format!("        {REMOVED}- {text}{REMOVED:#}\n"),
                ChangeTag::Insert => format!("        {ADDED}+ {text}{ADDED:#}\n"),
            });
        }
    }
    let left_out = shown.len().saturating_sub(MOST_LINES);
    shown.truncate(MOST_LINES);
    if left_out > 0 {
        shown.push(format!("          … {left_out} more lines\n"));
    }
    shown.concat()
}

/// A value on one line.
fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.is_empty() {
        "\"\"".to_owned()
    } else {
        cut(&text, 120)
    }
}

/// At most so many characters, none of them a control character.
fn cut(text: &str, longest: usize) -> String {
    let text = printable(text);
    if text.chars().count() > longest {
        let cut: String = text.chars().take(longest).collect();
        format!("{cut}…")
    } else {
        text
    }
}

/// Records that differ and what could not be compared, two blanks before each line; empty without any.
pub fn records(records: &Records) -> String {
    let mut text = String::new();
    let count = |nature| {
        let changes = records.changes.iter();
        changes.filter(|change| change.nature == nature).count()
    };
    let counts: Vec<String> = [
        (count(Nature::Changed), "changed"),
        (count(Nature::Removed), "removed"),
        (count(Nature::Added), "added"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    if !counts.is_empty() {
        text.push_str(&format!("  records: {}\n", counts.join(", ")));
    }
    for change in records.changes.iter().take(MOST_RECORDS) {
        text.push_str(&record(change));
    }
    match records.changes.len().saturating_sub(MOST_RECORDS) {
        0 => {}
        1 => text.push_str("    … and 1 more record\n"),
        more => text.push_str(&format!("    … and {more} more records\n")),
    }
    for line in &records.not_compared {
        text.push_str(&format!("  records not compared: {}\n", printable(line)));
    }
    text
}

fn record(change: &RecordChange) -> String {
    let (style, sign) = mark(change.nature);
    let (kind, name) = (printable(&change.record_type), printable(&change.name));
    let mut details: Vec<String> = match change.nature {
        Nature::Changed => change.fields.iter().map(record_field).collect(),
        // a name says little: with it comes what the record is
        Nature::Added | Nature::Removed => {
            let described = change.fields.iter().find(|field| field.field == "DESC");
            let value = described.and_then(|field| field.after.as_ref().or(field.before.as_ref()));
            value.map(|value| word(value)).into_iter().collect()
        }
    };
    let left_out = details.len().saturating_sub(MOST_FIELDS);
    details.truncate(MOST_FIELDS);
    if left_out > 0 {
        let fields = if left_out == 1 { "field" } else { "fields" };
        details.push(format!("… {left_out} more {fields}"));
    }
    let line = format!("    {style}{sign} record {kind} {name}{style:#}");
    if details.is_empty() {
        format!("{line}\n")
    } else {
        format!("{line}  {}\n", details.join(", "))
    }
}

fn record_field(field: &FieldValue) -> String {
    let name = printable(&field.field);
    match (&field.before, &field.after) {
        (Some(before), Some(after)) => format!(
            "{name} {REMOVED}{}{REMOVED:#} -> {ADDED}{}{ADDED:#}",
            word(before),
            word(after)
        ),
        (None, Some(after)) => format!("{ADDED}+{name} {}{ADDED:#}", word(after)),
        (Some(before), None) => format!("{REMOVED}-{name} {}{REMOVED:#}", word(before)),
        (None, None) => name,
    }
}

/// The value of a field of a record, in quotes where it would run into what follows.
fn word(value: &str) -> String {
    let text = cut(value, 60);
    if text.is_empty() || text.contains([' ', ',', '"']) {
        format!("\"{text}\"")
    } else {
        text
    }
}

/// Control characters from charts do not reach the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\t' => ' ',
            control if control.is_control() => '\u{fffd}',
            other => other,
        })
        .collect()
}

/// Actions in order, one line each, two blanks before each line.
pub fn actions(actions: &[Action]) -> String {
    let mut text = String::new();
    for action in actions {
        let (style, words) = action_words(action);
        text.push_str(&format!("  {style}{words}{style:#}\n"));
    }
    text
}

fn action_words(action: &Action) -> (Style, String) {
    match action {
        Action::Create { pod, containers } => {
            (ADDED, format!("start {pod} ({})", containers.join(", ")))
        }
        Action::Replace { pod, because, .. } => {
            let why = match because {
                Reason::Template => "its template changed",
                Reason::Image => "its image was built again",
                Reason::Incomplete => "it is not complete",
            };
            (CHANGED, format!("replace {pod}: {why}"))
        }
        Action::Keep { pod } => (Style::new(), format!("keep {pod}, it is not restarted")),
        Action::Start { pod } => (ADDED, format!("start {pod}, which does not run")),
        Action::Stop { pod } => (CHANGED, format!("stop {pod}")),
        Action::Remove { pod } => (REMOVED, format!("stop and remove {pod}")),
    }
}
