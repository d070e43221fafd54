//! Searching what is in the indices, whether our logger or that of Phoebus wrote it.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::index::is_usable;
use super::{read, strange, who};
use crate::entry::Kind;
use crate::import::{self, Exported};
use crate::phoebus::{Index, root};
use crate::query::{Count, Counting, Cursor, Filter, History, NoAnswer, Order, Page, Query};
use crate::remote::{Body, Fault, Remote};

mod wanted;

use wanted::wanted;

/// The most documents of an answer (`index.max_result_window`).
const MOST: usize = 10_000;
/// The most counts of an answer.
const COUNTS: usize = 5_000;
/// Spans that are longer than all history are one, in milliseconds: a thousand years.
const LONGEST: i64 = 31_557_600_000_000;

/// How long a service that is busy is left alone before it is asked once more.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(900),
];
/// What Phoebus' logger has indices for.
const KEPT: [Kind; 4] = [Kind::State, Kind::Command, Kind::Config, Kind::Deletion];

/// Searches a history.
#[derive(Debug, Clone)]
pub struct ElasticsearchHistory {
    remote: Remote,
}

/// What is asked of the server, for messages.
const WHAT: &str = "search";

impl ElasticsearchHistory {
    /// A history at a service; nothing is sent yet.
    pub fn new(remote: Remote) -> Self {
        Self { remote }
    }

    /// Sees that it is there.
    ///
    /// # Errors
    ///
    /// Nobody answers, something else does, or the login is not known.
    pub async fn check(&self) -> Result<(), Fault> {
        who(&self.remote).await
    }

    /// Asks; what has just been made, or is busy, answers a moment later.
    async fn ask(&self, indices: &str, body: &Value) -> Result<Value, Fault> {
        for pause in PAUSES {
            match self.ask_once(indices, body).await {
                Err(Fault::Busy { .. }) => tokio::time::sleep(pause).await,
                other => return other,
            }
        }
        self.ask_once(indices, body).await
    }

    async fn ask_once(&self, indices: &str, body: &Value) -> Result<Value, Fault> {
        let query = [
            ("ignore_unavailable", "true"),
            ("allow_no_indices", "true"),
            // what is found in some places only would look like all there is
            ("allow_partial_search_results", "false"),
        ];
        let answer = self
            .remote
            .ask(
                Method::POST,
                &format!("{indices}/_search"),
                &query,
                Some(Body::json(body)),
                WHAT,
            )
            .await?;
        if answer.status != StatusCode::OK {
            return Err(self.remote.refused(WHAT, &answer));
        }
        let found = read(&self.remote, &answer.bytes)?;
        if found["timed_out"] == true || found.pointer("/_shards/failed") != Some(&json!(0)) {
            return Err(Fault::Busy {
                at: self.remote.address().to_owned(),
                what: WHAT.to_owned(),
                said: "some of its shards have not answered".to_owned(),
            });
        }
        Ok(found)
    }

    async fn search(&self, query: &Query) -> Result<Page, Fault> {
        let (indices, filter) = self.of(&query.filter)?;
        let mut page = Page::default();
        let mut place = query.after.map(Place::of);
        loop {
            let missing = query.limit - page.entries.len();
            let ties = place.as_ref().map_or(0, |place| place.given);
            // one more than wanted says whether there is another page
            let size = missing.saturating_add(ties).saturating_add(1).min(MOST);
            let mut found = self
                .ask(&indices, &body(&filter, query.order, size, place.as_ref()))
                .await?;
            let hits: Vec<Found> = serde_json::from_value(found["hits"]["hits"].take())
                .map_err(|error| strange(&self.remote, error.to_string()))?;
            let is_all = hits.len() < size;
            for hit in hits.into_iter().skip(ties) {
                if page.entries.len() == query.limit {
                    page.next = place.map(Place::cursor);
                    return Ok(page);
                }
                place = Some(Place::after(place.as_ref(), hit.sort.0, hit.sort.1));
                let index = hit.document.index.clone();
                match import::document(hit.document) {
                    Ok(entry) => page.entries.push(entry),
                    Err(error) => {
                        return Err(strange(&self.remote, format!("in `{index}`, {error}")));
                    }
                }
            }
            if is_all {
                return Ok(page);
            }
        }
    }

