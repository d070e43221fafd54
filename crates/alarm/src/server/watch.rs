//! What PVs and the passing of time do, and which PVs are watched.

use crate::config::Enabled;
use crate::leaf::{Leaf, Told};
use crate::path::AlarmPath;
use crate::server::{Effect, News, Record, Server, Timer, Topic};
use crate::state::State;
use crate::time::Time;
use crate::tree::{Content, ItemId};
use crate::wire::config::{ConfigMessage, Signed};
use crate::wire::key::{Key, Kind};
use crate::wire::talk;

impl Server {
    pub(super) fn hear(&mut self, id: ItemId, news: &News, now: Time) -> Vec<Effect> {
        self.forget_timer(id);
        let state = match news {
            News::Value(state) => state.clone(),
            News::Disconnected => State::disconnected(now),
            News::Impossible => State::no_pv(now),
        };
        self.change(id, |leaf, maintenance| {
            leaf.receive(state, maintenance, now)
        })
    }

    pub(super) fn give_up(&mut self, id: ItemId, now: Time) -> Vec<Effect> {
        match self
            .tree
            .leaf_mut(id)
            .and_then(|leaf| leaf.connect_by.take())
        {
            Some(_) => self.hear(id, &News::Disconnected, now),
            None => Vec::new(),
        }
    }

    /// The date of a PV has come: it is enabled, and its configuration says so from now on.
    pub(super) fn date_has_come(&mut self, id: ItemId, now: Time) -> Vec<Effect> {
        let Some(watched) = self.tree.leaf_mut(id) else {
            return Vec::new();
        };
        watched.enable_at = None;
        watched.config.enabled = Enabled::Yes;
        let message = Signed {
            user: self.settings.user.clone(),
            host: self.settings.host.clone(),
            message: ConfigMessage::Leaf(watched.config.clone()),
        };
        let mut effects = self.apply_enabled(id, now);
        if let Some(path) = self.tree.item(id).map(|item| item.path.clone()) {
            effects.insert(
                0,
                Effect::Publish(Record {
                    topic: Topic::Main,
                    key: Key::new(Kind::Config, path).to_string(),
                    value: Some(message.write()),
                }),
            );
        }
        effects
    }

    pub(super) fn nag(&mut self) -> Option<Effect> {
        let active = self
            .tree
            .below(self.tree.root())
            .into_iter()
            .filter_map(|id| self.tree.leaf(id))
            .filter(|leaf| !leaf.alarm.is_disabled() && leaf.alarm.severity().is_active())
            .count();
        if active == 0 {
            return None;
        }
        let severity = self.tree.item(self.tree.root())?.severity();
        Some(Self::talk(self.root.clone(), severity, &talk::nag(active)))
    }

    /// Does something to the alarm of a leaf and publishes what comes of it: the leaf before its groups, words last.
    pub(super) fn change(
        &mut self,
        id: ItemId,
        what: impl FnOnce(&mut Leaf, bool) -> Told,
    ) -> Vec<Effect> {
        let maintenance = self.mode.maintenance;
        let Some(watched) = self.tree.leaf_mut(id) else {
            return Vec::new();
        };
        let before = watched.alarm.deadline();
        let told = what(&mut watched.alarm, maintenance);
        let after = watched.alarm.deadline();
        let severity = watched.alarm.severity();
        let description = told
            .annunciate
            .map(|_severity| watched.config.description.clone());
        if before != after {
            if let Some(before) = before {
                self.timers.remove(&(before, Timer::Delay(id)));
            }
            if let Some(after) = after {
                self.timers.insert((after, Timer::Delay(id)));
            }
        }
        if !told.state || !self.started {
            return Vec::new();
        }
        let mut effects: Vec<Effect> = self.publish_leaf(id).into_iter().collect();
        for group in self.tree.set_severity(id, severity) {
            effects.extend(self.publish_group(group));
        }
        if let (Some(severity), Some(description)) = (told.annunciate, description)
            && let Some(path) = self.tree.item(id).map(|item| item.path.clone())
        {
            effects.push(Self::talk(path, severity, &description));
        }
        effects
    }

    /// Watches the PV of a leaf, or takes over what is known of it when another leaf watches it already.
    pub(super) fn watch(&mut self, id: ItemId, name: &str, now: Time) -> Vec<Effect> {
        match self.last.get(name).cloned() {
            Some(news) => self.hear(id, &news, now),
            None => self.connect(name, now).into_iter().collect(),
        }
    }

    pub(super) fn connect(&mut self, name: &str, now: Time) -> Option<Effect> {
        let by = now.after(self.settings.connection_timeout);
        let leaves = self.leaves.get(name).cloned().unwrap_or_default();
        let mut is_wanted_already = false;
        for id in leaves {
            let Some(watched) = self.tree.leaf_mut(id) else {
                continue;
            };
            if watched.alarm.is_disabled() {
                continue;
            }
            if watched.connect_by.is_some() {
                is_wanted_already = true;
            } else {
                watched.connect_by = Some(by);
                self.timers.insert((by, Timer::Connect(id)));
            }
        }
        (!is_wanted_already && !self.last.contains_key(name))
            .then(|| Effect::Connect(name.to_owned()))
    }

    /// Lets a PV go if no enabled leaf wants it.
    pub(super) fn let_go(&mut self, name: &str) -> Option<Effect> {
        let is_wanted = self.leaves.get(name).is_some_and(|leaves| {
            leaves
                .iter()
                .filter_map(|id| self.tree.leaf(*id))
                .any(|leaf| !leaf.alarm.is_disabled())
        });
        if is_wanted {
            return None;
        }
        self.last.remove(name);
        Some(Effect::Disconnect(name.to_owned()))
    }

    pub(super) fn forget_timer(&mut self, id: ItemId) {
        if let Some(by) = self
            .tree
            .leaf_mut(id)
            .and_then(|leaf| leaf.connect_by.take())
        {
            self.timers.remove(&(by, Timer::Connect(id)));
        }
    }

    pub(super) fn name(&self, id: ItemId) -> Option<String> {
        let item = self.tree.item(id)?;
        matches!(item.content, Content::Leaf(_)).then(|| item.path.name().to_owned())
    }

    pub(super) fn name_if_enabled(&self, id: ItemId) -> Option<String> {
        let leaf = self.tree.leaf(id)?;
        if leaf.alarm.is_disabled() {
            return None;
        }
        self.name(id)
    }

    pub(super) fn groups_above(&self, path: &AlarmPath) -> Vec<ItemId> {
        let mut groups = Vec::new();
        let mut at = path.parent();
        while let Some(path) = at {
            groups.extend(self.tree.find(&path));
            at = path.parent();
        }
        groups
    }
}
