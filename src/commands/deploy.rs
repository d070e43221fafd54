//! `ioc deploy`: render, plan, show, confirm, act, wait.

use serde::Serialize;

use crate::cli::deploy::DeployArgs;
use crate::cli::global::OutputFormat;
use crate::commands::acting::{self, Done, Steps};
use crate::commands::at_once::{Limits, at_once};
use crate::commands::desired::desired;
use crate::commands::target::{self, Target};
use crate::commands::{Context, Outcome, kubernetes, records, versioned};
use crate::fleet::deploy::Plan;
use crate::fleet::plan::{Action, Change, Records, show};
use crate::fleet::session::{Fleet, Session, Subject};
use crate::services::{self, Selection, ValueOverrides};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::versions::selected::Wanted;

/// A plan as it is printed for programs.
#[derive(Debug, Serialize)]
struct Planned<'a> {
    instance: &'a str,
    namespace: &'a str,
    revision: u32,
    from: Option<u32>,
    changes: &'a [Change],
    records: &'a Records,
    actions: &'a [Action],
}

/// Deploys instances.
///
/// # Errors
///
/// Everything that can be known before is said before anything changes, for all instances. What fails later says
/// what was done and what was not.
pub(crate) async fn deploy(args: &DeployArgs, context: &Context) -> CommandResult<Outcome> {
    let wanted = Wanted {
        tag: args.version.version.as_deref(),
        names: &args.instances,
        beamline: args.beamline.beamline.as_deref(),
        all: args.all,
    };
    let context = &*versioned::at(wanted, context).await?;
    let printer = &context.printer;
    let selections = services::select(
        &context.settings,
        &args.instances,
        args.beamline.beamline.as_deref(),
        args.all,
    )?;
    if let Target::Cluster(choice) = target::of_selections(&args.cluster, &selections)? {
        return Box::pin(kubernetes::deploy::deploy(
            args, selections, &choice, context,
        ))
        .await;
    }
    let fleet = Fleet::connect(&context.settings).await?;
    let overrides = ValueOverrides::new(&args.values)?;
    let doing = (!args.act.dry_run).then_some("deploys");
    let mut planned = Vec::new();
    for selection in &selections {
        planned.push(plan(&fleet, selection, &overrides, doing, context).await?);
    }
    if args.act.dry_run {
        return dry_run(&planned, context);
    }
    for (session, plan) in &planned {
        if plan.is_empty() {
            let revision = plan.from.unwrap_or_default();
            printer.info(format!(
                "{}: nothing to do, revision {revision} is what is deployed",
                session.subject.instance
            ));
        } else {
            printer.info(text(session, plan).trim_end());
        }
        if let Some(stopped) = &session.intent.stopped {
            printer.warning(format!(
                "`{name}` is stopped on purpose, by {} on {}: it is made ready and not started; `ioc start {name}` starts it",
                stopped.by,
                stopped.at.strftime("%Y-%m-%d %H:%M:%S UTC"),
                name = session.subject.instance
            ));
        }
    }
    let busy: Vec<&str> = planned
        .iter()
        .filter(|(_, plan)| !plan.is_empty())
        .map(|(session, _)| session.subject.instance.as_str())
        .collect();
    if !busy.is_empty() {
        let question = format!("Deploy {}", acting::names(busy));
        acting::ask(&args.act, printer, &question)?;
    }
    let options = acting::options(&args.act, args.atomic, args.message.clone());
    let name = |item: &(Session<'_>, Plan)| item.0.subject.instance.clone();
    let limits = Limits {
        parallel: args.parallel.into(),
        keep_going: args.keep_going,
    };
    Box::pin(at_once(
        planned,
        name,
        limits,
        context,
        |(mut session, plan)| {
            let options = options.clone();
            async move {
                let instance = session.subject.instance.clone();
                if plan.is_empty() {
                    return Ok(Done {
                        revision: plan.from,
                        ..Done::new(&instance, "unchanged")
                    });
                }
                let steps = Steps::begin(printer, &instance);
                let result = session
                    .carry_out(plan, &options, &steps, &context.cancel)
                    .await;
                steps.end();
                let deployed = result.map_err(|error| failed(error, &instance))?;
                acting::warn_of_duplicates(deployed.answer.as_ref(), printer);
                printer.info(format!(
                    "{instance}: revision {} deployed, {}",
                    deployed.revision,
                    if session.is_stopped() {
                        "stopped on purpose".to_owned()
                    } else {
                        acting::answered(deployed.answer.as_ref())
                    }
                ));
                Ok(Done {
                    revision: Some(deployed.revision),
                    answer: deployed.answer,
                    ..Done::new(&instance, "deployed")
                })
            }
        },
    ))
    .await
}

/// Opens a release, renders what is desired and compares.
pub(crate) async fn plan<'a>(
    fleet: &'a Fleet,
    selection: &Selection,
    overrides: &ValueOverrides,
    doing: Option<&str>,
    context: &Context,
) -> CommandResult<(Session<'a>, Plan)> {
    let subject = Subject {
        instance: selection.instance.name().to_owned(),
        namespace: selection.beamline.namespace.clone(),
        beamline: selection.beamline.name.clone(),
    };
    let mut session = fleet.open(&subject, doing)?;
    versioned::warn_of_a_moved_tag(&selection.instance, session.history(), context);
    let desired = desired(selection, overrides, session.history(), None)?;
    let mut plan = session.plan(desired).await?;
    records::of_plan(fleet, &session, &mut plan, context).await;
    if let Some(repair) = plan.repair {
        context.printer.warning(session.explain(repair));
    }
    for note in &plan.notes {
        context.printer.detail(&note.message);
    }
    Ok((session, plan))
}

