//! `ioc image bootstrap`: an operating-system base image from a package mirror.

use std::path::Path;
use std::time::Instant;

use crate::cli::image::ImageBootstrapArgs;
use crate::commands::{Context, Outcome};
use crate::engine::Engine;
use crate::image::bootstrap::{self, BaseImage, Plan};
use crate::source::{FetchContext, apt};
use crate::ui::error::CommandResult;
use crate::ui::table::Table;

/// Makes the image unless the engine has it already.
///
/// # Errors
///
/// Names that cannot be right, no mirror, missing rights or programs, a failing installation, an engine that
/// refuses. Nothing is left in the file system.
pub(crate) async fn image_bootstrap(
    args: &ImageBootstrapArgs,
    context: &Context,
) -> CommandResult<Outcome> {
    let plan = Plan::new(
        &args.suite,
        args.mirror.as_deref(),
        args.tag.as_deref(),
        &context.settings,
        Path::new(apt::APT_FOLDER),
    )?;
    let engine = Engine::connect(&context.settings).await?;
    if !args.force
        && let Some(found) = bootstrap::find(&plan.image, &engine).await?
    {
        let note = format!(
            "`{}` is there already; `--force` makes it again",
            plan.image
        );
        context.printer.info(note);
        return report(&found, context);
    }
    let started = Instant::now();
    context.printer.info(format!(
        "making `{}` from {}",
        plan.image,
        crate::source::mirror::without_credentials(&plan.mirror)
    ));
    let fetch = FetchContext::new(&context.settings, context.cancel.clone());
    let task = context.printer.progress().task(&plan.image);
    let step = |step: &str| task.message(step);
    let made = bootstrap::make(&plan, &fetch, &engine, &step).await;
    task.clone().finish();
    let made = made?;
    let seconds = started.elapsed().as_secs();
    context
        .printer
        .info(format!("made `{}` in {seconds} s", plan.image));
    report(&made, context)
}

fn report(image: &BaseImage, context: &Context) -> CommandResult<Outcome> {
    context.printer.emit(image, |image| {
        let mut table = Table::new(["IMAGE", "ID", "SIZE"]).align_right(2);
        let id = image.id.trim_start_matches("sha256:");
        let size = format!("{} MB", image.size / 1_000_000);
        table.row([image.image.as_str(), id.get(..12).unwrap_or(id), &size]);
        table
    })?;
    Ok(Outcome::Success)
}
