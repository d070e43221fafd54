//! Removing a release: hooks, objects in reverse order, records; and what stays.

use std::time::Duration;

use helm::HookEvent;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{DeleteParams, ListParams};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::fleet::kubernetes::holder::Holder;
use crate::fleet::kubernetes::object::{Object, Owner, is_kept_live, owner};
use crate::fleet::kubernetes::release::ClusterRelease;
use crate::fleet::kubernetes::retry::retrying;
use crate::fleet::progress::Progress;
use crate::fleet::release::Status;
use crate::fleet::release::record::{self, Info};
use crate::ui::error::{CommandError, CommandResult};

/// How a release is removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Removal {
    /// Keep its revisions, as `helm uninstall --keep-history`.
    pub keep_history: bool,
    /// Remove its claims as well, and with them its data.
    pub volumes: bool,
    /// How long to wait until its pods have ended; `None` does not wait.
    pub wait: Option<Duration>,
}

/// What became of the parts of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Claims that were removed.
    pub removed: Vec<String>,
    /// What is still there, and why.
    pub kept: Vec<String>,
}

impl ClusterRelease {
    /// Removes a release.
    ///
    /// # Errors
    ///
    /// The cluster's refusal or a hook that fails; the next command finishes what was begun.
    pub async fn uninstall(
        &mut self,
        removal: &Removal,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<Removed> {
        let name = self.name.clone();
        let holder = Holder::this(&self.cluster.user, "deletes");
        let Some(stored) = self.stored.last_mut() else {
            return Err(CommandError::not_found(format!("`{name}` is not deployed")));
        };
        let newest = record::revision(&stored.record);
        let before = stored.record.info.clone();
        stored.record.info.deleted = Some(record::time(Timestamp::now()));
        stored.record.set_status(
            Status::Uninstalling,
            "Deletion in progress (or silently failed)",
        );
        progress.step(&format!("recording that {name} is deleted"));
        self.records.update(stored, Some(&holder)).await?;
        let heartbeat = self.heartbeat(newest, &holder);
        let mut hooks = self.base_hooks();
        let patience = removal.wait.unwrap_or(Duration::from_mins(5));
        let begun = async {
            if let Some(error) = self.overtaken(newest).await? {
                return Err(error);
            }
            self.run_hooks(&mut hooks, HookEvent::PreDelete, patience, progress, cancel)
                .await
        };
        if let Err(error) = begun.await {
            drop(heartbeat);
            return Err(self.take_back(newest, before, &holder, error).await);
        }
        let mut removed = Removed::default();
        let mut objects: Vec<Object> = Vec::new();
        for object in self.objects_of_all_revisions().await? {
            if !objects.iter().any(|other| other.id == object.id) {
                objects.push(object);
            }
        }
        objects.reverse();
        let templates: Vec<Object> = objects
            .iter()
            .filter(|object| object.id.kind == "StatefulSet")
            .cloned()
            .collect();
        let claims = self.claims_of_templates(&templates).await?;
        let mut awaited = Vec::new();
        for object in objects {
            let what = object.described(&self.cluster);
            let live = object
                .live(&self.cluster)
                .await
                .map_err(self.cluster.failed(format!("look at {what}")))?;
            let Some(live) = live else { continue };
            let is_claim = object.id.kind == "PersistentVolumeClaim";
            if owner(&live.metadata, &name, &self.cluster.namespace) != Owner::Us {
                removed
                    .kept
                    .push(format!("{what}: it does not belong to this release"));
                continue;
            }
            if (object.is_kept() || is_kept_live(&live.metadata)) && !(is_claim && removal.volumes)
            {
                removed
                    .kept
                    .push(format!("{what}: its `helm.sh/resource-policy` is `keep`"));
                continue;
            }
            progress.step(&format!("removing {what}"));
            object
                .delete(&self.cluster)
                .await
                .map_err(self.cluster.failed(format!("remove {what}")))?;
            if is_claim {
                removed.removed.push(what);
            }
            if matches!(
                object.id.kind.as_str(),
                "StatefulSet" | "Deployment" | "DaemonSet" | "Pod" | "Job"
            ) {
                awaited.push(object);
            }
        }
        if let Some(timeout) = removal.wait {
            self.pods_end(&awaited, timeout, progress).await?;
        }
        self.remove_claims(claims, removal.volumes, &mut removed)
            .await?;
        self.run_hooks(
            &mut hooks,
            HookEvent::PostDelete,
            patience,
            progress,
            cancel,
        )
        .await?;
        drop(heartbeat);
        if removal.keep_history {
            self.write_status(newest, Status::Uninstalled, "Uninstallation complete")
                .await?;
        } else {
            progress.step(&format!("removing the revisions of {name}"));
            // the newest last: while it is there, the next command finishes this
            for stored in self.stored.clone() {
                self.records.delete(&stored).await?;
            }
            self.stored.clear();
        }
        Ok(removed)
    }

    /// Records that nothing was removed after all. A removal that another command had begun stays begun.
    async fn take_back(
        &mut self,
        revision: u32,
        mut before: Info,
        holder: &Holder,
        error: CommandError,
    ) -> CommandError {
        if before.status == Status::Uninstalling {
            return error;
        }
        if before.status.is_pending() {
            // nobody works on it any more
            before.status = Status::Failed;
        }
        let result = async {
            self.still_ours(revision, holder).await?;
            self.write_info(revision, before).await
        };
        match result.await {
            Ok(()) => error.hint("nothing was removed"),
            Err(second) => error.hint(format!(
                "nothing was removed, and that could not be recorded: {second}"
            )),
        }
    }

    /// Finishes a removal that was cut short.
    pub(super) async fn finish_uninstall(
        &mut self,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> CommandResult<String> {
        self.uninstall(&Removal::default(), progress, cancel)
            .await?;
        Ok(format!(
            "deleting `{}` was interrupted: the deletion is finished",
            self.name
        ))
    }

    fn base_hooks(&self) -> Vec<helm::release::HookRecord> {
        let newest = self.stored.last();
        newest
            .map(|stored| stored.record.hooks.clone())
            .unwrap_or_default()
    }

    /// Objects of every revision that may have left some.
    async fn objects_of_all_revisions(&self) -> CommandResult<Vec<Object>> {
        let mut objects = Vec::new();
        for stored in self.stored.iter().rev() {
            for resource in super::plan::read(&stored.record.manifest)? {
                let found = Object::locate(&self.cluster, &resource).await.map_err(
                    self.cluster
                        .failed(format!("find the kind {}", resource.id.kind)),
                )?;
                objects.extend(found);
            }
        }
        Ok(objects)
    }

    /// Claims that StatefulSets have made from their templates; Kubernetes keeps them.
    async fn claims_of_templates(&self, sets: &[Object]) -> CommandResult<Vec<(String, String)>> {
        let mut found = Vec::new();
        for set in sets {
            let templates: Vec<String> = set
                .body
                .pointer("/spec/volumeClaimTemplates")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|template| template.pointer("/metadata/name")?.as_str())
                .map(|template| format!("{template}-{}-", set.id.name))
                .collect();
            if templates.is_empty() {
                continue;
            }
            let namespace = set
                .id
                .namespace
                .clone()
                .unwrap_or_else(|| self.cluster.namespace.clone());
            let claims = self.claims(&namespace);
            let parameters = ListParams::default();
            let list = retrying(|| claims.list_metadata(&parameters))
                .await
                .map_err(self.cluster.failed("list the volume claims"))?;
            let names = list
                .items
                .into_iter()
                .filter_map(|claim| claim.metadata.name);
            found.extend(
                names
                    .filter(|name| {
                        templates.iter().any(|prefix| {
                            name.strip_prefix(prefix.as_str())
                                .is_some_and(|number| number.parse::<u32>().is_ok())
                        })
                    })
                    .map(|name| (namespace.clone(), name)),
            );
        }
        Ok(found)
    }

    fn claims(&self, namespace: &str) -> kube::Api<PersistentVolumeClaim> {
        kube::Api::namespaced(self.cluster.client.clone(), namespace)
    }

    async fn remove_claims(
        &self,
        claims: Vec<(String, String)>,
        volumes: bool,
        removed: &mut Removed,
    ) -> CommandResult<()> {
        for (namespace, name) in claims {
            let what = format!("PersistentVolumeClaim {name}");
            if !volumes {
                removed
                    .kept
                    .push(format!("{what}: its data; `--volumes` removes it"));
                continue;
            }
            let api = self.claims(&namespace);
            let parameters = DeleteParams::default();
            match retrying(|| api.delete(&name, &parameters)).await {
                Ok(_) => removed.removed.push(what),
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(self.cluster.failed(format!("remove {what}"))(error)),
            }
        }
        Ok(())
    }

    /// Waits until the pods of what was removed have ended.
    async fn pods_end(
        &self,
        objects: &[Object],
        timeout: Duration,
        progress: &dyn Progress,
    ) -> CommandResult<()> {
        for object in objects {
            self.gone(object, timeout).await?;
            let namespace = object
                .id
                .namespace
                .as_deref()
                .unwrap_or(&self.cluster.namespace);
            let Some(labels) = object
                .body
                .pointer("/spec/selector/matchLabels")
                .and_then(Value::as_object)
            else {
                continue;
            };
            let selector: Vec<String> = labels
                .iter()
                .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
                .collect();
            if selector.is_empty() {
                continue;
            }
            let pods: kube::Api<k8s_openapi::api::core::v1::Pod> =
                kube::Api::namespaced(self.cluster.client.clone(), namespace);
            let parameters = ListParams::default().labels(&selector.join(","));
            let begin = tokio::time::Instant::now();
            loop {
                let list = retrying(|| pods.list_metadata(&parameters))
                    .await
                    .map_err(self.cluster.failed("look at the pods"))?;
                let Some(pod) = list.items.first() else { break };
                let pod = pod.metadata.name.as_deref().unwrap_or_default();
                progress.step(&format!("waiting until {pod} has ended"));
                if begin.elapsed() > timeout {
                    progress.warning(&format!(
                        "the pod {pod} has not ended after {} seconds",
                        timeout.as_secs()
                    ));
                    break;
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
        Ok(())
    }
}
