//! The alarm server without its sockets: records and values in, records and wishes out.
//!
//! A [`Server`] is fed with the records of its topics up to the end ([`Server::record`]), then started
//! ([`Server::start`]), and from then on with records, news of PVs ([`Server::news`]) and the passing of time
//! ([`Server::tick`], wanted at [`Server::deadline`]). Each call returns [`Effect`]s, which the shell carries out in
//! their order.
//!
//! Not here yet: automated actions, the server's own topic.

mod filter;
mod publish;
mod records;
mod watch;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::config::{LeafConfig, Notes};
use crate::leaf::Leaf;
use crate::path::{AlarmPath, PathError};
use crate::random::Random;
use crate::server::filter::Filter;
use crate::severity::Severity;
use crate::state::{ClientState, State};
use crate::time::Time;
use crate::tree::{ItemId, Tree};
use crate::wire::command::CommandMessage;
use crate::wire::key::{Key, Kind};
use crate::wire::state::Mode;
use crate::wire::talk;

/// How the server is set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a PV may take to connect before it counts as disconnected.
    pub connection_timeout: Duration,
    /// After how long without a state the root's is sent again, so that clients know that the server lives.
    pub idle_timeout: Duration,
    /// How often active alarms are reminded of; `None` for never.
    pub nag_period: Option<Duration>,
    /// Time zone of enable dates.
    pub zone: TimeZone,
    /// Who signs the records that the server writes.
    pub user: String,
    /// Where the server runs.
    pub host: String,
    /// Where the random numbers of formulas begin.
    pub seed: u64,
}

/// Which topic of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Configuration and states.
    Main,
    /// Wishes of clients.
    Command,
    /// Words for the annunciator.
    Talk,
}

/// A record that was read or is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where.
    pub topic: Topic,
    /// Its key.
    pub key: String,
    /// Its text; `None` is a tombstone.
    pub value: Option<String>,
}

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write a record.
    Publish(Record),
    /// Watch a PV; the first that wants it.
    Connect(String),
    /// Let a PV go; nobody wants it any more.
    Disconnect(String),
    /// A client wants the configuration to be read again.
    Restart,
    /// A client wants the server to end.
    Shutdown,
    /// Something was passed over; for the log.
    Complain(Complaint),
}

/// Why a record was passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record `{key}` is passed over: {why}")]
pub struct Complaint {
    /// Its key.
    pub key: String,
    /// Why.
    pub why: String,
}

/// A value of a PV.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Its alarm, its text and its time.
    pub state: State,
    /// The value as a number, for filters; that of an enumeration is its place. `None` for texts.
    pub number: Option<f64>,
}

/// News of a PV.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// A value with its alarm.
    Value(Reading),
    /// The connection is lost.
    Disconnected,
    /// The PV cannot be made.
    Impossible,
}

/// A leaf of the tree.
#[derive(Debug)]
struct Watched {
    config: LeafConfig,
    alarm: Leaf,
    /// Whether its configuration enables it: only then its PV is watched.
    is_wanted: bool,
    filter: Option<Filter>,
    /// When it counts as disconnected unless something is heard before.
    connect_by: Option<Time>,
    /// When its date comes.
    enable_at: Option<Time>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Delay(ItemId),
    Connect(ItemId),
    Enable(ItemId),
    Filter(ItemId),
}

/// A PV, once for all leaves and filters that need it.
#[derive(Debug, Default)]
struct Pv {
    /// Its leaves, in the order in which they came.
    leaves: Vec<ItemId>,
    /// The leaves whose filter needs it.
    filters: Vec<ItemId>,
    /// Whether the shell was asked to watch it.
    is_watched: bool,
    /// What was last heard of it since then.
    last: Option<News>,
}

/// The alarm server.
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    root: AlarmPath,
    tree: Tree<Watched, Notes>,
    pvs: HashMap<String, Pv>,
    timers: BTreeSet<(Time, Timer)>,
    mode: Mode,
    /// Before the start: the states that were published, until their leaves take them over.
    stored: HashMap<AlarmPath, ClientState>,
    random: Random,
    started: bool,
    idle_at: Option<Time>,
    nag_at: Option<Time>,
}

impl Server {
    /// A server that knows nothing yet.
    ///
    /// # Errors
    ///
    /// A configuration whose name cannot be the root of a tree.
    pub fn new(configuration: &str, settings: Settings) -> Result<Self, PathError> {
        let root = AlarmPath::root(configuration)?;
        Ok(Self {
            random: Random::new(settings.seed),
            settings,
            tree: Tree::new(root.clone()),
            root,
            pvs: HashMap::new(),
            timers: BTreeSet::new(),
            mode: Mode::default(),
            stored: HashMap::new(),
            started: false,
            idle_at: None,
            nag_at: None,
        })
    }

    /// How the server is set.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Severity of an item.
    pub fn severity(&self, path: &AlarmPath) -> Option<Severity> {
        Some(self.tree.item(self.tree.find(path)?)?.severity())
    }

