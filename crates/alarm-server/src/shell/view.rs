//! The tree as others see it, in JSON.

use alarm::config::{Action, Notes, TitleDetail};
use alarm::server::{Connection, ItemView, KindView, LeafView, Server};
use alarm::{AlarmPath, Severity, Time};
use serde::Serialize;

use crate::shell::watches::Watch;

/// An item.
#[derive(Debug, Clone, Serialize)]
pub struct ItemJson {
    /// Its path.
    pub path: String,
    /// Severity of its alarm.
    pub severity: &'static str,
    /// What it is.
    #[serde(flatten)]
    pub kind: KindJson,
    /// Where one item is asked for: what the group itself and those above it say, the nearest first, without those that
    /// say nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<NotesJson>>,
}

/// What a group says to operators.
#[derive(Debug, Clone, Serialize)]
pub struct NotesJson {
    /// Which group.
    pub path: String,
    /// What to do, and so on.
    #[serde(flatten)]
    pub notes: TitlesJson,
}

/// What operators may read and do at an item, and what the server does.
#[derive(Debug, Clone, Serialize)]
pub struct TitlesJson {
    /// What to do.
    pub guidance: Vec<TitleJson>,
    /// Screens.
    pub displays: Vec<TitleJson>,
    /// Programs.
    pub commands: Vec<TitleJson>,
    /// What the server does.
    pub actions: Vec<TitleJson>,
}

/// What an item is.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum KindJson {
    /// A PV.
    Pv(Box<PvJson>),
    /// A group.
    Group(GroupJson),
}

/// A group.
#[derive(Debug, Clone, Serialize)]
pub struct GroupJson {
    /// How many items are right below it.
    pub children: usize,
    /// How many PVs at any depth below it have which severity; those without alarm are left out.
    pub alarms: std::collections::BTreeMap<&'static str, u64>,
    /// How many PVs are below it.
    pub pvs: u64,
}

/// A PV.
#[derive(Debug, Clone, Serialize)]
pub struct PvJson {
    /// Its name.
    pub pv: String,
    /// What it is.
    pub description: String,
    /// Why it is in alarm.
    pub message: String,
    /// The value that caused the alarm.
    pub value: Option<String>,
    /// When, in RFC 3339; missing if it never had a value.
    pub time: Option<String>,
    /// Severity of the PV itself.
    pub current_severity: &'static str,
    /// Message of the PV itself.
    pub current_message: String,
    /// Whether it is watched.
    pub enabled: bool,
    /// Whether a filter disables it.
    pub filtered: bool,
    /// When it is enabled again by itself.
    pub enabled_at: Option<String>,
    /// `unwatched`, `never`, `connected`, `disconnected` or `impossible`.
    pub connection: &'static str,
    /// Who disabled it, and why.
    pub shelved: Option<ShelvedJson>,
    /// The alarm that waits for its delay.
    pub pending: Option<PendingJson>,
    /// More, where one item is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<Box<MoreJson>>,
}

/// Who disabled a PV, until when and why.
#[derive(Debug, Clone, Serialize)]
pub struct ShelvedJson {
    /// Who.
    pub user: String,
    /// From where.
    pub host: String,
    /// Since when.
    pub since: String,
    /// Until when; missing until somebody enables it.
    pub until: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// An alarm that waits.
#[derive(Debug, Clone, Serialize)]
pub struct PendingJson {
    /// What it will be.
    pub severity: &'static str,
    /// Why.
    pub message: String,
    /// When.
    pub due: String,
}

/// All the rest about a PV.
#[derive(Debug, Clone, Serialize)]
pub struct MoreJson {
    /// The last value of the PV.
    pub current_value: Option<String>,
    /// Its time.
    pub current_time: Option<String>,
    /// Its configuration.
    pub configuration: ConfigurationJson,
    /// Its connection.
    pub channel: Option<ChannelJson>,
    /// Why it cannot be watched.
    pub impossible: Option<String>,
}

/// A connection.
#[derive(Debug, Clone, Serialize)]
pub struct ChannelJson {
    /// Where it is connected to.
    pub server: Option<String>,
    /// Since when.
    pub since: Option<String>,
    /// How often it was connected.
    pub connections: u32,
    /// What is wrong with it, such as another server that has the same PV.
    pub trouble: Option<String>,
}

/// The configuration of a PV.
#[derive(Debug, Clone, Serialize)]
pub struct ConfigurationJson {
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
    /// Guidance and so on.
    #[serde(flatten)]
    pub notes: TitlesJson,
}

/// A title with details.
#[derive(Debug, Clone, Serialize)]
pub struct TitleJson {
    /// What it is called.
    pub title: String,
    /// What it says.
    pub details: String,
    /// Seconds, of actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<u32>,
}

/// A page of items.
#[derive(Debug, Clone, Serialize)]
pub struct Page {
    /// The items.
    pub items: Vec<ItemJson>,
    /// How many match in all.
    pub total: usize,
    /// How many were left out before them.
    pub offset: usize,
    /// Identifier of the newest event that is in here; `/v1/events?after=` goes on from there.
    pub event: String,
}

/// How a server is.
#[derive(Debug, Clone, Serialize)]
pub struct ServerJson {
    /// Name of the configuration.
    pub configuration: String,
    /// Version of the program.
    pub version: &'static str,
    /// Who it is.
    pub host: String,
    /// Since when it runs.
    pub since: String,
    /// Whether it is started.
    pub ready: bool,
    /// Maintenance mode.
    pub maintenance: bool,
    /// Whether notifications go out.
    pub notify: bool,
    /// Severity of the root.
    pub severity: &'static str,
    /// How many PVs have which severity.
    pub alarms: std::collections::BTreeMap<&'static str, u64>,
    /// How many PVs there are in the tree.
    pub pvs: u64,
    /// How many channels are watched.
    pub watched: usize,
    /// How many of them are connected.
    pub connected: usize,
    /// Records that wait because the bus takes none.
    pub backlog: i64,
    /// Whether the bus can be reached, as far as is known.
    pub bus_connected: bool,
    /// The newest failure of the bus.
    pub bus_error: Option<String>,
}

/// A moment in RFC 3339, in UTC.
pub(crate) fn rfc3339(time: Time) -> String {
    let nano = i32::try_from(time.nano).unwrap_or(0);
    jiff::Timestamp::new(time.seconds, nano)
        .map_or_else(|_error| String::new(), |time| time.to_string())
}

/// A moment of a value; one that was never set is none.
fn moment(time: Time) -> Option<String> {
    (time != Time::default()).then(|| rfc3339(time))
}

/// How many have which severity, without those that are OK.
pub(crate) fn alarms(
    severities: impl Fn(Severity) -> u64,
) -> std::collections::BTreeMap<&'static str, u64> {
    Severity::ALL
        .into_iter()
        .filter(|severity| *severity != Severity::Ok)
        .map(|severity| (severity.name(), severities(severity)))
        .filter(|(_name, count)| *count > 0)
        .collect()
}

