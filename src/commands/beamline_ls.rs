//! `ioc beamline ls`: the beamlines of the project and where their instances run. Asks no cluster.

use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::project::Backend;
use crate::services::Repository;
use crate::ui::error::CommandResult;
use crate::ui::table::Table;

/// A beamline on one line.
#[derive(Debug, Serialize)]
struct Row {
    beamline: String,
    backend: Backend,
    context: Option<String>,
    namespace: String,
    repository: String,
    /// `null` when the repository cannot be read.
    instances: Option<usize>,
}

/// Lists them.
///
/// # Errors
///
/// Output that cannot be written.
pub(crate) fn beamline_ls(context: &Context) -> CommandResult<Outcome> {
    let settings = &context.settings;
    let rows: Vec<Row> = settings
        .beamlines
        .values()
        .map(|beamline| {
            let project = settings.project.as_deref();
            let path = project.and_then(|project| beamline.repository.strip_prefix(project).ok());
            Row {
                beamline: beamline.name.clone(),
                backend: beamline.backend,
                context: beamline.context.clone(),
                namespace: beamline.namespace.clone(),
                repository: path.unwrap_or(&beamline.repository).display().to_string(),
                instances: Repository::open(&beamline.repository)
                    .ok()
                    .map(|repository| repository.instances().len()),
            }
        })
        .collect();
    let printer = &context.printer;
    printer.emit(&rows, |rows| {
        let mut table = Table::new([
            "BEAMLINE",
            "BACKEND",
            "CONTEXT",
            "NAMESPACE",
            "INSTANCES",
            "REPOSITORY",
        ])
        .align_right(4);
        for row in rows {
            let backend = match row.backend {
                Backend::Local => "local",
                Backend::Kubernetes => "kubernetes",
            };
            table.row([
                row.beamline.as_str(),
                backend,
                row.context.as_deref().unwrap_or_default(),
                &row.namespace,
                &row.instances
                    .map_or_else(|| "?".to_owned(), |count| count.to_string()),
                &row.repository,
            ]);
        }
        table
    })?;
    if rows.is_empty() {
        printer.hint("`ioc new beamline NAME` or `ioc beamline init NAME` makes the first one");
    }
    Ok(Outcome::Success)
}
