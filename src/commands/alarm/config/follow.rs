//! `ioc alarm config follow`: keeps the bus as a file of a git branch is.
//!
//! Each look fetches the newest commit. A new one is read and checked; with mistakes it is refused, and the bus stays as
//! the last good one has made it. Without, what is different is published as `apply` does. A repository or a bus that
//! cannot be reached is tried again with the next look.

mod look;

use std::net::SocketAddr;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

use alarm_server::api::bind;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::look::Follower;
use crate::alarm::bus::Choice;
use crate::alarm::follow::serve::{Hook, status, webhook};
use crate::alarm::follow::webhook::Secret;
use crate::alarm::follow::{Condition, Shared};
use crate::cli::alarm::follow::FollowArgs;
use crate::commands::{Context, Outcome};
use crate::source::FetchContext;
use crate::source::definition::{Branch, GitUrl};
use crate::source::mirror::without_credentials;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::log;

/// So many connections are served at once, on each address.
const CONNECTIONS: usize = 32;
/// However often a code host calls, the repository is not looked at more often than this.
const AT_LEAST: Duration = Duration::from_secs(1);
/// How long answers that are under way may take at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Runs the command.
///
/// # Errors
///
/// Arguments that make no sense, addresses that are taken; with `--once` also what a look meets.
pub(crate) async fn follow(args: &FollowArgs, context: &Context) -> CommandResult<Outcome> {
    let usage = |problem: String| CommandError::new(ErrorKind::Usage, problem);
    let url = GitUrl::new(&*args.url).map_err(usage)?;
    let branch = Branch::new(&*args.branch).map_err(usage)?;
    let path = inside(&args.path)?;
    let secret = secret(args)?;
    let log = log::start(
        args.log.as_deref(),
        args.log_json,
        context.printer.verbosity(),
    );
    let _log = log.map_err(|why| usage(why).hint("such as `--log info,ca=debug`"))?;
    let choice = Choice::new(&args.bus, &context.settings);
    let shared = Arc::new(Shared::new(
        without_credentials(url.as_str()),
        branch.as_str(),
        &path,
        choice.words(),
        Timestamp::now(),
    ));
    let mut follower = Follower {
        url,
        branch,
        path,
        name: args.bus.config.clone(),
        settings_name: context.settings.alarm.config.clone(),
        plan: args.plan,
        choice,
        user: context.settings.user.clone(),
        fetch: FetchContext::new(&context.settings, context.cancel.clone()),
        cancel: context.cancel.clone(),
        shared: Arc::clone(&shared),
        seen: None,
        pinned: None,
    };
    if args.once {
        return once(follower, context).await;
    }
    let wake = Arc::new(Notify::new());
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    serve(args, secret, &shared, &wake, &stop, &tasks, context).await?;
    let condition = shared.status();
    context.printer.info(format!(
        "following `{}` of branch `{}` of {} onto {}; Ctrl-C ends it",
        condition.path, condition.branch, condition.repository, condition.bus
    ));
    while !context.cancel.is_cancelled() {
        let begun = tokio::time::Instant::now();
        follower.look().await;
        tokio::select! {
            () = tokio::time::sleep(args.every) => {}
            () = context.cancel.cancelled() => break,
            () = wake.notified() => {
                tokio::select! {
                    () = tokio::time::sleep_until(begun + AT_LEAST) => {}
                    () = context.cancel.cancelled() => break,
                }
                tracing::info!("the code host has called");
            }
        }
    }
    stop.cancel();
    tasks.close();
    let _some_may_be_slow = tokio::time::timeout(LAST_ANSWERS, tasks.wait()).await;
    context.printer.info("ended");
    Ok(Outcome::Success)
}

async fn once(mut follower: Follower, context: &Context) -> CommandResult<Outcome> {
    follower.try_look().await?;
    let status = follower.shared.status();
    context
        .printer
        .emit_text(&status, |status| match &status.applied {
            Some(applied) => format!(
                "{} ({}): {} records\n",
                applied.commit.commit, applied.commit.subject, applied.records
            ),
            None => String::new(),
        })?;
    Ok(match status.condition {
        Condition::InStep => Outcome::Success,
        _ => Outcome::Negative,
    })
}

