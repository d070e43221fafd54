//! What operators do. Every wish has an answer, which says whether the bus has it.

use std::time::Duration;

use alarm::server::{Refusal, Request as Wish, Until};
use axum::Extension;
use axum::extract::State;
use serde::Deserialize;

use crate::api::auth::Who;
use crate::api::problem::Json;
use crate::api::{Api, Problem};
use crate::shell::request::{Outcome, Request};

/// Most items of one wish.
const ITEMS: usize = 10_000;

type Answer = Result<axum::Json<Outcome>, Problem>;

/// What is meant: paths, or names of PVs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Items {
    items: Vec<String>,
}

/// What is meant, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disabling {
    items: Vec<String>,
    reason: Option<String>,
}

/// What is meant, until when, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shelving {
    items: Vec<String>,
    /// Seconds from now.
    seconds: Option<u64>,
    /// RFC 3339.
    until: Option<String>,
    reason: Option<String>,
}

/// On or off.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    on: bool,
}

fn bounded(items: Vec<String>) -> Result<Vec<String>, Problem> {
    if items.len() > ITEMS {
        return Err(
            Problem::bad(format!("at most {ITEMS} items can be named at once"))
                .hint("name the group above them"),
        );
    }
    Ok(items)
}

/// Why the logic refused something.
pub(super) fn refused(refusal: Refusal) -> Problem {
    let error = refusal.to_string();
    match refusal {
        Refusal::NotStarted => Problem::starting(),
        Refusal::Unknown { nearest, .. } => {
            let problem = Problem::missing(error);
            match nearest {
                Some(nearest) => problem.hint(format!("did you mean `{nearest}`?")),
                None => problem,
            }
        }
        Refusal::NoItems => Problem::bad(error).hint(r#"send {"items": ["/X/area", "pv"]}"#),
        Refusal::NotInTheFuture | Refusal::LongReason(_) => Problem::bad(error),
    }
}

async fn operate(api: Api, who: Who, wish: Wish) -> Answer {
    let outcome = api
        .ask(|answer| Request::Operate(Box::new(wish), who, answer))
        .await?;
    outcome.map(axum::Json).map_err(refused)
}

pub(super) async fn acknowledge(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Json(body): Json<Items>,
) -> Answer {
    let items = bounded(body.items)?;
    operate(api, who, Wish::Acknowledge(items)).await
}

pub(super) async fn unacknowledge(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Json(body): Json<Items>,
) -> Answer {
    let items = bounded(body.items)?;
    operate(api, who, Wish::Unacknowledge(items)).await
}

pub(super) async fn enable(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Json(body): Json<Items>,
) -> Answer {
    let items = bounded(body.items)?;
    operate(api, who, Wish::Enable(items)).await
}

pub(super) async fn unshelve(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Json(body): Json<Items>,
) -> Answer {
    let items = bounded(body.items)?;
    operate(api, who, Wish::Unshelve(items)).await
}

pub(super) async fn disable(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Json(body): Json<Disabling>,
) -> Answer {
    let wish = Wish::Disable {
        items: bounded(body.items)?,
        reason: body.reason,
    };
    operate(api, who, wish).await
}

pub(super) async fn shelve(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Json(body): Json<Shelving>,
) -> Answer {
    let until = match (body.seconds, body.until) {
        (Some(seconds), None) => Until::For(Duration::from_secs(seconds)),
        (None, Some(text)) => {
            let until: jiff::Timestamp = text.parse().map_err(|error| {
                Problem::bad(format!("`{text}` is no time: {error}"))
                    .hint("such as 2031-12-03T10:15:30Z")
            })?;
            let nano = u32::try_from(until.subsec_nanosecond()).unwrap_or(0);
            Until::At(alarm::Time::new(until.as_second(), nano))
        }
        _ => {
            return Err(Problem::bad("either `seconds` or `until` is needed"));
        }
    };
    let wish = Wish::Shelve {
        items: bounded(body.items)?,
        until,
        reason: body.reason,
    };
    operate(api, who, wish).await
}

pub(super) async fn maintenance(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Json(body): Json<Switch>,
) -> Answer {
    operate(api, who, Wish::Maintenance(body.on)).await
}

pub(super) async fn notify(
    State(api): State<Api>,
    Extension(who): Extension<Who>,
    Json(body): Json<Switch>,
) -> Answer {
    operate(api, who, Wish::Notify(body.on)).await
}

pub(super) async fn reload(State(api): State<Api>, Extension(who): Extension<Who>) -> Answer {
    if let Err(error) = api.access.reload() {
        return Err(Problem {
            hint: error.hint(),
            ..Problem::bad(format!("the tokens stay as they are: {error}"))
        });
    }
    operate(api, who, Wish::Reload).await
}
