//! The history in Elasticsearch, or OpenSearch: the indices, templates and documents of Phoebus' logger, so that its clients
//! and the dashboards of a site go on.
//!
//! A document is made under the identity of its entry, so one that is there already stays as it is. What the bus carries
//! and Phoebus has no index for is not kept: words for the annunciator, gaps, ends of states.

mod bulk;
mod index;
mod mapping;
mod search;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use self::bulk::{Became, Item};
use crate::entry::Entry;
use crate::phoebus::{self, Index};
use crate::remote::{Body, Fault, Remote};
use crate::sink::{Outcome, Sink, TryLater};

pub use index::Rotation;
pub use search::ElasticsearchHistory;

/// What it is called where something else answers.
const EXPECTED: &str = "Elasticsearch or OpenSearch";
/// The most bytes of one request; one document may be larger.
const REQUEST: usize = 8 << 20;
/// What is busy is asked so often in a row before everything waits.
const ROUNDS: u32 = 4;
/// How long the first of these pauses is; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(100);
/// What was written is made visible at most so often, as Phoebus does; the server itself does it every second.
const REFRESH: Duration = Duration::from_millis(250);

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// When another index begins.
    pub rotation: Rotation,
    /// Whether templates that are missing are made.
    pub templates: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rotation: Rotation::Month,
            templates: true,
        }
    }
}

/// Writes a history.
#[derive(Debug)]
pub struct ElasticsearchSink {
    name: String,
    remote: Remote,
    options: Options,
    /// Whether it has been seen what answers there, and that it has the templates.
    is_known: bool,
    /// Indices whose fields have been seen to be right.
    seen: HashSet<String>,
    refreshed: Option<Instant>,
}

impl ElasticsearchSink {
    /// A history at a service; nothing is sent yet.
    pub fn new(remote: Remote, options: Options) -> Self {
        Self {
            name: format!("elasticsearch:{}", remote.address()),
            remote,
            options,
            is_known: false,
            seen: HashSet::new(),
            refreshed: None,
        }
    }

    /// Looks at the service and at the indices that are written to now: what would fail later is told at once. Writing
    /// does the same when it is its turn, so one that is away now needs no second call.
    ///
    /// # Errors
    ///
    /// Nobody answers, something else does, the login is not known, or an index has foreign fields.
    pub async fn check(&mut self, configurations: &[String]) -> Result<(), Fault> {
        self.know().await?;
        for configuration in configurations {
            for kind in Index::ALL {
                let index = self
                    .options
                    .rotation
                    .name(configuration, kind, Timestamp::now());
                self.see(&index, kind).await?;
            }
        }
        Ok(())
    }

    /// Sees what answers, and makes the templates that are missing.
    async fn know(&mut self) -> Result<(), Fault> {
        if self.is_known {
            return Ok(());
        }
        who(&self.remote).await?;
        if self.options.templates {
            for kind in Index::ALL {
                self.make_template(kind).await?;
            }
        }
        self.is_known = true;
        Ok(())
    }

    async fn make_template(&self, kind: Index) -> Result<(), Fault> {
        let path = format!("_index_template/{}", mapping::template_name(kind));
        let what = "have an index template";
        let there = self.remote.ask(Method::GET, &path, &[], None, what).await;
        match there {
            Ok(answer) if answer.status.is_success() => return Ok(()),
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => {}
            Ok(answer) => return Err(self.remote.refused(what, &answer)),
            // one that may only write has to have been given the templates
            Err(Fault::Denied { unknown: false, .. }) => return Ok(()),
            Err(fault) => return Err(fault),
        }
        let body = Body::json(&mapping::template(kind));
        let create = [("create", "true")];
        let made = self
            .remote
            .ask(Method::PUT, &path, &create, Some(body), what)
            .await?;
        // another logger may have made it meanwhile
        if made.status.is_success() || made.said().contains("already exists") {
            return Ok(());
        }
        Err(self.remote.refused(what, &made))
    }

    /// Sees that the fields of an index are those that are written: of the index itself, or as its templates would make it.
    async fn see(&mut self, index: &str, kind: Index) -> Result<(), Fault> {
        if self.seen.contains(index) {
            return Ok(());
        }
        let fields = match self.mappings(index).await {
            Ok(fields) => fields,
            // one that may only write cannot look; what does not fit is refused document by document
            Err(Fault::Denied { unknown: false, .. }) => Vec::new(),
            Err(fault) => return Err(fault),
        };
        for (name, mapping) in fields {
            if let Some(why) = mapping::foreign(&mapping, kind) {
                return Err(Fault::Foreign {
                    at: self.remote.address().to_owned(),
                    index: name,
                    why,
                });
            }
        }
        self.seen.insert(index.to_owned());
        Ok(())
    }

    async fn mappings(&self, index: &str) -> Result<Vec<(String, Value)>, Fault> {
        if !index::is_usable(index) {
            return Ok(Vec::new());
        }
        let what = "say which fields an index has";
        let path = format!("{index}/_mapping");
        let answer = self.remote.ask(Method::GET, &path, &[], None, what).await?;
        if answer.status.is_success() {
            let found = read(&self.remote, &answer.bytes)?;
            let all = found.as_object().into_iter().flatten();
            return Ok(all
                .map(|(name, index)| (name.clone(), index["mappings"].clone()))
                .collect());
        }
        if answer.status != StatusCode::NOT_FOUND {
            return Err(self.remote.refused(what, &answer));
        }
        let path = format!("_index_template/_simulate_index/{index}");
        let answer = self
            .remote
            .ask(Method::POST, &path, &[], None, what)
            .await?;
        if !answer.status.is_success() {
            return Err(self.remote.refused(what, &answer));
        }
        let found = read(&self.remote, &answer.bytes)?;
        Ok(vec![(
            index.to_owned(),
            found["template"]["mappings"].clone(),
        )])
    }

