//! `ioc alarm stats`: figures about the alarm system.

use alarm_log::Kind;
use alarm_log::query::{Filter, Order, Query};
use alarm_log::stats::{Gathering, Named, Statistics};
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::alarm::history;
use crate::cli::alarm::history::{StatsArgs, WhichArgs};
use crate::commands::alarm::log;
use crate::commands::alarm::severity::{cell, painted, rank};
use crate::commands::instance_table::duration;
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// So many entries are read at once.
const PART: usize = 10_000;
/// So far before the begin is looked for alarms that stood then.
const BEFORE: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Runs the command.
///
/// # Errors
///
/// No history, or one that does not answer.
pub(crate) async fn stats(args: &StatsArgs, context: &Context) -> CommandResult<Outcome> {
    let now = Zoned::now();
    let which = WhichArgs {
        pv: args.pv.clone(),
        at: args.at.clone(),
        since: Some(args.since.clone()),
        until: args.until.clone(),
        ..WhichArgs::default()
    };
    let mut filter = log::filter(&which, &args.history, &now)?;
    let from = filter.since.unwrap_or_default();
    let to = filter.until.unwrap_or_else(|| now.timestamp());
    if from >= to {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!("nothing lies between {from} and {to}"),
        ));
    }
    filter.kinds = [Kind::State, Kind::Deletion].into();
    filter.since = from.checked_sub(BEFORE).ok();
    let statistics = tokio::select! {
        gathered = gather(args, filter, from, to, context) => gathered?,
        () = context.cancel.cancelled() => return Err(CommandError::new(ErrorKind::Interrupted, "stopped")),
    };
    context
        .printer
        .emit_text(&statistics, |statistics| page(statistics, &now))?;
    Ok(Outcome::Success)
}

async fn gather(
    args: &StatsArgs,
    filter: Filter,
    from: Timestamp,
    to: Timestamp,
    context: &Context,
) -> CommandResult<Statistics> {
    let opened = log::open(&args.history, context).await?;
    let searched = opened.history();
    let mut gathering = Gathering::new(from);
    let mut query = Query {
        filter,
        order: Order::OldestFirst,
        limit: PART,
        after: None,
    };
    loop {
        let page = searched.search(query.clone()).await;
        let page = page.map_err(|error| history::no_answer(&error))?;
        page.entries.iter().for_each(|entry| gathering.take(entry));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(gathering.finish(to, args.top)),
        }
    }
}

fn page(found: &Statistics, now: &Zoned) -> String {
    let time = |time: Timestamp| {
        time.to_zoned(now.time_zone().clone())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string()
    };
    let mut text = format!("from {} to {}\n\n", time(found.from), time(found.to));
    let mut field = |name: &str, value: String| text.push_str(&format!("{name:22}{value}\n"));
    field("alarms", found.alarms.to_string());
    field(
        "per 10 minutes",
        format!("{:.2}", found.average_per_10_minutes),
    );
    let peak = found.peak_at.map(|at| format!(" at {}", time(at)));
    field(
        "at most",
        format!("{}{}", found.peak_per_10_minutes, peak.unwrap_or_default()),
    );
    field(
        "floods",
        format!(
            "{}, {} of the time",
            found.floods.len(),
            percent(found.flood_share)
        ),
    );
    field(
        "standing",
        format!("{}, {} of them stale", found.standing.len(), found.stale),
    );
    field("acknowledged", acknowledged(found));
    let mut priorities: Vec<(&String, &u64)> = found.priorities.iter().collect();
    priorities.sort_by_key(|(severity, _count)| rank(severity));
    for (severity, count) in priorities {
        text.push_str(&format!(
            "{}{count} ({})\n",
            painted(severity, 22),
            percent(share(*count, found.alarms))
        ));
    }
    section(
        &mut text,
        "floods",
        found.floods.iter().map(|flood| {
            format!(
                "{} to {}: {} alarms",
                time(flood.from),
                time(flood.to),
                flood.alarms
            )
        }),
    );
    section(
        &mut text,
        &format!("most alarms ({} of all)", percent(found.top_share)),
        found
            .top
            .iter()
            .map(|top| format!("{:>7}  {}", top.alarms, cell(&top.path))),
    );
    section(&mut text, "chattering", counted(&found.chattering));
    section(&mut text, "fleeting", counted(&found.fleeting));
    section(
        &mut text,
        "standing",
        found
            .standing
            .iter()
            .take(found.top.len().max(10))
            .map(|one| {
                let seconds = u64::try_from(one.seconds).unwrap_or_default();
                format!(
                    "{}{}  since {}, {}",
                    painted(&one.severity, 15),
                    cell(&one.path),
                    time(one.since),
                    duration(seconds)
                )
            }),
    );
    text
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("\n{title}\n"));
    for line in lines {
        text.push_str(&format!("  {line}\n"));
    }
}

fn counted(named: &[Named]) -> impl Iterator<Item = String> {
    named
        .iter()
        .map(|named| format!("{:>7}  {}", named.count, cell(&named.path)))
}

fn acknowledged(found: &Statistics) -> String {
    let times = &found.acknowledgement;
    let seconds = |seconds: i64| duration(u64::try_from(seconds).unwrap_or_default());
    match (times.median_seconds, times.p90_seconds) {
        (Some(median), Some(p90)) => format!(
            "{}, half of them within {}, nine of ten within {}",
            times.count,
            seconds(median),
            seconds(p90)
        ),
        _ => "none".to_owned(),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of alarms, of which nobody reads more than a few digits"
)]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}
