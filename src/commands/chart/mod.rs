//! `ioc chart …`: one file per verb.

mod dependency;
mod lint;
mod package;
mod pull;
mod push;
mod show;
mod template;

use crate::charts::locate::{Places, Wanted};
use crate::cli::chart::{CapabilityArgs, ChartArgs, ChartVerb, DependencyVerb, LocationArgs};
use crate::commands::{Context, Outcome};
use crate::source::{FetchContext, FetchProgress};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::progress::Task;

/// Runs one of the verbs.
pub(crate) async fn chart(args: ChartArgs, context: &Context) -> CommandResult<Outcome> {
    match args.verb {
        ChartVerb::Lint(args) => lint::lint(&args, context),
        ChartVerb::Package(args) => package::package(&args, context).await,
        ChartVerb::Template(args) => template::template(&args, context).await,
        ChartVerb::Dependency(args) => match args.verb {
            DependencyVerb::Build(args) => dependency::build(&args, context).await,
            DependencyVerb::Update(args) => dependency::update(&args, context).await,
            DependencyVerb::List(args) => dependency::list(&args, context),
        },
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

/// The cluster that templates see.
fn capabilities(args: &CapabilityArgs, more: &[String]) -> CommandResult<helm::Capabilities> {
    let mut capabilities = helm::Capabilities::default();
    if let Some(version) = &args.kube_version {
        capabilities.kube_version = helm::KubeVersion::parse(version).map_err(|_| {
            CommandError::new(
                ErrorKind::Usage,
                format!("`--kube-version {version}` is not a version"),
            )
            .hint("write it as `1.33` or `v1.33.4`")
        })?;
    }
    capabilities.api_versions.extend(more.iter().cloned());
    Ok(capabilities)
}
