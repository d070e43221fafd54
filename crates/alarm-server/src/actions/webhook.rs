//! `webhook:`, `slack:`, `teams:` and `mattermost:`: JSON by HTTP to hosts of an allow-list, or to addresses that are
//! secrets of the server.

use std::collections::BTreeMap;
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::actions::notify::{Kind, Outgoing};
use crate::actions::{ActionError, SetupError};
use crate::secrets::{self, SecretError};
use crate::settings::WebhookSettings;

/// Shortest secret that calls are signed with, in bytes.
const SHORTEST_SECRET: usize = 16;
/// Whoever asks for more time than this gets no more.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Calls webhooks.
pub(super) struct Webhooks {
    settings: WebhookSettings,
    client: Option<Client>,
    /// Addresses of channels by kind and name.
    channels: BTreeMap<(Kind, String), Url>,
    secret: Option<Vec<u8>>,
}

impl Webhooks {
    pub(super) fn new(settings: WebhookSettings) -> Result<Self, SetupError> {
        let mut channels = BTreeMap::new();
        let kinds = [
            (Kind::Slack, &settings.slack),
            (Kind::Teams, &settings.teams),
            (Kind::Mattermost, &settings.mattermost),
        ];
        for (kind, named) in kinds {
            for (channel, path) in named {
                let text = secrets::read(path)?;
                let url = Url::parse(text.trim()).map_err(|error| SecretError::Content {
                    path: path.clone(),
                    why: format!("holds no address: {error}"),
                })?;
                channels.insert((kind, bare(channel).to_owned()), url);
            }
        }
        let secret = match &settings.secret {
            None => None,
            Some(path) => {
                let text = secrets::read(path)?;
                let secret = text.trim().as_bytes().to_vec();
                if secret.len() < SHORTEST_SECRET {
                    return Err(SetupError::Secret(SecretError::Content {
                        path: path.clone(),
                        why: format!("has fewer than {SHORTEST_SECRET} characters"),
                    }));
                }
                Some(secret)
            }
        };
        let is_used = !channels.is_empty() || !settings.allowed_hosts.is_empty();
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
            channels,
            secret,
        })
    }

    /// Posts a message.
    pub(super) async fn send(&self, message: &Outgoing) -> Result<(), ActionError> {
        let url = self.address(message)?;
        let Some(client) = &self.client else {
            return Err(ActionError::Refused("no host may be called".to_owned()));
        };
        let body = match message.kind {
            Kind::Webhook | Kind::Mailto => message.body.clone(),
            Kind::Slack => json!({ "text": slack_text(&both(message)) }).to_string(),
            Kind::Mattermost => json!({ "text": both(message) }).to_string(),
            Kind::Teams => card(message).to_string(),
        };
        let mut request = client.post(url).header("content-type", "application/json");
        if message.kind == Kind::Webhook {
            let now = jiff::Timestamp::now().as_second();
            request = self.signed(request, &message.id, now, &body);
        }
        let answer = request.body(body).send().await.map_err(|error| {
            let is_connection = error.is_connect();
            // addresses may hold secrets
            let why = told(&error.without_url());
            if is_connection {
                ActionError::Later { why, after: None }
            } else {
                ActionError::Unknown(why)
            }
        })?;
        judged(
            answer.status(),
            answer.headers().get("retry-after").map(|value| {
                let seconds = value.to_str().ok().and_then(|text| text.parse().ok());
                Duration::from_secs(seconds.unwrap_or(0)).min(LONGEST_WAIT)
            }),
        )
    }

    /// Where a message goes: a channel of the settings, or an address whose host is allowed.
    fn address(&self, message: &Outgoing) -> Result<Url, ActionError> {
        let target = message.target.as_str();
        let named = (message.kind, bare(target).to_owned());
        if let Some(url) = self.channels.get(&named) {
            return Ok(url.clone());
        }
        if message.kind != Kind::Webhook && !target.contains("://") {
            return Err(ActionError::Refused(
                "no address is set for that channel".to_owned(),
            ));
        }
        let url = Url::parse(target)
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
        if is_allowed {
            Ok(url)
        } else {
            Err(ActionError::Refused(format!(
                "`{with_port}` is not among the hosts that this server may call"
            )))
        }
    }

    /// Says who calls: HMAC-SHA256 over time, identity and body, so that nobody can send an old call again unnoticed.
    fn signed(&self, request: RequestBuilder, id: &str, now: i64, body: &str) -> RequestBuilder {
        let request = request
            .header("ioc-id", id)
            .header("ioc-timestamp", now.to_string());
        match &self.secret {
            Some(secret) => request.header(
                "ioc-signature",
                format!("sha256={}", signature(secret, id, now, body)),
            ),
            None => request,
        }
    }
}

