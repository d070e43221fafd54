//! `ioc rollback` on a cluster: the stored manifests of an earlier revision once more. Needs neither git nor a registry.

use super::acting;
use super::deploy::{EACH, carry_all_out, dry_run};
use super::preflight;
use crate::cli::deploy::RollbackArgs;
use crate::commands::acting::{ask, options};
use crate::commands::rollback::no_target;
use crate::commands::{Context, Outcome, target};
use crate::fleet::deploy::desired_again;
use crate::fleet::kubernetes::plan::Allowed;
use crate::fleet::kubernetes::{ClusterChoice, ClusterRelease};
use crate::fleet::release::{self, decide::NoTarget};
use crate::ui::error::CommandResult;

/// Goes back to an earlier revision.
///
/// # Errors
///
/// A revision that cannot be gone back to, and what a deploy says.
pub(crate) async fn rollback(
    args: &RollbackArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let cluster = target::connect(choice, context).await?;
    let mut release = ClusterRelease::open(&cluster, &args.instance).await?;
    release.must_exist().await?;
    let allowed = Allowed {
        force_conflicts: args.force_conflicts,
        ..Allowed::default()
    };
    let mut to = 0;
    let plan = acting::plan(
        &mut release,
        |release| {
            let instance = &args.instance;
            to = release::rollback_target(&release.states(), args.revision)
                .map_err(|error| no_target(error, instance))?;
            let record = release
                .record(to)
                .ok_or_else(|| no_target(NoTarget::Unknown(to), instance))?;
            Ok(desired_again(record))
        },
        allowed,
        &args.act,
        context,
    )
    .await?;
    let mut planned = vec![(release, plan)];
    preflight::note(&cluster, &mut planned, context).await?;
    if args.act.dry_run {
        return dry_run(&planned, context);
    }
    for (release, plan) in &planned {
        context.printer.info(acting::text(release, plan).trim_end());
    }
    let question = format!("Roll {} back to revision {to}", args.instance);
    ask(&args.act, &context.printer, &question)?;
    let options = options(&args.act, false, None);
    carry_all_out(planned, EACH, &options, "rolled-back", context).await
}
