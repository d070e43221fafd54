//! The records that the server writes.

use crate::path::AlarmPath;
use crate::server::{Effect, Record, Server, Topic};
use crate::severity::Severity;
use crate::time::Time;
use crate::tree::{Content, ItemId};
use crate::wire::key::{Key, Kind};
use crate::wire::state::{write_group, write_leaf};
use crate::wire::talk;

impl Server {
    pub(super) fn publish_leaf(&self, id: ItemId) -> Option<Effect> {
        let item = self.tree.item(id)?;
        let Content::Leaf(watched) = &item.content else {
            return None;
        };
        Some(Effect::Publish(Record {
            topic: Topic::Main,
            key: Key::new(Kind::State, item.path.clone()).to_string(),
            value: Some(write_leaf(&watched.alarm.state(), self.mode)),
        }))
    }

    pub(super) fn publish_group(&self, id: ItemId) -> Option<Effect> {
        let item = self.tree.item(id)?;
        if matches!(item.content, Content::Leaf(_)) {
            return None;
        }
        Some(Effect::Publish(Record {
            topic: Topic::Main,
            key: Key::new(Kind::State, item.path.clone()).to_string(),
            value: Some(write_group(item.severity(), self.mode)),
        }))
    }

    pub(super) fn talk(path: &AlarmPath, severity: Severity, words: &str) -> Effect {
        Effect::Publish(Record {
            topic: Topic::Talk,
            key: Key::new(Kind::Talk, path.clone()).to_string(),
            value: Some(talk::write(severity, words)),
        })
    }

    /// Counts the idle time and the time to the next reminder from what is published now.
    pub(super) fn publish_time(&mut self, effects: &[Effect], now: Time) {
        let published = |topic: Topic| {
            effects
                .iter()
                .any(|effect| matches!(effect, Effect::Publish(record) if record.topic == topic))
        };
        if published(Topic::Main) {
            self.idle_at = Some(now.after(self.settings.idle_timeout));
        }
        if published(Topic::Talk) {
            self.nag_at = self.settings.nag_period.map(|period| now.after(period));
        }
    }
}
