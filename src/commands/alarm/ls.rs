//! `ioc alarm ls`: alarms as a list.

use jiff::Zoned;

use crate::alarm::client::Wanted;
use crate::alarm::client::answers::{Item, Kind, Pv};
use crate::cli::alarm::operate::{LsArgs, Sort};
use crate::commands::alarm::reach::reach;
use crate::commands::alarm::severity::{cell, moment, paint_lines, rank};
use crate::commands::{Context, Outcome};
use crate::ui::error::CommandResult;
use crate::ui::table::Table;

/// Runs the command.
///
/// # Errors
///
/// No server, or its refusal.
pub(crate) async fn ls(args: &LsArgs, context: &Context) -> CommandResult<Outcome> {
    let reached = reach(&args.server, context)?;
    let is = [
        (args.active, "active"),
        (args.acknowledged, "acknowledged"),
        (args.disconnected, "disconnected"),
        (args.disabled, "disabled"),
        (args.shelved, "shelved"),
        (args.pending, "pending"),
    ]
    .into_iter()
    .find_map(|(is_wanted, name)| is_wanted.then_some(name));
    let wanted = Wanted {
        at: args.path.as_deref(),
        is,
        severity: args.severity.as_deref(),
        text: args.text.as_deref(),
        kind: Some(if args.groups { "group" } else { "pv" }),
    };
    let asked = reached.client.items(&wanted);
    let (mut items, _event) = reached.ask(asked, context).await?;
    let by_severity = args.active || args.acknowledged;
    match args.sort {
        Some(Sort::Tree) => {}
        None if !by_severity => {}
        Some(Sort::Time) => items.sort_by(|one, other| time(other).cmp(time(one))),
        Some(Sort::Severity) | None => items.sort_by(|one, other| {
            let ranks = rank(&one.severity).cmp(&rank(&other.severity));
            ranks.then_with(|| time(other).cmp(time(one)))
        }),
    }
    let now = Zoned::now();
    context.printer.emit_text(&items, |items| {
        if items.is_empty() {
            return String::new();
        }
        let table = if args.groups {
            groups(items)
        } else {
            pvs(items, &now)
        };
        paint_lines(&table.render())
    })?;
    if items.is_empty() {
        let what = match is {
            Some(_) if args.groups => "no group has such a PV",
            Some("active") => "no active alarms",
            Some("acknowledged") => "no acknowledged alarms",
            Some("disconnected") => "every PV is connected",
            Some("disabled") => "no PV is disabled",
            Some("shelved") => "no PV is shelved",
            Some("pending") => "no alarm waits for its delay",
            _ => "there is nothing to list",
        };
        context.printer.info(what);
    }
    Ok(Outcome::Success)
}

/// Times in RFC 3339 and UTC are in order as texts, but for fractions of seconds, which differ in length.
fn time(item: &Item) -> &str {
    item.pv()
        .and_then(|pv| pv.time.as_deref())
        .map_or("", |time| time.split(['.', 'Z']).next().unwrap_or(time))
}

fn pvs(items: &[Item], now: &Zoned) -> Table {
    let mut table = Table::new(["ALARM", "SINCE", "PATH", "MESSAGE", "VALUE", "NOW", "NOTE"]);
    for item in items {
        let Kind::Pv(pv) = &item.kind else { continue };
        table.row([
            item.severity.clone(),
            pv.time
                .as_deref()
                .map(|time| moment(time, now))
                .unwrap_or_default(),
            cell(&item.path),
            cell(&pv.message),
            cell(pv.value.as_deref().unwrap_or_default()),
            pv.current_severity.clone(),
            note(pv, now),
        ]);
    }
    table
}

fn groups(items: &[Item]) -> Table {
    let mut table = Table::new(["ALARM", "PATH", "PVS", "ALARMS"]).align_right(2);
    for item in items {
        let Kind::Group(group) = &item.kind else {
            continue;
        };
        let mut alarms: Vec<(&String, &u64)> = group.alarms.iter().collect();
        alarms.sort_by_key(|(severity, _count)| rank(severity));
        let alarms: Vec<String> = alarms
            .into_iter()
            .map(|(severity, count)| format!("{count} {severity}"))
            .collect();
        table.row([
            item.severity.clone(),
            cell(&item.path),
            group.pvs.to_string(),
            alarms.join(", "),
        ]);
    }
    table
}

/// What an operator has to know beside alarm and value.
pub(super) fn note(pv: &Pv, now: &Zoned) -> String {
    let mut notes = Vec::new();
    if let Some(shelved) = &pv.shelved {
        let until = shelved
            .until
            .as_deref()
            .map(|until| format!(" until {}", moment(until, now)));
        let reason = shelved
            .reason
            .as_deref()
            .map(|reason| format!(": {}", cell(reason)));
        notes.push(format!(
            "{} by {}{}{}",
            if until.is_some() {
                "shelved"
            } else {
                "disabled"
            },
            cell(&shelved.user),
            until.unwrap_or_default(),
            reason.unwrap_or_default()
        ));
    } else if let Some(at) = &pv.enabled_at {
        notes.push(format!("disabled until {}", moment(at, now)));
    } else if pv.filtered {
        notes.push("disabled by its filter".to_owned());
    } else if !pv.enabled {
        notes.push("disabled".to_owned());
    }
    match pv.connection.as_str() {
        "never" => notes.push("never connected".to_owned()),
        "disconnected" => notes.push("disconnected".to_owned()),
        "impossible" => notes.push("cannot be watched".to_owned()),
        _ => {}
    }
    if let Some(pending) = &pv.pending {
        notes.push(format!(
            "{} at {}",
            pending.severity,
            moment(&pending.due, now)
        ));
    }
    notes.join(", ")
}
