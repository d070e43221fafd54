//! `ioc history`: the revisions of an instance.

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::cli::deploy::HistoryArgs;
use crate::commands::target::{self, Target};
use crate::commands::{Context, Outcome, acting, kubernetes};
use crate::fleet::overview::{self, Wanted};
use crate::fleet::release::record::{self, DEPLOYED_BY, annotation};
use crate::fleet::release::{Record, Status};
use crate::fleet::store::Store;
use crate::ui::error::{CommandError, CommandResult};
use crate::ui::table::Table;

/// One revision; the fields of `helm history -o json`, and who deployed it.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of Helm")]
struct Revision {
    revision: u32,
    updated: String,
    status: Status,
    chart: String,
    app_version: String,
    description: String,
    user: String,
}

/// Lists the revisions, oldest first, as Helm does. Needs no engine.
///
/// # Errors
///
/// An instance that is not deployed, or records that cannot be read.
pub(crate) async fn history(args: &HistoryArgs, context: &Context) -> CommandResult<Outcome> {
    let names = [args.instance.clone()];
    if let Target::Cluster(choice) =
        target::of_instances(&names, &args.beamline, &args.cluster, context)?
    {
        return kubernetes::history::history(args, &choice, context).await;
    }
    let store = Store::new(&context.settings.state);
    let namespace = acting::namespace(&args.beamline, context)?;
    let wanted = Wanted {
        names: &names,
        all: false,
        namespace: namespace.as_deref(),
    };
    let found = overview::find(&store, wanted)?;
    let subject = found
        .first()
        .ok_or_else(|| CommandError::not_found(format!("`{}` is not deployed", args.instance)))?;
    let records = store
        .release(&subject.namespace, &subject.instance)?
        .history()?;
    show(&records, context)?;
    Ok(Outcome::Success)
}

/// Prints the revisions, and what is to be known about the newest.
///
/// # Errors
///
/// The result cannot be written.
pub(crate) fn show(records: &[Record], context: &Context) -> CommandResult<()> {
    let revisions: Vec<Revision> = records.iter().map(revision).collect();
    context.printer.emit(&revisions, |revisions| {
        let mut table = Table::new([
            "REVISION",
            "UPDATED",
            "STATUS",
            "CHART",
            "APP VERSION",
            "BY",
            "DESCRIPTION",
        ]);
        for (revision, record) in revisions.iter().zip(records) {
            table.row([
                revision.revision.to_string(),
                local_time(record),
                revision.status.to_string(),
                revision.chart.clone(),
                revision.app_version.clone(),
                revision.user.clone(),
                revision.description.clone(),
            ]);
        }
        table
    })?;
    if let Some(newest) = records.last()
        && record::is_unfinished(newest.info.status)
    {
        context.printer.warning(format!(
            "revision {} is {}: a command works on it, or was interrupted; the next one repairs it",
            newest.version, newest.info.status
        ));
    }
    Ok(())
}

fn revision(record: &Record) -> Revision {
    Revision {
        revision: record::revision(record),
        updated: record
            .info
            .last_deployed
            .as_ref()
            .map(helm::release::format_time)
            .unwrap_or_default(),
        status: record.info.status,
        chart: record.chart_name_version(),
        app_version: record::app_version(record).to_owned(),
        description: record.info.description.clone(),
        user: annotation(record, DEPLOYED_BY)
            .unwrap_or_default()
            .to_owned(),
    }
}

fn local_time(record: &Record) -> String {
    record
        .info
        .last_deployed
        .as_ref()
        .map(|time| {
            time.with_time_zone(TimeZone::system())
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string()
        })
        .unwrap_or_default()
}
