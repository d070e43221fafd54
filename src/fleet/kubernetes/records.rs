//! Release records in a cluster: Helm's Secrets, read and written so that Helm reads and writes them as well.
//!
//! One Secret per revision, `sh.helm.release.v1.NAME.vREVISION`. Making the Secret of the next revision is the lock of a
//! release: the name can exist once. While a command works, an annotation of that Secret says who it is
//! ([`super::holder`]); Helm knows nothing of it and drops it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::core::ObjectMeta;

use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::holder::{HOLDER, Holder};
use crate::fleet::kubernetes::retry::retrying;
use crate::fleet::release::record::{self, Record, is_unfinished, storage_name};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// What a Secret may hold, in bytes.
pub const LARGEST_RECORD: usize = 1024 * 1024;

/// A revision with its Secret.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The record.
    pub record: Record,
    /// Who works on it, when that is known.
    pub holder: Option<Holder>,
    /// When its Secret was last written, by the server's clock.
    pub written: Option<Timestamp>,
    /// Labels of the user, which Helm keeps.
    labels: BTreeMap<String, String>,
    resource_version: Option<String>,
    uid: Option<String>,
}

/// The Secrets of a namespace.
#[derive(Debug, Clone)]
pub struct Records {
    cluster: Cluster,
    secrets: Api<Secret>,
}

/// Labels that Helm sets.
const SYSTEM_LABELS: [&str; 6] = [
    "name",
    "owner",
    "status",
    "version",
    "createdAt",
    "modifiedAt",
];

impl Records {
    /// The records of the cluster's namespace.
    pub fn new(cluster: &Cluster) -> Self {
        Self {
            cluster: cluster.clone(),
            secrets: cluster.api(),
        }
    }

    /// All revisions of a release in order.
    ///
    /// # Errors
    ///
    /// The cluster's refusal; a record that cannot be read.
    pub async fn history(&self, release: &str) -> CommandResult<Vec<Stored>> {
        let selector = format!("name={release},owner=helm");
        let mut history = self.list(&selector).await?;
        history.retain(|stored| stored.record.name == release);
        Ok(history)
    }

    /// Every revision of every release of the namespace, by name and revision.
    ///
    /// # Errors
    ///
    /// As [`Self::history`].
    pub async fn all(&self) -> CommandResult<Vec<Stored>> {
        self.list("owner=helm").await
    }

    async fn list(&self, selector: &str) -> CommandResult<Vec<Stored>> {
        let parameters = ListParams::default().labels(selector);
        let list = retrying(|| self.secrets.list(&parameters))
            .await
            .map_err(self.cluster.failed("read the release records"))?;
        let mut found = list
            .items
            .into_iter()
            .map(|secret| read(&secret))
            .collect::<CommandResult<Vec<Stored>>>()?;
        found.sort_by(|one, other| {
            (&one.record.name, one.record.version).cmp(&(&other.record.name, other.record.version))
        });
        Ok(found)
    }

