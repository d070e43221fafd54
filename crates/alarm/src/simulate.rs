//! A configuration against values over time, without any IOC: what would the alarm server say?
//!
//! A [`Scenario`] is played to a [`Server`] whose clock jumps from event to event; what the server publishes and does
//! comes back as [`Event`]s, and what was expected of it is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::path::{AlarmPath, PathError};
use crate::server::{
    Act, Effect, KindView, News, Record, Refusal, Request, Server, Settings, Topic, Who,
};
use crate::severity::Severity;
use crate::state::{ClientState, State};
use crate::text::Text;
use crate::time::Time;
use crate::value::Value;
use crate::wire::config::{ConfigMessage, Signed};
use crate::wire::key::{Key, Kind};
use crate::wire::state::{self, StateMessage};
use crate::wire::talk;

/// Values over time, and what is expected.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Name of the configuration: the root.
    pub configuration: String,
    /// Groups and PVs; a group before what is in it.
    pub items: Vec<(AlarmPath, ConfigMessage)>,
    /// How the server is set.
    pub settings: Settings,
    /// When the server starts. Enable dates are compared with it.
    pub begins: Time,
    /// Limits of PVs, by name.
    pub limits: BTreeMap<String, Limits>,
    /// What happens, in any order; what happens at the same time happens in the order of the list.
    pub steps: Vec<Step>,
    /// What is expected, in any order.
    pub expectations: Vec<Expectation>,
    /// How long it goes on after the start. Steps and expectations after that count as well: it goes on until they
    /// have been.
    pub lasts: Duration,
}

/// Limits of an analog record: a value at a limit is in alarm, as in EPICS.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// `HIHI` with its severity.
    pub hihi: Option<(f64, Severity)>,
    /// `HIGH` with its severity.
    pub high: Option<(f64, Severity)>,
    /// `LOW` with its severity.
    pub low: Option<(f64, Severity)>,
    /// `LOLO` with its severity.
    pub lolo: Option<(f64, Severity)>,
}

impl Limits {
    /// The alarm of a value, in the order in which EPICS looks: the outer limits first.
    pub fn alarm(&self, value: f64) -> (Severity, Text) {
        let above = |limit: Option<(f64, Severity)>| limit.filter(|limit| value >= limit.0);
        let below = |limit: Option<(f64, Severity)>| limit.filter(|limit| value <= limit.0);
        let rows = [
            (above(self.hihi), "HIHI_ALARM"),
            (below(self.lolo), "LOLO_ALARM"),
            (above(self.high), "HIGH_ALARM"),
            (below(self.low), "LOW_ALARM"),
        ];
        for (limit, message) in rows {
            // a limit without a severity raises nothing
            if let Some((_limit, severity)) = limit.filter(|limit| limit.1 != Severity::Ok) {
                return (severity, message.into());
            }
        }
        (Severity::Ok, "NO_ALARM".into())
    }
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// When, after the start.
    pub at: Duration,
    /// What.
    pub what: Happens,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Happens {
    /// A PV has a value; it connects if it was not.
    Value {
        /// Its name, as in the configuration.
        pv: String,
        /// The value.
        value: Value,
        /// Its alarm; without one, what its limits say.
        alarm: Option<(Severity, Text)>,
    },
    /// A PV disconnects.
    Disconnect {
        /// Its name.
        pv: String,
    },
    /// An operator wants something.
    Request(Request),
    /// A client writes a configuration; `None` deletes.
    Config {
        /// Of which item.
        path: AlarmPath,
        /// What.
        message: Option<ConfigMessage>,
    },
}

/// How an item is expected to be at a moment. What is `None` does not matter.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// When, after the start: after everything that happens at that time.
    pub at: Duration,
    /// Which item.
    pub path: AlarmPath,
    /// Severity of its alarm.
    pub severity: Option<Severity>,
    /// Message of its alarm.
    pub message: Option<String>,
    /// Severity of the PV itself.
    pub current_severity: Option<Severity>,
    /// Whether it is disabled.
    pub disabled: Option<bool>,
    /// How often it has been announced since the start.
    pub announced: Option<usize>,
    /// How many actions were carried out for it since the start.
    pub actions: Option<usize>,
}

impl Expectation {
    /// One that expects nothing yet.
    pub fn new(at: Duration, path: AlarmPath) -> Self {
        Self {
            at,
            path,
            severity: None,
            message: None,
            current_severity: None,
            disabled: None,
            announced: None,
            actions: None,
        }
    }
}

