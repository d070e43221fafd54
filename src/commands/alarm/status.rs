//! `ioc alarm status`: everything about one PV, or about the server, on one page.

use jiff::Zoned;

use crate::alarm::client::answers::{
    Configuration, Group, Item, Kind, More, Notes, Past, Pv, Server, Stories, Titled,
};
use crate::cli::alarm::operate::AlarmStatusArgs;
use crate::commands::alarm::ls::note;
use crate::commands::alarm::reach::reach;
use crate::commands::alarm::severity::{moment, painted, rank};
use crate::commands::{Context, Outcome};
use crate::fleet::console::output::printable_line;
use crate::ui::error::CommandResult;

/// Runs the command.
///
/// # Errors
///
/// No server, or no such PV.
pub(crate) async fn status(args: &AlarmStatusArgs, context: &Context) -> CommandResult<Outcome> {
    let reached = reach(&args.server, context)?;
    let now = Zoned::now();
    if let Some(pv) = &args.pv {
        let asked = reached.client.stories(pv);
        let stories = reached.ask(asked, context).await?;
        context
            .printer
            .emit_text(&stories, |stories| page(stories, &now))?;
    } else {
        let server = reached.ask(reached.client.server(), context).await?;
        context.printer.emit_text(&server, |server| {
            server_page(server, reached.client.address(), &now)
        })?;
    }
    Ok(Outcome::Success)
}

fn server_page(server: &Server, address: &str, now: &Zoned) -> String {
    let mut page = Page::default();
    page.line(&format!(
        "{} {}",
        painted(&server.severity, 0),
        server.configuration
    ));
    let ready = if server.ready { "ready" } else { "starting" };
    let mut alarms: Vec<(&String, &u64)> = server.alarms.iter().collect();
    alarms.sort_by_key(|(severity, _count)| rank(severity));
    let alarms: Vec<String> = alarms
        .into_iter()
        .map(|(severity, count)| format!("{count} {severity}"))
        .collect();
    page.fields(&[
        (
            "alarms",
            if alarms.is_empty() {
                "none".to_owned()
            } else {
                alarms.join(", ")
            },
        ),
        (
            "PVs",
            format!(
                "{} in the tree, {} of {} channels connected",
                server.pvs, server.connected, server.watched
            ),
        ),
        (
            "modes",
            format!(
                "maintenance {}, notifications {}",
                on_off(server.maintenance),
                on_off(server.notify)
            ),
        ),
        (
            "bus",
            match (&server.bus_error, server.bus_connected) {
                (None, true) => "reached".to_owned(),
                (Some(error), true) => format!("reached; the last trouble was: {error}"),
                (error, false) => format!(
                    "away{}, {} records wait",
                    error
                        .as_ref()
                        .map(|error| format!(" ({error})"))
                        .unwrap_or_default(),
                    server.backlog
                ),
            },
        ),
        (
            "server",
            format!(
                "{ready} since {} on {}, version {}, {address}",
                moment(&server.since, now),
                server.host,
                server.version
            ),
        ),
    ]);
    page.text
}

fn page(stories: &Stories, now: &Zoned) -> String {
    let mut page = Page::default();
    for (place, item) in stories.items.iter().enumerate() {
        if place > 0 {
            page.line("");
        }
        match &item.kind {
            Kind::Pv(pv) => pv_lines(&mut page, item, pv, now),
            Kind::Group(group) => group_lines(&mut page, item, group),
        }
    }
    page.list(
        "what happened lately",
        stories.events.iter().filter_map(|past| event(past, now)),
    );
    page.text
}

fn pv_lines(page: &mut Page, item: &Item, pv: &Pv, now: &Zoned) {
    page.line(&format!("{} {}", painted(&item.severity, 0), pv.pv));
    // what stands in front is for the annunciator
    let description = pv.description.trim_start_matches('*');
    let description = description.strip_prefix('!').unwrap_or(description);
    if description != pv.pv {
        page.line(description);
    }
    let at = |time: &Option<String>| {
        time.as_deref()
            .map(|time| format!(" at {}", moment(time, now)))
            .unwrap_or_default()
    };
    let value = |value: &Option<String>| match value.as_deref() {
        None | Some("") => "no value".to_owned(),
        Some(value) => format!("value {value}"),
    };
    let mut fields = vec![
        ("path", item.path.clone()),
        (
            "alarm",
            format!(
                "{}, {}{}",
                with_message(&item.severity, &pv.message),
                value(&pv.value),
                at(&pv.time)
            ),
        ),
    ];
    let current = with_message(&pv.current_severity, &pv.current_message);
    match pv.more.as_deref() {
        Some(more) if more.current_value.is_some() => fields.push((
            "PV now",
            format!(
                "{current}, {}{}",
                value(&more.current_value),
                at(&more.current_time)
            ),
        )),
        _ => fields.push(("PV now", current)),
    }
    let notes = note(pv, now);
    if !notes.is_empty() {
        fields.push(("note", notes));
    }
    if let Some(more) = pv.more.as_deref() {
        fields.push(("connection", connection(pv, more, now)));
    }
    page.fields(&fields);
    if let Some(more) = pv.more.as_deref() {
        configuration_lines(page, item, &more.configuration);
    }
}

/// A severity with its message, which a PV that was never heard of does not have.
fn with_message(severity: &str, message: &str) -> String {
    format!("{severity} {message}").trim_end().to_owned()
}

