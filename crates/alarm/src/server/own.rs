//! The server's own topic, `XServer`: what has to survive a restart and what Phoebus does not know.
//!
//! It is compacted and has two kinds of records, JSON objects in which unknown fields do not matter:
//!
//! * `mode:/X`: `{"maintenance":true,"notify":false}`.
//! * `memory:/X/a/pv`, of a PV or a group: any of `pending` (the alarm that waits for its delay, with the moment at
//!   which it is due), `counted` (times of the alarms that count towards the limit), `shelved` (who disabled it, since
//!   when, until when, why), `actions` (the worst severity that was notified, what is still to be done and when, what
//!   was done and is followed up). A tombstone says that nothing is left to remember.
//!
//! Times are `{"seconds":…,"nano":…}` since 1970 UTC.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value as Json};

use crate::config::Action;
use crate::leaf::{Memory, Pending};
use crate::path::AlarmPath;
use crate::server::actions::{Actions, Waiting};
use crate::server::request::{Shelving, Who};
use crate::server::{ComplaintKind, Effect, Record, Server, Topic};
use crate::state::State;
use crate::time::Time;
use crate::tree::{Content, ItemId};
use crate::value::Value;
use crate::wire::json::{Object, as_text, as_whole};
use crate::wire::state::Mode;

/// What was remembered of an item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) pending: Option<Pending>,
    pub(super) counted: Vec<Time>,
    pub(super) shelving: Option<Shelving>,
    pub(super) actions: Actions,
}

const MODE: &str = "mode";
const MEMORY: &str = "memory";
/// What the servers of a configuration say to each other there; the shell reads it.
const OTHERS: [&str; 4] = ["leader:", "replica:", "commands:", "fence:"];

impl Server {
    /// A record of the own topic was read: remembered until the start, and of no interest after it.
    pub(super) fn own_record(&mut self, record: &Record) -> Result<(), (ComplaintKind, String)> {
        if self.started {
            return Ok(());
        }
        let wrong = |why: &str| (ComplaintKind::Own, why.to_owned());
        if OTHERS.iter().any(|kind| record.key.starts_with(kind)) {
            return Ok(());
        }
        let (kind, path) = record
            .key
            .split_once(':')
            .ok_or_else(|| wrong("the key has no `:`"))?;
        let path = AlarmPath::parse(path).map_err(|error| wrong(&error.to_string()))?;
        if path.configuration() != self.root.configuration() {
            return Err(wrong("it belongs to another configuration"));
        }
        let fields = match record.value.as_deref().map(serde_json::from_str::<Json>) {
            None => None,
            Some(Ok(Json::Object(fields))) => Some(fields),
            Some(_) => return Err(wrong("the message is no JSON object")),
        };
        match kind {
            MODE => {
                let flag = |name: &str, default: bool| {
                    let field = fields.as_ref().and_then(|fields| fields.get(name));
                    field.and_then(Json::as_bool).unwrap_or(default)
                };
                self.mode = Mode {
                    maintenance: flag("maintenance", false),
                    notify: flag("notify", true),
                };
            }
            MEMORY => {
                match fields {
                    Some(fields) => self.own.insert(path, Own::read(&fields)),
                    None => self.own.remove(&path),
                };
            }
            _ => return Err(wrong("the key is neither `mode:` nor `memory:`")),
        }
        Ok(())
    }

    /// The mode for the own topic.
    pub(super) fn keep_mode(&self) -> Effect {
        let text = Object::new()
            .boolean("maintenance", self.mode.maintenance)
            .boolean("notify", self.mode.notify)
            .finish();
        Effect::Publish(Record {
            topic: Topic::Server,
            key: format!("{MODE}:{}", self.root),
            value: Some(text),
        })
    }

    /// The memory of an item for the own topic, if it is another than the one that is there.
    pub(super) fn keep(&mut self, id: ItemId) -> Option<Effect> {
        if !self.started {
            return None;
        }
        let item = self.tree.item(id)?;
        let (text, before) = match &item.content {
            Content::Leaf(watched) => (
                write(
                    watched.alarm.pending(),
                    watched.alarm.counted(),
                    watched.shelving(),
                    watched.actions(),
                ),
                watched.kept(),
            ),
            Content::Group { own, .. } => {
                (write(None, &[], None, own.actions.as_deref()), own.kept)
            }
        };
        let kept = text.as_deref().map_or(0, digest);
        if kept == before {
            return None;
        }
        let key = memory_key(&item.path);
        if let Some(watched) = self.tree.leaf_mut(id) {
            watched.set_kept(kept);
        } else if let Some(group) = self.tree.group_mut(id) {
            group.kept = kept;
        }
        Some(Effect::Publish(Record {
            topic: Topic::Server,
            key,
            value: text,
        }))
    }

    /// The memory of an item has to be written again.
    pub(super) fn lose_kept(&mut self, id: ItemId) {
        // 0 would be a tombstone that is there already
        if let Some(watched) = self.tree.leaf_mut(id).filter(|leaf| leaf.kept() != 0) {
            watched.set_kept(1);
        } else if let Some(group) = self.tree.group_mut(id).filter(|group| group.kept != 0) {
            group.kept = 1;
        }
    }

    /// The tombstone of an item that is gone.
    pub(super) fn forget_own(path: &AlarmPath) -> Effect {
        Effect::Publish(Record {
            topic: Topic::Server,
            key: memory_key(path),
            value: None,
        })
    }
}

