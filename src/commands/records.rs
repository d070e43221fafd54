//! The records that a deploy or a rollback would change, for the verbs that show a plan.

use std::collections::BTreeMap;

use crate::check::loaded::{self, Images, Revisions};
use crate::commands::Context;
use crate::fleet::deploy::Plan;
use crate::fleet::kubernetes::{self, ClusterRelease};
use crate::fleet::manifest;
use crate::fleet::plan::Records;
use crate::fleet::release::record::images;
use crate::fleet::session::{Fleet, Session};
use crate::settings::Settings;

/// Looks up what a plan of the local backend changes of the records.
pub(crate) async fn of_plan(
    fleet: &Fleet,
    session: &Session<'_>,
    plan: &mut Plan,
    context: &Context,
) {
    let Some(deployed) = session.base().filter(|_| !plan.changes.is_empty()) else {
        return;
    };
    // a record that cannot be read has ended the planning before
    let Ok(before) = manifest::parse(&deployed.manifest) else {
        return;
    };
    let revisions = Revisions {
        instance: &session.subject.instance,
        namespace: &session.subject.namespace,
        before: &before,
        after: plan.resources(),
    };
    let images = Images {
        engine: Some(&fleet.engine),
        deployed: &images(deployed),
        wanted: plan.image_ids(),
        settings: &context.settings,
    };
    plan.records = loaded::compare(revisions, images).await;
}

/// Looks up what a plan for a cluster changes of the records, compared with what is live.
pub(crate) async fn of_cluster_plan(
    release: &ClusterRelease,
    plan: &mut kubernetes::plan::Plan,
    context: &Context,
) {
    if plan.changes.is_empty() {
        return;
    }
    let Ok(after) = manifest::parse_any(plan.manifest()) else {
        return;
    };
    let revisions = Revisions {
        instance: &release.name,
        namespace: &release.cluster.namespace,
        before: &plan.live,
        after: &after,
    };
    plan.records = of(revisions, &context.settings).await;
}

/// Compares two revisions, with the images that the engine of this machine has, if it has one.
pub(crate) async fn of(revisions: Revisions<'_>, settings: &Settings) -> Records {
    let images = Images {
        engine: None,
        deployed: &BTreeMap::new(),
        wanted: &BTreeMap::new(),
        settings,
    };
    loaded::compare(revisions, images).await
}
