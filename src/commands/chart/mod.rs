//! `ioc chart …`: one file per verb.

mod pull;
mod push;
mod show;

use crate::charts::locate::{Places, Wanted};
use crate::cli::chart::{ChartArgs, ChartVerb, LocationArgs};
use crate::commands::{Context, Outcome};
use crate::source::{FetchContext, FetchProgress};
use crate::ui::error::CommandResult;
use crate::ui::progress::Task;

/// Runs one of the verbs.
pub(crate) async fn chart(args: ChartArgs, context: &Context) -> CommandResult<Outcome> {
    match args.verb {
        ChartVerb::Push(args) => push::push(&args, context).await,
        ChartVerb::Pull(args) => pull::pull(&args, context).await,
        ChartVerb::Show(args) => show::show(&args, context).await,
    }
}

/// How charts are fetched, with a progress line that says what happens; it goes when the task is finished.
fn fetching(context: &Context, what: &str) -> (FetchContext, Task) {
    let task = context.printer.progress().task(what);
    let told = task.clone();
    let fetch = FetchContext::new(&context.settings, context.cancel.clone()).with_progress(
        move |progress| {
            told.message(match progress {
                FetchProgress::Step(step) => step.to_owned(),
                FetchProgress::Received { bytes, .. } => crate::commands::build::size(bytes),
            });
        },
    );
    (fetch, task)
}

/// The places where the charts of a command are looked for.
fn places(context: &Context, plain_http: bool, what: &str) -> (Places, Task) {
    let (fetch, task) = fetching(context, what);
    (Places::new(&context.settings, fetch, plain_http), task)
}

impl From<&LocationArgs> for Wanted {
    fn from(args: &LocationArgs) -> Self {
        Self {
            version: args.version.clone(),
            devel: args.devel,
            repository: args.repo.clone(),
        }
    }
}