fn memory_key(path: &AlarmPath) -> String {
    format!("{MEMORY}:{path}")
}

/// Tells records apart without keeping their text; 0 is none at all.
pub(super) fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    // 1 is a record of which nothing is known
    hasher.finish().max(2)
}

impl Own {
    fn read(fields: &Map<String, Json>) -> Self {
        let object = |name: &str| fields.get(name).and_then(Json::as_object);
        let list = |name: &str| {
            let items = fields.get(name).and_then(Json::as_array);
            items.into_iter().flatten()
        };
        Self {
            pending: object("pending").and_then(pending),
            counted: list("counted").filter_map(time).collect(),
            shelving: object("shelved").and_then(shelving),
            actions: object("actions").map(actions).unwrap_or_default(),
        }
    }

    /// As the memory of a leaf, around the state that was published.
    pub(super) fn memory(&mut self, state: crate::state::ClientState) -> Option<Memory> {
        if self.pending.is_none() && self.counted.is_empty() {
            return None;
        }
        Some(Memory {
            state,
            pending: self.pending.take(),
            counted: std::mem::take(&mut self.counted),
        })
    }

    /// What was written of it.
    pub(super) fn digest(&self) -> u64 {
        let text = write(
            self.pending.as_ref(),
            &self.counted,
            self.shelving.as_ref(),
            Some(&self.actions),
        );
        // a record that says nothing is there as well
        text.as_deref().map_or(1, digest)
    }
}

fn write(
    pending: Option<&Pending>,
    counted: &[Time],
    shelving: Option<&Shelving>,
    actions: Option<&Actions>,
) -> Option<String> {
    let actions = actions.filter(|actions| !actions.is_idle());
    if pending.is_none() && counted.is_empty() && shelving.is_none() && actions.is_none() {
        return None;
    }
    let mut object = Object::new();
    if let Some(pending) = pending {
        let state = &pending.state;
        object = object.object(
            "pending",
            Object::new()
                .text("severity", state.severity.name())
                .boolean("latch", state.latch)
                .text("message", &state.message)
                .text_or_null("value", state.value.text().as_deref())
                .object("time", moment(state.time))
                .object("due", moment(pending.due)),
        );
    }
    if !counted.is_empty() {
        object = object.objects("counted", counted.iter().copied().map(moment));
    }
    if let Some(shelving) = shelving {
        let mut shelved = Object::new()
            .text("user", &shelving.who.user)
            .text("host", &shelving.who.host)
            .object("since", moment(shelving.since));
        if let Some(until) = shelving.until {
            shelved = shelved.object("until", moment(until));
        }
        if let Some(reason) = &shelving.reason {
            shelved = shelved.text("reason", reason);
        }
        object = object.object("shelved", shelved);
    }
    if let Some(actions) = actions {
        let waiting = actions
            .waiting
            .iter()
            .map(|waiting| action_object(&waiting.action).object("due", moment(waiting.due)));
        object = object.object(
            "actions",
            Object::new()
                .text("notified", actions.notified.name())
                .objects("waiting", waiting)
                .objects("done", actions.done.iter().map(action_object)),
        );
    }
    Some(object.finish())
}

fn moment(time: Time) -> Object {
    Object::new()
        .number("seconds", time.seconds)
        .number("nano", i64::from(time.nano))
}

fn action_object(action: &Action) -> Object {
    Object::new()
        .text("title", &action.title)
        .text("details", &action.details)
        .number("delay", i64::from(action.delay))
}

fn time(value: &Json) -> Option<Time> {
    let part = |name: &str| value.get(name).and_then(Json::as_i64);
    let nano = u32::try_from(part("nano")?).ok()?;
    Some(Time::new(part("seconds")?, nano))
}

fn pending(fields: &Map<String, Json>) -> Option<Pending> {
    let value = match fields.get("value")? {
        Json::Null => Value::Null,
        value => as_text(value).into(),
    };
    Some(Pending {
        state: State {
            severity: as_text(fields.get("severity")?).parse().ok()?,
            message: as_text(fields.get("message")?).into(),
            value,
            time: time(fields.get("time")?)?,
            latch: fields.get("latch")?.as_bool()?,
        },
        due: time(fields.get("due")?)?,
    })
}

fn shelving(fields: &Map<String, Json>) -> Option<Shelving> {
    let text = |name: &str| fields.get(name).map(as_text);
    Some(Shelving {
        who: Who {
            user: text("user").unwrap_or_default(),
            host: text("host").unwrap_or_default(),
        },
        since: time(fields.get("since")?)?,
        until: fields.get("until").and_then(time),
        reason: text("reason"),
    })
}

fn actions(fields: &Map<String, Json>) -> Actions {
    let list = |name: &str| {
        let items = fields.get(name).and_then(Json::as_array);
        items.into_iter().flatten()
    };
    let severity = fields.get("notified").map(as_text);
    Actions {
        notified: severity
            .and_then(|severity| severity.parse().ok())
            .unwrap_or_default(),
        waiting: list("waiting")
            .filter_map(|item| {
                Some(Waiting {
                    action: action(item)?,
                    due: time(item.get("due")?)?,
                })
            })
            .collect(),
        done: list("done").filter_map(action).collect(),
    }
}

fn action(item: &Json) -> Option<Action> {
    Some(Action {
        title: item.get("title").map(as_text)?,
        details: item.get("details").map(as_text)?,
        delay: u32::try_from(as_whole(item.get("delay")?)).ok()?,
    })
}
