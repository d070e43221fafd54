//! What the verbs share that change what runs in a cluster.

use crate::cli::deploy::ActArgs;
use crate::cli::lifecycle::Selection as Instances;
use crate::commands::acting::{Steps, answered};
use crate::commands::{Context, records, target};
use crate::fleet::answer::Answer;
use crate::fleet::kubernetes::plan::{Allowed, Plan};
use crate::fleet::kubernetes::{Cluster, ClusterChoice, ClusterRelease};
use crate::fleet::plan::show;
use crate::services;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Connects and opens the releases that a lifecycle verb means; each must exist.
///
/// # Errors
///
/// The cluster's refusal, and instances that are not deployed.
pub(super) async fn opened(
    instances: &Instances,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<(Cluster, Vec<ClusterRelease>)> {
    let cluster = target::connect(choice, context).await?;
    let mut releases = Vec::new();
    for name in names(instances, choice, context)? {
        let release = ClusterRelease::open(&cluster, &name).await?;
        // of a whole beamline, what is not deployed is not meant
        if !instances.all || release.exists() {
            release.must_exist().await?;
            releases.push(release);
        }
    }
    if releases.is_empty() {
        return Err(CommandError::not_found(format!(
            "no instance of the beamline is deployed in namespace `{}`",
            cluster.namespace
        )));
    }
    Ok((cluster, releases))
}

/// The instances that are meant. `--all` means those of the services repository: a namespace may hold other releases.
fn names(
    instances: &Instances,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Vec<String>> {
    if !instances.all {
        let mut names = instances.instances.clone();
        names.sort();
        names.dedup();
        return Ok(names);
    }
    let Some(beamline) = &choice.beamline else {
        return Err(CommandError::new(
            ErrorKind::Usage,
            "`--all` means the instances of a beamline, and none is known for this namespace",
        )
        .hint("name the beamline with `--beamline`, or the instances: a namespace may hold other releases"));
    };
    let selections = services::select(&context.settings, &[], Some(beamline), true)?;
    Ok(selections
        .iter()
        .map(|selection| selection.instance.name().to_owned())
        .collect())
}

/// Plans, after a look at what another command left; says what somebody should know.
pub(super) async fn plan(
    release: &mut ClusterRelease,
    desired: impl FnOnce(&ClusterRelease) -> CommandResult<crate::fleet::deploy::Desired>,
    allowed: Allowed,
    act: &ActArgs,
    context: &Context,
) -> CommandResult<Plan> {
    let steps = Steps::begin(&context.printer, &release.name);
    let result = async {
        let unfinished = release.unfinished(act.repair, &steps).await?;
        if let Some(unfinished) = &unfinished
            && act.dry_run
        {
            context.printer.warning(format!(
                "revision {} of `{}` was left {} by {}: a deploy repairs that first",
                unfinished.revision, release.name, unfinished.status, unfinished.who
            ));
        }
        let desired = desired(release)?;
        let mut plan = release.plan(desired, allowed, unfinished).await?;
        records::of_cluster_plan(release, &mut plan, context).await;
        CommandResult::Ok(plan)
    }
    .await;
    steps.end();
    let plan = result?;
    for note in &plan.notes {
        context.printer.warning(note.clone());
    }
    Ok(plan)
}

/// The plan for people.
pub(super) fn text(release: &ClusterRelease, plan: &Plan) -> String {
    let revision = match plan.from {
        Some(from) => format!("revision {from} -> {}", plan.revision),
        None => format!("revision {}", plan.revision),
    };
    let changes = if plan.changes.is_empty() {
        "  nothing changes in the cluster\n".to_owned()
    } else {
        show::changes(&plan.changes) + &show::records(&plan.records)
    };
    format!("{}: {revision}\n{changes}", release.name)
}

/// How an instance is after a wait, in words.
pub(super) fn readiness(
    is_ready: bool,
    answer: Option<&Answer>,
    release: &ClusterRelease,
) -> String {
    if release.stopped().is_some() {
        "stopped on purpose".to_owned()
    } else if is_ready && answer.is_none() {
        "ready".to_owned()
    } else {
        answered(answer)
    }
}
