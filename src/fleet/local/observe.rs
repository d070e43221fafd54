//! What the engine has of an instance, as facts for the decisions in [`crate::fleet::plan`] and
//! [`crate::fleet::health`].

use std::collections::BTreeMap;

use bollard::models::{ContainerStateStatusEnum, HealthStatusEnum};
use bollard::query_parameters::InspectContainerOptions;
use futures_util::StreamExt as _;
use jiff::Timestamp;

use crate::engine::Engine;
use crate::fleet::containers::{InstanceContainer, refused};
use crate::fleet::health::{Check, Facts, Process};
use crate::fleet::logs::stream::{Window, lines};
use crate::fleet::plan::Existing;
use crate::ui::error::CommandResult;

/// How many containers are asked about at once.
const AT_ONCE: usize = 16;

/// Containers of one instance as pods.
pub fn pods(containers: &[InstanceContainer]) -> Vec<Existing> {
    let mut pods: BTreeMap<&str, Existing> = BTreeMap::new();
    for container in containers.iter().filter(|container| !container.is_staged) {
        let pod = pods.entry(&container.pod).or_insert_with(|| Existing {
            pod: container.pod.clone(),
            hash: Some(container.hash.clone()),
            containers: BTreeMap::new(),
            running: true,
        });
        if pod.hash.as_ref() != Some(&container.hash) {
            pod.hash = None;
        }
        pod.running &= container.is_kept_running;
        pod.containers
            .insert(container.container.clone(), container.image_id.clone());
    }
    pods.into_values().collect()
}

/// What the engine knows about a container; `None` when it has gone meanwhile.
///
/// # Errors
///
/// The engine's refusal.
pub async fn facts(engine: &Engine, id: &str) -> CommandResult<Option<Facts>> {
    let answer = engine
        .docker()
        .inspect_container(id, None::<InspectContainerOptions>)
        .await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(refused(error, "failed to inspect a container")),
    };
    let state = answer.state.unwrap_or_default();
    let mut facts = Facts {
        process: match state.status {
            Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING) => {
                Process::Running
            }
            Some(ContainerStateStatusEnum::PAUSED) => Process::Paused,
            Some(ContainerStateStatusEnum::RESTARTING) => Process::Restarting,
            Some(ContainerStateStatusEnum::EXITED) => Process::Exited,
            Some(ContainerStateStatusEnum::REMOVING | ContainerStateStatusEnum::DEAD) => {
                Process::Dead
            }
            Some(ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EMPTY) | None => {
                Process::Created
            }
        },
        check: match state.health.and_then(|health| health.status) {
            Some(HealthStatusEnum::STARTING) => Some(Check::Starting),
            Some(HealthStatusEnum::HEALTHY) => Some(Check::Healthy),
            Some(HealthStatusEnum::UNHEALTHY) => Some(Check::Unhealthy),
            Some(HealthStatusEnum::EMPTY | HealthStatusEnum::NONE) | None => None,
        },
        restarts: u32::try_from(answer.restart_count.unwrap_or(0)).unwrap_or(0),
        started: state.started_at.as_deref().and_then(time),
        finished: state.finished_at.as_deref().and_then(time),
        exit_code: state.exit_code,
        out_of_memory: state.oom_killed.unwrap_or(false),
        error: state.error,
    };
    if matches!(facts.process, Process::Running | Process::Paused) {
        // the engine sets this to 0 when it starts a process; how the one before ended is found in `last_exit`
        facts.exit_code = None;
    }
    Ok(Some(facts))
}

/// Facts of many containers, in their order, asked for in parallel.
///
/// # Errors
///
/// The engine's refusal.
pub async fn facts_of(
    engine: &Engine,
    containers: &[InstanceContainer],
) -> CommandResult<Vec<Option<Facts>>> {
    let asked = containers
        .iter()
        .map(|container| facts(engine, &container.id));
    let answers: Vec<CommandResult<Option<Facts>>> = futures_util::stream::iter(asked)
        .buffered(AT_ONCE)
        .collect()
        .await;
    answers.into_iter().collect()
}

/// The engine writes year 1 for a time that has not been.
fn time(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    (time > Timestamp::UNIX_EPOCH).then_some(time)
}

/// Whether the engine says that something does not exist.
pub(crate) fn is_missing(error: &bollard::errors::Error) -> bool {
    matches!(
        error,
        bollard::errors::Error::DockerResponseServerError {
            status_code: 404,
            ..
        }
    )
}

/// The last lines that a container wrote, safe to print, for an error message.
pub async fn last_lines(
    engine: &Engine,
    container: &InstanceContainer,
    count: usize,
) -> Vec<String> {
    let window = Window {
        tail: Some(count),
        ..Window::default()
    };
    lines(engine, container, window, false)
        .filter_map(|line| async move { line.ok() })
        .map(|line| line.text)
        .collect()
        .await
}
