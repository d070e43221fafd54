//! Entries of the history for people, and as CSV.

use alarm_log::{Entry, Event, State};
use jiff::{Timestamp, Zoned};

use crate::commands::alarm::severity::{cell, paint_words};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::table::Table;

/// Width of the longest severity.
const EVENT: usize = "UNDEFINED_ACK".len();

/// A table of entries.
pub(super) fn table(entries: &[Entry], now: &Zoned) -> String {
    if entries.is_empty() {
        return "nothing was found\n".to_owned();
    }
    let mut table = Table::new(["TIME", "EVENT", "PATH", "DETAIL"]);
    for entry in entries {
        table.row([
            moment(entry.time, now),
            what(entry),
            cell(&entry.path),
            detail(entry, now),
        ]);
    }
    paint_words(&table.render())
}

/// One line.
pub(super) fn line(entry: &Entry, now: &Zoned) -> String {
    let line = format!(
        "{}  {:EVENT$}  {}  {}\n",
        moment(entry.time, now),
        what(entry),
        cell(&entry.path),
        detail(entry, now)
    );
    paint_words(&line)
}

/// With milliseconds: what belongs together often happens in one second.
fn moment(time: Timestamp, now: &Zoned) -> String {
    time.to_zoned(now.time_zone().clone())
        .strftime("%Y-%m-%d %H:%M:%S%.3f")
        .to_string()
}

fn what(entry: &Entry) -> String {
    match &entry.event {
        Event::State(state) => cell(state.severity.as_deref().unwrap_or("UNKNOWN")),
        Event::Command(command) => cell(&command.command),
        Event::Config(_) => "configured".to_owned(),
        Event::Deletion(deletion) if deletion.tombstone => "gone".to_owned(),
        Event::Deletion(_) => "deleted".to_owned(),
        Event::Talk(_) => "talk".to_owned(),
        Event::Gap(_) => "gap".to_owned(),
    }
}

fn detail(entry: &Entry, now: &Zoned) -> String {
    let event = &entry.event;
    match event {
        Event::State(state) => state_detail(state),
        Event::Command(_) | Event::Deletion(_) => who(event),
        Event::Config(config) => {
            let mut notes = vec![who(event)];
            match config.enabled.as_str() {
                "true" => {}
                "false" => notes.push("disabled".to_owned()),
                date => notes.push(format!("disabled until {}", cell(date))),
            }
            if !config.latching {
                notes.push("not latching".to_owned());
            }
            notes.retain(|note| !note.is_empty());
            notes.join(", ")
        }
        Event::Talk(talk) => cell(talk.talk.trim()),
        Event::Gap(gap) => {
            let since = gap
                .since
                .map(|since| format!(", written after {}", moment(since, now)))
                .unwrap_or_default();
            format!(
                "offsets {} to {} of `{}` were gone before they could be read: {} records at most{since}",
                entry.offset,
                gap.last,
                entry.topic,
                gap.at_most(entry.offset)
            )
        }
    }
}

fn state_detail(state: &State) -> String {
    let text = |text: &Option<String>| cell(text.as_deref().unwrap_or_default());
    let mut detail = format!("{} {}", text(&state.message), text(&state.value))
        .trim()
        .to_owned();
    if state.current_severity != state.severity || state.current_message != state.message {
        let now = format!(
            "{} {}",
            text(&state.current_severity),
            text(&state.current_message)
        );
        detail.push_str(&format!(", the PV is {}", now.trim()));
    }
    if let Some(mode) = &state.mode {
        detail.push_str(&format!(", {} mode", cell(mode)));
    }
    detail
}

fn who(event: &Event) -> String {
    match (event.user(), event.host()) {
        (Some(user), Some(host)) => format!("by {} on {}", cell(user), cell(host)),
        (Some(user), None) => format!("by {}", cell(user)),
        (None, Some(host)) => format!("on {}", cell(host)),
        (None, None) => String::new(),
    }
}

/// A table for spreadsheets: a column for each field, times in UTC.
pub(super) fn csv(entries: &[Entry]) -> CommandResult<String> {
    alarm_log::query::csv(entries).map_err(|error| {
        CommandError::new(ErrorKind::Internal, "failed to write the table").caused_by(error)
    })
}