/// What came of a scenario.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// All that the server did, in order.
    pub events: Vec<Event>,
    /// What was not as expected, in the order of time.
    pub mismatches: Vec<Mismatch>,
}

/// Something that the server did.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When, after the start.
    pub at: Duration,
    /// What.
    pub what: Did,
}

/// What the server did.
#[derive(Debug, Clone, PartialEq)]
pub enum Did {
    /// It published the state of a PV.
    Leaf(AlarmPath, ClientState),
    /// It published the severity of a group.
    Group(AlarmPath, Severity),
    /// It announced something.
    Talk(AlarmPath, talk::Talk),
    /// It wrote a configuration; a date has come, or an operator wanted it.
    Config(AlarmPath, Box<ConfigMessage>),
    /// It wanted an action to be carried out.
    Act(Act),
    /// It complained.
    Complained(String),
    /// It refused what an operator wanted.
    Refused(Refusal),
}

/// Something that was expected otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatch {
    /// Place of the expectation in the scenario, from 0.
    pub expectation: usize,
    /// What was expected otherwise: a field of [`Expectation`], or `path` if there is no such item.
    pub field: &'static str,
    /// What was expected.
    pub expected: String,
    /// What is.
    pub found: String,
}

/// Plays a scenario.
///
/// # Errors
///
/// A configuration whose name cannot be a root.
pub fn run(scenario: &Scenario) -> Result<Outcome, PathError> {
    let mut stage = Stage {
        server: Server::new(&scenario.configuration, scenario.settings.clone())?,
        scenario,
        announced: BTreeMap::new(),
        actions: BTreeMap::new(),
        channels: BTreeMap::new(),
        wanted: Vec::new(),
        outcome: Outcome::default(),
    };
    for (path, message) in &scenario.items {
        let effects = stage
            .server
            .record(&config(path, Some(message)), scenario.begins);
        stage.take(Duration::ZERO, effects);
    }
    let effects = stage.server.start(scenario.begins);
    stage.take(Duration::ZERO, effects);
    let mut moments: BTreeSet<Duration> = BTreeSet::from([scenario.lasts]);
    moments.extend(scenario.steps.iter().map(|step| step.at));
    moments.extend(scenario.expectations.iter().map(|one| one.at));
    for moment in moments {
        stage.pass(moment);
        for step in scenario.steps.iter().filter(|step| step.at == moment) {
            stage.step(step);
        }
        stage.pass(moment);
        for (place, one) in scenario.expectations.iter().enumerate() {
            if one.at == moment {
                stage.compare(place, one);
            }
        }
    }
    Ok(stage.outcome)
}

struct Stage<'a> {
    server: Server,
    scenario: &'a Scenario,
    announced: BTreeMap<AlarmPath, usize>,
    actions: BTreeMap<AlarmPath, usize>,
    /// What channels have, also while nobody watches them.
    channels: BTreeMap<String, State>,
    /// Channels that the server wants to watch and that have something to tell.
    wanted: Vec<String>,
    outcome: Outcome,
}

