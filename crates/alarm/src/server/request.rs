//! What operators want, with an answer: the commands of the bus have none.

mod find;

use std::collections::HashSet;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::config::Enabled;
use crate::leaf::{Leaf, Told};
use crate::path::AlarmPath;
use crate::server::{Effect, Record, Server, Topic};
use crate::severity::Severity;
use crate::text::Text;
use crate::time::Time;
use crate::tree::ItemId;
use crate::wire::command::{Command, CommandMessage};
use crate::wire::key::Key;
use crate::wire::state::Mode;

/// Who wants something, and from where. Records that come of it are signed so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// Who.
    pub user: String,
    /// From where.
    pub host: String,
}

/// Something that an operator wants.
///
/// Items are named by their path (`/Accelerator/Vacuum`, meaning all PVs below a group) or by the name of a PV, which
/// means all leaves with that PV. Either everything that is asked for happens, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Acknowledge active alarms.
    Acknowledge(Vec<String>),
    /// Take acknowledgements back.
    Unacknowledge(Vec<String>),
    /// Watch PVs again that are disabled or shelved.
    Enable(Vec<String>),
    /// Do not watch PVs until they are enabled again.
    Disable {
        /// Which.
        items: Vec<String>,
        /// Why; kept in the server's own topic.
        reason: Option<String>,
    },
    /// Do not watch PVs for some time. Clients of Phoebus see a PV that is disabled until a date.
    Shelve {
        /// Which.
        items: Vec<String>,
        /// How long.
        until: Until,
        /// Why; kept in the server's own topic.
        reason: Option<String>,
    },
    /// End the shelving of PVs that are shelved. Others stay as they are.
    Unshelve(Vec<String>),
    /// Maintenance mode on or off.
    Maintenance(bool),
    /// Notifications on or off.
    Notify(bool),
    /// Read the configuration again from the bus.
    Reload,
}

/// How long something is shelved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// From now on.
    For(Duration),
    /// Until that moment.
    At(Time),
}

/// Why a PV is not watched, if an operator said so here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelving {
    /// Who.
    pub who: Who,
    /// Since when.
    pub since: Time,
    /// Until when; `None` until somebody enables it.
    pub until: Option<Time>,
    /// Why.
    pub reason: Option<String>,
}

/// How a leaf stands, as far as requests can change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Severity of its alarm.
    pub severity: Severity,
    /// Message of its alarm.
    pub message: Text,
    /// Whether it is watched.
    pub enabled: Enabled,
    /// Until when it is shelved.
    pub shelved_until: Option<Time>,
}

/// A leaf that a request was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Its path.
    pub path: AlarmPath,
    /// How it stood before.
    pub before: Standing,
    /// How it stands now.
    pub after: Standing,
}

impl Touched {
    /// Whether anything changed.
    pub fn is_changed(&self) -> bool {
        self.before != self.after
    }
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The leaves it was about, in the order of the tree, each once. Of a group only those that changed.
    pub touched: Vec<Touched>,
    /// The mode before.
    pub mode_before: Mode,
    /// The mode now.
    pub mode: Mode,
}

impl Reply {
    /// Whether anything changed.
    pub fn is_changed(&self) -> bool {
        self.mode != self.mode_before || self.touched.iter().any(Touched::is_changed)
    }
}

/// Why nothing of a request was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The server is still reading its records, or stands by for another.
    #[error("the alarm server is not running yet")]
    NotStarted,
    /// The request names no item.
    #[error("no item is named")]
    NoItems,
    /// There is no such path and no such PV.
    #[error("there is no item `{wanted}`")]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// The nearest there is, as a path.
        nearest: Option<AlarmPath>,
    },
    /// The moment until which PVs shall be shelved is not in the future, or in no calendar.
    #[error("PVs can only be shelved until a moment in the future")]
    NotInTheFuture,
    /// The reason is too long.
    #[error("the reason has {0} bytes, at most {LONGEST_REASON} are kept")]
    LongReason(usize),
}

/// Longest reason that is kept, in bytes.
pub const LONGEST_REASON: usize = 1000;

