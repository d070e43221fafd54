//! What actions say, in the words of Phoebus (`EmailActionExecutor`: title, detail of each PV).

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::server::Server;
use crate::server::watched::Watched;
use crate::severity::Severity;
use crate::time::Time;
use crate::tree::{Content, ItemId};
use crate::wire::json::Object;

impl Server {
    /// `MAJOR alarm: Water level`, `OK: Water level`.
    pub(super) fn subject(&self, id: ItemId) -> Option<String> {
        let item = self.tree.item(id)?;
        let severity = item.severity();
        let alarm = if severity == Severity::Ok {
            ""
        } else {
            " alarm"
        };
        let name = match &item.content {
            Content::Leaf(watched) => watched.config.description.to_string(),
            Content::Group { .. } => item.path.to_string(),
        };
        // a mail has one line of subject
        Some(format!("{severity}{alarm}: {name}").replace(['\r', '\n'], " "))
    }

    /// The PV, or all active PVs below a group.
    pub(super) fn body(&self, id: ItemId) -> String {
        let mut text = String::new();
        if self.tree.leaf(id).is_some() {
            self.detail(id, &mut text);
            return text;
        }
        let leaves = self.active_leaves(id);
        if leaves.is_empty() {
            return "No active alarms\n".to_owned();
        }
        text.push_str("PVs:\n\n");
        for (place, leaf) in leaves.iter().enumerate() {
            if place == MOST_LISTED {
                let _infallible = writeln!(text, "and {} more", leaves.len() - place);
                break;
            }
            self.detail(*leaf, &mut text);
        }
        text
    }

    fn detail(&self, id: ItemId, text: &mut String) {
        let Some(item) = self.tree.item(id) else {
            return;
        };
        let Content::Leaf(watched) = &item.content else {
            return;
        };
        let parent = item
            .path
            .parent()
            .map_or_else(String::new, |path| path.to_string());
        let (alarm, current) = (watched.alarm.alarm(), watched.alarm.current());
        let _infallible = writeln!(
            text,
            "PV: {parent} {}\nDescription: {}\nAlarm Time: {}\nAlarm Severity: {}, Status: {}, Value: {}\nCurrent PV Severity: {}, Status: {}\n",
            item.path.name(),
            watched.config.description,
            local(alarm.time, &self.settings.zone),
            alarm.severity,
            alarm.message,
            alarm.value,
            current.severity,
            current.message,
        );
    }

    /// The same as a JSON object, for webhooks: our own.
    pub(super) fn json(&self, id: ItemId, title: &str, is_follow_up: bool) -> Option<String> {
        let item = self.tree.item(id)?;
        let mut object = Object::new()
            .text("configuration", self.root.name())
            .text("path", &item.path.to_string())
            .text("title", title)
            .text("subject", &self.subject(id)?)
            .text("severity", item.severity().name())
            .boolean("follow_up", is_follow_up);
        object = match &item.content {
            Content::Leaf(watched) => leaf(object, item.path.name(), watched),
            Content::Group { .. } => {
                let leaves = self.active_leaves(id);
                object
                    .number("active", i64::try_from(leaves.len()).unwrap_or(i64::MAX))
                    .objects(
                        "pvs",
                        leaves.iter().take(MOST_LISTED).filter_map(|id| {
                            let item = self.tree.item(*id)?;
                            let Content::Leaf(watched) = &item.content else {
                                return None;
                            };
                            let object = Object::new()
                                .text("path", &item.path.to_string())
                                .text("severity", item.severity().name());
                            Some(leaf(object, item.path.name(), watched))
                        }),
                    )
            }
        };
        Some(object.finish())
    }
}

/// So many PVs of a group are listed: a mail of a whole accelerator helps nobody.
const MOST_LISTED: usize = 500;

fn leaf(object: Object, name: &str, watched: &Watched) -> Object {
    let (alarm, current) = (watched.alarm.alarm(), watched.alarm.current());
    object
        .text("pv", name)
        .text("description", &watched.config.description)
        .text("message", &alarm.message)
        .text_or_null("value", alarm.value.text().as_deref())
        .text("time", &crate::value::java::instant(alarm.time))
        .text("current_severity", current.severity.name())
        .text("current_message", &current.message)
}

/// `2026-11-26 17:06:04.123` in local time.
fn local(time: Time, zone: &TimeZone) -> String {
    let nano = i32::try_from(time.nano).unwrap_or(0);
    match jiff::Timestamp::new(time.seconds, nano) {
        Ok(moment) => zone
            .to_datetime(moment)
            .strftime("%Y-%m-%d %H:%M:%S%.3f")
            .to_string(),
        // years that no calendar has
        Err(_) => format!("{} s", time.seconds),
    }
}
