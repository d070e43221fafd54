//! Log lines of one container out of the engine, and of one instance through restarts.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use bollard::query_parameters::{EventsOptions, LogsOptions};
use futures_util::FutureExt as _;
use futures_util::stream::{BoxStream, Stream, StreamExt};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::fleet::containers::{self, INSTANCE, InstanceContainer, Selector, refused};
use crate::fleet::logs::line::{LineBuffer, LogLine};
use crate::ui::error::CommandResult;

/// Which lines of a log are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// Lines at or after this time.
    pub since: Option<Timestamp>,
    /// Lines before this time.
    pub until: Option<Timestamp>,
    /// Only the last lines.
    pub tail: Option<usize>,
}

impl Window {
    /// Whether a line is in it, by its time.
    pub fn contains(&self, line: &LogLine) -> bool {
        line.time.is_none_or(|time| {
            self.since.is_none_or(|since| time >= since)
                && self.until.is_none_or(|until| time < until)
        })
    }
}

/// The lines of a container, oldest first; with `follow` the stream ends when the container stops.
pub fn lines(
    engine: &Engine,
    container: &InstanceContainer,
    window: Window,
    follow: bool,
) -> BoxStream<'static, CommandResult<LogLine>> {
    let options = LogsOptions {
        follow,
        stdout: true,
        stderr: true,
        // The engine counts whole seconds: it gets the second, the exact time is compared here.
        since: window.since.map_or(0, whole_seconds),
        until: window
            .until
            .map_or(0, |time| whole_seconds(time).saturating_add(1)),
        timestamps: true,
        tail: window
            .tail
            // the engine counts from the end of the log, also when lines before a time are asked for
            .filter(|_| window.until.is_none())
            .map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
    };
    let what = format!("failed to read the log of `{}`", container.instance);
    let mut buffer = if engine.is_podman() {
        LineBuffer::of_podman()
    } else {
        LineBuffer::default()
    };
    let lines = engine
        .docker()
        .logs(&container.id, Some(options))
        .map(Some)
        .chain(futures_util::stream::once(async { None }))
        .flat_map(move |piece| {
            let found: Vec<CommandResult<LogLine>> = match piece {
                Some(Ok(output)) => buffer
                    .push(&output.into_bytes())
                    .into_iter()
                    .map(Ok)
                    .collect(),
                Some(Err(error)) => vec![Err(refused(error, &what))],
                None => buffer.finish().into_iter().map(Ok).collect(),
            };
            futures_util::stream::iter(found)
        })
        .filter(move |line| {
            let wanted = line.as_ref().map_or(true, |line| window.contains(line));
            async move { wanted }
        });
    match window.tail {
        Some(count) if window.until.is_some() => last(lines, count).boxed(),
        _ => lines.boxed(),
    }
}

/// The last items of a stream that ends.
fn last<T>(items: impl Stream<Item = T>, count: usize) -> impl Stream<Item = T> {
    let kept = items.fold(VecDeque::new(), move |mut kept, item| async move {
        kept.push_back(item);
        if kept.len() > count {
            kept.pop_front();
        }
        kept
    });
    kept.into_stream().flat_map(futures_util::stream::iter)
}

fn whole_seconds(time: Timestamp) -> i32 {
    i32::try_from(time.as_second()).unwrap_or(i32::MAX)
}

/// Sends the lines of an instance until cancelled, through restarts and through deploys that replace its container.
///
/// # Errors
///
/// The engine's refusal. A closed receiver ends it without error.
pub async fn follow(
    engine: &Engine,
    mut container: InstanceContainer,
    mut window: Window,
    lines_to: &mpsc::Sender<LogLine>,
    cancel: &CancellationToken,
) -> CommandResult<()> {
    let mut seen = Seen::default();
    loop {
        // Listening begins before reading, so that no start between the two is missed.
        let mut starts = starts_of(engine, &container.instance);
        let mut log = lines(engine, &container, window, true);
        let mut again = seen.again();
        while let Some(line) = tokio::select! {
            line = log.next() => line,
            () = cancel.cancelled() => return Ok(()),
        } {
            let line = line?;
            if again.is_known(&line) {
                continue;
            }
            seen.add(&line);
            if lines_to.send(line).await.is_err() {
                return Ok(());
            }
        }
        window.tail = None;
        window.since = seen.last.or(window.since);
        let next = tokio::select! {
            next = next_container(engine, &container, &mut starts) => next?,
            () = cancel.cancelled() => return Ok(()),
        };
        if next.id != container.id {
            // its log begins anew
            seen.count = 0;
        }
        container = next;
    }
}