/// The path as git has it.
fn inside(path: &Path) -> CommandResult<String> {
    let is_inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let parts: Option<Vec<&str>> = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .map(|part| part.as_os_str().to_str())
        .collect();
    match parts {
        Some(parts) if is_inside && !parts.is_empty() => {
            crate::alarm::files::Format::of(path)
                .ok_or_else(|| crate::alarm::files::unknown_format(path))?;
            Ok(parts.join("/"))
        }
        _ => Err(CommandError::new(
            ErrorKind::Usage,
            format!("`{}` is no path inside of a repository", path.display()),
        )
        .hint("relative to the root of the repository, such as `--path alarm/accelerator.csv`")),
    }
}

fn secret(args: &FollowArgs) -> CommandResult<Option<Arc<Secret>>> {
    let Some(path) = &args.webhook_secret else {
        return match args.webhook {
            Some(address) if !address.ip().is_loopback() => Err(CommandError::new(
                ErrorKind::Usage,
                format!("anybody who reaches {address} could call the webhook"),
            )
            .hint("`--webhook-secret FILE`, with the secret that the code host signs with")),
            _ => Ok(None),
        };
    };
    let text = alarm_server::secrets::read(path).map_err(|error| {
        let failed = CommandError::new(ErrorKind::Input, error.to_string());
        let failed = match std::error::Error::source(&error) {
            Some(source) => failed.caused_by(source.to_string()),
            None => failed,
        };
        match error.hint() {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    })?;
    let secret = Secret::new(&text).map_err(|why| {
        CommandError::new(ErrorKind::Input, format!("`{}` {why}", path.display()))
            .hint("`openssl rand -hex 32` makes a good one")
    })?;
    Ok(Some(Arc::new(secret)))
}

/// Opens the addresses and serves them until `stop`.
async fn serve(
    args: &FollowArgs,
    secret: Option<Arc<Secret>>,
    shared: &Arc<Shared>,
    wake: &Arc<Notify>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
    context: &Context,
) -> CommandResult<()> {
    let listen = args
        .listen
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let listening = opened(listen).await?;
    context
        .printer
        .info(format!("status: http://{}/v1/follow", listening.address()));
    let routes = status(Arc::clone(shared));
    tasks.spawn(listening.serve_router(routes, CONNECTIONS, stop.clone()));
    if let Some(address) = args.webhook {
        let listening = opened(address).await?;
        context
            .printer
            .info(format!("webhook: http://{}/", listening.address()));
        let routes = webhook(Hook {
            shared: Arc::clone(shared),
            wake: Arc::clone(wake),
            secret,
        });
        tasks.spawn(listening.serve_router(routes, CONNECTIONS, stop.clone()));
    }
    Ok(())
}

async fn opened(address: SocketAddr) -> CommandResult<alarm_server::api::Listening> {
    bind(address).await.map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::AddrInUse => ErrorKind::Conflict,
            std::io::ErrorKind::PermissionDenied => ErrorKind::Forbidden,
            _ => ErrorKind::Usage,
        };
        CommandError::new(kind, format!("cannot listen on {address}"))
            .caused_by(error)
            .hint("port 0 lets the system choose")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_of_the_repository() {
        let rows = [
            ("accelerator.csv", Some("accelerator.csv")),
            ("./alarm//lab.yaml", Some("alarm/lab.yaml")),
            ("/etc/lab.yaml", None),
            ("../lab.yaml", None),
            ("alarm/../lab.yaml", None),
            ("alarm/lab.txt", None),
            ("", None),
        ];
        for (path, expected) in rows {
            let read = inside(Path::new(path)).ok();
            assert_eq!(read.as_deref(), expected, "{path}");
        }
    }
}
