//! `ioc diff`: what a deploy would change, by resource and field.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::check::loaded::{self, Images, Revisions};
use crate::cli::render::DiffArgs;
use crate::commands::desired::desired;
use crate::commands::target::{self, Target};
use crate::commands::{Context, Outcome, kubernetes, versioned};
use crate::fleet::manifest;
use crate::fleet::plan::{self, Change, Records, show};
use crate::fleet::release::{self, record};
use crate::fleet::store::{Store, states};
use crate::services::{self, ValueOverrides};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::versions::selected::Wanted;

/// The differences of one instance.
#[derive(Debug, Serialize)]
struct Difference {
    instance: String,
    /// The revision that it is compared with.
    revision: Option<u32>,
    changes: Vec<Change>,
    /// What that means for the records of its IOC.
    records: Records,
}

/// Compares what the services repository says with a revision of the release. Needs no engine: what runs plays no
/// part (`ioc deploy --dry-run` tells about that), and databases that an image has are read where there is one.
///
/// # Errors
///
/// Mistakes in charts or values, or a revision that does not exist.
pub(crate) async fn diff(args: &DiffArgs, context: &Context) -> CommandResult<Outcome> {
    let wanted = Wanted {
        tag: args.version.version.as_deref(),
        names: &args.instances,
        beamline: args.beamline.beamline.as_deref(),
        all: args.all,
    };
    let context = &*versioned::at(wanted, context).await?;
    let selections = services::select(
        &context.settings,
        &args.instances,
        args.beamline.beamline.as_deref(),
        args.all,
    )?;
    if let Target::Cluster(choice) = target::of_selections(&args.cluster, &selections)? {
        return kubernetes::diff::diff(args, &selections, &choice, context).await;
    }
    let store = Store::new(&context.settings.state);
    let overrides = ValueOverrides::new(&args.values)?;
    let mut differences = Vec::new();
    for selection in &selections {
        let instance = selection.instance.name().to_owned();
        let history = store
            .release(&selection.beamline.namespace, &instance)?
            .history()?;
        let desired = desired(selection, &overrides, &history, None)?;
        let find = |wanted: u32| {
            history
                .iter()
                .find(|record| record::revision(record) == wanted)
        };
        let record = match args.revision {
            Some(revision) => Some(find(revision).ok_or_else(|| {
                CommandError::not_found(format!("`{instance}` has no revision {revision}"))
                    .hint(format!("`ioc history {instance}` lists them"))
            })?),
            None => release::deployed(&states(&history)).and_then(find),
        };
        let read = |text: &str| {
            manifest::parse(text)
                .map_err(|diagnostic| CommandError::from_diagnostic(ErrorKind::Input, *diagnostic))
        };
        let before = record.map(|record| read(&record.manifest)).transpose()?;
        let before = before.unwrap_or_default();
        let after = read(&desired.record.manifest)?;
        let revisions = Revisions {
            instance: &instance,
            namespace: &selection.beamline.namespace,
            before: &before,
            after: &after,
        };
        let images = Images {
            engine: None,
            deployed: &record.map(record::images).unwrap_or_default(),
            wanted: &BTreeMap::new(),
            settings: &context.settings,
        };
        differences.push(Difference {
            revision: record.map(record::revision),
            changes: plan::changes(&before, &after),
            records: loaded::compare(revisions, images).await,
            instance,
        });
    }
    let is_different = differences.iter().any(|one| !one.changes.is_empty());
    context.printer.emit_text(&differences, |differences| {
        differences.iter().map(text).collect()
    })?;
    Ok(if args.exit_code && is_different {
        Outcome::Negative
    } else {
        Outcome::Success
    })
}

fn text(difference: &Difference) -> String {
    let Difference {
        instance,
        revision,
        changes,
        records,
    } = difference;
    let compared = match revision {
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