impl Stage<'_> {
    /// Time passes up to a moment.
    fn pass(&mut self, moment: Duration) {
        let end = self.scenario.begins.after(moment);
        while let Some(due) = self.server.deadline().filter(|due| *due <= end) {
            let at = due.since(self.scenario.begins);
            let effects = self.server.tick(due);
            self.take(at, effects);
        }
    }

    fn step(&mut self, step: &Step) {
        let now = self.scenario.begins.after(step.at);
        let effects = match &step.what {
            Happens::Value { pv, value, alarm } => {
                let (severity, message) = alarm.clone().unwrap_or_else(|| {
                    let limits = self.scenario.limits.get(pv).copied().unwrap_or_default();
                    limits.alarm(value.number().unwrap_or(f64::NAN))
                });
                let state = State {
                    severity,
                    message,
                    value: value.clone(),
                    time: now,
                    latch: false,
                };
                let name = pv.strip_prefix("ca://").unwrap_or(pv);
                self.channels.insert(name.to_owned(), state.clone());
                self.server.news(name, &News::Value(state), now)
            }
            Happens::Disconnect { pv } => {
                let name = pv.strip_prefix("ca://").unwrap_or(pv);
                self.channels.remove(name);
                self.server.news(name, &News::Disconnected, now)
            }
            Happens::Request(request) => {
                let who = Who {
                    user: "scenario".to_owned(),
                    host: "scenario".to_owned(),
                };
                match self.server.request(request, &who, now) {
                    Ok((_reply, effects)) => effects,
                    Err(refusal) => {
                        self.did(step.at, Did::Refused(refusal));
                        Vec::new()
                    }
                }
            }
            Happens::Config { path, message } => {
                self.server.record(&config(path, message.as_ref()), now)
            }
        };
        self.take(step.at, effects);
    }

    fn did(&mut self, at: Duration, what: Did) {
        self.outcome.events.push(Event { at, what });
    }

    fn take(&mut self, at: Duration, effects: Vec<Effect>) {
        self.carry_out(at, effects);
        // a channel that connects tells its value at once
        while let Some(name) = self.wanted.pop() {
            if let Some(state) = self.channels.get(&name).cloned() {
                let now = self.scenario.begins.after(at);
                let effects = self.server.news(&name, &News::Value(state), now);
                self.carry_out(at, effects);
            }
        }
    }

    fn carry_out(&mut self, at: Duration, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Publish(record) => self.published(at, &record),
                Effect::Act(act) => {
                    *self.actions.entry(act.path.clone()).or_default() += 1;
                    self.did(at, Did::Act(*act));
                }
                Effect::Complain(complaint) => {
                    self.did(at, Did::Complained(complaint.to_string()));
                }
                Effect::Connect(name) => self.wanted.push(name),
                Effect::Disconnect(_) | Effect::Restart | Effect::Shutdown => {}
            }
        }
    }

    fn published(&mut self, at: Duration, record: &Record) {
        if record.topic == Topic::Server {
            return;
        }
        let (Ok(key), Some(value)) = (Key::parse(&record.key), record.value.as_deref()) else {
            return;
        };
        let path = key.path;
        let what = match key.kind {
            Kind::State => match state::read(value) {
                Ok(StateMessage::Leaf(state)) => Did::Leaf(path, state),
                Ok(StateMessage::Group(severity)) => Did::Group(path, severity),
                Err(_) => return,
            },
            Kind::Talk => {
                let Some(words) = talk::read(value) else {
                    return;
                };
                *self.announced.entry(path.clone()).or_default() += 1;
                Did::Talk(path, words)
            }
            Kind::Config => match Signed::read(value) {
                Ok(signed) => Did::Config(path, Box::new(signed.message)),
                Err(_) => return,
            },
            Kind::Command => return,
        };
        self.did(at, what);
    }

    fn compare(&mut self, place: usize, one: &Expectation) {
        let mut found = Vec::new();
        let mut note = |field, expected: Option<String>, is: String| {
            if let Some(expected) = expected.filter(|expected| *expected != is) {
                found.push(Mismatch {
                    expectation: place,
                    field,
                    expected,
                    found: is,
                });
            }
        };
        match self.server.item(&one.path) {
            None => note(
                "path",
                Some(one.path.to_string()),
                "no such item".to_owned(),
            ),
            Some(item) => {
                let word = |severity: Severity| severity.name().to_owned();
                let count = |counts: &BTreeMap<AlarmPath, usize>| {
                    counts
                        .get(&one.path)
                        .copied()
                        .unwrap_or_default()
                        .to_string()
                };
                note("severity", one.severity.map(word), word(item.severity));
                let missing = || "a group has none".to_owned();
                let leaf = match &item.kind {
                    KindView::Leaf(leaf) => Some(leaf),
                    KindView::Group(_) => None,
                };
                let message = leaf.map_or_else(missing, |leaf| leaf.alarm.message.to_string());
                note("message", one.message.clone(), message);
                let current = leaf.map_or_else(missing, |leaf| word(leaf.current.severity));
                note("current_severity", one.current_severity.map(word), current);
                let disabled = leaf.map_or_else(missing, |leaf| leaf.is_disabled.to_string());
                note("disabled", one.disabled.map(|on| on.to_string()), disabled);
                note(
                    "announced",
                    one.announced.map(|count| count.to_string()),
                    count(&self.announced),
                );
                note(
                    "actions",
                    one.actions.map(|count| count.to_string()),
                    count(&self.actions),
                );
            }
        }
        self.outcome.mismatches.extend(found);
    }
}

fn config(path: &AlarmPath, message: Option<&ConfigMessage>) -> Record {
    let signed = message.map(|message| Signed {
        user: "scenario".to_owned(),
        host: "scenario".to_owned(),
        message: message.clone(),
    });
    Record {
        topic: Topic::Main,
        key: Key::new(Kind::Config, path.clone()).to_string(),
        value: signed.map(|signed| signed.write()),
    }
}

#[cfg(test)]
mod tests;
