//! What others ask of the task that owns the logic.

use alarm::Severity;
use alarm::plan::ConfigRecord;
use alarm::server::{self, Refusal, Selection};
use serde::Serialize;
use tokio::sync::oneshot::Sender;

use crate::api::auth::Who;
use crate::shell::view::{ItemJson, Page, ServerJson};

/// A question or a wish, with a way to answer.
#[derive(Debug)]
pub enum Request {
    /// Whether the task still takes requests.
    Ping(Sender<()>),
    /// Alarms by severity and area.
    Counts(Sender<Vec<Count>>),
    /// How the server is.
    Server(Sender<ServerJson>),
    /// Items that match.
    Items(Box<Query>, Sender<Result<Page, Refusal>>),
    /// Everything about an item, or about all items of a PV.
    Story(String, Sender<Result<Vec<ItemJson>, Refusal>>),
    /// Publish records of the configuration; whether the bus has confirmed them.
    Configure(Vec<ConfigRecord>, Sender<bool>),
    /// A wish of an operator.
    Operate(Box<server::Request>, Who, Sender<Result<Outcome, Refusal>>),
}

/// Which items are wanted, and how many of them.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Where, and how they stand.
    pub selection: Selection,
    /// Only of that severity.
    pub severity: Option<Severity>,
    /// Only those whose path or description contains this, in any case.
    pub text: Option<String>,
    /// Only groups, or only PVs.
    pub groups: Option<bool>,
    /// How many are left out at the beginning.
    pub offset: usize,
    /// How many are given.
    pub limit: usize,
}

/// How many alarms of a severity there are in an area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Name of the severity.
    pub severity: &'static str,
    /// Name of the group right below the root, or of a PV there.
    pub area: String,
    /// How many.
    pub count: i64,
}

/// What came of a wish.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The wish.
    pub operation: &'static str,
    /// Whether anything changed.
    pub changed: bool,
    /// The PVs that it concerned; of a group only those that changed. At most [`Outcome::SHOWN`].
    pub items: Vec<Touched>,
    /// How many PVs it concerned.
    pub count: usize,
    /// Maintenance mode after it.
    pub maintenance: bool,
    /// Whether notifications go out after it.
    pub notify: bool,
    /// Whether the bus has confirmed everything. If not, it waits in the server until the bus is back.
    pub written: bool,
    /// Identifier of the newest event after it; `/v1/events?after=` goes on from there.
    pub event: String,
}

/// A PV that a wish concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Touched {
    /// Its path.
    pub path: String,
    /// Whether anything changed.
    pub changed: bool,
    /// Severity before.
    pub before: &'static str,
    /// Severity after.
    pub severity: &'static str,
    /// Message after.
    pub message: String,
}

impl Outcome {
    /// So many PVs are listed.
    pub const SHOWN: usize = 1000;
}

/// The name of a wish in the log and in answers.
pub(crate) fn name(request: &server::Request) -> &'static str {
    match request {
        server::Request::Acknowledge(_) => "acknowledge",
        server::Request::Unacknowledge(_) => "unacknowledge",
        server::Request::Enable(_) => "enable",
        server::Request::Disable { .. } => "disable",
        server::Request::Shelve { .. } => "shelve",
        server::Request::Unshelve(_) => "unshelve",
        server::Request::Maintenance(_) => "maintenance",
        server::Request::Notify(_) => "notify",
        server::Request::Reload => "reload",
    }
}

/// What a wish is about, and what else it says.
pub(crate) fn details(request: &server::Request) -> (&[String], Option<String>) {
    match request {
        server::Request::Acknowledge(items)
        | server::Request::Unacknowledge(items)
        | server::Request::Enable(items)
        | server::Request::Unshelve(items) => (items, None),
        server::Request::Disable { items, reason } => (items, reason.clone()),
        server::Request::Shelve {
            items,
            until,
            reason,
        } => {
            let until = match until {
                server::Until::For(span) => format!("for {} s", span.as_secs()),
                server::Until::At(time) => format!("until {}", crate::shell::view::rfc3339(*time)),
            };
            let reason = reason
                .as_deref()
                .map_or(String::new(), |why| format!(": {why}"));
            (items, Some(format!("{until}{reason}")))
        }
        server::Request::Maintenance(on) | server::Request::Notify(on) => {
            (&[], Some(if *on { "on" } else { "off" }.to_owned()))
        }
        server::Request::Reload => (&[], None),
    }
}
