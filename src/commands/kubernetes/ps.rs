//! `ioc ps` on clusters: what runs in the namespaces of clusters, beside what runs on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use jiff::Timestamp;

use crate::cli::ps::PsArgs;
use crate::commands::instance_table::{Digests, remarks, table};
use crate::commands::ps as local;
use crate::commands::target::{self, Target};
use crate::commands::{Context, Outcome};
use crate::diagnostic::nearest;
use crate::fleet::kubernetes::look::list::Scope;
use crate::fleet::kubernetes::look::watch::Watch;
use crate::fleet::kubernetes::{Cluster, ClusterChoice, look};
use crate::fleet::overview::Row;
use crate::fleet::session::Fleet;
use crate::services::Repository;
use crate::ui::error::{CommandError, CommandResult};

/// How long the list stays when nothing happens: uptimes grow.
const REFRESH: Duration = Duration::from_secs(10);

/// Where is looked.
///
/// # Errors
///
/// An unknown beamline.
pub(crate) fn targets(args: &PsArgs, context: &Context) -> CommandResult<Vec<Target>> {
    if !args.all_namespaces {
        return target::of_list(&args.instances, &args.beamline, &args.cluster, context);
    }
    let choice = |context_name: Option<String>| {
        Target::Cluster(ClusterChoice {
            kubeconfig: args.cluster.kubeconfig.clone(),
            context: context_name,
            namespace: None,
            beamline: None,
        })
    };
    if args.cluster.is_given() {
        return Ok(vec![choice(args.cluster.context.clone())]);
    }
    // the clusters of the project, each once
    let mut targets: Vec<Target> = Vec::new();
    for beamline in context.settings.beamlines.values() {
        if beamline.backend == crate::project::Backend::Kubernetes {
            let target = choice(beamline.context.clone());
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    Ok(if targets.is_empty() {
        vec![choice(None)]
    } else {
        targets
    })
}

/// A namespace, or all, of a cluster that answers.
struct Place {
    cluster: Cluster,
    is_all: bool,
    /// Instances of the services repositories that are deployed there, and those that were named.
    known: BTreeSet<String>,
    /// Beamlines by namespace.
    beamlines: BTreeMap<String, String>,
}

impl Place {
    fn scope(&self) -> Scope<'_> {
        if self.is_all {
            Scope::All
        } else {
            Scope::Namespace(&self.cluster.namespace)
        }
    }

    /// Rows of those that were asked for, with their beamline.
    fn finish(&self, mut rows: Vec<Row>, names: &[String]) -> Vec<Row> {
        rows.retain(|row| names.is_empty() || names.contains(&row.name));
        for row in &mut rows {
            if row.beamline.is_empty()
                && let Some(beamline) = self.beamlines.get(&row.namespace)
            {
                row.beamline.clone_from(beamline);
            }
        }
        rows
    }
}

/// Lists instances.
///
/// # Errors
///
/// A cluster that does not answer or does not let us, after the rows of the others; an instance that is not there.
pub(crate) async fn ps(
    args: &PsArgs,
    targets: &[Target],
    context: &Context,
) -> CommandResult<Outcome> {
    if args.watch {
        local::require_table(context)?;
    }
    let names: Vec<String> = args
        .instances
        .iter()
        .map(|name| name.to_lowercase())
        .collect();
    let choices = targets.iter().filter_map(Target::cluster);
    let mut errors: Vec<CommandError> = Vec::new();
    let mut places: Vec<Place> = Vec::new();
    for found in join_all(choices.map(|choice| place(args, choice, &names, context))).await {
        match found {
            Ok(place) => places.push(place),
            Err(error) if args.watch => return Err(error),
            Err(error) => errors.push(error),
        }
    }
    if args.watch {
        if targets.contains(&Target::Local) {
            context.printer.warning(
                "instances of this machine are not in this list; `ioc ps -w -b BEAMLINE` shows them",
            );
        }
        return watch(&places, &names, context).await;
    }
    let looks = places.iter().map(|place| {
        look::rows(
            &place.cluster,
            place.scope(),
            &place.known,
            Timestamp::now(),
        )
    });
    let mut rows: Vec<Row> = Vec::new();
    for (place, looked) in places.iter().zip(join_all(looks).await) {
        let (found, warnings) = match looked {
            Ok(looked) => looked,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        for warning in warnings {
            context.printer.warning(warning);
        }
        if found.is_empty()
            && !place.is_all
            && let Some(error) = place.cluster.missing_namespace().await
        {
            errors.push(error);
            continue;
        }
        rows.extend(place.finish(found, &names));
    }
    if targets.contains(&Target::Local) {
        rows.extend(of_this_machine(args, context).await);
    }
    let mut errors = errors.into_iter();
    let first = errors.next();
    for error in errors {
        context.printer.error(&error);
    }
    if rows.is_empty()
        && let Some(error) = first
    {
        return Err(error);
    }
    if first.is_none()
        && let Some(unknown) = names
            .iter()
            .find(|name| rows.iter().all(|row| row.name != **name))
    {
        return Err(unknown_instance(unknown, &places).await);
    }
    rows.sort_by(|left, right| (&left.name, &left.namespace).cmp(&(&right.name, &right.namespace)));
    context
        .printer
        .emit(&rows, |rows| table(rows, Digests::Shown))?;
    for line in remarks(&rows) {
        context.printer.warning(line);
    }
    if rows.is_empty() {
        let places: Vec<String> = places.iter().map(|place| place.scope().name()).collect();
        context.printer.info(format!(
            "no IOC instance is deployed in {}",
            places.join(", ")
        ));
    }
    match first {
        Some(error) => Err(error.hint(
            "the list has what is elsewhere; `ioc ps -b BEAMLINE` asks for one beamline alone",
        )),
        None => Ok(Outcome::Success),
    }
}

async fn place(
    args: &PsArgs,
    choice: &ClusterChoice,
    names: &[String],
    context: &Context,
) -> CommandResult<Place> {
    let cluster = target::connect(choice, context).await?;
    let mut known: BTreeSet<String> = names.iter().cloned().collect();
    let mut beamlines = BTreeMap::new();
    for beamline in context.settings.beamlines.values() {
        if beamline.backend != crate::project::Backend::Kubernetes {
            continue;
        }
        beamlines.insert(beamline.namespace.clone(), beamline.name.clone());
        if args.all_namespaces || choice.beamline.as_ref() != Some(&beamline.name) {
            continue;
        }
        if let Ok(repository) = Repository::open(&beamline.repository) {
            let instances = repository.instances().iter();
            known.extend(instances.map(|instance| instance.name().to_owned()));
        }
    }
    if let Some(beamline) = &choice.beamline {
        beamlines.insert(cluster.namespace.clone(), beamline.clone());
    }
    Ok(Place {
        cluster,
        is_all: args.all_namespaces,
        known,
        beamlines,
    })
}

/// Rows of the local backend; a machine without an engine is told, and does not hide the clusters.
async fn of_this_machine(args: &PsArgs, context: &Context) -> Vec<Row> {
    let rows = match Fleet::connect(&context.settings).await {
        Ok(fleet) => local::rows(&fleet, args, None, context).await,
        Err(error) => Err(error),
    };
    rows.unwrap_or_else(|error| {
        context
            .printer
            .warning(format!("instances of this machine are not shown: {error}"));
        Vec::new()
    })
}

async fn unknown_instance(name: &str, places: &[Place]) -> CommandError {
    let mut known = BTreeSet::new();
    for place in places {
        let looked = look::rows(
            &place.cluster,
            place.scope(),
            &place.known,
            Timestamp::now(),
        )
        .await;
        if let Ok((rows, _)) = looked {
            known.extend(rows.into_iter().map(|row| row.name));
        }
    }
    let scopes: Vec<String> = places.iter().map(|place| place.scope().name()).collect();
    let error =
        CommandError::not_found(format!("`{name}` is not deployed in {}", scopes.join(", ")));
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`ioc ps` lists what is; `-A` looks into all namespaces"),
    }
}

async fn watch(places: &[Place], names: &[String], context: &Context) -> CommandResult<Outcome> {
    let mut watches = Vec::new();
    for place in places {
        watches.push(Watch::begin(&place.cluster, place.scope()).await?);
    }
    let clear = std::io::stdout().is_terminal();
    let mut rows: Vec<Vec<Row>> = vec![Vec::new(); places.len()];
    let mut warnings: Vec<Vec<String>> = vec![Vec::new(); places.len()];
    let mut changed: Vec<usize> = Vec::new();
    let mut shown_once = false;
    loop {
        for &number in &changed {
            let (Some(place), Some(watch)) = (places.get(number), watches.get_mut(number)) else {
                continue;
            };
            let seen = watch.seen().await;
            let (found, said) =
                look::closer(&place.cluster, &seen, &place.known, Timestamp::now()).await;
            rows[number] = place.finish(found, names);
            warnings[number] = [seen.unseen, said].concat();
        }
        if !changed.is_empty() || shown_once {
            shown_once = true;
            let all: Vec<Row> = rows.iter().flatten().cloned().collect();
            let mut text = table(&all, Digests::Shown).render();
            for line in remarks(&all).iter().chain(warnings.iter().flatten()) {
                text.push_str(line);
                text.push('\n');
            }
            context
                .printer
                .data(&format!("{}{text}", if clear { local::HOME } else { "" }))?;
        }
        changed.clear();
        let began = Timestamp::now();
        let first = {
            let next = watches.iter_mut().map(|watch| Box::pin(watch.changed()));
            tokio::select! {
                ((), number, _) = select_all(next) => Some(number),
                () = tokio::time::sleep(REFRESH) => None,
                () = context.cancel.cancelled() => return Ok(Outcome::Success),
            }
        };
        let Some(number) = first else {
            grow(&mut rows, began);
            continue;
        };
        changed.push(number);
        // events that come together are one refresh
        let settled = tokio::time::Instant::now() + local::SETTLE;
        loop {
            let next = watches.iter_mut().map(|watch| Box::pin(watch.changed()));
            tokio::select! {
                ((), number, _) = select_all(next) => if !changed.contains(&number) {
                    changed.push(number);
                },
                () = tokio::time::sleep_until(settled) => break,
                () = context.cancel.cancelled() => return Ok(Outcome::Success),
            }
        }
    }
}

/// Nothing has happened but that time went on.
fn grow(rows: &mut [Vec<Row>], since: Timestamp) {
    let passed = u64::try_from(Timestamp::now().duration_since(since).as_secs()).unwrap_or(0);
    for row in rows.iter_mut().flatten() {
        if let Some(uptime) = &mut row.uptime_seconds {
            *uptime += passed;
        }
    }
}
