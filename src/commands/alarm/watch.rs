//! `ioc alarm watch`: alarms as they come and go, through restarts of the server.

use std::collections::BTreeMap;
use std::time::Duration;

use alarm::wire::state::{StateMessage, read};
use jiff::{Timestamp, Zoned};
use serde::Serialize;
use serde_json::Value;

use crate::alarm::client::answers::Item;
use crate::alarm::client::events::Event;
use crate::alarm::client::{ClientError, Wanted};
use crate::cli::alarm::operate::WatchArgs;
use crate::commands::alarm::operate::wait_for;
use crate::commands::alarm::reach::{Reached, reach, span};
use crate::commands::alarm::severity::{cell, painted, zoned_moment};
use crate::commands::{Context, Outcome};
use crate::ui::error::CommandResult;

/// First and longest wait between two tries to reach the server again.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Width of the longest severity.
const SEVERITY: usize = "UNDEFINED_ACK".len();

/// Runs the command.
///
/// # Errors
///
/// No server at the beginning, or a refusal.
pub(crate) async fn watch(args: &WatchArgs, context: &Context) -> CommandResult<Outcome> {
    let duration = args.duration.as_deref().map(span).transpose()?;
    let mut watcher = Watcher {
        args,
        context,
        known: BTreeMap::new(),
        roots: None,
    };
    tokio::select! {
        ended = watcher.run() => ended,
        () = wait_for(duration) => Ok(Outcome::Success),
        () = context.cancel.cancelled() => Ok(Outcome::Success),
    }
}

/// How a PV was shown the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    severity: String,
    message: String,
    value: Option<String>,
    current_severity: String,
}

/// Something to show.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    /// A PV, as it is now.
    State {
        path: &'a str,
        severity: &'a str,
        message: &'a str,
        value: Option<&'a str>,
        /// Of the value, in RFC 3339.
        time: Option<String>,
        current_severity: &'a str,
    },
    /// A PV that is no longer in the configuration.
    Removed { path: &'a str },
    /// Somebody did something.
    Audit {
        user: &'a str,
        operation: &'a str,
        paths: Vec<&'a str>,
        detail: Option<&'a str>,
    },
    /// Something else that was asked for.
    Other { kind: &'a str, data: &'a Value },
    /// The server is away.
    Lost { why: String },
    /// The server is there again.
    Back { changed: usize },
}

struct Watcher<'a> {
    args: &'a WatchArgs,
    context: &'a Context,
    known: BTreeMap<String, Known>,
    /// Paths of what is wanted; everything without.
    roots: Option<Vec<String>>,
}

