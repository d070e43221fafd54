//! `ioc start`: instances that were stopped run again.

use crate::cli::lifecycle::StartArgs;
use crate::commands::acting::{self, Steps};
use crate::commands::target::Target;
use crate::commands::{Context, Outcome, kubernetes};
use crate::fleet::session::{Fleet, Session};
use crate::ui::error::CommandResult;

/// Starts instances.
///
/// # Errors
///
/// Instances that are not deployed, and IOCs that do not answer.
pub(crate) async fn start(args: &StartArgs, context: &Context) -> CommandResult<Outcome> {
    if let Target::Cluster(choice) = acting::target(&args.selection, context)? {
        return kubernetes::start::start(args, &choice, context).await;
    }
    let printer = &context.printer;
    let fleet = Fleet::connect(&context.settings).await?;
    let subjects = acting::deployed(&fleet, &args.selection, context)?;
    if args.act.dry_run {
        return acting::dry_run(&subjects, "started", printer);
    }
    let options = acting::options(&args.act, false, None);
    let fleet = &fleet;
    let name = |subject: &crate::fleet::session::Subject| subject.instance.clone();
    acting::in_order(subjects, name, context, |subject| {
        let options = options.clone();
        async move {
            let mut session = fleet.open(&subject, Some("starts"))?;
            let act = async |session: &mut Session<'_>, steps: &Steps| {
                session.start(&options, steps, &context.cancel).await
            };
            let answer = acting::repaired(&mut session, &subject.instance, printer, act).await?;
            Ok(acting::runs_again(
                &subject.instance,
                "started",
                answer,
                printer,
            ))
        }
    })
    .await
}
