//! All instances at a glance: releases of the state folder and containers of the engine, put side by side.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::fleet::containers::{self, InstanceContainer};
use crate::fleet::health::{self, Check, Facts, Intent, Process, State};
use crate::fleet::local::{check_now, last_exit, observe};
use crate::fleet::release::record::{self, BEAMLINE, annotation};
use crate::fleet::release::{Record, Status};
use crate::fleet::session::{Fleet, Subject};
use crate::fleet::store::{Release, Store};
use crate::ui::error::CommandResult;

/// One instance. The form of this in JSON does not change; fields may be added.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Name of the instance.
    pub name: String,
    /// Beamline in `ioc.toml`.
    pub beamline: String,
    /// Namespace of the release.
    pub namespace: String,
    /// How it is.
    pub state: State,
    /// Result of its health check.
    pub health: Option<Check>,
    /// How often the engine has started it again.
    pub restarts: u32,
    /// Version of its configuration: commit of the services repository.
    pub version: String,
    /// Revision that is deployed.
    pub revision: Option<u32>,
    /// State of its newest revision.
    pub release_status: Status,
    /// Image of the IOC.
    pub image: String,
    /// Digest of the image that runs, where the backend tells it.
    pub image_digest: Option<String>,
    /// Machine that it runs on.
    pub node: String,
    /// Seconds since it was started; `None` when it does not run.
    pub uptime_seconds: Option<u64>,
    /// How its process ended last.
    pub last_exit: Option<String>,
    /// Who stopped it, when that was on purpose.
    pub stopped_by: Option<String>,
    /// Why it is in this state, where the state alone does not tell.
    pub reason: Option<String>,
    /// What differs from the release, by field.
    pub drift: Vec<String>,
    /// What somebody should know.
    pub note: Option<String>,
}

/// Releases of the store that are meant: all, or those with one of `names`, of all namespaces or of one.
///
/// # Errors
///
/// A state folder that cannot be read.
pub fn releases(
    store: &Store,
    names: &[String],
    namespace: Option<&str>,
) -> CommandResult<Vec<Release>> {
    let mut releases = store.releases()?;
    releases.retain(|release| {
        (names.is_empty() || names.iter().any(|name| name == release.name()))
            && namespace.is_none_or(|wanted| wanted == release.namespace())
    });
    Ok(releases)
}

/// The rows of these releases, in their order. Records that cannot be read become warnings.
///
/// # Errors
///
/// The engine's refusal.
pub async fn rows(
    fleet: &Fleet,
    releases: &[Release],
    now: Timestamp,
) -> CommandResult<(Vec<Row>, Vec<String>)> {
    let all = containers::list(&fleet.engine).await?;
    let mut groups: BTreeMap<(&str, &str), Vec<&InstanceContainer>> = BTreeMap::new();
    for container in &all {
        groups
            .entry((&container.namespace, &container.instance))
            .or_default()
            .push(container);
    }
    let wanted: Vec<InstanceContainer> = releases
        .iter()
        .filter_map(|release| groups.get(&(release.namespace(), release.name())))
        .flatten()
        .map(|container| (*container).clone())
        .collect();
    let mut facts = observe::facts_of(&fleet.engine, &wanted).await?;
    check_now::fill(&fleet.engine, &wanted, &mut facts, now).await;
    last_exit::find(&fleet.engine, &wanted, &mut facts, now).await;
    let facts: BTreeMap<&str, Facts> = wanted
        .iter()
        .map(|container| container.id.as_str())
        .zip(facts)
        .filter_map(|(id, facts)| Some((id, facts?)))
        .collect();
    let mut rows = Vec::new();
    let mut warnings = Vec::new();
    for release in releases {
        let own = groups
            .get(&(release.namespace(), release.name()))
            .map(Vec::as_slice)
            .unwrap_or_default();
        match row(fleet, release, own, &facts, now) {
            Ok(Some(row)) => rows.push(row),
            Ok(None) => {}
            Err(error) => {
                let causes = error.causes().join(": ");
                warnings.push(format!("`{}`: {error}: {causes}", release.name()));
            }
        }
    }
    Ok((rows, warnings))
}

