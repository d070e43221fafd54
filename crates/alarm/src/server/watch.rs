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
            News::Value(reading) => reading.state.clone(),
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

    /// Watches the PV of an enabled leaf and those of its filter. What is known of it already, because another leaf
    /// has the same PV, is taken over.
    pub(super) fn watch(&mut self, id: ItemId, now: Time) -> Vec<Effect> {
        let Some(name) = self.name(id).filter(|_name| self.is_wanted(id)) else {
            return Vec::new();
        };
        let mut effects: Vec<Effect> = self.watch_pv(&name).into_iter().collect();
        match self.pvs.get(&name).and_then(|pv| pv.last.clone()) {
            Some(news) => effects.extend(self.hear(id, &news, now)),
            None => self.wait_for_connection(id, now),
        }
        effects.extend(self.begin_filter(id, now));
        effects
    }

    /// Watches the PVs of a filter; what is known of them counts soon.
    pub(super) fn begin_filter(&mut self, id: ItemId, now: Time) -> Vec<Effect> {
        let inputs = self.filter_inputs(id);
        let is_empty = inputs.is_empty();
        let mut effects = Vec::new();
        for input in inputs {
            effects.extend(self.watch_pv(&input));
            if self.pvs.get(&input).is_some_and(|pv| pv.last.is_some()) {
                self.filter_later(id, now);
            }
        }
        let has_filter = self
            .tree
            .leaf(id)
            .is_some_and(|watched| watched.filter.is_some());
        if has_filter && is_empty {
            // without inputs nothing will ever change: it counts as it is
            self.filter_later(id, now);
        } else if !has_filter {
            effects.extend(self.change(id, |leaf, maintenance| {
                leaf.set_enabled(true, maintenance, now)
            }));
        }
        effects
    }

    /// Lets the PVs of a disabled leaf go, unless others need them.
    pub(super) fn unwatch(&mut self, id: ItemId) -> Vec<Effect> {
        self.forget_timer(id);
        if let Some(watched) = self.tree.leaf_mut(id) {
            watched.alarm.forget();
        }
        // the filter begins anew when the leaf is enabled again
        let inputs = self.filter_inputs(id);
        self.set_filter(id);
        let names = inputs.into_iter().chain(self.name(id));
        names.filter_map(|name| self.watch_pv(&name)).collect()
    }

    /// Watches a PV if an enabled leaf needs it, else lets it go.
    pub(super) fn watch_pv(&mut self, name: &str) -> Option<Effect> {
        if !self.started {
            return None;
        }
        let pv = self.pvs.get(name)?;
        let is_needed = pv
            .leaves
            .iter()
            .chain(&pv.filters)
            .any(|id| self.is_wanted(*id));
        let is_unused = pv.leaves.is_empty() && pv.filters.is_empty();
        let pv = self.pvs.get_mut(name)?;
        let was_watched = std::mem::replace(&mut pv.is_watched, is_needed);
        if !is_needed {
            pv.last = None;
        }
        if is_unused {
            self.pvs.remove(name);
        }
        match (was_watched, is_needed) {
            (false, true) => Some(Effect::Connect(name.to_owned())),
            (true, false) => Some(Effect::Disconnect(name.to_owned())),
            _ => None,
        }
    }

    fn wait_for_connection(&mut self, id: ItemId, now: Time) {
        let by = now.after(self.settings.connection_timeout);
        if let Some(watched) = self.tree.leaf_mut(id)
            && watched.connect_by.is_none()
        {
            watched.connect_by = Some(by);
            self.timers.insert((by, Timer::Connect(id)));
        }
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

    /// Whether the configuration of a leaf enables it.
    pub(super) fn is_wanted(&self, id: ItemId) -> bool {
        self.tree.leaf(id).is_some_and(|watched| watched.is_wanted)
    }

    fn name(&self, id: ItemId) -> Option<String> {
        let item = self.tree.item(id)?;
        matches!(item.content, Content::Leaf(_)).then(|| item.path.name().to_owned())
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
