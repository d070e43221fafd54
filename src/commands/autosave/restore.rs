//! `ioc autosave restore`: an older file, or one of this machine, takes the place of what the IOC reads at its start.

mod in_pod;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::autosave::RestoreArgs;
use crate::cli::global::OutputFormat;
use crate::commands::acting::{self, Steps};
use crate::commands::autosave::show::printable;
use crate::commands::target::Target;
use crate::commands::{Context, Outcome};
use crate::fleet::autosave::saved_file::{SavedFile, Value, ValueChange, differences};
use crate::fleet::autosave::{Entry, LARGEST_FILE, folder, restored_name};
use crate::fleet::session::{Fleet, Session};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Most PVs that are shown before asking.
const MOST_PVS: usize = 40;

/// What is going to be done, or was.
#[derive(Debug, Serialize)]
struct Restored {
    instance: String,
    /// The file that the IOC reads.
    file: String,
    /// Where its new contents come from.
    from: String,
    /// `restored`; `planned` with `--dry-run`.
    outcome: &'static str,
    /// The name under which the file that was there is kept.
    kept: Option<String>,
    /// PVs whose value differs.
    changes: Vec<ValueChange>,
}

/// Restores.
///
/// # Errors
///
/// A file that an IOC would not read, an IOC that runs; nothing is changed then.
pub(crate) async fn restore(args: &RestoreArgs, context: &Context) -> CommandResult<Outcome> {
    let name = &args.instance;
    if let Target::Cluster(choice) = super::target(name, &args.place, context)? {
        return Box::pin(in_pod::restore(args, &choice, context)).await;
    }
    let (subject, path) = super::local(name, &args.place, context)?;
    let source = source(args, |file| {
        folder::read(&path, file).map_err(|error| super::listed(error, name))
    })?;
    let saved = source.complete(name)?;
    let fleet = Fleet::connect(&context.settings).await?;
    let doing = (!args.act.dry_run).then_some("restores saved settings");
    let mut session = fleet.open(&subject, doing)?;
    let runs = is_running(&session).await?;
    if runs && !args.restart {
        return Err(it_runs(name));
    }
    let now = match folder::read(&path, &source.file) {
        Ok(entry) => entry.saved(),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let plan = Restored::planned(name, &source, &now.unwrap_or_default(), &saved);
    if args.act.dry_run {
        return plan.only_shown(context);
    }
    plan.ask(args, runs, context)?;
    let put = || folder::put(&path, &source.file, &source.bytes, Timestamp::now());
    let kept = if runs {
        around(&mut session, args, context, put).await?
    } else {
        put()?
    };
    plan.done(kept, runs, context)
}

/// An IOC that runs would write over the file.
fn it_runs(name: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Conflict,
        format!("`{name}` runs, and would write over the file before it reads it"),
    )
    .hint(format!(
        "`ioc stop {name}` stops it, `ioc start {name}` then restores; or let `--restart` do both"
    ))
}

impl Restored {
    fn planned(instance: &str, source: &Source, now: &SavedFile, then: &SavedFile) -> Self {
        Self {
            instance: instance.to_owned(),
            changes: differences(now, then),
            file: source.file.clone(),
            from: source.shown.clone(),
            outcome: "planned",
            kept: None,
        }
    }

    /// The end of a dry run.
    fn only_shown(&self, context: &Context) -> CommandResult<Outcome> {
        context.printer.emit_text(self, text)?;
        if context.printer.format() == OutputFormat::Table {
            context.printer.info("nothing was changed (--dry-run)");
        }
        Ok(Outcome::Success)
    }

    fn ask(&self, args: &RestoreArgs, runs: bool, context: &Context) -> CommandResult<()> {
        let (name, printer) = (&self.instance, &context.printer);
        printer.info(text(self).trim_end());
        let question = if runs {
            format!("Stop {name}, restore {} and start it again", self.file)
        } else {
            format!("Restore {} of {name}", self.file)
        };
        acting::ask(&args.act, printer, &question)
    }

    fn done(
        mut self,
        kept: Option<String>,
        runs: bool,
        context: &Context,
    ) -> CommandResult<Outcome> {
        let (name, file, printer) = (&self.instance, &self.file, &context.printer);
        if let Some(kept) = &kept {
            printer.info(format!("{name}: {file} is kept as {kept}"));
        }
        printer.info(if runs {
            format!("{name}: {file} restored, started again")
        } else {
            format!("{name}: {file} restored; `ioc start {name}` starts the IOC with it")
        });
        (self.kept, self.outcome) = (kept, "restored");
        if printer.format() != OutputFormat::Table {
            printer.emit_text(&self, |_| String::new())?;
        }
        Ok(Outcome::Success)
    }
}

/// What takes the place of a file.
struct Source {
    /// The file that the IOC reads.
    file: String,
    /// Where the contents are from, for people.
    shown: String,
    bytes: Vec<u8>,
}

