//! The stream of events, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, stream};
use serde::Deserialize;

use crate::api::problem::Asked;
use crate::api::{Api, Problem};
use crate::stream::Next;

/// Where to begin, and what to leave out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    /// Identifier of the last event that was seen; `Last-Event-ID` counts before it.
    after: Option<String>,
    /// Kinds that are wanted, with commas; all of them if missing.
    kinds: Option<String>,
    /// Only events whose record is at this path or below it.
    path: Option<String>,
}

struct Following {
    api: Api,
    /// `None`: the client has lost events, and is told so before all else.
    after: Option<u64>,
    kinds: Option<Vec<String>>,
    needles: Option<[String; 4]>,
}

pub(super) async fn follow(
    State(api): State<Api>,
    headers: HeaderMap,
    Asked(query): Asked<Query>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let last = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
        .or(query.after);
    let after = match last.as_deref() {
        None | Some("") => Some(api.stream.last()),
        Some(identifier) => api.stream.sequence(identifier),
    };
    let needles = query.path.as_deref().map(needles).transpose()?;
    let following = Following {
        kinds: query.kinds.map(|kinds| {
            kinds
                .split(',')
                .map(|kind| kind.trim().to_owned())
                .collect()
        }),
        api,
        after,
        needles,
    };
    let events = stream::unfold(following, |mut following| async move {
        let events = following.next().await?;
        Some((stream::iter(events.into_iter().map(Ok)), following))
    });
    let events = futures_util::StreamExt::flatten(events);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(10))))
}

/// What the data of events at a path and below it contain: a key, or one of the paths of an audit.
fn needles(path: &str) -> Result<[String; 4], Problem> {
    let path = alarm::AlarmPath::parse(path).map_err(|error| Problem::bad(error.to_string()))?;
    let json = serde_json::Value::from(path.to_string()).to_string();
    let inner = json.trim_matches('"');
    Ok([
        format!(":{inner}\""),
        format!(":{inner}/"),
        format!("\"{inner}\""),
        format!("\"{inner}/"),
    ])
}

impl Following {
    /// The next events for the client; none are left when the server ends.
    async fn next(&mut self) -> Option<Vec<Event>> {
        let Some(after) = self.after else {
            let last = self.api.stream.last();
            self.after = Some(last);
            return Some(vec![self.lost(last)]);
        };
        let stream = Arc::clone(&self.api.stream);
        let next = tokio::select! {
            next = stream.next(after) => next,
            () = self.api.stop.cancelled() => return None,
        };
        match next {
            Next::Lost(last) => {
                self.after = Some(last);
                Some(vec![self.lost(last)])
            }
            Next::Events(events) => {
                self.after = events
                    .last()
                    .map_or(Some(after), |event| Some(event.sequence));
                let wanted = events.into_iter().filter(|event| self.wants(event));
                Some(
                    wanted
                        .map(|event| {
                            Event::default()
                                .id(stream.identifier(event.sequence))
                                .event(event.kind)
                                .data(&*event.data)
                        })
                        .collect(),
                )
            }
        }
    }

    fn lost(&self, last: u64) -> Event {
        Event::default()
            .id(self.api.stream.identifier(last))
            .event("lost")
            .data(r#"{"hint":"events are missing here: read /v1/items again"}"#)
    }

    fn wants(&self, event: &crate::stream::Event) -> bool {
        let is_kind = self
            .kinds
            .as_ref()
            .is_none_or(|kinds| kinds.iter().any(|kind| kind == event.kind));
        let is_place = self.needles.as_ref().is_none_or(|needles| {
            // the path stands in the key, which is what the data begin with, or in the list of an audit
            let key = event.data.split(",\"value\":").next().unwrap_or_default();
            needles.iter().any(|needle| key.contains(needle.as_str()))
        });
        is_kind && is_place
    }
}
