//! From the instance names of a command line to instances: which beamline of `ioc.toml` has them.

use std::path::{Path, PathBuf};

use crate::services::error::unknown_instance;
use crate::services::repository::{Instance, Repository};
use crate::settings::{Beamline, Settings};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// What the alarm system is called on command lines.
const ALARM_SYSTEM: &str = "alarm";
/// Its chart in a project.
const ALARM_CHART: &str = "alarm/chart";

/// An instance and the beamline that it belongs to.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The beamline of `ioc.toml`.
    pub beamline: Beamline,
    /// The instance in the beamline's services repository.
    pub instance: Instance,
}

/// The instances that are meant by `names`, in that order without repetition; with `all`, every instance
/// of the beamline, or of every beamline when none is named.
///
/// # Errors
///
/// An unknown beamline or instance, with what was probably meant; a name that several beamlines have; a
/// services repository that is missing and could have the instance.
pub fn select(
    settings: &Settings,
    names: &[String],
    beamline: Option<&str>,
    all: bool,
) -> CommandResult<Vec<Selection>> {
    let beamlines: Vec<&Beamline> = match beamline {
        Some(name) => vec![settings.beamline(name)?],
        None => settings.beamlines.values().collect(),
    };
    if let Some(system) = alarm_system(settings, names, beamline) {
        return Ok(vec![system]);
    }
    if beamlines.is_empty() {
        return Err(no_beamlines(settings));
    }
    let opened: Vec<Opened<'_>> = beamlines
        .into_iter()
        .map(|beamline| Opened {
            beamline,
            repository: open(beamline),
        })
        .collect();
    if all {
        return every_instance(opened);
    }
    let mut selections: Vec<Selection> = Vec::new();
    for name in names {
        let selection = find(&opened, name)?;
        if !selections
            .iter()
            .any(|other| other.instance.name() == selection.instance.name())
        {
            selections.push(selection);
        }
    }
    Ok(selections)
}

/// The alarm system of the project, if it alone is meant: a chart beside the beamlines, which is only ever on a cluster. An
/// instance of that name goes before it.
fn alarm_system(
    settings: &Settings,
    names: &[String],
    beamline: Option<&str>,
) -> Option<Selection> {
    let chart = settings.project.as_ref()?.join(ALARM_CHART);
    let is_meant = names == [ALARM_SYSTEM] && beamline.is_none();
    if !is_meant || !chart.join("Chart.yaml").is_file() {
        return None;
    }
    let is_taken = settings.beamlines.values().any(|beamline| {
        open(beamline).is_ok_and(|repository| repository.instance(ALARM_SYSTEM).is_ok())
    });
    if is_taken {
        return None;
    }
    let repository = Repository::of_chart(ALARM_SYSTEM, shown(&chart));
    let instance = repository.instance(ALARM_SYSTEM).ok()?.clone();
    let beamline = Beamline {
        name: ALARM_SYSTEM.to_owned(),
        repository: chart,
        remote: None,
        version: None,
        charts: Vec::new(),
        backend: crate::project::Backend::Kubernetes,
        context: None,
        namespace: ALARM_SYSTEM.to_owned(),
    };
    Some(Selection { beamline, instance })
}

/// A folder as seen from where the user is, so that places in messages are short and can be opened.
pub fn shown(folder: &Path) -> PathBuf {
    let current = std::env::current_dir().unwrap_or_default();
    match folder.strip_prefix(&current) {
        Ok(inside) if inside.as_os_str().is_empty() => PathBuf::from("."),
        Ok(inside) => inside.to_path_buf(),
        Err(_) => folder.to_path_buf(),
    }
}

