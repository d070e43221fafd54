//! Requests to a registry: where they go, with which login, again when that helps, never more bytes than allowed.
//!
//! Knows HTTP and nothing of manifests and blobs. `oci-client`, whose types we use, has a transport of its own; it
//! reads answers without bound, begins an interrupted upload anew and keeps to itself why a login was refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode, Url};

use super::challenge::{self, Challenge};
use super::credentials::{self, Login, Secret};
use super::endpoint::{Endpoint, Repository};
use super::error::{Action, RegistryError};
use super::reference::Reference;
use crate::settings::RegistrySettings;
use crate::source::FetchContext;
use crate::source::download::{build_client, innermost, tls_cause};

/// How often a request is tried.
const ATTEMPTS: u32 = 5;
/// Pause before the second try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause that a registry may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Largest text of an error that is read.
const LARGEST_REFUSAL: usize = 64 * 1024;
/// Largest answer of a token service.
const LARGEST_TOKEN: usize = 1024 * 1024;

/// Registries as one command sees them: site settings, logins and tokens are kept while it runs.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    fetch: FetchContext,
    settings: RegistrySettings,
    files: Vec<std::path::PathBuf>,
    plain_http: bool,
    client: Mutex<Option<reqwest::Client>>,
    /// Whether a registry on this machine speaks plain HTTP.
    probed: Mutex<HashMap<String, bool>>,
    logins: Mutex<HashMap<(String, String), Login>>,
    tokens: Mutex<HashMap<(String, String, Action), HeaderValue>>,
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    /// What it does, for messages: `give the tags of …`.
    pub(super) what: String,
    /// Whether it may be sent again when it is not known whether it arrived.
    pub(super) repeatable: bool,
}

impl Call {
    pub(super) fn new(method: Method, url: Url, what: impl Into<String>) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            what: what.into(),
            repeatable: true,
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }
}

/// Why a body was not received.
pub(super) enum BodyError {
    /// It broke off.
    Broken(reqwest::Error),
    /// It is larger than allowed.
    TooLarge,
    /// The user stopped it.
    Cancelled,
}

impl Registry {
    /// Registries for charts: logins of Helm come before those of Docker and Podman.
    pub fn for_charts(fetch: FetchContext, settings: &RegistrySettings, plain_http: bool) -> Self {
        let files = settings.helm_logins.iter().chain(&settings.engine_logins);
        Self::new(fetch, settings, files.cloned().collect(), plain_http)
    }

    /// Registries for images: logins of Docker and Podman come before those of Helm.
    pub fn for_images(fetch: FetchContext, settings: &RegistrySettings, plain_http: bool) -> Self {
        let files = settings.engine_logins.iter().chain(&settings.helm_logins);
        Self::new(fetch, settings, files.cloned().collect(), plain_http)
    }

