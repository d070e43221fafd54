//! `ioc deploy` on a cluster: render, plan all, show, confirm, then carry the plans out, several at a time.

use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::acting::{self, readiness, text};
use super::preflight;
use crate::cli::deploy::DeployArgs;
use crate::cli::global::OutputFormat;
use crate::commands::acting::{Done, Steps, ask, names, options, warn_of_duplicates};
use crate::commands::at_once::{Limits, at_once};
use crate::commands::deploy::failed;
use crate::commands::desired::{ClusterFacts, desired};
use crate::commands::{Context, Outcome, target, versioned};
use crate::fleet::deploy::Options;
use crate::fleet::kubernetes::placement::moved;
use crate::fleet::kubernetes::plan::{Allowed, Plan};
use crate::fleet::kubernetes::{Cluster, ClusterChoice, ClusterRelease};
use crate::fleet::plan::{Change, Records};
use crate::services::{Selection, ValueOverrides};
use crate::ui::error::{CommandError, CommandResult};

/// How many instances are planned at a time.
const AT_A_TIME: usize = 4;

/// Where no option says how many: as many at once, and each of them for itself.
pub(super) const EACH: Limits = Limits {
    parallel: AT_A_TIME,
    keep_going: true,
};

/// A plan as it is printed for programs.
#[derive(Debug, Serialize)]
pub(super) struct Planned<'a> {
    instance: &'a str,
    namespace: &'a str,
    revision: u32,
    from: Option<u32>,
    changes: &'a [Change],
    records: &'a Records,
    notes: &'a [String],
}

impl<'a> Planned<'a> {
    pub(super) fn new(release: &'a ClusterRelease, plan: &'a Plan) -> Self {
        Self {
            instance: &release.name,
            namespace: &release.cluster.namespace,
            revision: plan.revision,
            from: plan.from,
            changes: &plan.changes,
            records: &plan.records,
            notes: &plan.notes,
        }
    }
}

/// Deploys instances.
///
/// # Errors
///
/// Everything that can be known before is said before anything changes, for all instances. When something fails later,
/// the end says what was done and what was not.
pub(crate) async fn deploy(
    args: &DeployArgs,
    selections: Vec<Selection>,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let printer = &context.printer;
    let overrides = ValueOverrides::new(&args.values)?;
    let cluster = target::connect(choice, context).await?;
    let (capabilities, opened) = tokio::join!(cluster.capabilities(), opened(&cluster, selections));
    let facts = ClusterFacts {
        capabilities: capabilities?,
        lookup: cluster.lookup(),
    };
    let allowed = Allowed {
        take_ownership: args.take_ownership,
        force_conflicts: args.force_conflicts,
        ..Allowed::default()
    };
    let plans = stream::iter(opened).map(|(mut selection, release)| {
        let (cluster, facts, overrides) = (&cluster, &facts, &overrides);
        async move {
            selection.beamline.namespace.clone_from(&cluster.namespace);
            let name = selection.instance.name().to_owned();
            let mut release = release?;
            let plan = acting::plan(
                &mut release,
                |release| {
                    versioned::warn_of_a_moved_tag(
                        &selection.instance,
                        &release.history(),
                        context,
                    );
                    // templates may ask the cluster, and are waited for here
                    let desired = tokio::task::block_in_place(|| {
                        desired(&selection, overrides, &release.history(), Some(facts))
                    })?;
                    let moved = release.base().and_then(|deployed| {
                        moved::warning(deployed, &desired.record.manifest, &name)
                    });
                    if let Some(told) = moved {
                        context.printer.warning(told);
                    }
                    Ok(desired)
                },
                allowed,
                &args.act,
                context,
            )
            .await?;
            CommandResult::Ok((release, plan))
        }
    });
    let plans: Vec<CommandResult<(ClusterRelease, Plan)>> =
        plans.buffered(AT_A_TIME).collect().await;
    let mut planned = all_or_errors(plans, context)?;
    preflight::note(&cluster, &mut planned, context).await?;
    if args.act.dry_run {
        return dry_run(&planned, context);
    }
    for (release, plan) in &planned {
        if plan.is_empty() {
            printer.info(format!(
                "{}: nothing to do, revision {} is what is deployed",
                release.name,
                plan.from.unwrap_or_default()
            ));
        } else {
            printer.info(text(release, plan).trim_end());
        }
    }
    let busy: Vec<&str> = planned
        .iter()
        .filter(|(_, plan)| !plan.is_empty())
        .map(|(release, _)| release.name.as_str())
        .collect();
    if !busy.is_empty() {
        ask(&args.act, printer, &format!("Deploy {}", names(busy)))?;
    }
    let options = options(&args.act, args.atomic, args.message.clone());
    let limits = Limits {
        parallel: args.parallel.into(),
        keep_going: args.keep_going,
    };
    carry_all_out(planned, limits, &options, "deployed", context).await
}

