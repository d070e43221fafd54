//! What the verbs share that change what runs: progress on the terminal, which instances, asking, and saying at the
//! end what was done and what was not.

use std::future::Future;

use serde::Serialize;

use crate::cli::deploy::ActArgs;
use crate::cli::lifecycle::Selection;
use crate::cli::render::BeamlineArgs;
use crate::commands::target::{self, Target};
use crate::commands::{Context, Outcome};
use crate::fleet::answer::Answer;
use crate::fleet::deploy::Options;
use crate::fleet::overview::{self, Wanted};
use crate::fleet::progress::Progress;
use crate::fleet::session::{Fleet, Session, Subject};
use crate::ui::confirm::confirm;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::printer::Printer;
use crate::ui::progress::Task;
use crate::ui::table::Table;

/// Steps of a flow as one moving line, or as plain lines with `-v` where nothing moves.
pub(crate) struct Steps {
    printer: Printer,
    task: Task,
}

impl Steps {
    /// Begins a line for an instance.
    pub(crate) fn begin(printer: &Printer, instance: &str) -> Self {
        Self {
            printer: printer.clone(),
            task: printer.progress().task(instance),
        }
    }

    /// Removes the line.
    pub(crate) fn end(self) {
        self.task.finish();
    }
}

impl Progress for Steps {
    fn step(&self, what: &str) {
        self.task.message(what);
        if !self.printer.progress().is_shown() {
            self.printer.detail(what);
        }
    }

    fn warning(&self, message: &str) {
        self.printer.warning(message);
    }
}

/// What was done with one instance; a list of these is the result of a verb.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Done {
    /// Name of the instance.
    pub(crate) instance: String,
    /// `deployed`, `unchanged`, `started`, …; `planned` with `--dry-run`.
    pub(crate) outcome: &'static str,
    /// The revision that is deployed now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<u32>,
    /// Whether and where its IOC answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<Answer>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl Done {
    /// A result without details.
    pub(crate) fn new(instance: &str, outcome: &'static str) -> Self {
        Self {
            instance: instance.to_owned(),
            outcome,
            revision: None,
            answer: None,
            error: None,
        }
    }
}

/// Prints the results for programs; people have seen them as they came.
pub(crate) fn emit(done: &[Done], printer: &Printer) -> CommandResult<()> {
    if printer.format() == crate::cli::global::OutputFormat::Table {
        return Ok(());
    }
    printer.emit(done, |_| Table::default())
}

/// Where the instances of a selection run.
pub(crate) fn target(selection: &Selection, context: &Context) -> CommandResult<Target> {
    target::of_instances(
        &selection.instances,
        &selection.beamline,
        &selection.cluster,
        context,
    )
}

/// Deployed instances that a selection means.
pub(crate) fn deployed(
    fleet: &Fleet,
    selection: &Selection,
    context: &Context,
) -> CommandResult<Vec<Subject>> {
    let found = overview::find(
        &fleet.store,
        Wanted {
            names: &selection.instances,
            all: selection.all,
            namespace: namespace(&selection.beamline, context)?.as_deref(),
        },
    )?;
    if found.is_empty() {
        return Err(CommandError::not_found(
            "nothing is deployed on this machine",
        ));
    }
    Ok(found)
}

/// The one deployed instance of that name.
pub(crate) fn deployed_one(
    fleet: &Fleet,
    instance: &str,
    beamline: &BeamlineArgs,
    context: &Context,
) -> CommandResult<Subject> {
    let names = [instance.to_owned()];
    let found = overview::find(
        &fleet.store,
        Wanted {
            names: &names,
            all: false,
            namespace: namespace(beamline, context)?.as_deref(),
        },
    )?;
    found
        .into_iter()
        .next()
        .ok_or_else(|| CommandError::not_found(format!("`{instance}` is not deployed")))
}

/// Namespace of the beamline that was named.
pub(crate) fn namespace(args: &BeamlineArgs, context: &Context) -> CommandResult<Option<String>> {
    let Some(name) = &args.beamline else {
        return Ok(None);
    };
    Ok(Some(context.settings.beamline(name)?.namespace.clone()))
}

/// Waiting as the arguments say.
pub(crate) fn options(act: &ActArgs, atomic: bool, message: Option<String>) -> Options {
    Options {
        atomic,
        wait: (!act.no_wait).then_some(act.timeout),
        message,
    }
}

/// What a lifecycle verb would do to these instances; nothing is done.
///
/// # Errors
///
/// The result cannot be written.
pub(crate) fn dry_run(
    subjects: &[Subject],
    done: &str,
    printer: &Printer,
) -> CommandResult<Outcome> {
    let names: Vec<&str> = subjects
        .iter()
        .map(|subject| subject.instance.as_str())
        .collect();
    dry_run_names(&names, done, printer)
}

