//! An ephemeral container beside that of an IOC, for images that have no shell.
//!
//! Kubernetes never takes an ephemeral container out of a pod again. Ours ends with the connection of whoever asked for
//! it, and stays in the pod's description until the pod is made anew.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::fleet::console::connection::Connection;
use crate::fleet::console::debug::HOLD;
use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::console::{self, PodProcess};
use crate::fleet::kubernetes::retry::retrying;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How long a node may take to get the image and start the container.
pub(super) const START: Duration = Duration::from_mins(2);
/// How often the pod is looked at meanwhile.
pub(super) const LOOK: Duration = Duration::from_millis(200);
/// Reasons that no waiting mends.
const HOPELESS: [&str; 6] = [
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
];

/// A running ephemeral container; it ends when `_holder` is dropped.
pub struct Beside {
    /// Where commands are run.
    pub process: PodProcess,
    _holder: Connection,
}

impl Beside {
    /// Adds a container of `image` to the pod and waits until it runs.
    ///
    /// # Errors
    ///
    /// The cluster's refusal, or why the container does not start.
    pub async fn start(cluster: &Cluster, target: &PodProcess, image: &str) -> CommandResult<Self> {
        let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &target.namespace);
        let pod = read(cluster, &api, &target.pod).await?;
        let name = free_name(&pod);
        let patch =
            json!({"spec": {"ephemeralContainers": [container(&pod, target, &name, image)]}});
        api.patch_ephemeral_containers(
            &target.pod,
            &PatchParams::default(),
            &Patch::Strategic(&patch),
        )
        .await
        .map_err(cluster.failed(format!("add a container to `{}`", target.pod)))?;
        let process = PodProcess {
            container: name,
            stdin: true,
            tty: false,
            ..target.clone()
        };
        let waited = tokio::time::timeout(START, started(cluster, &api, &process, image)).await;
        waited.unwrap_or_else(|_elapsed| {
            Err(not_started(
                &process,
                image,
                "it has not started in two minutes",
            ))
        })?;
        let holder = console::attach(cluster, &process, true).await?;
        Ok(Self {
            process,
            _holder: holder,
        })
    }
}

async fn read(cluster: &Cluster, api: &Api<Pod>, name: &str) -> CommandResult<Pod> {
    retrying(|| api.get(name))
        .await
        .map_err(cluster.failed(format!("read pod `{name}`")))
}

async fn started(
    cluster: &Cluster,
    api: &Api<Pod>,
    process: &PodProcess,
    image: &str,
) -> CommandResult<()> {
    loop {
        let pod = read(cluster, api, &process.pod).await?;
        match progress(statuses(&pod), &process.container) {
            Progress::Runs => return Ok(()),
            Progress::Waits => tokio::time::sleep(LOOK).await,
            Progress::Failed(why) => return Err(not_started(process, image, &why)),
        }
    }
}

fn statuses(pod: &Pod) -> &[ContainerStatus] {
    pod.status
        .as_ref()
        .and_then(|status| status.ephemeral_container_statuses.as_deref())
        .unwrap_or_default()
}

/// How far a container has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Its process runs.
    Runs,
    /// It may still come.
    Waits,
    /// It will not come, and why.
    Failed(String),
}

pub(super) fn progress(statuses: &[ContainerStatus], name: &str) -> Progress {
    let state = statuses
        .iter()
        .find(|status| status.name == name)
        .and_then(|status| status.state.as_ref());
    let Some(state) = state else {
        return Progress::Waits;
    };
    if state.running.is_some() {
        return Progress::Runs;
    }
    if let Some(ended) = &state.terminated {
        let message = ended.message.as_deref().or(ended.reason.as_deref());
        return Progress::Failed(format!(
            "it ended at once with code {}: {}",
            ended.exit_code,
            message.unwrap_or("no reason is known")
        ));
    }
    let waiting = state.waiting.as_ref();
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
    match reason {
        Some(reason) if HOPELESS.contains(&reason) => {
            let message = waiting.and_then(|waiting| waiting.message.as_deref());
            Progress::Failed(format!("{reason}: {}", message.unwrap_or_default()))
        }
        _ => Progress::Waits,
    }
}

