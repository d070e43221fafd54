//! `ioc start` on a cluster: a revision with the replicas that the instance had before it was stopped.

use super::acting;
use super::deploy::{EACH, carry_all_out, one};
use super::stop::{INTENT, in_use};
use crate::cli::deploy::ActArgs;
use crate::cli::lifecycle::StartArgs;
use crate::commands::acting::options;
use crate::commands::{Context, Outcome};
use crate::fleet::deploy::Desired;
use crate::fleet::kubernetes::{Cluster, ClusterChoice, ClusterRelease, intent};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Starts instances.
///
/// # Errors
///
/// Instances that are not deployed or whose chart says that they do not run, and what a deploy says.
pub(crate) async fn start(
    args: &StartArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let (cluster, releases) = acting::opened(&args.selection, choice, context).await?;
    let mut planned = Vec::new();
    for mut release in releases {
        let plan = acting::plan(&mut release, desired, INTENT, &args.act, context).await?;
        planned.push((release, plan));
    }
    if args.act.dry_run {
        return super::deploy::dry_run(&planned, context);
    }
    let options = options(
        &args.act,
        false,
        Some(format!("Started by {}", cluster.user)),
    );
    carry_all_out(planned, EACH, &options, "started", context).await
}

/// Starts one instance for another verb, which has asked.
///
/// # Errors
///
/// As [`start`].
pub(in crate::commands) async fn start_one(
    cluster: &Cluster,
    name: &str,
    act: &ActArgs,
    context: &Context,
) -> CommandResult<()> {
    let mut release = ClusterRelease::open(cluster, name).await?;
    let plan = acting::plan(&mut release, desired, INTENT, act, context).await?;
    let options = options(act, false, Some(format!("Started by {}", cluster.user)));
    Box::pin(one(release, plan, &options, "started", context)).await?;
    Ok(())
}

fn desired(release: &ClusterRelease) -> CommandResult<Desired> {
    let mut record = in_use(release)?;
    intent::start(&mut record)?;
    let replicas = intent::replicas(&record.manifest)?;
    if replicas.iter().all(|(_, count)| *count == 0) {
        let name = &release.name;
        return Err(CommandError::new(
            ErrorKind::Conflict,
            format!("the chart of `{name}` says that it does not run (`replicas: 0`)"),
        )
        .hint(format!(
            "set `global.enabled: true` in its values and `ioc deploy {name}`"
        )));
    }
    Ok(Desired {
        record,
        ..Desired::default()
    })
}
