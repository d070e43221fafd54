//! `ioc alarm log import`: old histories into a sink.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use alarm_log::Entry;
use alarm_log::import::read;
use alarm_log::sink::sqlite::Retention;
use alarm_log::sink::{Outcome as Written, Sink};
use flate2::read::MultiGzDecoder;

use crate::alarm::history::Address;
use crate::cli::alarm::history::ImportArgs;
use crate::commands::{Context, Outcome};
use crate::diagnostic::{Diagnostic, Place};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// So many entries are written at once.
const PART: usize = 2000;
/// Longest line, in bytes.
const LONGEST: u64 = 64 << 20;
/// So many lines that are nothing are shown of each file.
const SHOWN: u64 = 5;

/// Runs the command.
///
/// # Errors
///
/// A file that cannot be read, lines that are nothing, or a sink that does not take them. What could be read is imported.
pub(super) async fn import(args: &ImportArgs, context: &Context) -> CommandResult<Outcome> {
    let address = match &args.into {
        Some(text) => Address::parse(text)?,
        None => Address::usual(&context.settings),
    };
    let reached = address.sink(Retention::default(), &[], &context.settings);
    let reached = reached.await?;
    if let Some(warning) = reached.warnings.first() {
        context.printer.warning(warning);
    }
    let mut sink = reached.opened;
    let (mut taken, mut wrong) = (0, 0);
    for path in &args.files {
        let (of_file, wrong_in_file) = file(path, &mut *sink, context).await?;
        taken += of_file;
        wrong += wrong_in_file;
    }
    context
        .printer
        .info(format!("{taken} entries are in {}", sink.name()));
    if wrong > 0 {
        return Err(CommandError::new(
            ErrorKind::Input,
            format!("{wrong} lines could not be imported"),
        ));
    }
    Ok(Outcome::Success)
}

async fn file(path: &Path, sink: &mut dyn Sink, context: &Context) -> CommandResult<(u64, u64)> {
    let failed =
        |error| CommandError::system(error, format!("failed to read `{}`", path.display()));
    let opened = fs_err::File::open(path).map_err(failed)?;
    let is_compressed = path.extension().is_some_and(|extension| extension == "gz");
    let mut reader: Box<dyn BufRead + Send> = if is_compressed {
        Box::new(BufReader::new(MultiGzDecoder::new(opened)))
    } else {
        Box::new(BufReader::new(opened))
    };
    let (mut taken, mut wrong, mut number) = (0, 0, 0);
    let mut part = Vec::new();
    loop {
        if context.cancel.is_cancelled() {
            return Err(CommandError::new(ErrorKind::Interrupted, "stopped"));
        }
        let mut line = String::new();
        let bytes = reader
            .by_ref()
            .take(LONGEST)
            .read_line(&mut line)
            .map_err(failed)?;
        number += 1;
        if bytes > 0 && !line.trim().is_empty() {
            match read(&line) {
                Ok(entry) => part.push(entry),
                Err(why) => {
                    wrong += 1;
                    if wrong <= SHOWN {
                        let mut place = Place::file(path);
                        place.line = number;
                        let finding = Diagnostic::error(why.to_string()).at(place);
                        context.printer.diagnostic(&finding);
                    }
                }
            }
        }
        if part.len() >= PART || (bytes == 0 && !part.is_empty()) {
            taken += write(sink, &part).await?;
            part.clear();
        }
        if bytes == 0 {
            return Ok((taken, wrong));
        }
    }
}

async fn write(sink: &mut dyn Sink, entries: &[Entry]) -> CommandResult<u64> {
    let outcomes = sink.write(entries).await.map_err(|error| {
        let failed = CommandError::new(ErrorKind::System, error.reason.clone());
        match &error.hint {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    })?;
    let refused = outcomes.iter().find_map(|outcome| match outcome {
        Written::Taken => None,
        Written::Refused(reason) => Some(reason),
    });
    match refused {
        None => Ok(entries.len() as u64),
        Some(reason) => Err(CommandError::new(
            ErrorKind::Input,
            format!("{} refuses an entry: {reason}", sink.name()),
        )),
    }
}
