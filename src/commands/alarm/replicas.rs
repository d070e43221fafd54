//! `ioc alarm replicas`: who leads, and who stands by, as they say themselves on the bus.

use std::time::{SystemTime, UNIX_EPOCH};

use alarm_server::shell::lead::{LEADER, REPLICA, Sign};
use serde::Serialize;

use crate::alarm::bus::{self, Choice};
use crate::cli::alarm::serve::ReplicasArgs;
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::table::Table;

/// A server that has not given a sign for so many times what it takes from one to the next is gone.
const MISSED: u64 = 3;
/// One of which so many are overdue may be gone.
const OVERDUE: u64 = 2;

/// A server.
#[derive(Debug, Serialize)]
struct Replica {
    name: String,
    /// `leader`, `stand-by`, `silent`: one that stood by and should have said so again, or `gone`: nothing was heard of
    /// the one that leads.
    role: &'static str,
    host: String,
    pid: u32,
    api: Option<String>,
    /// Since when it leads or stands by.
    since: String,
    /// How many have led, with this one.
    term: u64,
    /// Records on the bus that it has not read yet.
    lag: u64,
    /// Milliseconds since it gave a sign of life.
    heard: u64,
}

/// Runs the command.
///
/// # Errors
///
/// A bus that cannot be read.
pub(crate) async fn replicas(args: &ReplicasArgs, context: &Context) -> CommandResult<Outcome> {
    let name = args.bus.config.as_ref();
    let Some(name) = name.or(context.settings.alarm.config.as_ref()) else {
        return Err(
            CommandError::new(ErrorKind::Usage, "nothing says which configuration")
                .hint("`--config NAME`, or `config = \"NAME\"` below `[alarm]` in `ioc.toml`"),
        );
    };
    let choice = Choice::new(&args.bus, &context.settings);
    let found = if bus::exists(&choice) {
        let opened = bus::open(choice.clone(), &context.cancel).await?;
        let signs = opened.servers(name).await?;
        list(signs.iter(), milliseconds())
    } else {
        Vec::new()
    };
    context.printer.emit(&found, |found| table(found))?;
    if found.is_empty() {
        context.printer.info(format!(
            "no alarm server of `{name}` has led on {}",
            choice.words()
        ));
    }
    Ok(Outcome::Success)
}

fn list<'a>(records: impl Iterator<Item = (&'a String, &'a String)>, now: i64) -> Vec<Replica> {
    let mut found: Vec<Replica> = Vec::new();
    for (key, value) in records {
        let is_leader = key.starts_with(LEADER);
        if !is_leader && !key.starts_with(REPLICA) {
            continue;
        }
        // of another version: nothing is known of it
        let Ok(sign) = serde_json::from_str::<Sign>(value) else {
            continue;
        };
        let heard = u64::try_from(now.saturating_sub(sign.time)).unwrap_or(0);
        let is_gone = sign.farewell || heard > sign.every.saturating_mul(MISSED);
        let is_silent = heard > sign.every.saturating_mul(OVERDUE);
        if !is_leader && (is_gone || found.iter().any(|leader| leader.name == sign.name)) {
            // one that leads by now has said before that it stands by
            continue;
        }
        found.push(Replica {
            name: sign.name,
            role: match (is_leader, is_gone, is_silent) {
                (true, false, _) => "leader",
                (true, true, _) => "gone",
                (false, _, false) => "stand-by",
                (false, _, true) => "silent",
            },
            host: sign.host,
            pid: sign.pid,
            api: sign.api,
            since: sign.since,
            term: sign.term,
            lag: sign.lag,
            heard,
        });
    }
    found
}

fn table(found: &[Replica]) -> Table {
    let mut table = Table::new([
        "NAME", "ROLE", "TERM", "SINCE", "LAG", "HEARD", "HOST", "PID", "API",
    ]);
    for one in found {
        table.row([
            one.name.clone(),
            one.role.to_owned(),
            one.term.to_string(),
            one.since.clone(),
            one.lag.to_string(),
            format!("{}.{} s ago", one.heard / 1000, one.heard % 1000 / 100),
            one.host.clone(),
            one.pid.to_string(),
            one.api.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table
}

fn milliseconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(name: &str, time: i64, every: u64, farewell: bool) -> String {
        let sign = Sign {
            name: name.to_owned(),
            time,
            every,
            farewell,
            ..Sign::default()
        };
        serde_json::to_string(&sign).unwrap()
    }

    #[test]
    fn who_leads_and_who_is_gone() {
        let records = [
            ("commands:/X", r#"{"next":7}"#.to_owned()),
            ("leader:/X", sign("a", 9_000, 500, false)),
            ("memory:/X/pv", "{}".to_owned()),
            ("replica:a", sign("a", 7_000, 2000, false)),
            ("replica:b", sign("b", 8_000, 2000, false)),
            ("replica:c", sign("c", 1_000, 2000, false)),
            ("replica:d", "junk".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value));
        let roles = |now: i64| -> Vec<(String, &str)> {
            list(records.iter().map(|(key, value)| (key, value)), now)
                .into_iter()
                .map(|one| (one.name, one.role))
                .collect()
        };
        let expect = |pairs: &[(&str, &'static str)]| -> Vec<(String, &'static str)> {
            pairs
                .iter()
                .map(|(name, role)| ((*name).to_owned(), *role))
                .collect()
        };
        assert_eq!(roles(10_000), expect(&[("a", "leader"), ("b", "stand-by")]));
        assert_eq!(roles(11_000), expect(&[("a", "gone"), ("b", "stand-by")]));
        assert_eq!(roles(12_500), expect(&[("a", "gone"), ("b", "silent")]));
        assert_eq!(roles(60_000), expect(&[("a", "gone")]));
    }
}
