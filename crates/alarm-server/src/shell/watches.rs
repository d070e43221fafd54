//! Which PVs are watched, and what is known of their connections.

use std::collections::HashMap;
use std::sync::Arc;

use alarm::Time;

use crate::pvs::WatchId;

/// A PV that is watched.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Where it is connected to, and since when.
    pub(crate) server: Option<(Arc<str>, Time)>,
    /// How often it was connected.
    pub(crate) connections: u32,
    /// Why it cannot be watched, or who else serves it.
    pub(crate) trouble: Option<Box<str>>,
}

/// All PVs that are watched.
#[derive(Debug, Default)]
pub(super) struct Watches {
    by_id: HashMap<WatchId, Watch>,
    by_name: HashMap<Arc<str>, WatchId>,
    next: u64,
    connected: usize,
}

impl Watches {
    /// A new watch; nothing if there is one of that name already.
    pub(super) fn add(&mut self, name: &str) -> Option<WatchId> {
        if self.by_name.contains_key(name) {
            return None;
        }
        let id = WatchId(self.next);
        self.next += 1;
        let name: Arc<str> = Arc::from(name);
        self.by_name.insert(Arc::clone(&name), id);
        self.by_id.insert(
            id,
            Watch {
                name,
                server: None,
                connections: 0,
                trouble: None,
            },
        );
        Some(id)
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<WatchId> {
        let id = self.by_name.remove(name)?;
        if self
            .by_id
            .remove(&id)
            .is_some_and(|watch| watch.server.is_some())
        {
            self.connected -= 1;
        }
        Some(id)
    }

    pub(super) fn find(&self, name: &str) -> Option<&Watch> {
        self.by_id.get(self.by_name.get(name)?)
    }

    /// All names.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.by_name.keys().cloned().collect()
    }

    pub(super) fn name(&self, id: WatchId) -> Option<&Arc<str>> {
        self.by_id.get(&id).map(|watch| &watch.name)
    }

    /// Notes a connection; whether it is one that came back.
    pub(super) fn connect(&mut self, id: WatchId, server: Arc<str>, now: Time) -> bool {
        let Some(watch) = self.by_id.get_mut(&id) else {
            return false;
        };
        if watch.server.replace((server, now)).is_none() {
            self.connected += 1;
        }
        watch.connections = watch.connections.saturating_add(1);
        watch.trouble = None;
        watch.connections > 1
    }

    pub(super) fn disconnect(&mut self, id: WatchId) {
        if let Some(watch) = self.by_id.get_mut(&id)
            && watch.server.take().is_some()
        {
            self.connected -= 1;
        }
    }

    pub(super) fn trouble(&mut self, id: WatchId, why: &str) {
        if let Some(watch) = self.by_id.get_mut(&id) {
            watch.trouble = Some(why.into());
        }
    }

    /// How many are watched, and how many of them are connected.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.by_id.len(), self.connected)
    }
}
