//! How an instance is: what the engine says of its containers, read together with what is meant to run.
//!
//! Pure: facts, intent and the time in, a word and a reason out.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

/// A process that ran for less is taken as crashing when it has been started again and again.
const STEADY: Duration = Duration::from_secs(30);

/// What the engine says of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// State of its process.
    pub process: Process,
    /// Result of its health check, when it has one.
    pub check: Option<Check>,
    /// How often the engine has started it again since it was started by hand.
    pub restarts: u32,
    /// When its process was started last.
    pub started: Option<Timestamp>,
    /// When its process ended last.
    pub finished: Option<Timestamp>,
    /// Exit code of the last process that ended; `None` when none has, or nobody remembers.
    pub exit_code: Option<i64>,
    /// The kernel killed it because of its memory limit.
    pub out_of_memory: bool,
    /// Why it could not be started.
    pub error: Option<String>,
}

/// State of a process, as Docker names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Process {
    /// Made and never started.
    #[default]
    Created,
    /// Runs.
    Running,
    /// Stands still.
    Paused,
    /// Ended and will be started again.
    Restarting,
    /// Ended.
    Exited,
    /// Being removed, or broken.
    Dead,
}

/// Result of a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// No result counts yet.
    Starting,
    /// The last one was good.
    Healthy,
    /// Too many in a row failed.
    Unhealthy,
}

impl Check {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What is meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// It should run.
    Run,
    /// `ioc stop`, or a chart with no replicas.
    Stopped,
}

/// How an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its processes run.
    Running,
    /// Runs, and the command that deploys it still waits for its answer.
    Starting,
    /// Being ended.
    Stopping,
    /// Stopped on purpose.
    Stopped,
    /// Not started yet, and nothing is wrong that the cluster knows of.
    Pending,
    /// Runs, and its health check fails.
    Unhealthy,
    /// No node of the cluster may or can take it.
    Unschedulable,
    /// Its image cannot be fetched.
    ImagePull,
    /// Ends again and again.
    CrashLooping,
    /// Ended, and is not started again.
    Exited,
    /// Its node does not answer: it may run or not.
    NodeLost,
    /// Released, and not on the engine or the cluster.
    Missing,
}

impl State {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Pending => "pending",
            Self::Unhealthy => "unhealthy",
            Self::Unschedulable => "unschedulable",
            Self::ImagePull => "image-pull",
            Self::CrashLooping => "crash-looping",
            Self::Exited => "exited",
            Self::NodeLost => "node-lost",
            Self::Missing => "missing",
        }
    }

    /// Whether somebody has to look.
    pub fn is_bad(self) -> bool {
        matches!(
            self,
            Self::Unhealthy
                | Self::Unschedulable
                | Self::ImagePull
                | Self::CrashLooping
                | Self::Exited
                | Self::NodeLost
                | Self::Missing
        )
    }
}

/// The state of one container; `None` for facts is a container that is not there.
pub fn container(facts: Option<&Facts>, intent: Intent, now: Timestamp) -> State {
    let Some(facts) = facts else {
        return match intent {
            Intent::Run => State::Missing,
            Intent::Stopped => State::Stopped,
        };
    };
    match facts.process {
        Process::Restarting => State::CrashLooping,
        Process::Running | Process::Paused => {
            if facts.restarts >= 2 && uptime(facts, now).is_none_or(|time| time < STEADY) {
                return State::CrashLooping;
            }
            match facts.check {
                Some(Check::Unhealthy) => State::Unhealthy,
                // the engine makes its first check only after a whole period: that says nothing about the process
                Some(Check::Starting | Check::Healthy) | None => State::Running,
            }
        }
        Process::Created | Process::Exited | Process::Dead => match intent {
            Intent::Stopped => State::Stopped,
            Intent::Run => State::Exited,
        },
    }
}

/// The state of an instance: the worst of its containers.
pub fn instance(containers: impl IntoIterator<Item = State>) -> State {
    containers.into_iter().max().unwrap_or(State::Missing)
}

