//! `ioc delete` on a cluster: releases are removed, as `helm uninstall` does.

use super::acting;
use crate::cli::lifecycle::DeleteArgs;
use crate::commands::acting::{Done, Steps, ask, dry_run_names, in_order, names};
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::uninstall::Removal;
use crate::fleet::kubernetes::{ClusterChoice, ClusterRelease};
use crate::ui::error::CommandResult;

/// Deletes instances.
///
/// # Errors
///
/// Instances that are not deployed, hooks that fail, and the cluster's refusal.
pub(crate) async fn delete(
    args: &DeleteArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let printer = &context.printer;
    let (_cluster, releases) = acting::opened(&args.selection, choice, context).await?;
    let all: Vec<&str> = releases
        .iter()
        .map(|release| release.name.as_str())
        .collect();
    if args.act.dry_run {
        return dry_run_names(&all, "deleted", printer);
    }
    ask(&args.act, printer, &format!("Delete {}", names(all)))?;
    let removal = Removal {
        keep_history: args.keep_history,
        volumes: args.volumes,
        wait: (!args.act.no_wait).then_some(args.act.timeout),
    };
    let name = |release: &ClusterRelease| release.name.clone();
    in_order(releases, name, context, |mut release| async move {
        let name = release.name.clone();
        let steps = Steps::begin(printer, &name);
        let result = async {
            if let Some(unfinished) = release.unfinished(args.act.repair, &steps).await? {
                printer.warning(format!(
                    "revision {} of `{name}` was left {} by {}, which has ended",
                    unfinished.revision, unfinished.status, unfinished.who
                ));
            }
            release.uninstall(&removal, &steps, &context.cancel).await
        }
        .await;
        steps.end();
        let removed = result?;
        printer.info(format!("{name}: deleted"));
        for what in &removed.removed {
            printer.info(format!("  removed {what}"));
        }
        for what in &removed.kept {
            printer.info(format!("  kept {what}"));
        }
        Ok(Done::new(&name, "deleted"))
    })
    .await
}