/// Which lines of a log were seen when it is read again from the last time on. Podman counts whole seconds, so
/// that the lines before and after a restart may have one time.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    last: Option<Timestamp>,
    count: usize,
}

impl Seen {
    fn add(&mut self, line: &LogLine) {
        if line.time.is_some() && line.time != self.last {
            self.last = line.time;
            self.count = 0;
        }
        self.count += 1;
    }

    /// What comes once more when reading begins at the last time.
    fn again(self) -> Again {
        Again {
            last: self.last,
            left: self.count,
        }
    }
}

/// Lines that come once more.
#[derive(Debug)]
struct Again {
    last: Option<Timestamp>,
    left: usize,
}

impl Again {
    fn is_known(&mut self, line: &LogLine) -> bool {
        let known = self.left > 0 && (line.time.is_none() || line.time <= self.last);
        self.left = if known { self.left - 1 } else { 0 };
        known
    }
}

/// Waits until a container of the same name in the same instance runs again, and gives it.
async fn next_container(
    engine: &Engine,
    before: &InstanceContainer,
    starts: &mut BoxStream<'static, CommandResult<()>>,
) -> CommandResult<InstanceContainer> {
    let selector = Selector {
        beamline: Some(&before.beamline),
        instance: &before.instance,
        container: Some(&before.container),
        state: Path::new(&before.state_folder),
    };
    loop {
        if let Ok(found) = containers::find(engine, selector).await
            && found.is_running
        {
            return Ok(found);
        }
        match starts.next().await {
            Some(event) => event?,
            None => *starts = starts_of(engine, &before.instance),
        }
    }
}

/// One item whenever a container of the instance starts.
fn starts_of(engine: &Engine, instance: &str) -> BoxStream<'static, CommandResult<()>> {
    let options = EventsOptions {
        filters: Some(HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("event".to_owned(), vec!["start".to_owned()]),
            ("label".to_owned(), vec![format!("{INSTANCE}={instance}")]),
        ])),
        ..EventsOptions::default()
    };
    engine
        .docker()
        .events(Some(options))
        .map(|event| {
            event
                .map(|_started| ())
                .map_err(|error| refused(error, "failed to watch the engine"))
        })
        .boxed()
}

/// The window of what the IOC said before its last start.
///
/// # Errors
///
/// The engine's refusal.
pub async fn before_last_start(
    engine: &Engine,
    container: &InstanceContainer,
) -> CommandResult<Option<Timestamp>> {
    let facts = engine
        .docker()
        .inspect_container(&container.id, None)
        .await
        .map_err(|error| refused(error, "failed to look at the container"))?;
    let restarts = facts.restart_count.unwrap_or(0);
    let time = |text: Option<String>| text.and_then(|time| time.parse::<Timestamp>().ok());
    let (started, finished) = facts.state.map_or((None, None), |state| {
        (time(state.started_at), time(state.finished_at))
    });
    // The engine keeps the end of the run before, also of one that was stopped and started by hand; without one
    // it gives the year 1.
    let started_again = matches!(
        (finished, started),
        (Some(finished), Some(started)) if finished > Timestamp::UNIX_EPOCH && finished <= started
    );
    Ok(started.filter(|_| restarts > 0 || started_again))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: i64, text: &str) -> LogLine {
        LogLine {
            time: Some(Timestamp::from_second(second).unwrap()),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_log_that_is_read_again_gives_each_line_once() {
        let first = [line(1, "a"), line(2, "b"), line(2, "c")];
        let mut seen = Seen::default();
        for line in &first {
            seen.add(line);
        }
        let again = [line(2, "b"), line(2, "c"), line(2, "d"), line(3, "e")];
        let mut known = seen.again();
        let new: Vec<&str> = again
            .iter()
            .filter(|line| !known.is_known(line))
            .map(|line| line.text.as_str())
            .collect();
        assert_eq!(new, ["d", "e"]);
        // without a time before, everything is new
        assert!(!Seen::default().again().is_known(&first[0]));
    }
}