/// The services repository of a beamline: its working copy, or the version that stands in for it.
///
/// # Errors
///
/// There is none at its place, or it is on a server and no version was asked for.
pub fn open(beamline: &Beamline) -> CommandResult<Repository> {
    if !beamline.charts.is_empty() {
        let charts = beamline.charts.iter();
        return Ok(Repository::of_charts(charts.map(|chart| {
            (
                chart.instance.clone(),
                chart.folder.clone(),
                chart.version.clone(),
            )
        })));
    }
    if let Some(version) = &beamline.version {
        return Ok(Repository::open(&beamline.repository)?.at(version.clone()));
    }
    if let Some(remote) = &beamline.remote {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!(
                "beamline `{}` has no working copy on this machine, its services repository is `{}`",
                beamline.name,
                crate::source::mirror::without_credentials(remote)
            ),
        )
        .hint("name a version with `--version`; `ioc versions` lists them"));
    }
    Ok(Repository::open(&shown(&beamline.repository))?)
}

/// A beamline and its services repository, or why that cannot be read.
struct Opened<'a> {
    beamline: &'a Beamline,
    repository: CommandResult<Repository>,
}

fn every_instance(opened: Vec<Opened<'_>>) -> CommandResult<Vec<Selection>> {
    let mut selections = Vec::new();
    for Opened {
        beamline,
        repository,
    } in opened
    {
        selections.extend(repository?.instances().iter().map(|instance| Selection {
            beamline: beamline.clone(),
            instance: instance.clone(),
        }));
    }
    Ok(selections)
}

/// The one beamline that has the instance. A repository that cannot be read is an error only if none of the
/// others has it: not everybody has every beamline checked out.
fn find(opened: &[Opened<'_>], name: &str) -> CommandResult<Selection> {
    let mut found: Vec<Selection> = Vec::new();
    let mut known = Vec::new();
    let mut unreadable = Vec::new();
    for Opened {
        beamline,
        repository,
    } in opened
    {
        let repository = match repository {
            Ok(repository) => repository,
            Err(error) => {
                unreadable.push((&beamline.name, error));
                continue;
            }
        };
        match repository.instance(name) {
            Ok(instance) => found.push(Selection {
                beamline: (*beamline).clone(),
                instance: instance.clone(),
            }),
            Err(_unknown) => {
                known.extend(repository.instances().iter().map(|i| i.name().to_owned()));
            }
        }
    }
    if found.len() > 1 {
        let names: Vec<String> = found
            .iter()
            .map(|selection| format!("`{}`", selection.beamline.name))
            .collect();
        return Err(CommandError::new(
            ErrorKind::Conflict,
            format!(
                "the beamlines {} both have an instance `{name}`",
                names.join(" and ")
            ),
        )
        .hint(format!(
            "name one with `--beamline {}`",
            found[0].beamline.name
        )));
    }
    if let Some(selection) = found.pop() {
        return Ok(selection);
    }
    let mut error = CommandError::not_found(match opened {
        [only] => format!(
            "beamline `{}` has no IOC instance `{name}`{}",
            only.beamline.name,
            at_version(only.beamline)
        ),
        [first, ..] => format!(
            "no beamline has an IOC instance `{name}`{}",
            at_version(first.beamline)
        ),
        [] => format!("no beamline has an IOC instance `{name}`"),
    });
    if let ([(_, cause)], [only]) = (&unreadable[..], opened)
        && only.beamline.remote.is_some()
    {
        let error = CommandError::new(cause.kind(), cause.to_string());
        return Err(cause.hints().iter().fold(error, CommandError::hint));
    }
    if let [(beamline, cause), ..] = unreadable[..] {
        error = error.hint(format!(
            "the services repository of beamline `{beamline}` was not searched: {cause}"
        ));
    }
    Err(unknown_instance(error, name, &known))
}

/// ` at `2026.11.1``, where a version stands in for the working copy.
fn at_version(beamline: &Beamline) -> String {
    let version = beamline.version.as_ref();
    version.map_or_else(String::new, |version| format!(" at `{version}`"))
}

fn no_beamlines(settings: &Settings) -> CommandError {
    match &settings.project {
        Some(project) => CommandError::not_found(format!(
            "`{}` has no beamline",
            project.join(crate::project::FILE_NAME).display()
        ))
        .hint("`ioc new beamline NAME` writes one"),
        None => CommandError::not_found("there is no `ioc.toml` in this folder or above it")
            .hint("change into the project, or name it with `--project FOLDER`"),
    }
}
