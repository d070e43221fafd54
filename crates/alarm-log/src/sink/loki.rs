//! The history in Loki: a line of JSON for each entry, as in files of lines, in streams of few labels.
//!
//! Labels are `config`, `kind` and, of the severities that EPICS and Phoebus know, `severity`; PV, user and host stand beside
//! the line as structured metadata. Time and text of a line follow from the entry, and Loki gives what is there twice
//! once: so what is given again changes nothing.

mod push;
mod search;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use self::push::Line;
use crate::entry::Entry;
use crate::remote::{Answer, Body, Fault, Remote};
use crate::sink::{Outcome, Sink, TryLater};

pub use search::LokiHistory;

/// What it is called where something else answers.
const EXPECTED: &str = "Loki";
/// The most bytes of one request; one line may be larger. Loki takes no request that is larger than its burst, 6 MB unless
/// it is told otherwise.
const REQUEST: usize = 1 << 20;

/// Writes a history.
#[derive(Debug)]
pub struct LokiSink {
    name: String,
    remote: Remote,
}

impl LokiSink {
    /// A history at a service; nothing is sent yet.
    pub fn new(remote: Remote) -> Self {
        Self {
            name: format!("loki:{}", remote.address()),
            remote,
        }
    }

    /// Looks at the service: what would fail later is told at once.
    ///
    /// # Errors
    ///
    /// Nobody answers, something else does, or the login is not known.
    pub async fn check(&self) -> Result<(), Fault> {
        who(&self.remote).await
    }

    async fn write(&self, entries: &[Entry]) -> Result<Vec<Outcome>, Fault> {
        let mut outcomes = Vec::with_capacity(entries.len());
        let lines: Result<Vec<Line>, _> = entries.iter().map(Line::new).collect();
        let lines = lines.map_err(|error| strange(&self.remote, error.to_string()))?;
        for part in push::parts(&lines, REQUEST) {
            outcomes.extend(self.send(part).await?);
        }
        Ok(outcomes)
    }

    /// Sends lines; says of each what became of it. Of a refusal Loki does not say which lines it means, and it has taken the
    /// others: they are sent again in halves.
    fn send<'a>(&'a self, lines: &'a [Line]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        async move {
            let what = "take lines";
            let body = Body::json(&push::body(lines));
            let answer = self
                .remote
                .ask(Method::POST, "loki/api/v1/push", &[], Some(body), what)
                .await?;
            if answer.status.is_success() {
                return Ok(vec![Outcome::Taken; lines.len()]);
            }
            if !is_about_lines(&answer) {
                return Err(self.remote.refused(what, &answer));
            }
            if let [_one] = lines {
                return Ok(vec![Outcome::Refused(answer.said())]);
            }
            let (first, second) = lines.split_at(lines.len() / 2);
            let mut outcomes = self.send(first).await?;
            outcomes.extend(self.send(second).await?);
            Ok(outcomes)
        }
        .boxed()
    }
}

/// Whether a refusal is about what was sent (too old, too far behind, too long), rather than about how Loki is set up.
fn is_about_lines(answer: &Answer) -> bool {
    match answer.status {
        StatusCode::PAYLOAD_TOO_LARGE => true,
        StatusCode::BAD_REQUEST => !answer.said().contains("structured metadata"),
        _ => false,
    }
}

impl Sink for LokiSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn write<'a>(
        &'a mut self,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<Vec<Outcome>, TryLater>> {
        async move { Ok(Self::write(self, entries).await?) }.boxed()
    }
}

/// Sees that it is Loki that answers.
async fn who(remote: &Remote) -> Result<(), Fault> {
    let what = "say which labels it has";
    let answer = match remote
        .ask(Method::GET, "loki/api/v1/labels", &[], None, what)
        .await
    {
        // somebody who may only write may not ask that
        Err(Fault::Denied { unknown: false, .. }) => return Ok(()),
        other => other?,
    };
    let refused = remote.refused(what, &answer);
    if !answer.status.is_success() && refused.may_pass() {
        return Err(refused);
    }
    let said: Value = serde_json::from_slice(&answer.bytes).unwrap_or_default();
    if said["status"] == "success" {
        return Ok(());
    }
    Err(strange(
        remote,
        format!("asked for labels, it says: {}", answer.said()),
    ))
}

fn strange(remote: &Remote, why: String) -> Fault {
    Fault::Strange {
        at: remote.address().to_owned(),
        expected: EXPECTED,
        why,
    }
}
