//! What records do: configuration, states of an earlier server, commands.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::LeafConfig;
use crate::leaf::{Leaf, Told};
use crate::path::AlarmPath;
use crate::server::own::digest;
use crate::server::request::Who;
use crate::server::watched::{Kept, Watched};
use crate::server::{ComplaintKind, Effect, Record, Server, Timer, Topic};
use crate::time::Time;
use crate::tree::{Content, Item, ItemId};
use crate::wire::command::Command;
use crate::wire::config::{ConfigMessage, Signed};
use crate::wire::key::{Key, Kind};
use crate::wire::state::{StateMessage, read};

/// Configurations of an item that this server wrote: until the last of them is read back, whatever else is read of
/// the item is older than it in the topic, and has been overtaken.
#[derive(Debug)]
pub(super) struct Echo {
    written: VecDeque<String>,
    /// After that they count as lost.
    until: Time,
}

/// How long a record may take to come back from the bus before others count again.
const ECHO: Duration = Duration::from_mins(1);

/// So many removed items are listed between two questions for changes.
const MOST_REMOVED: usize = 100_000;

impl Server {
    /// Who signs what the server does by itself.
    pub(super) fn server_itself(&self) -> Who {
        Who {
            user: self.settings.user.clone(),
            host: self.settings.host.clone(),
        }
    }

    /// Changes the configuration of a PV here and on the bus.
    pub(super) fn reconfigure(
        &mut self,
        id: ItemId,
        change: impl FnOnce(&mut LeafConfig),
        who: &Who,
        now: Time,
    ) -> Vec<Effect> {
        let (Some(path), Some(mut config)) = (
            self.tree.item(id).map(|item| item.path.clone()),
            self.tree.leaf(id).map(|leaf| leaf.config.full()),
        ) else {
            return Vec::new();
        };
        change(&mut config);
        let text = Signed {
            user: who.user.clone(),
            host: who.host.clone(),
            message: ConfigMessage::Leaf(config.clone()),
        }
        .write();
        let echo = self.echoes.entry(path.clone()).or_insert_with(|| Echo {
            written: VecDeque::new(),
            until: now,
        });
        echo.written.push_back(text.clone());
        echo.until = now.after(ECHO);
        let mut effects = vec![Effect::Publish(Record {
            topic: Topic::Main,
            key: Key::new(Kind::Config, path).to_string(),
            value: Some(text),
        })];
        effects.extend(self.edit(id, config, now));
        effects
    }

    /// Whether a configuration that was read is one that this server wrote, or was written before one of those.
    fn is_overtaken(&mut self, path: &AlarmPath, value: Option<&str>, now: Time) -> bool {
        let Some(echo) = self.echoes.get_mut(path) else {
            return false;
        };
        if echo.until <= now {
            self.echoes.remove(path);
            return false;
        }
        if let Some(place) = echo
            .written
            .iter()
            .position(|text| Some(text.as_str()) == value)
        {
            echo.written.drain(..=place);
        }
        if echo.written.is_empty() {
            self.echoes.remove(path);
        }
        true
    }

    pub(super) fn remember(
        &mut self,
        path: AlarmPath,
        value: Option<&str>,
        now: Time,
    ) -> Result<(), (ComplaintKind, String)> {
        match value.map(read) {
            Some(Ok(StateMessage::Leaf(state))) => {
                let before = self.stored.insert(path.clone(), state.clone());
                let text = value.map(digest).unwrap_or_default();
                self.stored_texts.insert(path.clone(), text);
                self.confirm(&path, before.as_ref(), &state, now);
            }
            // a tombstone ends the item; states of groups are made from those of the leaves
            None => {
                self.stored.remove(&path);
                self.stored_texts.remove(&path);
                self.remember_group(path, None);
            }
            Some(Ok(StateMessage::Group(severity))) => self.remember_group(path, Some(severity)),
            Some(Err(error)) => return Err((ComplaintKind::State, error.to_string())),
        }
        Ok(())
    }

