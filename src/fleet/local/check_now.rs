//! Health of containers that nobody checks.
//!
//! Podman leaves health checks to timers of systemd. On a machine without them a check never runs and its result
//! would be "starting" for ever: here it is run when somebody looks.

use std::time::Duration;

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::models::HealthConfig;
use bollard::query_parameters::InspectContainerOptions;
use futures_util::StreamExt as _;
use jiff::Timestamp;

use crate::engine::Engine;
use crate::fleet::containers::InstanceContainer;
use crate::fleet::health::{Check, Facts, Process};

/// How long a check may take that says nothing of it.
const USUAL_TIMEOUT: Duration = Duration::from_secs(30);
/// How many are run at once.
const AT_ONCE: usize = 8;

/// Runs the checks that never ran. `facts` are those of `containers`, in their order.
///
/// Never fails: a check that cannot be run leaves what the engine says.
pub async fn fill(
    engine: &Engine,
    containers: &[InstanceContainer],
    facts: &mut [Option<Facts>],
    now: Timestamp,
) {
    if !engine.is_podman() {
        return;
    }
    let unchecked: Vec<usize> = facts
        .iter()
        .enumerate()
        .filter(|(_, facts)| {
            facts.as_ref().is_some_and(|facts| {
                facts.check == Some(Check::Starting) && facts.process == Process::Running
            })
        })
        .map(|(index, _)| index)
        .collect();
    let checks = unchecked.into_iter().map(|index| async move {
        let container = containers.get(index)?;
        Some((index, check(engine, &container.id).await?))
    });
    let results: Vec<Option<(usize, Checked)>> = futures_util::stream::iter(checks)
        .buffered(AT_ONCE)
        .collect()
        .await;
    for (index, checked) in results.into_iter().flatten() {
        if let Some(Some(facts)) = facts.get_mut(index) {
            facts.check = Some(judge(&checked, facts.started, now));
        }
    }
}

/// A check that was run.
#[derive(Debug)]
struct Checked {
    is_good: bool,
    start_period: Duration,
}

/// One good check is enough; a bad one counts when the time for starting is over.
fn judge(checked: &Checked, started: Option<Timestamp>, now: Timestamp) -> Check {
    let runs_for = started.and_then(|started| Duration::try_from(now.duration_since(started)).ok());
    match (checked.is_good, runs_for) {
        (true, _) => Check::Healthy,
        (false, Some(runs_for)) if runs_for >= checked.start_period => Check::Unhealthy,
        (false, _) => Check::Starting,
    }
}

/// Runs the check of a container; `None` when the engine has run it itself, or cannot.
async fn check(engine: &Engine, id: &str) -> Option<Checked> {
    let docker = engine.docker();
    let answer = docker
        .inspect_container(id, None::<InspectContainerOptions>)
        .await
        .ok()?;
    let ran = answer.state?.health.and_then(|health| health.log);
    if ran.is_some_and(|log| !log.is_empty()) {
        return None;
    }
    let config = answer.config?.healthcheck?;
    let command = command(&config)?;
    let duration = |nanoseconds: Option<i64>| {
        let nanoseconds = nanoseconds.and_then(|number| u64::try_from(number).ok());
        nanoseconds.map(Duration::from_nanos).unwrap_or_default()
    };
    let timeout = match duration(config.timeout) {
        Duration::ZERO => USUAL_TIMEOUT,
        given => given,
    };
    let code = tokio::time::timeout(timeout, run(engine, id, command)).await;
    Some(Checked {
        is_good: match code {
            Ok(Ok(code)) => code == Some(0),
            // the engine's refusal says nothing about the IOC
            Ok(Err(_refused)) => return None,
            Err(_elapsed) => false,
        },
        start_period: duration(config.start_period),
    })
}

/// The command of a check; `None` when there is none.
fn command(config: &HealthConfig) -> Option<Vec<String>> {
    match config.test.as_deref()? {
        [kind, rest @ ..] if kind == "CMD" => Some(rest.to_vec()),
        [kind, shell] if kind == "CMD-SHELL" => {
            Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), shell.clone()])
        }
        _ => None,
    }
}

async fn run(
    engine: &Engine,
    id: &str,
    command: Vec<String>,
) -> Result<Option<i64>, bollard::errors::Error> {
    let docker = engine.docker();
    let options = CreateExecOptions {
        cmd: Some(command),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..CreateExecOptions::default()
    };
    let exec = docker.create_exec(id, options).await?;
    let started = docker
        .start_exec(&exec.id, None::<StartExecOptions>)
        .await?;
    if let StartExecResults::Attached { mut output, .. } = started {
        // what it says is for people who look closer
        while output.next().await.transpose()?.is_some() {}
    }
    Ok(docker.inspect_exec(&exec.id).await?.exit_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_check_counts_after_the_start_period() {
        let now = Timestamp::from_second(1000).unwrap();
        let cases = [
            (true, Some(1), Check::Healthy),
            (false, Some(59), Check::Starting),
            (false, Some(60), Check::Unhealthy),
            (false, None, Check::Starting),
        ];
        for (is_good, seconds, expected) in cases {
            let checked = Checked {
                is_good,
                start_period: Duration::from_mins(1),
            };
            let started = seconds.map(|ago| Timestamp::from_second(1000 - ago).unwrap());
            assert_eq!(
                judge(&checked, started, now),
                expected,
                "{is_good} {seconds:?}"
            );
        }
    }

    #[test]
    fn commands_of_checks() {
        let of = |test: &[&str]| {
            command(&HealthConfig {
                test: Some(test.iter().map(|&word| word.to_owned()).collect()),
                ..HealthConfig::default()
            })
        };
        assert_eq!(of(&["CMD", "true"]), Some(vec!["true".to_owned()]));
        assert_eq!(of(&["CMD-SHELL", "a b"]).unwrap()[2], "a b");
        assert_eq!(of(&["NONE"]), None);
    }
}