    fn new(
        fetch: FetchContext,
        settings: &RegistrySettings,
        files: Vec<std::path::PathBuf>,
        plain_http: bool,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                fetch,
                settings: settings.clone(),
                files,
                plain_http,
                client: Mutex::new(None),
                probed: Mutex::default(),
                logins: Mutex::default(),
                tokens: Mutex::default(),
            }),
        }
    }

    /// Where a reference is read from (mirror rules hold) or written to (they do not).
    pub(super) async fn locate(
        &self,
        reference: &Reference,
        action: Action,
    ) -> Result<Repository, RegistryError> {
        if self.shared.fetch.offline {
            return Err(RegistryError::Offline {
                wanted: reference.to_string(),
            });
        }
        let mirrors: &[_] = match action {
            Action::Pull => &self.shared.fetch.mirrors,
            Action::Push => &[],
        };
        let mut found = Repository::of(reference, mirrors)?;
        let registry = &found.endpoint.registry;
        if self.shared.plain_http || self.shared.settings.plain_http.contains(registry) {
            found.endpoint.plain_http = true;
        } else if found.endpoint.is_on_this_machine() && !found.endpoint.plain_http {
            found.endpoint.plain_http = self.speaks_plain_http(&found.endpoint).await?;
        }
        Ok(found)
    }

    /// Asks a registry on this machine with TLS first; only if that is not what it speaks, plain HTTP is taken.
    async fn speaks_plain_http(&self, endpoint: &Endpoint) -> Result<bool, RegistryError> {
        if let Some(known) = locked(&self.shared.probed).get(&endpoint.registry) {
            return Ok(*known);
        }
        let url = endpoint.url("/v2/")?;
        let answer = self
            .unless_cancelled(self.client()?.get(url).send())
            .await?;
        let plain = match answer {
            Ok(_) => false,
            // a certificate that is not trusted is one nevertheless
            Err(error) => !matches!(
                tls_cause(&error),
                Some(rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_))
            ),
        };
        locked(&self.shared.probed).insert(endpoint.registry.clone(), plain);
        Ok(plain)
    }

    pub(super) fn client(&self) -> Result<reqwest::Client, RegistryError> {
        let mut client = locked(&self.shared.client);
        match client.as_ref() {
            Some(client) => Ok(client.clone()),
            None => Ok(client.insert(build_client(&self.shared.fetch)?).clone()),
        }
    }

    /// Sends a request, logs in when the registry wants it, and waits and tries again when that can help.
    ///
    /// The answer may be a refusal; see [`Self::refusal`].
    pub(super) async fn send(
        &self,
        at: &Repository,
        action: Action,
        call: &Call,
    ) -> Result<Response, RegistryError> {
        let key = (at.endpoint.registry.clone(), at.path.clone(), action);
        let mut logged_in = false;
        loop {
            let token = locked(&self.shared.tokens)
                .get(&key)
                .filter(|_| at.endpoint.owns(&call.url))
                .cloned();
            let response = self.send_again(&at.endpoint, call, token).await?;
            if response.status() != StatusCode::UNAUTHORIZED
                || logged_in
                || !at.endpoint.owns(&call.url)
            {
                return Ok(response);
            }
            logged_in = true;
            let headers: Vec<String> = response
                .headers()
                .get_all(WWW_AUTHENTICATE)
                .iter()
                .filter_map(|value| value.to_str().ok().map(str::to_owned))
                .collect();
            let Some(challenge) = challenge::read(headers.iter().map(String::as_str)) else {
                return Ok(response);
            };
            let Some(token) = self.log_in(at, action, &challenge).await? else {
                return Ok(response);
            };
            locked(&self.shared.tokens).insert(key.clone(), token);
        }
    }

    /// Sends a request until it is answered with something that will not change by waiting.
    async fn send_again(
        &self,
        endpoint: &Endpoint,
        call: &Call,
        token: Option<HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let client = self.client()?;
        let mut attempt = 1;
        loop {
            let mut request = client
                .request(call.method.clone(), call.url.clone())
                .headers(call.headers.clone());
            if let Some(token) = &token {
                request = request.header(AUTHORIZATION, token.clone());
            }
            if let Some(body) = &call.body {
                request = request.body(body.clone());
            }
            let last = attempt == ATTEMPTS;
            let (why, pause) = match self.unless_cancelled(request.send()).await? {
                Ok(response) if !last && passes(response.status()) => {
                    (response.status().to_string(), asked_pause(&response))
                }
                Ok(response) => return Ok(response),
                Err(error) if !last && call.repeatable && breaks_off(&error) => {
                    (innermost(&error), None)
                }
                Err(error) => return Err(transfer_failed(endpoint, &call.what, &error)),
            };
            self.pause(endpoint, &why, pause, attempt).await?;
            attempt += 1;
        }
    }

    /// Waits before another try and says so; `attempt` counts from 1.
    pub(super) async fn pause(
        &self,
        endpoint: &Endpoint,
        why: &str,
        asked: Option<Duration>,
        attempt: u32,
    ) -> Result<(), RegistryError> {
        let pause = asked.unwrap_or(FIRST_PAUSE * 2u32.pow(attempt.saturating_sub(1).min(6)));
        self.shared.fetch.step(&format!(
            "{}: {why}; trying again in {:.1} s",
            endpoint.registry,
            pause.as_secs_f64()
        ));
        tracing::debug!(registry = endpoint.registry, why, ?pause, "trying again");
        self.unless_cancelled(tokio::time::sleep(pause)).await
    }

    /// Whether another try is left after this one, counted from 1.
    pub(super) const fn may_try_after(attempt: u32) -> bool {
        attempt < ATTEMPTS
    }

    /// Tells what happens now.
    pub(super) fn step(&self, step: &str) {
        self.shared.fetch.step(step);
    }

    async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, RegistryError> {
        tokio::select! {
            biased;
            () = self.shared.fetch.cancel.cancelled() => Err(RegistryError::Cancelled),
            done = work => Ok(done),
        }
    }

    /// The login for a repository, from the files and credential helpers of the machine.
    pub(super) async fn login(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Login, RegistryError> {
        let key = (registry.to_owned(), repository.to_owned());
        if let Some(login) = locked(&self.shared.logins).get(&key) {
            return Ok(login.clone());
        }
        let shared = Arc::clone(&self.shared);
        let (registry, repository) = key.clone();
        let found = tokio::task::spawn_blocking(move || {
            credentials::find(&shared.files, &registry, &repository)
        });
        let login =
            self.unless_cancelled(found)
                .await?
                .map_err(|error| RegistryError::Content {
                    what: "the credential helper".to_owned(),
                    why: error.to_string(),
                })??;
        locked(&self.shared.logins).insert(key, login.clone());
        Ok(login)
    }

    /// The header that proves who asks; `None` when there is nothing to prove it with.
    async fn log_in(
        &self,
        at: &Repository,
        action: Action,
        challenge: &Challenge,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let login = self.login(&at.endpoint.registry, &at.path).await?;
        match challenge {
            Challenge::Basic => match login.secret() {
                Secret::Password { user, password } => Ok(Some(basic(user, password))),
                Secret::None | Secret::Identity(_) => Ok(None),
            },
            Challenge::Bearer {
                realm,
                service,
                scope,
            } => {
                let scope = scope.clone().unwrap_or_else(|| at.scope(action));
                let call = token_request(&at.endpoint, realm, service.as_deref(), &scope, &login)?;
                let authorization = match login.secret() {
                    Secret::Password { user, password } => Some(basic(user, password)),
                    Secret::None | Secret::Identity(_) => None,
                };
                let response = self.send_again(&at.endpoint, &call, authorization).await?;
                if !response.status().is_success() {
                    return Err(self.refusal(at, action, &call.what, response).await);
                }
                let body = self.body(response, LARGEST_TOKEN).await;
                let body = body
                    .map_err(|error| at.endpoint.body_failed(error, &call.what, LARGEST_TOKEN))?;
                token_of(&body)
                    .map(Some)
                    .ok_or_else(|| RegistryError::Content {
                        what: format!("the token service `{}`", host_of(&call.url)),
                        why: "its answer holds no token".to_owned(),
                    })
            }
        }
    }

    /// Receives a body of at most `limit` bytes.
    pub(super) async fn body(
        &self,
        response: Response,
        limit: usize,
    ) -> Result<Vec<u8>, BodyError> {
        let mut received = Vec::new();
        self.body_onto(response, limit, &mut received).await?;
        Ok(received)
    }

    /// Receives a body behind what was received before; `limit` is for both. What came before a failure stays.
    pub(super) async fn body_onto(
        &self,
        response: Response,
        limit: usize,
        received: &mut Vec<u8>,
    ) -> Result<(), BodyError> {
        let mut stream = response.bytes_stream();
        loop {
            let next = self.unless_cancelled(stream.next()).await;
            match next.map_err(|_cancelled| BodyError::Cancelled)? {
                None => return Ok(()),
                Some(Err(error)) => return Err(BodyError::Broken(error)),
                Some(Ok(bytes)) if received.len() + bytes.len() > limit => {
                    return Err(BodyError::TooLarge);
                }
                Some(Ok(bytes)) => received.extend_from_slice(&bytes),
            }
        }
    }

    /// An answer that is a refusal, as an error.
    pub(super) async fn refusal(
        &self,
        at: &Repository,
        action: Action,
        what: &str,
        response: Response,
    ) -> RegistryError {
        let status = response.status();
        let body = match self.body(response, LARGEST_REFUSAL).await {
            Ok(body) => body,
            Err(BodyError::Cancelled) => return RegistryError::Cancelled,
            // the status says what counts
            Err(BodyError::Broken(_) | BodyError::TooLarge) => Vec::new(),
        };
        let cause = super::refusal::words(&body).map(Into::into);
        let registry = at.endpoint.registry.clone();
        if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return RegistryError::Status {
                registry,
                what: what.to_owned(),
                status: status.to_string(),
                cause,
            };
        }
        let login = match self.login(&registry, &at.path).await {
            Ok(login) => login.tried(),
            Err(error) => return error,
        };
        if status == StatusCode::UNAUTHORIZED {
            return RegistryError::Login {
                registry,
                login,
                action,
                cause,
            };
        }
        RegistryError::Denied {
            registry,
            repository: at.path.clone(),
            login,
            action,
            cause,
        }
    }
}

