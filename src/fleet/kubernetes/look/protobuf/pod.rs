//! Pods and nodes.

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, NodeCondition, PodCondition, PodStatus,
};

use super::metadata::{metadata, time};
use super::{Value, fields, message};
use crate::fleet::kubernetes::look::object::{Container, Node, Pod, PodSpec, Probe};

pub(super) fn pod(bytes: &[u8]) -> Option<Pod> {
    message(bytes, |pod: &mut Pod, number, value| {
        match number {
            1 => pod.metadata = metadata(value.bytes()?)?,
            2 => pod.spec = pod_spec(value.bytes()?)?,
            3 => pod.status = pod_status(value)?,
            _ => {}
        }
        Some(())
    })
}

pub(super) fn pod_spec(bytes: &[u8]) -> Option<PodSpec> {
    message(bytes, |spec: &mut PodSpec, number, value| {
        match number {
            2 => spec.containers.push(container(value)?),
            3 => spec.restart_policy = text(value)?,
            10 => spec.node_name = text(value)?,
            20 => spec.init_containers.push(container(value)?),
            _ => {}
        }
        Some(())
    })
}

/// A text; JSON leaves an empty one out.
#[expect(
    clippy::option_option,
    reason = "the outer one is whether it could be read"
)]
fn text(value: Value<'_>) -> Option<Option<String>> {
    value
        .owned()
        .map(|text| Some(text).filter(|text| !text.is_empty()))
}

/// A number; JSON leaves a zero out.
#[expect(
    clippy::option_option,
    reason = "the outer one is whether it could be read"
)]
fn count(value: Value<'_>) -> Option<Option<i32>> {
    value
        .integer()
        .map(|number| Some(number).filter(|number| *number != 0))
}

fn container(value: Value<'_>) -> Option<Container> {
    message(
        value.bytes()?,
        |container: &mut Container, number, value| {
            match number {
                1 => container.name = value.owned()?,
                2 => container.image = text(value)?,
                10 => container.liveness_probe = Some(probe(value)?),
                11 => container.readiness_probe = Some(probe(value)?),
                16 => container.stdin = value.truth()?,
                18 => container.tty = value.truth()?,
                22 => container.startup_probe = Some(probe(value)?),
                _ => {}
            }
            Some(())
        },
    )
}

fn probe(value: Value<'_>) -> Option<Probe> {
    message(value.bytes()?, |probe: &mut Probe, number, value| {
        match number {
            2 => probe.initial_delay_seconds = count(value)?,
            4 => probe.period_seconds = count(value)?,
            6 => probe.failure_threshold = count(value)?,
            _ => {}
        }
        Some(())
    })
}

fn pod_status(value: Value<'_>) -> Option<PodStatus> {
    message(value.bytes()?, |status: &mut PodStatus, number, value| {
        match number {
            1 => status.phase = text(value)?,
            2 => status
                .conditions
                .get_or_insert_default()
                .push(pod_condition(value)?),
            3 => status.message = text(value)?,
            4 => status.reason = text(value)?,
            5 => status.host_ip = text(value)?,
            6 => status.pod_ip = text(value)?,
            7 => status.start_time = time(value)?,
            8 => status
                .container_statuses
                .get_or_insert_default()
                .push(container_status(value)?),
            10 => status
                .init_container_statuses
                .get_or_insert_default()
                .push(container_status(value)?),
            _ => {}
        }
        Some(())
    })
}

fn pod_condition(value: Value<'_>) -> Option<PodCondition> {
    message(
        value.bytes()?,
        |condition: &mut PodCondition, number, value| {
            match number {
                1 => condition.type_ = value.owned()?,
                2 => condition.status = value.owned()?,
                4 => condition.last_transition_time = time(value)?,
                5 => condition.reason = text(value)?,
                6 => condition.message = text(value)?,
                _ => {}
            }
            Some(())
        },
    )
}

fn container_status(value: Value<'_>) -> Option<ContainerStatus> {
    message(
        value.bytes()?,
        |status: &mut ContainerStatus, number, value| {
            match number {
                1 => status.name = value.owned()?,
                2 => status.state = state(value)?,
                3 => status.last_state = state(value)?,
                4 => status.ready = value.truth()?,
                5 => status.restart_count = value.integer()?,
                6 => status.image = value.owned()?,
                7 => status.image_id = value.owned()?,
                8 => status.container_id = text(value)?,
                9 => status.started = Some(value.truth()?),
                _ => {}
            }
            Some(())
        },
    )
}

/// A state; the last one of a container that has not ended is empty.
#[expect(
    clippy::option_option,
    reason = "the outer one is whether it could be read"
)]
fn state(value: Value<'_>) -> Option<Option<ContainerState>> {
    let mut state = ContainerState::default();
    fields(value.bytes()?, |number, value| {
        match number {
            1 => state.waiting = Some(waiting(value)?),
            2 => state.running = Some(running(value)?),
            3 => state.terminated = Some(terminated(value)?),
            _ => {}
        }
        Some(())
    })?;
    Some(Some(state).filter(|state| *state != ContainerState::default()))
}

fn waiting(value: Value<'_>) -> Option<ContainerStateWaiting> {
    message(
        value.bytes()?,
        |waiting: &mut ContainerStateWaiting, number, value| {
            match number {
                1 => waiting.reason = text(value)?,
                2 => waiting.message = text(value)?,
                _ => {}
            }
            Some(())
        },
    )
}

fn running(value: Value<'_>) -> Option<ContainerStateRunning> {
    message(
        value.bytes()?,
        |running: &mut ContainerStateRunning, number, value| {
            if number == 1 {
                running.started_at = time(value)?;
            }
            Some(())
        },
    )
}

fn terminated(value: Value<'_>) -> Option<ContainerStateTerminated> {
    message(
        value.bytes()?,
        |terminated: &mut ContainerStateTerminated, number, value| {
            match number {
                1 => terminated.exit_code = value.integer()?,
                2 => terminated.signal = count(value)?,
                3 => terminated.reason = text(value)?,
                4 => terminated.message = text(value)?,
                5 => terminated.started_at = time(value)?,
                6 => terminated.finished_at = time(value)?,
                7 => terminated.container_id = text(value)?,
                _ => {}
            }
            Some(())
        },
    )
}

/// A node: whether it answers.
pub(super) fn node(bytes: &[u8]) -> Option<Node> {
    message(bytes, |node: &mut Node, number, value| {
        match number {
            1 => node.metadata = metadata(value.bytes()?)?,
            3 => fields(value.bytes()?, |number, value| {
                if number == 4 {
                    node.status.conditions.push(node_condition(value)?);
                }
                Some(())
            })?,
            _ => {}
        }
        Some(())
    })
}

fn node_condition(value: Value<'_>) -> Option<NodeCondition> {
    message(
        value.bytes()?,
        |condition: &mut NodeCondition, number, value| {
            match number {
                1 => condition.type_ = value.owned()?,
                2 => condition.status = value.owned()?,
                4 => condition.last_transition_time = time(value)?,
                5 => condition.reason = text(value)?,
                6 => condition.message = text(value)?,
                _ => {}
            }
            Some(())
        },
    )
}
