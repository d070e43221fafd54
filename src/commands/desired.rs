//! From an instance of a services repository to what a deploy needs.

use helm::release::ReleaseRecord;
use jiff::Timestamp;

use crate::check::config;
use crate::fleet::deploy::Desired;
use crate::fleet::release::{self, Record, record};
use crate::fleet::store::states;
use crate::services::{self, ReleaseFacts, Selection, ValueOverrides};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// What a cluster tells templates.
#[derive(Debug)]
pub(crate) struct ClusterFacts {
    /// Its version and kinds.
    pub(crate) capabilities: helm::Capabilities,
    /// What `lookup` finds.
    pub(crate) lookup: helm::Lookup,
}

/// Renders an instance as the next revision of a release with this history, for a cluster.
///
/// # Errors
///
/// Mistakes in its chart or values, each with its place.
pub(crate) fn desired(
    selection: &Selection,
    overrides: &ValueOverrides,
    history: &[Record],
    cluster: Option<&ClusterFacts>,
) -> CommandResult<Desired> {
    let facts = ReleaseFacts {
        name: selection.instance.name().to_owned(),
        namespace: selection.beamline.namespace.clone(),
        revision: release::next_revision(&states(history)),
        is_upgrade: !history.is_empty(),
        capabilities: cluster.map(|cluster| cluster.capabilities.clone()),
        lookup: cluster.map(|cluster| cluster.lookup.clone()),
    };
    let instance = services::render_instance(&selection.instance, overrides, &facts)
        .map_err(CommandError::from)?;
    let unusable = config::errors(selection.instance.folder(), &instance.chart);
    if !unusable.is_empty() {
        return Err(CommandError::from_diagnostics(
            ErrorKind::Input,
            format!("the configuration of `{}` cannot be deployed", facts.name),
            unusable,
        ));
    }
    let now = record::time(Timestamp::now());
    let options = helm::ReleaseOptions {
        name: facts.name,
        namespace: facts.namespace,
        revision: i64::from(facts.revision),
        is_upgrade: facts.is_upgrade,
        now: now.clone(),
    };
    let mut record = ReleaseRecord::pending(
        &options,
        &instance.chart,
        &instance.values,
        &instance.rendered,
        now,
    );
    let version = instance.version();
    if let Some(metadata) = record
        .chart
        .as_mut()
        .and_then(|chart| chart.metadata.as_mut())
    {
        // what `helm package --app-version` would do: the version of the instance, not that of the chart
        metadata.app_version = version.to_string();
    }
    for (key, value) in version.annotations() {
        record::annotate(&mut record, key, value);
    }
    Ok(Desired {
        record,
        definitions: instance.rendered.crds.clone(),
        ..Desired::default()
    })
}
