//! A chart as the archive that `helm package` writes.

use std::io::Write;

use flate2::{Compression, GzBuilder};
use jiff::Timestamp;

use super::{Chart, ChartError};
use crate::functions::clean_path;
use crate::yaml::{Value, to_yaml};

/// A packaged chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// `NAME-VERSION.tgz`
    pub file_name: String,
    /// The archive. The same chart, with the same times of its files, gives the same bytes.
    pub bytes: Vec<u8>,
}

/// What Helm puts into the extra field of the gzip header to mark its archives.
const HEADER_EXTRA: &[u8] = b"+aHR0cHM6Ly95b3V0dS5iZS96OVV6MWljandyTQo=";
const HEADER_COMMENT: &str = "Helm";

pub(super) fn package(chart: &Chart) -> Result<Package, ChartError> {
    let encoder = GzBuilder::new()
        .extra(HEADER_EXTRA)
        .comment(HEADER_COMMENT)
        .write(Vec::new(), Compression::default());
    let mut archive = tar::Builder::new(encoder);
    add_chart(&mut archive, chart, "")?;
    let bytes = archive.into_inner()?.finish()?;
    let file_name = format!("{}-{}.tgz", chart.name(), chart.metadata.version);
    Ok(Package { file_name, bytes })
}

fn add_chart<W: Write>(
    archive: &mut tar::Builder<W>,
    chart: &Chart,
    prefix: &str,
) -> Result<(), ChartError> {
    let base = format!("{prefix}{}", chart.name());
    let mut add = |name: &str, data: &[u8], modified: Option<Timestamp>| {
        add_file(
            archive,
            &clean_path(&format!("{base}/{name}")),
            data,
            modified,
        )
    };
    add(
        "Chart.yaml",
        yaml_of(&chart.metadata)?.as_bytes(),
        chart.modified,
    )?;
    if let Some(lock) = &chart.lock {
        let generated = lock.generated.parse().ok();
        add("Chart.lock", yaml_of(lock)?.as_bytes(), generated)?;
    }
    if let Some(values) = &chart.values_file {
        add("values.yaml", &values.data, values.modified)?;
    }
    if let Some(schema) = chart.schema() {
        if serde_json::from_slice::<serde::de::IgnoredAny>(schema).is_err() {
            let problem = "`values.schema.json` is not JSON".to_owned();
            return Err(ChartError::Package(problem));
        }
        add("values.schema.json", schema, chart.schema_modified)?;
    }
    for file in chart
        .templates
        .iter()
        .map(|template| &template.file)
        .chain(&chart.files)
    {
        add(&file.name, &file.data, file.modified)?;
    }
    for dependency in &chart.dependencies {
        add_chart(archive, dependency, &format!("{base}/charts/"))?;
    }
    Ok(())
}

fn add_file<W: Write>(
    archive: &mut tar::Builder<W>,
    path: &str,
    data: &[u8],
    modified: Option<Timestamp>,
) -> Result<(), ChartError> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(data.len() as u64);
    let seconds = modified.map_or(0, Timestamp::as_second);
    header.set_mtime(u64::try_from(seconds).unwrap_or(0));
    header.set_entry_type(tar::EntryType::Regular);
    archive.append_data(&mut header, path, data)?;
    Ok(())
}

/// `Chart.yaml` as Helm writes it.
///
/// # Errors
/// Never for what was read from a chart.
pub fn chart_yaml(metadata: &super::Metadata) -> Result<String, ChartError> {
    yaml_of(metadata)
}

/// The YAML that Helm writes for a struct: its JSON form, keys sorted.
pub(super) fn yaml_of(value: &impl serde::Serialize) -> Result<String, ChartError> {
    let json =
        serde_json::to_value(value).map_err(|error| ChartError::Package(error.to_string()))?;
    Ok(to_yaml(&Value::from_json(&json)))
}
