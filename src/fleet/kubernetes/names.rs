//! Names of the instances that run in the clusters of a project, for completion: quickly, or not at all.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::api::{Api, ListParams, PartialObjectMeta};

use super::look::object::{Deployment, StatefulSet};
use super::look::workload::IOC_LABELS;
use super::{Cluster, ClusterChoice};
use crate::project::Backend;
use crate::settings::Settings;

/// Somebody waits at a prompt.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Names of one kind and label that are asked for.
const MOST: u32 = 2000;

/// Names of workloads that a label calls IOCs, in the namespaces of the project's beamlines, or in the namespace of the
/// current context where there is no project. Whatever fails or takes too long gives no names.
pub fn of_clusters(settings: &Settings) -> Vec<String> {
    let choices = choices(settings);
    if choices.is_empty() {
        return Vec::new();
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Vec::new();
    };
    let found = runtime.block_on(async {
        let asked = choices.iter().map(|choice| of_cluster(settings, choice));
        tokio::time::timeout(PATIENCE, futures_util::future::join_all(asked)).await
    });
    // a credential plugin that still runs must not hold the prompt
    runtime.shutdown_background();
    let names: BTreeSet<String> = found.unwrap_or_default().into_iter().flatten().collect();
    names.into_iter().collect()
}

fn choices(settings: &Settings) -> Vec<ClusterChoice> {
    if settings.beamlines.is_empty() {
        return if settings
            .kubernetes
            .kubeconfig
            .iter()
            .any(|path| path.exists())
        {
            vec![ClusterChoice::default()]
        } else {
            Vec::new()
        };
    }
    settings
        .beamlines
        .values()
        .filter(|beamline| beamline.backend == Backend::Kubernetes)
        .map(|beamline| ClusterChoice {
            kubeconfig: None,
            context: beamline.context.clone(),
            namespace: Some(beamline.namespace.clone()),
            beamline: Some(beamline.name.clone()),
        })
        .collect()
}

async fn of_cluster(settings: &Settings, choice: &ClusterChoice) -> Vec<String> {
    let Ok(cluster) = Cluster::connect(settings, choice).await else {
        return Vec::new();
    };
    let asked = IOC_LABELS.iter().map(|label| async {
        let parameters = ListParams::default().labels(label).limit(MOST);
        let stateful_sets: Api<PartialObjectMeta<StatefulSet>> = cluster.api();
        let deployments: Api<PartialObjectMeta<Deployment>> = cluster.api();
        let (stateful_sets, deployments) = tokio::join!(
            stateful_sets.list(&parameters),
            deployments.list(&parameters)
        );
        let mut names = Vec::new();
        names.extend(
            stateful_sets
                .into_iter()
                .flatten()
                .filter_map(|object| object.metadata.name),
        );
        names.extend(
            deployments
                .into_iter()
                .flatten()
                .filter_map(|object| object.metadata.name),
        );
        names
    });
    futures_util::future::join_all(asked)
        .await
        .into_iter()
        .flatten()
        .collect()
}