    pub(super) fn config(
        &mut self,
        path: &AlarmPath,
        value: Option<&str>,
        now: Time,
    ) -> Result<Vec<Effect>, String> {
        if self.is_overtaken(path, value, now) {
            return Ok(Vec::new());
        }
        let Some(text) = value else {
            return Ok(self.remove(path, now));
        };
        let signed = Signed::read(text).map_err(|error| error.to_string())?;
        match signed.message {
            ConfigMessage::Deleting => Ok(Vec::new()),
            ConfigMessage::Group(notes) => {
                let leaf = self.tree.find(path).and_then(|id| {
                    let config = self.tree.leaf(id)?.config.full();
                    Some((id, config))
                });
                if let Some((id, config)) = leaf {
                    // without a description nothing is said of what only PVs have: all that stays
                    let effects = self.edit(id, LeafConfig { notes, ..config }, now);
                    self.publish_time(&effects, now);
                    return Ok(effects);
                }
                let (id, is_new) = self
                    .tree
                    .put_group(path)
                    .map_err(|error| error.to_string())?;
                if let Some(own) = self.tree.group_mut(id) {
                    own.notes = notes;
                }
                self.tree.note(id);
                let mut effects = Vec::new();
                if self.started {
                    if is_new {
                        effects.extend(self.publish_group(id));
                    }
                    effects.extend(self.check_actions(id));
                    let severity = self.tree.item(id).map(Item::severity);
                    effects.extend(self.write_severity(id, severity.unwrap_or_default()));
                    effects.extend(self.keep(id));
                }
                self.publish_time(&effects, now);
                Ok(effects)
            }
            ConfigMessage::Leaf(config) => {
                let effects = match self.tree.find(path) {
                    Some(id) if self.tree.leaf(id).is_some() => self.edit(id, config, now),
                    _ => self.add(path, config, now)?,
                };
                self.publish_time(&effects, now);
                Ok(effects)
            }
        }
    }

    pub(super) fn add(
        &mut self,
        path: &AlarmPath,
        config: LeafConfig,
        now: Time,
    ) -> Result<Vec<Effect>, String> {
        let pv = self.pvs.take_leaf(path);
        let watched = Watched::new(config, pv, now);
        let known: Vec<ItemId> = self.groups_above(path);
        let (id, _none) = self.tree.put_leaf(path, watched).map_err(|error| {
            self.pvs.forget(pv);
            error.to_string()
        })?;
        if let Some(pv) = self.pvs.get_mut(pv) {
            pv.leaves.push(id);
        }
        self.tree.note(id);
        if !self.started {
            return Ok(Vec::new());
        }
        let mut effects = Vec::new();
        for group in self.groups_above(path) {
            if !known.contains(&group) {
                effects.extend(self.publish_group(group));
            }
        }
        effects.extend(self.refilter(id));
        effects.extend(self.check_actions(id));
        effects.extend(self.apply_enabled(id, now));
        effects.extend(self.watch(id, now));
        Ok(effects)
    }

    /// Takes over another configuration of a PV. Its alarm goes on: nothing is let go, latched and acknowledged
    /// alarms stay, a description alone touches nothing.
    pub(super) fn edit(&mut self, id: ItemId, config: LeafConfig, now: Time) -> Vec<Effect> {
        let behaviour = config.behaviour();
        let Some(watched) = self.tree.leaf_mut(id) else {
            return Vec::new();
        };
        let before = std::mem::replace(&mut watched.config, Kept::new(config));
        let is_other_filter = before.filter != watched.config.filter;
        if !self.started {
            return Vec::new();
        }
        let mut effects = self.change(id, now, |leaf, maintenance| {
            leaf.set_behaviour(behaviour, maintenance, now)
        });
        effects.extend(self.check_actions(id));
        self.check_shelving(id);
        self.tree.note(id);
        let was_wanted = self.is_wanted(id);
        if is_other_filter {
            let inputs = self.filter_inputs(id);
            effects.extend(self.refilter(id));
            for input in inputs {
                effects.extend(self.watch_pv(input, now));
            }
            if was_wanted {
                effects.extend(self.begin_filter(id, now));
            }
        }
        effects.extend(self.apply_enabled(id, now));
        effects.extend(self.keep(id));
        effects
    }

