//! The chart of an instance as it is released: it stands on its own, and renders to what the services repository renders to.
//!
//! All instances of a services repository share one `Chart.yaml`, and values that are not part of any chart. A released chart has
//! the instance's name, the version of the tag, and the shared values below its own.

use helm::{Capabilities, Chart, ChartIdentity, Limits, ReleaseOptions, Values};

use crate::diagnostic::Diagnostic;
use crate::services::{
    self, Instance, ReleaseFacts, RenderedInstance, ServicesError, ValueOverrides,
};

/// A chart that is ready to be pushed.
#[derive(Debug, Clone)]
pub struct ReleasedChart {
    /// Name of the instance, which is the name of the chart.
    pub instance: String,
    /// The archive: the same bytes on every machine.
    pub archive: Vec<u8>,
    /// As it is rendered from the services repository.
    pub rendered: RenderedInstance,
}

/// Packages an instance.
///
/// # Errors
///
/// Mistakes in its chart or values with their places; a chart that would render to something else than the instance.
pub fn chart(
    instance: &Instance,
    namespace: &str,
    version: &str,
    tag: &str,
) -> Result<ReleasedChart, ServicesError> {
    let loaded = services::load_chart(instance)?;
    let facts = ReleaseFacts::install(instance, namespace);
    let rendered =
        services::render_chart(instance, loaded.clone(), &ValueOverrides::default(), &facts)?;
    let failed = |why: &dyn std::fmt::Display| {
        ServicesError::from(
            Diagnostic::error(format!(
                "`{}` cannot become a chart of its own: {why}",
                instance.name()
            ))
            .in_file(instance.folder()),
        )
    };
    let mut identity = ChartIdentity {
        name: Some(instance.name().to_owned()),
        version: Some(version.to_owned()),
        app_version: Some(tag.to_owned()),
        values: None,
    };
    let named = loaded
        .with_identity(&identity)
        .map_err(|error| failed(&error))?;
    let shares_values = instance.value_files().len() > 1 || loaded.values_text().is_none();
    if shares_values {
        identity.values = Some(format!(
            "# Values of all instances at {tag}, and those of {} over them.\n{}",
            instance.name(),
            helm::yaml::to_yaml(&rendered.values)
        ));
    }
    let own = loaded
        .with_identity(&identity)
        .map_err(|error| failed(&error))?;
    let wanted = manifests(&named, &rendered.values, &facts).map_err(|error| failed(&error))?;
    let empty = Values::new().into_value();
    let found = manifests(&own, &empty, &facts).map_err(|error| failed(&error))?;
    if wanted != found {
        return Err(failed(
            &"it renders to other manifests than the services repository; values that are set to null may be the reason",
        ));
    }
    let package = own.package().map_err(|error| failed(&error))?;
    Ok(ReleasedChart {
        instance: instance.name().to_owned(),
        archive: package.bytes,
        rendered,
    })
}

fn manifests(
    chart: &Chart,
    values: &helm::yaml::Value,
    facts: &ReleaseFacts,
) -> Result<String, helm::RenderError> {
    let options = ReleaseOptions {
        name: facts.name.clone(),
        namespace: facts.namespace.clone(),
        revision: i64::from(facts.revision),
        is_upgrade: facts.is_upgrade,
        // charts that print the time would never be the same
        now: jiff::Zoned::new(jiff::Timestamp::UNIX_EPOCH, jiff::tz::TimeZone::UTC),
    };
    let rendered = helm::render(
        chart,
        values,
        &options,
        &Capabilities::default(),
        &Limits::default(),
    )?;
    Ok(rendered.to_template_output())
}
