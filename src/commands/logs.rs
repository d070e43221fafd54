//! `ioc logs`: the logs of instances, one after the other in time, or as they come.

use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, Zoned};
use regex::Regex;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::cli::global::OutputFormat;
use crate::cli::logs::LogsArgs;
use crate::commands::target::{self, Target};
use crate::commands::{Context, Outcome, kubernetes};
use crate::engine::Engine;
use crate::fleet::console::output::printable_line;
use crate::fleet::containers::{self, InstanceContainer, Selector};
use crate::fleet::logs::line::LogLine;
use crate::fleet::logs::merge::Merge;
use crate::fleet::logs::stream::{self, Window};
use crate::fleet::logs::window;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::printer::Printer;

/// Lines under way from the engine to the terminal while following.
const LINES_UNDER_WAY: usize = 1024;

/// Colours of the instance names, in turn.
const COLOURS: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Yellow,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::Red,
];

/// Prints or follows the logs.
///
/// # Errors
///
/// An instance that is not deployed, a wrong `--since` or `--grep`, or the engine's refusal.
pub(crate) async fn logs(args: &LogsArgs, context: &Context) -> CommandResult<Outcome> {
    if let Target::Cluster(choice) =
        target::of_instances(&args.instances, &args.beamline, &args.cluster, context)?
    {
        return kubernetes::logs::logs(args, &choice, context).await;
    }
    let asked = Asked::new(args)?;
    let engine = Engine::connect(&context.settings).await?;
    let mut found = Vec::new();
    for instance in &args.instances {
        let selector = Selector {
            beamline: args.beamline.beamline.as_deref(),
            instance,
            container: args.container.as_deref(),
            state: &context.settings.state,
        };
        found.push(containers::find(&engine, selector).await?);
    }
    let names: Vec<String> = found
        .iter()
        .map(|container| container.instance.clone())
        .collect();
    let writer = Writer::new(
        &context.printer,
        &names,
        args.timestamps,
        asked.pattern.clone(),
    );
    let window = asked.window(args.tail);
    if args.follow {
        follow(&engine, found, window, &writer, context).await?;
    } else {
        print(&engine, &found, window, args.previous, &writer, context).await?;
    }
    Ok(Outcome::Success)
}

/// What the command line asks for.
pub(crate) struct Asked {
    /// Lines at or after this time.
    pub(crate) since: Option<Timestamp>,
    /// Lines before this time.
    pub(crate) until: Option<Timestamp>,
    /// Lines that match.
    pub(crate) pattern: Option<Regex>,
}

impl Asked {
    /// Reads the times and the pattern.
    pub(crate) fn new(args: &LogsArgs) -> CommandResult<Self> {
        let now = Zoned::now();
        let time = |text: Option<&str>| {
            text.map(|text| window::since(text, &now))
                .transpose()
                .map_err(|message| CommandError::new(ErrorKind::Usage, message))
        };
        let (since, until) = (time(args.since.as_deref())?, time(args.until.as_deref())?);
        if since
            .zip(until)
            .is_some_and(|(since, until)| until <= since)
        {
            return Err(CommandError::new(
                ErrorKind::Usage,
                "`--until` is not after `--since`: there is no time between them",
            ));
        }
        let pattern = args
            .grep
            .as_deref()
            .map(Regex::new)
            .transpose()
            .map_err(|error| {
                CommandError::new(ErrorKind::Usage, "`--grep` is not a regular expression")
                    .caused_by(error)
                    .hint("a plain text is one too, with a `\\` before each of `[](){}.*+?|^$\\`")
            })?;
        Ok(Self {
            since,
            until,
            pattern,
        })
    }

    /// The window with so many lines.
    pub(crate) fn window(&self, tail: Option<usize>) -> Window {
        Window {
            since: self.since,
            until: self.until,
            tail,
        }
    }
}

