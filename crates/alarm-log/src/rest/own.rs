//! Our own API: pages, several filters, counts over time, CSV. `docs/alarm-history.md` describes it.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Problem, Rest, moment};
use crate::entry::Kind;
use crate::query::{Filter, Order, Pattern, Query, csv};

/// The most entries of a page, and how many there are if nothing says so.
const MOST: usize = 10_000;
const USUAL: usize = 100;
/// The most spans that are counted at once.
const SPANS: i64 = 10_000;

/// `GET /v1/history`
pub(super) async fn history(
    State(rest): State<Rest>,
    RawQuery(text): RawQuery,
) -> Result<Response, Problem> {
    let wanted = Wanted::read(
        &pairs(text.as_deref().unwrap_or_default()),
        Timestamp::now(),
    )?;
    let query = Query {
        filter: wanted.filter,
        order: wanted.order,
        limit: wanted.limit,
        after: wanted.after,
    };
    let page = rest.history.search(query).await?;
    let next = page.next.map(|next| next.to_string());
    if wanted.is_csv {
        let table = csv(&page.entries)
            .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
        let mut response = (kind, table).into_response();
        if let Some(next) = next
            && let Ok(next) = next.parse()
        {
            response.headers_mut().insert("x-next", next);
        }
        return Ok(response);
    }
    Ok(Json(json!({ "entries": page.entries, "next": next })).into_response())
}

/// `GET /v1/history/counts`
pub(super) async fn counts(
    State(rest): State<Rest>,
    RawQuery(text): RawQuery,
) -> Result<Json<Value>, Problem> {
    let now = Timestamp::now();
    let wanted = Wanted::read(&pairs(text.as_deref().unwrap_or_default()), now)?;
    let Some(since) = wanted.filter.since else {
        return Err(Problem::bad("counting needs `since`".to_owned()));
    };
    let until = wanted.filter.until.unwrap_or(now);
    let length = until
        .as_millisecond()
        .saturating_sub(since.as_millisecond());
    if length / wanted.span > SPANS {
        return Err(Problem::bad(format!(
            "these are more than {SPANS} spans: take a longer `span`"
        )));
    }
    let counts = rest.history.count(wanted.filter, wanted.span).await?;
    Ok(Json(
        json!({ "span_seconds": wanted.span / 1000, "counts": counts }),
    ))
}

/// `GET /v1/logger`
pub(super) async fn logger(State(rest): State<Rest>) -> Result<Response, Problem> {
    match &rest.status {
        Some(status) => Ok(Json(status.report()).into_response()),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "no logger runs in this process".to_owned(),
        )),
    }
}

/// Names and values of a query, in their order; a name may come several times.
fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

/// Percent signs and plus signs of a query as what they stand for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = after
                    .get(..2)
                    .and_then(|digits| std::str::from_utf8(digits).ok());
                match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    Some(byte) => {
                        bytes.push(byte);
                        rest = &after[2..];
                    }
                    None => bytes.push(b'%'),
                }
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a request asks for.
#[derive(Debug)]
struct Wanted {
    filter: Filter,
    order: Order,
    limit: usize,
    after: Option<crate::query::Cursor>,
    span: i64,
    is_csv: bool,
}

impl Wanted {
    fn read(pairs: &[(String, String)], now: Timestamp) -> Result<Self, Problem> {
        let mut wanted = Self {
            filter: Filter::default(),
            order: Order::default(),
            limit: USUAL,
            after: None,
            span: 3_600_000,
            is_csv: false,
        };
        for (name, value) in pairs {
            wanted.take(name, value, now)?;
        }
        Ok(wanted)
    }

    fn take(&mut self, name: &str, value: &str, now: Timestamp) -> Result<(), Problem> {
        let filter = &mut self.filter;
        let wrong = |what: &str| Problem::bad(format!("`{value}` is no {what}"));
        let patterns = match name {
            "pv" => Some(&mut filter.pv),
            "key" => Some(&mut filter.key),
            "severity" => Some(&mut filter.severity),
            "current_severity" => Some(&mut filter.current_severity),
            "message" => Some(&mut filter.message),
            "current_message" => Some(&mut filter.current_message),
            "user" => Some(&mut filter.user),
            "host" => Some(&mut filter.host),
            "command" => Some(&mut filter.command),
            _ => None,
        };
        if let Some(patterns) = patterns {
            patterns.push(Pattern::new(value));
            return Ok(());
        }
        match name {
            "at" => filter.at.push(value.to_owned()),
            "kind" => {
                let kind = Kind::from_name(value).ok_or_else(|| wrong("kind of entry"))?;
                filter.kinds.insert(kind);
            }
            "since" => filter.since = Some(moment(value, now)?),
            "until" => filter.until = Some(moment(value, now)?),
            "limit" => {
                let limit: usize = value.parse().map_err(|_wrong| wrong("number of entries"))?;
                if limit > MOST {
                    return Err(Problem::bad(format!("a page has at most {MOST} entries")));
                }
                self.limit = limit;
            }
            "order" => {
                self.order = match value {
                    "newest" => Order::NewestFirst,
                    "oldest" => Order::OldestFirst,
                    _ => return Err(wrong("order: `newest` or `oldest`")),
                };
            }
            "after" => {
                let place = value
                    .parse()
                    .map_err(|_wrong| wrong("place that a page gave"))?;
                self.after = Some(place);
            }
            "span" => {
                let span: jiff::SignedDuration =
                    value.parse().map_err(|_wrong| wrong("span such as `1h`"))?;
                self.span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
                if self.span < 1000 {
                    return Err(wrong("span of a second or more"));
                }
            }
            "format" => {
                self.is_csv = match value {
                    "json" => false,
                    "csv" => true,
                    _ => return Err(wrong("format: `json` or `csv`")),
                };
            }
            other => return Err(Problem::bad(format!("`{other}` is no parameter"))),
        }
        Ok(())
    }
}
