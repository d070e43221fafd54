//! `ioc pv get`: values of PVs, all at once.

use std::time::Duration;

use ca::{Context as Channels, Description, Error, PvName, Reading};
use jiff::Zoned;
use serde::Serialize;

use crate::cli::pv::GetArgs;
use crate::commands::pv::value::{ValueJson, alarm, moment, words};
use crate::commands::pv::{configuration, names, refused, seconds};
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::table::Table;

/// A PV that was read, or why not.
#[derive(Serialize)]
struct Row {
    name: String,
    #[serde(flatten)]
    value: Option<ValueJson>,
    #[serde(flatten)]
    info: Option<Info>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip)]
    shown: [String; 3],
}

/// What is known of a PV beside its value.
#[derive(Serialize)]
struct Info {
    r#type: String,
    count: u32,
    units: Option<String>,
    precision: Option<i16>,
    display: Option<[f64; 2]>,
    alarm: Option<[f64; 2]>,
    warning: Option<[f64; 2]>,
    control: Option<[f64; 2]>,
    labels: Vec<String>,
    readable: bool,
    writable: bool,
    server: String,
}

/// Runs the command.
///
/// # Errors
///
/// A PV that could not be read; the others are shown all the same.
pub(crate) async fn get(args: &GetArgs, context: &Context) -> CommandResult<Outcome> {
    let names = names(&args.names)?;
    let (channels, events) = Channels::start(configuration(context));
    // nothing is watched
    drop(events);
    let timeout = seconds(args.timeout);
    let asked = names.iter().map(|name| ask(&channels, name, args, timeout));
    let answers = tokio::select! {
        answers = futures_util::future::join_all(asked) => answers,
        () = context.cancel.cancelled() => {
            return Err(CommandError::new(ErrorKind::Interrupted, "stopped"));
        }
    };
    channels.close().await;
    let now = Zoned::now();
    let mut errors = Vec::new();
    let mut rows = Vec::new();
    for (name, answer) in names.iter().zip(answers) {
        rows.push(row(name, answer, args.count, &now, &mut errors));
    }
    if errors.len() < rows.len() || rows.len() > 1 {
        context.printer.emit_text(&rows, |rows| text(rows))?;
    }
    let count = errors.len();
    match (count, errors.pop()) {
        (_, None) => Ok(Outcome::Success),
        (1, Some(error)) => Err(refused(&error)),
        (_, Some(last)) => {
            errors.push(last);
            for error in &errors {
                context.printer.warning(error.to_string());
            }
            let kind = refused(&errors[0]).kind();
            Err(CommandError::new(
                kind,
                format!("{count} of {} PVs could not be read", rows.len()),
            ))
        }
    }
}

type Answer = Result<(Reading, Option<Description>), Error>;

async fn ask(channels: &Channels, name: &PvName, args: &GetArgs, timeout: Duration) -> Answer {
    let reading = async {
        match args.count {
            Some(count) => channels.get_first(name, count, timeout).await,
            None => channels.get(name, timeout).await,
        }
    };
    if !args.info {
        return Ok((reading.await?, None));
    }
    let (reading, description) = tokio::join!(reading, channels.describe(name, timeout));
    Ok((reading?, Some(description?)))
}

fn row(
    name: &PvName,
    answer: Answer,
    count: Option<u32>,
    now: &Zoned,
    errors: &mut Vec<Error>,
) -> Row {
    match answer {
        Ok((reading, description)) => Row {
            name: name.to_string(),
            value: Some(ValueJson::new(&reading, count)),
            shown: [
                words(&reading.value, count),
                alarm(&reading),
                moment(&reading, now),
            ],
            info: description.map(|description| info(&description)),
            error: None,
        },
        Err(error) => {
            let row = Row {
                name: name.to_string(),
                value: None,
                info: None,
                error: Some(error.to_string()),
                shown: ["?".to_owned(), "not read".to_owned(), String::new()],
            };
            errors.push(error);
            row
        }
    }
}

fn info(description: &Description) -> Info {
    let properties = &description.properties;
    let range = |range: ca::proto::Range| [range.low, range.high];
    let limits = properties.limits;
    Info {
        r#type: format!("{:?}", description.data_type).to_lowercase(),
        count: description.count,
        units: (!properties.units.is_empty()).then(|| properties.units.clone()),
        precision: properties.precision,
        display: limits.map(|limits| range(limits.display)),
        alarm: limits.map(|limits| range(limits.alarm)),
        warning: limits.map(|limits| range(limits.warning)),
        control: limits.and_then(|limits| limits.control).map(range),
        labels: properties.labels.clone(),
        readable: description.rights.read,
        writable: description.rights.write,
        server: description.server.to_string(),
    }
}

fn text(rows: &[Row]) -> String {
    let mut table = Table::new(["NAME", "VALUE", "ALARM", "TIME"]);
    for row in rows {
        let [value, alarm, time] = &row.shown;
        let units = row.info.as_ref().and_then(|info| info.units.as_deref());
        let value = match units {
            Some(units) => format!("{value} {units}"),
            None => value.clone(),
        };
        table.row([row.name.clone(), value, alarm.clone(), time.clone()]);
    }
    let mut text = table.render();
    for row in rows {
        if let Some(info) = &row.info {
            text.push_str(&info_text(&row.name, info));
        }
    }
    text
}

fn info_text(name: &str, info: &Info) -> String {
    let size = if info.count == 1 {
        String::new()
    } else {
        format!(", up to {} elements", info.count)
    };
    let rights = match (info.readable, info.writable) {
        (true, true) => "may be read and written",
        (true, false) => "may be read only",
        (false, true) => "may be written only",
        (false, false) => "may be neither read nor written",
    };
    let mut text = format!(
        "\n{name}\n  {}{size}, {rights}, at {}\n",
        info.r#type, info.server
    );
    let limits = [
        ("display", info.display),
        ("warning", info.warning),
        ("alarm", info.alarm),
        ("control", info.control),
    ];
    for (what, range) in limits {
        // limits that are not set are "not a number", or zeros
        let words = match range {
            Some([low, high]) if low.is_nan() && high.is_nan() => continue,
            Some([low, high]) if low.is_nan() => format!("up to {high}"),
            Some([low, high]) if high.is_nan() => format!("from {low}"),
            Some([low, high]) if low != 0.0 || high != 0.0 => format!("{low} to {high}"),
            Some(_) | None => continue,
        };
        text.push_str(&format!("  {what:8} {words}\n"));
    }
    if !info.labels.is_empty() {
        let labels: Vec<String> = info
            .labels
            .iter()
            .enumerate()
            .map(|(index, label)| format!("{index} {label}"))
            .collect();
        text.push_str(&format!("  states   {}\n", labels.join(", ")));
    }
    text
}
