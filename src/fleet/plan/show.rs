//! A plan as text for people.

use anstyle::{AnsiColor, Style};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::fleet::plan::actions::{Action, Reason};
use crate::fleet::plan::changes::{Change, FieldChange, Nature};

const ADDED: Style = AnsiColor::Green.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();
const CHANGED: Style = AnsiColor::Yellow.on_default();

/// Most lines of one text field that are shown.
const MOST_LINES: usize = 60;

/// Resources and fields, two blanks before each line; empty without changes.
pub fn changes(changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes {
        let (style, sign) = match change.nature {
            Nature::Added => (ADDED, '+'),
            Nature::Removed => (REMOVED, '-'),
            Nature::Changed => (CHANGED, '~'),
        };
        text.push_str(&format!("  {style}{sign} {}{style:#}\n", change.resource));
        for field in &change.fields {
            text.push_str(&field_change(field));
        }
    }
    text
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
    const LONGEST: usize = 120;
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = printable(&text);
    if text.chars().count() > LONGEST {
        let cut: String = text.chars().take(LONGEST).collect();
        format!("{cut}…")
    } else if text.is_empty() {
        "\"\"".to_owned()
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
