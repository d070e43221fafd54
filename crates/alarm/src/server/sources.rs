//! The PVs that leaves, filters and formulas need: each once, whoever needs it, and of whatever kind.
//!
//! A name without a prefix or with `ca://` is a channel of Channel Access. A name that begins with `=` or `eq://` is a
//! formula that the server calculates itself. Other kinds (`pva://`, `loc://`, `sim://`) cannot be made here.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use crate::formula::{Formula, Input, Value as FormulaValue};
use crate::path::AlarmPath;
use crate::server::{ComplaintKind, Effect, News, Server};
use crate::severity::Severity;
use crate::state::State;
use crate::text::Text;
use crate::time::Time;
use crate::tree::ItemId;
use crate::value::Value;

/// A place in the list of PVs; used again after its PV is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PvId(u32);

/// The name of a PV; mostly part of the path of a leaf, which is not copied.
#[derive(Debug, Clone)]
pub(super) struct PvName {
    text: Arc<str>,
    from: u32,
}

impl PvName {
    fn new(name: &str) -> Self {
        Self {
            text: name.into(),
            from: 0,
        }
    }

    /// The last name of a path.
    fn of(path: &AlarmPath) -> Self {
        let (text, from) = path.shared_name();
        match u32::try_from(from) {
            Ok(from) => Self { text, from },
            Err(_) => Self::new(path.name()),
        }
    }
}

impl Deref for PvName {
    type Target = str;

    fn deref(&self) -> &str {
        self.text.get(self.from as usize..).unwrap_or_default()
    }
}

impl Borrow<str> for PvName {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for PvName {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for PvName {}

impl Hash for PvName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

/// Where the values of a PV come from.
#[derive(Debug)]
pub(super) enum Source {
    /// Channel Access, by the name of the PV.
    Channel,
    /// Calculated from other PVs, in the order of the formula's inputs.
    Formula(Box<(Formula, Vec<PvId>)>),
    /// From nowhere, with the reason.
    Impossible(Box<str>),
}

/// A PV.
#[derive(Debug)]
pub(super) struct Pv {
    pub(super) name: PvName,
    pub(super) source: Source,
    /// Its leaves, in the order in which they came.
    pub(super) leaves: Few,
    others: Option<Box<Others>>,
    /// Whether it is needed, and the shell was asked to watch it if it is a channel.
    pub(super) is_watched: bool,
    /// What was last heard of it since then.
    pub(super) last: Last,
}

/// What was last heard of a PV.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Last {
    /// Nothing.
    #[default]
    Never,
    /// A value. It is kept here only for filters and formulas; else a leaf has it.
    Value(Option<Box<State>>),
    Disconnected,
    Impossible,
}

/// What else needs a PV.
#[derive(Debug, Default)]
struct Others {
    /// Leaves whose filter has it.
    filters: Vec<ItemId>,
    /// Formulas that have it.
    formulas: Vec<PvId>,
}

/// Mostly one.
#[derive(Debug, Clone, Default)]
pub(super) enum Few {
    #[default]
    None,
    One(ItemId),
    Many(Vec<ItemId>),
}

impl Few {
    pub(super) fn iter(&self) -> impl Iterator<Item = &ItemId> {
        match self {
            Self::None => [].iter(),
            Self::One(one) => std::slice::from_ref(one).iter(),
            Self::Many(many) => many.iter(),
        }
    }

    pub(super) fn push(&mut self, id: ItemId) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(id),
            Self::One(one) => Self::Many(vec![one, id]),
            Self::Many(mut many) => {
                many.push(id);
                Self::Many(many)
            }
        };
    }

    pub(super) fn remove(&mut self, id: ItemId) {
        match self {
            Self::One(one) if *one == id => *self = Self::None,
            Self::Many(many) => many.retain(|one| *one != id),
            Self::None | Self::One(_) => {}
        }
    }
}