/// As [`dry_run`], for names.
///
/// # Errors
///
/// The result cannot be written.
pub(crate) fn dry_run_names(
    names: &[&str],
    done: &str,
    printer: &Printer,
) -> CommandResult<Outcome> {
    for name in names {
        printer.info(format!("{name} would be {done}"));
    }
    let planned: Vec<Done> = names
        .iter()
        .map(|name| Done::new(name, "planned"))
        .collect();
    emit(&planned, printer)?;
    Ok(Outcome::Success)
}

/// Asks unless `--yes` was given.
pub(crate) fn ask(act: &ActArgs, printer: &Printer, question: &str) -> CommandResult<()> {
    if act.yes {
        return Ok(());
    }
    confirm(printer, question)
}

/// Names for a question: all of up to three, else how many.
pub(crate) fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    if names.len() <= 3 {
        names.join(", ")
    } else {
        format!("{} instances", names.len())
    }
}

/// What the answer of an IOC means, in words.
pub(crate) fn answered(answer: Option<&Answer>) -> String {
    match answer {
        Some(Answer::Answered { pv, server, .. }) => format!("`{pv}` answers at {server}"),
        Some(Answer::Running) => "runs".to_owned(),
        Some(Answer::Elsewhere { pv, servers }) => {
            let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
            format!(
                "ready; but `{pv}` answers at {}, which is not its address",
                servers.join(", ")
            )
        }
        Some(Answer::Silent { pv }) => format!("ready; `{pv}` is not heard on this machine"),
        Some(Answer::OutOfReach { pv, address }) => format!(
            "ready; {address} is not reached from this machine, so that `{pv}` could not be asked for"
        ),
        None => "not waited for".to_owned(),
    }
}

/// Warns of other servers that have the same PV.
pub(crate) fn warn_of_duplicates(answer: Option<&Answer>, printer: &Printer) {
    if let Some(Answer::Answered { pv, duplicates, .. }) = answer
        && !duplicates.is_empty()
    {
        let others: Vec<String> = duplicates.iter().map(ToString::to_string).collect();
        printer.warning(format!(
            "`{pv}` is served more than once, also at {}: clients take whichever answers first",
            others.join(", ")
        ));
    }
}

/// Does something to an instance, after repairing what a command that was killed has left of it, which is said.
///
/// # Errors
///
/// Those of the repair and of `act`.
pub(crate) async fn repaired<T>(
    session: &mut Session<'_>,
    instance: &str,
    printer: &Printer,
    act: impl AsyncFnOnce(&mut Session<'_>, &Steps) -> CommandResult<T>,
) -> CommandResult<T> {
    let steps = Steps::begin(printer, instance);
    let result: CommandResult<_> = async {
        let told = session.repair_if_needed(&steps).await?;
        Ok((told, act(session, &steps).await?))
    }
    .await;
    steps.end();
    let (told, value) = result?;
    if let Some(told) = told {
        printer.warning(told);
    }
    Ok(value)
}

/// Says that an instance runs again, and who answers.
pub(crate) fn runs_again(
    instance: &str,
    outcome: &'static str,
    answer: Option<Answer>,
    printer: &Printer,
) -> Done {
    warn_of_duplicates(answer.as_ref(), printer);
    printer.info(format!(
        "{instance}: {outcome}, {}",
        answered(answer.as_ref())
    ));
    Done {
        answer,
        ..Done::new(instance, outcome)
    }
}

/// Does something with each of `items` in order; when one fails, says what was done and what was not.
pub(crate) async fn in_order<T, F, Fut>(
    items: Vec<T>,
    name: impl Fn(&T) -> String,
    context: &Context,
    mut work: F,
) -> CommandResult<Outcome>
where
    F: FnMut(T) -> Fut,
    Fut: Future<Output = CommandResult<Done>>,
{
    let all: Vec<String> = items.iter().map(&name).collect();
    let mut done: Vec<Done> = Vec::new();
    for item in items {
        let result = if context.cancel.is_cancelled() {
            Err(CommandError::new(ErrorKind::Interrupted, "interrupted"))
        } else {
            work(item).await
        };
        match result {
            Ok(one) => done.push(one),
            Err(error) => {
                emit(&done, &context.printer)?;
                return Err(with_summary(error, &all, done.len()));
            }
        }
    }
    emit(&done, &context.printer)?;
    Ok(Outcome::Success)
}

/// Adds what was done before and what comes after the failure.
fn with_summary(error: CommandError, all: &[String], done: usize) -> CommandError {
    if all.len() < 2 {
        return error;
    }
    let list = |names: &[String]| {
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    let failed = all.get(done).map_or("", String::as_str);
    let rest = all.get(done + 1..).unwrap_or_default();
    error.hint(format!(
        "done: {}; failed: {failed}; not done: {}",
        list(&all[..done.min(all.len())]),
        list(rest)
    ))
}
