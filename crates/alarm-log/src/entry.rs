//! What the history is made of.
//!
//! The serialised form is the one of `jsonl` files and of our own API: `docs/alarm-history.md` describes it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something that happened, as a record of the bus told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Topic of the record.
    pub topic: Arc<str>,
    /// Its place in the topic.
    pub offset: u64,
    /// When the record was written, by the writer's clock, in whole milliseconds.
    pub time: Timestamp,
    /// Key of the record without backslashes, such as `state:/Accelerator/Vacuum/sim://sine`: what Phoebus logs as
    /// `config`.
    pub key: String,
    /// Path of the item as it is written elsewhere, with `\/` for a slash in a name.
    pub path: String,
    /// The last name of the path: the PV, or the group.
    pub pv: String,
    /// What it was.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Event {
    /// The alarm state of a PV changed.
    State(State),
    /// Somebody wished something.
    Command(Command),
    /// Somebody wrote the configuration of an item.
    Config(Config),
    /// An item was deleted.
    Deletion(Deletion),
    /// The annunciator was given words.
    Talk(Talk),
    /// Records that nobody can read any more.
    Gap(Gap),
}

/// The alarm state of a PV, its texts as they were written. A field that was missing or `null` is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Alarm severity; other servers may have other words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// The update with which the alarm latched.
    #[serde(default)]
    pub latch: bool,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Value of the PV that set the alarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// When the alarm was set, by the clock of the PV; `None` where there never was a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<Timestamp>,
    /// Severity of the PV itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_severity: Option<String>,
    /// Message of the PV itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_message: Option<String>,
    /// `maintenance` in maintenance mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Whether notifications go out.
    #[serde(default = "yes")]
    pub notify: bool,
}

/// A wish of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What, as it was written.
    pub command: String,
}

/// The configuration of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// `true`, `false`, or the date until which the PV is disabled.
    pub enabled: String,
    /// Whether alarms latch.
    pub latching: bool,
    /// The whole message as it was written.
    pub text: String,
}

/// An item was deleted. Clients write two records: one that says who does it, and one without a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// Who; known of the first record only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Whether this is the record without a value.
    pub tombstone: bool,
}

/// Words for the annunciator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Talk {
    /// Severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Said however much else there is.
    pub standout: bool,
    /// What is said.
    pub talk: String,
}

/// Records that the bus forgot before the logger read them. The offset of the entry is that of the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The last offset that is missing.
    pub last: u64,
    /// When the last record before them was written; `None` if none had been read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl Gap {
    /// How many records there were at most: compaction and transactions leave offsets without a record.
    pub fn at_most(&self, first: u64) -> u64 {
        self.last.saturating_sub(first).saturating_add(1)
    }
}

fn yes() -> bool {
    true
}

/// The kinds of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// [`Event::State`]
    State,
    /// [`Event::Command`]
    Command,
    /// [`Event::Config`]
    Config,
    /// [`Event::Deletion`]
    Deletion,
    /// [`Event::Talk`]
    Talk,
    /// [`Event::Gap`]
    Gap,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::State,
        Self::Command,
        Self::Config,
        Self::Deletion,
        Self::Talk,
        Self::Gap,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Command => "command",
            Self::Config => "config",
            Self::Deletion => "deletion",
            Self::Talk => "talk",
            Self::Gap => "gap",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Event {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::State(_) => Kind::State,
            Self::Command(_) => Kind::Command,
            Self::Config(_) => Kind::Config,
            Self::Deletion(_) => Kind::Deletion,
            Self::Talk(_) => Kind::Talk,
            Self::Gap(_) => Kind::Gap,
        }
    }

    /// Who did it.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Command(command) => command.user.as_deref(),
            Self::Config(config) => config.user.as_deref(),
            Self::Deletion(deletion) => deletion.user.as_deref(),
            Self::State(_) | Self::Talk(_) | Self::Gap(_) => None,
        }
    }

    /// From where.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Command(command) => command.host.as_deref(),
            Self::Config(config) => config.host.as_deref(),
            Self::Deletion(deletion) => deletion.host.as_deref(),
            Self::State(_) | Self::Talk(_) | Self::Gap(_) => None,
        }
    }

    /// The state, if it is one.
    pub fn state(&self) -> Option<&State> {
        match self {
            Self::State(state) => Some(state),
            _ => None,
        }
    }
}

impl Entry {
    /// What makes the entry one of its own, for sinks whose documents have a text as identity.
    ///
    /// Topic and offset alone would not do: a topic that was removed and made again counts from 0 once more. The time of
    /// the record belongs to the record, so it is the same whoever reads it.
    pub fn id(&self) -> String {
        format!(
            "{}:{}:{}",
            self.topic,
            self.offset,
            self.time.as_millisecond()
        )
    }

    /// Bytes of its texts, about.
    pub fn size(&self) -> usize {
        let texts = match &self.event {
            Event::State(state) => [&state.message, &state.value, &state.current_message]
                .into_iter()
                .flatten()
                .map(String::len)
                .sum(),
            Event::Command(command) => command.command.len(),
            Event::Config(config) => config.text.len(),
            Event::Talk(talk) => talk.talk.len(),
            Event::Deletion(_) | Event::Gap(_) => 0,
        };
        size_of::<Self>() + self.key.len() + self.path.len() + self.pv.len() + texts
    }
}
