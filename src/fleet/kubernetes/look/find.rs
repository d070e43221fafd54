//! The one instance that a verb means, with its pods.

use std::collections::BTreeSet;

use kube::api::{Api, ListParams};

use super::list::{self, Scope};
use super::object::{Container, Deployment, Pod, StatefulSet};
use super::state;
use super::workload::{Instance, Kind, Workload, instances};
use crate::diagnostic::nearest;
use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::retry::retrying;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// An instance and the pods that it has now.
#[derive(Debug, Clone)]
pub struct Found {
    /// The instance.
    pub instance: Instance,
    /// Its pods.
    pub pods: Vec<Pod>,
}

impl Found {
    /// The pod that counts.
    pub fn pod(&self) -> Option<&Pod> {
        let pods: Vec<&Pod> = self.pods.iter().collect();
        state::newest(&pods)
    }

    /// The container of that name, or the one that is the IOC.
    ///
    /// # Errors
    ///
    /// No such container, with the names that there are.
    pub fn container(&self, name: Option<&str>) -> CommandResult<&Container> {
        let workload = &self.instance.workload;
        let found = match name {
            None => workload.main_container(),
            Some(name) => workload
                .containers
                .iter()
                .chain(&workload.init_containers)
                .find(|container| container.name == name),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = workload
                .containers
                .iter()
                .chain(&workload.init_containers)
                .map(|container| container.name.as_str())
                .collect();
            CommandError::not_found(format!(
                "`{}` has no container `{}`",
                self.instance.name,
                name.unwrap_or("of the IOC")
            ))
            .hint(format!("it has {}", names.join(", ")))
        })
    }
}

/// Finds an instance in the cluster's namespace.
///
/// # Errors
///
/// Not found, with the nearest name; otherwise the cluster's refusal.
pub async fn find(cluster: &Cluster, name: &str) -> CommandResult<Found> {
    let name = name.to_lowercase();
    let instance = match by_name(cluster, &name).await? {
        Some(instance) => instance,
        None => by_release(cluster, &name).await?,
    };
    let pods = pods(cluster, &instance.workload).await?;
    Ok(Found { instance, pods })
}

/// The workload that has the instance's own name, as charts of IOCs make it: two small requests.
async fn by_name(cluster: &Cluster, name: &str) -> CommandResult<Option<Instance>> {
    let stateful_sets: Api<StatefulSet> = cluster.api();
    let deployments: Api<Deployment> = cluster.api();
    let (stateful_set, deployment) = tokio::join!(
        retrying(|| stateful_sets.get_opt(name)),
        retrying(|| deployments.get_opt(name)),
    );
    let failed = |error| cluster.failed(format!("look for `{name}`"))(error);
    let mut refusals = Vec::new();
    let found = [
        stateful_set.map(|found| found.map(Workload::from)),
        deployment.map(|found| found.map(Workload::from)),
    ]
    .into_iter()
    .find_map(|asked| {
        asked.unwrap_or_else(|error| {
            refusals.push(error);
            None
        })
    });
    // who may see only one of the two kinds works with that kind
    match (found, refusals.into_iter().next()) {
        (Some(workload), _) => Ok(Some(Instance {
            name: name.to_owned(),
            workload,
        })),
        (None, Some(refusal)) => Err(failed(refusal)),
        (None, None) => Ok(None),
    }
}

/// Any workload of the release of that name.
async fn by_release(cluster: &Cluster, name: &str) -> CommandResult<Instance> {
    let scope = Scope::Namespace(&cluster.namespace);
    let seen = list::look(cluster, scope).await?;
    let known = BTreeSet::from([name.to_owned()]);
    let all = instances(seen.workloads, &known);
    let names: Vec<String> = all.iter().map(|instance| instance.name.clone()).collect();
    let parts: Vec<String> = all
        .iter()
        .filter(|instance| instance.workload.release.as_deref() == Some(name))
        .map(|instance| format!("`{}`", instance.name))
        .collect();
    if let Some(instance) = all.into_iter().find(|instance| instance.name == name) {
        return Ok(instance);
    }
    if names.is_empty()
        && let Some(error) = cluster.missing_namespace().await
    {
        return Err(error);
    }
    if !parts.is_empty() {
        return Err(CommandError::new(
            ErrorKind::NotFound,
            format!("release `{name}` has several parts, none of that name"),
        )
        .hint(format!("name one of {}", parts.join(", "))));
    }
    if seen.releases.get(&cluster.namespace, name).is_some() {
        return Err(CommandError::new(
            ErrorKind::NotFound,
            format!("release `{name}` has nothing in {} that runs", scope.name()),
        )
        .hint(format!("`ioc history {name}` tells what became of it")));
    }
    let error = CommandError::not_found(format!("`{name}` is not deployed in {}", scope.name()));
    Err(match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!(
            "`ioc ps -n {}` lists what is; `-n` names another namespace",
            cluster.namespace
        )),
    })
}

/// The pods of a workload.
///
/// # Errors
///
/// The cluster's refusal.
pub async fn pods(cluster: &Cluster, workload: &Workload) -> CommandResult<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &workload.namespace);
    let failed = cluster.failed(format!("list the pods of `{}`", workload.name));
    if workload.kind == Kind::Pod {
        let pod = retrying(|| api.get_opt(&workload.name))
            .await
            .map_err(failed)?;
        return Ok(pod.into_iter().collect());
    }
    let parameters = ListParams::default().labels(&selector(workload));
    let list = retrying(|| api.list(&parameters)).await.map_err(failed)?;
    let mut pods = list.items;
    pods.retain(|pod| workload.owns(pod));
    Ok(pods)
}

/// Selects the pods of a workload.
pub fn selector(workload: &Workload) -> String {
    let labels: Vec<String> = workload
        .selector
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    labels.join(",")
}
