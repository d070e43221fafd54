//! A pod in place of that of a stopped instance: its user, node and volumes, and a process that only waits. No other way
//! leads to what is in the claim of an instance that does not run.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{
    Container, PersistentVolumeClaimVolumeSource, Pod, PodSpec, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, PostParams};

use crate::fleet::console::connection::Connection;
use crate::fleet::console::debug::HOLD;
use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::console::{self, PodProcess};
use crate::fleet::kubernetes::debug::{self, LOOK, Progress, START};
use crate::fleet::kubernetes::look::workload::{Kind, Workload};
use crate::fleet::kubernetes::retry::retrying;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// The pod, as long as this lives; [`Self::end`] removes it. Left alone, its process ends with the connection to it.
pub struct StandIn {
    /// Where commands are run.
    pub process: PodProcess,
    api: Api<Pod>,
    _holder: Connection,
}

impl StandIn {
    /// Makes the pod for the container of that name and waits until it runs.
    ///
    /// # Errors
    ///
    /// The cluster's refusal, or why the pod does not start.
    pub async fn start(
        cluster: &Cluster,
        workload: &Workload,
        container: &str,
    ) -> CommandResult<Self> {
        let name = &workload.name;
        let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &workload.namespace);
        let pod = pod(cluster, workload, container).await?;
        let pod_name = pod.metadata.name.clone().unwrap_or_default();
        // of one that was killed
        remove(cluster, &api, &pod_name).await?;
        api.create(&PostParams::default(), &pod)
            .await
            .map_err(cluster.failed(format!(
                "make the pod `{pod_name}`, which reaches the volumes of `{name}`"
            )))?;
        let process = PodProcess {
            namespace: workload.namespace.clone(),
            pod: pod_name,
            container: container.to_owned(),
            stdin: true,
            tty: false,
        };
        match hold(cluster, &api, &process).await {
            Ok(holder) => Ok(Self {
                process,
                api,
                _holder: holder,
            }),
            Err(error) => {
                if let Err(second) = remove(cluster, &api, &process.pod).await {
                    return Err(error.hint(format!(
                        "the pod `{}` is still there: {second}",
                        process.pod
                    )));
                }
                Err(error)
            }
        }
    }

    /// Removes the pod and waits until it is gone: a claim may be for one pod at a time.
    ///
    /// # Errors
    ///
    /// The cluster's refusal.
    pub async fn end(self, cluster: &Cluster) -> CommandResult<()> {
        remove(cluster, &self.api, &self.process.pod).await
    }
}

async fn hold(
    cluster: &Cluster,
    api: &Api<Pod>,
    process: &PodProcess,
) -> CommandResult<Connection> {
    let waited = tokio::time::timeout(START, started(cluster, api, process)).await;
    waited.unwrap_or_else(|_elapsed| {
        Err(not_started(process, "it has not started in two minutes"))
    })?;
    console::attach(cluster, process, true).await
}

async fn started(cluster: &Cluster, api: &Api<Pod>, process: &PodProcess) -> CommandResult<()> {
    loop {
        let pod = retrying(|| api.get(&process.pod))
            .await
            .map_err(cluster.failed(format!("read pod `{}`", process.pod)))?;
        let statuses = pod
            .status
            .as_ref()
            .and_then(|status| status.container_statuses.as_deref())
            .unwrap_or_default();
        match debug::progress(statuses, &process.container) {
            Progress::Runs => return Ok(()),
            Progress::Waits => tokio::time::sleep(LOOK).await,
            Progress::Failed(why) => return Err(not_started(process, &why)),
        }
    }
}

fn not_started(process: &PodProcess, why: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Unhealthy,
        format!(
            "the pod `{}`, which reaches the volumes of the stopped instance, does not run",
            process.pod
        ),
    )
    .caused_by(why)
}

async fn remove(cluster: &Cluster, api: &Api<Pod>, name: &str) -> CommandResult<()> {
    let failed = || cluster.failed(format!("remove the pod `{name}`"));
    let at_once = DeleteParams::default().grace_period(0);
    match api.delete(name, &at_once).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(error) => return Err(failed()(error)),
    }
    let gone = async {
        while retrying(|| api.get_opt(name))
            .await
            .map_err(failed())?
            .is_some()
        {
            tokio::time::sleep(LOOK).await;
        }
        CommandResult::Ok(())
    };
    tokio::time::timeout(START, gone)
        .await
        .unwrap_or_else(|_elapsed| {
            Err(CommandError::new(
                ErrorKind::Cluster,
                format!("the pod `{name}` is being removed since two minutes"),
            ))
        })
}

