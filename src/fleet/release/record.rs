//! Release records are Helm's own ([`helm::release`]); here is what `ioc` writes into them and reads out of them.
//!
//! What Helm has no field for stands in the annotations of the chart's metadata, which Helm keeps.

use std::collections::BTreeMap;

use jiff::{Timestamp, Zoned};

pub use helm::release::{
    ChartRecord, Info, RecordError, ReleaseRecord as Record, Status, decode, encode, storage_name,
};

/// Annotation of the chart: who deployed, `user@host`.
pub const DEPLOYED_BY: &str = "ioc/deployed-by";
/// Annotation of the chart: identifiers of the images by reference, as a JSON object.
pub const IMAGES: &str = "ioc/images";
/// Annotation of the chart: beamline in `ioc.toml`.
pub const BEAMLINE: &str = "ioc/beamline";

/// Revision of a record. Helm counts in 64 bits; a number that is no revision becomes 0.
pub fn revision(record: &Record) -> u32 {
    u32::try_from(record.version).unwrap_or(0)
}

/// Whether a command works on the revision, or was cut short: Helm's `pending-…`, and `uninstalling`.
pub fn is_unfinished(status: Status) -> bool {
    status.is_pending() || status == Status::Uninstalling
}

/// The version of the instance, which Helm shows as app version.
pub fn app_version(record: &Record) -> &str {
    record
        .chart
        .as_ref()
        .and_then(|chart| chart.metadata.as_ref())
        .map_or("", |metadata| metadata.app_version.as_str())
}

/// An annotation of the chart.
pub fn annotation<'a>(record: &'a Record, key: &str) -> Option<&'a str> {
    let metadata = record.chart.as_ref()?.metadata.as_ref()?;
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// Sets an annotation of the chart.
pub fn annotate(record: &mut Record, key: &str, value: impl Into<String>) {
    record
        .chart
        .get_or_insert_default()
        .metadata
        .get_or_insert_default()
        .annotations
        .get_or_insert_default()
        .insert(key.to_owned(), value.into());
}

/// Identifiers of its images by reference, as they were when it was deployed.
pub fn images(record: &Record) -> BTreeMap<String, String> {
    annotation(record, IMAGES)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// A time as a record has it: in UTC, so that it reads the same on every machine.
pub fn time(timestamp: Timestamp) -> Zoned {
    timestamp.to_zoned(jiff::tz::TimeZone::UTC)
}
