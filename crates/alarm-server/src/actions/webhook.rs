//! `webhook:` and `slack:`: JSON by HTTP to hosts of an allow-list.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::json;

use crate::actions::{ActionError, SetupError};
use crate::secrets::{self, SecretError};
use crate::settings::WebhookSettings;

/// Calls webhooks.
pub(super) struct Webhooks {
    settings: WebhookSettings,
    client: Option<Client>,
    /// Addresses of channels by name.
    slack: BTreeMap<String, Url>,
}

impl Webhooks {
    pub(super) fn new(settings: WebhookSettings) -> Result<Self, SetupError> {
        let mut slack = BTreeMap::new();
        for (channel, path) in &settings.slack {
            let text = secrets::read(path)?;
            let url = Url::parse(text.trim()).map_err(|error| SecretError::Content {
                path: path.clone(),
                why: format!("holds no address: {error}"),
            })?;
            slack.insert(channel.trim_start_matches('#').to_owned(), url);
        }
        let is_used = !slack.is_empty() || !settings.allowed_hosts.is_empty();
        let client = is_used
            .then(|| {
                Client::builder()
                    // a redirect could lead anywhere
                    .redirect(Policy::none())
                    .timeout(settings.timeout)
                    .connect_timeout(settings.timeout.min(Duration::from_secs(5)))
                    .build()
            })
            .transpose()
            .map_err(|error| SetupError::Webhook(error.to_string()))?;
        Ok(Self {
            settings,
            client,
            slack,
        })
    }

    /// Posts JSON to an address whose host is allowed.
    pub(super) async fn call(&self, address: &str, body: String) -> Result<(), ActionError> {
        let url = Url::parse(address)
            .map_err(|error| ActionError::Refused(format!("that is no address: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ActionError::Refused(format!(
                "`{}` is neither http nor https",
                url.scheme()
            )));
        }
        let host = url.host_str().unwrap_or_default();
        let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or(0));
        let is_allowed = self
            .settings
            .allowed_hosts
            .iter()
            .any(|allowed| *allowed == with_port || (*allowed == host && url.port().is_none()));
        if !is_allowed {
            return Err(ActionError::Refused(format!(
                "`{with_port}` is not among the hosts that this server may call"
            )));
        }
        self.post(url, body).await
    }

    /// Posts to the address of a channel of the settings, or to an address whose host is allowed.
    pub(super) async fn slack(&self, target: &str, text: &str) -> Result<(), ActionError> {
        let body = json!({ "text": text }).to_string();
        match self.slack.get(target.trim_start_matches('#')) {
            Some(url) => self.post(url.clone(), body).await,
            None if target.contains("://") => self.call(target, body).await,
            None => Err(ActionError::Refused(
                "no address is set for that channel".to_owned(),
            )),
        }
    }

    async fn post(&self, url: Url, body: String) -> Result<(), ActionError> {
        let Some(client) = &self.client else {
            return Err(ActionError::Refused("no host may be called".to_owned()));
        };
        let answer = client
            .post(url)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            // addresses may hold secrets
            .map_err(|error| ActionError::Failed(error.without_url().to_string()))?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(ActionError::Failed(format!(
                "answered with {}",
                answer.status()
            )))
        }
    }
}
