//! What Phoebus' logger answers.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, Query as Parameters, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::json;

use super::{Problem, Rest, moment};
use crate::entry::Kind;
use crate::phoebus::{Hit, hit};
use crate::query::{Filter, Order, Pattern, Query};

/// The most hits of an answer, and how many there are if nothing says so (`es_max_size`).
const MOST: usize = 1000;

type Words = HashMap<String, String>;

/// `GET /`
pub(super) async fn about(State(rest): State<Rest>) -> Response {
    let elastic = match rest.history.search(Query::newest(1)).await {
        Ok(_page) => json!({
            "status": "Connected",
            "clusterName": rest.history.name(),
            "clusterUuid": "",
            "version": env!("CARGO_PKG_VERSION"),
        }),
        Err(error) => json!({ "status": format!("Failed to connect to elastic {error}") }),
    };
    let body = json!({
        "name": "Alarm logging Service",
        "version": env!("CARGO_PKG_VERSION"),
        "elastic": elastic,
    });
    let kind = [(header::CONTENT_TYPE, "text/plain;charset=UTF-8")];
    (kind, body.to_string()).into_response()
}

/// `GET /actuator/health`
pub(super) async fn health(State(rest): State<Rest>) -> Response {
    let (status, word) = match rest.history.search(Query::newest(1)).await {
        Ok(_page) => (StatusCode::OK, "UP"),
        Err(error) => {
            tracing::warn!("{error}");
            (StatusCode::SERVICE_UNAVAILABLE, "DOWN")
        }
    };
    let kind = [(
        header::CONTENT_TYPE,
        "application/vnd.spring-boot.actuator.v3+json",
    )];
    (status, kind, json!({ "status": word }).to_string()).into_response()
}

/// `GET /search/alarm`
pub(super) async fn search(
    State(rest): State<Rest>,
    Parameters(words): Parameters<Words>,
) -> Result<Json<Vec<Hit>>, Problem> {
    let (filter, size) = wanted(&words, Timestamp::now())?;
    hits(&rest, filter, size).await.map(Json)
}

/// `GET /search/alarm/pv/{pv}`
pub(super) async fn search_pv(
    State(rest): State<Rest>,
    Path(pv): Path<String>,
) -> Result<Json<Vec<Hit>>, Problem> {
    let words = HashMap::from([("pv".to_owned(), pv)]);
    let (filter, size) = wanted(&words, Timestamp::now())?;
    hits(&rest, filter, size).await.map(Json)
}

/// `GET /search/alarm/config`: the newest configuration of an item.
pub(super) async fn configuration(
    State(rest): State<Rest>,
    Parameters(words): Parameters<Words>,
) -> Result<Response, Problem> {
    let Some(config) = words.get("config") else {
        let body = json!({
            "timestamp": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string(),
            "status": 400,
            "error": "Bad Request",
            "path": "/search/alarm/config",
        });
        return Ok((StatusCode::BAD_REQUEST, Json(body)).into_response());
    };
    let filter = Filter {
        kinds: [Kind::Config].into(),
        key: vec![Pattern::new(format!("*{}*", config.replace('\\', "")))],
        ..Filter::default()
    };
    Ok(Json(hits(&rest, filter, 1).await?).into_response())
}

/// What the parameters ask for; names that mean nothing are passed over, as Phoebus does.
pub(super) fn wanted(words: &Words, now: Timestamp) -> Result<(Filter, usize), Problem> {
    let word = |name: &str| {
        words
            .get(name)
            .map(String::as_str)
            .filter(|word| *word != "*")
    };
    let pattern = |name: &str| word(name).map(Pattern::new).into_iter().collect();
    let upper = |name: &str| {
        let word = word(name).map(|word| Pattern::new(word.to_uppercase()));
        word.into_iter().collect()
    };
    let time = |name: &str| word(name).map(|text| moment(text, now)).transpose();
    let filter = Filter {
        kinds: [Kind::State, Kind::Command, Kind::Config, Kind::Deletion].into(),
        key: word("pv")
            .map(|pv| Pattern::new(format!("*{}*", pv.replace('\\', ""))))
            .into_iter()
            .collect(),
        severity: upper("severity"),
        current_severity: upper("current_severity"),
        message: pattern("message"),
        current_message: pattern("current_message"),
        user: pattern("user"),
        host: pattern("host"),
        enabled: match word("command") {
            Some(word) if word.eq_ignore_ascii_case("enabled") => Some(true),
            Some(word) if word.eq_ignore_ascii_case("disabled") => Some(false),
            // Phoebus knows no others, and finds everything
            _ => None,
        },
        at: word("root")
            .map(|roots| roots.split(',').map(str::trim))
            .into_iter()
            .flatten()
            .filter(|root| !root.is_empty())
            .map(|root| format!("/{root}"))
            .collect(),
        since: time("start")?,
        until: time("end")?,
        ..Filter::default()
    };
    let size = match words.get("size") {
        None => MOST,
        Some(text) => text
            .parse::<usize>()
            .map_err(|_wrong| Problem::bad(format!("`{text}` is no number of hits")))?
            .min(MOST),
    };
    Ok((filter, size))
}

/// The newest entries that Phoebus knows, page by page since some have no hit.
async fn hits(rest: &Rest, filter: Filter, size: usize) -> Result<Vec<Hit>, Problem> {
    let mut found = Vec::new();
    let mut query = Query {
        filter,
        order: Order::NewestFirst,
        limit: size,
        after: None,
    };
    while found.len() < size {
        let page = rest.history.search(query.clone()).await?;
        let wanted = size - found.len();
        found.extend(page.entries.iter().filter_map(hit).take(wanted));
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    Ok(found)
}
