//! `ioc pv put`: a value to a PV, and what it was before.

use ca::{Array, Context as Channels, DataType, Description, PvName, Value};
use serde::Serialize;

use crate::cli::pv::PutArgs;
use crate::commands::pv::value::{ValueJson, words};
use crate::commands::pv::{configuration, refused, seconds};
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

#[derive(Serialize)]
struct Written {
    name: String,
    before: ValueJson,
    after: ValueJson,
}

/// Runs the command.
///
/// # Errors
///
/// No such PV, no right to write, a value that it does not take.
pub(crate) async fn put(args: &PutArgs, context: &Context) -> CommandResult<Outcome> {
    let name: PvName = args
        .name
        .parse()
        .map_err(|error: ca::InvalidName| CommandError::new(ErrorKind::Usage, error.to_string()))?;
    let (channels, events) = Channels::start(configuration(context));
    // nothing is watched
    drop(events);
    let done = tokio::select! {
        done = write(&channels, &name, args) => done,
        () = context.cancel.cancelled() => Err(CommandError::new(
            ErrorKind::Interrupted,
            "stopped; the value may have been written",
        )),
    };
    channels.close().await;
    let (before, after) = done?;
    let written = Written {
        name: name.to_string(),
        before: ValueJson::new(&before, None),
        after: ValueJson::new(&after, None),
    };
    context.printer.emit_text(&written, |written| {
        format!(
            "{}: {} -> {}\n",
            written.name,
            words(&before.value, None),
            words(&after.value, None)
        )
    })?;
    Ok(Outcome::Success)
}

async fn write(
    channels: &Channels,
    name: &PvName,
    args: &PutArgs,
) -> CommandResult<(ca::Reading, ca::Reading)> {
    let timeout = seconds(args.timeout);
    let failed = |error: ca::Error| refused(&error);
    let describe = || channels.describe(name, timeout);
    let (before, value) = if let [only] = &args.values[..] {
        let before = channels.get(name, timeout).await.map_err(failed)?;
        // the server converts a number; only the text of a state has to be known here
        if matches!(before.value, Value::Enum { .. }) && only.parse::<u16>().is_err() {
            label(name, only, &describe().await.map_err(failed)?)?;
        }
        (before, Value::String(only.clone()))
    } else {
        let (description, before) = tokio::join!(describe(), channels.get(name, timeout));
        let value = array(name, &args.values, &description.map_err(failed)?)?;
        (before.map_err(failed)?, value)
    };
    channels.put(name, value, timeout).await.map_err(failed)?;
    let after = channels.get(name, timeout).await.map_err(failed)?;
    Ok((before, after))
}

/// Several values are an array of the PV's own type.
fn array(name: &PvName, values: &[String], description: &Description) -> CommandResult<Value> {
    let most = usize::try_from(description.count).unwrap_or(usize::MAX);
    if values.len() > most {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!(
                "`{name}` takes {most} {}, not {}",
                if most == 1 { "value" } else { "values" },
                values.len()
            ),
        ));
    }
    let array = match description.data_type {
        DataType::String => Array::String(values.to_vec()),
        DataType::Short => Array::Short(numbers(name, values)?),
        DataType::Float => Array::Float(numbers(name, values)?),
        DataType::Enum => Array::Enum(numbers(name, values)?),
        DataType::Char => Array::Char(numbers(name, values)?),
        DataType::Long => Array::Long(numbers(name, values)?),
        DataType::Double => Array::Double(numbers(name, values)?),
    };
    Ok(Value::Array(array))
}

/// Refuses a text that none of the PV's states has.
fn label(name: &PvName, text: &str, description: &Description) -> CommandResult<()> {
    let labels = &description.properties.labels;
    if labels.is_empty() || labels.iter().any(|label| label == text) {
        return Ok(());
    }
    let error = CommandError::new(ErrorKind::Usage, format!("`{name}` has no state `{text}`"));
    let known = || labels.iter().map(String::as_str);
    Err(match crate::diagnostic::nearest(text, known()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!(
            "its states are {}",
            known().collect::<Vec<_>>().join(", ")
        )),
    })
}

fn numbers<T: std::str::FromStr>(name: &PvName, values: &[String]) -> CommandResult<Vec<T>> {
    values
        .iter()
        .map(|text| {
            text.parse().map_err(|_error| {
                CommandError::new(
                    ErrorKind::Usage,
                    format!("`{text}` is no number that `{name}` takes"),
                )
            })
        })
        .collect()
}
