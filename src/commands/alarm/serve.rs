//! `ioc alarm serve`: the alarm server of a configuration, until it is told to end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alarm_server::api::LogControl;
use alarm_server::clock::Clock;
use alarm_server::pvs::channel_access::ChannelAccess;
use alarm_server::shell::End;
use alarm_server::shell::lead::Standing;
use alarm_server::shell::readiness::Readiness;
use alarm_server::{Settings as ServerSettings, Shell, ShellError};
use tokio::sync::watch;

use crate::alarm::bus::{self, Choice, Opened};
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
    let is_kafka = matches!(choice, Choice::Kafka { .. });
    let user = &context.settings.user;
    let mut resolved = server_settings::resolve(name, args, settings, user, is_kafka)?;
    if !args.replica {
        refuse_second(name, &choice, context).await?;
    }
    let opened = bus::open(choice.clone(), &context.cancel).await?;
    let history = if args.with_logger {
        let beside = Beside::start(name, &args.sinks, &choice, opened.bus(), context).await?;
        if let Some(api) = &mut resolved.api {
            api.beside = Some(beside.routes.clone());
        }
        Some(beside)
    } else {
        None
    };
    let is_replica = args.replica;
    let ended = run(
        resolved,
        is_replica,
        &choice,
        &opened,
        Arc::new(log),
        context,
    )
    .await;
    if let Some(history) = history {
        history.end(context).await;
    }
    ended
}

/// Runs the server until it ends; a replica that another one has overtaken stands by again.
async fn run(
    resolved: ServerSettings,
    is_replica: bool,
    choice: &Choice,
    opened: &Opened,
    log: Arc<dyn LogControl>,
    context: &Context,
) -> CommandResult<Outcome> {
    let name = resolved.configuration.as_str();
    let variables = &context.settings.channel_access;
    let printer = &context.printer;
    let mut is_said = false;
    loop {
        let pvs = ChannelAccess::start(ca::Configuration::from_environment(variables));
        let shell = Shell::open(
            resolved.clone(),
            opened.bus(),
            Box::new(pvs),
            Clock::machine(),
            Some(Arc::clone(&log)),
        )
        .await
        .map_err(|error| refused(&error, choice))?;
        if !std::mem::replace(&mut is_said, true) {
            printer.info(format!("alarm server of `{name}` on {}", choice.words()));
        }
        let is_one_of_several = resolved.replica.is_some();
        let saying = Saying {
            standing: shell.standing(),
            addresses: shell.addresses(),
            readiness: shell.readiness(),
            name,
            choice,
            context,
        };
        let ended = tokio::select! {
            biased;
            ended = Box::pin(shell.run(context.cancel.clone())) => ended,
            failed = saying.say(is_one_of_several) => return Err(failed),
        };
        match ended {
            Ok(End::Stopped) => printer.info("ended"),
            Ok(End::Shutdown) => printer.info("ended: a client of the bus asked for it"),
            Ok(End::Fenced) if is_replica => {
                printer.info("another server leads by now; standing by again");
                continue;
            }
            Ok(End::Fenced) => {
                return Err(CommandError::new(
                    ErrorKind::Conflict,
                    format!("another alarm server of `{name}` has taken over"),
                )
                .hint("it took this one for dead: it was stopped, or the machine was, for more than a second"));
            }
            Err(error) => return Err(refused(&error, choice)),
        }
        return Ok(Outcome::Success);
    }
}

/// Tells people and other programs how the server stands.
struct Saying<'a> {
    standing: watch::Receiver<Standing>,
    addresses: watch::Receiver<Option<SocketAddr>>,
    readiness: Arc<Readiness>,
    name: &'a str,
    choice: &'a Choice,
    context: &'a Context,
}

impl Saying<'_> {
    /// Never ends, unless it cannot be said; others find the server as long as this lives.
    async fn say(mut self, is_one_of_several: bool) -> CommandError {
        let printer = self.context.printer.clone();
        if is_one_of_several {
            let mut is_said = false;
            loop {
                match &*self.standing.borrow_and_update() {
                    Standing::Leading { .. } => break,
                    Standing::Following(Some(leader)) if !is_said => {
                        is_said = true;
                        printer.info(format!(
                            "standing by: `{}` on `{}` leads; Ctrl-C ends it",
                            leader.name, leader.host
                        ));
                    }
                    Standing::Starting | Standing::Following(_) => {}
                }
                if self.standing.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        }
        let address = self.addresses.wait_for(Option::is_some).await;
        let Ok(address) = address.map(|address| *address) else {
            return std::future::pending().await;
        };
        let announced =
            address.map(|address| announce(address, self.name, self.choice, self.context));
        let _announced = match announced {
            Some(Err(failed)) => return failed,
            Some(Ok(announced)) => Some(announced),
            None => None,
        };
        while !self.readiness.status().ready {
            tokio::time::sleep(LOOK).await;
        }
        printer.info(format!("ready: `{}` is watched; Ctrl-C ends it", self.name));
        std::future::pending().await
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

/// Says where clients of this machine find the server.
fn announce(
    address: SocketAddr,
    name: &str,
    choice: &Choice,
    context: &Context,
) -> CommandResult<server::Announced> {
    let api = format!("http://{address}");
    context.printer.info(format!("control API: {api}"));
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
    server::announce(&folder, announcement).map_err(|error| {
        CommandError::system(
            error,
            format!("failed to write the address below `{}`", folder.display()),
        )
    })
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
        ShellError::Led { .. } => ErrorKind::Conflict,
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
