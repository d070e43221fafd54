//! The alarm server without its sockets: records and values in, records and wishes out.
//!
//! A [`Server`] is fed with the records of its topics up to the end ([`Server::record`]), then started
//! ([`Server::start`]), and from then on with records, news of PVs ([`Server::news`]), requests of operators
//! ([`Server::request`]) and the passing of time ([`Server::tick`], wanted at [`Server::deadline`]). Each call returns
//! [`Effect`]s, which the shell carries out in their order.
//!
//! A server that is not started publishes nothing and only remembers what it reads, its own topic included: a stand-by
//! ([`Server::stand_by`]) is one that goes on reading the records of its leader, hears what PVs say, and takes its place
//! ([`Server::take_over`]) when the leader is gone.

mod action;
mod actions;
mod complaints;
mod filter;
mod own;
mod publish;
mod records;
mod request;
mod settle;
mod sources;
mod standby;
mod view;
mod watch;
mod watched;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::path::{AlarmPath, PathError};
use crate::random::Random;
use crate::server::complaints::Complaints;
use crate::server::sources::{PvId, Pvs};
use crate::server::watched::{Group, Watched};
use crate::severity::Severity;
use crate::state::{ClientState, State};
use crate::time::Time;
use crate::tree::{Item, ItemId, Tree};
use crate::wire::command::CommandMessage;
use crate::wire::key::{Key, Kind};
use crate::wire::state::Mode;
use crate::wire::talk;

pub use action::{Act, ChatService, What};
pub use complaints::{Complaint, ComplaintKind};
pub use request::{
    LONGEST_REASON, Refusal, Reply, Request, Shelving, Standing, Touched, Until, Who,
};
pub use view::{
    Changes, Connection, GroupView, ItemView, KindView, LeafView, Selection, Wanted, Which,
};

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
    /// Beginnings of actions that are carried out once more when the alarm is over.
    pub follow_up: Vec<String>,
    /// A PV to which 1 is written, and how often.
    pub heartbeat: Option<(String, Duration)>,
}

impl Default for Settings {
    /// As Phoebus, in UTC and without a name.
    fn default() -> Self {
        Self {
            connection_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(10),
            nag_period: Some(Duration::from_mins(15)),
            zone: TimeZone::UTC,
            user: String::new(),
            host: String::new(),
            seed: 0,
            follow_up: [
                "mailto:",
                "cmd:",
                "infopv:",
                "webhook:",
                "slack:",
                "teams:",
                "mattermost:",
            ]
            .map(str::to_owned)
            .to_vec(),
            heartbeat: None,
        }
    }
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
    /// What the server remembers for itself: `XServer`, compacted, unknown to Phoebus.
    Server,
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
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write a record.
    Publish(Record),
    /// Watch a channel by Channel Access; the first that wants it.
    Connect(String),
    /// Let a channel go; nobody wants it any more.
    Disconnect(String),
    /// A client wants the configuration to be read again.
    Restart,
    /// A client wants the server to end.
    Shutdown,
    /// Carry out an automated action.
    Act(Box<Act>),
    /// Something was passed over; for the log.
    Complain(Complaint),
}

/// News of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A value with its alarm and its time.
    Value(State),
    /// The connection is lost.
    Disconnected,
    /// The channel cannot be made.
    Impossible,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Delay(ItemId),
    Connect(ItemId),
    Enable(ItemId),
    Filter(ItemId),
    Action(ItemId),
}

