//! A stand-by: reads what its leader writes, hears what the PVs say, and goes on in the leader's place.
//!
//! The states on the bus are the leader's. What a stand-by hears of a PV waits until a record of the leader shows that
//! the leader has dealt with it; what still waits when the leader is gone is dealt with then, in its order and as of
//! the moment at which it came, so that the records together are those that one server would have written.
//!
//! What the leader demonstrably did not see (it lives, and has written nothing of it) is of no interest: another
//! network, another moment.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use crate::formula::Formula;
use crate::path::AlarmPath;
use crate::server::own::digest;
use crate::server::sources::{PvId, Source, is_channel, key};
use crate::server::{Effect, News, Record, Server, Topic};
use crate::severity::Severity;
use crate::state::{ClientState, DISCONNECTED, NO_PV};
use crate::text::Text;
use crate::time::Time;
use crate::tree::{Content, ItemId};
use crate::wire::key::{Key, Kind};

/// How much later than the stand-by the leader may hear of a change.
const APART: Duration = Duration::from_secs(2);
/// So many changes of one PV wait at most; the newest always counts.
const MOST_CHANGES: usize = 256;

/// What a stand-by remembers beside what every server reads.
#[derive(Debug, Default)]
pub(super) struct Standby {
    heard: HashMap<String, Heard>,
    next: u64,
    /// When the leader lived for certain.
    sign: Option<Time>,
}

/// What was heard of a channel.
#[derive(Debug, Default)]
struct Heard {
    last: Option<News>,
    /// The newest of it that the leader has dealt with.
    settled: Option<News>,
    /// Changes of which the leader has written nothing yet.
    changes: VecDeque<Change>,
    /// States that the leader has written and that were not heard of here yet.
    ahead: VecDeque<(Time, Severity, Text)>,
    /// What the leader wrote last.
    confirmed: Option<(Severity, Text)>,
}

#[derive(Debug)]
struct Change {
    number: u64,
    at: Time,
    news: News,
}

/// What counts of news as a change.
fn face(news: &News) -> (Severity, Text) {
    match news {
        News::Value(state) => (state.severity, state.message.clone()),
        News::Disconnected => (Severity::Undefined, DISCONNECTED.into()),
        News::Impossible => (Severity::Undefined, NO_PV.into()),
    }
}

impl Heard {
    fn hear(&mut self, news: &News, is_known: bool, number: u64, now: Time) {
        let face = face(news);
        let is_change = match &self.last {
            Some(last) => self::face(last) != face,
            None => !is_known,
        };
        self.last = Some(news.clone());
        if !is_change {
            if self.changes.is_empty() {
                self.settled.clone_from(&self.last);
            }
            return;
        }
        let is_face = |(_at, severity, message): &(Time, Severity, Text)| {
            (*severity, message) == (face.0, &face.1)
        };
        if let Some(place) = self.ahead.iter().position(is_face) {
            self.ahead.drain(..=place);
            self.settled.clone_from(&self.last);
            return;
        }
        if self.changes.len() == MOST_CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back(Change {
            number,
            at: now,
            news: news.clone(),
        });
    }

    fn confirm(&mut self, face: (Severity, Text), now: Time) {
        let place = self
            .changes
            .iter()
            .position(|change| self::face(&change.news) == face);
        match place {
            Some(place) => {
                let dealt_with = self.changes.drain(..=place).next_back();
                self.settled = if self.changes.is_empty() {
                    self.last.clone()
                } else {
                    dealt_with.map(|change| change.news)
                };
            }
            // the same PV in several leaves is written several times
            None if self.confirmed.as_ref() == Some(&face) => {}
            None => {
                if self.ahead.len() == MOST_CHANGES {
                    self.ahead.pop_front();
                }
                self.ahead.push_back((now, face.0, face.1.clone()));
            }
        }
        self.confirmed = Some(face);
    }

    fn forget_old(&mut self, now: Time) {
        let is_old = |at: Time| now.since(at) > APART;
        while self.changes.front().is_some_and(|change| is_old(change.at)) {
            self.changes.pop_front();
        }
        while self.ahead.front().is_some_and(|ahead| is_old(ahead.0)) {
            self.ahead.pop_front();
        }
    }
}

impl Server {
    /// From now on what is heard of PVs is kept until a leader has dealt with it; see [`Server::take_over`].
    pub fn stand_by(&mut self, now: Time) {
        if !self.started {
            let standby = self.standby.get_or_insert_default();
            standby.sign.get_or_insert(now);
        }
    }