    /// Makes the Secret of a new revision, which locks the release.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when somebody else has made it; a record that is too large.
    pub async fn create(
        &self,
        record: &Record,
        holder: &Holder,
        labels: &BTreeMap<String, String>,
    ) -> CommandResult<Stored> {
        let mut secret = self.secret(record, labels)?;
        secret.metadata.labels.get_or_insert_default().insert(
            "createdAt".to_owned(),
            Timestamp::now().as_second().to_string(),
        );
        secret
            .metadata
            .annotations
            .get_or_insert_default()
            .insert(HOLDER.to_owned(), holder.to_text());
        let name = storage_name(&record.name, record.version);
        let parameters = PostParams::default();
        let result = retrying(|| self.secrets.create(&parameters, &secret)).await;
        match result {
            Ok(secret) => read(&secret),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                // our own request may have got through although its answer was lost
                let there = retrying(|| self.secrets.get(&name))
                    .await
                    .map_err(self.cluster.failed("read the release records"))?;
                let there = read(&there)?;
                if there
                    .holder
                    .as_ref()
                    .is_some_and(|other| other.is_same(holder))
                {
                    return Ok(there);
                }
                Err(taken(&there))
            }
            Err(error) => Err(self
                .cluster
                .failed(format!("record revision {}", record.version))(
                error
            )),
        }
    }

    /// Writes a record again, if it is still as it was read. `holder` stays beside it while it is given.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when somebody else has changed it.
    pub async fn update(&self, stored: &mut Stored, holder: Option<&Holder>) -> CommandResult<()> {
        let mut secret = self.secret(&stored.record, &stored.labels)?;
        secret
            .metadata
            .resource_version
            .clone_from(&stored.resource_version);
        secret.metadata.labels.get_or_insert_default().insert(
            "modifiedAt".to_owned(),
            Timestamp::now().as_second().to_string(),
        );
        if let Some(holder) = holder {
            secret
                .metadata
                .annotations
                .get_or_insert_default()
                .insert(HOLDER.to_owned(), holder.to_text());
        }
        let name = storage_name(&stored.record.name, stored.record.version);
        let doing = format!(
            "record that revision {} of `{}` is {}",
            stored.record.version, stored.record.name, stored.record.info.status
        );
        let parameters = PostParams::default();
        for _attempt in 0..3 {
            let result = retrying(|| self.secrets.replace(&name, &parameters, &secret)).await;
            match result {
                Ok(secret) => {
                    *stored = read(&secret)?;
                    return Ok(());
                }
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(self.cluster.failed(doing)(error)),
            }
            let there = retrying(|| self.secrets.get(&name))
                .await
                .map_err(self.cluster.failed(doing.clone()))?;
            let there = read(&there)?;
            // our own request may have got through although its answer was lost
            if there.record == stored.record {
                *stored = there;
                return Ok(());
            }
            // a last sign of life of this very command may have come in between
            let is_ours = match (&there.holder, &stored.holder) {
                (Some(there), Some(ours)) => there.is_same(ours),
                _ => false,
            };
            if !(is_ours && is_unfinished(there.record.info.status)) {
                break;
            }
            secret.metadata.resource_version = there.resource_version;
        }
        Err(CommandError::new(
            ErrorKind::Conflict,
            format!("failed to {doing}: another command has changed the record"),
        )
        .hint(format!(
            "`ioc history {}` shows what it is now",
            stored.record.name
        )))
    }

    /// Reads a revision again, for its present resource version.
    ///
    /// # Errors
    ///
    /// Not found when it is gone.
    pub async fn read(&self, release: &str, revision: i64) -> CommandResult<Stored> {
        let name = storage_name(release, revision);
        let secret = retrying(|| self.secrets.get(&name)).await.map_err(
            self.cluster
                .failed(format!("read revision {revision} of `{release}`")),
        )?;
        read(&secret)
    }

    /// Forgets a revision, if it is still the one that was read.
    ///
    /// # Errors
    ///
    /// The cluster's refusal. A revision that is gone already is no error.
    pub async fn delete(&self, stored: &Stored) -> CommandResult<()> {
        let name = storage_name(&stored.record.name, stored.record.version);
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: stored.uid.clone(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match retrying(|| self.secrets.delete(&name, &parameters)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(self.cluster.failed(format!(
                "forget revision {} of `{}`",
                stored.record.version, stored.record.name
            ))(error)),
        }
    }

    fn secret(&self, record: &Record, labels: &BTreeMap<String, String>) -> CommandResult<Secret> {
        let mut all = labels.clone();
        all.extend(record.labels());
        Ok(Secret {
            metadata: ObjectMeta {
                name: Some(storage_name(&record.name, record.version)),
                namespace: Some(self.cluster.namespace.clone()),
                labels: Some(all),
                ..ObjectMeta::default()
            },
            type_: Some(helm::release::SECRET_TYPE.to_owned()),
            data: Some(BTreeMap::from([(
                "release".to_owned(),
                ByteString(encoded(record)?.into_bytes()),
            )])),
            ..Secret::default()
        })
    }
}