/// The pod of the workload, made into one that waits.
async fn pod(cluster: &Cluster, workload: &Workload, container: &str) -> CommandResult<Pod> {
    let name = workload.name.as_str();
    let namespace = workload.namespace.as_str();
    let failed = cluster.failed(format!("read the workload `{name}`"));
    let (spec, claims) = match workload.kind {
        Kind::StatefulSet => {
            let api: Api<StatefulSet> = Api::namespaced(cluster.client.clone(), namespace);
            let spec = retrying(|| api.get(name)).await.map_err(failed)?.spec;
            let spec = spec.unwrap_or_default();
            (spec.template.spec, spec.volume_claim_templates)
        }
        Kind::Deployment => {
            let api: Api<Deployment> = Api::namespaced(cluster.client.clone(), namespace);
            let spec = retrying(|| api.get(name)).await.map_err(failed)?.spec;
            (spec.unwrap_or_default().template.spec, None)
        }
        Kind::Pod => {
            return Err(CommandError::new(
                ErrorKind::Unsupported,
                format!(
                    "`{name}` is a pod that nothing makes again: it cannot be stopped and started"
                ),
            ));
        }
    };
    let claims = claims
        .unwrap_or_default()
        .into_iter()
        .filter_map(|claim| claim.metadata.name)
        .collect();
    Ok(waiting(name, container, spec.unwrap_or_default(), claims))
}

/// Pure. `claims` are the templates of claims that each pod of a StatefulSet has its own of.
fn waiting(name: &str, container: &str, spec: PodSpec, claims: Vec<String>) -> Pod {
    let own = spec
        .containers
        .into_iter()
        .filter(|each| each.name == container)
        .map(|each| Container {
            command: Some(vec![HOLD.to_owned()]),
            args: None,
            stdin: Some(true),
            stdin_once: Some(true),
            tty: None,
            ports: None,
            lifecycle: None,
            liveness_probe: None,
            readiness_probe: None,
            startup_probe: None,
            ..each
        });
    let mut volumes = spec.volumes.unwrap_or_default();
    volumes.extend(claims.into_iter().map(|claim| Volume {
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: format!("{claim}-{name}-0"),
            read_only: None,
        }),
        name: claim,
        ..Volume::default()
    }));
    Pod {
        metadata: ObjectMeta {
            // no label of the instance: neither its controller nor `ioc ps` takes it for its own
            name: Some(format!("{name}-autosave")),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            containers: own.collect(),
            init_containers: None,
            restart_policy: Some("Never".to_owned()),
            volumes: Some(volumes),
            ..spec
        }),
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_has_the_volumes_and_the_place_and_runs_nothing() {
        let spec = serde_json::from_value(json!({
            "nodeSelector": {"beamline": "t01"}, "hostNetwork": true, "serviceAccountName": "t01",
            "initContainers": [{"name": "first"}],
            "containers": [
                {"name": "side", "image": "s"},
                {"name": "ioc", "image": "i", "command": ["start.sh"], "args": ["x"],
                 "ports": [{"containerPort": 5064}], "livenessProbe": {"exec": {"command": ["a"]}},
                 "volumeMounts": [{"name": "autosave", "mountPath": "/autosave"}]},
            ],
            "volumes": [{"name": "config", "configMap": {"name": "c"}}],
        }))
        .unwrap();
        let pod = waiting("t01-ea-ioc-01", "ioc", spec, vec!["autosave".to_owned()]);
        assert_eq!(
            serde_json::to_value(pod).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": "t01-ea-ioc-01-autosave"},
                "spec": {
                    "nodeSelector": {"beamline": "t01"}, "hostNetwork": true, "serviceAccountName": "t01",
                    "restartPolicy": "Never",
                    "containers": [{"name": "ioc", "image": "i", "command": ["cat"], "stdin": true, "stdinOnce": true,
                        "volumeMounts": [{"name": "autosave", "mountPath": "/autosave"}]}],
                    "volumes": [
                        {"name": "config", "configMap": {"name": "c"}},
                        {"name": "autosave", "persistentVolumeClaim": {"claimName": "autosave-t01-ea-ioc-01-0"}},
                    ],
                },
            })
        );
    }
}
