//! `ioc versions`: at which git tags instances changed.

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::cli::versions::VersionsArgs;
use crate::commands::{Context, Outcome};
use crate::settings::Beamline;
use crate::source::{FetchContext, FetchProgress};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::table::Table;
use crate::versions::name::Kind;
use crate::versions::{ChartVersion, History, InstanceVersion, Repository};

/// The newest versions of one instance.
#[derive(Debug, Serialize)]
struct Newest<'a> {
    instance: &'a str,
    /// The newest release; a pre-release only where there is no release.
    version: &'a str,
    kind: Kind,
    commit: &'a str,
    date: jiff::Timestamp,
    /// How many there are.
    versions: usize,
}

/// Lists versions.
///
/// # Errors
///
/// No git repository, a server that cannot be reached, an instance that no tag has.
pub(crate) async fn versions(args: &VersionsArgs, context: &Context) -> CommandResult<Outcome> {
    let fetch = FetchContext::new(&context.settings, context.cancel.clone());
    let task = context.printer.progress().task("versions");
    let steps = context.printer.progress().task("reading tags");
    let fetch = fetch.with_progress(move |progress| {
        if let FetchProgress::Step(step) = progress {
            steps.message(step);
        }
    });
    let history = find(args, context, &fetch).await?;
    task.finish();
    if history.is_shallow {
        context.printer.warning(
            "this clone leaves history out, and so may tags: `git fetch --unshallow --tags` fetches the rest",
        );
    }
    for tag in &history.not_commits {
        context
            .printer
            .detail(format!("the tag `{tag}` does not point to a commit"));
    }
    if !history.charts.is_empty() {
        return charts(&history, context);
    }
    match &args.instance {
        Some(_) => one(&history, context),
        None => all(&history, context),
    }
}

/// The history of the repository that has the instance, or of the only one.
async fn find(
    args: &VersionsArgs,
    context: &Context,
    fetch: &FetchContext,
) -> CommandResult<History> {
    let instance = args.instance.as_deref();
    if let Some(repository) = &args.repository {
        return Repository::new(repository)?
            .history(instance, &context.settings, fetch)
            .await;
    }
    let settings = &context.settings;
    let beamlines: Vec<&Beamline> = match &args.beamline.beamline {
        Some(name) => vec![settings.beamline(name)?],
        None => settings.beamlines.values().collect(),
    };
    if let [only] = beamlines[..] {
        return Repository::of_beamline(only)?
            .history(instance, &context.settings, fetch)
            .await;
    }
    if beamlines.is_empty() {
        return Err(CommandError::not_found(
            "there is no beamline: neither `ioc.toml` nor `--repository` names a services repository",
        )
        .hint("`ioc versions INSTANCE --repository FOLDER|URL`"));
    }
    if instance.is_none() {
        let mut all = History::default();
        for beamline in beamlines {
            let history = Repository::of_beamline(beamline)?
                .history(None, settings, fetch)
                .await?;
            all.instances.extend(history.instances);
            all.not_commits.extend(history.not_commits);
            all.is_shallow |= history.is_shallow;
        }
        return Ok(all);
    }
    let mut found: Option<(&Beamline, History)> = None;
    let mut first_error = None;
    for beamline in beamlines {
        match Repository::of_beamline(beamline)?
            .history(instance, &context.settings, fetch)
            .await
        {
            Ok(history) => {
                if let Some((other, _)) = &found {
                    return Err(CommandError::new(
                        ErrorKind::Conflict,
                        format!(
                            "the beamlines `{}` and `{}` both have an instance `{}`",
                            other.name,
                            beamline.name,
                            instance.unwrap_or_default()
                        ),
                    )
                    .hint(format!("name one with `--beamline {}`", other.name)));
                }
                found = Some((beamline, history));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            // not everybody has every beamline at hand
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    match (found, first_error) {
        (Some((_, history)), _) => Ok(history),
        (None, Some(error)) => Err(error),
        (None, None) => Err(CommandError::not_found("there is no beamline")),
    }
}

fn one(history: &History, context: &Context) -> CommandResult<Outcome> {
    let versions: Vec<&InstanceVersion> = history.instances.values().flatten().collect();
    context.printer.emit(&versions, |versions| {
        let mut table = Table::new(["VERSION", "DATE", "COMMIT", "CHART", "CHANGED"]);
        for version in versions {
            table.row([
                named(version),
                date(version.date),
                version.commit.get(..10).unwrap_or_default().to_owned(),
                chart(version),
                changed(version),
            ]);
        }
        table
    })?;
    Ok(Outcome::Success)
}

/// What a registry has: versions and where they are; when and why something changed only git tells.
fn charts(history: &History, context: &Context) -> CommandResult<Outcome> {
    let versions: Vec<&ChartVersion> = history.charts.values().flatten().collect();
    context.printer.emit(&versions, |versions| {
        let mut table = Table::new(["VERSION", "CHART"]);
        for version in versions {
            table.row([version.version.clone(), version.chart.clone()]);
        }
        table
    })?;
    Ok(Outcome::Success)
}

fn all(history: &History, context: &Context) -> CommandResult<Outcome> {
    let newest: Vec<Newest<'_>> = history
        .instances
        .iter()
        .filter_map(|(instance, versions)| {
            let newest = versions.first()?;
            Some(Newest {
                instance,
                version: &newest.version,
                kind: newest.kind,
                commit: &newest.commit,
                date: newest.date,
                versions: versions.len(),
            })
        })
        .collect();
    context.printer.emit(&newest, |newest| {
        let mut table =
            Table::new(["INSTANCE", "NEWEST", "DATE", "COMMIT", "VERSIONS"]).align_right(4);
        for one in newest {
            table.row([
                one.instance.to_owned(),
                one.version.to_owned(),
                date(one.date),
                one.commit.get(..10).unwrap_or_default().to_owned(),
                one.versions.to_string(),
            ]);
        }
        table
    })?;
    Ok(Outcome::Success)
}

fn named(version: &InstanceVersion) -> String {
    if version.also.is_empty() {
        return version.version.clone();
    }
    format!("{} = {}", version.version, version.also.join(" = "))
}

fn date(time: jiff::Timestamp) -> String {
    let local = time.to_zoned(TimeZone::system());
    local.strftime("%Y-%m-%d").to_string()
}

/// The version of the chart, or what the tag would have to be.
fn chart(version: &InstanceVersion) -> String {
    match (&version.chart_version, &version.suggestion) {
        (Some(chart), _) => chart.clone(),
        (None, Some(suggestion)) => format!("no, `{suggestion}` could be"),
        (None, None) => "no".to_owned(),
    }
}

fn changed(version: &InstanceVersion) -> String {
    if version.is_new {
        return "new".to_owned();
    }
    match &version.changed[..] {
        [] => String::new(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}
