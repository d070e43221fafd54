//! From what was read of the topics to a server that goes on where the one before it was.

use std::collections::HashMap;
use std::time::Duration;

use crate::leaf::{Behaviour, Leaf, Memory};
use crate::server::own::Own;
use crate::server::{Effect, Server, Timer};
use crate::severity::Severity;
use crate::state::{ClientState, DISABLED};
use crate::time::Time;
use crate::tree::{Item, ItemId};

/// An alarm whose delay ended while no server ran becomes an alarm only after this time, so that a PV that is fine by
/// now can say so.
const GRACE: Duration = Duration::from_secs(1);

/// Tells of a channel whether something was heard of it.
type IsHeard<'a> = &'a dyn Fn(&str) -> bool;

/// The alarm of a PV whose server ended, some time ago.
fn restarted(behaviour: Behaviour, stored: Option<ClientState>, own: &mut Own, now: Time) -> Leaf {
    let is_pending = own.pending.is_some();
    let is_in_alarm = stored
        .as_ref()
        .is_some_and(|state| state.alarm.severity != Severity::Ok);
    let stored = stored.unwrap_or_default();
    match own.memory(stored.clone()) {
        Some(memory) if is_in_alarm || is_pending => Leaf::remembered(behaviour, memory, now),
        Some(memory) => {
            // a PV that was fine says so again
            let state = Leaf::new(behaviour, now).state();
            Leaf::remembered(behaviour, Memory { state, ..memory }, now)
        }
        None if is_in_alarm => Leaf::restored(behaviour, &stored, now),
        None => Leaf::new(behaviour, now),
    }
}

/// The alarm of a PV whose leader is gone.
fn continued(behaviour: Behaviour, stored: ClientState, own: &mut Own, now: Time) -> Leaf {
    let is_disabled = stored.alarm.severity == Severity::Ok && stored.alarm.message == DISABLED;
    let memory = own.memory(stored.clone()).unwrap_or(Memory {
        state: stored,
        pending: None,
        counted: Vec::new(),
    });
    Leaf::continued(behaviour, memory, is_disabled, now)
}

impl Server {
    /// Makes the alarms of all leaves from what was read of them: a PV that was in alarm goes on where it was, latched,
    /// acknowledged or waiting for its delay. Gives complaints.
    pub(super) fn settle(&mut self, now: Time) -> Vec<Effect> {
        self.settle_all(now, None)
    }

    /// The same after a leader whose place is taken: nothing has stood still, so every leaf is exactly as it was
    /// published. `is_heard` tells of which channels something was heard meanwhile.
    pub(super) fn settle_after_leader(
        &mut self,
        now: Time,
        is_heard: impl Fn(&str) -> bool,
    ) -> Vec<Effect> {
        self.settle_all(now, Some(&is_heard))
    }

    fn settle_all(&mut self, now: Time, after_leader: Option<IsHeard<'_>>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let items = self.tree.below(self.tree.root());
        for id in &items {
            let Some(path) = self.tree.item(*id).map(|item| item.path.clone()) else {
                continue;
            };
            let own = self.own.remove(&path);
            let stored = self.stored.remove(&path);
            if self.tree.leaf(*id).is_some() {
                effects.extend(self.settle_leaf(*id, stored, own, now, after_leader));
            } else if let Some(own) = own {
                if let Some(group) = self.tree.group_mut(*id) {
                    group.kept = own.digest();
                }
                self.set_actions(*id, own.actions);
            }
            effects.extend(self.check_actions(*id));
        }
        // items that are gone are forgotten
        let forgotten = std::mem::take(&mut self.own);
        effects.extend(forgotten.keys().map(Self::forget_own));
        self.stored = HashMap::new();
        for id in items {
            self.settle_actions(id);
        }
        effects
    }

    fn settle_leaf(
        &mut self,
        id: ItemId,
        stored: Option<ClientState>,
        own: Option<Own>,
        now: Time,
        after_leader: Option<IsHeard<'_>>,
    ) -> Vec<Effect> {
        let kept = own.as_ref().map_or(0, Own::digest);
        let mut own = own.unwrap_or_default();
        let is_heard = self
            .tree
            .leaf(id)
            .and_then(|watched| self.pvs.get(watched.pv))
            .is_some_and(|pv| after_leader.is_some_and(|is_heard| is_heard(&pv.name)));
        if let Some(pending) = own.pending.as_mut().filter(|_| !is_heard) {
            pending.due = pending.due.max(now.after(GRACE));
        }
        let Some(watched) = self.tree.leaf_mut(id) else {
            return Vec::new();
        };
        let behaviour = watched.config.behaviour();
        watched.alarm = match (after_leader, stored) {
            (Some(_), Some(stored)) => continued(behaviour, stored, &mut own, now),
            (_, stored) => restarted(behaviour, stored, &mut own, now),
        };
        watched.set_kept(kept);
        let shelving = own
            .shelving
            .filter(|shelving| shelving.until.is_none_or(|until| until > now));
        watched.set_shelving(shelving);
        if let Some(due) = watched.alarm.deadline() {
            self.timers.insert((due, Timer::Delay(id)));
        }
        self.set_actions(id, own.actions);
        self.check_shelving(id);
        let complaints = self.refilter(id).into_iter().collect();
        self.apply_enabled(id, now);
        if let Some(severity) = self.tree.leaf(id).map(|leaf| leaf.alarm.severity()) {
            self.tree.set_severity(id, severity);
        }
        complaints
    }

    /// An item that is in alarm already has been told of by the server before; one that is not any more is followed up
    /// with its next change.
    fn settle_actions(&mut self, id: ItemId) {
        let Some(severity) = self.tree.item(id).map(Item::severity) else {
            return;
        };
        if severity.is_active() {
            self.take_as_notified(id, severity);
        }
    }
}
