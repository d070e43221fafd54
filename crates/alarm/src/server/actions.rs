//! Automated actions: when they are due, and what they say.
//!
//! An item that becomes active schedules its actions, each after its own delay, and again when it gets worse; one that
//! is no longer active cancels what has not been done and follows up on what has. `sevrpv:` of a group is written on
//! every change.

mod texts;

use crate::config::{Action, Notes};
use crate::path::AlarmPath;
use crate::server::action::{Act, ChatService, What};
use crate::server::{ComplaintKind, Effect, Server, Timer};
use crate::severity::Severity;
use crate::time::Time;
use crate::tree::{Content, ItemId};
use crate::wire::key::{Key, Kind};

/// What the actions of an item are at. Items without actions have none of this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Actions {
    /// The worst severity since it became active; OK while it is not.
    pub(super) notified: Severity,
    /// What is going to be done.
    pub(super) waiting: Vec<Waiting>,
    /// What was done and is followed up when the alarm is over.
    pub(super) done: Vec<Action>,
}

/// An action that waits for its delay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) action: Action,
    pub(super) due: Time,
}

impl Actions {
    pub(super) fn is_idle(&self) -> bool {
        self.notified == Severity::Ok && self.waiting.is_empty() && self.done.is_empty()
    }

    fn next(&self) -> Option<Time> {
        self.waiting.iter().map(|waiting| waiting.due).min()
    }
}

/// What an action does, as its details say.
enum Parsed {
    Mail(Vec<String>),
    Run(Vec<String>),
    Severity(String),
    Text(String),
    Webhook(String),
    Chat(ChatService, String),
}

impl Parsed {
    /// Whether switching notifications off switches it off.
    fn is_notification(&self) -> bool {
        !matches!(self, Self::Run(_) | Self::Severity(_))
    }
}

