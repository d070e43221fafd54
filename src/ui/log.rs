//! The log of a command that runs for long: to standard error, with a filter that can be changed meanwhile.

use std::sync::Mutex;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

/// The log that was started.
pub struct Log {
    handle: reload::Handle<EnvFilter, Registry>,
    filter: Mutex<String>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Log").finish_non_exhaustive()
    }
}

/// Starts the log. Without a filter it is `info`, and more for each `-v`.
///
/// # Errors
///
/// A filter that is none.
pub fn start(filter: Option<&str>, json: bool, verbosity: u8) -> Result<Log, String> {
    let text = filter.unwrap_or(match verbosity {
        0 => "info",
        1 => "debug",
        _ => "trace",
    });
    let (filter, handle) = reload::Layer::new(parse(text)?);
    let writer = || anstream::stderr();
    let layer = if json {
        fmt::layer().json().with_writer(writer).boxed()
    } else {
        fmt::layer().with_writer(writer).boxed()
    };
    // Whoever came first stays; that is only so in a test that starts two servers in one process.
    let _already_started = tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init();
    Ok(Log {
        handle,
        filter: Mutex::new(text.to_owned()),
    })
}

fn parse(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| format!("`{text}` says not what to log: {error}"))
}

impl alarm_server::api::LogControl for Log {
    fn filter(&self) -> String {
        self.filter
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn set_filter(&self, filter: &str) -> Result<(), String> {
        let parsed = parse(filter)?;
        let mut kept = self
            .filter
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.handle
            .reload(parsed)
            .map_err(|error| error.to_string())?;
        filter.clone_into(&mut kept);
        Ok(())
    }
}
