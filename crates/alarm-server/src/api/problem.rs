//! Errors of the API: a status and `{"error": …, "hint": …}`.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::shell::lead::Sign;

/// Why a request was not answered as wished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Status.
    pub status: StatusCode,
    /// What is wrong.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem.
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            error: error.into(),
            hint: None,
        }
    }

    /// The same with something to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    pub(crate) fn missing(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }

    pub(crate) fn ending() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the alarm server is ending",
        )
    }

    pub(crate) fn busy() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the alarm server did not answer in time",
        )
    }

    /// Another server has to be asked.
    pub(crate) fn following(leader: Option<&Sign>) -> Self {
        let problem = |error: &str| Self::new(StatusCode::SERVICE_UNAVAILABLE, error);
        let Some(leader) = leader else {
            return problem("this alarm server stands by, and nobody leads at the moment")
                .hint("try again in a moment");
        };
        let error = format!(
            "this alarm server stands by; `{}` on `{}` leads",
            leader.name, leader.host
        );
        match &leader.api {
            Some(api) => problem(&error).hint(format!("ask {api}")),
            None => problem(&error),
        }
    }

    pub(crate) fn starting() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the alarm server is still reading its configuration",
        )
        .hint("ask `/readyz` and try again")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = match &self.hint {
            Some(hint) => json!({ "error": self.error, "hint": hint }),
            None => json!({ "error": self.error }),
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A body of JSON; what is wrong with it is said as a [`Problem`].
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let rejected = |rejection: JsonRejection| {
            let problem = Problem::new(rejection.status(), rejection.body_text());
            match rejection {
                JsonRejection::MissingJsonContentType(_) => {
                    problem.hint("send `Content-Type: application/json`")
                }
                _ => problem,
            }
        };
        let axum::Json(value) = axum::Json::from_request(request, state)
            .await
            .map_err(rejected)?;
        Ok(Self(value))
    }
}

/// The query of an address.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let rejected =
            |rejection: QueryRejection| Problem::new(rejection.status(), rejection.body_text());
        let Query(value) = Query::from_request_parts(parts, state)
            .await
            .map_err(rejected)?;
        Ok(Self(value))
    }
}