impl Source {
    /// What it says, if an IOC would restore it.
    fn complete(&self, instance: &str) -> CommandResult<SavedFile> {
        let saved = SavedFile::of_bytes(&self.bytes);
        if saved.is_complete {
            return Ok(saved);
        }
        Err(CommandError::new(
            ErrorKind::Input,
            format!(
                "`{}` was not written to its end: an IOC would not restore it",
                self.shown
            ),
        )
        .hint(format!(
            "`ioc autosave ls {instance}` tells which files are complete"
        )))
    }
}

/// What is wanted; `read` gives a file of the instance.
fn source(
    args: &RestoreArgs,
    read: impl FnOnce(&str) -> CommandResult<Entry>,
) -> CommandResult<Source> {
    let name = &args.instance;
    if let Some(file) = &args.file {
        super::plain(file)?;
    }
    let Some(from) = &args.from else {
        let copy = args.file.as_deref().unwrap_or_default();
        let file = restored_name(copy).ok_or_else(|| not_saved(copy))?;
        if file == copy {
            return Err(CommandError::new(
                ErrorKind::Usage,
                format!("`{copy}` is what `{name}` restores anyway"),
            )
            .hint(format!("`ioc autosave ls {name}` lists its copies; a file of this machine is restored with `--from`")));
        }
        let entry = read(copy)?;
        return Ok(Source {
            file,
            shown: copy.to_owned(),
            bytes: super::bytes(&entry)?.to_vec(),
        });
    };
    let own = from
        .file_name()
        .and_then(std::ffi::OsStr::to_str)
        .unwrap_or_default();
    let wanted = args.file.as_deref().unwrap_or(own);
    let file = restored_name(wanted).ok_or_else(|| {
        not_saved(wanted).hint(format!(
            "say which file it is: `ioc autosave restore {name} auto_settings.sav --from …`"
        ))
    })?;
    let size = fs_err::metadata(from)?.len();
    if size > LARGEST_FILE {
        let message = format!(
            "`{}` has {size} bytes, too many for saved settings",
            from.display()
        );
        return Err(CommandError::new(ErrorKind::Input, message));
    }
    Ok(Source {
        file,
        shown: from.display().to_string(),
        bytes: fs_err::read(from)?,
    })
}

fn not_saved(name: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Usage,
        format!(
            "`{name}` is not named as saved settings are: `NAME.sav`, `NAME.savB`, `NAME.sav0`, `NAME.sav_DATE-TIME`"
        ),
    )
}

async fn is_running(session: &Session<'_>) -> CommandResult<bool> {
    let containers = session.containers().await?;
    Ok(containers
        .iter()
        .any(|container| container.is_kept_running && !container.is_staged))
}

/// Stops, acts, and starts again: also when the act fails, since the IOC was meant to run.
async fn around(
    session: &mut Session<'_>,
    args: &RestoreArgs,
    context: &Context,
    act: impl FnOnce() -> CommandResult<Option<String>>,
) -> CommandResult<Option<String>> {
    let printer = &context.printer;
    let options = acting::options(&args.act, false, None);
    let stop = async |session: &mut Session<'_>, steps: &Steps| session.stop(steps).await;
    acting::repaired(session, &args.instance, printer, stop).await?;
    let acted = act();
    let start = async |session: &mut Session<'_>, steps: &Steps| {
        session.start(&options, steps, &context.cancel).await
    };
    let started = acting::repaired(session, &args.instance, printer, start).await;
    match (acted, started) {
        (Ok(kept), Ok(answer)) => {
            acting::warn_of_duplicates(answer.as_ref(), printer);
            Ok(kept)
        }
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        (Err(error), Err(second)) => Err(error.hint(format!(
            "it was not started again either ({second}); `ioc start {}` starts it",
            args.instance
        ))),
    }
}

fn text(restored: &Restored) -> String {
    let Restored {
        instance,
        file,
        from,
        changes,
        ..
    } = restored;
    if changes.is_empty() {
        return format!("{instance}: {file} from {from}: the same values\n");
    }
    let count = match changes.len() {
        1 => "1 PV differs".to_owned(),
        many => format!("{many} PVs differ"),
    };
    let mut text = format!("{instance}: {file} from {from}: {count}\n");
    for change in changes.iter().take(MOST_PVS) {
        let value = |value: &Option<Value>| match value {
            Some(value) => printable(&value.to_string()),
            None => "not saved".to_owned(),
        };
        text.push_str(&format!(
            "  {}  {} -> {}\n",
            printable(&change.pv),
            value(&change.before),
            value(&change.after)
        ));
    }
    let more = changes.len().saturating_sub(MOST_PVS);
    if more > 0 {
        text.push_str(&format!("  … and {more} more\n"));
    }
    text
}
