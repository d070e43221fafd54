//! The volumes of an instance: what they are, and how their claims are.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1 as core;
use kube::api::Api;

use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::look::list;
use crate::fleet::kubernetes::retry::retrying;
use crate::fleet::story::Volume;

/// All of them; what may not be read goes to `unseen`.
pub(super) async fn volumes(
    cluster: &Cluster,
    pod: Option<&core::Pod>,
    unseen: &mut Vec<String>,
) -> Vec<Volume> {
    let Some(spec) = pod.and_then(|pod| pod.spec.as_ref()) else {
        return Vec::new();
    };
    let namespace = pod
        .and_then(|pod| pod.metadata.namespace.as_deref())
        .unwrap_or_default();
    let claims: Api<core::PersistentVolumeClaim> =
        Api::namespaced(cluster.client.clone(), namespace);
    let mut told = Vec::new();
    for volume in spec.volumes.iter().flatten() {
        // what every pod has of the cluster itself
        if volume.name.starts_with("kube-api-access-") {
            continue;
        }
        // containers of one pod mostly have it at the same place
        let mounted_at: BTreeSet<String> = spec
            .containers
            .iter()
            .flat_map(|container| container.volume_mounts.iter().flatten())
            .filter(|mount| mount.name == volume.name)
            .map(|mount| mount.mount_path.clone())
            .collect();
        let (source, state) = match &volume.persistent_volume_claim {
            Some(claim) => {
                let name = &claim.claim_name;
                let found = retrying(|| claims.get_opt(name))
                    .await
                    .map_err(cluster.failed(format!("read claim `{name}`")));
                let state = match found {
                    Ok(Some(claim)) => claim_state(&claim),
                    Ok(None) => "missing".to_owned(),
                    Err(error) => {
                        unseen.push(list::in_full(&error));
                        String::new()
                    }
                };
                (format!("claim {name}"), state)
            }
            None => (volume_source(volume), String::new()),
        };
        told.push(Volume {
            name: volume.name.clone(),
            source,
            state,
            mounted_at: mounted_at.into_iter().collect(),
        });
    }
    told
}

fn claim_state(claim: &core::PersistentVolumeClaim) -> String {
    let phase = claim
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .unwrap_or("unknown")
        .to_lowercase();
    let volume = claim
        .spec
        .as_ref()
        .and_then(|spec| spec.volume_name.as_deref());
    match volume {
        Some(volume) => format!("{phase} to {volume}"),
        None => phase,
    }
}

fn volume_source(volume: &core::Volume) -> String {
    if let Some(map) = &volume.config_map {
        format!("configuration {}", map.name)
    } else if let Some(secret) = &volume.secret {
        format!(
            "secret {}",
            secret.secret_name.as_deref().unwrap_or_default()
        )
    } else if let Some(path) = &volume.host_path {
        format!("folder {} of the node", path.path)
    } else if volume.empty_dir.is_some() {
        "empty folder that goes with the pod".to_owned()
    } else if let Some(nfs) = &volume.nfs {
        format!("{}:{} over NFS", nfs.server, nfs.path)
    } else {
        "other".to_owned()
    }
}