fn connection(pv: &Pv, more: &More, now: &Zoned) -> String {
    if let Some(why) = &more.impossible {
        return format!("cannot be watched: {why}");
    }
    let Some(channel) = &more.channel else {
        return pv.connection.clone();
    };
    let mut words = match (&channel.server, &channel.since) {
        (Some(server), Some(since)) => {
            format!("{} to {server} since {}", pv.connection, moment(since, now))
        }
        _ => pv.connection.clone(),
    };
    if channel.connections > 1 {
        words.push_str(&format!(", connected {} times", channel.connections));
    }
    if let Some(trouble) = &channel.trouble {
        words.push_str(&format!("; {trouble}"));
    }
    words
}

/// Titles with details, each in a line.
fn titled(items: &[Titled]) -> Vec<String> {
    items
        .iter()
        .map(|item| {
            let delay = item
                .delay
                .filter(|delay| *delay > 0)
                .map(|delay| format!(" after {delay} s"))
                .unwrap_or_default();
            if item.title.is_empty() || item.title == item.details {
                format!("{}{delay}", item.details)
            } else {
                format!("{}: {}{delay}", item.title, item.details)
            }
        })
        .collect()
}

/// What an item says itself, then what the groups that it is in say, with their paths.
fn with_groups(item: &Item, own: &[Titled], of: impl Fn(&Notes) -> &[Titled]) -> Vec<String> {
    let mut lines = titled(own);
    for group in item.groups.iter().flatten() {
        let said = titled(of(group)).into_iter();
        if group.path == item.path {
            lines.extend(said);
        } else {
            lines.extend(said.map(|line| format!("{line}  ({})", group.path)));
        }
    }
    lines
}

fn configuration_lines(page: &mut Page, item: &Item, configuration: &Configuration) {
    let said = |own: &[Titled], of: fn(&Notes) -> &[Titled]| with_groups(item, own, of);
    page.list(
        "what to do",
        said(&configuration.guidance, |notes| &notes.guidance),
    );
    let mut lines = vec![format!(
        "{}, {}",
        if configuration.latching {
            "latching: an alarm stays until it is acknowledged"
        } else {
            "not latching: an alarm ends when the PV is OK"
        },
        if configuration.annunciating {
            "announced"
        } else {
            "not announced"
        }
    )];
    if configuration.delay > 0 {
        lines.push(if configuration.count > 0 {
            format!(
                "alarm after {} s, or after {} times within that",
                configuration.delay, configuration.count
            )
        } else {
            format!("alarm after {} s", configuration.delay)
        });
    }
    if !configuration.filter.is_empty() {
        lines.push(format!("watched while {}", configuration.filter));
    }
    page.list("how it is watched", lines);
    page.list(
        "displays",
        said(&configuration.displays, |notes| &notes.displays),
    );
    page.list(
        "commands",
        said(&configuration.commands, |notes| &notes.commands),
    );
    page.list(
        "automated actions",
        said(&configuration.actions, |notes| &notes.actions),
    );
}

fn group_lines(page: &mut Page, item: &Item, group: &Group) {
    page.line(&format!("{} {}", painted(&item.severity, 0), item.path));
    let mut alarms: Vec<(&String, &u64)> = group.alarms.iter().collect();
    alarms.sort_by_key(|(severity, _count)| rank(severity));
    let alarms: Vec<String> = alarms
        .into_iter()
        .map(|(severity, count)| format!("{count} {severity}"))
        .collect();
    page.fields(&[
        (
            "alarms",
            if alarms.is_empty() {
                "none".to_owned()
            } else {
                alarms.join(", ")
            },
        ),
        ("PVs", group.pvs.to_string()),
    ]);
    let said = |of: fn(&Notes) -> &[Titled]| with_groups(item, &[], of);
    page.list("what to do", said(|notes| &notes.guidance));
    page.list("displays", said(|notes| &notes.displays));
    page.list("commands", said(|notes| &notes.commands));
    page.list("automated actions", said(|notes| &notes.actions));
}

/// An event in one line; `None` for what says nothing to people.
fn event(past: &Past, now: &Zoned) -> Option<String> {
    let data = &past.data;
    let value = &data["value"];
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    match past.kind.as_str() {
        "state" if value.is_null() => Some("removed from the configuration".to_owned()),
        "state" => {
            let time = value["time"]["seconds"]
                .as_i64()
                .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
                .map(|time| format!("{}  ", moment(&time.to_string(), now)))
                .unwrap_or_default();
            Some(format!(
                "{time}{} {} {}",
                text(&value["severity"]),
                text(&value["message"]),
                text(&value["value"])
            ))
        }
        "audit" => {
            let detail = data["detail"]
                .as_str()
                .map(|detail| format!(" ({detail})"))
                .unwrap_or_default();
            Some(format!(
                "{} by {}{detail}",
                text(&data["operation"]),
                text(&data["user"])
            ))
        }
        "talk" => Some(format!("announced: {}", text(&value["talk"]))),
        "config" | "config-read" => Some("configuration written".to_owned()),
        _ => None,
    }
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// Headings and indented lines; nothing of what others wrote can move the cursor.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(&printable_line(line));
        self.text.push('\n');
    }

    fn fields(&mut self, fields: &[(&str, String)]) {
        let width = fields
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0);
        for (name, value) in fields {
            self.line(&format!("  {name:width$}  {}", value.replace('\n', " ")));
        }
    }

    fn list(&mut self, title: &str, lines: impl IntoIterator<Item = String>) {
        let mut lines = lines.into_iter().peekable();
        if lines.peek().is_none() {
            return;
        }
        self.line("");
        self.line(title);
        for line in lines {
            for part in line.lines() {
                self.line(&format!("  {part}"));
            }
        }
    }
}