fn row(
    fleet: &Fleet,
    release: &Release,
    own: &[&InstanceContainer],
    facts: &BTreeMap<&str, Facts>,
    now: Timestamp,
) -> CommandResult<Option<Row>> {
    let Some((newest, deployed)) = release.newest_and_deployed()? else {
        return Ok(None);
    };
    let shown = deployed.as_ref().unwrap_or(&newest);
    let stopped = release.intent()?.stopped;
    let mut note = pending_note(&newest);
    let intent = if stopped.is_some() || is_disabled(shown) {
        Intent::Stopped
    } else {
        Intent::Run
    };
    let states: Vec<State> = own
        .iter()
        .map(|container| health::container(facts.get(container.id.as_str()), intent, now))
        .collect();
    let state = match states.as_slice() {
        [] => health::container(None, intent, now),
        states => health::instance(states.iter().copied()),
    };
    let state = match state {
        State::Running if record::is_unfinished(newest.info.status) => State::Starting,
        other => other,
    };
    if stopped.is_some() && own.iter().any(|container| container.is_kept_running) {
        note = Some("stopped on purpose, but something has started it".to_owned());
    }
    let main = own
        .iter()
        .find(|container| container.is_ioc)
        .or_else(|| own.first());
    let main_facts = main.and_then(|container| facts.get(container.id.as_str()));
    Ok(Some(Row {
        name: release.name().to_owned(),
        beamline: annotation(shown, BEAMLINE).unwrap_or_default().to_owned(),
        namespace: release.namespace().to_owned(),
        state,
        // the engine keeps the last answer of a process that has ended
        health: main_facts
            .filter(|facts| facts.process == Process::Running)
            .and_then(|facts| facts.check),
        restarts: own
            .iter()
            .filter_map(|container| facts.get(container.id.as_str()))
            .map(|facts| facts.restarts)
            .sum(),
        version: record::app_version(shown).to_owned(),
        revision: deployed.as_ref().map(record::revision),
        release_status: newest.info.status,
        image: main
            .map(|container| container.image.clone())
            .unwrap_or_default(),
        image_digest: main
            .map(|container| container.image_id.clone())
            .filter(|digest| !digest.is_empty()),
        node: fleet.node.clone(),
        uptime_seconds: main_facts
            .and_then(|facts| health::uptime(facts, now))
            .map(|time| time.as_secs()),
        last_exit: main_facts.and_then(health::last_exit),
        stopped_by: stopped.map(|stopped| stopped.by),
        reason: None,
        drift: Vec::new(),
        note,
    }))
}

/// Whether the chart itself says that nothing runs. Looked for in the text: reading every manifest would take
/// longer than all the rest.
fn is_disabled(record: &Record) -> bool {
    record
        .manifest
        .lines()
        .any(|line| line.trim_end() == "  replicas: 0")
}

/// What a newest revision that is not deployed means.
fn pending_note(newest: &Record) -> Option<String> {
    let revision = record::revision(newest);
    match newest.info.status {
        Status::Failed => Some(format!(
            "revision {revision} failed: {}",
            newest.info.description
        )),
        status if record::is_unfinished(status) => Some(format!(
            "revision {revision} is {status}: a command works on it, or was interrupted; the next one repairs it"
        )),
        _ => None,
    }
}

/// The instances that a command line means, among those that are deployed.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Names; ignored with `all`.
    pub names: &'a [String],
    /// Every instance.
    pub all: bool,
    /// Namespace, when a beamline was named.
    pub namespace: Option<&'a str>,
}

/// Finds deployed instances by name.
///
/// # Errors
///
/// Not found, with the nearest name; a conflict when two namespaces have the name.
pub fn find(store: &Store, wanted: Wanted<'_>) -> CommandResult<Vec<Subject>> {
    use crate::diagnostic::nearest;
    use crate::ui::error::{CommandError, ErrorKind};
    let releases = releases(store, &[], wanted.namespace)?;
    let subject = |release: &Release| -> CommandResult<Subject> {
        let beamline = release
            .newest_and_deployed()?
            .and_then(|(newest, _)| annotation(&newest, BEAMLINE).map(str::to_owned));
        Ok(Subject {
            instance: release.name().to_owned(),
            namespace: release.namespace().to_owned(),
            beamline: beamline.unwrap_or_else(|| release.namespace().to_owned()),
        })
    };
    if wanted.all {
        return releases.iter().map(subject).collect();
    }
    let mut found: Vec<Subject> = Vec::new();
    for name in wanted.names {
        let lower = name.to_lowercase();
        let matching: Vec<&Release> = releases
            .iter()
            .filter(|release| release.name() == lower)
            .collect();
        match matching.as_slice() {
            [] => {
                let error =
                    CommandError::not_found(format!("`{name}` is not deployed on this machine"));
                let known = releases.iter().map(Release::name);
                return Err(match nearest(&lower, known) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint("`ioc ps` lists what is"),
                });
            }
            [one] => {
                let subject = subject(one)?;
                if !found.contains(&subject) {
                    found.push(subject);
                }
            }
            [one, other, ..] => {
                return Err(CommandError::new(
                    ErrorKind::Conflict,
                    format!(
                        "`{name}` is deployed in namespace `{}` and in `{}`",
                        one.namespace(),
                        other.namespace()
                    ),
                )
                .hint("say which beamline with `--beamline NAME`"));
            }
        }
    }
    Ok(found)
}
