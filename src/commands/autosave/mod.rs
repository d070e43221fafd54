//! `ioc autosave`: one file per verb, and how the files of an instance are reached.

mod copy;
mod ls;
mod restore;
mod show;

use std::path::{Path, PathBuf};

use crate::cli::autosave::{AutosaveVerb, WhereArgs};
use crate::commands::target::{self, Target};
use crate::commands::{Context, Outcome, acting};
use crate::fleet::autosave::{self, Entry, folder};
use crate::fleet::kubernetes::{Cluster, ClusterChoice, ClusterRelease, autosave as in_pod};
use crate::fleet::local::folders::Folders;
use crate::fleet::manifest;
use crate::fleet::overview::{self, Wanted};
use crate::fleet::release;
use crate::fleet::session::{Subject, node_name};
use crate::fleet::store::{Store, states};
use crate::fleet::workload::{self, Surroundings};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Runs a verb of `ioc autosave`.
///
/// # Errors
///
/// What the verb could not do.
pub(crate) async fn autosave(verb: AutosaveVerb, context: &Context) -> CommandResult<Outcome> {
    match verb {
        AutosaveVerb::Ls(args) => ls::ls(&args, context).await,
        AutosaveVerb::Show(args) => show::show(&args, context).await,
        AutosaveVerb::Copy(args) => copy::copy(&args, context).await,
        AutosaveVerb::Restore(args) => Box::pin(restore::restore(&args, context)).await,
    }
}

fn target(instance: &str, place: &WhereArgs, context: &Context) -> CommandResult<Target> {
    let names = [instance.to_owned()];
    target::of_instances(&names, &place.beamline, &place.cluster, context)
}

/// The files of an instance, or only the one of that name, if it is there.
async fn files(
    instance: &str,
    only: Option<&str>,
    place: &WhereArgs,
    context: &Context,
) -> CommandResult<Vec<Entry>> {
    match target(instance, place, context)? {
        Target::Cluster(choice) => from_pod(instance, only, place, &choice, context).await,
        Target::Local => {
            let (_, path) = local(instance, place, context)?;
            match only {
                Some(name) => Ok(vec![folder::read(&path, name)?]),
                None => folder::list(&path),
            }
        }
    }
}

/// The file of that name.
async fn file(
    instance: &str,
    name: &str,
    place: &WhereArgs,
    context: &Context,
) -> CommandResult<Entry> {
    plain(name)?;
    let missing =
        || CommandError::not_found(format!("`{instance}` has no saved settings `{name}`"));
    match files(instance, Some(name), place, context).await {
        Ok(mut files) => files.pop().ok_or_else(|| listed(missing(), instance)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(listed(error, instance)),
        Err(error) => Err(error),
    }
}

fn bytes(entry: &Entry) -> CommandResult<&[u8]> {
    entry.bytes.as_deref().ok_or_else(|| {
        CommandError::new(
            ErrorKind::Input,
            format!(
                "`{}` has {} bytes, too many for saved settings",
                entry.name, entry.size
            ),
        )
    })
}

fn plain(name: &str) -> CommandResult<()> {
    if autosave::is_plain_name(name) {
        return Ok(());
    }
    Err(CommandError::new(
        ErrorKind::Usage,
        format!("`{name}` is not the name of a file of saved settings"),
    )
    .hint("name it as `ioc autosave ls` does, without folders; a file of this machine is restored with `--from`"))
}

fn listed(error: CommandError, instance: &str) -> CommandError {
    error.hint(format!("`ioc autosave ls {instance}` lists them"))
}

async fn from_pod(
    instance: &str,
    only: Option<&str>,
    place: &WhereArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Vec<Entry>> {
    let cluster = target::connect(choice, context).await?;
    let folder = folder_in_pod(&cluster, instance, place).await?;
    in_pod::read(&cluster, instance, &folder, only).await
}

/// The folder of saved settings in the container: the one that is named, or that of the manifest.
async fn folder_in_pod(
    cluster: &Cluster,
    instance: &str,
    place: &WhereArgs,
) -> CommandResult<String> {
    if let Some(folder) = &place.folder {
        return Ok(folder.clone());
    }
    let release = ClusterRelease::open(cluster, instance).await?;
    let manifest = release.base().map_or("", |record| record.manifest.as_str());
    let resources = manifest::parse_any(manifest)
        .map_err(|finding| CommandError::from_diagnostic(ErrorKind::Input, *finding))?;
    autosave::mount_path(&resources, instance).ok_or_else(|| no_mount(instance))
}

fn no_mount(instance: &str) -> CommandError {
    CommandError::not_found(format!(
        "`{instance}` mounts nothing that is named after autosave"
    ))
    .hint("name the folder in the container with `--folder`")
}

/// The instance on this machine, and its folder of saved settings. Needs no engine, and no IOC that runs.
fn local(
    instance: &str,
    place: &WhereArgs,
    context: &Context,
) -> CommandResult<(Subject, PathBuf)> {
    let store = Store::new(&context.settings.state);
    let names = [instance.to_owned()];
    let found = overview::find(
        &store,
        Wanted {
            names: &names,
            all: false,
            namespace: acting::namespace(&place.beamline, context)?.as_deref(),
        },
    )?;
    let subject = found
        .into_iter()
        .next()
        .ok_or_else(|| CommandError::not_found(format!("`{instance}` is not deployed")))?;
    let release = store.release(&subject.namespace, &subject.instance)?;
    let history = release.history()?;
    let deployed = release::deployed(&states(&history));
    let record = history
        .iter()
        .find(|record| Some(release::record::revision(record)) == deployed)
        .or(history.last())
        .ok_or_else(|| CommandError::not_found(format!("`{instance}` is not deployed")))?;
    let resources = manifest::parse(&record.manifest)
        .map_err(|finding| CommandError::from_diagnostic(ErrorKind::Input, *finding))?;
    let surroundings = Surroundings {
        namespace: &subject.namespace,
        node: &node_name(),
    };
    let workloads =
        workload::read(&subject.instance, &resources, &surroundings).map_err(|refused| {
            let message = refused.to_string();
            CommandError::from_diagnostics(ErrorKind::Unsupported, message, refused.diagnostics)
        })?;
    let wanted = match &place.folder {
        Some(folder) => Some(folder.trim_end_matches('/').to_owned()),
        None => autosave::mount_path(&resources, &subject.instance),
    };
    let wanted = wanted.ok_or_else(|| no_mount(instance))?;
    let path = workloads
        .pods
        .iter()
        .flat_map(|pod| pod.containers.iter().map(move |container| (pod, container)))
        .flat_map(|(pod, container)| container.mounts.iter().map(move |mount| (pod, mount)))
        .find_map(|(pod, mount)| {
            let below = Path::new(&wanted).strip_prefix(&mount.path).ok()?;
            Some(Folders::new(&release, pod).source(pod, mount).join(below))
        })
        .ok_or_else(|| {
            CommandError::not_found(format!("`{instance}` mounts nothing at `{wanted}`"))
        })?;
    if !path.is_dir() {
        return Err(CommandError::not_found(format!(
            "`{instance}` has no saved settings yet: there is no folder `{}`",
            path.display()
        )));
    }
    Ok((subject, path))
}