    /// Reads the filter of a leaf anew and complains of one that is no formula.
    pub(super) fn refilter(&mut self, id: ItemId) -> Option<Effect> {
        let error = self.set_filter(id)?;
        let path = self.tree.item(id).map(|item| item.path.clone())?;
        let text = self.tree.leaf(id)?.config.filter.as_deref()?.trim();
        let place = text.get(..error.at).unwrap_or(text).chars().count() + 1;
        let why = format!("the filter is no formula, at character {place}: {error}");
        let key = Key::new(Kind::Config, path).to_string();
        self.complaints.complain(ComplaintKind::Filter, &key, why)
    }

    /// Enables or disables a PV as its configuration says.
    pub(super) fn apply_enabled(&mut self, id: ItemId, now: Time) -> Vec<Effect> {
        let zone = self.settings.zone.clone();
        let Some(watched) = self.tree.leaf_mut(id) else {
            return Vec::new();
        };
        let wanted = watched.config.enabled;
        let before = watched.enable_at();
        // whole seconds from now on, as Phoebus counts them: up to a second before the date
        let shelved_until = watched.shelving().and_then(|shelving| shelving.until);
        let until = shelved_until.or_else(|| {
            let until = wanted.until(&zone).filter(|until| *until > now)?;
            Some(now.after(Duration::from_secs(until.since(now).as_secs())))
        });
        watched.set_enable_at(until);
        let until = watched.enable_at();
        let enabled = match shelved_until {
            Some(until) => until <= now,
            None => wanted.at(now, &zone),
        };
        let was_enabled = std::mem::replace(&mut watched.is_wanted, enabled);
        if let Some(before) = before {
            self.timers.remove(&(before, Timer::Enable(id)));
        }
        if let Some(until) = until {
            self.timers.insert((until, Timer::Enable(id)));
        }
        if was_enabled == enabled {
            self.refresh(id);
            return Vec::new();
        }
        if !enabled {
            // an alarm that is switched off is not over: nobody is told so
            self.cancel_actions(id);
        }
        let mut effects = self.change(id, now, |leaf, maintenance| {
            leaf.set_enabled(enabled, maintenance, now)
        });
        if !self.started {
            return Vec::new();
        }
        if enabled {
            effects.extend(self.watch(id, now));
        } else {
            effects.extend(self.unwatch(id, now));
        }
        self.refresh(id);
        effects
    }