impl Watcher<'_> {
    async fn run(&mut self) -> CommandResult<Outcome> {
        let mut reached = reach(&self.args.server, self.context)?;
        let mut after = match self.look(&reached).await {
            Ok(found) => {
                self.begin(&found)?;
                found.1
            }
            // it is starting
            Err(error @ ClientError::Refused { status: 503, .. }) => {
                self.context.printer.info(format!("{error}, waiting"));
                let (again, found) = self.reach_again().await?;
                reached = again;
                self.begin(&found)?;
                found.1
            }
            Err(error) => return Err(reached.refused(&error)),
        };
        loop {
            let lost = match self.follow(&reached, &after).await? {
                Ok(()) => "it has ended".to_owned(),
                Err(error) if error.is_passing() => match &error {
                    ClientError::Lost { cause, .. } | ClientError::Unreachable { cause, .. } => {
                        cause.clone()
                    }
                    _ => error.to_string(),
                },
                Err(error) => return Err(reached.refused(&error)),
            };
            self.say_lost(lost)?;
            let (again, (items, event)) = self.reach_again().await?;
            reached = again;
            let changed = self.catch_up(&items)?;
            self.say_back(changed)?;
            after = event;
        }
    }

    /// All PVs that are wanted, and the event to go on from.
    async fn look(&self, reached: &Reached) -> Result<(Vec<Item>, String), ClientError> {
        let wanted = Wanted {
            at: self.args.path.as_deref(),
            kind: Some("pv"),
            ..Wanted::default()
        };
        reached.client.items(&wanted).await
    }

    /// Tries until there is a server that is ready; where it listens may have changed.
    async fn reach_again(&self) -> CommandResult<(Reached, (Vec<Item>, String))> {
        let mut wait = WAITS.0;
        loop {
            tokio::time::sleep(wait).await;
            wait = WAITS.1.min(wait * 2);
            let Ok(reached) = reach(&self.args.server, self.context) else {
                continue;
            };
            match self.look(&reached).await {
                Ok(found) => return Ok((reached, found)),
                Err(error) if error.is_passing() => {}
                Err(error) => return Err(reached.refused(&error)),
            }
        }
    }

    /// The first look: what is in alarm is shown.
    fn begin(&mut self, found: &(Vec<Item>, String)) -> CommandResult<()> {
        let (items, _event) = found;
        self.roots = self.args.path.as_ref().map(|path| {
            if path.starts_with('/') {
                vec![path.trim_end_matches('/').to_owned()]
            } else {
                items.iter().map(|item| item.path.clone()).collect()
            }
        });
        let mut in_alarm = 0;
        for item in items {
            let Some((known, time)) = of_item(item) else {
                continue;
            };
            if known.severity != "OK" {
                in_alarm += 1;
                self.show(&item.path, &known, time)?;
            }
            self.known.insert(item.path.clone(), known);
        }
        self.context.printer.info(format!(
            "watching {} PVs, {in_alarm} in alarm",
            self.known.len()
        ));
        Ok(())
    }

    /// Shows what is different from what was shown before, and says how much that is.
    fn catch_up(&mut self, items: &[Item]) -> CommandResult<usize> {
        let mut before = std::mem::take(&mut self.known);
        let mut changed = 0;
        for item in items {
            let Some((known, time)) = of_item(item) else {
                continue;
            };
            let was = before.remove(&item.path);
            let is_news = match &was {
                Some(was) => *was != known,
                None => known.severity != "OK",
            };
            if is_news {
                changed += 1;
                self.show(&item.path, &known, time)?;
            }
            self.known.insert(item.path.clone(), known);
        }
        for path in before.keys() {
            changed += 1;
            self.line(&Line::Removed { path })?;
        }
        Ok(changed)
    }

    /// Shows events until the stream ends.
    async fn follow(
        &mut self,
        reached: &Reached,
        after: &str,
    ) -> CommandResult<Result<(), ClientError>> {
        let kinds = if self.args.all {
            "state,audit,lost,talk,command,config,config-read"
        } else {
            "state,audit,lost"
        };
        let mut following = match reached.client.follow(after, kinds, None).await {
            Ok(following) => following,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let events = match following.next().await {
                Ok(Some(events)) => events,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            };
            for event in events {
                if event.kind == "lost" {
                    match self.look(reached).await {
                        Ok((items, _event)) => {
                            self.catch_up(&items)?;
                        }
                        Err(error) => return Ok(Err(error)),
                    }
                } else {
                    self.event(&event)?;
                }
            }
        }
    }

    fn event(&mut self, event: &Event) -> CommandResult<()> {
        let Ok(data) = serde_json::from_str::<Value>(&event.data) else {
            self.context
                .printer
                .detail(format!("an event is no JSON: {}", cell(&event.data)));
            return Ok(());
        };
        match event.kind.as_str() {
            "state" => self.state(&data),
            "audit" => self.audit(&data),
            kind => self.line(&Line::Other { kind, data: &data }),
        }
    }

    fn state(&mut self, data: &Value) -> CommandResult<()> {
        let path = data["key"]
            .as_str()
            .and_then(|key| key.strip_prefix("state:"));
        let Some(path) = path.filter(|path| self.is_wanted(path)) else {
            return Ok(());
        };
        let value = &data["value"];
        if value.is_null() {
            if self.known.remove(path).is_some() {
                self.line(&Line::Removed { path })?;
            }
            return Ok(());
        }
        let Ok(StateMessage::Leaf(state)) = read(&value.to_string()) else {
            // groups follow from their PVs
            return Ok(());
        };
        let known = Known {
            severity: state.alarm.severity.name().to_owned(),
            message: state.alarm.message.to_string(),
            value: state.alarm.value.text().map(std::borrow::Cow::into_owned),
            current_severity: state.current_severity.name().to_owned(),
        };
        if self.known.get(path) == Some(&known) {
            return Ok(());
        }
        let time = state.alarm.time;
        let nano = i32::try_from(time.nano).unwrap_or(0);
        let time = Timestamp::new(time.seconds, nano).ok();
        self.show(path, &known, time.filter(|time| time.as_second() != 0))?;
        self.known.insert(path.to_owned(), known);
        Ok(())
    }

    fn audit(&self, data: &Value) -> CommandResult<()> {
        let paths: Vec<&str> = data["paths"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let concerns = |path: &&str| {
            self.is_wanted(path) || self.known.keys().any(|known| is_below(known, path))
        };
        if self.roots.is_some() && !paths.is_empty() && !paths.iter().any(concerns) {
            return Ok(());
        }
        self.line(&Line::Audit {
            user: data["user"].as_str().unwrap_or("?"),
            operation: data["operation"].as_str().unwrap_or("?"),
            paths,
            detail: data["detail"].as_str(),
        })
    }

    fn is_wanted(&self, path: &str) -> bool {
        self.roots
            .as_ref()
            .is_none_or(|roots| roots.iter().any(|root| is_below(path, root)))
    }

    fn show(&self, path: &str, known: &Known, time: Option<Timestamp>) -> CommandResult<()> {
        self.line(&Line::State {
            path,
            severity: &known.severity,
            message: &known.message,
            value: known.value.as_deref(),
            time: time.map(|time| time.to_string()),
            current_severity: &known.current_severity,
        })
    }

    fn say_lost(&self, why: String) -> CommandResult<()> {
        self.line(&Line::Lost { why })
    }

    fn say_back(&self, changed: usize) -> CommandResult<()> {
        self.line(&Line::Back { changed })
    }

    fn line(&self, line: &Line<'_>) -> CommandResult<()> {
        self.context.printer.emit_one(line, words)
    }
}