impl Pv {
    /// The leaves whose filter has it, and the formulas that have it.
    pub(super) fn dependents(&self) -> (Vec<ItemId>, Vec<PvId>) {
        match &self.others {
            Some(others) => (others.filters.clone(), others.formulas.clone()),
            None => (Vec::new(), Vec::new()),
        }
    }

    pub(super) fn add_filter(&mut self, id: ItemId) {
        self.others.get_or_insert_default().filters.push(id);
    }

    pub(super) fn remove_filter(&mut self, id: ItemId) {
        if let Some(others) = &mut self.others {
            others.filters.retain(|one| *one != id);
            self.tidy();
        }
    }

    fn tidy(&mut self) {
        self.others
            .take_if(|others| others.filters.is_empty() && others.formulas.is_empty());
    }

    fn is_unused(&self) -> bool {
        self.leaves.iter().next().is_none() && self.others.is_none()
    }
}

/// All PVs.
#[derive(Debug, Default)]
pub(super) struct Pvs {
    places: Vec<Option<Box<Pv>>>,
    free: Vec<PvId>,
    names: HashMap<PvName, PvId>,
    watched: usize,
    connected: usize,
}

impl Pvs {
    pub(super) fn get(&self, id: PvId) -> Option<&Pv> {
        self.places.get(id.0 as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: PvId) -> Option<&mut Pv> {
        self.places.get_mut(id.0 as usize)?.as_deref_mut()
    }

    /// The PV of that name, which may have the prefix of its kind.
    pub(super) fn find(&self, name: &str) -> Option<PvId> {
        match self.names.get(name) {
            Some(id) => Some(*id),
            None => self.names.get(&*key(name)).copied(),
        }
    }

    /// Keeps what was heard of a PV; nothing if it is let go.
    pub(super) fn set_last(&mut self, id: PvId, last: Option<&News>) {
        let Some(pv) = self.get_mut(id) else { return };
        let is_channel = matches!(pv.source, Source::Channel);
        let is_connected = matches!(last, Some(News::Value(_)));
        let was_connected = matches!(pv.last, Last::Value(_));
        pv.last = match last {
            None => Last::Never,
            // the leaf of a formula may come after its value
            Some(News::Value(state)) if pv.others.is_some() || !is_channel => {
                Last::Value(Some(Box::new(state.clone())))
            }
            Some(News::Value(_)) => Last::Value(None),
            Some(News::Disconnected) => Last::Disconnected,
            Some(News::Impossible) => Last::Impossible,
        };
        if is_channel {
            self.connected += usize::from(is_connected);
            self.connected -= usize::from(was_connected);
        }
    }

    /// Whether a PV is needed. Gives what it was before.
    fn set_watched(&mut self, id: PvId, is_watched: bool) -> bool {
        let Some(pv) = self.get_mut(id) else {
            return is_watched;
        };
        let was_watched = std::mem::replace(&mut pv.is_watched, is_watched);
        if matches!(pv.source, Source::Channel) {
            self.watched += usize::from(is_watched);
            self.watched -= usize::from(was_watched);
        }
        if !is_watched {
            self.set_last(id, None);
        }
        was_watched
    }

    /// How many channels are watched, and how many of them are connected.
    pub(super) fn channels(&self) -> (usize, usize) {
        (self.watched, self.connected)
    }

    /// All names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|name| &**name)
    }

    /// The PV of a leaf.
    pub(super) fn take_leaf(&mut self, path: &AlarmPath) -> PvId {
        if let Some(id) = self.find(path.name()) {
            return id;
        }
        let key = key(path.name());
        if key == path.name() {
            self.make(PvName::of(path))
        } else {
            self.make(PvName::new(&key))
        }
    }

    /// The PV of that name; new ones are made with what they need.
    pub(super) fn take(&mut self, name: &str) -> PvId {
        match self.find(name) {
            Some(id) => id,
            None => self.make(PvName::new(&key(name))),
        }
    }

