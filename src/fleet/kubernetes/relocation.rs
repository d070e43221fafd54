//! A release, a node, and what is around them: the checks of a move and the revision that it becomes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::ListParams;

use crate::fleet::deploy::Desired;
use crate::fleet::kubernetes::placement::moved::{self, Moved};
use crate::fleet::kubernetes::placement::node::{self, Readiness};
use crate::fleet::kubernetes::placement::pin::{self, Pinned};
use crate::fleet::kubernetes::placement::volume::Storage;
use crate::fleet::kubernetes::placement::{Finding, check, workload};
use crate::fleet::kubernetes::retry::retrying;
use crate::fleet::kubernetes::survey::Survey;
use crate::fleet::kubernetes::{ClusterRelease, lost};
use crate::fleet::release::record;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// A move that has been checked.
#[derive(Debug)]
pub struct Relocation {
    /// Namespace of the release.
    pub namespace: String,
    /// Where it is.
    pub from: Option<String>,
    /// What was found, the heaviest first.
    pub findings: Vec<Finding>,
    /// Whether the values of its chart can say where it runs.
    pub in_values: bool,
    to: String,
    pinned: Pinned,
    values: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Relocation {
    /// Checks a move.
    ///
    /// # Errors
    ///
    /// A release without a single workload, or whose manifests cannot be read.
    pub fn prepare(release: &ClusterRelease, survey: &Survey, to: &Node) -> CommandResult<Self> {
        let instance = &release.name;
        let namespace = release.cluster.namespace.clone();
        let record = release.base().ok_or_else(|| {
            CommandError::not_found(format!("no revision of `{instance}` is deployed"))
        })?;
        let pinned =
            pin::manifest(&record.manifest, instance, to).map_err(|error| match error {
                pin::PinError::Manifest(diagnostic) => {
                    CommandError::from_diagnostic(ErrorKind::Input, *diagnostic)
                }
                pin::PinError::NoWorkload => CommandError::new(
                    ErrorKind::Unsupported,
                    format!("`{instance}` cannot be moved: {error}"),
                ),
            })?;
        let spec = workload::template(&pinned.body).ok_or_else(|| {
            CommandError::new(
                ErrorKind::Input,
                format!("the pod template of `{instance}` cannot be read"),
            )
        })?;
        let from = lost::own(survey, &namespace, instance)
            .find_map(check::node_of)
            .map(str::to_owned);
        let nothing = Storage::default();
        let labels: Option<BTreeMap<String, String>> = pinned
            .body
            .pointer("/spec/template/metadata/labels")
            .and_then(|labels| serde_json::from_value(labels.clone()).ok());
        let around = check::Around {
            instance,
            namespace: &namespace,
            is_ioc: workload::is_ioc(labels.as_ref()),
            from: from.as_deref(),
            pods: &survey.pods,
            storage: survey.storage.get(&namespace).unwrap_or(&nothing),
        };
        let findings = check::check(&spec, to, &around);
        let defaults = record.chart.as_ref().map(|chart| chart.values.clone());
        let values = pin::values(
            &record.config,
            &defaults.unwrap_or_default(),
            &pinned.body,
            pinned.held,
        );
        Ok(Self {
            in_values: values.is_some(),
            to: node::name(to).to_owned(),
            namespace,
            from,
            findings,
            pinned,
            values,
        })
    }

    /// Whether it will not run there.
    pub fn is_blocked(&self) -> bool {
        !check::is_possible(&self.findings)
    }

    /// The node that it is on, if that does not answer.
    pub fn silent_node<'a>(&'a self, survey: &Survey) -> Option<&'a str> {
        let from = self.from.as_deref()?;
        let node = survey.nodes.iter().find(|node| node::name(node) == from);
        // a node that was deleted does not answer either
        let is_silent = node.is_none_or(|node| node::readiness(node) == Readiness::Silent);
        is_silent.then_some(from)
    }

    /// The revision that it becomes: what is deployed, on another node.
    pub fn desired(&self, release: &ClusterRelease, by: &str, at: Timestamp) -> Desired {
        let mut record = release.base().cloned().unwrap_or_default();
        let images = record::images(&record);
        record.manifest.clone_from(&self.pinned.manifest);
        if let Some(values) = &self.values {
            record.config.clone_from(values);
        }
        moved::write(
            &mut record,
            &Moved {
                to: self.to.clone(),
                from: self.from.clone(),
                by: by.to_owned(),
                at,
            },
        );
        Desired {
            record,
            images,
            ..Desired::default()
        }
    }
}

/// Looks whether the pod is where it was to go.
///
/// # Errors
///
/// A pod that is ready on another node.
pub async fn is_there(release: &ClusterRelease, relocation: &Relocation) -> CommandResult<()> {
    let api: Api<Pod> = release.cluster.api();
    let parameters = ListParams::default();
    let pods = retrying(|| api.list(&parameters))
        .await
        .map_err(release.cluster.failed("list the pods"))?;
    let own = pods.items.iter().find(|pod| {
        workload::belongs(pod, &relocation.pinned.workload)
            && pod.metadata.deletion_timestamp.is_none()
    });
    match own.and_then(check::node_of) {
        Some(on) if on != relocation.to => Err(CommandError::new(
            ErrorKind::Unhealthy,
            format!(
                "`{}` is ready on `{on}` and not on `{}`",
                release.name, relocation.to
            ),
        )),
        _ => Ok(()),
    }
}
