//! The alarm server that a command asks, and its refusals as errors of commands.

use std::time::Duration;

use crate::alarm::bus::Choice;
use crate::alarm::client::{Client, ClientError, read_token};
use crate::alarm::server::{self, Place};
use crate::cli::alarm::operate::ServerArgs;
use crate::commands::Context;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// The server that is meant, and how to ask it.
pub(super) struct Reached {
    /// Asks.
    pub(super) client: Client,
    place: Place,
    choice: Choice,
}

/// Finds the server that is meant; nothing is sent yet.
pub(super) fn reach(args: &ServerArgs, context: &Context) -> CommandResult<Reached> {
    let choice = Choice::new(&args.bus, &context.settings);
    let place = server::find(
        args.server.as_deref(),
        args.bus.config.as_deref(),
        &choice,
        &context.settings,
    )?;
    let file = args
        .token_file
        .as_ref()
        .or(context.settings.alarm.token_file.as_ref());
    let token = file
        .map(|file| read_token(file))
        .transpose()
        .map_err(|error| refused(&error, None))?;
    let client = Client::new(&place.address, token, &context.settings.user)
        .map_err(|error| refused(&error, None))?;
    Ok(Reached {
        client,
        place,
        choice,
    })
}

impl Reached {
    /// Asks, and says in the words of commands why there is no answer; Ctrl-C ends the wait.
    pub(super) async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, ClientError>>,
        context: &Context,
    ) -> CommandResult<T> {
        tokio::select! {
            answer = question => answer.map_err(|error| self.refused(&error)),
            () = context.cancel.cancelled() => Err(CommandError::new(ErrorKind::Interrupted, "stopped")),
        }
    }

    /// The words of a refusal, with what is known of the server.
    pub(super) fn refused(&self, error: &ClientError) -> CommandError {
        refused(error, Some(self))
    }
}

/// How long a time span like `30s`, `10m`, `8h`, `2d` is.
pub(crate) fn span(text: &str) -> CommandResult<Duration> {
    let wrong = || {
        CommandError::new(ErrorKind::Usage, format!("`{text}` is no time span"))
            .hint("a number with s, m, h or d: `--for 8h`")
    };
    let span: jiff::Span = text.trim().parse().map_err(|_error| wrong())?;
    let has_date = span.get_years() != 0 || span.get_months() != 0;
    // days and weeks of 24 hours: a shelf has no time zone
    let duration = span
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .ok()
        .filter(|duration| duration.is_positive() && !has_date)
        .ok_or_else(wrong)?;
    Duration::try_from(duration).map_err(|_error| wrong())
}

fn refused(error: &ClientError, reached: Option<&Reached>) -> CommandError {
    match error {
        ClientError::Address { .. } => CommandError::new(ErrorKind::Usage, error.to_string())
            .hint("such as `--server http://127.0.0.1:4730`"),
        ClientError::Unreachable { cause, .. } => {
            let mut failed =
                CommandError::new(ErrorKind::Bus, error.to_string()).caused_by(cause.clone());
            if let Some(reached) = reached {
                failed = match &reached.place.file {
                    Some(file) => failed.hint(format!(
                        "`{}` says that it is there; it was killed, or has not ended in order",
                        file.display()
                    )),
                    None => failed,
                };
                let words =
                    server::serve_words(reached.place.configuration.as_deref(), &reached.choice);
                failed = failed.hint(format!("`{words}` starts one"));
            }
            failed
        }
        ClientError::Lost { cause, .. } => {
            CommandError::new(ErrorKind::Bus, error.to_string()).caused_by(cause.clone())
        }
        ClientError::Strange { .. } => CommandError::new(ErrorKind::Bus, error.to_string())
            .hint("`ioc alarm serve` prints the address of its control API when it starts"),
        ClientError::Token { hint, .. } => {
            let failed = CommandError::new(ErrorKind::Forbidden, error.to_string());
            match hint {
                Some(hint) => failed.hint(hint.clone()),
                None => failed,
            }
        }
        ClientError::Refused {
            status,
            error,
            hint,
        } => {
            let kind = match status {
                401 | 403 | 421 => ErrorKind::Forbidden,
                404 => ErrorKind::NotFound,
                400 | 413 | 415 => ErrorKind::Usage,
                409 => ErrorKind::Conflict,
                501 => ErrorKind::Unsupported,
                _ => ErrorKind::Bus,
            };
            let failed = CommandError::new(kind, error.clone());
            match hint {
                // the server speaks to whoever wrote the request
                _ if *status == 401 => failed.hint(
                    "`--token-file FILE`, or `token-file` below `[alarm]` in `ioc.toml`: a file with your token, mode 600",
                ),
                _ if *status == 503 => failed.hint("try again in a moment"),
                Some(hint) => failed.hint(hint.clone()),
                None => failed,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans() {
        let seconds = |text: &str| span(text).map(|span| span.as_secs()).ok();
        assert_eq!(seconds("30s"), Some(30));
        assert_eq!(seconds("8h"), Some(8 * 3600));
        assert_eq!(seconds("1h 30m"), Some(5400));
        assert_eq!(seconds("2d"), Some(2 * 86_400));
        for wrong in ["", "8", "h", "-8h", "0s", "1y", "soon"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
