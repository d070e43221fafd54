//! `ioc alarm log`: what happened.

mod import;
mod lines;

use std::collections::HashSet;
use std::time::Duration;

use alarm_log::query::{Filter, Order, Pattern, Query};
use alarm_log::{Entry, Kind};
use jiff::Zoned;

use crate::alarm::history::{self, Address, Opened};
use crate::cli::alarm::history::{BackupArgs, HistoryArgs, LogArgs, LogVerb, WhichArgs};
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How often is looked for what is new.
const LOOK: Duration = Duration::from_millis(200);
/// So much is looked at at once.
const PART: usize = 2000;

/// Runs the command.
///
/// # Errors
///
/// No history, or one that does not answer.
pub(crate) async fn log(args: &LogArgs, context: &Context) -> CommandResult<Outcome> {
    match &args.verb {
        Some(LogVerb::Import(args)) => return import::import(args, context).await,
        Some(LogVerb::Backup(args)) => return back_up(args, context).await,
        None => {}
    }
    let now = Zoned::now();
    let mut filter = filter(&args.which, &args.history, &now)?;
    filter.kinds = kinds(args).into_iter().collect();
    let opened = open(&args.history, context).await?;
    let follower = match (&opened, args.follow) {
        (_, false) => None,
        (Opened::Sqlite(history), true) => Some(history),
        (Opened::Other(other), true) => {
            return Err(CommandError::new(
                ErrorKind::Unsupported,
                format!("{} cannot be followed", other.name()),
            )
            .hint("add `--sink sqlite:FILE` to the logger"));
        }
    };
    // what comes between the search and the following is not left out
    let place = match follower {
        Some(history) => history.last_place().await,
        None => Ok(0),
    };
    let place = place.map_err(|error| history::no_answer(&error))?;
    let query = Query {
        filter: filter.clone(),
        order: Order::NewestFirst,
        limit: args.limit,
        after: None,
    };
    let search = opened.history();
    let missing: Vec<&str> = filter
        .kinds
        .iter()
        .filter(|kind| !search.keeps(**kind))
        .map(|kind| kind.name())
        .collect();
    if !missing.is_empty() {
        context
            .printer
            .info(format!("{} keeps no {}", search.name(), missing.join(", ")));
    }
    let page = tokio::select! {
        page = search.search(query) => page.map_err(|error| history::no_answer(&error))?,
        () = context.cancel.cancelled() => return Err(CommandError::new(ErrorKind::Interrupted, "stopped")),
    };
    let mut entries = page.entries;
    entries.reverse();
    if page.next.is_some() {
        context.printer.info(format!(
            "older entries are left out: `--limit {}` shows more",
            args.limit.saturating_mul(10)
        ));
    }
    if args.csv {
        context.printer.data(&lines::csv(&entries)?)?;
    } else if args.follow {
        print_each(&entries, &now, context)?;
    } else {
        context
            .printer
            .emit_text(&entries, |entries| lines::table(entries, &now))?;
    }
    if let Some(history) = follower {
        let shown = entries.iter().map(Entry::id).collect();
        follow(history, filter, place, shown, context).await?;
    }
    Ok(Outcome::Success)
}

async fn back_up(args: &BackupArgs, context: &Context) -> CommandResult<Outcome> {
    let from = HistoryArgs {
        from: args.from.clone(),
        config: None,
    };
    let opened = match open(&from, context).await? {
        Opened::Sqlite(opened) => opened,
        Opened::Other(other) => {
            return Err(CommandError::new(
                ErrorKind::Unsupported,
                format!("{} needs no backup of ours", other.name()),
            )
            .hint("copy the folder of lines of JSON; services have backups of their own"));
        }
    };
    if args.to.exists() {
        return Err(CommandError::new(
            ErrorKind::Conflict,
            format!("`{}` exists", args.to.display()),
        ));
    }
    let copied = opened.back_up(&args.to).await;
    copied.map_err(|error| history::no_answer(&error))?;
    context
        .printer
        .info(format!("`{}` has the history", args.to.display()));
    Ok(Outcome::Success)
}

async fn follow(
    history: &alarm_log::sink::sqlite::SqliteHistory,
    filter: Filter,
    mut place: i64,
    shown: HashSet<String>,
    context: &Context,
) -> CommandResult<()> {
    loop {
        let found = history.arrived_after(place, filter.clone(), PART).await;
        let (mut entries, last) = found.map_err(|error| history::no_answer(&error))?;
        // what came while the search was on was found by it already
        entries.retain(|entry| !shown.contains(&entry.id()));
        let is_all = last == place;
        place = last;
        print_each(&entries, &Zoned::now(), context)?;
        if is_all {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = context.cancel.cancelled() => return Ok(()),
            }
        }
    }
}

fn print_each(entries: &[Entry], now: &Zoned, context: &Context) -> CommandResult<()> {
    for entry in entries {
        context
            .printer
            .emit_one(entry, |entry| lines::line(entry, now))?;
    }
    Ok(())
}

/// Opens the history that is meant.
pub(super) async fn open(args: &HistoryArgs, context: &Context) -> CommandResult<Opened> {
    let address = match &args.from {
        Some(text) => Address::parse(text)?,
        None => Address::usual(&context.settings),
    };
    let reached = address.history(&context.settings).await?;
    reached
        .warnings
        .iter()
        .for_each(|warning| context.printer.warning(warning));
    Ok(reached.opened)
}

fn kinds(args: &LogArgs) -> Vec<Kind> {
    if args.changes {
        vec![Kind::State]
    } else if args.commands {
        vec![Kind::Command]
    } else if args.configuration {
        vec![Kind::Config, Kind::Deletion]
    } else if args.all {
        Kind::ALL.to_vec()
    } else {
        let all = Kind::ALL.into_iter();
        all.filter(|kind| *kind != Kind::Talk).collect()
    }
}

/// What the options say of which entries are wanted.
pub(super) fn filter(
    which: &WhichArgs,
    history: &HistoryArgs,
    now: &Zoned,
) -> CommandResult<Filter> {
    let patterns = |texts: &[String]| texts.iter().map(Pattern::new).collect();
    let moment = |text: &Option<String>| {
        text.as_deref()
            .map(|text| crate::fleet::logs::window::since(text, now))
            .transpose()
            .map_err(|why| CommandError::new(ErrorKind::Usage, why))
    };
    let at = match (&which.at, &history.config) {
        (Some(at), _) => vec![at.clone()],
        (None, Some(names)) => {
            let names = history::names(names).into_iter();
            names.map(|name| format!("/{name}")).collect()
        }
        (None, None) => Vec::new(),
    };
    Ok(Filter {
        pv: patterns(&which.pv),
        at,
        severity: which
            .severity
            .iter()
            .map(|text| Pattern::new(text.to_uppercase()))
            .collect(),
        message: patterns(&which.message),
        user: patterns(&which.user),
        host: patterns(&which.host),
        since: moment(&which.since)?,
        until: moment(&which.until)?,
        ..Filter::default()
    })
}