/// The text that goes into a Secret.
///
/// # Errors
///
/// [`ErrorKind::Input`] when it is larger than a Secret may be, with what takes the space.
pub fn encoded(record: &Record) -> CommandResult<String> {
    let text = record::encode(record).map_err(|source| {
        CommandError::new(
            ErrorKind::Internal,
            format!(
                "revision {} of `{}` cannot be recorded",
                record.version, record.name
            ),
        )
        .caused_by(source)
    })?;
    if text.len() <= LARGEST_RECORD {
        return Ok(text);
    }
    Err(CommandError::new(
        ErrorKind::Input,
        format!(
            "the release record of `{}` would have {} KiB, and a cluster keeps at most {} KiB",
            record.name,
            text.len() / 1024,
            LARGEST_RECORD / 1024
        ),
    )
    .caused_by(format!("the largest parts of the chart are\n{}", largest_parts(record)))
    .hint("take files that no template needs out of the chart's folder, or name them in its `.helmignore`"))
}

/// The largest parts of a record, one line each.
fn largest_parts(record: &Record) -> String {
    let mut parts: Vec<(usize, String)> =
        vec![(record.manifest.len(), "the rendered manifests".to_owned())];
    if let Some(chart) = &record.chart {
        parts.extend(
            chart
                .templates
                .iter()
                .chain(&chart.files)
                .map(|file| (file.data.len(), format!("`{}`", file.name))),
        );
        let values = serde_json::to_string(&chart.values)
            .unwrap_or_default()
            .len();
        parts.push((values, "the default values".to_owned()));
        let schema = chart.schema.as_ref().map_or(0, String::len);
        parts.push((schema, "`values.schema.json`".to_owned()));
    }
    let config = serde_json::to_string(&record.config)
        .unwrap_or_default()
        .len();
    parts.push((config, "the values of the instance".to_owned()));
    parts.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    let lines: Vec<String> = parts
        .iter()
        .take(5)
        .filter(|(size, _)| *size > 0)
        .map(|(size, what)| format!("{} KiB: {what}", size.div_ceil(1024)))
        .collect();
    lines.join("\n")
}

/// Somebody else has made the next revision at the same time.
fn taken(there: &Stored) -> CommandError {
    let name = &there.record.name;
    let who = there.holder.as_ref().map_or_else(
        || "another command".to_owned(),
        |holder| format!("{holder}"),
    );
    CommandError::new(ErrorKind::Conflict, format!("`{name}` is being worked on"))
        .caused_by(format!(
            "revision {} was made by {who} at the same time",
            there.record.version
        ))
        .hint("wait until that command has ended, then run this one again")
}

fn read(secret: &Secret) -> CommandResult<Stored> {
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    let damaged = |why: String| {
        CommandError::new(
            ErrorKind::Input,
            format!("the release record `{name}` cannot be read"),
        )
        .caused_by(why)
        .hint(format!(
            "`kubectl delete secret {name}` forgets this revision"
        ))
    };
    let bytes = secret
        .data
        .as_ref()
        .and_then(|data| data.get("release"))
        .ok_or_else(|| damaged("it has no `release`".to_owned()))?;
    let text = std::str::from_utf8(&bytes.0).map_err(|error| damaged(error.to_string()))?;
    let record = record::decode(text).map_err(|error| damaged(error.to_string()))?;
    let mut labels = secret.metadata.labels.clone().unwrap_or_default();
    let seconds = |key: &str| {
        let label = labels.get(key)?;
        Timestamp::from_second(label.parse().ok()?).ok()
    };
    let written = seconds("modifiedAt")
        .or_else(|| seconds("createdAt"))
        .or_else(|| {
            secret
                .metadata
                .creation_timestamp
                .as_ref()
                .map(|time| time.0)
        });
    labels.retain(|key, _| !SYSTEM_LABELS.contains(&key.as_str()));
    let holder = secret
        .metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(HOLDER))
        .and_then(|text| Holder::from_text(text));
    Ok(Stored {
        record,
        holder,
        written,
        labels,
        resource_version: secret.metadata.resource_version.clone(),
        uid: secret.metadata.uid.clone(),
    })
}

impl Stored {
    /// Labels of the user.
    pub fn user_labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }
}
