//! `ioc rollback`: the stored manifests of an earlier revision once more. Needs neither git nor a registry.

use crate::cli::deploy::RollbackArgs;
use crate::commands::acting::{self, Done, Steps};
use crate::commands::deploy::{failed, text};
use crate::commands::target::{self, Target};
use crate::commands::{Context, Outcome, kubernetes, records};
use crate::fleet::deploy::desired_again;
use crate::fleet::release::{self, decide::NoTarget};
use crate::fleet::session::Fleet;
use crate::fleet::store::states;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Goes back to an earlier revision.
///
/// # Errors
///
/// A revision that cannot be gone back to, images that are gone, and what a deploy says.
pub(crate) async fn rollback(args: &RollbackArgs, context: &Context) -> CommandResult<Outcome> {
    let names = [args.instance.clone()];
    if let Target::Cluster(choice) =
        target::of_instances(&names, &args.beamline, &args.cluster, context)?
    {
        return kubernetes::rollback::rollback(args, &choice, context).await;
    }
    let printer = &context.printer;
    let fleet = Fleet::connect(&context.settings).await?;
    let subject = acting::deployed_one(&fleet, &args.instance, &args.beamline, context)?;
    let instance = subject.instance.clone();
    let doing = (!args.act.dry_run).then_some("rolls back");
    let mut session = fleet.open(&subject, doing)?;
    if let Some(repair) = session.needed_repair().await? {
        if args.act.dry_run {
            printer.warning(session.explain(repair));
        } else {
            let steps = Steps::begin(printer, &instance);
            let told = session.repair(repair, &steps).await;
            steps.end();
            printer.warning(told?);
        }
    }
    let target = release::rollback_target(&states(session.history()), args.revision)
        .map_err(|error| no_target(error, &instance))?;
    let record = session
        .record(target)
        .ok_or_else(|| no_target(NoTarget::Unknown(target), &instance))?;
    let mut plan = session.plan(desired_again(&record.clone())).await?;
    records::of_plan(&fleet, &session, &mut plan, context).await;
    let shown = text(&session, &plan);
    if args.act.dry_run {
        printer.data(&shown)?;
        printer.info("nothing was changed (--dry-run)");
        return Ok(Outcome::Success);
    }
    printer.info(shown.trim_end());
    let question = format!("Roll {instance} back to revision {target}");
    acting::ask(&args.act, printer, &question)?;
    let options = acting::options(&args.act, false, None);
    let steps = Steps::begin(printer, &instance);
    let result = session
        .carry_out(plan, &options, &steps, &context.cancel)
        .await;
    steps.end();
    let deployed = result.map_err(|error| failed(error, &instance))?;
    acting::warn_of_duplicates(deployed.answer.as_ref(), printer);
    printer.info(format!(
        "{instance}: rolled back to revision {target}, as revision {}, {}",
        deployed.revision,
        acting::answered(deployed.answer.as_ref())
    ));
    acting::emit(
        &[Done {
            revision: Some(deployed.revision),
            answer: deployed.answer,
            ..Done::new(&instance, "rolled-back")
        }],
        printer,
    )?;
    Ok(Outcome::Success)
}

pub(crate) fn no_target(error: NoTarget, instance: &str) -> CommandError {
    let kind = match error {
        NoTarget::Unknown(_) | NoTarget::NoEarlier => ErrorKind::NotFound,
        NoTarget::Current(_) | NoTarget::NeverRan(..) => ErrorKind::Conflict,
    };
    CommandError::new(kind, format!("`{instance}` cannot be rolled back: {error}"))
        .hint(format!("`ioc history {instance}` lists its revisions"))
}