    fn make(&mut self, key: PvName) -> PvId {
        let source = match source(&key) {
            Ok(None) => Source::Channel,
            Ok(Some(formula)) => {
                let inputs: Vec<PvId> = formula
                    .inputs()
                    .iter()
                    .map(|input| self.take(input))
                    .collect();
                Source::Formula(Box::new((formula, inputs)))
            }
            Err(why) => Source::Impossible(why.into()),
        };
        let inputs = match &source {
            Source::Formula(formula) => formula.1.clone(),
            Source::Channel | Source::Impossible(_) => Vec::new(),
        };
        let pv = Some(Box::new(Pv {
            name: key.clone(),
            source,
            leaves: Few::None,
            others: None,
            is_watched: false,
            last: Last::Never,
        }));
        let id = if let Some(id) = self.free.pop() {
            if let Some(place) = self.places.get_mut(id.0 as usize) {
                *place = pv;
            }
            id
        } else {
            let id = PvId(u32::try_from(self.places.len()).unwrap_or(u32::MAX));
            self.places.push(pv);
            id
        };
        self.names.insert(key, id);
        for input in inputs {
            if let Some(pv) = self.get_mut(input) {
                pv.others.get_or_insert_default().formulas.push(id);
            }
        }
        id
    }

    /// Forgets a PV that nothing needs, and its inputs if nothing else needs them.
    pub(super) fn forget(&mut self, id: PvId) {
        if !self.get(id).is_some_and(Pv::is_unused) {
            return;
        }
        let Some(pv) = self.places.get_mut(id.0 as usize).and_then(Option::take) else {
            return;
        };
        self.names.remove(&pv.name);
        self.free.push(id);
        if let Source::Formula(formula) = pv.source {
            for input in formula.1 {
                if let Some(others) = self.get_mut(input).and_then(|pv| pv.others.as_mut()) {
                    others.formulas.retain(|one| *one != id);
                }
                if let Some(pv) = self.get_mut(input) {
                    pv.tidy();
                }
                self.forget(input);
            }
        }
    }
}

/// The name without what does not matter: `ca://x` is `x`, `eq://a+b` is `=a+b`.
pub(super) fn key(name: &str) -> String {
    match name.split_once("://") {
        Some(("ca", rest)) => rest.to_owned(),
        Some(("eq", rest)) => format!("={rest}"),
        _ => name.to_owned(),
    }
}

/// Whether a name means a channel of Channel Access.
pub(super) fn is_channel(name: &str) -> bool {
    matches!(source(&key(name)), Ok(None))
}

/// The formula that a key stands for, or why it can be no PV; nothing for a channel.
fn source(key: &str) -> Result<Option<Formula>, String> {
    if let Some(text) = key.strip_prefix('=') {
        return match Formula::parse(text) {
            Ok(formula) => Ok(Some(formula)),
            // the sign itself is the first character
            Err(error) => Err(format!(
                "it is no formula, at character {}: {error}",
                text.get(..error.at).unwrap_or(text).chars().count() + 2
            )),
        };
    }
    match key.split_once("://") {
        Some((kind, _rest))
            if !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            Err(format!(
                "at character 1: PVs of the kind `{kind}://` are not possible here, only `ca://` and formulas (`=` or `eq://`)"
            ))
        }
        _ if key.trim().is_empty() => Err("at character 1: it has no name".to_owned()),
        _ => Ok(None),
    }
}