impl Endpoint {
    /// A body that was not received, as an error.
    pub(super) fn body_failed(&self, error: BodyError, what: &str, limit: usize) -> RegistryError {
        match error {
            BodyError::Broken(error) => transfer_failed(self, what, &error),
            BodyError::TooLarge => RegistryError::TooLarge {
                registry: self.registry.clone(),
                what: "answer".to_owned(),
                limit: limit as u64,
            },
            BodyError::Cancelled => RegistryError::Cancelled,
        }
    }
}

/// A lock that a panic elsewhere left behind is good: nothing is half-done inside.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether waiting can help.
fn passes(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
    ) || status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
}

/// Whether the connection was there and broke off.
pub(super) fn breaks_off(error: &reqwest::Error) -> bool {
    !error.is_connect() && !error.is_builder() && !error.is_redirect()
}

/// How long the registry wants us to wait, in seconds; dates are not honoured.
fn asked_pause(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

/// Says which of the things that stand between us and the registry is in the way.
pub(super) fn transfer_failed(
    endpoint: &Endpoint,
    what: &str,
    error: &reqwest::Error,
) -> RegistryError {
    let registry = endpoint.registry.clone();
    let cause = innermost(error).into();
    match tls_cause(error) {
        Some(rustls::Error::InvalidMessage(_)) => RegistryError::NotTls { registry, cause },
        Some(_) => RegistryError::Tls { registry, cause },
        None if error.is_connect() => RegistryError::Unreachable {
            registry,
            rule: endpoint.rule.clone(),
            cause,
        },
        None => RegistryError::Transfer {
            registry,
            what: what.to_owned(),
            cause,
        },
    }
}

fn basic(user: &str, password: &str) -> HeaderValue {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    sensitive(&format!("Basic {pair}")).unwrap_or_else(|| HeaderValue::from_static(""))
}

/// A header value that no log shows.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// The request for a token. A registry that is reached with TLS cannot make us send the login without.
fn token_request(
    endpoint: &Endpoint,
    realm: &str,
    service: Option<&str>,
    scope: &str,
    login: &Login,
) -> Result<Call, RegistryError> {
    let refused = |why: &str| RegistryError::Content {
        what: format!(
            "the registry `{}` sends its logins elsewhere",
            endpoint.registry
        ),
        why: why.to_owned(),
    };
    let mut url = Url::parse(realm).map_err(|_| refused("that is not a URL"))?;
    match url.scheme() {
        "https" => {}
        "http" if endpoint.plain_http => {}
        _ => return Err(refused("to a service that is not reached with TLS")),
    }
    let mut parameters = vec![("scope", scope)];
    parameters.extend(service.map(|service| ("service", service)));
    let what = format!("give a token for {scope}");
    if let Secret::Identity(token) = login.secret() {
        parameters.extend([
            ("grant_type", "refresh_token"),
            ("client_id", "ioc"),
            ("refresh_token", token),
        ]);
        let mut form = url.clone();
        form.query_pairs_mut().clear().extend_pairs(parameters);
        let body = form.query().unwrap_or_default().to_owned();
        return Ok(Call::new(Method::POST, url, what)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.into()));
    }
    url.query_pairs_mut().extend_pairs(parameters);
    Ok(Call::new(Method::GET, url, what))
}

fn token_of(body: &[u8]) -> Option<HeaderValue> {
    #[derive(serde::Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let token = answer.token.or(answer.access_token)?;
    sensitive(&format!("Bearer {token}"))
}
