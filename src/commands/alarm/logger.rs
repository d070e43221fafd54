//! `ioc alarm logger`: what the alarm topics carry goes into the history, until it is told to end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::bus::Bus;
use alarm_log::logger::SPOOL_LIMIT;
use alarm_log::query::History;
use alarm_log::rest::Rest;
use alarm_log::sink::Sink;
use alarm_log::sink::sqlite::Retention;
use alarm_log::status::Status;
use alarm_log::{Logger, Settings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::alarm::bus::{self, Choice};
use crate::alarm::history::{self, Address};
use crate::cli::alarm::history::LoggerArgs;
use crate::commands::alarm::reach::span;
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::log;

/// How long, at the end of an alarm server, its logger's sinks have.
const DRAIN: Duration = Duration::from_secs(10);
/// How long the last records of a server that has ended are waited for.
const LAST: Duration = Duration::from_millis(200);

/// Runs the command.
///
/// # Errors
///
/// A bus, a sink or a spool that cannot be used.
pub(crate) async fn logger(args: &LoggerArgs, context: &Context) -> CommandResult<Outcome> {
    let settings = &context.settings.alarm;
    let names = args.bus.config.as_ref().or(settings.config.as_ref());
    let configurations = names.map(|names| history::names(names)).unwrap_or_default();
    if configurations.is_empty() {
        return Err(
            CommandError::new(ErrorKind::Usage, "nothing says which configuration")
                .hint("`--config NAME`, or `config = \"NAME\"` below `[alarm]` in `ioc.toml`"),
        );
    }
    let addresses = addresses(&args.sinks, context)?;
    let keep = args.keep.as_deref().map(span).transpose()?;
    let retention = history::retention(keep, args.keep_size.as_deref())?;
    let spool_limit = history::size(&args.spool_size)?;
    let filter = args.log.as_ref().or(settings.server.log.as_ref());
    log::start(
        filter.map(String::as_str),
        args.log_json,
        context.printer.verbosity(),
    )
    .map_err(|why| {
        CommandError::new(ErrorKind::Usage, why).hint("such as `--log info,bus=debug`")
    })?;
    let choice = Choice::new(&args.bus, &context.settings);
    // before the bus: a bus in files that is not there yet is made, which a mistake should not do
    let sinks = open_sinks(&addresses, retention, &configurations, context).await?;
    let opened = bus::open(choice.clone(), &context.cancel).await?;
    let spool = args
        .spool
        .clone()
        .unwrap_or_else(|| history::spool(&choice, &context.settings, &configurations));
    let logger_settings = Settings {
        configurations: configurations.clone(),
        spool,
        spool_limit,
        bus: choice.words(),
        drain: Duration::from_secs(args.drain),
    };
    let logger = Logger::open(&logger_settings, opened.bus(), sinks)
        .map_err(|error| history::refused(&error))?;
    let printer = &context.printer;
    let api = match args.api {
        Some(address) => Some(listen(address, &addresses[0], logger.status(), context).await?),
        None => None,
    };
    printer.info(format!(
        "alarm logger of `{}` on {}, into {}; Ctrl-C ends it",
        configurations.join("`, `"),
        choice.words(),
        logger.sinks().join(", ")
    ));
    let left = Box::pin(logger.run(context.cancel.clone())).await;
    if let Some(api) = api {
        api.abort();
    }
    say_left(left, context);
    Ok(Outcome::Success)
}

async fn open_sinks(
    addresses: &[Address],
    retention: Retention,
    configurations: &[String],
    context: &Context,
) -> CommandResult<Vec<Box<dyn Sink>>> {
    let mut sinks = Vec::new();
    for address in addresses {
        let reached = address.sink(retention, configurations, &context.settings);
        let reached = tokio::select! {
            reached = reached => reached?,
            () = context.cancel.cancelled() => return Err(CommandError::new(ErrorKind::Interrupted, "stopped")),
        };
        for warning in &reached.warnings {
            context.printer.warning(warning);
        }
        sinks.push(reached.opened);
    }
    Ok(sinks)
}

/// The history of a sink that has been opened, for the API; what there is to warn of has been said.
async fn searched(address: &Address, context: &Context) -> CommandResult<Arc<dyn History>> {
    let reached = address.history(&context.settings).await?;
    Ok(reached.opened.history())
}

fn say_left(left: u64, context: &Context) {
    context.printer.info(if left == 0 {
        "the alarm logger has ended: the sinks have everything that was read".to_owned()
    } else {
        format!("the alarm logger has ended: {left} records wait in the spool for the next start")
    });
}

/// A logger beside an alarm server, in one process.
#[derive(Debug)]
pub(super) struct Beside {
    /// The API of its history.
    pub(super) routes: axum::Router,
    stop: CancellationToken,
    running: JoinHandle<u64>,
}

impl Beside {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// A sink or a spool that cannot be used.
    pub(super) async fn start(
        configuration: &str,
        sinks: &[String],
        choice: &Choice,
        bus: Arc<dyn Bus>,
        context: &Context,
    ) -> CommandResult<Self> {
        let configurations = vec![configuration.to_owned()];
        let addresses = addresses(sinks, context)?;
        let settings = Settings {
            spool: history::spool(choice, &context.settings, &configurations),
            configurations,
            spool_limit: SPOOL_LIMIT,
            bus: choice.words(),
            drain: DRAIN,
        };
        let sinks = open_sinks(
            &addresses,
            Retention::default(),
            &settings.configurations,
            context,
        )
        .await?;
        let logger =
            Logger::open(&settings, bus, sinks).map_err(|error| history::refused(&error))?;
        let searched = searched(&addresses[0], context).await?;
        let routes = Rest::new(searched, Some(logger.status())).routes();
        context
            .printer
            .info(format!("alarm history: {}", logger.sinks().join(", ")));
        let stop = CancellationToken::new();
        let running = tokio::spawn(logger.run(stop.clone()));
        Ok(Self {
            routes,
            stop,
            running,
        })
    }

    /// Ends it, after what the server wrote last has been read.
    pub(super) async fn end(self, context: &Context) {
        // the server's last records are on the bus; reading them takes a moment
        tokio::time::sleep(LAST).await;
        self.stop.cancel();
        match self.running.await {
            Ok(left) => say_left(left, context),
            Err(error) => context
                .printer
                .warning(format!("the alarm logger has failed: {error}")),
        }
    }
}

/// Serves the history over HTTP.
async fn listen(
    address: SocketAddr,
    sink: &Address,
    status: Arc<Status>,
    context: &Context,
) -> CommandResult<JoinHandle<()>> {
    let history = searched(sink, context).await?;
    let router = Rest::new(history, Some(status)).router();
    let listening = tokio::net::TcpListener::bind(address).await;
    let listener = listening.map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::AddrInUse => ErrorKind::Conflict,
            std::io::ErrorKind::PermissionDenied => ErrorKind::Forbidden,
            _ => ErrorKind::Usage,
        };
        CommandError::new(kind, format!("nothing can listen at {address}"))
            .caused_by(error)
            .hint("`--api 127.0.0.1:0` lets the system choose a port")
    })?;
    let at = listener
        .local_addr()
        .map_err(|error| CommandError::system(error, "the address of the API is not known"))?;
    context.printer.info(format!("API: http://{at}"));
    Ok(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!("the API has ended: {error}");
        }
    }))
}

fn addresses(sinks: &[String], context: &Context) -> CommandResult<Vec<Address>> {
    if sinks.is_empty() {
        return Ok(vec![Address::usual(&context.settings)]);
    }
    let mut addresses = Vec::new();
    for text in sinks {
        let address = Address::parse(text)?;
        if addresses.contains(&address) {
            return Err(CommandError::new(
                ErrorKind::Usage,
                format!("the sink `{text}` is given twice"),
            ));
        }
        addresses.push(address);
    }
    Ok(addresses)
}
