//! `ioc autosave restore` on a cluster: the IOC is stopped, and a pod that stands in for its own puts the file in place.

use jiff::Timestamp;

use super::{Restored, Source, it_runs, source};
use crate::cli::autosave::RestoreArgs;
use crate::cli::deploy::ActArgs;
use crate::commands::autosave::{folder_in_pod, listed};
use crate::commands::kubernetes::{start, stop};
use crate::commands::{Context, Outcome, target};
use crate::fleet::autosave::{Entry, dated};
use crate::fleet::kubernetes::console::PodProcess;
use crate::fleet::kubernetes::look::find::{self, Found};
use crate::fleet::kubernetes::stand_in::StandIn;
use crate::fleet::kubernetes::{Cluster, ClusterChoice, autosave};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Restores.
///
/// # Errors
///
/// A file that an IOC would not read, an IOC that runs, the cluster's refusal; an IOC that has been stopped for it is
/// started again also when the file could not be put in place.
pub(super) async fn restore(
    args: &RestoreArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let name = &args.instance;
    let cluster = target::connect(choice, context).await?;
    let folder = folder_in_pod(&cluster, name, &args.place).await?;
    let found = find::find(&cluster, name).await?;
    let runs = found.instance.workload.replicas > 0;
    if runs {
        if !args.restart {
            return Err(it_runs(name));
        }
        let files = autosave::read(&cluster, name, &folder, None).await?;
        let (plan, source) = plan(args, &files)?;
        if args.act.dry_run {
            return plan.only_shown(context);
        }
        plan.ask(args, runs, context)?;
        let kept = Box::pin(around(&cluster, args, &found, &folder, &source, context)).await?;
        return plan.done(kept, runs, context);
    }
    if args.act.dry_run {
        return Err(CommandError::new(
            ErrorKind::Unsupported,
            format!("what would differ cannot be shown while `{name}` is stopped"),
        )
        .hint("its claim is only reached by a pod; without `--dry-run` one is made, the differences are shown, and you are asked"));
    }
    with_stand_in(&cluster, &found, context, async |process| {
        let files = autosave::read_in(&cluster, process, name, &folder, None).await?;
        let (plan, source) = plan(args, &files)?;
        plan.ask(args, runs, context)?;
        let kept = put(&cluster, process, &folder, &source).await?;
        plan.done(kept, runs, context)
    })
    .await
}

fn plan(args: &RestoreArgs, files: &[Entry]) -> CommandResult<(Restored, Source)> {
    let name = &args.instance;
    let of = |wanted: &str| files.iter().find(|entry| entry.name == wanted).cloned();
    let source = source(args, |file| {
        of(file).ok_or_else(|| {
            let missing = format!("`{name}` has no saved settings `{file}`");
            listed(CommandError::not_found(missing), name)
        })
    })?;
    let then = source.complete(name)?;
    let now = of(&source.file).and_then(|entry| entry.saved());
    let plan = Restored::planned(name, &source, &now.unwrap_or_default(), &then);
    Ok((plan, source))
}

/// Stops, puts the file in place, and starts again: also when that fails, since the IOC was meant to run.
async fn around(
    cluster: &Cluster,
    args: &RestoreArgs,
    found: &Found,
    folder: &str,
    source: &Source,
    context: &Context,
) -> CommandResult<Option<String>> {
    let name = &args.instance;
    let waiting = ActArgs {
        // an IOC that is still there could write over the file
        no_wait: false,
        ..args.act.clone()
    };
    stop::stop_one(cluster, name, &waiting, context)
        .await
        .map_err(|error| {
            error.hint(format!(
                "nothing was restored; `ioc status {name}` tells whether it was stopped, `ioc start {name}` starts it"
            ))
        })?;
    let acted = with_stand_in(cluster, found, context, async |process| {
        put(cluster, process, folder, source).await
    })
    .await;
    let started = start::start_one(cluster, name, &args.act, context).await;
    match (acted, started) {
        (Ok(kept), Ok(())) => Ok(kept),
        (Err(error), Ok(())) | (Ok(_), Err(error)) => Err(error),
        (Err(error), Err(second)) => Err(error.hint(format!(
            "it was not started again either ({second}); `ioc start {name}` starts it"
        ))),
    }
}

/// Does something in a pod that stands in, and removes it however that ends.
async fn with_stand_in<T>(
    cluster: &Cluster,
    found: &Found,
    context: &Context,
    act: impl AsyncFnOnce(&PodProcess) -> CommandResult<T>,
) -> CommandResult<T> {
    let container = found.container(None)?.name.clone();
    let name = &found.instance.name;
    context
        .printer
        .info(format!("{name}: making a pod that reaches its claim"));
    let stand_in = StandIn::start(cluster, &found.instance.workload, &container).await?;
    let acted = tokio::select! {
        acted = act(&stand_in.process) => acted,
        () = context.cancel.cancelled() => Err(CommandError::new(
            ErrorKind::Interrupted,
            "interrupted; whether the file was put in place is not known",
        )
        .hint(format!("`ioc autosave ls {name}` shows, once the IOC runs"))),
    };
    match (acted, stand_in.end(cluster).await) {
        (Ok(value), Ok(())) => Ok(value),
        (Err(error), Ok(())) | (Ok(_), Err(error)) => Err(error),
        (Err(error), Err(second)) => Err(error.hint(second.to_string())),
    }
}

async fn put(
    cluster: &Cluster,
    process: &PodProcess,
    folder: &str,
    source: &Source,
) -> CommandResult<Option<String>> {
    let dated = dated(&source.file, Timestamp::now());
    autosave::put_in(
        cluster,
        process,
        folder,
        &source.file,
        &source.bytes,
        &dated,
    )
    .await
}