/// For how long it has run; `None` when it does not run.
pub fn uptime(facts: &Facts, now: Timestamp) -> Option<Duration> {
    matches!(facts.process, Process::Running | Process::Paused)
        .then_some(facts.started?)
        .map(|started| Duration::try_from(now.duration_since(started)).unwrap_or_default())
}

/// How the last process ended, in words: `exit code 139 (SIGSEGV)`; `None` when none has ended.
pub fn last_exit(facts: &Facts) -> Option<String> {
    if let Some(error) = facts.error.as_deref().filter(|error| !error.is_empty()) {
        return Some(format!("not started: {error}"));
    }
    facts.finished?;
    if facts.out_of_memory {
        return Some("out of memory".to_owned());
    }
    let Some(code) = facts.exit_code else {
        return Some("unknown".to_owned());
    };
    // a process that a signal ended is reported as 128 and the number of the signal
    Some(match signal(code - 128) {
        Some(name) => format!("{code} ({name})"),
        None => code.to_string(),
    })
}

fn signal(number: i64) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(process: Process, restarts: u32, seconds_ago: i64, check: Option<Check>) -> Facts {
        Facts {
            process,
            restarts,
            started: Some(Timestamp::from_second(1000 - seconds_ago).unwrap()),
            check,
            ..Facts::default()
        }
    }

    #[test]
    fn states_follow_from_facts_intent_and_time() {
        use Check::{Healthy, Starting, Unhealthy};
        use Intent::{Run, Stopped};
        use Process::{Created, Dead, Exited, Restarting, Running};
        let now = Timestamp::from_second(1000).unwrap();
        let cases = [
            (None, Run, State::Missing),
            (None, Stopped, State::Stopped),
            (Some(facts(Running, 0, 5, None)), Run, State::Running),
            (
                Some(facts(Running, 0, 5, Some(Starting))),
                Run,
                State::Running,
            ),
            (
                Some(facts(Running, 0, 5, Some(Healthy))),
                Run,
                State::Running,
            ),
            (
                Some(facts(Running, 0, 5, Some(Unhealthy))),
                Run,
                State::Unhealthy,
            ),
            // one restart may be anything; several within a short time are a loop
            (Some(facts(Running, 1, 5, None)), Run, State::Running),
            (Some(facts(Running, 2, 5, None)), Run, State::CrashLooping),
            (Some(facts(Running, 2, 500, None)), Run, State::Running),
            (
                Some(facts(Restarting, 1, 5, None)),
                Run,
                State::CrashLooping,
            ),
            (Some(facts(Exited, 0, 5, None)), Run, State::Exited),
            (Some(facts(Exited, 0, 5, None)), Stopped, State::Stopped),
            (Some(facts(Created, 0, 5, None)), Run, State::Exited),
            (Some(facts(Created, 0, 5, None)), Stopped, State::Stopped),
            (Some(facts(Dead, 0, 5, None)), Run, State::Exited),
            // somebody started it past us
            (Some(facts(Running, 0, 5, None)), Stopped, State::Running),
        ];
        for (facts, intent, expected) in cases {
            assert_eq!(
                container(facts.as_ref(), intent, now),
                expected,
                "{facts:?} {intent:?}"
            );
        }
        assert_eq!(
            instance([State::Running, State::Exited, State::Starting]),
            State::Exited
        );
        assert_eq!(instance([]), State::Missing);
    }

    #[test]
    fn the_last_exit_is_named() {
        let ended = |code: i64, out_of_memory: bool| Facts {
            finished: Some(Timestamp::UNIX_EPOCH),
            exit_code: Some(code),
            out_of_memory,
            ..Facts::default()
        };
        let never = Facts {
            exit_code: Some(0),
            ..Facts::default()
        };
        assert_eq!(last_exit(&never), None);
        assert_eq!(last_exit(&ended(0, false)).unwrap(), "0");
        assert_eq!(last_exit(&ended(139, false)).unwrap(), "139 (SIGSEGV)");
        assert_eq!(last_exit(&ended(200, false)).unwrap(), "200");
        let forgotten = Facts {
            exit_code: None,
            ..ended(0, false)
        };
        assert_eq!(last_exit(&forgotten).unwrap(), "unknown");
        assert_eq!(last_exit(&ended(137, true)).unwrap(), "out of memory");
    }
}
