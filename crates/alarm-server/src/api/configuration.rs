//! The configuration: export, difference, application.

use axum::extract::State;

use crate::api::{Api, Problem};

fn not_yet() -> Problem {
    Problem::new(
        axum::http::StatusCode::NOT_IMPLEMENTED,
        "configurations cannot be exchanged with the server yet",
    )
    .hint("write the records of the configuration to the bus")
}

pub(super) async fn export(State(_api): State<Api>) -> Problem {
    not_yet()
}

pub(super) async fn diff(State(_api): State<Api>) -> Problem {
    not_yet()
}

pub(super) async fn apply(State(_api): State<Api>) -> Problem {
    not_yet()
}
