//! `ioc build`: images in dependency order, only what changed.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::cli::build::{BuildArgs, TargetChoice};
use crate::commands::{Context, Outcome, build_shell};
use crate::engine::Engine;
use crate::image::build::{self, Audience, Built, Options, Stopped};
use crate::image::catalog::Catalog;
use crate::image::definition::Target;
use crate::image::engine::{BuildFailure, BuildObserver, ImageEngine, SharedObserver};
use crate::image::lock;
use crate::image::plan::{self, Step};
use crate::image::prepare::Prepared;
use crate::image::survey::{self, LockUse, Survey};
use crate::image::trace::{self, SHOWN_LINES};
use crate::registry::{Registry, image};
use crate::source::{FetchContext, FetchProgress};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::printer::Printer;
use crate::ui::progress::Task;
use crate::ui::table::Table;

/// Builds images.
pub(crate) async fn build(args: &BuildArgs, context: &Context) -> CommandResult<Outcome> {
    if let Some(image) = &args.shell {
        return build_shell::build_shell(image, args, context).await;
    }
    let catalog = survey::load_catalog(&context.settings)?;
    let wanted: Vec<&str> = if args.all {
        catalog.image_names().collect()
    } else {
        args.images.iter().map(String::as_str).collect()
    };
    // What is wrong with the definitions is said before an engine is needed.
    survey::resolve(&catalog, wanted.iter().copied())?;
    if args.push {
        // also whether there is a registry to push to
        let example = wanted.first().copied().unwrap_or("image");
        let images = &context.settings.images;
        image::pushable(&format!("{}/{example}:{}", images.registry, images.tag))?;
    }
    let engine = ImageEngine::new(Engine::connect(&context.settings).await?).await?;
    let mut outcome = build_images(&catalog, &wanted, args, args.target, &engine, context).await?;
    if args.push {
        outcome.push(engine.engine(), context).await?;
    }
    outcome.report(&context.printer)
}

/// Builds the wanted images of a catalog.
pub(crate) async fn build_images<'a>(
    catalog: &'a Catalog,
    wanted: &[&'a str],
    args: &BuildArgs,
    choice: TargetChoice,
    engine: &ImageEngine,
    context: &Context,
) -> CommandResult<Report> {
    let printer = &context.printer;
    let layers = survey::resolve(catalog, wanted.iter().copied())?;
    let lock_use = if args.update {
        LockUse::Update
    } else {
        LockUse::Follow
    };
    let line = Line::new(printer, "sources");
    let mut survey = survey::survey(
        &context.settings,
        engine,
        layers,
        lock_use,
        &line,
        &context.cancel,
    )
    .await?;
    drop(line);
    if args.locked {
        refuse_drift(&survey)?;
    }
    let needed = needed_targets(&survey, wanted, choice);
    let is_needed =
        |prepared: &Prepared| needed.contains(&(prepared.image.clone(), prepared.target));
    let again = |prepared: &Prepared| args.no_cache && wanted.contains(&prepared.image.as_str());
    let mut reasons = survey.reasons(is_needed, false);
    for (prepared, reason) in survey.targets.iter().zip(&mut reasons) {
        if is_needed(prepared) && again(prepared) {
            reason.get_or_insert(plan::Reason::Asked);
        }
    }
    let steps = plan::steps(&survey.targets, reasons, |image| survey.base_of(image));
    if args.dry_run {
        for step in &steps {
            if let Some(prepared) = survey.targets.get(step.index) {
                printer.detail(&prepared.containerfile);
            }
        }
        return Ok(Report::new(&survey, &steps, &needed, &[], true));
    }
    fetch_sources(&mut survey, &steps, context).await?;
    let options = Options {
        jobs: args.jobs.unwrap_or_else(usual_jobs),
        no_cache: args.no_cache,
    };
    let audience = Screen { printer };
    let built = build::run(
        engine,
        &survey.targets,
        &steps,
        options,
        &audience,
        &context.cancel,
    )
    .await
    .map_err(|stopped| failed(&survey, *stopped, printer))?;
    write_lock(&survey, args, context)?;
    for built in &built {
        if let (Some(prepared), Some(present)) = (
            survey.targets.get(built.index),
            survey.present.get_mut(built.index),
        ) {
            *present = engine.inspect(&prepared.reference).await?;
        }
    }
    Ok(Report::new(&survey, &steps, &needed, &built, false))
}

