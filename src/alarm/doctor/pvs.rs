//! What IOCs say about the PVs of a configuration, seen from the machine on which this runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Check, Verdict};
use crate::alarm::live::Answer;

/// So many names of PVs are shown.
const SHOWN: usize = 5;
/// Time stamps that are further ahead of this machine's clock than this, in seconds, are those of another clock.
const AHEAD: f64 = 1.0;

/// Where PVs are searched, whether they are found, and by whom they are served.
pub fn checks(answers: &BTreeMap<String, Answer>, searched: &[String], seconds: u64) -> Vec<Check> {
    let mut checks = vec![reached(answers, searched, seconds)];
    let mut servers: BTreeMap<SocketAddr, Vec<&Answer>> = BTreeMap::new();
    for answer in answers.values() {
        if let Some(server) = answer.server {
            servers.entry(server).or_default().push(answer);
        }
    }
    for (server, answers) in &servers {
        let check = Check::new(
            "channel access",
            format!("server {server}"),
            Verdict::Good,
            format!("serves {} of them", answers.len()),
        );
        checks.push(check);
    }
    let twice: Vec<&str> = answers
        .values()
        .filter(|answer| !answer.others.is_empty())
        .map(|answer| answer.pv.as_str())
        .collect();
    if !twice.is_empty() {
        let check = Check::new(
            "channel access",
            "PVs that exist twice",
            Verdict::Warning,
            format!("{}: which server counts is chance", some(&twice)),
        );
        checks.push(check.hint(
            "an IOC and a gateway that both answer here, or two IOCs with the same records: `ioc alarm config check FILE --live` names them",
        ));
    }
    checks.extend(clocks(&servers));
    checks
}

fn reached(answers: &BTreeMap<String, Answer>, searched: &[String], seconds: u64) -> Check {
    let what = "PVs of the configuration";
    let at = if searched.is_empty() {
        "nowhere".to_owned()
    } else {
        searched.join(", ")
    };
    let missing: Vec<&str> = answers
        .values()
        .filter(|answer| answer.server.is_none())
        .map(|answer| answer.pv.as_str())
        .collect();
    let found = answers.len() - missing.len();
    let check = |verdict, seen| Check::new("channel access", what, verdict, seen);
    if answers.is_empty() {
        return check(Verdict::Warning, "there is none".to_owned())
            .hint("`ioc alarm config apply FILE` publishes a configuration");
    }
    if missing.is_empty() {
        return check(
            Verdict::Good,
            format!("all {found} answer; searched at {at}"),
        );
    }
    let seen = format!(
        "{found} of {} answer within {seconds} s; not {}; searched at {at}",
        answers.len(),
        some(&missing)
    );
    let verdict = if found == 0 {
        Verdict::Bad
    } else {
        Verdict::Warning
    };
    let check = check(verdict, seen);
    if found == 0 {
        check.hint(
            "does any IOC run, and does a search from here reach it? `EPICS_CA_ADDR_LIST`, or `[channel-access]` in `ioc.toml`; \
             from a pod without the host's network broadcasts reach nothing: name a gateway or name servers",
        )
    } else {
        check.hint("do their IOCs run? `ioc pv get NAME` asks for one")
    }
}

/// IOCs whose time stamps are ahead of the clock here.
fn clocks(servers: &BTreeMap<SocketAddr, Vec<&Answer>>) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut most: f64 = 0.0;
    for (server, answers) in servers {
        let ahead = answers
            .iter()
            .filter_map(|answer| answer.ahead)
            .fold(f64::MIN, f64::max);
        most = most.max(ahead);
        if ahead > AHEAD {
            let check = Check::new(
                "clock",
                format!("server {server}"),
                Verdict::Warning,
                format!("a value has a time stamp {ahead:.1} s from now"),
            );
            checks.push(check.hint(
                "its clock, or the one here, is wrong: look at NTP on both (`timedatectl`, `chronyc tracking`)",
            ));
        }
    }
    if checks.is_empty() && !servers.is_empty() {
        checks.push(Check::new(
            "clock",
            "IOCs",
            Verdict::Good,
            format!("no time stamp is more than {most:.1} s ahead of the clock here"),
        ));
    }
    checks
}

/// The first of many names.
fn some(names: &[&str]) -> String {
    let mut shown = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        shown.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    shown
}
