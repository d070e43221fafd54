//! `ioc restart --node-is-off`: the pods of instances whose node does not answer are forgotten, so that they start
//! elsewhere.

use super::acting;
use crate::cli::lifecycle::RestartArgs;
use crate::commands::acting::{Done, Steps, answered, ask, in_order, names};
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::lost::{self, Lost};
use crate::fleet::kubernetes::placement::outage::TWO_AT_ONCE;
use crate::fleet::kubernetes::survey::Survey;
use crate::fleet::kubernetes::{ClusterChoice, ClusterRelease};
use crate::ui::error::CommandResult;

/// Frees instances from a node that is off.
///
/// # Errors
///
/// A node that answers, an IOC that answers, and pods that do not get ready elsewhere.
pub(super) async fn restart_lost(
    args: &RestartArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let printer = &context.printer;
    let (cluster, releases) = acting::opened(&args.selection, choice, context).await?;
    let steps = Steps::begin(printer, "nodes");
    let found = look(&cluster, releases, context, &steps).await;
    steps.end();
    let found = found?;
    for (release, lost) in &found {
        for one in lost {
            printer.info(format!(
                "{}: pod `{}` on `{}` is forgotten by force",
                release.name, one.pod, one.node
            ));
        }
    }
    printer.warning(format!("this is safe {TWO_AT_ONCE}"));
    if args.act.dry_run {
        printer.info("nothing was changed (--dry-run)");
        return Ok(Outcome::Success);
    }
    let all = names(found.iter().map(|(release, _)| release.name.as_str()));
    ask(&args.act, printer, &format!("Start {all} elsewhere"))?;
    let wait = (!args.act.no_wait).then_some(args.act.timeout);
    let name = |item: &(ClusterRelease, Vec<Lost>)| item.0.name.clone();
    in_order(found, name, context, |(release, lost)| async move {
        let steps = Steps::begin(printer, &release.name);
        let result = async {
            lost::forget(&release, &lost, &steps).await?;
            match wait {
                Some(timeout) => release.wait_for_all(timeout, &steps, &context.cancel).await,
                None => Ok(None),
            }
        }
        .await;
        steps.end();
        let answer = result?;
        let how = match &answer {
            None if wait.is_some() => "runs again".to_owned(),
            other => answered(other.as_ref()),
        };
        printer.info(format!("{}: {how}", release.name));
        Ok(Done {
            answer,
            ..Done::new(&release.name, "restarted")
        })
    })
    .await
}

async fn look(
    cluster: &crate::fleet::kubernetes::Cluster,
    releases: Vec<ClusterRelease>,
    context: &Context,
    steps: &Steps,
) -> CommandResult<Vec<(ClusterRelease, Vec<Lost>)>> {
    let survey = Survey::of(cluster).await?;
    let mut found = Vec::new();
    for release in releases {
        let settings = &context.settings.channel_access;
        let lost = lost::pods(&release, &survey, settings, steps).await?;
        found.push((release, lost));
    }
    Ok(found)
}
