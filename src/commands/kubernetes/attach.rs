//! `ioc attach` on a cluster: the IOC shell in a pod.

use futures_util::StreamExt as _;

use crate::cli::shell::AttachArgs;
use crate::commands::attach::{self, Manner};
use crate::commands::target;
use crate::commands::{Context, Outcome};
use crate::fleet::console::filter::Rules;
use crate::fleet::console::output::printable_line;
use crate::fleet::kubernetes::console::{self, Console, PodProcess};
use crate::fleet::kubernetes::logs::{self, Run};
use crate::fleet::kubernetes::look::find;
use crate::fleet::kubernetes::{Cluster, ClusterChoice};
use crate::fleet::logs::stream::Window;
use crate::ui::error::{CommandResult, ErrorKind};
use crate::ui::terminal;

/// Attaches to the IOC shell, through the console program of the image where it has one.
///
/// # Errors
///
/// The instance is not there or does not run, its shell takes no input, or the cluster refuses.
pub(crate) async fn attach(
    args: &AttachArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let cluster = target::connect(choice, context).await?;
    let found = find::find(&cluster, &args.instance).await?;
    let process = PodProcess::of(&found, None)?;
    let (console, refused) = console::console(&cluster, &process).await?;
    if let Some(refused) = refused {
        context.printer.warning(format!(
            "the image is not asked for its console program, which may be the only one that takes input: {refused}"
        ));
    }
    let transcript = attach::transcript(args, &found.instance.name, context)?;
    earlier_lines(&cluster, &found, &process, args.tail, context).await?;
    let (leave, own_keys) = match &console {
        Console::Program {
            leave, own_keys, ..
        } => (leave.clone(), *own_keys),
        Console::Process => (Vec::new(), &[][..]),
    };
    let rules = Rules {
        read_only: args.read_only,
        allow_control: args.allow_control,
        own_keys,
    };
    let connection = console::join(
        &cluster,
        &process,
        &console,
        terminal::is_interactive(),
        !args.read_only,
    )
    .await?;
    let manner = Manner {
        name: found.instance.name.clone(),
        rules,
        leave,
    };
    attach::talk(connection, &manner, transcript, context).await
}

async fn earlier_lines(
    cluster: &Cluster,
    found: &find::Found,
    process: &PodProcess,
    count: usize,
    context: &Context,
) -> CommandResult<()> {
    let Some(pod) = found.pod().filter(|_| count > 0) else {
        return Ok(());
    };
    let window = Window {
        tail: Some(count),
        ..Window::default()
    };
    let mut lines = logs::lines(cluster, pod, &process.container, Run::Newest, window, false);
    while let Some(line) = lines.next().await {
        let line = match line {
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                context
                    .printer
                    .warning(format!("the lines before are not shown: {error}"));
                return Ok(());
            }
            other => other?,
        };
        context
            .printer
            .data(&format!("{}\n", printable_line(&line.text)))?;
    }
    Ok(())
}
