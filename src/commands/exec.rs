//! `ioc exec`: a command, or a shell, in the container of an instance.

use futures_util::StreamExt;

use crate::cli::shell::ExecArgs;
use crate::commands::target::{self, Target};
use crate::commands::{Context, Outcome, kubernetes};
use crate::engine::Engine;
use crate::fleet::console::connection::{Connection, Piece};
use crate::fleet::console::debug::Beside;
use crate::fleet::containers::{self, Selector};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::terminal::{self, RawTerminal};

/// What runs when no command was given: bash where there is one.
const SHELL: [&str; 3] = [
    "/bin/sh",
    "-c",
    "command -v bash >/dev/null && exec bash || exec sh",
];

/// Runs the command and ends with its exit code.
///
/// # Errors
///
/// The instance is not deployed or does not run, or the engine refuses.
pub(crate) async fn exec(args: &ExecArgs, context: &Context) -> CommandResult<Outcome> {
    let names = [args.instance.clone()];
    if let Target::Cluster(choice) =
        target::of_instances(&names, &args.beamline, &args.cluster, context)?
    {
        return kubernetes::exec::exec(args, &choice, context).await;
    }
    let engine = Engine::connect(&context.settings).await?;
    let selector = Selector {
        beamline: args.beamline.beamline.as_deref(),
        instance: &args.instance,
        container: args.container.as_deref(),
        state: &context.settings.state,
    };
    let container = containers::find(&engine, selector).await?;
    if !container.is_running {
        return Err(CommandError::new(
            ErrorKind::Unhealthy,
            format!(
                "`{}` does not run, so nothing can be run inside it",
                args.instance
            ),
        )
        .hint(format!(
            "`ioc logs {0}` shows why, `ioc start {0}` starts it",
            args.instance
        )));
    }
    let tty = terminal::is_interactive();
    let Some(image) = &args.debug_image else {
        let connection = Connection::exec(&engine, &container, command(args), tty).await?;
        return run(connection, tty, context).await;
    };
    let beside = Beside::start(&engine, &container, image).await?;
    let outcome = match Connection::exec_in(&engine, &beside.id, command(args), tty).await {
        Ok(connection) => run(connection, tty, context).await,
        Err(error) => Err(error),
    };
    beside.end().await;
    outcome
}

/// What is run.
pub(crate) fn command(args: &ExecArgs) -> Vec<String> {
    if args.command.is_empty() {
        SHELL.iter().map(|word| (*word).to_owned()).collect()
    } else {
        args.command.clone()
    }
}

/// Carries input and output until the command ends, and ends as it did.
pub(crate) async fn run(
    connection: Connection,
    tty: bool,
    context: &Context,
) -> CommandResult<Outcome> {
    let connection = if tty {
        interact(connection, context).await?
    } else {
        pipe(connection, context).await?
    };
    let Some(code) = connection.exit_code().await? else {
        return Err(CommandError::new(
            ErrorKind::Interrupted,
            "left before the command ended; it may still run in the container",
        ));
    };
    Ok(match u8::try_from(code) {
        Ok(0) => Outcome::Success,
        Ok(code) => Outcome::External(code),
        Err(_out_of_range) => Outcome::External(ErrorKind::Internal.code()),
    })
}

/// A person at a terminal: every key goes to the command, Ctrl-C too.
pub(crate) async fn interact(
    mut connection: Connection,
    context: &Context,
) -> CommandResult<Connection> {
    let mut keys = terminal::standard_input();
    let mut raw = RawTerminal::enter()?;
    let (columns, rows) = raw.size()?;
    connection.resize(columns, rows).await?;
    loop {
        tokio::select! {
            typed = keys.recv() => match typed {
                Some(typed) => send(&mut connection, &typed).await?,
                None => return Ok(connection),
            },
            piece = connection.output.next() => match piece.transpose()? {
                Some(Piece::Output(bytes) | Piece::Error(bytes)) => terminal::write_raw(&bytes)?,
                None => return Ok(connection),
            },
            () = raw.resized() => {
                let (columns, rows) = raw.size()?;
                connection.resize(columns, rows).await?;
            }
            () = context.cancel.cancelled() => return Ok(connection),
        }
    }
}

/// A script: standard input, output and error are passed through as they are.
pub(crate) async fn pipe(
    mut connection: Connection,
    context: &Context,
) -> CommandResult<Connection> {
    let mut input = terminal::standard_input();
    let mut open = true;
    loop {
        tokio::select! {
            piece = input.recv(), if open => {
                if let Some(bytes) = piece {
                    send(&mut connection, &bytes).await?;
                } else {
                    open = false;
                    // The command may have ended already: then nobody needs to be told.
                    let _ended_already = connection.end_input().await;
                }
            }
            piece = connection.output.next() => match piece.transpose()? {
                Some(Piece::Output(bytes)) => terminal::write_raw(&bytes)?,
                Some(Piece::Error(bytes)) => terminal::write_raw_error(&bytes)?,
                None => return Ok(connection),
            },
            () = context.cancel.cancelled() => return Ok(connection),
        }
    }
}

async fn send(connection: &mut Connection, bytes: &[u8]) -> CommandResult<()> {
    match connection.send(bytes).await {
        Ok(()) => Ok(()),
        // The command ended while something was typed; its output and exit code still come.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            Err(CommandError::new(ErrorKind::Engine, "failed to send input").caused_by(error))
        }
    }
}
