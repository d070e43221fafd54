//! `ioc alarm config apply`: publishes what is different, and nothing else.

use crate::alarm::bus::{self, Choice};
use crate::cli::alarm::ApplyArgs;
use crate::cli::global::OutputFormat;
use crate::commands::alarm::config::difference::{self, Difference, Report};
use crate::commands::alarm::config::publish::publish;
use crate::commands::{Context, Outcome};
use crate::ui::confirm::confirm;
use crate::ui::error::CommandResult;

/// Runs the command.
///
/// # Errors
///
/// A file with mistakes, a bus that cannot be reached, somebody who changes the configuration at the same time.
pub(crate) async fn apply(args: &ApplyArgs, context: &Context) -> CommandResult<Outcome> {
    let tree = difference::file(&args.file, &args.bus, context)?;
    let choice = Choice::new(&args.bus, &context.settings);
    if args.dry_run && !bus::exists(&choice) {
        // a dry run makes no bus
        let empty = tempfile::tempdir()?;
        let opened = bus::open(Choice::Folder(empty.path().to_owned()), &context.cancel).await?;
        let difference = difference::shown(tree, args.plan, &opened, context).await?;
        return tell(&difference, &choice, false, context);
    }
    let opened = bus::open(choice.clone(), &context.cancel).await?;
    let difference = difference::shown(tree, args.plan, &opened, context).await?;
    if args.dry_run || difference.plan.is_empty() {
        return tell(&difference, &choice, false, context);
    }
    if !args.yes {
        let report = Report::new(&difference.tree.name, &choice, &difference.plan, false);
        if context.printer.format() == OutputFormat::Table {
            let all = context.printer.verbosity() > 0;
            context.printer.info(report.steps_text(all).trim_end());
        }
        context.printer.info(report.summary().trim_end());
        confirm(&context.printer, "publish this")?;
    }
    let others = publish(&difference, &opened, &context.settings.user).await?;
    for warning in others {
        context.printer.warning(warning);
    }
    tell(&difference, &choice, true, context)
}

fn tell(
    difference: &Difference,
    choice: &Choice,
    applied: bool,
    context: &Context,
) -> CommandResult<Outcome> {
    let report = Report::new(&difference.tree.name, choice, &difference.plan, applied);
    let all = context.printer.verbosity() > 0;
    context.printer.emit_text(&report, |report| {
        format!("{}{}", report.steps_text(all), report.summary())
    })?;
    if applied {
        context.printer.info("published");
    } else if !report.is_different() {
        context.printer.info("nothing to publish");
    } else {
        context
            .printer
            .info("nothing was published: this was a dry run");
    }
    Ok(Outcome::Success)
}