impl Server {
    /// Does what an operator wants, or nothing at all.
    ///
    /// # Errors
    ///
    /// Why nothing was done.
    pub fn request(
        &mut self,
        request: &Request,
        who: &Who,
        now: Time,
    ) -> Result<(Reply, Vec<Effect>), Refusal> {
        if !self.started {
            return Err(Refusal::NotStarted);
        }
        let mode_before = self.mode;
        let mut touched = Vec::new();
        let mut effects = Vec::new();
        match request {
            Request::Maintenance(on) => effects = self.set_maintenance(*on, now),
            Request::Notify(on) => effects = self.set_notify(*on),
            Request::Reload => effects.push(Effect::Restart),
            Request::Acknowledge(items) => {
                let targets = self.targets(items)?;
                self.touch(&targets, &mut touched, &mut effects, |server, id| {
                    server.told_if(id, now, Severity::is_active, |leaf| leaf.acknowledge(now))
                });
            }
            Request::Unacknowledge(items) => {
                let targets = self.targets(items)?;
                let is_acknowledged =
                    |severity: Severity| !severity.is_active() && severity != Severity::Ok;
                self.touch(&targets, &mut touched, &mut effects, |server, id| {
                    server.told_if(id, now, is_acknowledged, Leaf::unacknowledge)
                });
            }
            Request::Enable(items) => {
                let targets = self.targets(items)?;
                self.touch(&targets, &mut touched, &mut effects, |server, id| {
                    server.shelve(id, Enabled::Yes, None, who, now)
                });
            }
            Request::Unshelve(items) => {
                let targets = self.targets(items)?;
                self.touch(&targets, &mut touched, &mut effects, |server, id| {
                    if server.is_shelved(id) {
                        server.shelve(id, Enabled::Yes, None, who, now)
                    } else {
                        Vec::new()
                    }
                });
            }
            Request::Disable { items, reason } => {
                let targets = self.targets(items)?;
                let shelving = Shelving {
                    who: who.clone(),
                    since: now,
                    until: None,
                    reason: check_reason(reason.as_deref())?,
                };
                self.touch(&targets, &mut touched, &mut effects, |server, id| {
                    server.shelve(id, Enabled::No, Some(shelving.clone()), who, now)
                });
            }
            Request::Shelve {
                items,
                until,
                reason,
            } => {
                let targets = self.targets(items)?;
                let until = match until {
                    Until::For(span) => now.after(*span),
                    Until::At(time) => *time,
                };
                let date = local_date(until, &self.settings.zone)
                    .filter(|_date| until > now)
                    .ok_or(Refusal::NotInTheFuture)?;
                let shelving = Shelving {
                    who: who.clone(),
                    since: now,
                    until: Some(until),
                    reason: check_reason(reason.as_deref())?,
                };
                // of a group only what is watched: what is disabled for good would come back by itself
                let targets: Vec<(ItemId, bool)> = targets
                    .into_iter()
                    .filter(|(id, is_named)| *is_named || !self.is_disabled_for_good(*id))
                    .collect();
                self.touch(&targets, &mut touched, &mut effects, |server, id| {
                    server.shelve(id, Enabled::Until(date), Some(shelving.clone()), who, now)
                });
            }
        }
        self.publish_time(&effects, now);
        effects.splice(0..0, self.notes(request, who));
        let reply = Reply {
            touched,
            mode_before,
            mode: self.mode,
        };
        Ok((reply, effects))
    }

    /// What the history is told of a request, as clients of Phoebus write it. Records of the configuration tell by
    /// themselves who enabled and disabled.
    fn notes(&self, request: &Request, who: &Who) -> Vec<Effect> {
        let (command, items) = match request {
            Request::Acknowledge(items) => (Command::Acknowledge, items.as_slice()),
            Request::Unacknowledge(items) => (Command::Unacknowledge, items.as_slice()),
            Request::Maintenance(on) => (Command::Maintenance(*on), &[][..]),
            Request::Notify(on) => (Command::Notify(*on), &[][..]),
            Request::Reload => (Command::Restart, &[][..]),
            Request::Enable(_)
            | Request::Unshelve(_)
            | Request::Disable { .. }
            | Request::Shelve { .. } => return Vec::new(),
        };
        let mut paths: Vec<&AlarmPath> = items
            .iter()
            .flat_map(|wanted| self.find_items(wanted))
            .filter_map(|id| self.tree.item(id).map(|item| &item.path))
            .collect();
        if !command.needs_item() {
            paths.push(&self.root);
        }
        let text = CommandMessage {
            user: who.user.clone(),
            host: who.host.clone(),
            command,
        }
        .write();
        let mut seen = HashSet::new();
        paths.retain(|path| seen.insert(*path));
        let note = |path| {
            Effect::Publish(Record {
                topic: Topic::Command,
                key: Key::done(path),
                value: Some(text.clone()),
            })
        };
        paths.into_iter().map(note).collect()
    }

