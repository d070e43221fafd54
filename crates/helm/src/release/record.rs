//! The fields of a release record, named and ordered as Helm 4 writes them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Zoned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Status;
use super::times;
use crate::chart::{Chart, File, Lock, Metadata};
use crate::engine::{HookEvent, Manifest, Rendered};
use crate::yaml::Value;

/// One revision of a release.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReleaseRecord {
    /// Name of the release.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Times, status and words.
    pub info: Info,
    /// The chart that was installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart: Option<ChartRecord>,
    /// Values given by the user.
    #[serde(skip_serializing_if = "is_empty_object")]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// All documents that are no hooks.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub manifest: String,
    /// Hooks.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub hooks: Vec<HookRecord>,
    /// Revision, from 1.
    #[serde(skip_serializing_if = "is_zero")]
    pub version: i64,
    /// Namespace of the release.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// How the objects were applied; Helm 3 does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apply_method: Option<ApplyMethod>,
    /// Fields of later versions of Helm, kept as they are.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// How objects were brought into the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApplyMethod {
    /// By the client, which computes a patch.
    #[serde(rename = "csa")]
    ClientSide,
    /// By the server, which knows who owns which field.
    #[serde(rename = "ssa")]
    ServerSide,
}

/// Times, status and words of a revision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    /// When the first revision was installed.
    #[serde(with = "times", skip_serializing_if = "Option::is_none")]
    pub first_deployed: Option<Zoned>,
    /// When this revision was installed.
    #[serde(with = "times", skip_serializing_if = "Option::is_none")]
    pub last_deployed: Option<Zoned>,
    /// When the release was removed.
    #[serde(with = "times", skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Zoned>,
    /// What happened, in Helm's words: `Install complete`, `Rollback to 3`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// State.
    pub status: Status,
    /// The revision that this one brought back; 0 when it is no rollback.
    #[serde(skip_serializing_if = "is_zero")]
    pub rollback_revision: i64,
    /// What `NOTES.txt` said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// Fields that are not used here, kept as they are.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// A chart without the contents of its dependencies, which Helm does not store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChartRecord {
    /// What `Chart.yaml` says.
    pub metadata: Option<Metadata>,
    /// What `Chart.lock` says.
    pub lock: Option<Lock>,
    /// Templates.
    #[serde(deserialize_with = "null_as_default")]
    pub templates: Vec<FileRecord>,
    /// Default values, with those that were imported from dependencies.
    #[serde(deserialize_with = "null_as_default")]
    pub values: serde_json::Map<String, serde_json::Value>,
    /// `values.schema.json`, in Base64.
    pub schema: Option<String>,
    /// When the schema was last changed.
    pub schemamodtime: String,
    /// Other files.
    #[serde(deserialize_with = "null_as_default")]
    pub files: Vec<FileRecord>,
    /// When `Chart.yaml` was last changed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub modtime: String,
}

/// A file of a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileRecord {
    /// Path inside the chart.
    pub name: String,
    /// Content; in Base64 in the JSON.
    #[serde(serialize_with = "as_base64", deserialize_with = "from_base64")]
    pub data: Vec<u8>,
    /// When it was last changed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub modtime: String,
}

/// A hook with what became of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HookRecord {
    /// `metadata.name`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `kind`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Path of the template.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The document.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub manifest: String,
    /// When it is run.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub events: Vec<HookEvent>,
    /// The last time that it was run.
    pub last_run: HookRun,
    /// Lower ones are run first.
    #[serde(skip_serializing_if = "is_zero_i32")]
    pub weight: i32,
    /// When it is deleted.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub delete_policies: Vec<String>,
    /// When its log is shown.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub output_log_policies: Vec<String>,
}

/// One run of a hook.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HookRun {
    /// When it began.
    #[serde(with = "times", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Zoned>,
    /// When it ended.
    #[serde(with = "times", skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Zoned>,
    /// How far it came.
    pub phase: HookPhase,
}

/// How far a hook came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HookPhase {
    /// Not run yet; Helm writes an empty text.
    #[default]
    #[serde(rename = "")]
    None,
    /// Not known.
    Unknown,
    /// Begun.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
}

/// The time that Go writes where none is set.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde asks for"
)]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde asks for"
)]
const fn is_zero_i32(number: &i32) -> bool {
    *number == 0
}

fn is_empty_object(object: &serde_json::Map<String, serde_json::Value>) -> bool {
    object.is_empty()
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

fn as_base64<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(data))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}

fn object(value: &Value) -> serde_json::Map<String, serde_json::Value> {
    match value.to_json() {
        serde_json::Value::Object(object) => object,
        _ => serde_json::Map::new(),
    }
}

