//! Metadata of objects, and times.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference, Time,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::{Value, entry, fields};

/// `ObjectMeta`. Of the fields that somebody manages only those are read that tell who wrote the specification.
pub(super) fn metadata(bytes: &[u8]) -> Option<ObjectMeta> {
    let mut metadata = ObjectMeta::default();
    let mut managed = Vec::new();
    fields(bytes, |number, value| {
        match number {
            1 => metadata.name = Some(value.owned()?),
            3 => metadata.namespace = Some(value.owned()?),
            5 => metadata.uid = Some(value.owned()?),
            6 => metadata.resource_version = Some(value.owned()?),
            7 => metadata.generation = Some(value.long()?),
            8 => metadata.creation_timestamp = time(value)?,
            9 => metadata.deletion_timestamp = time(value)?,
            11 => insert(metadata.labels.get_or_insert_default(), value)?,
            12 => insert(metadata.annotations.get_or_insert_default(), value)?,
            13 => metadata
                .owner_references
                .get_or_insert_default()
                .push(owner(value.bytes()?)?),
            17 => managed.push(value.bytes()?),
            _ => {}
        }
        Some(())
    })?;
    if !managed.is_empty() {
        let entries: Option<Vec<ManagedFieldsEntry>> =
            managed.into_iter().map(managed_fields).collect();
        metadata.managed_fields = Some(entries?);
    }
    Some(metadata)
}

/// Adds an entry to a map of texts.
pub(super) fn insert(map: &mut BTreeMap<String, String>, value: Value<'_>) -> Option<()> {
    let (key, value) = entry(value.bytes()?)?;
    map.insert(key.to_owned(), std::str::from_utf8(value).ok()?.to_owned());
    Some(())
}

/// `Time`: seconds and billionths. One that is not set is an empty message.
#[expect(
    clippy::option_option,
    reason = "the outer one is a damaged message, the inner one a time that is not set"
)]
pub(super) fn time(value: Value<'_>) -> Option<Option<Time>> {
    let (mut seconds, mut nanoseconds) = (None, 0);
    fields(value.bytes()?, |number, value| {
        match number {
            1 => seconds = Some(value.long()?),
            2 => nanoseconds = value.integer()?,
            _ => {}
        }
        Some(())
    })?;
    let Some(seconds) = seconds else {
        return Some(None);
    };
    Some(Some(Time(Timestamp::new(seconds, nanoseconds).ok()?)))
}

fn owner(bytes: &[u8]) -> Option<OwnerReference> {
    let mut owner = OwnerReference::default();
    fields(bytes, |number, value| {
        match number {
            1 => owner.kind = value.owned()?,
            3 => owner.name = value.owned()?,
            4 => owner.uid = value.owned()?,
            5 => owner.api_version = value.owned()?,
            6 => owner.controller = Some(value.truth()?),
            _ => {}
        }
        Some(())
    })?;
    Some(owner)
}

/// The only keys of the fields of a manager that are looked at.
#[derive(Deserialize)]
struct Written {
    #[serde(rename = "f:spec")]
    spec: Option<WrittenSpec>,
}

#[derive(Deserialize)]
struct WrittenSpec {
    #[serde(rename = "f:replicas")]
    replicas: Option<IgnoredAny>,
}

fn managed_fields(bytes: &[u8]) -> Option<ManagedFieldsEntry> {
    let mut found = ManagedFieldsEntry::default();
    let mut written: &[u8] = &[];
    fields(bytes, |number, value| {
        match number {
            1 => found.manager = Some(value.owned()?),
            4 => found.time = time(value)?,
            7 => fields(value.bytes()?, |number, value| {
                if number == 1 {
                    written = value.bytes()?;
                }
                Some(())
            })?,
            8 => found.subresource = Some(value.owned()?).filter(|name| !name.is_empty()),
            _ => {}
        }
        Some(())
    })?;
    if found.subresource.is_none()
        && let Some(spec) = serde_json::from_slice::<Written>(written).ok()?.spec
    {
        let replicas = spec.replicas.map(|_| ("f:replicas".to_owned(), json!({})));
        let spec: serde_json::Map<String, serde_json::Value> = replicas.into_iter().collect();
        found.fields_v1 = Some(FieldsV1(json!({ "f:spec": spec })));
    }
    Some(found)
}