    async fn count(&self, filter: &Filter, span: i64) -> Result<Vec<Count>, Fault> {
        let span = span.clamp(1, LONGEST);
        // that nothing of what is asked for is kept is said
        self.of(filter)?;
        let mut counting = Counting::by(span);
        for kind in KEPT {
            if !filter.kinds.is_empty() && !filter.kinds.contains(&kind) {
                continue;
            }
            let of_kind = Filter {
                kinds: [kind].into(),
                ..filter.clone()
            };
            let (indices, wanted) = self.of(&of_kind)?;
            self.count_kind(kind, &indices, &wanted, span, &mut counting)
                .await?;
        }
        Ok(counting.finish())
    }

    async fn count_kind(
        &self,
        kind: Kind,
        indices: &str,
        wanted: &Value,
        span: i64,
        counting: &mut Counting,
    ) -> Result<(), Fault> {
        let mut sources = vec![json!({ "begin": {
            "date_histogram": { "field": "message_time", "fixed_interval": format!("{span}ms") }
        } })];
        if kind == Kind::State {
            sources.push(json!({ "of": {
                "terms": { "field": "severity", "missing_bucket": true }
            } }));
        }
        let mut after = None;
        loop {
            let mut composite = json!({ "size": COUNTS, "sources": sources });
            if let Some(after) = &after {
                composite["after"] = Value::clone(after);
            }
            let body = json!({
                "size": 0,
                "query": wanted,
                "aggs": { "counts": { "composite": composite } },
            });
            let found = self.ask(indices, &body).await?;
            let buckets = found.pointer("/aggregations/counts/buckets");
            let buckets = buckets.and_then(Value::as_array);
            for bucket in buckets.into_iter().flatten() {
                let begin = bucket.pointer("/key/begin").and_then(Value::as_i64);
                let of = match kind {
                    Kind::State => bucket.pointer("/key/of").and_then(Value::as_str),
                    other => Some(other.name()),
                };
                let count = bucket["doc_count"].as_u64().unwrap_or(0);
                counting.add(begin.unwrap_or(0), of.unwrap_or("UNKNOWN"), count);
            }
            after = found.pointer("/aggregations/counts/after_key").cloned();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// The indices that have what is wanted, and the condition.
    fn of(&self, filter: &Filter) -> Result<(String, Value), Fault> {
        if !filter.kinds.is_empty() && !KEPT.iter().any(|kind| filter.kinds.contains(kind)) {
            let names: Vec<&str> = filter.kinds.iter().map(|kind| kind.name()).collect();
            return Err(Fault::Unable {
                at: self.remote.address().to_owned(),
                why: format!(
                    "keeps no `{}`: Phoebus' logger has no index for it",
                    names.join("`, `")
                ),
            });
        }
        let kinds = Index::ALL.into_iter().filter(|index| {
            let of_index: &[Kind] = match index {
                Index::State => &[Kind::State],
                Index::Command => &[Kind::Command],
                Index::Config => &[Kind::Config, Kind::Deletion],
            };
            filter.kinds.is_empty() || of_index.iter().any(|kind| filter.kinds.contains(kind))
        });
        let configurations = configurations(filter);
        let names: Vec<String> = kinds
            .flat_map(|index| {
                let names = configurations.iter();
                names.map(move |name| format!("{name}_alarms_{}*", index.word()))
            })
            .collect();
        Ok((names.join(","), wanted(filter)))
    }
}

/// What the names of indices begin with: configurations if a filter names some, else anything.
fn configurations(filter: &Filter) -> BTreeSet<String> {
    let roots = filter.at.iter().map(|at| {
        let name = root(at)?.to_lowercase();
        is_usable(&name).then_some(name)
    });
    match roots.collect::<Option<BTreeSet<String>>>() {
        Some(names) if !names.is_empty() => names,
        _ => BTreeSet::from(["*".to_owned()]),
    }
}

#[derive(Debug, Deserialize)]
struct Found {
    #[serde(flatten)]
    document: Exported,
    /// Time in milliseconds, number of the change in its index, index.
    sort: (i64, i64, String),
}

/// A place between two documents. What is asked for is ordered by time, number of the change (which is one of its index)
/// and index; of those that have time and number in common some may have been given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    time: i64,
    number: i64,
    given: usize,
}

/// So many documents of different indices may have time and number in common.
const TIES: i64 = 1 << 10;

impl Place {
    fn of(cursor: Cursor) -> Self {
        Self {
            time: cursor.time,
            number: cursor.place / TIES,
            given: usize::try_from(cursor.place % TIES).unwrap_or(0),
        }
    }

