//! Lists of the API in pages, as the server gives them: in its compact form, or as JSON through what does not speak that.

use bytes::Bytes;
use kube::api::{ListParams, Request};
use kube::client::Body;
use serde::Deserialize;
use serde::de::Error as _;

use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::retry::retrying;

/// Whole objects.
pub(super) const OBJECTS: &str = "application/vnd.kubernetes.protobuf, application/json";
/// Their metadata alone.
pub(super) const METADATA: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json";
/// A list that changes faster than it can be read is given up after so many attempts.
const MOST_ATTEMPTS: u32 = 4;

/// What is listed.
pub(super) struct List<'a> {
    /// Path of the kind.
    pub(super) path: &'a str,
    /// Labels.
    pub(super) selector: Option<&'a str>,
    /// Objects in one answer; `None` for all of them out of the server's memory, which costs it a fraction. What the
    /// server remembers is a moment old at most.
    pub(super) page: Option<u32>,
    /// Forms that are understood.
    pub(super) accept: &'static str,
}

impl List<'_> {
    /// Reads all pages; `add` adds the objects of one and gives where the next begins, empty at the end.
    ///
    /// # Errors
    ///
    /// The cluster's refusal, an answer that cannot be read.
    pub(super) async fn all<F: Default>(
        &self,
        cluster: &Cluster,
        add: impl Fn(&[u8], &mut F) -> Result<String, serde_json::Error>,
    ) -> Result<F, kube::Error> {
        let mut attempt = 1;
        'again: loop {
            let mut found = F::default();
            let mut next = None;
            loop {
                let parameters = ListParams {
                    label_selector: self.selector.map(str::to_owned),
                    limit: self.page,
                    resource_version: self.page.is_none().then(|| "0".to_owned()),
                    continue_token: next,
                    ..ListParams::default()
                };
                let body = match retrying(|| self.one(cluster, &parameters)).await {
                    Ok(body) => body,
                    // the list that the token goes on with is too old
                    Err(kube::Error::Api(status))
                        if status.code == 410 && attempt < MOST_ATTEMPTS =>
                    {
                        attempt += 1;
                        continue 'again;
                    }
                    Err(error) => return Err(error),
                };
                let token = add(&body, &mut found).map_err(kube::Error::SerdeError)?;
                if token.is_empty() {
                    return Ok(found);
                }
                next = Some(token);
            }
        }
    }

    fn one(
        &self,
        cluster: &Cluster,
        parameters: &ListParams,
    ) -> impl Future<Output = Result<Bytes, kube::Error>> {
        let request = Request::new(self.path)
            .list(parameters)
            .map_err(kube::Error::BuildRequest);
        let client = cluster.client.clone();
        let accept = self.accept.parse();
        async move {
            let mut request = request?;
            if let Ok(accept) = accept {
                request.headers_mut().insert("accept", accept);
            }
            let plain = request.uri().clone();
            let response = client.send(request.map(Body::from)).await?;
            if !response.status().is_success() {
                // the refusal came in a form of its own; asked as JSON it becomes an error with all its words
                let mut again = Request::new(plain.path())
                    .list(&ListParams::default().limit(1))
                    .map_err(kube::Error::BuildRequest)?;
                *again.uri_mut() = plain;
                client.request::<serde::de::IgnoredAny>(again).await?;
            }
            response.into_body().collect_bytes().await
        }
    }
}

/// A page as JSON, from something that does not speak protocol buffers, such as a proxy.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct Page<T> {
    #[serde(default)]
    pub(super) metadata: kube::core::ListMeta,
    #[serde(default = "Vec::new")]
    pub(super) items: Vec<T>,
}

/// The error for a message that cannot be read.
pub(super) fn damaged() -> serde_json::Error {
    serde_json::Error::custom("the list is no message that can be read")
}
