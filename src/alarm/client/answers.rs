//! What the control API answers, in the names that docs/alarm-api.md gives them. Fields that are unknown are passed over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a server is.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Server {
    /// Name of the configuration.
    pub configuration: String,
    /// Version of the program.
    pub version: String,
    /// Where it runs.
    pub host: String,
    /// Since when, in RFC 3339.
    pub since: String,
    /// Whether it is started.
    pub ready: bool,
    /// Maintenance mode.
    pub maintenance: bool,
    /// Whether notifications go out.
    pub notify: bool,
    /// Severity of the root.
    pub severity: String,
    /// How many PVs have which severity; without those that are OK.
    pub alarms: BTreeMap<String, u64>,
    /// How many PVs there are in the tree.
    pub pvs: u64,
    /// How many channels are watched.
    pub watched: u64,
    /// How many of them are connected.
    pub connected: u64,
    /// Records that wait because the bus takes none.
    pub backlog: i64,
    /// Whether the bus can be reached.
    pub bus_connected: bool,
    /// The newest failure of the bus.
    pub bus_error: Option<String>,
}

/// A page of items.
#[derive(Debug, Clone, Deserialize)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// How many match in all.
    pub total: usize,
    /// The newest event that is in here.
    pub event: String,
}

/// An item of the tree.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Item {
    /// Its path.
    pub path: String,
    /// Severity of its alarm.
    pub severity: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: Kind,
    /// What the group itself and those above it say, the nearest first; where one item was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<Notes>>,
}

/// What a group says to operators.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Notes {
    /// Which group.
    pub path: String,
    /// What to do.
    pub guidance: Vec<Titled>,
    /// Screens.
    pub displays: Vec<Titled>,
    /// Programs.
    pub commands: Vec<Titled>,
    /// What the server does.
    pub actions: Vec<Titled>,
}

/// What an item is.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// A PV.
    Pv(Box<Pv>),
    /// A group.
    Group(Group),
}

/// A group.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Group {
    /// How many items are right below it.
    pub children: u64,
    /// How many PVs below it have which severity; without those that are OK.
    pub alarms: BTreeMap<String, u64>,
    /// How many PVs are below it.
    pub pvs: u64,
}

/// A PV.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Pv {
    /// Its name.
    pub pv: String,
    /// What it is.
    pub description: String,
    /// Why it is in alarm.
    pub message: String,
    /// The value that caused the alarm.
    pub value: Option<String>,
    /// When, in RFC 3339.
    pub time: Option<String>,
    /// Severity of the PV itself, now.
    pub current_severity: String,
    /// Message of the PV itself.
    pub current_message: String,
    /// Whether it is watched.
    pub enabled: bool,
    /// Whether a filter disables it.
    pub filtered: bool,
    /// When it is enabled again by itself.
    pub enabled_at: Option<String>,
    /// `unwatched`, `never`, `connected`, `disconnected` or `impossible`.
    pub connection: String,
    /// Who disabled it, and why.
    pub shelved: Option<Shelved>,
    /// The alarm that waits for its delay.
    pub pending: Option<Pending>,
    /// More, where one item was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<Box<More>>,
}

/// Who disabled a PV, until when and why.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Shelved {
    /// Who.
    pub user: String,
    /// From where.
    pub host: String,
    /// Since when.
    pub since: String,
    /// Until when; `None` until somebody enables it.
    pub until: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// An alarm that waits.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Pending {
    /// What it will be.
    pub severity: String,
    /// Why.
    pub message: String,
    /// When.
    pub due: String,
}

/// All the rest about a PV.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct More {
    /// The last value of the PV.
    pub current_value: Option<String>,
    /// Its time.
    pub current_time: Option<String>,
    /// Its configuration.
    pub configuration: Configuration,
    /// Its connection.
    pub channel: Option<Channel>,
    /// Why it cannot be watched.
    pub impossible: Option<String>,
}

/// A connection.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Channel {
    /// Where it is connected to.
    pub server: Option<String>,
    /// Since when.
    pub since: Option<String>,
    /// How often it was connected.
    pub connections: u32,
    /// What is wrong with it.
    pub trouble: Option<String>,
}

/// The configuration of a PV.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Configuration {
    /// Whether an alarm stays until it is acknowledged.
    pub latching: bool,
    /// Whether it is announced.
    pub annunciating: bool,
    /// Seconds.
    pub delay: u32,
    /// Alarms within the delay.
    pub count: u32,
    /// Formula.
    pub filter: String,
    /// What to do.
    pub guidance: Vec<Titled>,
    /// Screens.
    pub displays: Vec<Titled>,
    /// Programs.
    pub commands: Vec<Titled>,
    /// What the server does.
    pub actions: Vec<Titled>,
}

/// A title with details.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Titled {
    /// What it is called.
    pub title: String,
    /// What it says.
    pub details: String,
    /// Seconds, of actions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<u32>,
}

/// All that is known of one thing.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Stories {
    /// The item; for a PV, each place where it is.
    pub items: Vec<Item>,
    /// What happened to it lately; oldest first.
    pub events: Vec<Past>,
}

/// Something that happened.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Past {
    /// Its identifier.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// What it says.
    pub data: serde_json::Value,
}

/// What came of a wish.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Outcome {
    /// The wish.
    pub operation: String,
    /// Whether anything changed.
    pub changed: bool,
    /// How many PVs it concerned.
    pub count: u64,
    /// Those, up to a bound.
    pub items: Vec<Touched>,
    /// Maintenance mode after it.
    pub maintenance: bool,
    /// Whether notifications go out after it.
    pub notify: bool,
    /// Whether the bus has confirmed everything.
    pub written: bool,
    /// The newest event after it.
    pub event: String,
}

/// A PV that a wish concerned.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Touched {
    /// Its path.
    pub path: String,
    /// Whether anything changed.
    pub changed: bool,
    /// Severity before.
    pub before: String,
    /// Severity after.
    pub severity: String,
    /// Message after.
    pub message: String,
}

impl Item {
    /// The PV, if it is one.
    pub fn pv(&self) -> Option<&Pv> {
        match &self.kind {
            Kind::Pv(pv) => Some(pv),
            Kind::Group(_) => None,
        }
    }
}
