//! `ioc exec` on a cluster: a command, or a shell, in a pod.

use crate::cli::shell::ExecArgs;
use crate::commands::exec;
use crate::commands::target;
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::ClusterChoice;
use crate::fleet::kubernetes::console::{self, PodProcess};
use crate::fleet::kubernetes::debug::Beside;
use crate::fleet::kubernetes::look::find;
use crate::ui::error::CommandResult;
use crate::ui::terminal;

/// Runs the command and ends with its exit code.
///
/// # Errors
///
/// The instance is not there or does not run, or the cluster refuses.
pub(crate) async fn exec(
    args: &ExecArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let cluster = target::connect(choice, context).await?;
    let found = find::find(&cluster, &args.instance).await?;
    let process = PodProcess::of(&found, args.container.as_deref())?;
    let tty = terminal::is_interactive();
    let beside = match &args.debug_image {
        Some(image) => {
            context
                .printer
                .info(format!("adding a container of {image} to {}", process.pod));
            Some(Beside::start(&cluster, &process, image).await?)
        }
        None => None,
    };
    let process = beside.as_ref().map_or(&process, |beside| &beside.process);
    let connection = console::exec(&cluster, process, exec::command(args), tty).await?;
    let outcome = exec::run(connection, tty, context).await;
    drop(beside);
    outcome
}
