//! `ioc diff` on a cluster: what a deploy would change of what is live, or how the manifests differ from a revision.

use serde::Serialize;

use crate::check::loaded::Revisions;
use crate::cli::render::DiffArgs;
use crate::commands::desired::{ClusterFacts, desired};
use crate::commands::{Context, Outcome, records, target};
use crate::fleet::kubernetes::plan::Allowed;
use crate::fleet::kubernetes::{ClusterChoice, ClusterRelease};
use crate::fleet::manifest;
use crate::fleet::plan::{self, Change, Records, show};
use crate::services::{Selection, ValueOverrides};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

#[derive(Debug, Serialize)]
struct Difference {
    instance: String,
    /// The revision that it is compared with; the live objects when none was asked for.
    revision: Option<u32>,
    changes: Vec<Change>,
    /// What that means for the records of its IOC.
    records: Records,
}

/// Compares.
///
/// # Errors
///
/// As a deploy, and a revision that does not exist.
pub(crate) async fn diff(
    args: &DiffArgs,
    selections: &[Selection],
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let overrides = ValueOverrides::new(&args.values)?;
    let cluster = target::connect(choice, context).await?;
    let facts = ClusterFacts {
        capabilities: cluster.capabilities().await?,
        lookup: cluster.lookup(),
    };
    let mut differences = Vec::new();
    for selection in selections {
        let mut selection = selection.clone();
        selection.beamline.namespace.clone_from(&cluster.namespace);
        let instance = selection.instance.name().to_owned();
        let release = ClusterRelease::open(&cluster, &instance).await?;
        // templates may ask the cluster, and are waited for here
        let desired = tokio::task::block_in_place(|| {
            desired(&selection, &overrides, &release.history(), Some(&facts))
        })?;
        let (revision, changes, records) = if let Some(revision) = args.revision {
            let record = release.record(revision).ok_or_else(|| {
                CommandError::not_found(format!("`{instance}` has no revision {revision}"))
                    .hint(format!("`ioc history {instance}` lists them"))
            })?;
            let read = |text: &str| {
                manifest::parse(text).map_err(|diagnostic| {
                    CommandError::from_diagnostic(ErrorKind::Input, *diagnostic)
                })
            };
            let before = read(&record.manifest)?;
            let after = read(&desired.record.manifest)?;
            let revisions = Revisions {
                instance: &instance,
                namespace: &cluster.namespace,
                before: &before,
                after: &after,
            };
            let records = records::of(revisions, &context.settings).await;
            (Some(revision), plan::changes(&before, &after), records)
        } else {
            // conflicts are shown as changes here; a deploy refuses them
            let allowed = Allowed {
                force_conflicts: true,
                ..Allowed::default()
            };
            let mut plan = release.plan(desired, allowed, None).await?;
            records::of_cluster_plan(&release, &mut plan, context).await;
            for note in &plan.notes {
                context.printer.warning(note.clone());
            }
            (plan.from, plan.changes, plan.records)
        };
        differences.push(Difference {
            instance,
            revision,
            changes,
            records,
        });
    }
    let is_different = differences.iter().any(|one| !one.changes.is_empty());
    let is_live = args.revision.is_none();
    context.printer.emit_text(&differences, |differences| {
        differences.iter().map(|one| text(one, is_live)).collect()
    })?;
    Ok(if args.exit_code && is_different {
        Outcome::Negative
    } else {
        Outcome::Success
    })
}

fn text(difference: &Difference, is_live: bool) -> String {
    let Difference {
        instance,
        revision,
        changes,
        records,
    } = difference;
    let compared = match revision {
        Some(revision) if is_live => format!("compared with what is live, revision {revision}"),
        Some(revision) => format!("compared with revision {revision}"),
        None => "not deployed yet".to_owned(),
    };
    if changes.is_empty() {
        return format!("{instance}: no difference, {compared}\n");
    }
    format!(
        "{instance}: {compared}\n{}{}",
        show::changes(changes),
        show::records(records)
    )
}
