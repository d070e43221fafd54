//! What has to be done on the engine, in order.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::fleet::workload::{Pod, Workloads};

/// One pod of this release that the engine has, complete or in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Name of the pod.
    pub pod: String,
    /// The hash of the template that its containers were made from; `None` when they disagree.
    pub hash: Option<String>,
    /// Its containers by name, with the identifier of the image that each was made from.
    pub containers: BTreeMap<String, String>,
    /// Whether all of them are running or being started again by the engine.
    pub running: bool,
}

/// Which image a reference means now: identifiers by reference.
pub type ImageFact = BTreeMap<String, String>;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Action {
    /// Make and start a pod that is not there.
    Create {
        /// Name of the pod.
        pod: String,
        /// Its containers.
        containers: Vec<String>,
    },
    /// End a pod and start another in its place.
    Replace {
        /// Name of the pod.
        pod: String,
        /// Its containers.
        containers: Vec<String>,
        /// Why.
        because: Reason,
    },
    /// Leave a pod as it is; its configuration files may change under it.
    Keep {
        /// Name of the pod.
        pod: String,
    },
    /// Start a pod that is as it should be but does not run.
    Start {
        /// Name of the pod.
        pod: String,
    },
    /// End a pod that is as it should be but should not run.
    Stop {
        /// Name of the pod.
        pod: String,
    },
    /// End and remove a pod that the release no longer has.
    Remove {
        /// Name of the pod.
        pod: String,
    },
}

impl Action {
    /// Whether the engine is touched.
    pub fn changes_something(&self) -> bool {
        !matches!(self, Self::Keep { .. })
    }
}

/// Why a pod is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Its template changed.
    Template,
    /// An image has been built again under the same name.
    Image,
    /// It is not complete.
    Incomplete,
}

/// What takes the engine from `existing` to `wanted`.
///
/// `stopped` is the intent of `ioc stop`: pods are made ready and not started. Pods that go come first, so that
/// their ports are free for those that come.
pub fn actions(
    wanted: &Workloads,
    existing: &[Existing],
    images: &ImageFact,
    stopped: bool,
) -> Vec<Action> {
    let mut actions: Vec<Action> = existing
        .iter()
        .filter(|pod| !wanted.pods.iter().any(|other| other.name == pod.pod))
        .map(|pod| Action::Remove {
            pod: pod.pod.clone(),
        })
        .collect();
    for pod in &wanted.pods {
        let present = existing.iter().find(|other| other.pod == pod.name);
        actions.push(action(pod, present, images, stopped));
    }
    actions
}

fn action(pod: &Pod, present: Option<&Existing>, images: &ImageFact, stopped: bool) -> Action {
    let containers = || {
        pod.containers
            .iter()
            .map(|container| container.name.clone())
            .collect()
    };
    let name = || pod.name.clone();
    let Some(present) = present else {
        return Action::Create {
            pod: name(),
            containers: containers(),
        };
    };
    if let Some(because) = difference(pod, present, images) {
        return Action::Replace {
            pod: name(),
            containers: containers(),
            because,
        };
    }
    let should_run = pod.wanted && !stopped;
    match (should_run, present.running) {
        (true, false) => Action::Start { pod: name() },
        (false, true) => Action::Stop { pod: name() },
        _ => Action::Keep { pod: name() },
    }
}

fn difference(pod: &Pod, present: &Existing, images: &ImageFact) -> Option<Reason> {
    let complete = pod.containers.len() == present.containers.len()
        && pod
            .containers
            .iter()
            .all(|container| present.containers.contains_key(&container.name));
    if present.hash.is_some() && present.hash.as_ref() != Some(&pod.hash) {
        return Some(Reason::Template);
    }
    if !complete || present.hash.is_none() {
        return Some(Reason::Incomplete);
    }
    let rebuilt = pod.containers.iter().any(|container| {
        let now = images.get(&container.image);
        let then = present.containers.get(&container.name);
        now.is_some() && now != then
    });
    rebuilt.then_some(Reason::Image)
}