fn not_started(process: &PodProcess, image: &str, why: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Unhealthy,
        format!(
            "the container `{}` beside the IOC in `{}` does not run",
            process.container, process.pod
        ),
    )
    .caused_by(why)
    .hint(format!(
        "`{image}` must be an image that the node has or can pull, with `{HOLD}` and a shell; the IOC is not touched"
    ))
}

/// The first of `ioc-debug-1`, `-2`, … that the pod has not had yet: names cannot be used again.
fn free_name(pod: &Pod) -> String {
    let taken = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.ephemeral_containers.as_deref())
        .unwrap_or_default();
    let name = |number: usize| format!("ioc-debug-{number}");
    // one more than there are is free for sure
    (1..=taken.len())
        .map(name)
        .find(|name| taken.iter().all(|container| container.name != *name))
        .unwrap_or_else(|| name(taken.len() + 1))
}

/// What is added: the user, the rights and the volumes are those of the container that is looked at.
fn container(pod: &Pod, target: &PodProcess, name: &str, image: &str) -> Value {
    let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice());
    let of = containers
        .unwrap_or_default()
        .iter()
        .find(|container| container.name == target.container);
    let mut added = json!({
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [HOLD],
        "stdin": true,
        "stdinOnce": true,
        "targetContainerName": target.container,
    });
    if let Some(context) = of.and_then(|container| container.security_context.as_ref()) {
        added["securityContext"] = json!(context);
    }
    // an ephemeral container may not mount a part of a volume
    let mounts: Vec<_> = of
        .and_then(|container| container.volume_mounts.as_deref())
        .unwrap_or_default()
        .iter()
        .filter(|mount| mount.sub_path.is_none() && mount.sub_path_expr.is_none())
        .collect();
    if !mounts.is_empty() {
        added["volumeMounts"] = json!(mounts);
    }
    added
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(value: Value) -> Pod {
        serde_json::from_value(value).unwrap()
    }

    fn target() -> PodProcess {
        PodProcess {
            namespace: "t01".to_owned(),
            pod: "t01-ea-ioc-01-0".to_owned(),
            container: "ioc".to_owned(),
            stdin: false,
            tty: false,
        }
    }

    #[test]
    fn it_has_the_user_and_the_volumes_of_the_ioc() {
        let pod = pod(json!({"spec": {"containers": [
            {"name": "other"},
            {"name": "ioc", "securityContext": {"runAsUser": 37000}, "volumeMounts": [
                {"name": "autosave", "mountPath": "/autosave"},
                {"name": "config", "mountPath": "/epics/ioc/config", "subPath": "part"},
            ]},
        ]}}));
        let added = container(&pod, &target(), "ioc-debug-1", "debug:1");
        assert_eq!(added["securityContext"], json!({"runAsUser": 37000}));
        assert_eq!(
            added["volumeMounts"],
            json!([{"name": "autosave", "mountPath": "/autosave"}])
        );
        assert_eq!(added["targetContainerName"], "ioc");
    }

    #[test]
    fn names_are_not_used_twice() {
        let with = |names: &[&str]| {
            let ephemeral: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            free_name(&pod(
                json!({"spec": {"containers": [], "ephemeralContainers": ephemeral}}),
            ))
        };
        assert_eq!(with(&[]), "ioc-debug-1");
        assert_eq!(with(&["ioc-debug-1", "debugger-x"]), "ioc-debug-2");
        assert_eq!(with(&["ioc-debug-2"]), "ioc-debug-1");
    }

    #[test]
    fn progress_is_told_from_the_state() {
        let at = |state: Value| {
            let status = json!({"name": "d", "image": "", "imageID": "", "ready": false,
                "restartCount": 0, "state": state});
            progress(&[serde_json::from_value(status).unwrap()], "d")
        };
        assert_eq!(progress(&[], "d"), Progress::Waits);
        assert_eq!(at(json!({"running": {}})), Progress::Runs);
        assert_eq!(
            at(json!({"waiting": {"reason": "ContainerCreating"}})),
            Progress::Waits
        );
        assert!(matches!(
            at(json!({"waiting": {"reason": "ErrImagePull", "message": "no such image"}})),
            Progress::Failed(why) if why.contains("no such image")
        ));
        assert!(matches!(
            at(json!({"terminated": {"exitCode": 127, "reason": "StartError"}})),
            Progress::Failed(why) if why.contains("127")
        ));
    }
}
