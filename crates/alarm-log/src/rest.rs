//! HTTP: the REST API of Phoebus' alarm logger, and our own beside it.
//!
//! Answers of the first have the fields and formats of Phoebus 5.0.5, so that its client works; what is answered
//! differently stands in `docs/alarm-history.md`. Errors are errors: no list is empty because a search failed.

mod own;
mod phoebus;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use crate::query::{History, NoAnswer};
use crate::status::Status;

/// What the handlers share.
#[derive(Clone)]
pub struct Rest {
    history: Arc<dyn History>,
    status: Option<Arc<Status>>,
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("Rest")
            .field(&self.history.name())
            .finish()
    }
}

impl Rest {
    /// Answers from a history; with the state of the logger, if one runs in this process.
    pub fn new(history: Arc<dyn History>, status: Option<Arc<Status>>) -> Self {
        Self { history, status }
    }

    /// The routes of the history alone, for mounting beside others: `/search/…` and `/v1/history…`.
    pub fn routes(self) -> Router {
        Router::new()
            .route("/search/alarm", get(phoebus::search))
            .route("/search/alarm/pv/{pv}", get(phoebus::search_pv))
            .route("/search/alarm/config", get(phoebus::configuration))
            .route("/v1/history", get(own::history))
            .route("/v1/history/counts", get(own::counts))
            .route("/v1/logger", get(own::logger))
            .with_state(self)
    }

    /// All routes, those that say what this is included.
    pub fn router(self) -> Router {
        Router::new()
            .route("/", get(phoebus::about))
            .route("/actuator/health", get(phoebus::health))
            .with_state(self.clone())
            .merge(self.routes())
            .fallback(async || {
                Problem::new(StatusCode::NOT_FOUND, "there is no such path".to_owned())
            })
    }
}

/// Why a request was not answered as wished: a status and `{"error": …, "hint": …}`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    status: StatusCode,
    error: String,
    hint: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, error: String) -> Self {
        Self {
            status,
            error,
            hint: None,
        }
    }

    fn bad(error: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }
}

impl From<NoAnswer> for Problem {
    fn from(error: NoAnswer) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error: error.reason,
            hint: error.hint,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = match &self.hint {
            Some(hint) => json!({ "error": self.error, "hint": hint }),
            None => json!({ "error": self.error }),
        };
        (self.status, axum::Json(body)).into_response()
    }
}

/// A moment: absolute (`2026-11-22 05:00:00.000`, in UTC, or RFC 3339), a time ago (`8 hours`), or `now`.
fn moment(text: &str, now: jiff::Timestamp) -> Result<jiff::Timestamp, Problem> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("now") {
        return Ok(now);
    }
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    if let Ok(time) = crate::phoebus::read_stored_time(text) {
        return Ok(time);
    }
    let ago = text.strip_suffix("ago").unwrap_or(text).trim();
    let wrong = || {
        Problem::bad(format!(
            "`{text}` is no time; write it as `8 hours`, `now` or `2026-11-22 05:00:00.000`"
        ))
    };
    let span: jiff::Span = ago.parse().map_err(|_wrong| wrong())?;
    let today = now.to_zoned(jiff::tz::TimeZone::UTC);
    let earlier = today.checked_sub(span.abs()).map_err(|_beyond| wrong())?;
    Ok(earlier.timestamp())
}
