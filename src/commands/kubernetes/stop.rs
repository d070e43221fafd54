//! `ioc stop` on a cluster: a revision whose workloads have no replicas, so that Helm and people see the truth.

use jiff::Timestamp;

use super::acting;
use super::deploy::{EACH, carry_all_out, one};
use crate::cli::deploy::ActArgs;
use crate::cli::lifecycle::StopArgs;
use crate::commands::acting::{ask, names, options};
use crate::commands::{Context, Outcome};
use crate::fleet::deploy::Desired;
use crate::fleet::kubernetes::plan::Allowed;
use crate::fleet::kubernetes::{Cluster, ClusterChoice, ClusterRelease, intent};
use crate::fleet::store::Stopped;
use crate::ui::error::{CommandError, CommandResult};

/// What stopping and starting may do that a deploy may not.
pub(super) const INTENT: Allowed = Allowed {
    take_ownership: false,
    force_conflicts: false,
    take_replicas: true,
    sets_intent: true,
};

/// Stops instances for good: they stay stopped through deploys until they are started.
///
/// # Errors
///
/// Instances that are not deployed or have nothing to stop, and the cluster's refusal.
pub(crate) async fn stop(
    args: &StopArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let printer = &context.printer;
    let (cluster, releases) = acting::opened(&args.selection, choice, context).await?;
    let (stopped, running): (Vec<ClusterRelease>, Vec<ClusterRelease>) = releases
        .into_iter()
        .partition(|release| release.stopped().is_some());
    for release in &stopped {
        printer.info(format!("{}: is stopped already", release.name));
    }
    let who = Stopped {
        by: cluster.user.clone(),
        at: Timestamp::now(),
    };
    let mut planned = Vec::new();
    for mut release in running {
        let plan = acting::plan(
            &mut release,
            |release| desired(release, &who),
            INTENT,
            &args.act,
            context,
        )
        .await?;
        planned.push((release, plan));
    }
    if args.act.dry_run {
        return super::deploy::dry_run(&planned, context);
    }
    if planned.is_empty() {
        return Ok(Outcome::Success);
    }
    let all = names(planned.iter().map(|(release, _)| release.name.as_str()));
    ask(&args.act, printer, &format!("Stop {all}"))?;
    let options = options(&args.act, false, Some(format!("Stopped by {}", who.by)));
    carry_all_out(planned, EACH, &options, "stopped", context).await
}

/// Stops one instance for another verb, which has asked.
///
/// # Errors
///
/// As [`stop`].
pub(in crate::commands) async fn stop_one(
    cluster: &Cluster,
    name: &str,
    act: &ActArgs,
    context: &Context,
) -> CommandResult<()> {
    let mut release = ClusterRelease::open(cluster, name).await?;
    let who = Stopped {
        by: cluster.user.clone(),
        at: Timestamp::now(),
    };
    let desired = |release: &ClusterRelease| desired(release, &who);
    let plan = acting::plan(&mut release, desired, INTENT, act, context).await?;
    let options = options(act, false, Some(format!("Stopped by {}", who.by)));
    Box::pin(one(release, plan, &options, "stopped", context)).await?;
    Ok(())
}

fn desired(release: &ClusterRelease, who: &Stopped) -> CommandResult<Desired> {
    let mut record = in_use(release)?;
    intent::stop(&mut record, who)?;
    Ok(Desired {
        record,
        ..Desired::default()
    })
}

/// The revision that a lifecycle verb works on.
pub(super) fn in_use(release: &ClusterRelease) -> CommandResult<crate::fleet::release::Record> {
    release.deployed().cloned().ok_or_else(|| {
        CommandError::not_found(format!("no revision of `{}` is deployed", release.name)).hint(
            format!(
                "`ioc deploy {0}` deploys it, `ioc history {0}` shows what was tried",
                release.name
            ),
        )
    })
}