fn time_text(time: Option<jiff::Timestamp>) -> String {
    time.map_or_else(String::new, |time| {
        times::format_time(&time.to_zoned(jiff::tz::TimeZone::UTC))
    })
}

impl FileRecord {
    fn new(file: &File) -> Self {
        Self {
            name: file.name.to_string(),
            data: file.data.to_vec(),
            modtime: time_text(file.modified),
        }
    }
}

impl ChartRecord {
    /// What Helm stores of a chart. `defaults` are the values after dependencies were processed
    /// ([`Rendered::chart_values`]).
    pub fn new(chart: &Chart, rendered: &Rendered) -> Self {
        Self {
            metadata: Some(rendered.chart_metadata.clone()),
            lock: chart.lock.clone(),
            templates: chart
                .templates
                .iter()
                .map(|template| FileRecord::new(&template.file))
                .collect(),
            values: object(&rendered.chart_values),
            schema: chart.schema().map(|schema| STANDARD.encode(schema)),
            schemamodtime: match chart.schema_modified {
                Some(time) => time_text(Some(time)),
                None => ZERO_TIME.to_owned(),
            },
            files: chart.files.iter().map(FileRecord::new).collect(),
            modtime: time_text(chart.modified),
        }
    }
}

impl HookRecord {
    fn new(manifest: &Manifest) -> Option<Self> {
        let hook = manifest.hook.as_ref()?;
        Some(Self {
            name: manifest.name.clone(),
            kind: manifest.kind.clone(),
            path: manifest.source_template.clone(),
            manifest: manifest.text.clone(),
            events: hook.events.clone(),
            last_run: HookRun::default(),
            weight: hook.weight,
            delete_policies: hook.delete_policies.clone(),
            output_log_policies: hook.output_log_policies.clone(),
        })
    }
}

impl ReleaseRecord {
    /// The record of a revision that is about to be installed or upgraded to.
    ///
    /// `first_deployed` is that of the first revision, or `now` for the first.
    pub fn pending(
        options: &crate::ReleaseOptions,
        chart: &Chart,
        user_values: &Value,
        rendered: &Rendered,
        first_deployed: Zoned,
    ) -> Self {
        let (status, description) = if options.revision > 1 || options.is_upgrade {
            (Status::PendingUpgrade, "Preparing upgrade")
        } else {
            (Status::PendingInstall, "Initial install underway")
        };
        Self {
            name: options.name.clone(),
            info: Info {
                first_deployed: Some(first_deployed),
                last_deployed: Some(options.now.clone()),
                description: description.to_owned(),
                status,
                notes: rendered.notes.clone().unwrap_or_default(),
                ..Info::default()
            },
            chart: Some(ChartRecord::new(chart, rendered)),
            config: object(user_values),
            manifest: rendered.manifest_text(),
            hooks: rendered.hooks().filter_map(HookRecord::new).collect(),
            version: options.revision,
            namespace: options.namespace.clone(),
            apply_method: None,
            other: serde_json::Map::new(),
        }
    }

    /// The record of a rollback: everything of `target` under a new revision.
    pub fn rollback_to(target: &Self, revision: i64, now: Zoned) -> Self {
        let mut record = target.clone();
        record.version = revision;
        record
            .info
            .first_deployed
            .clone_from(&target.info.first_deployed);
        record.info.last_deployed = Some(now);
        record.info.deleted = None;
        record.info.status = Status::PendingRollback;
        record.info.description = format!("Rollback to {}", target.version);
        record.info.rollback_revision = target.version;
        for hook in &mut record.hooks {
            hook.last_run = HookRun::default();
        }
        record
    }

    /// Sets state and words.
    pub fn set_status(&mut self, status: Status, description: impl Into<String>) {
        self.info.status = status;
        self.info.description = description.into();
    }

    /// Name and version of the chart, as `helm list` shows them: `ec-service-1.0.0`.
    pub fn chart_name_version(&self) -> String {
        match self
            .chart
            .as_ref()
            .and_then(|chart| chart.metadata.as_ref())
        {
            Some(metadata) => format!("{}-{}", metadata.name, metadata.version),
            None => "MISSING".to_owned(),
        }
    }

    /// Labels that Helm gives the Secret, without the user's: `createdAt` is added when it is made.
    pub fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("name".to_owned(), self.name.clone()),
            ("owner".to_owned(), "helm".to_owned()),
            ("status".to_owned(), self.info.status.to_string()),
            ("version".to_owned(), self.version.to_string()),
        ])
    }
}
