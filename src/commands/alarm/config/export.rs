//! `ioc alarm config export`: the configuration that is on the bus, as a file.

use crate::alarm::bus::{self, Choice};
use crate::cli::alarm::ExportArgs;
use crate::commands::alarm::config::output::{self, Destination};
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Runs the command.
///
/// # Errors
///
/// No such configuration, a bus that cannot be reached, a destination that is there.
pub(crate) async fn export(args: &ExportArgs, context: &Context) -> CommandResult<Outcome> {
    let settings = &context.settings;
    let name = args.bus.config.as_ref().or(settings.alarm.config.as_ref());
    let name = name.ok_or_else(|| {
        CommandError::new(ErrorKind::Usage, "nothing says which configuration")
            .hint("`--config NAME`, or `config = \"NAME\"` below `[alarm]` in `ioc.toml`")
    })?;
    let choice = Choice::new(&args.bus, settings);
    let missing = || {
        CommandError::not_found(format!(
            "there is no configuration `{name}` on {}",
            choice.words()
        ))
        .hint("`ioc alarm config apply FILE` publishes one")
    };
    if !bus::exists(&choice) {
        return Err(missing());
    }
    let opened = bus::open(choice.clone(), &context.cancel).await?;
    let snapshot = opened.read(name).await?;
    if snapshot.end.is_none() || snapshot.on_bus.is_empty() {
        return Err(missing());
    }
    for passed in snapshot.on_bus.passed_over().iter().take(10) {
        context.printer.warning(passed.to_string());
    }
    let destination = Destination {
        format: output::format(args.format, args.to.as_deref(), context),
        file: args.to.as_deref(),
        force: args.force,
        lossless: false,
    };
    output::write(&snapshot.on_bus.tree(), destination, context)?;
    Ok(Outcome::Success)
}
