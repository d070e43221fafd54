//! How the process before the present one ended.
//!
//! Docker forgets the exit code of a process as soon as it starts the next one. Two places remember it for a
//! while: the engine's events, which are few, and the container's log, into which the console program of our
//! images writes it. What neither remembers stays unknown.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptions;
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};

use crate::engine::Engine;
use crate::fleet::containers::InstanceContainer;
use crate::fleet::health::{Facts, Process};
use crate::fleet::logs::stream::{Window, lines};

/// What the console program writes when the IOC has ended, before the exit code.
const CONSOLE_SAYS: &str = "ioc-console: the IOC ended with exit code ";
/// How far apart the end of the process and what was written of it may be.
const AROUND: SignedDuration = SignedDuration::from_secs(2);
/// An event this near is the one: another end of the same container, such as that of a restart a moment before, is
/// farther away.
const CERTAIN: SignedDuration = SignedDuration::from_millis(200);
/// Longest that the engine may take to look.
const PATIENCE: Duration = Duration::from_secs(1);

/// Fills in the exit codes of containers that run again, where they can be found. `facts` are those of
/// `containers`, in their order.
///
/// Never fails: what cannot be found out stays unknown, and is shown as that.
pub async fn find(
    engine: &Engine,
    containers: &[InstanceContainer],
    facts: &mut [Option<Facts>],
    now: Timestamp,
) {
    let wanted: BTreeMap<&str, Timestamp> = containers
        .iter()
        .zip(facts.iter())
        .filter_map(|(container, facts)| {
            Some((container.id.as_str(), ended_before(facts.as_ref()?)?))
        })
        .collect();
    if wanted.is_empty() {
        return;
    }
    let ends = remembered(engine, &wanted, now).await;
    for (container, facts) in containers.iter().zip(facts.iter_mut()) {
        let (Some(facts), Some(ended)) = (facts, wanted.get(container.id.as_str())) else {
            continue;
        };
        facts.exit_code = match ends.get(&container.id) {
            Some(code) => Some(*code),
            None => tokio::time::timeout(PATIENCE, said(engine, container, *ended))
                .await
                .unwrap_or(None),
        };
    }
}

/// The same for one container.
pub async fn complete(engine: &Engine, container: &InstanceContainer, facts: Facts) -> Facts {
    let mut found = [Some(facts.clone())];
    let now = Timestamp::now();
    find(engine, std::slice::from_ref(container), &mut found, now).await;
    let [found] = found;
    found.unwrap_or(facts)
}

/// When the process before the present one ended.
fn ended_before(facts: &Facts) -> Option<Timestamp> {
    matches!(facts.process, Process::Running | Process::Paused)
        .then_some(facts.finished)
        .flatten()
}

/// Ends of containers that were looked for, each with how far it is from the time that was looked for.
#[derive(Debug, Default)]
struct Ends(BTreeMap<String, (SignedDuration, i64)>);

impl Ends {
    /// Takes an end over if it is near and none nearer is known.
    fn add(&mut self, container: String, time: Timestamp, code: i64, ended: Timestamp) {
        let distance = time.duration_since(ended).abs();
        if distance > AROUND {
            return;
        }
        let known = self.0.get(&container);
        if known.is_none_or(|(nearest, _code)| distance <= *nearest) {
            self.0.insert(container, (distance, code));
        }
    }

    /// Whether nothing better can come for any of so many containers.
    fn are_certain(&self, wanted: usize) -> bool {
        self.0.len() == wanted
            && self
                .0
                .values()
                .all(|(distance, _code)| *distance <= CERTAIN)
    }

    fn codes(self) -> BTreeMap<String, i64> {
        self.0
            .into_iter()
            .map(|(container, (_distance, code))| (container, code))
            .collect()
    }
}