    /// Does something to leaves and notes what came of it.
    fn touch(
        &mut self,
        targets: &[(ItemId, bool)],
        touched: &mut Vec<Touched>,
        effects: &mut Vec<Effect>,
        mut what: impl FnMut(&mut Self, ItemId) -> Vec<Effect>,
    ) {
        for (id, is_named) in targets {
            let Some(before) = self.standing(*id) else {
                continue;
            };
            effects.extend(what(self, *id));
            if let (Some(after), Some(item)) = (self.standing(*id), self.tree.item(*id)) {
                let one = Touched {
                    path: item.path.clone(),
                    before,
                    after,
                };
                if *is_named || one.is_changed() {
                    touched.push(one);
                }
            }
        }
    }

    fn told_if(
        &mut self,
        id: ItemId,
        now: Time,
        wanted: impl Fn(Severity) -> bool,
        what: impl FnOnce(&mut Leaf) -> Told,
    ) -> Vec<Effect> {
        let is_wanted = self
            .tree
            .leaf(id)
            .is_some_and(|watched| wanted(watched.alarm.severity()));
        if !is_wanted {
            return Vec::new();
        }
        self.change(id, now, |leaf, _maintenance| what(leaf))
    }

    fn standing(&self, id: ItemId) -> Option<Standing> {
        let watched = self.tree.leaf(id)?;
        Some(Standing {
            severity: watched.alarm.severity(),
            message: watched.alarm.alarm().message.clone(),
            enabled: watched.config.enabled,
            shelved_until: watched.shelving().and_then(|shelving| shelving.until),
        })
    }

    fn is_disabled_for_good(&self, id: ItemId) -> bool {
        self.tree
            .leaf(id)
            .is_some_and(|watched| watched.config.enabled == Enabled::No)
    }

    fn is_shelved(&self, id: ItemId) -> bool {
        self.tree
            .leaf(id)
            .is_some_and(|watched| matches!(watched.config.enabled, Enabled::Until(_)))
    }

    fn shelve(
        &mut self,
        id: ItemId,
        enabled: Enabled,
        shelving: Option<Shelving>,
        who: &Who,
        now: Time,
    ) -> Vec<Effect> {
        let Some(watched) = self.tree.leaf_mut(id) else {
            return Vec::new();
        };
        if watched.config.enabled == enabled {
            // already so; a new reason counts
            if shelving.as_ref().is_some_and(|new| new.reason.is_some()) {
                watched.set_shelving(shelving);
                self.refresh(id);
                return self.keep(id).into_iter().collect();
            }
            return Vec::new();
        }
        watched.set_shelving(shelving);
        self.reconfigure(id, |config| config.enabled = enabled, who, now)
    }

    /// Forgets who disabled a PV when its configuration no longer says what they wanted.
    pub(super) fn check_shelving(&mut self, id: ItemId) {
        let zone = &self.settings.zone;
        let Some(watched) = self.tree.leaf_mut(id) else {
            return;
        };
        let enabled = watched.config.enabled;
        let fits = watched
            .shelving()
            .is_none_or(|shelving| match shelving.until {
                None => enabled == Enabled::No,
                Some(until) => {
                    local_date(until, zone).is_some_and(|date| enabled == Enabled::Until(date))
                }
            });
        if !fits {
            watched.set_shelving(None);
        }
    }
}

/// The local date and time, in whole seconds, as configurations carry it.
pub(super) fn local_date(time: Time, zone: &TimeZone) -> Option<DateTime> {
    let moment = jiff::Timestamp::new(time.seconds, 0).ok()?;
    let date = zone.to_datetime(moment);
    (date.year() >= 0).then_some(date)
}

fn check_reason(reason: Option<&str>) -> Result<Option<String>, Refusal> {
    match reason.map(str::trim).filter(|reason| !reason.is_empty()) {
        Some(reason) if reason.len() > LONGEST_REASON => Err(Refusal::LongReason(reason.len())),
        reason => Ok(reason.map(str::to_owned)),
    }
}