    async fn write(&mut self, entries: &[Entry]) -> Result<Vec<Outcome>, Fault> {
        self.know().await?;
        let mut outcomes = vec![Outcome::Taken; entries.len()];
        let mut waiting = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            let Some((kind, document)) = phoebus::document(entry) else {
                continue;
            };
            let configuration = phoebus::configuration(entry);
            let index = self.options.rotation.name(&configuration, kind, entry.time);
            self.see(&index, kind).await?;
            match bulk::Item::new(place, &index, &entry.id(), &document) {
                Ok(item) => waiting.push(item),
                Err(error) => outcomes[place] = Outcome::Refused(error.to_string()),
            }
        }
        let mut pause = PAUSE;
        for round in 1.. {
            let mut busy = Vec::new();
            let mut why = String::new();
            for part in bulk::parts(waiting, REQUEST) {
                let became = self.send(&part).await?;
                for (item, became) in part.into_iter().zip(became) {
                    match became {
                        Became::There => {}
                        Became::Refused(reason) => outcomes[item.place] = Outcome::Refused(reason),
                        Became::Busy(reason) => {
                            why = reason;
                            busy.push(item);
                        }
                    }
                }
            }
            if busy.is_empty() {
                break;
            }
            if round == ROUNDS {
                return Err(Fault::Busy {
                    at: self.remote.address().to_owned(),
                    what: format!("take {} of {} documents", busy.len(), entries.len()),
                    said: why,
                });
            }
            tracing::debug!("{}: {} documents again: {why}", self.name, busy.len());
            waiting = busy;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(outcomes)
    }

    /// Sends documents; says of each what became of it. What is too much at once is sent in halves.
    fn send<'a>(&'a mut self, items: &'a [Item]) -> BoxFuture<'a, Result<Vec<Became>, Fault>> {
        async move {
            let what = "take documents";
            let is_time = self
                .refreshed
                .is_none_or(|before| before.elapsed() >= REFRESH);
            let query = [
                ("filter_path", "errors,items.*.status,items.*.error"),
                ("refresh", if is_time { "true" } else { "false" }),
            ];
            let body = Body {
                kind: "application/x-ndjson",
                bytes: bulk::lines(items),
            };
            let answer = self
                .remote
                .ask(Method::POST, "_bulk", &query, Some(body), what)
                .await?;
            if answer.status == StatusCode::PAYLOAD_TOO_LARGE {
                if let [_one] = items {
                    return Ok(vec![Became::Refused(answer.said())]);
                }
                let (first, second) = items.split_at(items.len() / 2);
                let mut became = self.send(first).await?;
                became.extend(self.send(second).await?);
                return Ok(became);
            }
            if !answer.status.is_success() {
                return Err(self.remote.refused(what, &answer));
            }
            if is_time {
                self.refreshed = Some(Instant::now());
            }
            bulk::read(&answer.bytes, items.len()).map_err(|why| strange(&self.remote, why))
        }
        .boxed()
    }
}

impl Sink for ElasticsearchSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn write<'a>(
        &'a mut self,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<Vec<Outcome>, TryLater>> {
        async move {
            let written = self.write(entries).await;
            if written.is_err() {
                // whoever answers next may be another, or the same without what it had
                self.is_known = false;
                self.seen.clear();
            }
            Ok(written?)
        }
        .boxed()
    }
}

/// Sees that it is Elasticsearch or OpenSearch that answers, of a version that is known to work.
async fn who(remote: &Remote) -> Result<(), Fault> {
    let what = "say what it is";
    let answer = match remote.ask(Method::GET, "", &[], None, what).await {
        // a key that may only write may not ask that
        Err(Fault::Denied { unknown: false, .. }) => return Ok(()),
        other => other?,
    };
    let refused = remote.refused(what, &answer);
    if !answer.status.is_success() && refused.may_pass() {
        return Err(refused);
    }
    let about: Value = serde_json::from_slice(&answer.bytes).unwrap_or_default();
    let Some(version) = about.pointer("/version/number").and_then(Value::as_str) else {
        return Err(strange(
            remote,
            format!("it does not say its version, but: {}", answer.said()),
        ));
    };
    let is_opensearch = about.pointer("/version/distribution") == Some(&"opensearch".into());
    let mut numbers = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    // composable index templates are of 7.8
    if !is_opensearch && number < (7, 8) {
        return Err(strange(
            remote,
            format!("it is version {version}, and 7.8 is the first that will do"),
        ));
    }
    Ok(())
}

fn read(remote: &Remote, bytes: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(bytes).map_err(|error| strange(remote, error.to_string()))
}

fn strange(remote: &Remote, why: String) -> Fault {
    Fault::Strange {
        at: remote.address().to_owned(),
        expected: EXPECTED,
        why,
    }
}