    /// The channels that a leader watches, as the configuration is now.
    pub fn wanted_channels(&self, now: Time) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for id in self.tree.below(self.tree.root()) {
            let Some(watched) = self.tree.leaf(id) else {
                continue;
            };
            if !watched.config.enabled.at(now, &self.settings.zone) {
                continue;
            }
            self.add_channels(watched.pv, &mut names);
            let filter = watched.config.filter.as_deref().map(str::trim);
            let inputs = filter
                .filter(|text| !text.is_empty())
                .and_then(|text| Formula::parse(text).ok())
                .map(|formula| formula.inputs().to_vec());
            for input in inputs.into_iter().flatten() {
                match self.pvs.find(&input) {
                    Some(pv) => self.add_channels(pv, &mut names),
                    None if is_channel(&input) => drop(names.insert(key(&input))),
                    // a formula within a filter is looked at when it is needed
                    None => {}
                }
            }
        }
        names
    }

    fn add_channels(&self, id: PvId, names: &mut BTreeSet<String>) {
        let Some(pv) = self.pvs.get(id) else { return };
        match &pv.source {
            Source::Channel => drop(names.insert(pv.name.to_string())),
            Source::Formula(formula) => {
                for input in &formula.1 {
                    self.add_channels(*input, names);
                }
            }
            Source::Impossible(_) => {}
        }
    }

    /// Something was heard of a channel while another server leads.
    pub(super) fn hear_of(&mut self, name: &str, news: &News, now: Time) {
        let Some(standby) = &mut self.standby else {
            return;
        };
        standby.next += 1;
        let number = standby.next;
        let (pvs, tree, stored) = (&self.pvs, &self.tree, &self.stored);
        let face = face(news);
        let is_known = pvs
            .find(name)
            .and_then(|id| pvs.get(id))
            .into_iter()
            .flat_map(|pv| pv.leaves.iter())
            .filter_map(|leaf| stored.get(&tree.item(*leaf)?.path))
            .any(|state| (state.current_severity, &state.current_message) == (face.0, &face.1));
        if let Some(heard) = standby.heard.get_mut(name) {
            heard.hear(news, is_known, number, now);
        } else {
            let heard = standby.heard.entry(name.to_owned()).or_default();
            heard.hear(news, is_known, number, now);
        }
    }

    /// The leader has written a state of a leaf.
    pub(super) fn confirm(
        &mut self,
        path: &AlarmPath,
        before: Option<&ClientState>,
        state: &ClientState,
        now: Time,
    ) {
        let Some(standby) = &mut self.standby else {
            return;
        };
        let face = (state.current_severity, state.current_message.clone());
        // an acknowledgement, the end of a delay: nothing that was heard of the PV
        if before.is_some_and(|before| {
            (before.current_severity, &before.current_message) == (face.0, &face.1)
        }) {
            return;
        }
        let name = key(path.name());
        if let Some(heard) = standby.heard.get_mut(&name) {
            heard.confirm(face, now);
        }
    }

    /// The leader has written a state of a group, or removed it.
    pub(super) fn remember_group(&mut self, path: AlarmPath, severity: Option<Severity>) {
        match severity {
            Some(severity) => self.stored_groups.insert(path, severity),
            None => self.stored_groups.remove(&path),
        };
    }

    /// The leader gave a sign of life, after everything that it had written: what it has not seen for some time it will
    /// never see.
    pub fn leader_lives(&mut self, now: Time) {
        let Some(standby) = &mut self.standby else {
            return;
        };
        standby.sign = Some(now);
        for heard in standby.heard.values_mut() {
            heard.forget_old(now);
        }
    }

    /// The leader is gone, and everything that it wrote is read: goes on in its place. Nobody is told of it but by what
    /// the leader has left undone.
    ///
    /// A server that did not stand by is started.
    pub fn take_over(&mut self, now: Time) -> Vec<Effect> {
        let Some(mut standby) = self.standby.take() else {
            return self.start(now);
        };
        let stored = self.stored.clone();
        let groups = std::mem::take(&mut self.stored_groups);
        let written = std::mem::take(&mut self.stored_texts);
        // from there on time passes here: dates that came since then are no reason to be silent
        let then = standby.sign.map_or(now, |sign| sign.min(now));
        // what was heard of a PV before it was shelved says nothing any more when it is watched again
        let wanted = self.wanted_channels(then);
        standby.heard.retain(|name, _heard| wanted.contains(name));
        let mut effects = self.settle_after_leader(then, |name| standby.heard.contains_key(name));
        self.recall(&standby.heard);
        self.started = true;
        self.nag_at = self.settings.nag_period.map(|period| now.after(period));
        self.beat_at = self.settings.heartbeat.is_some().then_some(now);
        self.idle_at = Some(now.after(self.settings.idle_timeout));
        let items = self.tree.below(self.tree.root());
        effects.extend(self.left_undone(&items, &stored, &groups));
        for id in &items {
            effects.extend(self.watch(*id, then));
            self.refresh(*id);
        }
        effects.extend(self.replay(standby.heard, then, now));
        for id in items {
            effects.extend(self.keep(id));
        }
        Self::leave_out_repeats(&mut effects, written);
        self.publish_time(&effects, now);
        effects
    }

    /// States on the bus do not say when the PV came to what it is, which decides whether an alarm that waits for its
    /// delay is over: that was heard here as well.
    fn recall(&mut self, heard: &HashMap<String, Heard>) {
        for (name, heard) in heard {
            let (Some(News::Value(state)), Some(id)) = (&heard.settled, self.pvs.find(name)) else {
                continue;
            };
            let Some(leaves) = self.pvs.get(id).map(|pv| pv.leaves.clone()) else {
                continue;
            };
            for leaf in leaves.iter() {
                if let Some(watched) = self.tree.leaf_mut(*leaf) {
                    watched.alarm.recall(state);
                }
            }
        }
    }

    /// Leaves out states that the leader has written already, in the same words: what was replayed may come to the same.
    fn leave_out_repeats(effects: &mut Vec<Effect>, written: HashMap<AlarmPath, u64>) {
        let mut newest: HashMap<String, u64> = written
            .into_iter()
            .map(|(path, text)| (Key::new(Kind::State, path).to_string(), text))
            .collect();
        effects.retain(|effect| {
            let Effect::Publish(record) = effect else {
                return true;
            };
            let (Some(newest), Some(value)) = (newest.get_mut(&record.key), &record.value) else {
                return true;
            };
            let text = digest(value);
            std::mem::replace(newest, text) != text
        });
    }

    /// What follows from the configuration and is not on the bus: the leader read an edit and had no time for it.
    fn left_undone(
        &self,
        items: &[ItemId],
        stored: &HashMap<AlarmPath, ClientState>,
        groups: &HashMap<AlarmPath, Severity>,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        for path in stored.keys() {
            let is_leaf = self
                .tree
                .find(path)
                .is_some_and(|id| self.tree.leaf(id).is_some());
            if !is_leaf {
                effects.push(Effect::Publish(Record {
                    topic: Topic::Main,
                    key: Key::new(Kind::State, path.clone()).to_string(),
                    value: None,
                }));
            }
        }
        for id in items.iter().rev() {
            let Some(item) = self.tree.item(*id) else {
                continue;
            };
            match &item.content {
                Content::Leaf(watched) => {
                    let state = watched.alarm.state();
                    let is_other = match stored.get(&item.path) {
                        Some(stored) => *stored != state,
                        None => watched.alarm.is_disabled(),
                    };
                    if is_other {
                        effects.extend(self.publish_leaf(*id));
                    }
                }
                Content::Group { .. } => {
                    // a mode is published with the next change, but of the root
                    if groups.get(&item.path) != Some(&item.severity()) {
                        effects.extend(self.publish_group(*id));
                    }
                    // a PV is no record of the bus: once more does no harm
                    effects.extend(self.write_severity(*id, item.severity()));
                }
            }
        }
        effects
    }

    /// What was heard of PVs before the start.
    pub(super) fn hear_again(&mut self, standby: Standby, now: Time) -> Vec<Effect> {
        let mut last: Vec<(String, News)> = standby
            .heard
            .into_iter()
            .filter_map(|(name, heard)| Some((name, heard.last?)))
            .collect();
        last.sort_by(|one, other| one.0.cmp(&other.0));
        let news = last.iter();
        news.flat_map(|(name, news)| self.news(name, news, now))
            .collect()
    }

    /// Deals with what the leader has not dealt with, then with how the PVs are now.
    fn replay(&mut self, heard: HashMap<String, Heard>, then: Time, now: Time) -> Vec<Effect> {
        let mut changes = Vec::new();
        let mut last = Vec::new();
        for (name, heard) in heard {
            last.extend(heard.last.map(|news| (name.clone(), news)));
            changes.extend(
                heard
                    .changes
                    .into_iter()
                    .map(|change| (name.clone(), change)),
            );
        }
        changes.sort_by_key(|(_name, change)| change.number);
        last.sort_by(|one, other| one.0.cmp(&other.0));
        let mut effects = Vec::new();
        for (name, change) in changes {
            let at = change.at.clamp(then, now);
            effects.extend(self.tick(at));
            effects.extend(self.news(&name, &change.news, at));
        }
        effects.extend(self.tick(now));
        // after the dates that have come: also those that are enabled by now hear of their PV
        for (name, news) in last {
            effects.extend(self.news(&name, &news, now));
        }
        effects
    }
}
