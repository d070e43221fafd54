//! `ioc pv monitor`: values as they change.

use std::collections::HashMap;
use std::time::Duration;

use ca::{Context as Channels, Event, Events, Mask, PvName, Update, WatchId};
use jiff::Zoned;
use serde::Serialize;

use crate::cli::pv::MonitorArgs;
use crate::commands::alarm::operate::wait_for;
use crate::commands::alarm::reach::span;
use crate::commands::pv::value::{ValueJson, alarm, moment, words};
use crate::commands::pv::{configuration, names, refused, seconds};
use crate::commands::{Context, Outcome};
use crate::ui::error::CommandResult;

/// Something to show.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Value {
        name: &'a str,
        #[serde(flatten)]
        value: ValueJson,
        /// Values that came before this one and were not taken in time.
        skipped: u32,
    },
    Connected {
        name: &'a str,
        server: String,
    },
    Disconnected {
        name: &'a str,
    },
    NotFound {
        name: &'a str,
    },
    Trouble {
        name: &'a str,
        what: String,
    },
}

/// Runs the command.
///
/// # Errors
///
/// A name that is none, nowhere to search.
pub(crate) async fn monitor(args: &MonitorArgs, context: &Context) -> CommandResult<Outcome> {
    let names = names(&args.names)?;
    let duration = args.duration.as_deref().map(span).transpose()?;
    let configuration = configuration(context);
    if configuration.addresses.is_empty()
        && configuration.interfaces.is_none()
        && configuration.name_servers.is_empty()
    {
        let pv = names[0].clone();
        return Err(refused(&ca::Error::NowhereToSearch { pv }));
    }
    let (channels, events) = Channels::start(configuration);
    let mut watched = HashMap::new();
    for (number, name) in names.iter().enumerate() {
        let id = WatchId(u64::try_from(number).unwrap_or(u64::MAX));
        channels.watch(id, name.clone(), Mask::default());
        watched.insert(id, name.clone());
    }
    let mut monitor = Monitor {
        args,
        context,
        watched,
        missing: names,
        updates: 0,
    };
    let ended = tokio::select! {
        ended = monitor.run(events, seconds(args.timeout)) => ended,
        () = wait_for(duration) => Ok(()),
        () = context.cancel.cancelled() => Ok(()),
    };
    channels.close().await;
    ended.map(|()| Outcome::Success)
}

struct Monitor<'a> {
    args: &'a MonitorArgs,
    context: &'a Context,
    watched: HashMap<WatchId, PvName>,
    /// Those that never connected and were not named yet.
    missing: Vec<PvName>,
    updates: u64,
}

impl Monitor<'_> {
    async fn run(&mut self, mut events: Events, patience: Duration) -> CommandResult<()> {
        let too_late = tokio::time::sleep(patience);
        tokio::pin!(too_late);
        loop {
            let news = tokio::select! {
                news = events.next() => news,
                () = &mut too_late, if !self.missing.is_empty() => {
                    for name in std::mem::take(&mut self.missing) {
                        self.line(&Line::NotFound { name: name.as_str() }, None)?;
                    }
                    continue;
                }
            };
            let Some(news) = news else { return Ok(()) };
            for (id, event) in news {
                let Some(name) = self.watched.get(&id).cloned() else {
                    continue;
                };
                self.event(&name, event)?;
                if self.args.updates.is_some_and(|most| self.updates >= most) {
                    return Ok(());
                }
            }
        }
    }

    fn event(&mut self, name: &PvName, event: Event) -> CommandResult<()> {
        match event {
            Event::Value(update) => {
                self.updates += 1;
                let line = Line::Value {
                    name: name.as_str(),
                    value: ValueJson::new(&update.reading, self.args.count),
                    skipped: update.coalesced,
                };
                self.line(&line, Some(&update))
            }
            Event::Connected { server, .. } => {
                self.missing.retain(|missing| missing != name);
                let line = Line::Connected {
                    name: name.as_str(),
                    server: server.to_string(),
                };
                self.line(&line, None)
            }
            Event::Disconnected => self.line(
                &Line::Disconnected {
                    name: name.as_str(),
                },
                None,
            ),
            Event::AccessRights(rights) if rights.read => Ok(()),
            Event::AccessRights(_) => self.trouble(name, "it may not be read".to_owned()),
            Event::Duplicate { servers } => {
                let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
                self.trouble(
                    name,
                    format!("it is served by {}", servers.join(" and by ")),
                )
            }
        }
    }

    fn trouble(&self, name: &PvName, what: String) -> CommandResult<()> {
        let name = name.as_str();
        self.line(&Line::Trouble { name, what }, None)
    }

    /// Values go to standard output; what happens to connections goes there for programs, and beside it for people.
    fn line(&self, line: &Line<'_>, update: Option<&Update>) -> CommandResult<()> {
        let printer = &self.context.printer;
        if printer.format() == crate::cli::global::OutputFormat::Table && update.is_none() {
            printer.info(connection_words(line));
            return Ok(());
        }
        printer.emit_one(line, |line| {
            let (Line::Value { name, skipped, .. }, Some(update)) = (line, update) else {
                return String::new();
            };
            let reading = &update.reading;
            let mut text = format!(
                "{}  {name}  {}",
                moment(reading, &Zoned::now()),
                words(&reading.value, self.args.count)
            );
            let alarm = alarm(reading);
            if !alarm.is_empty() {
                text.push_str(&format!("  {alarm}"));
            }
            if *skipped > 0 {
                text.push_str(&format!("  ({skipped} before it were not shown)"));
            }
            text.push('\n');
            text
        })
    }
}

fn connection_words(line: &Line<'_>) -> String {
    match line {
        Line::Connected { name, server } => format!("`{name}` is connected, at {server}"),
        Line::Disconnected { name } => format!("`{name}` is disconnected, searching again"),
        Line::NotFound { name } => format!("`{name}` was not found yet, searching on"),
        Line::Trouble { name, what } => format!("`{name}`: {what}"),
        Line::Value { name, .. } => (*name).to_owned(),
    }
}
