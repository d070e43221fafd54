//! `ioc alarm config diff`: what applying a file would change.

use alarm::plan::{OnBus, Plan, Wishes};

use crate::alarm::bus::Choice;
use crate::cli::alarm::DiffArgs;
use crate::commands::alarm::config::difference::{self, Report};
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Runs the command. Nothing is changed, not even a bus made.
///
/// # Errors
///
/// A file with mistakes, a bus that cannot be reached.
pub(crate) async fn diff(args: &DiffArgs, context: &Context) -> CommandResult<Outcome> {
    let tree = difference::file(&args.file, &args.bus, context)?;
    let choice = Choice::new(&args.bus, &context.settings);
    let report = if let Some(bus) = difference::open(choice.clone(), context).await? {
        let difference = difference::shown(tree, args.plan, &bus, context).await?;
        Report::new(&difference.tree.name, &choice, &difference.plan, false)
    } else {
        let empty = OnBus::new(&tree.name);
        let wishes = Wishes {
            prune: false,
            unshelve: false,
            now: jiff::Zoned::now().datetime(),
        };
        let plan = empty
            .ok()
            .and_then(|empty| Plan::new(&tree, &empty, wishes).ok());
        let plan = plan.ok_or_else(|| {
            CommandError::new(ErrorKind::Internal, "nothing is in the way on an empty bus")
        })?;
        Report::new(&tree.name, &choice, &plan, false)
    };
    let all = context.printer.verbosity() > 0;
    context.printer.emit_text(&report, |report| {
        format!("{}{}", report.steps_text(all), report.summary())
    })?;
    Ok(if args.exit_code && report.is_different() {
        Outcome::Negative
    } else {
        Outcome::Success
    })
}