fn usual_jobs() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4)
}

/// Which targets have to be there for what was asked: a runtime target needs its developer target, and every
/// target the same one of its base.
fn needed_targets(
    survey: &Survey<'_>,
    wanted: &[&str],
    choice: TargetChoice,
) -> BTreeSet<(String, Target)> {
    let mut needed = BTreeSet::new();
    for name in wanted {
        let targets: &[Target] = match choice {
            TargetChoice::Developer => &[Target::Developer],
            TargetChoice::All | TargetChoice::Runtime => &Target::ALL,
        };
        let mut image = Some((*name).to_owned());
        while let Some(name) = image {
            needed.extend(targets.iter().map(|target| (name.clone(), *target)));
            image = survey.base_of(&name);
        }
    }
    needed
}

fn refuse_drift(survey: &Survey<'_>) -> CommandResult<()> {
    let drift = lock::drift(&survey.lock, &survey.lock_now);
    if drift.is_empty() {
        return Ok(());
    }
    Err(CommandError::new(
        ErrorKind::Conflict,
        format!(
            "what would be built differs from `{}`: {}",
            lock::FILE_NAME,
            drift.join("; ")
        ),
    )
    .hint("`ioc build --update` moves the lock; commit it then"))
}

/// Makes the sources of what is built available; those of other images are not needed.
async fn fetch_sources(
    survey: &mut Survey<'_>,
    steps: &[Step],
    context: &Context,
) -> CommandResult<()> {
    let building: BTreeSet<String> = steps
        .iter()
        .filter_map(|step| survey.targets.get(step.index))
        .filter(|prepared| prepared.target == Target::Developer)
        .map(|prepared| prepared.image.clone())
        .collect();
    for layer in survey.layers.clone() {
        if !building.contains(layer.name()) {
            continue;
        }
        for placed in &layer.own {
            let module = placed.module;
            if survey.trees.contains_key(&module.name) {
                continue;
            }
            let task = context.printer.progress().task(&module.name);
            let told = task.clone();
            let fetch = FetchContext::new(&context.settings, context.cancel.clone())
                .with_progress(move |progress| told.message(words(progress)));
            let identity = survey
                .lock_now
                .module
                .get(&module.name)
                .map(|locked| locked.identity.clone());
            let fetched = survey::fetch_module(module, &fetch, identity.as_deref()).await;
            task.finish();
            let fetched = fetched?;
            let identity = fetched.identity.to_string();
            survey.set_tree(&module.name, fetched.tree, &identity);
        }
    }
    Ok(())
}

fn words(progress: FetchProgress<'_>) -> String {
    match progress {
        FetchProgress::Step(step) => step.to_owned(),
        FetchProgress::Received { bytes, total } => match total {
            Some(total) => format!("{} of {}", size(bytes), size(total)),
            None => size(bytes),
        },
    }
}

/// Writes the lock file if it says something new.
fn write_lock(survey: &Survey<'_>, args: &BuildArgs, context: &Context) -> CommandResult<()> {
    let merged = lock::merged(&survey.lock, &survey.lock_now);
    if args.locked || merged == survey.lock {
        return Ok(());
    }
    let text = merged.to_text().map_err(|error| {
        CommandError::new(ErrorKind::Internal, "the lock cannot be written as TOML")
            .caused_by(error)
    })?;
    let folder = &context.settings.images.folder;
    let path = folder.join(lock::FILE_NAME);
    // Beside its place and renamed into it: a reader never sees half a file.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.persist(&path).map_err(|error| {
        CommandError::system(error.error, format!("failed to write `{}`", path.display()))
    })?;
    for change in lock::drift(&survey.lock, &survey.lock_now) {
        context
            .printer
            .detail(format!("{}: {change}", lock::FILE_NAME));
    }
    context.printer.info(format!("wrote {}", path.display()));
    Ok(())
}