impl Server {
    /// Watches a PV if something needs it, else lets it go; forgets it if nothing has it any more.
    pub(super) fn watch_pv(&mut self, id: PvId, now: Time) -> Vec<Effect> {
        if !self.started {
            return Vec::new();
        }
        self.keep_value(id);
        let Some(pv) = self.pvs.get(id) else {
            return Vec::new();
        };
        let (filters, formulas) = pv.dependents();
        let is_needed = pv
            .leaves
            .iter()
            .chain(&filters)
            .any(|leaf| self.is_wanted(*leaf))
            || formulas
                .iter()
                .any(|formula| self.pvs.get(*formula).is_some_and(|pv| pv.is_watched));
        let mut effects = Vec::new();
        let was_watched = self.pvs.set_watched(id, is_needed);
        let Some(pv) = self.pvs.get_mut(id) else {
            return effects;
        };
        if was_watched != is_needed {
            match &pv.source {
                Source::Channel => {
                    let name = pv.name.to_string();
                    effects.push(if is_needed {
                        Effect::Connect(name)
                    } else {
                        Effect::Disconnect(name)
                    });
                }
                Source::Impossible(why) => {
                    if is_needed {
                        let (key, why) = (pv.name.clone(), why.to_string());
                        pv.last = Last::Impossible;
                        effects.extend(self.complaints.complain(ComplaintKind::Pv, &key, why));
                    }
                }
                Source::Formula(formula) => {
                    for input in formula.1.clone() {
                        effects.extend(self.watch_pv(input, now));
                    }
                    if is_needed {
                        let news = self.calculate(id, now);
                        self.pvs.set_last(id, news.as_ref());
                    }
                }
            }
        }
        self.pvs.forget(id);
        effects
    }

    /// What was last heard of a PV since it is watched.
    pub(super) fn last(&self, id: PvId) -> Option<News> {
        let pv = self.pvs.get(id)?;
        Some(match &pv.last {
            Last::Never => return None,
            Last::Value(Some(state)) => News::Value((**state).clone()),
            Last::Value(None) => News::Value(self.heard_by_leaf(pv)?.clone()),
            Last::Disconnected => News::Disconnected,
            Last::Impossible => News::Impossible,
        })
    }

    fn heard_by_leaf(&self, pv: &Pv) -> Option<&State> {
        let leaves = pv.leaves.iter().filter_map(|leaf| self.tree.leaf(*leaf));
        // one that is only just watched has not heard anything yet
        let mut old = leaves.filter(|leaf| leaf.is_wanted && leaf.is_told);
        old.find_map(|leaf| leaf.alarm.heard())
    }

    /// A filter or a formula that is new to a PV needs its value, which so far only a leaf has.
    fn keep_value(&mut self, id: PvId) {
        let state = match self.pvs.get(id) {
            Some(pv) if pv.others.is_some() && pv.last == Last::Value(None) => {
                self.heard_by_leaf(pv).cloned()
            }
            _ => return,
        };
        if let (Some(pv), Some(state)) = (self.pvs.get_mut(id), state) {
            pv.last = Last::Value(Some(Box::new(state)));
        }
    }

    /// What a formula comes to; nothing while one of its inputs has never been heard of.
    pub(super) fn calculate(&mut self, id: PvId, now: Time) -> Option<News> {
        let pv = self.pvs.get(id).filter(|pv| pv.is_watched)?;
        let Source::Formula(formula) = &pv.source else {
            return None;
        };
        let mut inputs = Vec::with_capacity(formula.1.len());
        let mut time = Time::default();
        for input in &formula.1 {
            match self.last(*input)? {
                News::Value(state) => {
                    time = time.max(state.time);
                    inputs.push(self::input(&state));
                }
                News::Disconnected | News::Impossible => return Some(News::Disconnected),
            }
        }
        let random = &mut self.random;
        let answer = formula.0.evaluate(&inputs, &mut || random.draw());
        let message = match answer.severity {
            Severity::Ok if answer.message.is_empty() => Text::Fixed(&"None"),
            _ => answer.message,
        };
        Some(News::Value(State {
            severity: answer.severity,
            message,
            value: match answer.value {
                FormulaValue::Number(number) => Value::Double(number),
                FormulaValue::Text(text) => text.into(),
            },
            time: if time == Time::default() { now } else { time },
            latch: false,
        }))
    }
}

/// A value as the input of a formula.
pub(super) fn input(state: &State) -> Input {
    Input {
        value: match state.value.number() {
            Some(number) => FormulaValue::Number(number),
            None => FormulaValue::Text(state.value.text().unwrap_or_default().into_owned()),
        },
        severity: state.severity,
        message: state.message.clone(),
        seconds: seconds(state.time),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 are exact for millions of years"
)]
fn seconds(time: Time) -> f64 {
    time.seconds as f64 + f64::from(time.nano) / 1e9
}
