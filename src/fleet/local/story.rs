//! The story of an instance on this machine.
//!
//! The engine keeps no events; what happened is told by restarts, the last exit and the last lines.

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::InspectContainerOptions;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::fleet::containers::{self, InstanceContainer, refused};
use crate::fleet::health;
use crate::fleet::local::observe;
use crate::fleet::logs::stream::{self, Window};
use crate::fleet::manifest;
use crate::fleet::overview;
use crate::fleet::release::Record;
use crate::fleet::release::record;
use crate::fleet::session::{Fleet, Subject};
use crate::fleet::story::{self, Configuration, Container, Machine, Release, Story, Volume};
use crate::image::versions::{ModuleVersion, VERSIONS_FILE};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Lines of a crashed container's log that are shown.
const LAST_LINES: usize = 10;
/// Label and annotation of a pod with the hash of its configuration.
const CONFIG_HASH: [&str; 2] = [
    "/spec/template/metadata/labels/configHash",
    "/spec/template/metadata/annotations/configHash",
];

/// Tells the story.
///
/// # Errors
///
/// The engine's refusal, or records that cannot be read.
pub async fn tell(fleet: &Fleet, subject: &Subject) -> CommandResult<Story> {
    let release = fleet.store.release(&subject.namespace, &subject.instance)?;
    let history = release.history()?;
    let releases = overview::releases(
        &fleet.store,
        std::slice::from_ref(&subject.instance),
        Some(&subject.namespace),
    )?;
    let (rows, mut unseen) = overview::rows(fleet, &releases, Timestamp::now()).await?;
    let row = rows.into_iter().next().ok_or_else(|| {
        CommandError::new(
            ErrorKind::NotFound,
            format!("`{}` is not deployed on this machine", subject.instance),
        )
    })?;
    let shown = row
        .revision
        .and_then(|revision| {
            history
                .iter()
                .find(|record| record::revision(record) == revision)
        })
        .or(history.last());
    let own: Vec<InstanceContainer> = containers::list(&fleet.engine)
        .await?
        .into_iter()
        .filter(|container| {
            container.instance == subject.instance && container.namespace == subject.namespace
        })
        .collect();
    let mut told = Vec::new();
    let mut volumes = Vec::new();
    let mut host_network = false;
    for container in &own {
        let facts = inspect(fleet, container).await?;
        host_network |= facts
            .host_config
            .as_ref()
            .and_then(|config| config.network_mode.as_deref())
            == Some("host");
        for mount in facts.mounts.iter().flatten() {
            let source = mount.source.clone().unwrap_or_default();
            let at = mount.destination.clone().unwrap_or_default();
            add_volume(&mut volumes, &source, at);
        }
        told.push(one(fleet, container, &facts).await?);
    }
    let modules = match own.iter().find(|container| container.is_ioc) {
        Some(container) => modules(fleet, container, &mut unseen).await,
        None => Vec::new(),
    };
    let configuration = shown.and_then(|record| configuration(record, &own));
    let summary = story::summary(&row);
    let next = story::next(&row, configuration.as_ref());
    Ok(Story {
        summary,
        next,
        release: shown.map(|record| released(record, &history)),
        containers: told,
        volumes,
        modules,
        configuration,
        machine: Some(Machine {
            name: fleet.node.clone(),
            is_ready: true,
            conditions: Vec::new(),
            host_network,
            addresses: Vec::new(),
        }),
        events: Vec::new(),
        unseen,
        row,
    })
}

async fn inspect(
    fleet: &Fleet,
    container: &InstanceContainer,
) -> CommandResult<ContainerInspectResponse> {
    fleet
        .engine
        .docker()
        .inspect_container(&container.id, None::<InspectContainerOptions>)
        .await
        .map_err(|error| refused(error, "failed to inspect a container"))
}

