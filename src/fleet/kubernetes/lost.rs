//! Pods on nodes that do not answer: forgetting them, so that a StatefulSet makes them again elsewhere.
//!
//! A pod that is deleted by force is gone for the cluster, whatever still runs on its node. Everything that speaks
//! against it is looked for first: a node that answers, an IOC that answers.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Preconditions};
use tokio_util::sync::CancellationToken;

use crate::fleet::answer::Answer;
use crate::fleet::kubernetes::answer;
use crate::fleet::kubernetes::placement::node::{self, Readiness};
use crate::fleet::kubernetes::placement::outage::TWO_AT_ONCE;
use crate::fleet::kubernetes::placement::{check, workload};
use crate::fleet::kubernetes::release::ClusterRelease;
use crate::fleet::kubernetes::retry::retrying;
use crate::fleet::kubernetes::survey::Survey;
use crate::fleet::progress::Progress;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How long an IOC is searched that should be off.
const SEARCH: Duration = Duration::from_secs(2);

/// A pod on a node that does not answer.
#[derive(Debug, Clone)]
pub struct Lost {
    /// The pod.
    pub pod: String,
    /// Its node.
    pub node: String,
    uid: Option<String>,
}

/// The pods of an instance that are on nodes that do not answer.
///
/// # Errors
///
/// [`ErrorKind::Conflict`] when a node of its pods answers, or its IOC does: then it is not off.
pub async fn pods(
    release: &ClusterRelease,
    survey: &Survey,
    settings: &BTreeMap<String, String>,
    progress: &dyn Progress,
) -> CommandResult<Vec<Lost>> {
    let instance = &release.name;
    let mut lost = Vec::new();
    for pod in own(survey, &release.cluster.namespace, instance) {
        let Some(on) = check::node_of(pod) else {
            continue;
        };
        let node = survey.nodes.iter().find(|node| node::name(node) == on);
        if node.is_some_and(|node| node::readiness(node) != Readiness::Silent) {
            return Err(CommandError::new(
                ErrorKind::Conflict,
                format!("node `{on}`, where `{instance}` runs, is not off: its kubelet reports"),
            )
            .hint("without `--node-is-off` the IOC is ended there before it is started again"));
        }
        progress.step(&format!(
            "searching whether the IOC of {instance} still answers"
        ));
        if let Some(address) = node.and_then(node::address) {
            still_answers(pod, instance, on, address, settings).await?;
        }
        lost.push(Lost {
            pod: pod.metadata.name.clone().unwrap_or_default(),
            node: on.to_owned(),
            uid: pod.metadata.uid.clone(),
        });
    }
    if lost.is_empty() {
        return Err(CommandError::new(
            ErrorKind::Conflict,
            format!("no pod of `{instance}` is on a node that does not answer"),
        )
        .hint("leave `--node-is-off` out"));
    }
    Ok(lost)
}

async fn still_answers(
    pod: &Pod,
    instance: &str,
    on: &str,
    address: &str,
    settings: &BTreeMap<String, String>,
) -> CommandResult<()> {
    let question = pod.spec.as_ref().and_then(|spec| {
        let annotations = pod.metadata.annotations.as_ref();
        answer::question(spec, annotations, instance, &[address], settings)
    });
    let Some(question) = question else {
        return Ok(());
    };
    let servers = answer::servers(&question, SEARCH).await;
    let Some(server) = servers
        .iter()
        .find(|server| server.ip().to_string() == address)
    else {
        return Ok(());
    };
    Err(CommandError::new(
        ErrorKind::Conflict,
        format!(
            "the IOC of `{instance}` still runs: `{}` answers at {server}, which is node `{on}`",
            question.pv
        ),
    )
    .caused_by("the node is cut from the control plane and not off")
    .hint(format!(
        "switch `{on}` off, or mend its way to the control plane; {TWO_AT_ONCE}"
    )))
}

/// The pods of an instance.
pub fn own<'a>(
    survey: &'a Survey,
    namespace: &'a str,
    instance: &'a str,
) -> impl Iterator<Item = &'a Pod> {
    survey.pods.iter().filter(move |pod| {
        pod.metadata.namespace.as_deref() == Some(namespace)
            && workload::owner(pod).name() == Some(instance)
    })
}

/// Forgets pods: their owner makes them again.
///
/// # Errors
///
/// The cluster's refusal.
pub async fn forget(
    release: &ClusterRelease,
    lost: &[Lost],
    progress: &dyn Progress,
) -> CommandResult<()> {
    let pods: Api<Pod> = release.cluster.api();
    for one in lost {
        progress.step(&format!("forgetting pod {} on {}", one.pod, one.node));
        let parameters = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: one.uid.clone(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match retrying(|| pods.delete(&one.pod, &parameters)).await {
            Ok(_) => {}
            // it has gone meanwhile, or is another of the same name
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => {
                return Err(release
                    .cluster
                    .failed(format!("delete the pod {}", one.pod))(
                    error
                ));
            }
        }
    }
    Ok(())
}

impl ClusterRelease {
    /// Waits until what the release consists of is ready; gives what its IOC answered.
    ///
    /// # Errors
    ///
    /// As [`Self::wait_until_ready`].
    pub async fn wait_for_all(
        &self,
        timeout: Duration,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<Option<Answer>> {
        let objects = self.made_objects().await?;
        self.wait_until_ready(objects.iter(), timeout, progress, cancel)
            .await
    }
}
