//! `ioc pv`: one file per verb, and what several of them need.

mod get;
mod monitor;
mod put;
mod value;

use std::time::Duration;

use ca::{Configuration, PvName};

use crate::cli::pv::PvVerb;
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Runs a verb of `ioc pv`.
///
/// # Errors
///
/// What the verb could not do.
pub(crate) async fn pv(verb: PvVerb, context: &Context) -> CommandResult<Outcome> {
    match verb {
        PvVerb::Get(args) => get::get(&args, context).await,
        PvVerb::Put(args) => put::put(&args, context).await,
        PvVerb::Monitor(args) => monitor::monitor(&args, context).await,
    }
}

/// Where is searched, and who asks.
fn configuration(context: &Context) -> Configuration {
    let mut configuration = Configuration::from_environment(&context.settings.channel_access);
    let user = &context.settings.user;
    let (name, _host) = user.split_once('@').unwrap_or((user, ""));
    configuration.user_name = Some(name.to_owned());
    configuration
}

fn names(texts: &[String]) -> CommandResult<Vec<PvName>> {
    texts
        .iter()
        .map(|text| {
            text.parse().map_err(|error: ca::InvalidName| {
                CommandError::new(ErrorKind::Usage, error.to_string())
            })
        })
        .collect()
}

/// A time that was checked when it was parsed.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(3))
}

/// An error of the client with the kind that decides the exit code.
fn refused(error: &ca::Error) -> CommandError {
    let kind = match error {
        ca::Error::Name(_) | ca::Error::ValueText { .. } => ErrorKind::Usage,
        ca::Error::NotFound { .. } | ca::Error::NotCreated { .. } => ErrorKind::NotFound,
        ca::Error::NoReadAccess { .. } | ca::Error::NoWriteAccess { .. } => ErrorKind::Forbidden,
        ca::Error::NowhereToSearch { .. } => ErrorKind::Input,
        ca::Error::Socket { .. } => ErrorKind::System,
        _ => ErrorKind::Unhealthy,
    };
    let failed = CommandError::new(kind, error.to_string());
    let failed = match std::error::Error::source(error) {
        Some(source) => failed.caused_by(source.to_string()),
        None => failed,
    };
    match error {
        ca::Error::NotFound { .. } => failed
            .hint("is the IOC up (`ioc ps`), is the name right, does EPICS_CA_ADDR_LIST reach it?"),
        ca::Error::NowhereToSearch { .. } => failed.hint(
            "set EPICS_CA_ADDR_LIST, or `address-list` below `[channel-access]` in `ioc.toml`",
        ),
        _ => failed,
    }
}
