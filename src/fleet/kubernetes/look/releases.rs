//! The releases of a scope: revision and state out of the labels of their Secrets, version and words out of their records.
//!
//! Records are large and hardly ever change. So only metadata are listed, and of a record only what is new is read: what
//! was read before is kept in the cache folder ([`super::heads`]).

use futures_util::stream::{self, StreamExt as _};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;
use kube::api::Api;
use serde::Deserialize;

use super::heads::Heads;
use super::list::{RELEASES, Scope};
use super::page::{List, METADATA, OBJECTS, Page, damaged};
use super::protobuf;
use super::release::{self, Head, Releases};
use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::retry::retrying;
use crate::ui::error::CommandResult;

/// Release Secrets in one answer: each may be large.
const PAGE: u32 = 100;
/// Records that are read one by one; more of them are listed.
const MOST_ALONE: usize = 64;
/// So many at the same time.
const AT_A_TIME: usize = 16;

/// A Secret of a release.
struct Found {
    namespace: String,
    name: String,
    uid: String,
    resource_version: String,
    release: String,
    number: u32,
    status: crate::fleet::release::Status,
    /// What its record says, where that came with it.
    head: Option<Head>,
}

/// The releases of a scope.
///
/// # Errors
///
/// The login may not list Secrets, or the cluster does not answer.
pub async fn releases(cluster: &Cluster, scope: Scope<'_>) -> CommandResult<Releases> {
    let failed = || {
        let doing = format!("list the releases (Secrets) in {}", scope.name());
        cluster.failed(doing)
    };
    let mut heads = Heads::load(cluster);
    let mut found = Vec::new();
    let mut is_read = false;
    if !heads.is_empty() {
        found = list(cluster, scope, None, METADATA)
            .await
            .map_err(|error| failed()(error))?;
        let unknown = found
            .iter()
            .filter(|one| heads.get(&one.uid, &one.resource_version).is_none());
        is_read = unknown.count() <= MOST_ALONE;
    }
    if !is_read {
        found = list(cluster, scope, Some(PAGE), OBJECTS)
            .await
            .map_err(|error| failed()(error))?;
    }
    for one in &mut found {
        if let Some(head) = one.head.take() {
            heads.insert(&one.uid, &one.resource_version, head);
        }
    }
    read_alone(cluster, &found, &mut heads).await;
    let mut releases = Releases::default();
    for one in &found {
        let head = heads
            .get(&one.uid, &one.resource_version)
            .cloned()
            .unwrap_or_default();
        releases.add(
            &one.namespace,
            &one.release,
            release::Revision {
                number: one.number,
                status: one.status,
                head,
            },
        );
    }
    if scope == Scope::All {
        heads.keep_only(found.iter().map(|one| one.uid.as_str()));
    }
    heads.save();
    Ok(releases)
}

/// Reads the records that are not known yet.
async fn read_alone(cluster: &Cluster, found: &[Found], heads: &mut Heads) {
    let unknown: Vec<&Found> = found
        .iter()
        .filter(|one| heads.get(&one.uid, &one.resource_version).is_none())
        .collect();
    let read: Vec<_> = stream::iter(unknown)
        .map(|one| async move {
            let api: Api<Secret> = Api::namespaced(cluster.client.clone(), &one.namespace);
            (one, retrying(|| api.get_opt(&one.name)).await)
        })
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    for (one, secret) in read {
        match secret {
            Ok(Some(secret)) => {
                let content = secret.data.and_then(|mut data| data.remove("release"));
                let content = content.map(|content| content.0).unwrap_or_default();
                // it may have changed since it was listed; what it says now is true all the same
                heads.insert(
                    &one.uid,
                    &one.resource_version,
                    release::head(&content).unwrap_or_default(),
                );
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, name = one.name, "a release record is not read"),
        }
    }
}

async fn list(
    cluster: &Cluster,
    scope: Scope<'_>,
    page: Option<u32>,
    accept: &'static str,
) -> Result<Vec<Found>, kube::Error> {
    let path = Secret::url_path(&(), scope.namespace());
    let list = List {
        path: &path,
        selector: Some(RELEASES),
        page,
        accept,
    };
    list.all(cluster, |body, found: &mut Vec<Found>| {
        add_page(body, found)
    })
    .await
}

/// Adds what a page has; gives where the next begins.
fn add_page(body: &[u8], found: &mut Vec<Found>) -> Result<String, serde_json::Error> {
    if protobuf::is_protobuf(body) {
        let next = protobuf::page(body, |secret: protobuf::Secret<'_>| {
            let label = |key: &str| secret.labels.get(key).map(|value| (*value).to_owned());
            if let Some((release, number, status)) = release::labels(label) {
                found.push(Found {
                    namespace: secret.namespace.to_owned(),
                    name: secret.name.to_owned(),
                    uid: secret.uid.to_owned(),
                    resource_version: secret.resource_version.to_owned(),
                    release,
                    number,
                    status,
                    head: (!secret.release.is_empty())
                        .then(|| release::head(secret.release).unwrap_or_default()),
                });
            }
        });
        return Ok(next.ok_or_else(damaged)?.to_owned());
    }
    let page: Page<PageSecret> = serde_json::from_slice(body)?;
    for secret in page.items {
        let labels = secret.metadata.labels.unwrap_or_default();
        if let Some((release, number, status)) = release::labels(|key| labels.get(key).cloned()) {
            found.push(Found {
                namespace: secret.metadata.namespace.unwrap_or_default(),
                name: secret.metadata.name.unwrap_or_default(),
                uid: secret.metadata.uid.unwrap_or_default(),
                resource_version: secret.metadata.resource_version.unwrap_or_default(),
                release,
                number,
                status,
                head: secret
                    .data
                    .release
                    .map(|content| release::head(content.as_bytes()).unwrap_or_default()),
            });
        }
    }
    Ok(page.metadata.continue_.unwrap_or_default())
}

#[derive(Deserialize)]
struct PageSecret {
    metadata: ObjectMeta,
    #[serde(default)]
    data: PageData,
}

#[derive(Default, Deserialize)]
struct PageData {
    release: Option<String>,
}