/// The releases of instances, as they are now.
async fn opened(
    cluster: &Cluster,
    selections: Vec<Selection>,
) -> Vec<(Selection, CommandResult<ClusterRelease>)> {
    stream::iter(selections)
        .map(|selection| async move {
            let release = ClusterRelease::open(cluster, selection.instance.name()).await;
            (selection, release)
        })
        .buffered(AT_A_TIME)
        .collect()
        .await
}

/// Carries plans out as `limits` say, and tells what became of each.
pub(super) async fn carry_all_out(
    planned: Vec<(ClusterRelease, Plan)>,
    limits: Limits,
    options: &Options,
    what: &'static str,
    context: &Context,
) -> CommandResult<Outcome> {
    let name = |(release, _): &(ClusterRelease, Plan)| release.name.clone();
    Box::pin(at_once(
        planned,
        name,
        limits,
        context,
        |(release, plan)| Box::pin(one(release, plan, options, what, context)),
    ))
    .await
}

pub(super) async fn one(
    mut release: ClusterRelease,
    plan: Plan,
    options: &Options,
    what: &'static str,
    context: &Context,
) -> CommandResult<Done> {
    let printer = &context.printer;
    let name = release.name.clone();
    if plan.is_empty() {
        release.tidy().await?;
        if what != "deployed" {
            printer.info(format!("{name}: nothing to do"));
        }
        return Ok(Done {
            revision: plan.from,
            ..Done::new(&name, "unchanged")
        });
    }
    let steps = Steps::begin(printer, &name);
    let result = release
        .carry_out(plan, options, &steps, &context.cancel)
        .await;
    steps.end();
    let deployed = result.map_err(|error| failed(error, &name))?;
    let how = readiness(deployed.is_ready, deployed.answer.as_ref(), &release);
    warn_of_duplicates(deployed.answer.as_ref(), printer);
    let revision = deployed.revision;
    printer.info(match what {
        "stopped" => format!("{name}: stopped, as revision {revision}"),
        "rolled-back" => format!("{name}: rolled back, as revision {revision}, {how}"),
        "started" => format!("{name}: started, as revision {revision}, {how}"),
        _ => format!("{name}: revision {revision} {what}, {how}"),
    });
    Ok(Done {
        revision: Some(deployed.revision),
        answer: deployed.answer,
        ..Done::new(&name, what)
    })
}

/// All plans, or what is wrong with each instance that cannot be planned.
fn all_or_errors<T>(results: Vec<CommandResult<T>>, context: &Context) -> CommandResult<Vec<T>> {
    let count = results.len();
    let mut good = Vec::new();
    let mut errors = Vec::new();
    for result in results {
        match result {
            Ok(value) => good.push(value),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        return Ok(good);
    }
    if errors.len() == 1 {
        return Err(errors.remove(0));
    }
    for error in &errors {
        context.printer.error(error);
    }
    Err(CommandError::new(
        errors[0].kind(),
        format!(
            "{} of {count} instances cannot be deployed; nothing was changed",
            errors.len()
        ),
    ))
}

pub(super) fn dry_run(
    planned: &[(ClusterRelease, Plan)],
    context: &Context,
) -> CommandResult<Outcome> {
    let values: Vec<Planned<'_>> = planned
        .iter()
        .map(|(release, plan)| Planned::new(release, plan))
        .collect();
    context.printer.emit_text(&values, |_| {
        planned
            .iter()
            .map(|(release, plan)| {
                if plan.is_empty() {
                    format!("{}: nothing to do\n", release.name)
                } else {
                    text(release, plan)
                }
            })
            .collect()
    })?;
    if context.printer.format() == OutputFormat::Table {
        context.printer.info("nothing was changed (--dry-run)");
    }
    Ok(Outcome::Success)
}