/// Lower-case digits of HMAC-SHA256 over `TIMESTAMP.ID.BODY`.
fn signature(secret: &[u8], id: &str, now: i64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        // a key of any length is one
        return String::new();
    };
    mac.update(format!("{now}.{id}.{body}").as_bytes());
    mac.finalize()
        .into_bytes()
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn bare(channel: &str) -> &str {
    channel.trim_start_matches('#')
}

fn both(message: &Outgoing) -> String {
    format!("{}\n{}", message.subject, message.body)
}

/// Slack reads `<…>` as links and as calls of people (Slack documentation, "Formatting text": the three characters).
fn slack_text(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// An adaptive card, as workflows of Teams take it.
fn card(message: &Outgoing) -> Value {
    let block = |text: &str, weight: &str| json!({"type": "TextBlock", "text": text, "weight": weight, "wrap": true});
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                // a line break in a text block is an empty line
                "body": [block(&message.subject, "Bolder"), block(&message.body.replace('\n', "\n\n"), "Default")],
            },
        }],
    })
}

/// What a status means for what was sent.
fn judged(status: StatusCode, after: Option<Duration>) -> Result<(), ActionError> {
    let why = format!("answered with {status}");
    match status.as_u16() {
        200..=299 => Ok(()),
        408 | 425 | 429 | 500 | 502 | 503 => Err(ActionError::Later { why, after }),
        // somebody on the way has not waited for the answer
        504 => Err(ActionError::Unknown(why)),
        _ => Err(ActionError::Failed(why)),
    }
}

/// An error with what is below it.
fn told(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let below = cause.to_string();
        if !text.contains(&below) {
            text = format!("{text}: {below}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_time_identity_and_body() {
        // printf '1790000000.7-1.{}' | openssl dgst -sha256 -hmac a-secret-of-some-length
        let expected = signature(b"a-secret-of-some-length", "7-1", 1_790_000_000, "{}");
        assert_eq!(
            expected,
            "bbdc4ef9c21110fd03a76fcd4e432ac99b809ba2fd4a864af039fead6d1c0b31"
        );
        for (id, now, body) in [("7-2", 0, "{}"), ("7-1", 1, "{}"), ("7-1", 0, "{ }")] {
            let other = signature(b"a-secret-of-some-length", id, 1_790_000_000 + now, body);
            assert_ne!(expected, other);
        }
    }

    #[test]
    fn only_what_was_surely_not_taken_is_tried_again() {
        let status = |code| StatusCode::from_u16(code).unwrap();
        assert!(judged(status(204), None).is_ok());
        let after = Some(Duration::from_secs(7));
        assert!(matches!(
            judged(status(429), after),
            Err(ActionError::Later { after: Some(_), .. })
        ));
        assert!(matches!(
            judged(status(504), None),
            Err(ActionError::Unknown(_))
        ));
        for code in [301, 400, 403, 404, 410] {
            assert!(matches!(
                judged(status(code), None),
                Err(ActionError::Failed(_))
            ));
        }
    }

    #[test]
    fn slack_calls_nobody() {
        assert_eq!(
            slack_text("a < b & <!channel>"),
            "a &lt; b &amp; &lt;!channel&gt;"
        );
    }
}
