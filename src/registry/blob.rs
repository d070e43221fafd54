//! Blobs: bytes under their digest. Uploads and downloads go on where they broke off.

use bytes::Bytes;
use oci_client::manifest::OciDescriptor;
use reqwest::header::{LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode, Url};

use super::endpoint::Repository;
use super::error::{Action, RegistryError};
use super::reference::{Digest, Reference};
use super::transport::{BodyError, Call, Registry, breaks_off};

/// Bytes sent with one request; what the registry has acknowledged is never sent again.
const CHUNK: usize = 4 * 1024 * 1024;

impl Registry {
    /// Makes a blob be in the repository; `false` when it was there already.
    pub(super) async fn push_blob(
        &self,
        reference: &Reference,
        data: &Bytes,
        what: &str,
    ) -> Result<bool, RegistryError> {
        let at = self.locate(reference, Action::Push).await?;
        let digest = Digest::of(data);
        let mut attempt = 1;
        loop {
            if self.has_blob(&at, &digest, what).await? {
                return Ok(attempt > 1);
            }
            match self.upload(&at, data, &digest, what).await {
                Ok(()) => return Ok(true),
                // The session is gone, or the answer to the last request was lost: look again.
                Err(error) if goes_on(&error) && Self::may_try_after(attempt) => {
                    self.pause(&at.endpoint, &error.to_string(), None, attempt)
                        .await?;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn has_blob(
        &self,
        at: &Repository,
        digest: &Digest,
        what: &str,
    ) -> Result<bool, RegistryError> {
        let call = Call::new(
            Method::HEAD,
            at.url(&format!("blobs/{digest}"))?,
            format!("say whether it has the {what}"),
        );
        let response = self.send(at, Action::Push, &call).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            _ => Err(self.refusal(at, Action::Push, &call.what, response).await),
        }
    }

    async fn upload(
        &self,
        at: &Repository,
        data: &Bytes,
        digest: &Digest,
        what: &str,
    ) -> Result<(), RegistryError> {
        let begin = Call::new(
            Method::POST,
            at.url("blobs/uploads/")?,
            format!("take the {what}"),
        )
        .body(Bytes::new());
        let response = self.send(at, Action::Push, &begin).await?;
        let mut session = self.session(at, &begin, response).await?;
        let mut sent = 0;
        // The last part travels with the request that ends the upload.
        while data.len() - sent > CHUNK {
            (session, sent) = self.send_chunk(at, session, data, sent, what).await?;
        }
        session
            .query_pairs_mut()
            .append_pair("digest", digest.as_str());
        let end = Call::new(Method::PUT, session, format!("take the {what}"))
            .header("content-type", "application/octet-stream")
            .body(data.slice(sent..));
        let end = Call {
            repeatable: false,
            ..end
        };
        let response = self.send(at, Action::Push, &end).await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(self.refusal(at, Action::Push, &end.what, response).await)
    }

    /// Sends the next chunk; after a broken connection, from where the registry says that it is.
    async fn send_chunk(
        &self,
        at: &Repository,
        session: Url,
        data: &Bytes,
        sent: usize,
        what: &str,
    ) -> Result<(Url, usize), RegistryError> {
        let mut session = session;
        let mut sent = sent;
        let mut attempt = 1;
        loop {
            let end = (sent + CHUNK).min(data.len());
            self.step(&format!(
                "sending the {what}: {sent} of {} bytes",
                data.len()
            ));
            let call = Call::new(Method::PATCH, session.clone(), format!("take the {what}"))
                .header("content-type", "application/octet-stream")
                .header(
                    "content-range",
                    &format!("{sent}-{}", end.saturating_sub(1)),
                )
                .body(data.slice(sent..end));
            let call = Call {
                repeatable: false,
                ..call
            };
            let failed = match self.send(at, Action::Push, &call).await {
                Ok(response) if response.status().is_success() => {
                    return Ok((self.session(at, &call, response).await?, end));
                }
                Ok(response) => self.refusal(at, Action::Push, &call.what, response).await,
                Err(error) => error,
            };
            if !goes_on(&failed) || !Self::may_try_after(attempt) {
                return Err(failed);
            }
            self.pause(&at.endpoint, &failed.to_string(), None, attempt)
                .await?;
            attempt += 1;
            (session, sent) = self.upload_state(at, session, what).await?;
            if sent > data.len() {
                return Err(RegistryError::Content {
                    what: format!("the registry `{}`", at.endpoint.registry),
                    why: format!("it says that it has {sent} of {} bytes", data.len()),
                });
            }
        }
    }

    /// How much of an upload the registry has.
    async fn upload_state(
        &self,
        at: &Repository,
        session: Url,
        what: &str,
    ) -> Result<(Url, usize), RegistryError> {
        let call = Call::new(
            Method::GET,
            session,
            format!("say how much of the {what} it has"),
        );
        let response = self.send(at, Action::Push, &call).await?;
        // `0-N` for N+1 bytes, and `0-0` for none or one, of which none is the safe reading.
        let last = response
            .headers()
            .get(RANGE)
            .and_then(|value| value.to_str().ok())
            .and_then(|range| range.trim_start_matches("bytes=").strip_prefix("0-"))
            .and_then(|last| last.parse::<usize>().ok())
            .unwrap_or(0);
        let sent = if last == 0 { 0 } else { last + 1 };
        Ok((self.session(at, &call, response).await?, sent))
    }

    /// Where an upload goes on.
    async fn session(
        &self,
        at: &Repository,
        call: &Call,
        response: Response,
    ) -> Result<Url, RegistryError> {
        if !response.status().is_success() {
            return Err(self.refusal(at, Action::Push, &call.what, response).await);
        }
        match response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
        {
            Some(location) => at.endpoint.location(&call.url, location),
            None => Err(RegistryError::Content {
                what: format!("the registry `{}`", at.endpoint.registry),
                why: "it does not say where to upload to".to_owned(),
            }),
        }
    }

    /// Receives a blob of at most `limit` bytes, checked against size and digest.
    pub(super) async fn pull_blob(
        &self,
        reference: &Reference,
        descriptor: &OciDescriptor,
        limit: usize,
        what: &str,
    ) -> Result<Vec<u8>, RegistryError> {
        let at = self.locate(reference, Action::Pull).await?;
        let registry = at.endpoint.registry.clone();
        let nonsense = |why: &str| RegistryError::Content {
            what: format!("the manifest of `{reference}`"),
            why: why.to_owned(),
        };
        let expected = Digest::parse(&descriptor.digest)
            .ok_or_else(|| nonsense("it names a digest that is not one of SHA-256"))?;
        let size = usize::try_from(descriptor.size)
            .map_err(|_negative| nonsense("it names a size below zero"))?;
        if size > limit {
            return Err(RegistryError::TooLarge {
                registry,
                what: what.to_owned(),
                limit: limit as u64,
            });
        }
        let url = at.url(&format!("blobs/{expected}"))?;
        let mut received = Vec::new();
        let mut attempt = 1;
        loop {
            let mut call = Call::new(Method::GET, url.clone(), format!("give the {what}"));
            if !received.is_empty() {
                call = call.header("range", &format!("bytes={}-", received.len()));
            }
            let response = self.send(&at, Action::Pull, &call).await?;
            match response.status() {
                StatusCode::PARTIAL_CONTENT => {}
                // Also the answer of a registry that cannot continue.
                StatusCode::OK => received.clear(),
                _ => return Err(self.refusal(&at, Action::Pull, &call.what, response).await),
            }
            match self.body_onto(response, size, &mut received).await {
                Ok(()) => break,
                Err(BodyError::Broken(error))
                    if breaks_off(&error) && Self::may_try_after(attempt) =>
                {
                    self.pause(&at.endpoint, "the connection broke off", None, attempt)
                        .await?;
                    attempt += 1;
                }
                Err(BodyError::TooLarge) => {
                    return Err(RegistryError::TooLarge {
                        registry,
                        what: what.to_owned(),
                        limit: size as u64,
                    });
                }
                Err(error) => return Err(at.endpoint.body_failed(error, &call.what, size)),
            }
        }
        let found = Digest::of(&received);
        if found == expected {
            return Ok(received);
        }
        Err(RegistryError::Digest {
            registry,
            what: what.to_owned(),
            expected,
            found,
        })
    }
}

/// Whether an upload that ended so is worth another try.
fn goes_on(error: &RegistryError) -> bool {
    match error {
        RegistryError::Transfer { .. } => true,
        // 404: the session is unknown by now; 416: the registry has more or less than we believe.
        RegistryError::Status { status, .. } => {
            status.starts_with("404") || status.starts_with("416") || status.starts_with('5')
        }
        _ => false,
    }
}