/// What the engine's events say of the ends of containers at the given times.
async fn remembered(
    engine: &Engine,
    wanted: &BTreeMap<&str, Timestamp>,
    now: Timestamp,
) -> BTreeMap<String, i64> {
    let since = wanted.values().min().copied().unwrap_or(now);
    let options = EventsOptions {
        since: Some(
            since
                .checked_sub(AROUND)
                .unwrap_or(since)
                .as_second()
                .to_string(),
        ),
        // Without an end the engine goes on telling. Podman (4.3) with one leaves out most of what was.
        until: (!engine.is_podman())
            .then(|| format!("{}.{:09}", now.as_second(), now.subsec_nanosecond())),
        filters: Some(HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            // Docker's name and Podman's
            (
                "event".to_owned(),
                vec!["die".to_owned(), "died".to_owned()],
            ),
        ])),
    };
    let mut ends = Ends::default();
    let mut events = engine.docker().events(Some(options));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !ends.are_certain(wanted.len()) {
        let Ok(Some(Ok(event))) = tokio::time::timeout_at(deadline, events.next()).await else {
            break;
        };
        if let Some((container, time, code)) = end(event)
            && let Some(ended) = wanted.get(container.as_str())
        {
            ends.add(container, time, code, *ended);
        }
    }
    ends.codes()
}

/// Container, time and exit code of an event. Podman names the code otherwise.
fn end(event: EventMessage) -> Option<(String, Timestamp, i64)> {
    let nanoseconds = event.time_nano?;
    let actor = event.actor?;
    let attributes = actor.attributes?;
    let code = attributes
        .get("exitCode")
        .or_else(|| attributes.get("containerExitCode"))?;
    Some((
        actor.id?,
        Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()?,
        code.parse().ok()?,
    ))
}

/// What the console program wrote about it.
async fn said(engine: &Engine, container: &InstanceContainer, ended: Timestamp) -> Option<i64> {
    let window = Window {
        since: ended.checked_sub(AROUND).ok(),
        until: ended.checked_add(AROUND).ok(),
        tail: None,
    };
    lines(engine, container, window, false)
        .filter_map(|line| async move { code_in(&line.ok()?.text) })
        .fold(None, |_before, code| async move { Some(code) })
        .await
}

fn code_in(line: &str) -> Option<i64> {
    line.trim().strip_prefix(CONSOLE_SAYS)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_both_engines_are_read() {
        for name in ["exitCode", "containerExitCode"] {
            let text = format!(
                r#"{{"Type":"container","Action":"die","Actor":{{"ID":"abc","Attributes":{{"{name}":"139"}}}},"time":1,"timeNano":1000000001}}"#
            );
            let (container, time, code) = end(serde_json::from_str(&text).unwrap()).unwrap();
            assert_eq!((container.as_str(), code), ("abc", 139));
            assert_eq!(time.as_nanosecond(), 1_000_000_001);
        }
    }

    #[test]
    fn the_nearest_end_counts_in_any_order() {
        let at = |milliseconds| Timestamp::from_millisecond(milliseconds).unwrap();
        let ended = at(10_000);
        // a restart that was asked for a second before the crash
        for order in [[(9_000, 0), (10_010, 137)], [(10_010, 137), (9_000, 0)]] {
            let mut ends = Ends::default();
            for (time, code) in order {
                ends.add("abc".to_owned(), at(time), code, ended);
            }
            assert!(ends.are_certain(1));
            assert_eq!(ends.codes()["abc"], 137);
        }
        let mut ends = Ends::default();
        ends.add("abc".to_owned(), at(9_000), 0, ended);
        assert!(!ends.are_certain(1));
        ends.add("far".to_owned(), at(1_000), 0, ended);
        assert_eq!(ends.codes().len(), 1);
    }

    #[test]
    fn only_the_consoles_own_line_counts() {
        assert_eq!(
            code_in("ioc-console: the IOC ended with exit code 3"),
            Some(3)
        );
        assert_eq!(
            code_in("echo ioc-console: the IOC ended with exit code 3"),
            None
        );
        assert_eq!(code_in("ioc-console: the IOC ended with exit code x"), None);
    }
}