    fn cursor(self) -> Cursor {
        let given = i64::try_from(self.given).unwrap_or(0).min(TIES - 1);
        Cursor {
            time: self.time,
            place: self.number.saturating_mul(TIES).saturating_add(given),
        }
    }

    fn after(before: Option<&Self>, time: i64, number: i64) -> Self {
        let given = match before {
            Some(before) if (before.time, before.number) == (time, number) => before.given + 1,
            _ => 1,
        };
        Self {
            time,
            number,
            given,
        }
    }
}

fn body(filter: &Value, order: Order, size: usize, after: Option<&Place>) -> Value {
    // before all indices in the order in which they come
    let (direction, first) = match order {
        Order::NewestFirst => ("desc", "\u{10ffff}"),
        Order::OldestFirst => ("asc", ""),
    };
    let mut body = json!({
        "size": size,
        "track_total_hits": false,
        "query": filter,
        "sort": [
            { "message_time": { "order": direction, "unmapped_type": "date" } },
            { "_seq_no": direction },
            { "_index": direction },
        ],
    });
    if let Some(place) = after {
        body["search_after"] = json!([place.time, place.number, first]);
    }
    body
}

impl History for ElasticsearchHistory {
    fn name(&self) -> String {
        format!("elasticsearch:{}", self.remote.address())
    }

    fn keeps(&self, kind: Kind) -> bool {
        KEPT.contains(&kind)
    }

    fn search(&self, query: Query) -> BoxFuture<'_, Result<Page, NoAnswer>> {
        async move { Ok(Self::search(self, &query).await?) }.boxed()
    }

    fn count(&self, filter: Filter, span: i64) -> BoxFuture<'_, Result<Vec<Count>, NoAnswer>> {
        async move { Ok(Self::count(self, &filter, span).await?) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn only_the_indices_that_can_have_it_are_asked() {
        let rows: [(&[&str], &[&str]); 5] = [
            (&[], &["*"]),
            (&["/Accelerator/A/t:ai1", "/Demo"], &["accelerator", "demo"]),
            (&["/"], &["*"]),
            // no index can have that name: then it is looked for everywhere, and nowhere found
            (&["/A,*", "/Demo"], &["*"]),
            (&["Demo/x"], &["demo"]),
        ];
        for (at, expected) in rows {
            let filter = Filter {
                at: at.iter().map(|at| (*at).to_owned()).collect(),
                ..Filter::default()
            };
            let found: Vec<String> = configurations(&filter).into_iter().collect();
            assert_eq!(found, expected, "{at:?}");
        }
    }

    #[test]
    fn a_place_comes_back_from_its_text() {
        let place = Place {
            time: 1_795_324_265_639,
            number: 49_999,
            given: 3,
        };
        assert_eq!(Place::of(place.cursor()), place);
        let next = Place::after(Some(&place), place.time, place.number);
        assert_eq!(next.given, 4);
        assert_eq!(Place::after(Some(&place), place.time, 50_000).given, 1);
    }
}