/// Turns a failure into words, after its last lines.
fn failed(survey: &Survey<'_>, stopped: Stopped, printer: &Printer) -> CommandError {
    let names = |list: &[usize]| -> Vec<String> {
        list.iter()
            .filter_map(|index| survey.targets.get(*index))
            .map(|prepared| format!("{}-{}", prepared.image, prepared.target))
            .collect()
    };
    let done: Vec<usize> = stopped.done.iter().map(|built| built.index).collect();
    let done = names(&done);
    let left = names(&stopped.left);
    let prepared = stopped.index.and_then(|index| survey.targets.get(index));
    let error = match (stopped.failure, prepared) {
        (BuildFailure::Cancelled, _) | (BuildFailure::Step { .. }, None) => {
            CommandError::new(ErrorKind::Interrupted, "the build was stopped")
        }
        (BuildFailure::Engine(error), _) => error,
        (
            BuildFailure::Step {
                mark,
                step,
                output,
                message,
            },
            Some(prepared),
        ) => {
            let first = output.len().saturating_sub(SHOWN_LINES);
            printer.excerpt(&step, output.get(first..).unwrap_or_default());
            let layer = survey
                .layers
                .iter()
                .find(|layer| layer.name() == prepared.image);
            match layer {
                Some(layer) => {
                    let finding = trace::finding(layer, prepared.target, mark.as_ref(), &output);
                    CommandError::from_diagnostic(ErrorKind::Build, finding).caused_by(message)
                }
                None => CommandError::new(ErrorKind::Build, message),
            }
        }
    };
    let error = if done.is_empty() {
        error
    } else {
        error.hint(format!("built before: {}", done.join(", ")))
    };
    error.hint(format!(
        "not built: {}; what was built so far stays in the engine's cache",
        left.join(", ")
    ))
}

/// One row of the result.
#[derive(Debug, Serialize)]
struct Row {
    /// Label of the image that says what it is made of.
    #[serde(skip)]
    key: String,
    image: String,
    target: Target,
    reference: String,
    /// `built`, `up to date` or, without building, `to build`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    /// Digest in the registry, after `--push`.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

/// An image of the project in the engine.
#[derive(Debug, Clone)]
pub(crate) struct BuiltImage {
    /// Its name.
    pub(crate) reference: String,
    /// What it is made of: the label [`crate::image::prepare::KEY_LABEL`].
    pub(crate) key: String,
}

/// What a build did, or would do.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    fn new(
        survey: &Survey<'_>,
        steps: &[Step],
        needed: &BTreeSet<(String, Target)>,
        built: &[Built],
        dry_run: bool,
    ) -> Self {
        let rows = survey
            .targets
            .iter()
            .enumerate()
            .filter(|(_, prepared)| needed.contains(&(prepared.image.clone(), prepared.target)))
            .map(|(index, prepared)| {
                let step = steps.iter().find(|step| step.index == index);
                let built = built.iter().find(|built| built.index == index);
                let present = survey.present.get(index).and_then(Option::as_ref);
                Row {
                    key: prepared.key(),
                    image: prepared.image.clone(),
                    target: prepared.target,
                    reference: prepared.reference.clone(),
                    state: match (step, dry_run) {
                        (None, _) => "up to date",
                        (Some(_), true) => "to build",
                        (Some(_), false) => "built",
                    },
                    reason: step.map(|step| step.reason.to_string()),
                    id: present.map(|image| image.id.clone()),
                    size: present.map(|image| image.size),
                    seconds: built.map(|built| (built.took.as_secs_f64() * 10.0).round() / 10.0),
                    digest: None,
                }
            });
        Self {
            rows: rows.collect(),
        }
    }

    /// Pushes the images in the order of the rows, which is base first: an image in the registry can be pulled with
    /// all that it is built on.
    async fn push(&mut self, engine: &Engine, context: &Context) -> CommandResult<()> {
        let settings = &context.settings;
        let fetch = FetchContext::new(settings, context.cancel.clone());
        let registry = Registry::for_images(fetch, &settings.registry, false);
        for index in 0..self.rows.len() {
            let Some(row) = self.rows.get(index) else {
                break;
            };
            let line = Line::new(&context.printer, &row.reference);
            let pushing = image::push(engine, &registry, &row.reference, |step| line.step(step));
            let pushed = tokio::select! {
                () = context.cancel.cancelled() => Err(CommandError::new(
                    ErrorKind::Interrupted,
                    format!("the push of `{}` was stopped", row.reference),
                )),
                pushed = pushing => pushed,
            };
            drop(line);
            let pushed = pushed.map_err(|error| self.push_failed(index, error))?;
            let row = self.rows.get_mut(index);
            if let Some(row) = row {
                context.printer.info(if pushed.was_there {
                    format!("{}: the registry has it already", row.reference)
                } else {
                    format!("pushed {}", row.reference)
                });
                row.digest = Some(pushed.digest.to_string());
            }
        }
        Ok(())
    }

    /// Says what was pushed before a push failed and what was not.
    fn push_failed(&self, index: usize, error: CommandError) -> CommandError {
        let names = |rows: &[Row]| {
            let names: Vec<&str> = rows.iter().map(|row| row.reference.as_str()).collect();
            names.join(", ")
        };
        let (done, left) = self.rows.split_at(index.min(self.rows.len()));
        let error = if done.is_empty() {
            error
        } else {
            error.hint(format!("pushed before: {}", names(done)))
        };
        error.hint(format!(
            "not pushed: {}; all are built, and the same command goes on",
            names(left)
        ))
    }

    /// The images, the one below first.
    pub(crate) fn into_images(self) -> Vec<BuiltImage> {
        let rows = self.rows.into_iter();
        rows.map(|row| BuiltImage {
            reference: row.reference,
            key: row.key,
        })
        .collect()
    }

    fn report(&self, printer: &Printer) -> CommandResult<Outcome> {
        printer.emit(self, |report| {
            let mut table = Table::new(["IMAGE", "STATE", "SIZE", "TIME", "REASON"])
                .align_right(2)
                .align_right(3);
            for row in &report.rows {
                table.row([
                    row.reference.clone(),
                    row.state.to_owned(),
                    row.size.map(size).unwrap_or_default(),
                    row.seconds
                        .map(|seconds| format!("{seconds} s"))
                        .unwrap_or_default(),
                    row.reason.clone().unwrap_or_default(),
                ]);
            }
            table
        })?;
        Ok(Outcome::Success)
    }
}