async fn print(
    engine: &Engine,
    found: &[InstanceContainer],
    window: Window,
    previous: bool,
    writer: &Writer<'_>,
    context: &Context,
) -> CommandResult<()> {
    let mut logs = Vec::new();
    for container in found {
        let mut window = window;
        if previous {
            let Some(start) = stream::before_last_start(engine, container).await? else {
                return Err(CommandError::not_found(format!(
                    "`{}` has not restarted since it was deployed, there is nothing from before",
                    container.instance
                )));
            };
            window.until = Some(window.until.map_or(start, |until| until.min(start)));
        }
        logs.push(stream::lines(engine, container, window, false));
    }
    let mut merge = Merge::new(logs);
    loop {
        let next = tokio::select! {
            next = merge.next() => next?,
            () = context.cancel.cancelled() => return Ok(()),
        };
        match next {
            Some((number, line)) => writer.line(number, &line)?,
            None => return Ok(()),
        }
    }
}

async fn follow(
    engine: &Engine,
    found: Vec<InstanceContainer>,
    window: Window,
    writer: &Writer<'_>,
    context: &Context,
) -> CommandResult<()> {
    let (sender, mut lines) = mpsc::channel::<(usize, LogLine)>(LINES_UNDER_WAY);
    let stop = context.cancel.child_token();
    let mut followers = tokio::task::JoinSet::new();
    for (number, container) in found.into_iter().enumerate() {
        let (engine, stop, sender) = (engine.clone(), stop.clone(), sender.clone());
        followers.spawn(async move {
            let (own, mut own_lines) = mpsc::channel(1);
            let forward = async {
                while let Some(line) = own_lines.recv().await {
                    if sender.send((number, line)).await.is_err() {
                        return;
                    }
                }
            };
            let read = async {
                let result = stream::follow(&engine, container, window, &own, &stop).await;
                drop(own);
                result
            };
            tokio::join!(read, forward).0
        });
    }
    drop(sender);
    while let Some((number, line)) = lines.recv().await {
        if let Err(error) = writer.line(number, &line) {
            stop.cancel();
            return Err(error);
        }
    }
    while let Some(ended) = followers.join_next().await {
        ended.map_err(|error| {
            CommandError::new(ErrorKind::Internal, "a log reader ended early").caused_by(error)
        })??;
    }
    Ok(())
}

/// How lines are written: prefix, time, filter, format.
pub(crate) struct Writer<'a> {
    printer: &'a Printer,
    instances: Vec<String>,
    prefixes: Vec<String>,
    timestamps: bool,
    pattern: Option<Regex>,
}

/// A line for programs.
#[derive(Serialize)]
struct Record<'a> {
    instance: &'a str,
    time: Option<Timestamp>,
    line: &'a str,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(
        printer: &'a Printer,
        names: &[String],
        timestamps: bool,
        pattern: Option<Regex>,
    ) -> Self {
        let width = names.iter().map(String::len).max().unwrap_or(0);
        let prefixes = names
            .iter()
            .zip(COLOURS.iter().cycle())
            .map(|(name, colour)| {
                if names.len() < 2 {
                    return String::new();
                }
                let style: Style = colour.on_default();
                format!("{style}{name:width$}{style:#} | ")
            })
            .collect();
        Self {
            printer,
            instances: names.to_vec(),
            prefixes,
            timestamps,
            pattern,
        }
    }

    pub(crate) fn line(&self, number: usize, line: &LogLine) -> CommandResult<()> {
        if self
            .pattern
            .as_ref()
            .is_some_and(|pattern| !pattern.is_match(&line.text))
        {
            return Ok(());
        }
        let text = match self.printer.format() {
            OutputFormat::Table => {
                let time = match line.time.filter(|_| self.timestamps) {
                    Some(time) => format!("{time:.3} "),
                    None => String::new(),
                };
                format!(
                    "{}{time}{}\n",
                    self.prefixes[number],
                    printable_line(&line.text)
                )
            }
            // One object per line, so that a program can read while it goes on.
            OutputFormat::Json | OutputFormat::Yaml => {
                let record = Record {
                    instance: &self.instances[number],
                    time: line.time,
                    line: &line.text,
                };
                let text = serde_json::to_string(&record).map_err(|error| {
                    CommandError::new(ErrorKind::Internal, "failed to write a line")
                        .caused_by(error)
                })?;
                match self.printer.format() {
                    OutputFormat::Yaml => format!("- {text}\n"),
                    _ => format!("{text}\n"),
                }
            }
        };
        self.printer.data(&text)
    }
}
