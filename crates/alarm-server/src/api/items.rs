//! Looking at the tree.

use alarm::server::{Selection, Wanted, Which};
use axum::extract::State;
use serde::Deserialize;

use crate::api::operations::refused;
use crate::api::problem::Asked;
use crate::api::{Api, Problem};
use crate::shell::request::{Query, Request};
use crate::shell::view::{ItemJson, Page, ServerJson};

/// Items of one answer, if the client does not say.
const PAGE: usize = 1000;
/// Most items of one answer.
const LARGEST_PAGE: usize = 10_000;

/// `/v1/items`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Path of a group or name of a PV.
    at: Option<String>,
    /// Only what is right below.
    #[serde(default)]
    flat: bool,
    /// How they stand.
    is: Option<String>,
    severity: Option<String>,
    text: Option<String>,
    kind: Option<String>,
    offset: Option<usize>,
    limit: Option<usize>,
}

/// `/v1/item`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoryQuery {
    /// Path of an item or name of a PV.
    at: String,
}

/// All that is known of one thing.
#[derive(Debug, serde::Serialize)]
pub(super) struct Stories {
    /// The item; for a PV, each place where it is.
    items: Vec<ItemJson>,
    /// What happened to it, as far as that is kept; oldest first.
    events: Vec<serde_json::Value>,
}

pub(super) async fn server(State(api): State<Api>) -> Result<axum::Json<ServerJson>, Problem> {
    Ok(axum::Json(api.ask(Request::Server).await?))
}

fn which(name: &str) -> Option<Which> {
    Some(match name {
        "all" => Which::All,
        "active" => Which::Active,
        "acknowledged" => Which::Acknowledged,
        "alarm" => Which::InAlarm,
        "disconnected" => Which::Disconnected,
        "disabled" => Which::Disabled,
        "shelved" => Which::Shelved,
        "pending" => Which::Pending,
        _ => return None,
    })
}

pub(super) async fn list(
    State(api): State<Api>,
    Asked(asked): Asked<ListQuery>,
) -> Result<axum::Json<Page>, Problem> {
    let which = match asked.is.as_deref() {
        None => Which::All,
        Some(name) => which(name).ok_or_else(|| {
            Problem::bad(format!("`{name}` is nothing that items can be")).hint(
                "one of all, active, acknowledged, alarm, disconnected, disabled, shelved, pending",
            )
        })?,
    };
    let severity = match asked.severity {
        None => None,
        Some(name) => Some(name.to_uppercase().parse().map_err(|error| {
            Problem::bad(format!("{error}")).hint("such as MAJOR or MINOR_ACK")
        })?),
    };
    let groups = match asked.kind.as_deref() {
        None => None,
        Some("group") => Some(true),
        Some("pv") => Some(false),
        Some(other) => {
            return Err(
                Problem::bad(format!("`{other}` is no kind of item")).hint("`group` or `pv`")
            );
        }
    };
    let query = Query {
        selection: Selection {
            place: asked.at.map_or(Wanted::Everywhere, Wanted::Named),
            which,
            is_flat: asked.flat,
        },
        severity,
        text: asked.text.filter(|text| !text.is_empty()),
        groups,
        offset: asked.offset.unwrap_or(0),
        limit: asked.limit.unwrap_or(PAGE).min(LARGEST_PAGE),
    };
    let page = api
        .ask(|answer| Request::Items(Box::new(query), answer))
        .await?;
    page.map(axum::Json).map_err(refused)
}

pub(super) async fn story(
    State(api): State<Api>,
    Asked(asked): Asked<StoryQuery>,
) -> Result<axum::Json<Stories>, Problem> {
    let items = api
        .ask(|answer| Request::Story(asked.at, answer))
        .await?
        .map_err(refused)?;
    let mut events = Vec::new();
    for item in &items {
        // as it stands in the JSON of an event: after the kind of a key, or in a list of paths
        let path = serde_json::Value::from(item.path.as_str()).to_string();
        let path = path.trim_start_matches('"');
        for event in api.stream.recent(path, 50) {
            let data: serde_json::Value = serde_json::from_str(&event.data).unwrap_or_default();
            events.push(serde_json::json!({
                "id": api.stream.identifier(event.sequence),
                "kind": event.kind,
                "data": data,
            }));
        }
    }
    Ok(axum::Json(Stories { items, events }))
}
