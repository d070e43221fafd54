//! Whether the server lives and is ready, what it measures, what it logs.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::api::auth::Who;
use crate::api::problem::Json;
use crate::api::{Api, Problem};
use crate::metrics::AlarmLabels;
use crate::shell::audit::audit;
use crate::shell::request::Request;

/// How long the owner of the logic may be busy and still count as alive.
const ALIVE: Duration = Duration::from_secs(5);

pub(super) async fn live(State(api): State<Api>) -> Response {
    let alive = tokio::time::timeout(ALIVE, api.ask(Request::Ping)).await;
    match alive {
        Ok(Ok(())) => "alive\n".into_response(),
        // reading a large configuration at start is life too
        _ if api.readiness.is_starting() => "starting\n".into_response(),
        _ => Problem::busy().into_response(),
    }
}

pub(super) async fn ready(State(api): State<Api>) -> Response {
    let status = api.readiness.status();
    let code = if status.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, axum::Json(status)).into_response()
}

pub(super) async fn document() -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, include_str!("openapi.json")).into_response()
}

pub(super) async fn metrics(State(api): State<Api>) -> Result<Response, Problem> {
    // before the start there are no alarms to count
    if api.readiness.status().ready {
        let counts = api.ask(Request::Counts).await?;
        api.metrics.alarms.clear();
        for count in counts {
            let labels = AlarmLabels {
                severity: count.severity.to_owned(),
                area: count.area,
            };
            api.metrics.alarms.get_or_create(&labels).set(count.count);
        }
    }
    let text = api
        .metrics
        .text(&api.bus.statistics())
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let kind = [(
        header::CONTENT_TYPE,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )];
    Ok((kind, text).into_response())
}

/// What is logged.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogFilter {
    filter: String,
}

fn no_log() -> Problem {
    Problem::new(
        StatusCode::NOT_IMPLEMENTED,
        "the log of this server cannot be changed while it runs",
    )
}

pub(super) async fn log(State(api): State<Api>) -> Result<axum::Json<LogFilter>, Problem> {
    let log = api.log.as_ref().ok_or_else(no_log)?;
    Ok(axum::Json(LogFilter {
        filter: log.filter(),
    }))
}

pub(super) async fn set_log(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Json(wanted): Json<LogFilter>,
) -> Result<axum::Json<LogFilter>, Problem> {
    let log = api.log.as_ref().ok_or_else(no_log)?;
    log.set_filter(&wanted.filter)
        .map_err(|why| Problem::bad(why).hint("such as `info,ca=debug`"))?;
    audit(&api.stream, &who, "log", &[], Some(&wanted.filter));
    Ok(axum::Json(LogFilter {
        filter: log.filter(),
    }))
}