    pub(super) fn remove(&mut self, path: &AlarmPath, now: Time) -> Vec<Effect> {
        if path.configuration() != self.root.configuration() {
            return Vec::new();
        }
        let doomed: Vec<ItemId> = self
            .tree
            .find(path)
            .map(|id| self.tree.below(id))
            .unwrap_or_default();
        let mut inputs = Vec::new();
        for id in &doomed {
            self.forget_timer(*id);
            self.cancel_actions(*id);
            inputs.extend(self.end_filter(*id));
            if let Some(own) = self.tree.leaf(*id).map(|leaf| leaf.pv) {
                inputs.push(own);
                if let Some(pv) = self.pvs.get_mut(own) {
                    pv.leaves.remove(*id);
                }
            }
            let timers = [
                self.tree
                    .leaf(*id)
                    .and_then(|leaf| leaf.alarm.deadline())
                    .map(|at| (at, Timer::Delay(*id))),
                self.tree
                    .leaf(*id)
                    .and_then(Watched::enable_at)
                    .map(|at| (at, Timer::Enable(*id))),
            ];
            for timer in timers.into_iter().flatten() {
                self.timers.remove(&timer);
            }
        }
        let (removed, changed) = self.tree.remove(path);
        let mut effects = Vec::new();
        if self.started {
            for id in changed {
                effects.extend(self.publish_group(id));
                let severity = self.tree.item(id).map(Item::severity);
                effects.extend(self.act_on(id, severity.unwrap_or_default(), now));
            }
        }
        for (path, content) in removed {
            if self.removed.len() < MOST_REMOVED {
                self.removed.push(path.clone());
            } else {
                // nobody asks for changes, or will have to look at everything
                self.removed.clear();
                self.is_everything_changed = true;
            }
            let kept = match &content {
                Content::Leaf(watched) => watched.kept(),
                Content::Group { own, .. } => own.kept,
            };
            if kept != 0 && self.started {
                effects.push(Self::forget_own(&path));
            }
            if !matches!(content, Content::Leaf(_)) {
                continue;
            }
            if self.started {
                effects.push(Effect::Publish(Record {
                    topic: Topic::Main,
                    key: Key::new(Kind::State, path).to_string(),
                    value: None,
                }));
            }
        }
        for pv in inputs {
            effects.extend(self.watch_pv(pv, now));
            self.pvs.forget(pv);
        }
        self.publish_time(&effects, now);
        effects
    }

    pub(super) fn command(&mut self, key: &Key, command: &Command, now: Time) -> Vec<Effect> {
        if !self.started {
            return Vec::new();
        }
        let effects = match command {
            Command::Acknowledge => self.each_leaf(key, now, |leaf| leaf.acknowledge(now)),
            Command::Unacknowledge => self.each_leaf(key, now, Leaf::unacknowledge),
            Command::Maintenance(on) => self.set_maintenance(*on, now),
            Command::Notify(on) => self.set_notify(*on),
            Command::Restart => vec![Effect::Restart],
            Command::Shutdown => vec![Effect::Shutdown],
            Command::Print(word) => {
                let why = format!("`{word}` prints on a console, which this server does not have");
                self.refuse(key, why)
            }
            Command::Unknown(word) => {
                let word: String = word.chars().take(80).collect();
                self.refuse(key, format!("`{word}` is no command"))
            }
        };
        self.publish_time(&effects, now);
        effects
    }

    pub(super) fn set_maintenance(&mut self, on: bool, now: Time) -> Vec<Effect> {
        if self.mode.maintenance == on {
            return Vec::new();
        }
        self.mode.maintenance = on;
        self.is_mode_changed = true;
        let mut effects = Vec::new();
        if on {
            for id in self.tree.below(self.tree.root()) {
                effects
                    .extend(self.change(id, now, |leaf, _maintenance| leaf.enter_maintenance(now)));
            }
        }
        effects.extend(self.publish_group(self.tree.root()));
        effects.push(self.keep_mode());
        effects
    }

    pub(super) fn set_notify(&mut self, on: bool) -> Vec<Effect> {
        if self.mode.notify == on {
            return Vec::new();
        }
        self.mode.notify = on;
        self.is_mode_changed = true;
        let root = self.publish_group(self.tree.root());
        root.into_iter().chain([self.keep_mode()]).collect()
    }

    fn refuse(&mut self, key: &Key, why: String) -> Vec<Effect> {
        self.complaints
            .complain(ComplaintKind::Refused, &key.to_string(), why)
            .into_iter()
            .collect()
    }

    pub(super) fn each_leaf(
        &mut self,
        key: &Key,
        now: Time,
        mut what: impl FnMut(&mut Leaf) -> Told,
    ) -> Vec<Effect> {
        let Some(id) = self.tree.find(&key.path) else {
            return self.refuse(key, "there is no such item".to_owned());
        };
        let mut effects = Vec::new();
        for id in self.tree.below(id) {
            effects.extend(self.change(id, now, |leaf, _maintenance| what(leaf)));
        }
        effects
    }
}
