//! `ioc restart`: stopped and started in the same containers.

use crate::cli::lifecycle::RestartArgs;
use crate::commands::acting::{self, Steps};
use crate::commands::target::Target;
use crate::commands::{Context, Outcome, kubernetes};
use crate::fleet::session::{Fleet, Session};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Restarts instances.
///
/// # Errors
///
/// Instances that are not deployed or stopped on purpose, and IOCs that do not answer.
pub(crate) async fn restart(args: &RestartArgs, context: &Context) -> CommandResult<Outcome> {
    if let Target::Cluster(choice) = acting::target(&args.selection, context)? {
        return Box::pin(kubernetes::restart::restart(args, &choice, context)).await;
    }
    if args.node_is_off {
        return Err(CommandError::new(
            ErrorKind::Usage,
            "`--node-is-off` is for instances of a Kubernetes cluster",
        ));
    }
    let printer = &context.printer;
    let fleet = Fleet::connect(&context.settings).await?;
    let subjects = acting::deployed(&fleet, &args.selection, context)?;
    let names = acting::names(subjects.iter().map(|subject| subject.instance.as_str()));
    if args.act.dry_run {
        return acting::dry_run(&subjects, "restarted", printer);
    }
    acting::ask(&args.act, printer, &format!("Restart {names}"))?;
    let options = acting::options(&args.act, false, None);
    let fleet = &fleet;
    let name = |subject: &crate::fleet::session::Subject| subject.instance.clone();
    acting::in_order(subjects, name, context, |subject| {
        let options = options.clone();
        async move {
            let mut session = fleet.open(&subject, Some("restarts"))?;
            let act = async |session: &mut Session<'_>, steps: &Steps| {
                session.restart(&options, steps, &context.cancel).await
            };
            let answer = acting::repaired(&mut session, &subject.instance, printer, act).await?;
            Ok(acting::runs_again(
                &subject.instance,
                "restarted",
                answer,
                printer,
            ))
        }
    })
    .await
}
