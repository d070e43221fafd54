//! `ioc restart` on a cluster: the pods are deleted and made anew; the release stays as it is.

use super::acting;
use super::stop::in_use;
use crate::cli::lifecycle::RestartArgs;
use crate::commands::acting::{
    Done, Steps, ask, dry_run_names, in_order, names, options, warn_of_duplicates,
};
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::{ClusterChoice, ClusterRelease};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Restarts instances.
///
/// # Errors
///
/// Instances that are not deployed or are stopped on purpose, and pods that do not get ready.
pub(crate) async fn restart(
    args: &RestartArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    if args.node_is_off {
        return super::restart_lost::restart_lost(args, choice, context).await;
    }
    let printer = &context.printer;
    let (_cluster, releases) = acting::opened(&args.selection, choice, context).await?;
    for release in &releases {
        in_use(release)?;
        if let Some(stopped) = release.stopped() {
            return Err(CommandError::new(
                ErrorKind::Conflict,
                format!(
                    "`{}` is stopped, by {} on {}",
                    release.name,
                    stopped.by,
                    stopped.at.strftime("%Y-%m-%d %H:%M:%S UTC")
                ),
            )
            .hint(format!("`ioc start {}` starts it", release.name)));
        }
    }
    let all: Vec<&str> = releases
        .iter()
        .map(|release| release.name.as_str())
        .collect();
    if args.act.dry_run {
        return dry_run_names(&all, "restarted", printer);
    }
    ask(&args.act, printer, &format!("Restart {}", names(all)))?;
    let wait = (!args.act.no_wait).then_some(args.act.timeout);
    let name = |release: &ClusterRelease| release.name.clone();
    in_order(releases, name, context, |mut release| async move {
        let steps = Steps::begin(printer, &release.name);
        let result = async {
            if let Some(unfinished) = release.unfinished(args.act.repair, &steps).await? {
                let options = options(&args.act, false, None);
                Box::pin(release.repair(&unfinished, &options, &steps, &context.cancel)).await?;
                release.must_exist().await?;
                in_use(&release)?;
            }
            release.restart(wait, &steps, &context.cancel).await
        }
        .await;
        steps.end();
        let (count, answer) = result?;
        let pods = if count == 1 { "pod" } else { "pods" };
        let how = acting::readiness(wait.is_some(), answer.as_ref(), &release);
        warn_of_duplicates(answer.as_ref(), printer);
        printer.info(format!(
            "{}: restarted, {count} {pods}, {how}",
            release.name
        ));
        Ok(Done {
            answer,
            ..Done::new(&release.name, "restarted")
        })
    })
    .await
}
