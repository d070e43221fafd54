//! Pods and nodes.

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, NodeCondition, PodCondition, PodStatus,
};

use super::metadata::{metadata, time};
use super::{Value, fields};
use crate::fleet::kubernetes::look::object::{Container, Node, Pod, PodSpec, Probe};

pub(super) fn pod(bytes: &[u8]) -> Option<Pod> {
    let mut pod = Pod::default();
    fields(bytes, |number, value| {
        match number {
            1 => pod.metadata = metadata(value.bytes()?)?,
            2 => pod.spec = pod_spec(value.bytes()?)?,
            3 => pod.status = pod_status(value)?,
            _ => {}
        }
        Some(())
    })?;
    Some(pod)
}

pub(super) fn pod_spec(bytes: &[u8]) -> Option<PodSpec> {
    let mut spec = PodSpec::default();
    fields(bytes, |number, value| {
        match number {
            2 => spec.containers.push(container(value)?),
            3 => spec.restart_policy = text(value)?,
            10 => spec.node_name = text(value)?,
            20 => spec.init_containers.push(container(value)?),
            _ => {}
        }
        Some(())
    })?;
    Some(spec)
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

fn container(value: Value<'_>) -> Option<Container> {
    let mut container = Container::default();
    fields(value.bytes()?, |number, value| {
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
    })?;
    Some(container)
}

fn probe(value: Value<'_>) -> Option<Probe> {
    let mut probe = Probe::default();
    // JSON leaves a zero out
    let set = |value: Value<'_>| {
        value
            .integer()
            .map(|number| (number != 0).then_some(number))
    };
    fields(value.bytes()?, |number, value| {
        match number {
            2 => probe.initial_delay_seconds = set(value)?,
            4 => probe.period_seconds = set(value)?,
            6 => probe.failure_threshold = set(value)?,
            _ => {}
        }
        Some(())
    })?;
    Some(probe)
}

fn pod_status(value: Value<'_>) -> Option<PodStatus> {
    let mut status = PodStatus::default();
    fields(value.bytes()?, |number, value| {
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
    })?;
    Some(status)
}

fn pod_condition(value: Value<'_>) -> Option<PodCondition> {
    let mut condition = PodCondition::default();
    fields(value.bytes()?, |number, value| {
        match number {
            1 => condition.type_ = value.owned()?,
            2 => condition.status = value.owned()?,
            4 => condition.last_transition_time = time(value)?,
            5 => condition.reason = text(value)?,
            6 => condition.message = text(value)?,
            _ => {}
        }
        Some(())
    })?;
    Some(condition)
}

fn container_status(value: Value<'_>) -> Option<ContainerStatus> {
    let mut status = ContainerStatus::default();
    fields(value.bytes()?, |number, value| {
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
    })?;
    Some(status)
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
    let mut waiting = ContainerStateWaiting::default();
    fields(value.bytes()?, |number, value| {
        match number {
            1 => waiting.reason = text(value)?,
            2 => waiting.message = text(value)?,
            _ => {}
        }
        Some(())
    })?;
    Some(waiting)
}

fn running(value: Value<'_>) -> Option<ContainerStateRunning> {
    let mut running = ContainerStateRunning::default();
    fields(value.bytes()?, |number, value| {
        if number == 1 {
            running.started_at = time(value)?;
        }
        Some(())
    })?;
    Some(running)
}

fn terminated(value: Value<'_>) -> Option<ContainerStateTerminated> {
    let mut terminated = ContainerStateTerminated::default();
    fields(value.bytes()?, |number, value| {
        match number {
            1 => terminated.exit_code = value.integer()?,
            2 => {
                terminated.signal = value
                    .integer()
                    .map(|number| (number != 0).then_some(number))?;
            }
            3 => terminated.reason = text(value)?,
            4 => terminated.message = text(value)?,
            5 => terminated.started_at = time(value)?,
            6 => terminated.finished_at = time(value)?,
            7 => terminated.container_id = text(value)?,
            _ => {}
        }
        Some(())
    })?;
    Some(terminated)
}

/// A node: whether it answers.
pub(super) fn node(bytes: &[u8]) -> Option<Node> {
    let mut node = Node::default();
    fields(bytes, |number, value| {
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
    })?;
    Some(node)
}

fn node_condition(value: Value<'_>) -> Option<NodeCondition> {
    let mut condition = NodeCondition::default();
    fields(value.bytes()?, |number, value| {
        match number {
            1 => condition.type_ = value.owned()?,
            2 => condition.status = value.owned()?,
            4 => condition.last_transition_time = time(value)?,
            5 => condition.reason = text(value)?,
            6 => condition.message = text(value)?,
            _ => {}
        }
        Some(())
    })?;
    Some(condition)
}