/// Whether a path is another one or below it; the other one may be the name of a PV.
fn is_below(path: &str, above: &str) -> bool {
    if above.starts_with('/') {
        path.strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || above == "/")
    } else {
        path.rsplit('/').next() == Some(above)
    }
}

fn of_item(item: &Item) -> Option<(Known, Option<Timestamp>)> {
    let pv = item.pv()?;
    let known = Known {
        severity: item.severity.clone(),
        message: pv.message.clone(),
        value: pv.value.clone(),
        current_severity: pv.current_severity.clone(),
    };
    Some((known, pv.time.as_deref().and_then(|time| time.parse().ok())))
}

/// A line for people: the time at which it happened here, then what.
fn words(line: &Line<'_>) -> String {
    let now = Zoned::now();
    let time = zoned_moment(&now, &now);
    let rest = match line {
        Line::State {
            path,
            severity,
            message,
            value,
            current_severity,
            ..
        } => {
            let value = value.map_or_else(String::new, |value| format!("  {}", cell(value)));
            let current = if severity.trim_end_matches("_ACK") == *current_severity {
                String::new()
            } else {
                format!("  (the PV is {current_severity})")
            };
            format!(
                "{}  {}  {}{value}{current}",
                painted(severity, SEVERITY),
                cell(path),
                cell(message)
            )
        }
        Line::Removed { path } => format!("{:SEVERITY$}  {}", "removed", cell(path)),
        Line::Audit {
            user,
            operation,
            paths,
            detail,
        } => {
            let mut words = format!("{:SEVERITY$}  {} by {}", "", cell(operation), cell(user));
            if !paths.is_empty() {
                let shown: Vec<String> = paths.iter().take(5).map(|path| cell(path)).collect();
                words.push_str(&format!(": {}", shown.join(" ")));
                if paths.len() > shown.len() {
                    words.push_str(&format!(" and {} more", paths.len() - shown.len()));
                }
            }
            if let Some(detail) = detail {
                words.push_str(&format!(" ({})", cell(detail)));
            }
            words
        }
        Line::Other { kind, data } => {
            let key = data["key"].as_str().unwrap_or_default();
            let said = data["value"]["talk"]
                .as_str()
                .map_or_else(|| data["value"].to_string(), str::to_owned);
            format!("{:SEVERITY$}  {}  {}", kind, cell(key), cell(&said))
        }
        Line::Lost { why } => {
            format!("the alarm server is away ({}), trying again", cell(why))
        }
        Line::Back { changed } => format!(
            "the alarm server is back, {changed} {} changed meanwhile",
            if *changed == 1 { "PV has" } else { "PVs have" }
        ),
    };
    format!("{time}  {}\n", rest.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_means_whole_names() {
        let rows = [
            ("/X/a/b", "/X/a", true),
            ("/X/a", "/X/a", true),
            ("/X/ab", "/X/a", false),
            ("/X/a", "/X/a/b", false),
            ("/X/g/PV", "PV", true),
            ("/X/g/PV2", "PV", false),
        ];
        for (path, above, expected) in rows {
            assert_eq!(is_below(path, above), expected, "{path} {above}");
        }
    }

    #[test]
    fn lines_for_people() {
        let text = words(&Line::State {
            path: "/X/a",
            severity: "MAJOR",
            message: "HIHI_ALARM",
            value: Some("95.0\u{1b}[2J"),
            time: None,
            current_severity: "OK",
        });
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(
            &plain[8..],
            "  MAJOR          /X/a  HIHI_ALARM  95.0  (the PV is OK)\n"
        );
        let text = words(&Line::Audit {
            user: "alice",
            operation: "acknowledge",
            paths: vec!["a", "b", "c", "d", "e", "f"],
            detail: None,
        });
        assert_eq!(
            &text[8..],
            "                 acknowledge by alice: a b c d e and 1 more\n"
        );
    }
}
