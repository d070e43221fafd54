//! `ioc stop`: instances stay stopped until they are started.

use crate::cli::lifecycle::StopArgs;
use crate::commands::acting::{self, Done, Steps};
use crate::commands::target::Target;
use crate::commands::{Context, Outcome, kubernetes};
use crate::fleet::session::{Fleet, Session};
use crate::ui::error::CommandResult;

/// Stops instances.
///
/// # Errors
///
/// Instances that are not deployed, and the engine's refusal.
pub(crate) async fn stop(args: &StopArgs, context: &Context) -> CommandResult<Outcome> {
    if let Target::Cluster(choice) = acting::target(&args.selection, context)? {
        return kubernetes::stop::stop(args, &choice, context).await;
    }
    let printer = &context.printer;
    let fleet = Fleet::connect(&context.settings).await?;
    let subjects = acting::deployed(&fleet, &args.selection, context)?;
    let names = acting::names(subjects.iter().map(|subject| subject.instance.as_str()));
    if args.act.dry_run {
        return acting::dry_run(&subjects, "stopped", printer);
    }
    acting::ask(&args.act, printer, &format!("Stop {names}"))?;
    let fleet = &fleet;
    let name = |subject: &crate::fleet::session::Subject| subject.instance.clone();
    acting::in_order(subjects, name, context, |subject| async move {
        let mut session = fleet.open(&subject, Some("stops"))?;
        let act = async |session: &mut Session<'_>, steps: &Steps| session.stop(steps).await;
        acting::repaired(&mut session, &subject.instance, printer, act).await?;
        printer.info(format!("{}: stopped", subject.instance));
        Ok(Done::new(&subject.instance, "stopped"))
    })
    .await
}
