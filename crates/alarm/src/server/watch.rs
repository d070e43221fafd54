//! What PVs and the passing of time do, and which PVs are watched.

use crate::config::Enabled;
use crate::leaf::{Leaf, Told};
use crate::path::AlarmPath;
use crate::server::{Effect, News, Server, Timer};
use crate::state::State;
use crate::time::{Moment, Time};
use crate::tree::{Item, ItemId};
use crate::wire::talk;

impl Server {
    pub(super) fn hear(&mut self, id: ItemId, news: &News, now: Time) -> Vec<Effect> {
        self.forget_timer(id);
        if let Some(watched) = self.tree.leaf_mut(id) {
            watched.is_told = true;
        }
        let state = match news {
            News::Value(state) => state.clone(),
            News::Disconnected => State::disconnected(now),
            News::Impossible => State::no_pv(now),
        };
        self.change(id, now, |leaf, maintenance| {
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
        if let Some(watched) = self.tree.leaf_mut(id) {
            watched.set_enable_at(None);
        }
        let who = self.server_itself();
        self.reconfigure(id, |config| config.enabled = Enabled::Yes, &who, now)
    }

    pub(super) fn nag(&mut self) -> Option<Effect> {
        let active = self.tree.counts(self.tree.root())?.active();
        if active == 0 {
            return None;
        }
        let severity = self.tree.item(self.tree.root())?.severity();
        Some(Self::talk(&self.root, severity, &talk::nag(active)))
    }

    /// Does something to the alarm of a leaf and publishes what comes of it: the leaf before its groups, words last.
    pub(super) fn change(
        &mut self,
        id: ItemId,
        now: Time,
        what: impl FnOnce(&mut Leaf, bool) -> Told,
    ) -> Vec<Effect> {
        let maintenance = self.mode.maintenance;
        let Some(watched) = self.tree.leaf_mut(id) else {
            return Vec::new();
        };
        let before = watched.alarm.deadline();
        let counted = watched.alarm.counted().len();
        let was_disabled = watched.alarm.is_disabled();
        let told = what(&mut watched.alarm, maintenance);
        let after = watched.alarm.deadline();
        let severity = watched.alarm.severity();
        let is_switched = was_disabled != watched.alarm.is_disabled();
        // what is pending may have changed without another deadline
        let is_kept = after.is_some()
            || watched.kept() != 0
            || counted != 0
            || !watched.alarm.counted().is_empty();
        let description = told
            .annunciate
            .map(|_severity| watched.config.description.to_string());
        let is_pending_changed = before.is_some() != after.is_some();
        if before != after {
            if let Some(before) = before {
                self.timers.remove(&(before, Timer::Delay(id)));
            }
            if let Some(after) = after {
                self.timers.insert((after, Timer::Delay(id)));
            }
        }
        if is_pending_changed || is_switched || told.state {
            self.refresh(id);
        }
        if !self.started {
            return Vec::new();
        }
        let mut effects = Vec::new();
        if told.state {
            effects.extend(self.publish_leaf(id));
            let was = self.tree.item(id).map(Item::severity);
            let groups = self.tree.set_severity(id, severity);
            for group in &groups {
                effects.extend(self.publish_group(*group));
                self.tree.note(*group);
            }
            if was != Some(severity) {
                effects.extend(self.act_on(id, severity, now));
            }
            for group in groups {
                let severity = self.tree.item(group).map(Item::severity);
                effects.extend(self.act_on(group, severity.unwrap_or_default(), now));
            }
        }
        if is_kept {
            effects.extend(self.keep(id));
        }
        if let (Some(severity), Some(description)) = (told.annunciate, description)
            && let Some(path) = self.tree.item(id).map(|item| item.path.clone())
        {
            effects.push(Self::talk(&path, severity, &description));
        }
        effects
    }

    /// Watches the PV of an enabled leaf and those of its filter. What is known of it already, because another leaf
    /// has the same PV, is taken over.
    pub(super) fn watch(&mut self, id: ItemId, now: Time) -> Vec<Effect> {
        let Some(pv) = self
            .tree
            .leaf(id)
            .filter(|leaf| leaf.is_wanted)
            .map(|leaf| leaf.pv)
        else {
            return Vec::new();
        };
        let mut effects = self.watch_pv(pv, now);
        match self.last(pv) {
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
            effects.extend(self.watch_pv(input, now));
            if self.last(input).is_some() {
                self.filter_later(id, now);
            }
        }
        let has_filter = self
            .tree
            .leaf(id)
            .is_some_and(|watched| watched.filter().is_some());
        if has_filter && is_empty {
            // without inputs nothing will ever change: it counts as it is
            self.filter_later(id, now);
        } else if !has_filter {
            effects.extend(self.change(id, now, |leaf, maintenance| {
                leaf.set_enabled(true, maintenance, now)
            }));
        }
        effects
    }

    /// Lets the PVs of a disabled leaf go, unless others need them.
    pub(super) fn unwatch(&mut self, id: ItemId, now: Time) -> Vec<Effect> {
        self.forget_timer(id);
        if let Some(watched) = self.tree.leaf_mut(id) {
            watched.alarm.forget();
            watched.is_told = false;
        }
        // the filter begins anew when the leaf is enabled again
        let inputs = self.filter_inputs(id);
        self.set_filter(id);
        let own = self.tree.leaf(id).map(|leaf| leaf.pv);
        let mut effects = Vec::new();
        for pv in inputs.into_iter().chain(own) {
            effects.extend(self.watch_pv(pv, now));
        }
        self.refresh(id);
        effects
    }

    fn wait_for_connection(&mut self, id: ItemId, now: Time) {
        let by = Moment::from(now.after(self.settings.connection_timeout));
        if let Some(watched) = self.tree.leaf_mut(id)
            && watched.connect_by.is_none()
        {
            watched.connect_by = Some(by);
            self.timers.insert((by.into(), Timer::Connect(id)));
        }
    }

    pub(super) fn forget_timer(&mut self, id: ItemId) {
        if let Some(by) = self
            .tree
            .leaf_mut(id)
            .and_then(|leaf| leaf.connect_by.take())
        {
            self.timers.remove(&(by.into(), Timer::Connect(id)));
        }
    }

    /// Whether the configuration of a leaf enables it.
    pub(super) fn is_wanted(&self, id: ItemId) -> bool {
        self.tree.leaf(id).is_some_and(|watched| watched.is_wanted)
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