fn parse(details: &str) -> Result<Parsed, String> {
    let Some((kind, rest)) = details.split_once(':') else {
        return Err(format!("the action `{}` has no kind", shown(details)));
    };
    let rest = rest.trim();
    let list = || -> Vec<String> {
        rest.split(',')
            .map(str::trim)
            .filter(|one| !one.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let text = rest.to_owned();
    if rest.is_empty() {
        return Err(format!("the action `{}` says nothing", shown(details)));
    }
    match kind {
        "mailto" => match list() {
            addresses if addresses.is_empty() => {
                Err(format!("the action `{}` has no address", shown(details)))
            }
            addresses => Ok(Parsed::Mail(addresses)),
        },
        "cmd" => Ok(Parsed::Run(words(rest))),
        "sevrpv" => Ok(Parsed::Severity(text)),
        "infopv" => Ok(Parsed::Text(text)),
        "webhook" => Ok(Parsed::Webhook(text)),
        "slack" => Ok(Parsed::Chat(ChatService::Slack, text)),
        "teams" => Ok(Parsed::Chat(ChatService::Teams, text)),
        "mattermost" => Ok(Parsed::Chat(ChatService::Mattermost, text)),
        _ => Err(format!(
            "the action `{}` is none of `mailto:`, `cmd:`, `sevrpv:`, `infopv:`, `webhook:`, `slack:`, `teams:`, `mattermost:`",
            shown(details)
        )),
    }
}

fn shown(details: &str) -> String {
    details.chars().take(80).collect()
}

/// The words of a command. Quotes keep spaces together; there is no shell.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in command.chars() {
        match (quote, character) {
            (Some(end), _) if character == end => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            (Some(_) | None, _) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

impl Server {
    /// The actions that an item has in its configuration.
    fn configured(&self, id: ItemId) -> &[Action] {
        let notes = match self.tree.item(id).map(|item| &item.content) {
            Some(Content::Leaf(watched)) => watched.config.notes.as_deref(),
            Some(Content::Group { own, .. }) => Some(&own.notes),
            None => None,
        };
        notes.map_or(&[], |notes: &Notes| &notes.actions)
    }

    fn actions(&self, id: ItemId) -> Option<&Actions> {
        match &self.tree.item(id)?.content {
            Content::Leaf(watched) => watched.actions(),
            Content::Group { own, .. } => own.actions.as_deref(),
        }
    }

    /// Puts back what the actions of an item are at, with its timer.
    pub(super) fn set_actions(&mut self, id: ItemId, actions: Actions) {
        if let Some(due) = self.actions(id).and_then(Actions::next) {
            self.timers.remove(&(due, Timer::Action(id)));
        }
        if let Some(due) = actions.next() {
            self.timers.insert((due, Timer::Action(id)));
        }
        if let Some(watched) = self.tree.leaf_mut(id) {
            watched.set_actions(actions);
        } else if let Some(group) = self.tree.group_mut(id) {
            group.actions = (!actions.is_idle()).then(|| Box::new(actions));
        }
    }

    /// An item that is in alarm at the start and has actions, of which nothing is remembered, has been told of.
    pub(super) fn take_as_notified(&mut self, id: ItemId, severity: Severity) {
        if self.actions(id).is_none() && !self.configured(id).is_empty() {
            let actions = Actions {
                notified: severity,
                ..Actions::default()
            };
            self.set_actions(id, actions);
        }
    }

    /// Looks at the actions of an item whose configuration is new: what is no longer there is not going to be done,
    /// and what cannot be done is complained about.
    pub(super) fn check_actions(&mut self, id: ItemId) -> Vec<Effect> {
        let configured = self.configured(id).to_vec();
        if let Some(actions) = self.actions(id).cloned() {
            let mut kept = actions;
            kept.waiting
                .retain(|waiting| configured.contains(&waiting.action));
            kept.done.retain(|done| configured.contains(done));
            self.set_actions(id, kept);
        }
        let (Some(item), is_leaf) = (self.tree.item(id), self.tree.leaf(id).is_some()) else {
            return Vec::new();
        };
        let key = Key::new(Kind::Config, item.path.clone()).to_string();
        let severity_pvs = configured
            .iter()
            .filter(|action| action.details.starts_with("sevrpv:"))
            .count();
        let mut wrong: Vec<String> = configured
            .iter()
            .filter_map(|action| parse(&action.details).err())
            .collect();
        if severity_pvs > 0 && is_leaf {
            wrong.push("`sevrpv:` is for groups; a PV has a severity of its own".to_owned());
        } else if severity_pvs > 1 {
            wrong.push("of several `sevrpv:` the last counts".to_owned());
        }
        wrong
            .into_iter()
            .filter_map(|why| self.complaints.complain(ComplaintKind::Action, &key, why))
            .collect()
    }

    /// Forgets what the actions of an item are at, without following up.
    pub(super) fn cancel_actions(&mut self, id: ItemId) {
        self.set_actions(id, Actions::default());
    }

    /// The severity of an item has changed.
    pub(super) fn act_on(&mut self, id: ItemId, severity: Severity, now: Time) -> Vec<Effect> {
        if !self.started || self.configured(id).is_empty() {
            return Vec::new();
        }
        let mut effects: Vec<Effect> = self.write_severity(id, severity).into_iter().collect();
        let mut actions = self.actions(id).cloned().unwrap_or_default();
        if severity.is_active() {
            if severity <= actions.notified {
                // Phoebus does everything again when an alarm gets less bad; we do not
                return effects;
            }
            actions.notified = severity;
            for action in self.configured(id) {
                let is_known = actions
                    .waiting
                    .iter()
                    .any(|waiting| waiting.action == *action);
                if !is_known && !action.details.starts_with("sevrpv:") {
                    actions.waiting.push(Waiting {
                        action: action.clone(),
                        due: now.after(std::time::Duration::from_secs(u64::from(action.delay))),
                    });
                }
            }
        } else {
            if actions.is_idle() {
                return effects;
            }
            for action in &actions.done {
                effects.extend(self.act(id, action, true));
            }
            actions = Actions::default();
        }
        self.set_actions(id, actions);
        effects.extend(self.keep(id));
        effects
    }

    /// Does what is due of an item.
    pub(super) fn act_now(&mut self, id: ItemId, now: Time) -> Vec<Effect> {
        let Some(mut actions) = self.actions(id).cloned() else {
            return Vec::new();
        };
        let (due, waiting): (Vec<Waiting>, Vec<Waiting>) = actions
            .waiting
            .into_iter()
            .partition(|waiting| waiting.due <= now);
        actions.waiting = waiting;
        let mut effects = Vec::new();
        for one in due {
            let act = self.act(id, &one.action, false);
            let is_followed = self
                .settings
                .follow_up
                .iter()
                .any(|prefix| one.action.details.starts_with(prefix));
            if act.is_some() && is_followed && !actions.done.contains(&one.action) {
                actions.done.push(one.action);
            }
            effects.extend(act);
        }
        self.set_actions(id, actions);
        effects.extend(self.keep(id));
        effects
    }

    /// The severity of a group for its PV.
    pub(super) fn write_severity(&self, id: ItemId, severity: Severity) -> Option<Effect> {
        let item = self.tree.item(id)?;
        if matches!(item.content, Content::Leaf(_)) {
            return None;
        }
        let (action, pv) =
            self.configured(id)
                .iter()
                .rev()
                .find_map(|action| match parse(&action.details) {
                    Ok(Parsed::Severity(pv)) => Some((action, pv)),
                    Ok(_) | Err(_) => None,
                })?;
        Some(Effect::Act(Box::new(Act {
            path: item.path.clone(),
            title: action.title.clone(),
            severity,
            is_follow_up: false,
            what: What::WriteNumber {
                pv,
                number: f64::from(severity.ordinal()),
            },
        })))
    }

    /// An action with its texts as things are now; nothing if it cannot or must not be done.
    fn act(&self, id: ItemId, action: &Action, is_follow_up: bool) -> Option<Effect> {
        let parsed = parse(&action.details).ok()?;
        if parsed.is_notification() && !self.mode.notify {
            return None;
        }
        let item = self.tree.item(id)?;
        let what = match parsed {
            Parsed::Mail(to) => What::Mail {
                to,
                subject: self.subject(id)?,
                body: self.body(id),
            },
            Parsed::Run(words) => {
                let mut words = words.into_iter();
                let program = words.next()?;
                let active = self.active_words(id);
                What::Run {
                    program,
                    arguments: words.flat_map(|word| replace(&word, &active)).collect(),
                }
            }
            Parsed::Text(pv) => What::WriteText {
                pv,
                text: format!("{}\n{}", self.subject(id)?, self.body(id)),
            },
            Parsed::Webhook(url) => What::Webhook {
                url,
                body: self.json(id, &action.title, is_follow_up)?,
            },
            Parsed::Chat(service, target) => What::Chat {
                service,
                target,
                subject: self.subject(id)?,
                body: self.body(id),
            },
            Parsed::Severity(_) => return None,
        };
        Some(Effect::Act(Box::new(Act {
            path: item.path.clone(),
            title: action.title.clone(),
            severity: item.severity(),
            is_follow_up,
            what,
        })))
    }

    /// The active leaves at and below an item, in the order of the tree.
    fn active_leaves(&self, id: ItemId) -> Vec<ItemId> {
        let mut leaves = self.tree.below(id);
        leaves.retain(|one| {
            self.tree.item(*one).is_some_and(|item| {
                matches!(item.content, Content::Leaf(_)) && item.severity().is_active()
            })
        });
        leaves
    }

    /// `PV SEVERITY PV SEVERITY …` of the active leaves, for commands.
    fn active_words(&self, id: ItemId) -> Vec<String> {
        self.active_leaves(id)
            .into_iter()
            .filter_map(|leaf| {
                let item = self.tree.item(leaf)?;
                Some([
                    item.path.name().to_owned(),
                    item.severity().name().to_owned(),
                ])
            })
            .flatten()
            .collect()
    }

    /// Root of the tree, for what belongs to no item.
    pub(super) fn heartbeat(&self) -> Option<Effect> {
        let (pv, _period) = self.settings.heartbeat.as_ref()?;
        let path: AlarmPath = self.root.clone();
        Some(Effect::Act(Box::new(Act {
            path,
            title: "heartbeat".to_owned(),
            severity: self.tree.item(self.tree.root())?.severity(),
            is_follow_up: false,
            what: What::WriteNumber {
                pv: pv.clone(),
                number: 1.0,
            },
        })))
    }
}

/// A `*` alone becomes a word for each PV and each severity, one within a word becomes all of them with spaces.
fn replace(word: &str, active: &[String]) -> Vec<String> {
    if word == "*" {
        return active.to_vec();
    }
    if word.contains('*') {
        return vec![word.replace('*', &active.join(" "))];
    }
    vec![word.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_become_words() {
        let rows: [(&str, &[&str]); 6] = [
            ("say hello", &["say", "hello"]),
            ("  say   hello ", &["say", "hello"]),
            ("say 'hello  world' x", &["say", "hello  world", "x"]),
            (r#"say "it's" ''"#, &["say", "it's", ""]),
            ("say a'b c'd", &["say", "ab cd"]),
            ("say 'open", &["say", "open"]),
        ];
        for (command, expected) in rows {
            assert_eq!(words(command), expected, "{command}");
        }
        let active = ["a".to_owned(), "MAJOR".to_owned()];
        assert_eq!(replace("*", &active), ["a", "MAJOR"]);
        assert_eq!(replace("--pvs=*", &active), ["--pvs=a MAJOR"]);
        assert_eq!(replace("*", &[]), Vec::<String>::new());
    }
}