fn titles(items: &[TitleDetail]) -> Vec<TitleJson> {
    items
        .iter()
        .map(|item| TitleJson {
            title: item.title.clone(),
            details: item.details.clone(),
            delay: None,
        })
        .collect()
}

fn actions(items: &[Action]) -> Vec<TitleJson> {
    items
        .iter()
        .map(|item| TitleJson {
            title: item.title.clone(),
            details: item.details.clone(),
            delay: Some(item.delay),
        })
        .collect()
}

impl From<&Notes> for TitlesJson {
    fn from(notes: &Notes) -> Self {
        Self {
            guidance: titles(&notes.guidance),
            displays: titles(&notes.displays),
            commands: titles(&notes.commands),
            actions: actions(&notes.actions),
        }
    }
}

/// An item in JSON.
pub(crate) fn item(view: &ItemView<'_>) -> ItemJson {
    ItemJson {
        path: view.path.to_string(),
        severity: view.severity.name(),
        kind: match &view.kind {
            KindView::Group(group) => KindJson::Group(GroupJson {
                children: group.children,
                alarms: alarms(|severity| u64::from(group.counts.severity(severity))),
                pvs: u64::from(group.counts.leaves()),
            }),
            KindView::Leaf(leaf) => KindJson::Pv(Box::new(pv(leaf))),
        },
        groups: None,
    }
}

/// An item in JSON with everything that is known of it.
pub(crate) fn whole(view: &ItemView<'_>, watch: Option<&Watch>, server: &Server) -> ItemJson {
    let mut json = item(view);
    json.groups = Some(groups(view, server));
    if let (KindJson::Pv(pv), KindView::Leaf(leaf)) = (&mut json.kind, &view.kind) {
        pv.more = Some(Box::new(more(leaf, watch)));
    }
    json
}

fn groups(view: &ItemView<'_>, server: &Server) -> Vec<NotesJson> {
    let paths = std::iter::successors(Some(view.path.clone()), AlarmPath::parent);
    paths
        .filter_map(|path| match server.item(&path)?.kind {
            KindView::Group(group) if *group.notes != Notes::default() => Some(NotesJson {
                path: path.to_string(),
                notes: group.notes.into(),
            }),
            KindView::Group(_) | KindView::Leaf(_) => None,
        })
        .collect()
}

fn pv(leaf: &LeafView<'_>) -> PvJson {
    PvJson {
        pv: leaf.pv.to_owned(),
        description: leaf.description().to_owned(),
        message: leaf.alarm.message.to_string(),
        value: leaf.alarm.value.text().map(std::borrow::Cow::into_owned),
        time: moment(leaf.alarm.time),
        current_severity: leaf.current.severity.name(),
        current_message: leaf.current.message.to_string(),
        enabled: !leaf.is_disabled,
        filtered: leaf.is_filtered,
        enabled_at: leaf.enabled_at.map(rfc3339),
        connection: leaf.connection.name(),
        shelved: leaf.shelving.map(|shelving| ShelvedJson {
            user: shelving.who.user.clone(),
            host: shelving.who.host.clone(),
            since: rfc3339(shelving.since),
            until: shelving.until.map(rfc3339),
            reason: shelving.reason.clone(),
        }),
        pending: leaf.pending.map(|pending| PendingJson {
            severity: pending.state.severity.name(),
            message: pending.state.message.to_string(),
            due: rfc3339(pending.due),
        }),
        more: None,
    }
}

fn more(leaf: &LeafView<'_>, watch: Option<&Watch>) -> MoreJson {
    let config = leaf.config();
    MoreJson {
        current_value: leaf.current.value.text().map(std::borrow::Cow::into_owned),
        current_time: moment(leaf.current.time)
            .filter(|_time| leaf.connection == Connection::Connected),
        configuration: ConfigurationJson {
            latching: config.latching,
            annunciating: config.annunciating,
            delay: config.delay,
            count: config.count,
            filter: config.filter,
            notes: (&config.notes).into(),
        },
        channel: watch.map(|watch| ChannelJson {
            server: watch
                .server
                .as_ref()
                .map(|(server, _since)| server.to_string()),
            since: watch
                .server
                .as_ref()
                .map(|(_server, since)| rfc3339(*since)),
            connections: watch.connections,
            trouble: watch.trouble.as_deref().map(str::to_owned),
        }),
        impossible: leaf.impossible.map(str::to_owned),
    }
}
