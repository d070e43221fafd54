//! A release record in the form in which Helm 3 and 4 store it: base64 of gzip of JSON.
//!
//! The form is that of Helm's `pkg/storage/driver` and `pkg/release`; fields that this program does not know are
//! kept when a record is written again.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Most bytes of JSON that a record may unpack to; Helm's own limit is a Secret of 1 MiB, packed.
const LARGEST: u64 = 64 << 20;

/// Annotation of the chart: who deployed, `user@host`.
pub const DEPLOYED_BY: &str = "ioc/deployed-by";
/// Annotation of the chart: identifiers of the images by reference, as a JSON object.
pub const IMAGES: &str = "ioc/images";
/// Annotation of the chart: beamline in `ioc.toml`.
pub const BEAMLINE: &str = "ioc/beamline";

/// State of a revision, with Helm's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Not known.
    Unknown,
    /// This is what runs.
    Deployed,
    /// The release was deleted and its history kept.
    Uninstalled,
    /// A later revision took its place.
    Superseded,
    /// It did not get through.
    Failed,
    /// The release is being deleted.
    Uninstalling,
    /// The first revision is being deployed.
    PendingInstall,
    /// A later revision is being deployed.
    PendingUpgrade,
    /// An earlier revision is being deployed again.
    PendingRollback,
}

impl Status {
    /// Whether an operation is under way, or was cut short.
    pub fn is_pending(self) -> bool {
        matches!(
            self,
            Self::PendingInstall
                | Self::PendingUpgrade
                | Self::PendingRollback
                | Self::Uninstalling
        )
    }

    /// Helm's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Deployed => "deployed",
            Self::Uninstalled => "uninstalled",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Uninstalling => "uninstalling",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// One revision of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Name of the release, which is the name of the instance.
    pub name: String,
    /// State and times.
    pub info: Info,
    /// The chart as Helm stores it: metadata, templates, default values, files.
    #[serde(default)]
    pub chart: Value,
    /// Values of the user.
    #[serde(default)]
    pub config: Value,
    /// What was rendered.
    #[serde(default)]
    pub manifest: String,
    /// Hooks; charts of IOCs have none.
    #[serde(default)]
    pub hooks: Vec<Value>,
    /// Revision, from 1.
    pub version: u32,
    /// Namespace.
    #[serde(default)]
    pub namespace: String,
    /// What later versions of Helm put here.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// State and times of a revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Info {
    /// When revision 1 was deployed.
    #[serde(default, deserialize_with = "time", serialize_with = "text")]
    pub first_deployed: Option<Timestamp>,
    /// When this revision was deployed.
    #[serde(default, deserialize_with = "time", serialize_with = "text")]
    pub last_deployed: Option<Timestamp>,
    /// When the release was deleted.
    #[serde(default, deserialize_with = "time", serialize_with = "text")]
    pub deleted: Option<Timestamp>,
    /// What happened, in Helm's words or the user's.
    #[serde(default)]
    pub description: String,
    /// State.
    pub status: Status,
    /// Notes of the chart.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// What later versions of Helm put here.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Helm 3 writes an empty text for a time that is not set, Helm 4 leaves it out; both read the empty text.
#[expect(
    clippy::ref_option,
    reason = "serde calls it with a reference to the field"
)]
fn text<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_str(""),
    }
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// Why stored bytes are no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not base64.
    #[error("it is not base64")]
    Base64(#[from] base64::DecodeError),
    /// Not gzip, or cut short.
    #[error("it cannot be unpacked")]
    Unpack(#[source] std::io::Error),
    /// Unpacks to more than a record can have.
    #[error("it unpacks to more than {LARGEST} bytes")]
    TooLarge,
    /// Not the JSON of a release.
    #[error("it is not the JSON of a Helm release")]
    Json(#[from] serde_json::Error),
}

impl Record {
    /// The bytes that Helm stores under the key `release`.
    ///
    /// # Errors
    ///
    /// Only when memory for packing cannot be had.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let json = serde_json::to_vec(self)?;
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&json).map_err(RecordError::Unpack)?;
        let packed = packed.finish().map_err(RecordError::Unpack)?;
        Ok(STANDARD.encode(packed).into_bytes())
    }

    /// Reads what Helm or this program stored; unpacked JSON is read as well, as Helm does.
    ///
    /// # Errors
    ///
    /// Bytes that are not a record, or unpack to too much.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let packed = STANDARD.decode(bytes.trim_ascii())?;
        if !packed.starts_with(&[0x1f, 0x8b, 0x08]) {
            return Ok(serde_json::from_slice(&packed)?);
        }
        let mut json = Vec::new();
        GzDecoder::new(packed.as_slice())
            .take(LARGEST + 1)
            .read_to_end(&mut json)
            .map_err(RecordError::Unpack)?;
        if json.len() as u64 > LARGEST {
            return Err(RecordError::TooLarge);
        }
        Ok(serde_json::from_slice(&json)?)
    }

    fn metadata(&self, key: &str) -> &str {
        self.chart
            .get("metadata")
            .and_then(|metadata| metadata.get(key))
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// `name-version` of the chart, as Helm shows it.
    pub fn chart_name(&self) -> String {
        match (self.metadata("name"), self.metadata("version")) {
            ("", "") => String::new(),
            (name, version) => format!("{name}-{version}"),
        }
    }

    /// The version of the instance, which Helm shows as app version.
    pub fn app_version(&self) -> &str {
        self.metadata("appVersion")
    }

    /// An annotation of the chart.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.chart
            .get("metadata")?
            .get("annotations")?
            .get(key)?
            .as_str()
    }

    /// Sets an annotation of the chart; Helm keeps them.
    pub fn annotate(&mut self, key: &str, value: impl Into<String>) {
        let Some(chart) = as_map(&mut self.chart) else {
            return;
        };
        let metadata = chart.entry("metadata").or_insert(Value::Null);
        let Some(metadata) = as_map(metadata) else {
            return;
        };
        let annotations = metadata.entry("annotations").or_insert(Value::Null);
        if let Some(annotations) = as_map(annotations) {
            annotations.insert(key.to_owned(), Value::String(value.into()));
        }
    }

    /// Identifiers of its images by reference, as they were when it was deployed.
    pub fn images(&self) -> BTreeMap<String, String> {
        self.annotation(IMAGES)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }
}

/// The mapping in a value; null becomes an empty one.
fn as_map(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}