    /// State of a PV.
    pub fn state(&self, path: &AlarmPath) -> Option<ClientState> {
        Some(self.tree.leaf(self.tree.find(path)?)?.alarm.state())
    }

    /// When [`Server::tick`] is wanted.
    pub fn deadline(&self) -> Option<Time> {
        let timer = self.timers.first().map(|(time, _timer)| *time);
        [timer, self.idle_at, self.nag_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// A record was read. Records of clients are read as leniently as Phoebus reads them: what cannot be used is
    /// complained about and passed over.
    pub fn record(&mut self, record: &Record, now: Time) -> Vec<Effect> {
        let complain = |why: String| {
            let key = record.key.chars().take(200).collect();
            vec![Effect::Complain(Complaint { key, why })]
        };
        let key = match Key::parse(&record.key) {
            Ok(key) => key,
            Err(error) => return complain(error.to_string()),
        };
        if key.kind == Kind::Command || record.topic == Topic::Command {
            let Some(text) = &record.value else {
                return complain("a command without a value".to_owned());
            };
            return match CommandMessage::read(text) {
                Ok(message) => self.command(&key, &message.command, now),
                Err(error) => complain(error.to_string()),
            };
        }
        match key.kind {
            Kind::Config => match self.config(&key.path, record.value.as_deref(), now) {
                Ok(effects) => effects,
                Err(why) => complain(why),
            },
            Kind::State if !self.started => {
                self.remember(key.path, record.value.as_deref());
                Vec::new()
            }
            Kind::State | Kind::Talk | Kind::Command => Vec::new(),
        }
    }

    /// The records are read to their end: says so, shows where everything stands, and begins to watch.
    pub fn start(&mut self, now: Time) -> Vec<Effect> {
        let complaints = self.settle(now);
        self.started = true;
        self.nag_at = self.settings.nag_period.map(|period| now.after(period));
        let mut effects = vec![Self::talk(self.root.clone(), Severity::Ok, talk::STARTED)];
        effects.extend(complaints);
        let items = self.tree.below(self.tree.root());
        for id in &items {
            if let Some(leaf) = self.tree.leaf(*id) {
                let severity = leaf.alarm.severity();
                if leaf.alarm.is_disabled() {
                    effects.extend(self.publish_leaf(*id));
                }
                self.tree.set_severity(*id, severity);
            }
        }
        for id in items.iter().rev() {
            effects.extend(self.publish_group(*id));
        }
        for id in items {
            effects.extend(self.watch(id, now));
        }
        self.publish_time(&effects, now);
        effects
    }

    /// Something was heard of a PV.
    pub fn news(&mut self, name: &str, news: &News, now: Time) -> Vec<Effect> {
        let Some(pv) = self.pvs.get_mut(name).filter(|pv| pv.is_watched) else {
            return Vec::new();
        };
        pv.last = Some(news.clone());
        let (leaves, filters) = (pv.leaves.clone(), pv.filters.clone());
        let mut effects = Vec::new();
        for id in leaves {
            if self.is_wanted(id) {
                effects.extend(self.hear(id, news, now));
            }
        }
        for id in filters {
            self.filter_later(id, now);
        }
        self.publish_time(&effects, now);
        effects
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Time) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some((time, timer)) = self.timers.first().copied() {
            if time > now {
                break;
            }
            self.timers.pop_first();
            effects.extend(match timer {
                Timer::Delay(id) => {
                    self.change(id, |leaf, maintenance| leaf.expire(maintenance, now))
                }
                Timer::Connect(id) => self.give_up(id, now),
                Timer::Enable(id) => self.date_has_come(id, now),
                Timer::Filter(id) => self.filter_now(id, now),
            });
        }
        if self.nag_at.is_some_and(|at| at <= now) {
            self.nag_at = self.settings.nag_period.map(|period| now.after(period));
            effects.extend(self.nag());
        }
        self.publish_time(&effects, now);
        if self.idle_at.is_some_and(|at| at <= now) {
            let root = self.publish_group(self.tree.root());
            effects.extend(root);
            self.idle_at = Some(now.after(self.settings.idle_timeout));
        }
        effects
    }

    /// Makes the alarms of all leaves from what was read of them: a PV that was in alarm goes on where it was.
    fn settle(&mut self, now: Time) -> Vec<Effect> {
        let mut complaints = Vec::new();
        for id in self.tree.below(self.tree.root()) {
            let Some(path) = self.tree.item(id).map(|item| item.path.clone()) else {
                continue;
            };
            let stored = self.stored.remove(&path);
            if let Some(watched) = self.tree.leaf_mut(id) {
                let behaviour = watched.config.behaviour();
                watched.alarm = match stored {
                    Some(state) if state.alarm.severity != Severity::Ok => {
                        Leaf::restored(behaviour, &state, now)
                    }
                    _ => Leaf::new(behaviour, now),
                };
                complaints.extend(self.refilter(id));
                self.apply_enabled(id, now);
            }
        }
        self.stored = HashMap::new();
        complaints
    }
}
