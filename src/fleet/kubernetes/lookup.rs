//! What `lookup` in templates finds: objects of the cluster, asked for while a chart is rendered for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use helm::{Lookup, LookupQuery};
use kube::api::{ListParams, Request};
use serde_json::{Value, json};

use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::retry::retrying;

/// More are not asked for by one command: a template may ask in a loop.
const MOST: usize = 1000;

impl Cluster {
    /// Answers `lookup`. It blocks the thread that renders, which must not be one that this runtime needs.
    pub fn lookup(&self) -> Lookup {
        let cluster = self.clone();
        let runtime = tokio::runtime::Handle::current();
        let asked = Arc::new(AtomicUsize::new(0));
        Lookup::new(move |query| {
            if asked.fetch_add(1, Ordering::Relaxed) >= MOST {
                return Err(format!(
                    "more than {MOST} objects of the cluster are asked for"
                ));
            }
            runtime.block_on(find(&cluster, query))
        })
    }
}

async fn find(cluster: &Cluster, query: &LookupQuery<'_>) -> Result<Value, String> {
    let LookupQuery {
        api_version,
        kind,
        namespace,
        name,
    } = *query;
    let found = cluster.kinds.find(api_version, kind).await;
    let found = found.map_err(|error| error.to_string())?;
    let Some(found) = found else {
        return Err(format!(
            "the cluster does not know the kind {kind} of `{api_version}`"
        ));
    };
    let is_everywhere = namespace.is_empty() || !found.is_namespaced;
    if found.is_namespaced && namespace.is_empty() && !name.is_empty() {
        // no such path, which Helm takes as not found too
        return Ok(json!({}));
    }
    let namespace = (!is_everywhere).then_some(namespace);
    let path = <kube::core::DynamicObject as kube::Resource>::url_path(&found.resource, namespace);
    let requests = Request::new(path);
    let answer: Result<Value, kube::Error> = retrying(|| async {
        let request = if name.is_empty() {
            requests.list(&ListParams::default())
        } else {
            requests.get(name, &kube::api::GetParams::default())
        };
        let request = request.map_err(kube::Error::BuildRequest)?;
        cluster.client.request(request).await
    })
    .await;
    match answer {
        Ok(value) => Ok(value),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(json!({})),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => Err(error.to_string()),
    }
}
