//! What a follower serves: its status and metrics for everybody who may connect, and the address that a code host calls.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::sync::Notify;

use super::webhook::{Secret, may_mean};
use super::{Shared, metrics};

/// Largest call of a code host, in bytes; a larger push is seen with the next look.
const LARGEST_CALL: usize = 4 << 20;

/// Status and metrics. Nothing can be changed here.
pub fn status(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/follow", get(tell))
        .route("/metrics", get(measure))
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .fallback(nothing)
        .with_state(shared)
}

/// What a code host calls.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Whom to tell.
    pub shared: Arc<Shared>,
    /// Wakes who follows.
    pub wake: Arc<Notify>,
    /// What calls are signed with; without it anybody who can connect is heard.
    pub secret: Option<Arc<Secret>>,
}

/// The routes of a code host.
pub fn webhook(hook: Hook) -> Router {
    Router::new()
        .route("/", post(called))
        .route("/webhook", post(called))
        .layer(DefaultBodyLimit::max(LARGEST_CALL))
        .fallback(nothing)
        .with_state(hook)
}

async fn tell(State(shared): State<Arc<Shared>>) -> Response {
    (
        [(header::CACHE_CONTROL, "no-store")],
        axum::Json(shared.status()),
    )
        .into_response()
}

async fn measure(State(shared): State<Arc<Shared>>) -> Response {
    let kind = [(
        header::CONTENT_TYPE,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )];
    match metrics::text(&shared.status()) {
        Ok(text) => (kind, text).into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let status = shared.status();
    let code = if status.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let condition = json!({"ready": status.is_ready(), "condition": status.condition});
    (code, axum::Json(condition)).into_response()
}

async fn called(State(hook): State<Hook>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(secret) = &hook.secret
        && !secret.has_signed(&headers, &body)
    {
        hook.shared
            .update(|status| status.counts.webhooks_refused += 1);
        tracing::warn!("a call of the webhook was not signed with the secret; it is ignored");
        return problem(
            StatusCode::UNAUTHORIZED,
            "the call is not signed with the secret of this webhook",
        );
    }
    let branch = hook.shared.status().branch;
    let is_meant = may_mean(&body, &branch);
    if is_meant {
        hook.shared.update(|status| status.counts.webhooks += 1);
        hook.wake.notify_one();
    }
    let answer = json!({"branch": branch, "looks": is_meant});
    (StatusCode::ACCEPTED, axum::Json(answer)).into_response()
}

async fn nothing() -> Response {
    problem(StatusCode::NOT_FOUND, "there is no such path")
}

fn problem(status: StatusCode, error: &str) -> Response {
    (status, axum::Json(json!({ "error": error }))).into_response()
}
