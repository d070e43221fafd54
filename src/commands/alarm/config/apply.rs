//! `ioc alarm config apply`: publishes what is different, and nothing else.

use std::collections::HashSet;

use crate::alarm::bus::{self, Choice, Opened};
use crate::cli::alarm::ApplyArgs;
use crate::cli::global::OutputFormat;
use crate::commands::alarm::config::difference::{self, Difference, Report};
use crate::commands::{Context, Outcome};
use crate::ui::confirm::confirm;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

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
        let difference = difference::compare(tree, args.plan, &opened, context).await?;
        return tell(&difference, &choice, false, context);
    }
    let opened = bus::open(choice.clone(), &context.cancel).await?;
    let difference = difference::compare(tree, args.plan, &opened, context).await?;
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
    publish(&difference, &opened, context).await?;
    tell(&difference, &choice, true, context)
}

async fn publish(difference: &Difference, opened: &Opened, context: &Context) -> CommandResult<()> {
    let name = &difference.tree.name;
    let user = &context.settings.user;
    let (user, host) = user.split_once('@').unwrap_or((user, ""));
    let records = difference.plan.records(user, host);
    let begin = if let Some(end) = difference.snapshot.end {
        end
    } else {
        opened.prepare(name).await?;
        0
    };
    let meanwhile = opened.configured_since(name, begin).await?;
    if let Some(first) = meanwhile.first() {
        return Err(CommandError::new(
            ErrorKind::Conflict,
            format!(
                "somebody else is changing `{name}`: `{}` was written after it was read; nothing was published",
                first.key
            ),
        )
        .hint("run it again: the difference is another one now"));
    }
    opened.write(name, &records).await?;
    // between that look and the writing there was a moment
    let own: HashSet<(&str, Option<&str>)> = records
        .iter()
        .map(|record| (record.key.as_str(), record.value.as_deref()))
        .collect();
    let end = begin + u64::try_from(records.len()).unwrap_or(u64::MAX);
    if opened.ends_at(name, end).await? {
        return Ok(());
    }
    for record in opened.configured_since(name, begin).await? {
        if !own.contains(&(record.key.as_str(), record.value.as_deref())) {
            context.printer.warning(format!(
                "somebody else wrote `{}` at the same moment: `ioc alarm config diff` shows what came of it",
                record.key
            ));
        }
    }
    Ok(())
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
