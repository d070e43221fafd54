//! Requests that reach a server that stands by: passed on to the leader, so that clients may ask whichever replica a
//! service or a proxy has chosen for them.
//!
//! What it deliberately does not do: check who asks (the guard did, and the leader does again), try again, or pass on
//! what was passed on once.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use reqwest::{Client, Url};

use crate::api::Problem;
use crate::api::auth::Who;
use crate::shell::lead::Sign;

/// Names the replica that has passed a request on.
const FORWARDED: HeaderName = HeaderName::from_static("ioc-forwarded-by");
/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(2);
/// What of a request, and of its answer, is for the other end.
const KEPT: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::ACCEPT,
];

/// Passes requests on.
#[derive(Debug, Clone)]
pub(crate) struct Forward {
    client: Client,
    own: SocketAddr,
}

impl Forward {
    /// From the server that others reach at `own`.
    pub(crate) fn new(own: SocketAddr, timeout: Duration) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            // events are a stream without an end, in which something comes every ten seconds
            .read_timeout(timeout)
            .build()?;
        Ok(Self { client, own })
    }

    /// The leader's answer to a request.
    pub(super) async fn pass(&self, leader: &Sign, who: &Who, request: Request) -> Response {
        // two that each take the other for the leader, in the moment of a change
        if request.headers().contains_key(FORWARDED) {
            return Problem::following(Some(leader)).into_response();
        }
        let address = leader.api.as_deref().and_then(|api| Url::parse(api).ok());
        let Some(mut url) = address else {
            return Problem::following(Some(leader)).into_response();
        };
        let (parts, body) = request.into_parts();
        url.set_path(parts.uri.path());
        url.set_query(parts.uri.query());
        let mut headers = kept(&parts.headers);
        // the leader sees this server's address; whose wish it is stays
        if let Ok(value) = HeaderValue::from_str(&format!("{}@{}", who.user, who.host)) {
            headers.insert("ioc-user", value);
        }
        if let Ok(value) = HeaderValue::from_str(&self.own.to_string()) {
            headers.insert(FORWARDED, value);
        }
        let answered = self
            .client
            .request(parts.method, url)
            .headers(headers)
            .body(reqwest::Body::wrap_stream(body.into_data_stream()))
            .send()
            .await;
        match answered {
            Ok(answer) => {
                let status = answer.status();
                let headers = kept(answer.headers());
                let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                response
            }
            Err(error) => unanswered(leader, &error).into_response(),
        }
    }
}

fn kept(all: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in KEPT {
        if let Some(value) = all.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers
}

/// The leader has not answered: whether it has done what it was asked for is not known, unless it was not reached.
fn unanswered(leader: &Sign, error: &reqwest::Error) -> Problem {
    let what = format!(
        "this alarm server stands by, and `{}` on `{}`, which leads, ",
        leader.name, leader.host
    );
    let problem = |status, end: &str| Problem::new(status, format!("{what}{end}"));
    if error.is_connect() {
        problem(StatusCode::SERVICE_UNAVAILABLE, "is not reached").hint("try again in a moment")
    } else {
        problem(StatusCode::GATEWAY_TIMEOUT, "did not answer")
            .hint("look whether it was done, before you try again")
    }
}
