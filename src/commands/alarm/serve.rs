//! `ioc alarm serve`: the alarm server of a configuration, until it is told to end.

use std::sync::Arc;
use std::time::Duration;

use alarm_server::clock::Clock;
use alarm_server::pvs::channel_access::ChannelAccess;
use alarm_server::shell::End;
use alarm_server::{Shell, ShellError};

use crate::alarm::bus::{self, Choice};
use crate::alarm::client::{Client, ClientError};
use crate::alarm::server::{self, Announcement};
use crate::alarm::server_settings;
use crate::cli::alarm::serve::ServeArgs;
use crate::commands::alarm::logger::Beside;
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::log;

/// How often is looked whether the server is ready.
const LOOK: Duration = Duration::from_millis(20);

/// Runs the command.
///
/// # Errors
///
/// A bus that cannot be used, an API that cannot be opened, settings that make no sense.
pub(crate) async fn serve(args: &ServeArgs, context: &Context) -> CommandResult<Outcome> {
    let settings = &context.settings.alarm;
    let name = args.bus.config.as_ref().or(settings.config.as_ref());
    let Some(name) = name else {
        return Err(
            CommandError::new(ErrorKind::Usage, "nothing says which configuration")
                .hint("`--config NAME`, or `config = \"NAME\"` below `[alarm]` in `ioc.toml`"),
        );
    };
    let mut resolved = server_settings::resolve(name, args, settings, &context.settings.user)?;
    let filter = args.log.as_ref().or(settings.server.log.as_ref());
    let log = log::start(
        filter.map(String::as_str),
        args.log_json,
        context.printer.verbosity(),
    )
    .map_err(|why| {
        CommandError::new(ErrorKind::Usage, why).hint("such as `--log info,ca=debug`")
    })?;
    let choice = Choice::new(&args.bus, &context.settings);
    refuse_second(name, &choice, context).await?;
    let opened = bus::open(choice.clone(), &context.cancel).await?;
    let history = if args.with_logger {
        let beside = Beside::start(name, &args.sinks, &choice, opened.bus(), context)?;
        if let Some(api) = &mut resolved.api {
            api.beside = Some(beside.routes.clone());
        }
        Some(beside)
    } else {
        None
    };
    let variables = &context.settings.channel_access;
    let pvs = ChannelAccess::start(ca::Configuration::from_environment(variables));
    let shell = Shell::open(
        resolved,
        opened.bus(),
        Box::new(pvs),
        Clock::machine(),
        Some(Arc::new(log)),
    )
    .await
    .map_err(|error| refused(&error, &choice))?;
    let _announced = announce(&shell, name, &choice, context)?;
    let printer = context.printer.clone();
    let readiness = shell.readiness();
    let configuration = name.clone();
    let saying = tokio::spawn(async move {
        while !readiness.status().ready {
            tokio::time::sleep(LOOK).await;
        }
        printer.info(format!(
            "ready: `{configuration}` is watched; Ctrl-C ends it"
        ));
    });
    let ended = Box::pin(shell.run(context.cancel.clone())).await;
    saying.abort();
    if let Some(history) = history {
        history.end(context).await;
    }
    match ended {
        Ok(End::Stopped) => {
            context.printer.info("ended");
            Ok(Outcome::Success)
        }
        Ok(End::Shutdown) => {
            context
                .printer
                .info("ended: a client of the bus asked for it");
            Ok(Outcome::Success)
        }
        Err(error) => Err(refused(&error, &choice)),
    }
}

/// Two servers of one configuration would both publish: one on this machine is asked whether it lives.
async fn refuse_second(name: &str, choice: &Choice, context: &Context) -> CommandResult<()> {
    let folder = server::folder(choice, &context.settings);
    let Some(other) = server::announced(&folder, name) else {
        return Ok(());
    };
    let Ok(client) = Client::new(&other.api, None, &context.settings.user) else {
        return Ok(());
    };
    match client.server().await {
        // one that wants a token is one, too
        Ok(_) | Err(ClientError::Refused { .. }) => Err(CommandError::new(
            ErrorKind::Conflict,
            format!(
                "an alarm server of `{name}` runs already: process {}, at {}",
                other.pid, other.api
            ),
        )
        .hint(format!("`kill {}` ends it in order", other.pid))),
        Err(_) => Ok(()),
    }
}

/// Says what is served from where, and where clients of this machine find it.
fn announce(
    shell: &Shell,
    name: &str,
    choice: &Choice,
    context: &Context,
) -> CommandResult<Option<server::Announced>> {
    let printer = &context.printer;
    printer.info(format!("alarm server of `{name}` on {}", choice.words()));
    let Some(address) = shell.address() else {
        return Ok(None);
    };
    let api = format!("http://{address}");
    printer.info(format!("control API: {api}"));
    // others on this machine reach any address by the loopback one
    let local = if address.ip().is_unspecified() {
        format!("http://127.0.0.1:{}", address.port())
    } else {
        api
    };
    let folder = server::folder(choice, &context.settings);
    let announcement = Announcement {
        configuration: name.to_owned(),
        api: local,
        pid: std::process::id(),
    };
    let announced = server::announce(&folder, announcement).map_err(|error| {
        CommandError::system(
            error,
            format!("failed to write the address below `{}`", folder.display()),
        )
    })?;
    Ok(Some(announced))
}

fn refused(error: &ShellError, choice: &Choice) -> CommandError {
    let kind = match error {
        ShellError::Bus(error) => return bus::refused(choice, error),
        ShellError::Listen { source, .. } => {
            let kind = match source.kind() {
                std::io::ErrorKind::AddrInUse => ErrorKind::Conflict,
                std::io::ErrorKind::PermissionDenied => ErrorKind::Forbidden,
                _ => ErrorKind::Usage,
            };
            return CommandError::new(kind, error.to_string())
                .caused_by(source.to_string())
                .hint("`--listen 127.0.0.1:0` lets the system choose a port");
        }
        ShellError::Configuration { .. } => ErrorKind::Usage,
        ShellError::Access(_) | ShellError::Actions(_) => ErrorKind::Input,
        _ => ErrorKind::Internal,
    };
    let mut failed = CommandError::new(kind, error.to_string());
    if let Some(source) = innermost(error) {
        failed = failed.caused_by(source);
    }
    match error.hint() {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

/// The last reason of a chain, if there is another than the error itself.
fn innermost(error: &ShellError) -> Option<String> {
    let mut source = std::error::Error::source(error)?;
    while let Some(next) = source.source() {
        source = next;
    }
    let text = source.to_string();
    (!error.to_string().contains(&text)).then_some(text)
}