/// Bytes in words: powers of ten, as engines and disks have them.
pub(crate) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let number = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} kB", number / 1e3),
        1_000_000..10_000_000 => format!("{:.1} MB", number / 1e6),
        10_000_000..1_000_000_000 => format!("{:.0} MB", number / 1e6),
        _ => format!("{:.2} GB", number / 1e9),
    }
}

/// Shows a build of several targets on the terminal.
struct Screen<'a> {
    printer: &'a Printer,
}

impl Audience for Screen<'_> {
    fn begin(&self, prepared: &Prepared, step: &Step) -> SharedObserver {
        let name = format!("{}-{}", prepared.image, prepared.target);
        self.printer
            .info(format!("building {name}: {}", step.reason));
        std::sync::Arc::new(Line::new(self.printer, &name))
    }

    fn done(&self, prepared: &Prepared, took: Duration) {
        self.printer.info(format!(
            "built {}-{} in {:.1} s",
            prepared.image,
            prepared.target,
            took.as_secs_f64()
        ));
    }
}

/// The line of one target; it goes when this is dropped.
struct Line {
    printer: Printer,
    name: String,
    task: Option<Task>,
}

impl Line {
    fn new(printer: &Printer, name: &str) -> Self {
        Self {
            printer: printer.clone(),
            name: name.to_owned(),
            task: Some(printer.progress().task(name)),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.finish();
        }
    }
}

impl BuildObserver for Line {
    fn step(&self, step: &str) {
        if let Some(task) = &self.task {
            task.message(step);
        }
        self.printer.detail(format!("{} | {step}", self.name));
    }

    fn output(&self, line: &str) {
        if self.printer.verbosity() > 1 {
            self.printer.detail(format!("{} |   {line}", self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_500, "2 kB"),
            (4_060_000, "4.1 MB"),
            (181_000_000, "181 MB"),
            (1_234_000_000, "1.23 GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
