//! The verbs that act: acknowledge, enable, shelve, switch modes. Each says what came of it.

use std::time::Duration;

use jiff::{Timestamp, Zoned};
use serde_json::{Value, json};

use crate::alarm::client::answers;
use crate::cli::alarm::operate::{
    DisableArgs, ItemsArgs, ReloadArgs, ServerArgs, ShelveArgs, Switch, SwitchArgs,
};
use crate::commands::alarm::reach::{reach, span};
use crate::commands::alarm::severity::{cell, painted};
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// A verb on items that needs nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Acknowledge,
    Unacknowledge,
    Enable,
    Unshelve,
}

impl Verb {
    /// Its name in the API, what was done, and what is said if there was nothing to do.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Acknowledge => (
                "acknowledge",
                "acknowledged",
                "nothing to acknowledge: no active alarm there",
            ),
            Self::Unacknowledge => (
                "unacknowledge",
                "active again",
                "nothing to take back: no acknowledged alarm there",
            ),
            Self::Enable => ("enable", "enabled", "nothing to enable: all are enabled"),
            Self::Unshelve => (
                "unshelve",
                "unshelved",
                "nothing to unshelve: none is shelved",
            ),
        }
    }
}

/// `ack`, `unack`, `enable`, `unshelve`.
pub(super) async fn on_items(
    verb: Verb,
    args: &ItemsArgs,
    context: &Context,
) -> CommandResult<Outcome> {
    let (operation, done, nothing) = verb.words();
    let body = json!({ "items": args.paths });
    let outcome = ask(operation, Some(&body), &args.server, context).await?;
    tell(&outcome, done, nothing, context)
}

/// `disable`.
pub(super) async fn disable(args: &DisableArgs, context: &Context) -> CommandResult<Outcome> {
    let mut body = json!({ "items": args.paths });
    if let Some(reason) = &args.reason {
        body["reason"] = Value::from(reason.as_str());
    }
    let outcome = ask("disable", Some(&body), &args.server, context).await?;
    tell(
        &outcome,
        "disabled",
        "nothing to disable: all are disabled",
        context,
    )
}

/// `shelve`.
pub(super) async fn shelve(args: &ShelveArgs, context: &Context) -> CommandResult<Outcome> {
    let now = Zoned::now();
    let mut body = json!({ "items": args.paths });
    let end = match (&args.duration, &args.until) {
        (Some(duration), _) => {
            let duration = span(duration)?;
            // the server counts whole seconds
            body["seconds"] = Value::from(duration.as_secs().max(1));
            now.timestamp().checked_add(duration).ok()
        }
        (None, Some(until)) => {
            let until = time_to_come(until, &now)?;
            body["until"] = Value::from(until.to_string());
            Some(until)
        }
        (None, None) => {
            return Err(CommandError::new(
                ErrorKind::Usage,
                "nothing says until when",
            ));
        }
    };
    if let Some(reason) = &args.reason {
        body["reason"] = Value::from(reason.as_str());
    }
    let outcome = ask("shelve", Some(&body), &args.server, context).await?;
    let until = end.map_or_else(String::new, |end| {
        let end = end.to_zoned(now.time_zone().clone());
        format!(" until {}", end.strftime("%Y-%m-%d %H:%M:%S"))
    });
    tell(
        &outcome,
        &format!("shelved{until}"),
        "nothing to shelve",
        context,
    )
}

/// A time of day that comes next, a date and time of this machine, or a full time.
fn time_to_come(text: &str, now: &Zoned) -> CommandResult<Timestamp> {
    let zone = now.time_zone();
    let text = text.trim();
    let wrong = || {
        CommandError::new(ErrorKind::Usage, format!("`{text}` is no time"))
            .hint("a time of day (`06:30`), a date and time (`2031-12-03T10:15:30`), or one with a zone (`2031-12-03T10:15:30Z`)")
    };
    let time = if let Ok(time) = text.parse::<Timestamp>() {
        time
    } else if let Ok(time) = text.parse::<jiff::civil::DateTime>() {
        let zoned = time.to_zoned(zone.clone()).map_err(|_error| wrong())?;
        zoned.timestamp()
    } else if let Ok(time) = text.parse::<jiff::civil::Time>() {
        let on = |date: jiff::civil::Date| date.to_datetime(time).to_zoned(zone.clone());
        let today = on(now.date()).map_err(|_error| wrong())?;
        if today.timestamp() > now.timestamp() {
            today.timestamp()
        } else {
            let tomorrow = now.date().tomorrow().map_err(|_error| wrong())?;
            on(tomorrow).map_err(|_error| wrong())?.timestamp()
        }
    } else {
        return Err(wrong());
    };
    if time <= now.timestamp() {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!("`{text}` is over already"),
        ));
    }
    Ok(time)
}