/// What the image of the IOC says of its support modules.
async fn modules(
    fleet: &Fleet,
    container: &InstanceContainer,
    unseen: &mut Vec<String>,
) -> Vec<ModuleVersion> {
    let file = fleet
        .engine
        .file_of_container(&container.id, VERSIONS_FILE)
        .await;
    let read = file.map(|text| text.map(|text| ModuleVersion::parse(&text)));
    match read {
        Ok(None) => Vec::new(),
        Ok(Some(Ok(modules))) => modules,
        Ok(Some(Err(error))) => {
            unseen.push(format!("support modules: {VERSIONS_FILE}: {error}"));
            Vec::new()
        }
        Err(error) => {
            unseen.push(format!("support modules: {error}"));
            Vec::new()
        }
    }
}

/// A folder that several containers mount is one volume.
fn add_volume(volumes: &mut Vec<Volume>, source: &str, at: String) {
    if let Some(known) = volumes.iter_mut().find(|volume| volume.source == source) {
        if !known.mounted_at.contains(&at) {
            known.mounted_at.push(at);
        }
        return;
    }
    let name = source.rsplit('/').next().unwrap_or(source).to_owned();
    volumes.push(Volume {
        name,
        source: source.to_owned(),
        state: String::new(),
        mounted_at: vec![at],
    });
}

async fn one(
    fleet: &Fleet,
    container: &InstanceContainer,
    inspected: &ContainerInspectResponse,
) -> CommandResult<Container> {
    let facts = observe::facts(&fleet.engine, &container.id)
        .await?
        .unwrap_or_default();
    let has_crashed = facts.exit_code.is_some_and(|code| code != 0) && facts.finished.is_some();
    let mut last_lines = Vec::new();
    if has_crashed {
        let window = Window {
            until: stream::before_last_start(&fleet.engine, container).await?,
            tail: None,
            ..Window::default()
        };
        let mut lines = stream::lines(&fleet.engine, container, window, false);
        while let Some(line) = lines.next().await {
            if last_lines.len() == LAST_LINES {
                last_lines.remove(0);
            }
            last_lines.push(line?.text);
        }
    }
    let check = inspected
        .config
        .as_ref()
        .and_then(|config| config.healthcheck.as_ref())
        .and_then(|check| check.test.as_ref())
        .map(|test| test.join(" "));
    Ok(Container {
        name: container.container.clone(),
        is_ioc: container.is_ioc,
        image: container.image.clone(),
        image_digest: Some(container.image_id.clone()).filter(|digest| !digest.is_empty()),
        state: if container.is_running {
            "running".to_owned()
        } else {
            "not running".to_owned()
        },
        since: facts.started.filter(|_| container.is_running).map(local),
        restarts: facts.restarts,
        last_exit: health::last_exit(&facts).map(|exit| match facts.finished {
            Some(when) => format!("{exit} at {}", local(when)),
            None => exit,
        }),
        last_lines,
        probes: check
            .map(|check| {
                let result = facts.check.map_or("no result", health::Check::name);
                format!("health: {check}; {result}")
            })
            .into_iter()
            .collect(),
        ports: container.ports.clone(),
    })
}

fn released(record: &Record, history: &[Record]) -> Release {
    Release {
        name: record.name.clone(),
        revision: record::revision(record),
        status: record.info.status.to_string(),
        chart: record.chart_name_version(),
        version: record::app_version(record).to_owned(),
        updated: record
            .info
            .last_deployed
            .as_ref()
            .map(|time| local(time.timestamp()))
            .unwrap_or_default(),
        by: record::annotation(record, record::DEPLOYED_BY).map(str::to_owned),
        description: record.info.description.clone(),
        revisions: history
            .iter()
            .map(|record| format!("{} {}", record::revision(record), record.info.status))
            .collect(),
    }
}

/// The configuration of the release. A pod is made anew whenever its template changes, so that the one of the deployed
/// revision has it.
fn configuration(record: &Record, own: &[InstanceContainer]) -> Option<Configuration> {
    let resources = manifest::parse(&record.manifest).ok()?;
    let released = resources.iter().find_map(|resource| {
        CONFIG_HASH
            .iter()
            .find_map(|path| resource.body.pointer(path)?.as_str())
    })?;
    let revision = own.iter().find_map(|container| container.revision);
    let is_current = revision.is_none_or(|revision| revision <= record::revision(record));
    Some(Configuration {
        released: released.to_owned(),
        running: (is_current && !own.is_empty()).then(|| released.to_owned()),
        is_current,
    })
}

fn local(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}