/// The plan for people.
pub(crate) fn text(session: &Session<'_>, plan: &Plan) -> String {
    let revision = match (plan.from, plan.is_only_drift()) {
        (Some(from), true) => format!("revision {from}, the engine differs from it"),
        (Some(from), false) => format!("revision {from} -> {}", plan.revision),
        (None, _) => format!("revision {}", plan.revision),
    };
    format!(
        "{}: {revision}\n{}{}{}",
        session.subject.instance,
        show::changes(&plan.changes),
        show::records(&plan.records),
        show::actions(&plan.actions)
    )
}

fn dry_run(planned: &[(Session<'_>, Plan)], context: &Context) -> CommandResult<Outcome> {
    let values: Vec<Planned<'_>> = planned
        .iter()
        .map(|(session, plan)| Planned {
            instance: &session.subject.instance,
            namespace: &session.subject.namespace,
            revision: plan.revision,
            from: plan.from,
            changes: &plan.changes,
            records: &plan.records,
            actions: &plan.actions,
        })
        .collect();
    context.printer.emit_text(&values, |_| {
        let mut shown = String::new();
        for (session, plan) in planned {
            if plan.is_empty() {
                shown.push_str(&format!("{}: nothing to do\n", session.subject.instance));
            } else {
                shown.push_str(&text(session, plan));
            }
        }
        shown
    })?;
    if context.printer.format() == OutputFormat::Table {
        context.printer.info("nothing was changed (--dry-run)");
    }
    Ok(Outcome::Success)
}

/// Says which instance it was about, where the message does not.
pub(crate) fn failed(error: CommandError, instance: &str) -> CommandError {
    let message = error.to_string();
    if message.contains(instance) || error.kind() == ErrorKind::BrokenPipe {
        return error;
    }
    let hints = error.hints().to_vec();
    let outer = CommandError::from_diagnostics(
        error.kind(),
        format!("`{instance}` was not deployed"),
        error.diagnostics().to_vec(),
    )
    .caused_by(error);
    hints.into_iter().fold(outer, CommandError::hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_instance_and_keeps_causes_and_hints() {
        let error = failed(
            CommandError::new(ErrorKind::Engine, "failed to make a container")
                .caused_by("no such device")
                .hint("plug it in"),
            "t01-ea-ioc-01",
        );
        assert_eq!(error.to_string(), "`t01-ea-ioc-01` was not deployed");
        assert_eq!(
            error.causes(),
            ["failed to make a container", "no such device"]
        );
        assert_eq!(error.hints(), ["plug it in"]);
        assert_eq!(error.kind(), ErrorKind::Engine);
        let named = failed(
            CommandError::new(ErrorKind::Unhealthy, "`x` has ended"),
            "x",
        );
        assert_eq!(named.to_string(), "`x` has ended");
    }
}