/// `maintenance`.
pub(super) async fn maintenance(args: &SwitchArgs, context: &Context) -> CommandResult<Outcome> {
    let outcome = switch("maintenance", args, context).await?;
    let state = on_off(outcome.maintenance);
    said(&outcome, &format!("maintenance mode is {state}"), context)
}

/// `notify`.
pub(super) async fn notify(args: &SwitchArgs, context: &Context) -> CommandResult<Outcome> {
    let outcome = switch("notify", args, context).await?;
    let state = on_off(outcome.notify);
    said(&outcome, &format!("notifications are {state}"), context)
}

/// `reload`.
pub(super) async fn reload(args: &ReloadArgs, context: &Context) -> CommandResult<Outcome> {
    let outcome = ask("reload", None, &args.server, context).await?;
    context.printer.emit_text(&outcome, |_outcome| {
        "the server reads its configuration and its tokens again\n".to_owned()
    })?;
    Ok(Outcome::Success)
}

async fn switch(
    operation: &str,
    args: &SwitchArgs,
    context: &Context,
) -> CommandResult<answers::Outcome> {
    let body = json!({ "on": args.state == Switch::On });
    ask(operation, Some(&body), &args.server, context).await
}

async fn ask(
    operation: &str,
    body: Option<&Value>,
    server: &ServerArgs,
    context: &Context,
) -> CommandResult<answers::Outcome> {
    let reached = reach(server, context)?;
    let asked = reached.client.operate(operation, body);
    reached.ask(asked, context).await
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn said(outcome: &answers::Outcome, words: &str, context: &Context) -> CommandResult<Outcome> {
    context.printer.emit_text(outcome, |outcome| {
        let again = if outcome.changed { "" } else { " already" };
        format!("{words}{again}\n")
    })?;
    unwritten(outcome, context);
    Ok(Outcome::Success)
}

/// Each PV that changed, with what it was and is.
fn tell(
    outcome: &answers::Outcome,
    done: &str,
    nothing: &str,
    context: &Context,
) -> CommandResult<Outcome> {
    context.printer.emit_text(outcome, |outcome| {
        let mut text = String::new();
        let changed = || outcome.items.iter().filter(|item| item.changed);
        let wide = changed().map(|item| item.before.len()).max().unwrap_or(0);
        let wide_after = changed().map(|item| item.severity.len()).max().unwrap_or(0);
        // where no severity changes, the message says what does
        let is_about_severity = changed().any(|item| item.before != item.severity);
        for item in changed() {
            if is_about_severity {
                text.push_str(&painted(&item.before, wide));
                text.push_str(" -> ");
            }
            let line = format!(
                "{}  {}  {}",
                painted(&item.severity, wide_after),
                cell(&item.path),
                cell(&item.message)
            );
            text.push_str(line.trim_end());
            text.push('\n');
        }
        let shown = u64::try_from(outcome.items.len()).unwrap_or(u64::MAX);
        if let Some(more) = outcome.count.checked_sub(shown).filter(|more| *more > 0) {
            text.push_str(&format!("… and {more} more PVs\n"));
        }
        text
    })?;
    if outcome.changed {
        let changed = outcome.items.iter().filter(|item| item.changed).count();
        let more = outcome
            .count
            .saturating_sub(u64::try_from(outcome.items.len()).unwrap_or(u64::MAX));
        let count = more.saturating_add(u64::try_from(changed).unwrap_or(u64::MAX));
        let pvs = if count == 1 { "PV" } else { "PVs" };
        context.printer.info(format!("{count} {pvs} {done}"));
    } else {
        context.printer.info(nothing);
    }
    unwritten(outcome, context);
    Ok(Outcome::Success)
}

/// The server has taken it, but it is not safe yet.
fn unwritten(outcome: &answers::Outcome, context: &Context) {
    if outcome.changed && !outcome.written {
        context.printer.warning(
            "the bus has not confirmed it yet: the server has it, other clients see it when the bus is back",
        );
    }
}

/// How long a command goes on; for ever without.
pub(crate) async fn wait_for(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_means_a_time_to_come() {
        let now: Zoned = "2026-11-26T12:00:00+01:00[Europe/Paris]".parse().unwrap();
        let until = |text: &str| {
            time_to_come(text, &now)
                .map(|time| time.to_string())
                .map_err(|error| error.to_string())
        };
        assert_eq!(until("13:00").unwrap(), "2026-11-26T12:00:00Z");
        assert_eq!(until("06:30").unwrap(), "2026-11-27T05:30:00Z");
        assert_eq!(
            until("2026-12-01T08:00:00").unwrap(),
            "2026-12-01T07:00:00Z"
        );
        assert_eq!(
            until("2026-11-26T11:00:01Z").unwrap(),
            "2026-11-26T11:00:01Z"
        );
        assert!(
            until("2026-11-26T11:59:59")
                .unwrap_err()
                .contains("over already")
        );
        assert!(until("tomorrow").unwrap_err().contains("is no time"));
    }
}
