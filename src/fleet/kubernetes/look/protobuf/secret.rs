//! Secrets of releases, whole or only their metadata.

use std::collections::BTreeMap;

use super::{entry, fields};

/// A Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secret<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its identity.
    pub uid: &'a str,
    /// Changes with every change of it.
    pub resource_version: &'a str,
    /// Its labels.
    pub labels: BTreeMap<&'a str, &'a str>,
    /// Content of its key `release`; empty where only metadata were asked for.
    pub release: &'a [u8],
}

pub(super) fn secret(bytes: &[u8]) -> Option<Secret<'_>> {
    let mut secret = Secret::default();
    fields(bytes, |number, value| {
        match number {
            1 => fields(value.bytes()?, |number, value| {
                match number {
                    1 => secret.name = value.text()?,
                    3 => secret.namespace = value.text()?,
                    5 => secret.uid = value.text()?,
                    6 => secret.resource_version = value.text()?,
                    11 => {
                        let (key, value) = entry(value.bytes()?)?;
                        secret.labels.insert(key, std::str::from_utf8(value).ok()?);
                    }
                    _ => {}
                }
                Some(())
            })?,
            2 => {
                let (key, value) = entry(value.bytes()?)?;
                if key == "release" {
                    secret.release = value;
                }
            }
            _ => {}
        }
        Some(())
    })?;
    Some(secret)
}