/// The alarm server.
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    root: AlarmPath,
    tree: Tree<Watched, Group>,
    pvs: Pvs,
    timers: BTreeSet<(Time, Timer)>,
    mode: Mode,
    /// Before the start: the states that were published, until their leaves take them over.
    stored: HashMap<AlarmPath, ClientState>,
    /// Before the start: digests of the texts of those states.
    stored_texts: HashMap<AlarmPath, u64>,
    /// Before the start: the severities of groups that were published.
    stored_groups: HashMap<AlarmPath, Severity>,
    /// Before the start: what was remembered in the own topic.
    own: HashMap<AlarmPath, own::Own>,
    /// Configurations that this server wrote and has not read back yet.
    echoes: HashMap<AlarmPath, records::Echo>,
    /// Whether anything but items has changed since [`Server::take_changes`].
    is_mode_changed: bool,
    removed: Vec<AlarmPath>,
    is_everything_changed: bool,
    /// Before the start, while another server leads.
    standby: Option<Box<standby::Standby>>,
    complaints: Complaints,
    random: Random,
    started: bool,
    idle_at: Option<Time>,
    nag_at: Option<Time>,
    beat_at: Option<Time>,
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
            pvs: Pvs::default(),
            timers: BTreeSet::new(),
            mode: Mode::default(),
            stored: HashMap::new(),
            stored_texts: HashMap::new(),
            stored_groups: HashMap::new(),
            own: HashMap::new(),
            echoes: HashMap::new(),
            is_mode_changed: false,
            removed: Vec::new(),
            is_everything_changed: false,
            standby: None,
            complaints: Complaints::default(),
            started: false,
            idle_at: None,
            nag_at: None,
            beat_at: None,
        })
    }

    /// Whether maintenance mode is on and notifications go out.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether [`Server::start`] has been called.
    pub fn is_started(&self) -> bool {
        self.started
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
        [timer, self.idle_at, self.nag_at, self.beat_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// A record was read. Records of clients are read as leniently as Phoebus reads them: what cannot be used is
    /// complained about and passed over.
    pub fn record(&mut self, record: &Record, now: Time) -> Vec<Effect> {
        let result = if record.topic == Topic::Server {
            self.own_record(record).map(|()| Vec::new())
        } else {
            self.foreign_record(record, now)
        };
        result.unwrap_or_else(|(kind, why)| {
            self.complaints
                .complain(kind, &record.key, why)
                .into_iter()
                .collect()
        })
    }

    fn foreign_record(
        &mut self,
        record: &Record,
        now: Time,
    ) -> Result<Vec<Effect>, (ComplaintKind, String)> {
        let length = record.value.as_ref().map_or(0, String::len);
        if length > LONGEST_VALUE {
            let why = format!("it has {length} bytes, at most {LONGEST_VALUE} are read");
            return Err((ComplaintKind::TooLong, why));
        }
        if record.topic == Topic::Command && Key::is_done(&record.key) {
            return Ok(Vec::new());
        }
        if record.topic == Topic::Command || Key::is_command(&record.key) {
            return self.command_record(record, now);
        }
        let key =
            Key::parse(&record.key).map_err(|error| (ComplaintKind::Key, error.to_string()))?;
        match key.kind {
            Kind::Config => self
                .config(&key.path, record.value.as_deref(), now)
                .map_err(|why| (ComplaintKind::Config, why)),
            Kind::State if !self.started => {
                self.remember(key.path, record.value.as_deref(), now)?;
                Ok(Vec::new())
            }
            Kind::State | Kind::Talk | Kind::Command => Ok(Vec::new()),
        }
    }

    fn command_record(
        &mut self,
        record: &Record,
        now: Time,
    ) -> Result<Vec<Effect>, (ComplaintKind, String)> {
        let target =
            Key::target(&record.key).map_err(|error| (ComplaintKind::Key, error.to_string()))?;
        let Some(text) = &record.value else {
            return Err((
                ComplaintKind::Command,
                "a command without a value".to_owned(),
            ));
        };
        let message = CommandMessage::read(text)
            .map_err(|error| (ComplaintKind::Command, error.to_string()))?;
        let path = match AlarmPath::parse(target) {
            Ok(path) => path,
            // such as maintenance mode, which is that of the whole server whatever the path says
            Err(_) if !message.command.needs_item() => self.root.clone(),
            Err(error) => return Err((ComplaintKind::Key, error.to_string())),
        };
        let key = Key::new(Kind::Command, path);
        Ok(self.command(&key, &message.command, now))
    }

    /// The records are read to their end: says so, shows where everything stands, and begins to watch.
    pub fn start(&mut self, now: Time) -> Vec<Effect> {
        let standby = self.standby.take();
        self.stored_groups = HashMap::new();
        self.stored_texts = HashMap::new();
        let complaints = self.settle(now);
        self.started = true;
        self.nag_at = self.settings.nag_period.map(|period| now.after(period));
        self.beat_at = self.settings.heartbeat.is_some().then_some(now);
        let mut effects = vec![Self::talk(&self.root, Severity::Ok, talk::STARTED)];
        effects.extend(complaints);
        let items = self.tree.below(self.tree.root());
        for id in &items {
            if self
                .tree
                .leaf(*id)
                .is_some_and(|leaf| leaf.alarm.is_disabled())
            {
                effects.extend(self.publish_leaf(*id));
            }
        }
        for id in items.iter().rev() {
            effects.extend(self.publish_group(*id));
            let severity = self.tree.item(*id).map(Item::severity);
            effects.extend(self.act_on(*id, severity.unwrap_or_default(), now));
        }
        for id in items {
            effects.extend(self.watch(id, now));
            self.refresh(id);
            effects.extend(self.keep(id));
        }
        if let Some(standby) = standby {
            effects.extend(self.hear_again(*standby, now));
        }
        self.publish_time(&effects, now);
        effects
    }

    /// Something was heard of a channel.
    pub fn news(&mut self, name: &str, news: &News, now: Time) -> Vec<Effect> {
        if !self.started {
            self.hear_of(name, news, now);
            return Vec::new();
        }
        let Some(id) = self.pvs.find(name) else {
            return Vec::new();
        };
        let mut effects = Vec::new();
        self.spread(id, news, now, &mut effects);
        self.publish_time(&effects, now);
        effects
    }

    /// Tells all that need a PV what was heard of it.
    fn spread(&mut self, id: PvId, news: &News, now: Time, effects: &mut Vec<Effect>) {
        let Some(pv) = self.pvs.get(id).filter(|pv| pv.is_watched) else {
            return;
        };
        let is_value = matches!(news, News::Value(_));
        let was_value = matches!(pv.last, sources::Last::Value(_));
        let leaves = pv.leaves.clone();
        let (filters, formulas) = pv.dependents();
        self.pvs.set_last(id, Some(news));
        for leaf in leaves.iter() {
            if self.is_wanted(*leaf) {
                effects.extend(self.hear(*leaf, news, now));
                if is_value != was_value || !is_value {
                    self.refresh(*leaf);
                }
            }
        }
        for leaf in filters {
            self.filter_later(leaf, now);
        }
        for formula in formulas {
            if let Some(news) = self.calculate(formula, now) {
                self.spread(formula, &news, now, effects);
            }
        }
    }

    /// The bus has lost records: everything is said again, and that it is. Not needed of a bus that keeps what could
    /// not be written.
    pub fn resend(&mut self, now: Time) -> Vec<Effect> {
        if !self.started {
            return Vec::new();
        }
        let mut effects = vec![Self::talk(
            &self.root,
            self.severity(&self.root).unwrap_or_default(),
            talk::RECONNECTED,
        )];
        for id in self.tree.below(self.tree.root()) {
            // a PV that was never heard of has nothing to say
            if self
                .tree
                .leaf(id)
                .is_some_and(|leaf| !leaf.alarm.alarm().message.is_empty())
            {
                effects.extend(self.publish_leaf(id));
            }
            effects.extend(self.publish_group(id));
            self.lose_kept(id);
            effects.extend(self.keep(id));
        }
        effects.push(self.keep_mode());
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
                    self.change(id, now, |leaf, maintenance| leaf.expire(maintenance, now))
                }
                Timer::Connect(id) => self.give_up(id, now),
                Timer::Enable(id) => self.date_has_come(id, now),
                Timer::Filter(id) => self.filter_now(id, now),
                Timer::Action(id) => self.act_now(id, now),
            });
        }
        if self.nag_at.is_some_and(|at| at <= now) {
            self.nag_at = self.settings.nag_period.map(|period| now.after(period));
            effects.extend(self.nag());
        }
        if let (Some(at), Some((_pv, period))) = (self.beat_at, &self.settings.heartbeat)
            && at <= now
        {
            self.beat_at = Some(now.after(*period));
            effects.extend(self.heartbeat());
        }
        self.publish_time(&effects, now);
        if self.idle_at.is_some_and(|at| at <= now) {
            let root = self.publish_group(self.tree.root());
            effects.extend(root);
            self.idle_at = Some(now.after(self.settings.idle_timeout));
        }
        effects
    }
}

#[cfg(test)]
mod tests;

/// Longest text of a record that is read, in bytes: what is longer comes from no client.
const LONGEST_VALUE: usize = 1024 * 1024;
